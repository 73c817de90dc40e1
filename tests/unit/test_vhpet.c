/* SPDX-License-Identifier: MIT */
/* HPET: the counter, one-shot and periodic timers, and the ways of their interrupts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "devices/vhpet.h"

#define HZ   1000000000ULL /* ten ticks are a unit */
#define T(n) (0x100 + 0x20 * (n))

static struct vhpet hpet;
static uint64_t now;
static unsigned edges[32], messages;
static bool level[32], legacy;
static uint64_t message_address;
static uint32_t message_data;

static void on_pin(void *ctx, unsigned pin, bool high)
{
	(void)ctx;
	edges[pin] += high && !level[pin];
	level[pin] = high;
}

static void on_message(void *ctx, uint64_t address, uint32_t data)
{
	(void)ctx;
	messages++;
	message_address = address;
	message_data = data;
}

static void on_legacy(void *ctx, bool on)
{
	(void)ctx;
	legacy = on;
}

static const struct vhpet_ops ops = {on_pin, on_message, on_legacy, NULL};

static void start(void)
{
	for (unsigned i = 0; i < 32; i++)
		edges[i] = level[i] = 0;
	messages = 0;
	legacy = false;
	now = 12345;
	vhpet_init(&hpet, HZ, &ops);
}

static uint64_t get(unsigned at)
{
	return vhpet_read(&hpet, at, 8, now);
}

static void set(unsigned at, uint64_t value)
{
	vhpet_write(&hpet, at, 8, value, now);
}

static void set32(unsigned at, uint32_t value)
{
	vhpet_write(&hpet, at, 4, value, now);
}

/* Lets units pass, stopping at each event as a host would. */
static void pass(uint64_t units)
{
	uint64_t end = now + 10 * units;

	while (vhpet_next_event(&hpet) <= end) {
		assert_true(vhpet_next_event(&hpet) >= now);
		now = vhpet_next_event(&hpet);
		vhpet_advance(&hpet, now);
	}
	now = end;
	vhpet_advance(&hpet, now);
}

static void test_counter(void **state)
{
	(void)state;
	start();
	assert_int_equal(get(0x000), 10000000ULL << 32 | 0x8086A201);
	assert_int_equal(vhpet_read(&hpet, 4, 4, now) & UINT32_MAX, 10000000);
	pass(5);
	assert_int_equal(get(0x0F0), 0); /* it does not run yet */
	set(0x0F0, 0xFFFFFFFE);
	set(0x010, 1);
	pass(3);
	assert_int_equal(get(0x0F0), 0x100000001);
	assert_int_equal(vhpet_read(&hpet, 0xF4, 4, now) & UINT32_MAX, 1);
	set(0x010, 0);
	pass(100);
	assert_int_equal(get(0x0F0), 0x100000001);
	assert_int_equal(get(0x200), 0);
}

static void test_one_shot(void **state)
{
	(void)state;
	start();
	set(T(0), 1 << 2 | 21 << 9);
	assert_int_equal(get(T(0)), 0x00F00000ULL << 32 | 0x8030 | 1 << 2 | 21 << 9);
	set(T(0) + 8, 1000);
	assert_int_equal(vhpet_next_event(&hpet), UINT64_MAX);
	set(0x010, 1);
	assert_int_equal(vhpet_next_event(&hpet), now + 10000);
	pass(999);
	assert_int_equal(edges[21], 0);
	pass(1);
	assert_int_equal(edges[21], 1);
	pass(10000);
	assert_int_equal(edges[21], 1);
	/* What is behind the counter does not fire; in 32 bits it does, after a round. */
	set(T(0) + 8, 5);
	pass(100000);
	assert_int_equal(edges[21], 1);
	set(T(0), 1 << 2 | 1 << 8 | 21 << 9);
	set(0x0F0, 0xFFFFFFF0);
	pass(0x10 + 5);
	assert_int_equal(edges[21], 2);
}

