/* SPDX-License-Identifier: MIT */
/*
 * The 8259 pair: priorities over every combination of requests, masks, in-service bits and
 * rotations against the definition; and each command word by example.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/vpic.h"
#include "lib/bits.h"

static struct vpic pic;
static bool intr;

static void on_intr(void *ctx, unsigned pin, bool level)
{
	(void)ctx, (void)pin;
	intr = level;
}

static void out(uint16_t port, uint8_t value)
{
	vpic_write(&pic, port, 1, value, 0);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)vpic_read(&pic, port, 1, 0);
}

static void words(uint8_t icw1, uint8_t icw4)
{
	out(0x20, icw1), out(0x21, 0x20), out(0x21, 0x04);
	out(0xA0, icw1), out(0xA1, 0x28), out(0xA1, 0x02);
	if (icw1 & 1)
		out(0x21, icw4), out(0xA1, icw4);
}

static void start(uint8_t icw4)
{
	intr = false;
	vpic_init(&pic, (struct line){.set = on_intr});
	words(0x11, icw4);
}

static void raise(unsigned irq)
{
	vpic_set_pin(&pic, irq, true);
}

static void lower(unsigned irq)
{
	vpic_set_pin(&pic, irq, false);
}

static void pulse(unsigned irq)
{
	lower(irq);
	raise(irq);
}

static uint8_t isr(uint16_t port)
{
	out(port, 0x0B);
	return in(port);
}

static uint8_t irr(uint16_t port)
{
	out(port, 0x0A);
	return in(port);
}

static void test_nothing_before_initialisation(void **state)
{
	(void)state;
	vpic_init(&pic, (struct line){.set = on_intr});
	intr = false;
	raise(1);
	assert_false(intr);
}

/* The slave's eight inputs: whatever is asked, in service and masked, and however rotated. */
static void test_priority_of_every_combination(void **state)
{
	(void)state;
	for (unsigned lowest = 0; lowest < 8; lowest++)
		for (unsigned requests = 0; requests < 256; requests++)
			for (unsigned serviced = 0; serviced < 256;
			     serviced += requests & 1 ? 1 : 5) {
				int best = -1;

				for (unsigned rank = 1; rank <= 8 && best < 0; rank++) {
					unsigned ir = (lowest + rank) % 8;

					if (serviced & BIT(ir))
						break;
					if (requests & BIT(ir))
						best = (int)ir;
				}
				start(0x01);
				pic.chip[1].isr = (uint8_t)serviced;
				out(0xA0, (uint8_t)(0xC0 | lowest));
				for (unsigned ir = 0; ir < 8; ir++)
					if (requests & BIT(ir))
						raise(8 + ir);
				assert_int_equal(intr, best >= 0);
				if (best < 0)
					continue;
				assert_int_equal(vpic_acknowledge(&pic), 0x28 + best);
				assert_int_equal(isr(0xA0), serviced | BIT(best));
				assert_int_equal(isr(0x20), BIT(2));
			}
}

static void test_master_inputs_and_masks(void **state)
{
	(void)state;
	start(0x01);
	out(0x21, 0x08);
	raise(3), raise(5);
	assert_int_equal(irr(0x20), 0x28);
	assert_int_equal(in(0x21), 0x08);
	assert_int_equal(vpic_acknowledge(&pic), 0x25);
	assert_false(intr);
	out(0x21, 0x00); /* 3 is above 5 */
	assert_true(intr);
	assert_int_equal(vpic_acknowledge(&pic), 0x23);
	assert_int_equal(isr(0x20), 0x28);
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0x20);
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0);
	assert_false(intr); /* both lines are still high: an edge counts once */
	pulse(3);
	assert_true(intr);
}

