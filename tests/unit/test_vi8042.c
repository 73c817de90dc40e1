/* SPDX-License-Identifier: MIT */
/* The 8042 with a keyboard and a mouse, and port 92H. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/vi8042.h"

static struct vi8042 kbc;
static bool irq1, irq12;
static unsigned resets;
static uint64_t now;

#define HZ 1000000ULL

static void on_line(void *ctx, unsigned pin, bool level)
{
	(void)pin;
	*(bool *)ctx = level;
}

static void on_reset(void *ctx)
{
	(void)ctx;
	resets++;
}

static void start(void)
{
	irq1 = irq12 = false, resets = 0, now = 0;
	vi8042_init(&kbc, HZ, (struct line){on_line, &irq1, 1}, (struct line){on_line, &irq12, 12},
		    on_reset, NULL);
}

static void command(uint8_t value)
{
	vi8042_write(&kbc, 0x64, 1, value, now);
}

static void data(uint8_t value)
{
	vi8042_write(&kbc, 0x60, 1, value, now);
}

static uint8_t status(void)
{
	return (uint8_t)vi8042_read(&kbc, 0x64, 1, now);
}

static uint8_t get(void)
{
	return (uint8_t)vi8042_read(&kbc, 0x60, 1, now);
}

static uint8_t ask(uint8_t value)
{
	command(value);
	assert_true(status() & 0x01);
	uint8_t answer = get();

	assert_false(status() & 0x01);
	return answer;
}

static void test_commands_with_answers(void **state)
{
	(void)state;
	start();
	assert_int_equal(status(), 0x14);
	assert_int_equal(ask(0xAA), 0x55);
	assert_int_equal(ask(0xAB), 0x00);
	assert_int_equal(ask(0xA9), 0x00);
	assert_int_equal(ask(0xA4), 0xF1);
	assert_int_equal(ask(0xC0), 0x80);
	assert_int_equal(ask(0x20), 0x74);
	assert_int_equal(ask(0xD0) & 0x03, 0x03);
	assert_true(status() & 0x08);
}

static void test_command_byte_and_ram(void **state)
{
	(void)state;
	start();
	command(0x60), data(0x03);
	assert_false(status() & 0x08);
	assert_int_equal(ask(0x20), 0x03);
	assert_false(status() & 0x04); /* the system flag follows */
	command(0xAD), command(0xA7);
	assert_int_equal(ask(0x20), 0x33);
	command(0xAE), command(0xA8);
	assert_int_equal(ask(0x20), 0x03);
	command(0x7F), data(0x99);
	assert_int_equal(ask(0x3F), 0x99);
	command(0xA5), data('x'), data(0);
	data(0xF4); /* the password ended: this goes to the keyboard */
	now += HZ / 1000;
	assert_true(status() & 0x01);
}

static void test_interrupts(void **state)
{
	(void)state;
	start();
	command(0x60), data(0x00);
	command(0xD2), data(0x1C);
	assert_false(irq1);
	assert_int_equal(get(), 0x1C);
	command(0x60), data(0x03);
	command(0xD2), data(0x1C);
	assert_true(irq1 && !irq12);
	assert_int_equal(get(), 0x1C);
	assert_false(irq1);
	command(0xD3), data(0x5A);
	assert_true(irq12 && !irq1);
	assert_true(status() & 0x20);
	assert_int_equal(get(), 0x5A);
	assert_false(irq12);
	assert_false(status() & 0x21);
}

/* The next byte of a device, with all of its time. */
static int next_byte(void)
{
	now += HZ / 1000;
	return status() & 0x01 ? get() : -1;
}

static void test_devices_answer(void **state)
{
	(void)state;
	start();
	data(0xFF);
	assert_false(status() & 0x01); /* it takes its time */
	now += HZ / 1000;
	assert_int_equal(status() & 0x61, 0x01);
	assert_int_equal(get(), 0xFA);
	assert_int_equal(get(), 0xFA); /* the same, until the next is there */
	assert_int_equal(next_byte(), 0xAA);
	assert_int_equal(next_byte(), -1);
	data(0xF2);
	assert_int_equal(next_byte(), 0xFA);
	assert_int_equal(next_byte(), 0xAB);
	assert_int_equal(next_byte(), 0x41); /* 83H, translated */
	command(0xD4), data(0xFF);
	now += HZ / 1000;
	assert_int_equal(status() & 0x61, 0x21);
	assert_int_equal(get(), 0xFA);
	assert_int_equal(next_byte(), 0xAA);
	assert_int_equal(next_byte(), 0x00);
	assert_int_equal(vi8042_next_event(&kbc), UINT64_MAX);
}