static void test_periodic(void **state)
{
	(void)state;
	start();
	set(0x010, 1);
	pass(50);
	/* As Linux does: the value, by 32 bits, then the period. */
	set32(T(0), 1 << 2 | 1 << 3 | 1 << 6 | 1 << 8 | 20 << 9);
	set32(T(0) + 8, 50 + 100000);
	assert_false(get(T(0)) & 1 << 6);
	set32(T(0) + 8, 100000);
	pass(1000000);
	assert_int_equal(edges[20], 10);
	assert_int_equal(get(T(0) + 8), 50 + 1100000);
	/* Nobody looked for a while: one edge, and no drift. */
	now += 10 * 350000;
	vhpet_advance(&hpet, now);
	assert_int_equal(edges[20], 11);
	assert_int_equal(get(T(0) + 8), 50 + 1400000);
	pass(50000);
	assert_int_equal(edges[20], 12);
}

static void test_level(void **state)
{
	(void)state;
	start();
	set(T(1), 1 << 1 | 1 << 2 | 23 << 9);
	set(T(1) + 8, 500);
	set(0x010, 1);
	pass(500);
	assert_true(level[23]);
	assert_int_equal(get(0x020), 2);
	set(0x020, 1);
	assert_true(level[23]);
	set(0x020, 2);
	assert_false(level[23]);
	assert_int_equal(get(0x020), 0);
	set(T(1) + 8, 10000);
	pass(9500);
	assert_true(level[23]);
	set(T(1), 1 << 1 | 22 << 9); /* disabled, and elsewhere */
	assert_false(level[23] || level[22]);
	assert_int_equal(get(0x020), 2);
}

static void test_message_and_legacy(void **state)
{
	(void)state;
	start();
	set(T(2) + 0x10, 0xFEE0100000004042);
	set(T(2), 1 << 2 | 1 << 14);
	set(T(2) + 8, 100);
	set(T(0), 1 << 2);
	set(T(0) + 8, 100);
	set(T(1), 1 << 2);
	set(T(1) + 8, 200);
	set(0x010, 3);
	assert_true(legacy);
	pass(200);
	assert_int_equal(messages, 1);
	assert_int_equal(message_address, 0xFEE01000);
	assert_int_equal(message_data, 0x4042);
	assert_int_equal(edges[0], 1);
	assert_int_equal(edges[8], 1);
	set(0x010, 1);
	assert_false(legacy);
	set(T(0) + 8, 10000);
	pass(10000); /* without legacy there is no pin 0 for it */
	assert_int_equal(edges[0], 1);
}

/* However short the period, the host is asked at most 50,000 times a second. */
static void test_short_period(void **state)
{
	uint64_t asked = 0, end;

	(void)state;
	start();
	set(T(0), 1 << 2 | 1 << 3 | 1 << 6 | 20 << 9);
	set(T(0) + 8, 1);
	set(T(0) + 8, 1);
	set(0x010, 1);
	for (end = now + HZ / 100; vhpet_next_event(&hpet) < end; asked++) {
		now = vhpet_next_event(&hpet);
		vhpet_advance(&hpet, now);
	}
	assert_in_range(asked, 400, 501);
}

static void test_any_traffic(void **state)
{
	(void)state;
	start();
	srand(3);
	for (unsigned i = 0; i < 200000; i++) {
		unsigned size = 1U << rand() % 4, at = (unsigned)rand() % 0x180;
		uint64_t value = (uint64_t)rand() << (rand() % 34);

		at -= at % size;
		if (rand() % 2)
			vhpet_write(&hpet, rand() % 3 ? at : 0x10, size, value, now);
		else
			vhpet_read(&hpet, at, size, now);
		now += (unsigned)rand() % 5000;
		vhpet_advance(&hpet, now);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counter),
		cmocka_unit_test(test_one_shot),
		cmocka_unit_test(test_periodic),
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_message_and_legacy),
		cmocka_unit_test(test_short_period),
		cmocka_unit_test(test_any_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