static void test_cascade_is_priority_2_of_the_master(void **state)
{
	(void)state;
	start(0x01);
	raise(3), raise(14), raise(1);
	assert_int_equal(vpic_acknowledge(&pic), 0x21);
	out(0x20, 0x20);
	assert_int_equal(vpic_acknowledge(&pic), 0x2E);
	assert_false(intr); /* 3 waits for the cascade */
	raise(8);	    /* above 14 in the slave, but the master is in service for the slave */
	assert_false(intr);
	out(0x20, 0x20);
	assert_true(intr);
	assert_int_equal(vpic_acknowledge(&pic), 0x28);
	out(0xA0, 0x20), out(0xA0, 0x20), out(0x20, 0x20);
	assert_int_equal(vpic_acknowledge(&pic), 0x23);
}

static void test_special_fully_nested(void **state)
{
	(void)state;
	start(0x11);
	raise(14);
	assert_int_equal(vpic_acknowledge(&pic), 0x2E);
	raise(9);
	assert_true(intr);
	assert_int_equal(vpic_acknowledge(&pic), 0x29);
	raise(3);
	assert_false(intr);
	raise(1);
	assert_int_equal(vpic_acknowledge(&pic), 0x21);
}

static void test_specific_eoi_and_rotation(void **state)
{
	(void)state;
	start(0x01);
	raise(4);
	vpic_acknowledge(&pic);
	raise(1);
	vpic_acknowledge(&pic);
	out(0x20, 0x64); /* specific EOI of 4 */
	assert_int_equal(isr(0x20), 0x02);
	out(0x20, 0xA0); /* rotate: 1 becomes the lowest */
	assert_int_equal(isr(0x20), 0);
	pulse(1), pulse(4), raise(0);
	assert_int_equal(vpic_acknowledge(&pic), 0x24);
	out(0x20, 0xE4); /* rotate on specific EOI: 4 the lowest, 5 the highest */
	assert_int_equal(vpic_acknowledge(&pic), 0x20);
	out(0x20, 0x20);
	assert_int_equal(vpic_acknowledge(&pic), 0x21);
}

static void test_automatic_eoi_and_its_rotation(void **state)
{
	(void)state;
	start(0x03);
	raise(1), raise(6);
	assert_int_equal(vpic_acknowledge(&pic), 0x21);
	assert_int_equal(isr(0x20), 0);
	assert_int_equal(vpic_acknowledge(&pic), 0x26);
	out(0x20, 0x80);
	pulse(1), pulse(6);
	assert_int_equal(vpic_acknowledge(&pic), 0x21);
	pulse(1);
	assert_int_equal(vpic_acknowledge(&pic), 0x26);
	out(0x20, 0x00);
	pulse(6);
	assert_int_equal(vpic_acknowledge(&pic), 0x21);
	pulse(1);
	assert_int_equal(vpic_acknowledge(&pic), 0x21);
}

static void test_special_mask(void **state)
{
	(void)state;
	start(0x01);
	raise(3);
	vpic_acknowledge(&pic);
	raise(6);
	assert_false(intr);
	out(0x20, 0x68);
	assert_false(intr);
	out(0x21, 0x08);
	assert_true(intr);
	assert_int_equal(vpic_acknowledge(&pic), 0x26);
	out(0x20, 0x20); /* not 3, whose service is masked */
	assert_int_equal(isr(0x20), 0x08);
	out(0x20, 0x48);
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0);
}

static void test_poll(void **state)
{
	(void)state;
	start(0x01);
	out(0x20, 0x0C);
	assert_int_equal(in(0x20) & 0x80, 0);
	raise(5), raise(12);
	out(0x20, 0x0C);
	assert_int_equal(in(0x20), 0x82);
	out(0xA0, 0x0C);
	assert_int_equal(in(0xA1), 0x84);
	assert_int_equal(isr(0xA0), 0x10);
	assert_int_equal(isr(0x20), 0x04);
	assert_false(intr);
	out(0xA0, 0x20), out(0x20, 0x20);
	assert_int_equal(vpic_acknowledge(&pic), 0x25);
}

