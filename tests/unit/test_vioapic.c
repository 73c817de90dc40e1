/* SPDX-License-Identifier: MIT */
/* The IOAPIC: registers, messages, level and edge triggering, EOI. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/vioapic.h"

static struct vioapic io;
static struct apic_message sent;
static unsigned sends;

static void on_send(void *ctx, const struct apic_message *message)
{
	(void)ctx;
	sent = *message;
	sends++;
}

static void start(void)
{
	vioapic_init(&io, 5, on_send, NULL);
	sends = 0;
}

static uint32_t rd(uint8_t index)
{
	vioapic_write(&io, 0, 4, index, 0);
	return (uint32_t)vioapic_read(&io, 0x10, 4, 0);
}

static void wr(uint8_t index, uint32_t value)
{
	vioapic_write(&io, 0, 4, index, 0);
	vioapic_write(&io, 0x10, 4, value, 0);
}

static void entry(unsigned pin, uint32_t high, uint32_t low)
{
	wr((uint8_t)(0x11 + 2 * pin), high);
	wr((uint8_t)(0x10 + 2 * pin), low);
}

static void test_registers(void **state)
{
	(void)state;
	start();
	assert_int_equal(rd(0), 5U << 24);
	assert_int_equal(rd(1), 0x00170020);
	assert_int_equal(rd(2), 5U << 24);
	wr(0, 0xFFFFFFFF);
	assert_int_equal(rd(0), 0x0F000000);
	wr(1, 0);
	assert_int_equal(rd(1), 0x00170020);
	for (uint8_t i = 0x10; i < 0x40; i += 2) {
		assert_int_equal(rd(i), 0x10000);
		wr(i, 0xFFFFFFFF), wr(i + 1, 0xFFFFFFFF);
		assert_int_equal(rd(i), 0x1AFFF);
		assert_int_equal(rd(i + 1), 0xFF000000);
	}
	wr(0x40, 0xFFFFFFFF);
	wr(0xFF, 0xFFFFFFFF);
	assert_int_equal(rd(0x40), 0);
	assert_int_equal(rd(0xFF), 0);
	assert_int_equal(vioapic_read(&io, 0, 4, 0), 0xFF);
	assert_int_equal(vioapic_read(&io, 0x20, 4, 0), 0);
	assert_int_equal(sends, 0);
}

static void test_edge(void **state)
{
	(void)state;
	start();
	entry(4, 0x03000000, 0x00000931);
	vioapic_set_pin(&io, 4, true);
	vioapic_set_pin(&io, 4, true);
	assert_int_equal(sends, 1);
	assert_int_equal(sent.destination, 3);
	assert_int_equal(sent.vector, 0x31);
	assert_int_equal(sent.delivery, APIC_LOWEST_PRIORITY);
	assert_true(sent.logical && sent.asserted && !sent.level);
	assert_int_equal(rd(0x18), 0x931);
	vioapic_set_pin(&io, 4, false);
	vioapic_set_pin(&io, 4, true);
	assert_int_equal(sends, 2);
	entry(4, 0xFF000000, 0x10031);
	vioapic_set_pin(&io, 4, false);
	vioapic_set_pin(&io, 4, true); /* masked: lost */
	entry(4, 0xFF000000, 0x31);
	assert_int_equal(sends, 2);
	vioapic_set_pin(&io, 4, false);
	vioapic_set_pin(&io, 4, true);
	assert_true(sent.destination == APIC_BROADCAST);
	vioapic_set_pin(&io, 24, true); /* beyond the last: nobody */
	vioapic_set_pin(&io, 200, true);
	assert_int_equal(sends, 3);
}

static void test_level(void **state)
{
	(void)state;
	start();
	entry(9, 0, 0x18042);
	vioapic_set_pin(&io, 9, true);
	assert_int_equal(sends, 0);
	entry(9, 0, 0x8042); /* unmasking an asserted pin sends */
	assert_int_equal(sends, 1);
	assert_true(sent.level);
	assert_int_equal(rd(0x22), 0xC042);
	vioapic_set_pin(&io, 9, false);
	vioapic_set_pin(&io, 9, true); /* in service */
	assert_int_equal(sends, 1);
	vioapic_eoi(&io, 0x43);
	assert_int_equal(sends, 1);
	vioapic_eoi(&io, 0x42);
	assert_int_equal(sends, 2);
	vioapic_set_pin(&io, 9, false);
	vioapic_eoi(&io, 0x42);
	assert_int_equal(sends, 2);
	assert_int_equal(rd(0x22), 0x8042);
}

static void test_directed_eoi(void **state)
{
	(void)state;
	start();
	entry(9, 0, 0x8042);
	vioapic_set_pin(&io, 9, true);
	vioapic_write(&io, 0x40, 4, 0x42, 0);
	assert_int_equal(sends, 2);
}

/* How kernels without the EOI register clear remote IRR: make it edge, then level again. */
static void test_edge_and_back_clears_remote_irr(void **state)
{
	(void)state;
	start();
	entry(9, 0, 0x8042);
	vioapic_set_pin(&io, 9, true);
	wr(0x22, 0x10042);
	assert_int_equal(rd(0x22), 0x10042);
	wr(0x22, 0x18042);
	wr(0x22, 0x8042);
	assert_int_equal(sends, 2);
}

static void test_several_pins_of_one_vector(void **state)
{
	(void)state;
	start();
	entry(16, 0, 0x8050);
	entry(17, 0, 0x8050);
	vioapic_set_pin(&io, 16, true);
	vioapic_set_pin(&io, 17, true);
	assert_int_equal(sends, 2);
	vioapic_eoi(&io, 0x50);
	assert_int_equal(sends, 4);
}

static void test_only_fixed_modes_are_level(void **state)
{
	(void)state;
	start();
	entry(0, 0, 0x8700);
	vioapic_set_pin(&io, 0, true);
	assert_int_equal(sent.delivery, APIC_EXTINT);
	assert_false(sent.level);
	assert_int_equal(rd(0x10), 0x8700);
}

static void test_lowest_priority_is_level_too(void **state)
{
	(void)state;
	start();
	entry(5, 0, 0x8150);
	vioapic_set_pin(&io, 5, true);
	assert_true(sent.level);
	assert_int_equal(rd(0x1A), 0xC150);
	vioapic_set_pin(&io, 6, true); /* edge entries have no remote IRR: no EOI concerns them */
	vioapic_set_pin(&io, 7, true);
	entry(7, 0, 0x0051);
	sends = 0;
	vioapic_eoi(&io, 0x51);
	assert_int_equal(sends, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_edge),
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_directed_eoi),
		cmocka_unit_test(test_edge_and_back_clears_remote_irr),
		cmocka_unit_test(test_several_pins_of_one_vector),
		cmocka_unit_test(test_only_fixed_modes_are_level),
		cmocka_unit_test(test_lowest_priority_is_level_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