static void test_keys(void **state)
{
	(void)state;
	start();
	/* As firmware leaves it: with translation, and with IRQ1. */
	assert_true(vi8042_wants_key(&kbc));
	vi8042_key(&kbc, 0x1E, true, now);
	vi8042_key(&kbc, 0x1E, false, now);
	assert_false(vi8042_wants_key(&kbc));
	assert_int_equal(vi8042_next_event(&kbc), HZ / 1000);
	assert_false(irq1);
	now = HZ / 1000;
	vi8042_advance(&kbc, now);
	assert_true(irq1);
	assert_int_equal(get(), 0x1E);
	assert_false(irq1);
	now += 2 * HZ / 1000; /* F0H and the code are two bytes on the wire */
	vi8042_advance(&kbc, now - HZ / 1000);
	vi8042_advance(&kbc, now);
	assert_true(irq1);
	assert_int_equal(get(), 0x9E);
	/* A disabled interface holds keys back. */
	command(0xAD);
	assert_false(vi8042_wants_key(&kbc));
	vi8042_key(&kbc, 0xC8, true, now);
	assert_int_equal(next_byte(), -1);
	command(0xAE);
	assert_int_equal(next_byte(), 0xE0);
	assert_int_equal(next_byte(), 0x48);
	/* Without translation the codes are set 2's. */
	command(0x60), data(0x05);
	vi8042_key(&kbc, 0xC8, false, now);
	assert_int_equal(next_byte(), 0xE0);
	assert_int_equal(next_byte(), 0xF0);
	assert_int_equal(next_byte(), 0x75);
}

static void test_resets(void **state)
{
	(void)state;
	start();
	for (unsigned value = 0xF0; value <= 0xFF; value++)
		command((uint8_t)value);
	assert_int_equal(resets, 8);
	command(0xD1), data(0xDF);
	assert_int_equal(resets, 8);
	command(0xD1), data(0xDE);
	assert_int_equal(resets, 9);
	vi8042_port92_write(&kbc, 0x92, 1, 0x02, 0);
	assert_int_equal(resets, 9);
	vi8042_port92_write(&kbc, 0x92, 1, 0x03, 0);
	vi8042_port92_write(&kbc, 0x92, 1, 0x03, 0);
	assert_int_equal(resets, 10);
}

static void test_a20_is_remembered(void **state)
{
	(void)state;
	start();
	assert_int_equal(vi8042_port92_read(&kbc, 0x92, 1, 0), 0x02);
	vi8042_port92_write(&kbc, 0x92, 1, 0x00, 0);
	assert_int_equal(vi8042_port92_read(&kbc, 0x92, 1, 0), 0x00);
	command(0xD1), data(0x01);
	assert_int_equal(ask(0xD0) & 0x03, 0x01);
	command(0xD1), data(0x03);
	assert_int_equal(ask(0xD0) & 0x03, 0x03);
}

static void test_any_traffic_is_survived(void **state)
{
	uint32_t seed = 4;

	(void)state;
	start();
	for (unsigned i = 0; i < 200000; i++) {
		seed = seed * 1664525 + 1013904223;
		if (seed & 0x10000)
			vi8042_write(&kbc, seed & 0x20000 ? 0x64 : 0x60, 1, seed >> 24, now);
		else
			vi8042_read(&kbc, seed & 0x20000 ? 0x64 : 0x60, 1, now);
		vi8042_key(&kbc, (uint8_t)(seed >> 20), seed & 0x80000, now);
		vi8042_wants_key(&kbc);
		now += seed >> 18 & 0x7FF;
		vi8042_advance(&kbc, now);
	}
}

static void test_answers_do_not_disturb_the_rest(void **state)
{
	(void)state;
	start();
	command(0x60), data(0x57);
	command(0xD4), data(0xF4);
	assert_int_equal(next_byte(), 0xFA);
	assert_int_equal(ask(0x20), 0x57); /* sending to the mouse enables its interface only */
	command(0xA7);
	command(0xD4), data(0xF4), next_byte();
	assert_int_equal(ask(0x20), 0x57);
	data(0xF4);
	assert_int_equal(next_byte(), 0xFA);
	assert_int_equal(ask(0x20), 0x47);
	command(0xD3), data(1);
	command(0xD2), data(2);
	assert_int_equal(status() & 0x21, 0x01); /* the later one stays */
	assert_int_equal(status() & 0x14, 0x14);
	get();
	command(0xAA), get();
	assert_int_equal(ask(0x20), 0x74);
	assert_int_equal(ask(0xE0), 0x03);
}

static void test_output_port_shows_the_lines(void **state)
{
	(void)state;
	start();
	assert_int_equal(ask(0xD0), 0xC3);
	command(0x60), data(0x03);
	command(0xD2), data(0);
	assert_true(irq1);
	command(0xD0); /* formed while the buffer was full */
	assert_int_equal(get(), 0xD3);
	command(0x60), data(0x00);
	command(0xD3), data(0);
	assert_false(irq12);
	command(0xA5), data('x'), data('y');
	get();
	assert_false(status() & 0x01); /* they were the password's */
	command(0xD1);		       /* a command in between takes the data byte's place */
	command(0xAB);
	assert_int_equal(get(), 0x00);
	data(0xFE);
	assert_int_equal(resets, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_with_answers),
		cmocka_unit_test(test_command_byte_and_ram),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_devices_answer),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_a20_is_remembered),
		cmocka_unit_test(test_any_traffic_is_survived),
		cmocka_unit_test(test_answers_do_not_disturb_the_rest),
		cmocka_unit_test(test_output_port_shows_the_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