static void test_spurious(void **state)
{
	(void)state;
	start(0x01);
	raise(5);
	lower(5);
	assert_false(intr);
	assert_int_equal(vpic_acknowledge(&pic), 0x27);
	assert_int_equal(isr(0x20), 0);
	raise(12);
	vpic_set_pin(&pic, 12, false);
	assert_false(intr);
	/* The slave's request goes between the two INTA cycles: its IR7, the master in service. */
	raise(12);
	out(0xA1, 0xFF);
	pic.chip[0].lines |= 4, pic.chip[0].edges |= 4;
	assert_int_equal(vpic_acknowledge(&pic), 0x2F);
	assert_int_equal(isr(0xA0), 0);
	assert_int_equal(isr(0x20), 4);
}

static void test_level_triggering(void **state)
{
	(void)state;
	start(0x01);
	vpic_elcr_write(&pic, 0x4D0, 1, 0xFF, 0);
	vpic_elcr_write(&pic, 0x4D1, 1, 0xFF, 0);
	assert_int_equal(vpic_elcr_read(&pic, 0x4D0, 1, 0), 0xF8);
	assert_int_equal(vpic_elcr_read(&pic, 0x4D1, 1, 0), 0xDE);
	raise(9);
	assert_int_equal(vpic_acknowledge(&pic), 0x29);
	out(0xA0, 0x20), out(0x20, 0x20);
	assert_true(intr);
	assert_int_equal(vpic_acknowledge(&pic), 0x29);
	lower(9);
	out(0xA0, 0x20), out(0x20, 0x20);
	assert_false(intr);
	words(0x19, 0x01); /* LTIM: all of them */
	raise(1);
	vpic_acknowledge(&pic);
	out(0x20, 0x20);
	assert_true(intr);
}

static void test_icw1_forgets(void **state)
{
	(void)state;
	start(0x01);
	out(0x21, 0xFF);
	raise(1);
	out(0x20, 0x68);
	words(0x11, 0x01);
	assert_int_equal(in(0x21), 0);
	assert_int_equal(in(0x20), 0); /* the edge is forgotten */
	assert_false(intr);
	pulse(1);
	assert_true(intr);
	/* Half way through the words nothing is sent. */
	out(0x20, 0x11);
	pulse(1);
	assert_false(intr);
	out(0x21, 0x40), out(0x21, 0x04);
	assert_false(intr);
	out(0x21, 0x01);
	assert_true(intr);
	assert_int_equal(vpic_acknowledge(&pic), 0x41);
}

static void test_mcs80_gives_the_address(void **state)
{
	(void)state;
	start(0x01);
	words(0xF4, 0); /* A7:A5 = 111, interval 4, no ICW4 */
	raise(3);
	assert_int_equal(vpic_acknowledge(&pic), 0xE0 | 3 << 2);
	words(0xF0, 0); /* interval 8: A5 is not used */
	pulse(3);
	assert_int_equal(vpic_acknowledge(&pic), 0xC0 | 3 << 3);
}

static void test_firmware_state(void **state)
{
	(void)state;
	vpic_init(&pic, (struct line){.set = on_intr});
	vpic_firmware(&pic);
	assert_int_equal(in(0x21), 0xFB);
	assert_int_equal(in(0xA1), 0xFF);
	out(0x21, 0), out(0xA1, 0);
	raise(0);
	assert_int_equal(vpic_acknowledge(&pic), 0x08);
	out(0x20, 0x20);
	raise(8);
	assert_int_equal(vpic_acknowledge(&pic), 0x70);
}

static void test_any_traffic_is_survived(void **state)
{
	static const uint16_t ports[] = {0x20, 0x21, 0xA0, 0xA1};
	uint32_t seed = 7;

	(void)state;
	vpic_init(&pic, (struct line){.set = on_intr});
	intr = false;
	for (unsigned i = 0; i < 500000; i++) {
		seed = seed * 1664525 + 1013904223;
		switch (seed >> 30) {
		case 0: out(ports[seed >> 8 & 3], (uint8_t)(seed >> 16)); break;
		case 1: in(ports[seed >> 8 & 3]); break;
		case 2: vpic_set_pin(&pic, seed >> 8 & 31, seed >> 16 & 1); break;
		default: vpic_acknowledge(&pic);
		}
		assert_int_equal(intr, vpic_pending(&pic));
	}
}

static void test_two_slave_requests_come_one_after_the_other(void **state)
{
	(void)state;
	start(0x01);
	raise(10), raise(13);
	assert_int_equal(vpic_acknowledge(&pic), 0x2A);
	out(0xA0, 0x20), out(0x20, 0x20);
	assert_int_equal(vpic_acknowledge(&pic), 0x2D);
	out(0xA0, 0x20), out(0x20, 0x20);
	assert_false(intr);
	vpic_set_pin(&pic, 2, true); /* the cascade is no input of the PC's */
	vpic_set_pin(&pic, 16, true);
	assert_false(intr);
}

static void test_icw1_ends_all_special_modes(void **state)
{
	(void)state;
	start(0x13); /* automatic EOI, special fully nested */
	out(0x20, 0x80), out(0x20, 0x68), out(0x20, 0xC3), out(0x20, 0x0B);
	words(0x11, 0x01);
	assert_int_equal(in(0x20), 0);
	raise(3), raise(6);
	assert_int_equal(in(0x20), 0x48); /* IRR again; 3 is above 6 again */
	assert_int_equal(vpic_acknowledge(&pic), 0x23);
	assert_int_equal(isr(0x20), 0x08);
	out(0x21, 0x08);
	assert_false(intr); /* no special mask */
	out(0x20, 0x20);
	assert_true(intr);
	words(0x13, 0x01); /* single: no ICW3, and the mask register is next */
	out(0x21, 0xFF), out(0x21, 0x55);
	assert_int_equal(in(0x21), 0x55);
}

static void test_poll_is_for_one_read(void **state)
{
	(void)state;
	start(0x01);
	raise(1);
	out(0x21, 0x40);
	out(0x20, 0x0C);
	assert_int_equal(in(0x21), 0x81);
	assert_int_equal(in(0x21), 0x40);
	assert_false(intr);
	out(0x20, 0x20);
	pulse(1);
	out(0x20, 0x0C);
	words(0x11, 0x01); /* ICW1 forgets the poll as well */
	assert_int_equal(in(0x21), 0);
}

static void test_rotate_on_specific_eoi(void **state)
{
	(void)state;
	start(0x01);
	raise(5);
	vpic_acknowledge(&pic);
	out(0x20, 0xE5);
	assert_int_equal(isr(0x20), 0);
	pulse(5), raise(7);
	assert_int_equal(vpic_acknowledge(&pic), 0x27);
}

static void test_a_level_told_twice_is_no_edge(void **state)
{
	(void)state;
	start(0x01);
	raise(5);
	vpic_acknowledge(&pic);
	raise(3);
	vpic_acknowledge(&pic);
	out(0x20, 0x63); /* specific EOI: no rotation comes with it */
	out(0x20, 0x20);
	raise(3);
	assert_false(intr);
	pulse(5), pulse(3);
	assert_int_equal(vpic_acknowledge(&pic), 0x23);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_before_initialisation),
		cmocka_unit_test(test_priority_of_every_combination),
		cmocka_unit_test(test_master_inputs_and_masks),
		cmocka_unit_test(test_cascade_is_priority_2_of_the_master),
		cmocka_unit_test(test_special_fully_nested),
		cmocka_unit_test(test_specific_eoi_and_rotation),
		cmocka_unit_test(test_automatic_eoi_and_its_rotation),
		cmocka_unit_test(test_special_mask),
		cmocka_unit_test(test_poll),
		cmocka_unit_test(test_spurious),
		cmocka_unit_test(test_level_triggering),
		cmocka_unit_test(test_icw1_forgets),
		cmocka_unit_test(test_mcs80_gives_the_address),
		cmocka_unit_test(test_firmware_state),
		cmocka_unit_test(test_any_traffic_is_survived),
		cmocka_unit_test(test_two_slave_requests_come_one_after_the_other),
		cmocka_unit_test(test_icw1_ends_all_special_modes),
		cmocka_unit_test(test_poll_is_for_one_read),
		cmocka_unit_test(test_rotate_on_specific_eoi),
		cmocka_unit_test(test_a_level_told_twice_is_no_edge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
