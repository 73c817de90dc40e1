/* SPDX-License-Identifier: MIT */
/*
 * The 8254 model against a counter that really counts, clock by clock, by the datasheet's mode
 * definitions; and counter 0's interrupts, port 61H and latches by example.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/vpit.h"
#include "lib/bits.h"

/* --- The reference: one counter as the datasheet draws it --- */

struct ref {
	unsigned mode;
	uint32_t modulus;
	uint32_t element; /* counting element, 0 stands for the modulus */
	uint32_t cr;
	bool bcd, gate, out, load, trigger, counting, odd, armed;
};

static uint32_t minus(const struct ref *r, uint32_t n)
{
	return (r->element + r->modulus - n) % r->modulus;
}

static void ref_take(struct ref *r)
{
	r->odd = r->mode == 3 && (r->cr & 1);
	r->element = r->mode == 3 ? r->cr & ~1U : r->cr;
	r->counting = r->armed = true;
	r->load = r->trigger = false;
}

static void ref_square(struct ref *r)
{
	if (r->odd && r->out) {
		if (r->element) {
			r->element = minus(r, 2);
			return;
		}
	} else {
		r->element = minus(r, 2);
		if (r->element)
			return;
	}
	r->out = !r->out;
	ref_take(r);
}

static void ref_clock(struct ref *r)
{
	if (r->load || r->trigger) {
		ref_take(r);
		r->out = r->mode != 0 && r->mode != 1;
		return;
	}
	if (!r->counting || (!r->gate && r->mode != 1 && r->mode != 5))
		return;
	if (r->mode == 2) {
		if (r->element == 1)
			ref_take(r);
		else
			r->element = minus(r, 1);
		r->out = r->element != 1;
		return;
	}
	if (r->mode == 3) {
		ref_square(r);
		return;
	}
	r->element = minus(r, 1);
	if (r->mode <= 1) {
		r->out |= !r->element;
	} else {
		r->out = r->element || !r->armed;
		r->armed &= !!r->element;
	}
}

static void ref_mode(struct ref *r, unsigned mode, bool bcd)
{
	r->mode = mode;
	r->bcd = bcd;
	r->modulus = bcd ? 10000 : 65536;
	r->out = mode != 0;
	r->load = r->trigger = r->counting = r->armed = false;
	r->cr = UINT32_MAX;
}

static void ref_count(struct ref *r, uint32_t count)
{
	r->cr = count % r->modulus;
	if (r->mode == 0)
		r->out = false;
	if (r->mode == 0 || r->mode == 4 || ((r->mode == 2 || r->mode == 3) && !r->counting))
		r->load = true;
}

static void ref_gate(struct ref *r, bool gate)
{
	if (gate && !r->gate && r->mode != 0 && r->mode != 4 && r->cr != UINT32_MAX)
		r->trigger = true;
	if (!gate && (r->mode == 2 || r->mode == 3))
		r->out = true;
	r->gate = gate;
}

static uint32_t bcd(uint32_t n)
{
	return n % 10 | n / 10 % 10 << 4 | n / 100 % 10 << 8 | n / 1000 << 12;
}

/* --- Helpers: the PIT's clock is the tick --- */

static struct vpit pit;
static unsigned rises, falls;

static void on_line(void *ctx, unsigned pin, bool level)
{
	(void)ctx, (void)pin;
	if (level)
		rises++;
	else
		falls++;
}

static void start(void)
{
	vpit_init(&pit, VPIT_HZ, (struct line){.set = on_line}, 0);
	rises = falls = 0;
}

static void control(uint8_t value, uint64_t now)
{
	vpit_write(&pit, 0x43, 1, value, now);
}

static void count(unsigned counter, uint16_t value, uint64_t now)
{
	vpit_write(&pit, (uint16_t)(0x40 + counter), 1, value & 0xFF, now);
	vpit_write(&pit, (uint16_t)(0x40 + counter), 1, value >> 8, now);
}

static uint16_t read_pair(unsigned counter, uint64_t now)
{
	uint32_t low = vpit_read(&pit, (uint16_t)(0x40 + counter), 1, now);

	return (uint16_t)(low | vpit_read(&pit, (uint16_t)(0x40 + counter), 1, now) << 8);
}

static uint16_t latched(unsigned counter, uint64_t now)
{
	control((uint8_t)(counter << 6), now);
	return read_pair(counter, now);
}

static uint32_t seed = 1;

static uint32_t next_random(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

/* --- Tests --- */

static void compare(const struct ref *r, uint64_t now)
{
	uint32_t shown = r->bcd ? bcd(r->element) : r->element;

	assert_int_equal(!!(vpit_port61_read(&pit, 0x61, 1, now) & 0x20), r->out);
	assert_int_equal(latched(2, now), shown);
}

static void random_step(struct ref *r, uint64_t now)
{
	uint32_t n = 2 + next_random() % (next_random() % 4 ? 9 : 400);
	bool gate = next_random() & 1;

	switch (next_random() % 6) {
	case 0:
		ref_count(r, n);
		count(2, (uint16_t)(r->bcd ? bcd(n) : n), now);
		break;
	case 1:
	case 2:
		ref_gate(r, gate);
		vpit_port61_write(&pit, 0x61, 1, gate, now);
		break;
	default: break;
	}
}

static void run_against_reference(unsigned mode, bool is_bcd)
{
	struct ref r = {.gate = false};
	uint64_t now = 5;

	start();
	ref_mode(&r, mode, is_bcd);
	control((uint8_t)(0xB0 | mode << 1 | is_bcd), now);
	/* What the counting element holds before its first load is not told by the datasheet. */
	r.element = 77;
	ref_gate(&r, true);
	vpit_port61_write(&pit, 0x61, 1, 1, now);
	ref_count(&r, 77);
	count(2, (uint16_t)(is_bcd ? 0x77 : 77), now);
	if (mode == 1 || mode == 5) {
		ref_gate(&r, false), ref_gate(&r, true);
		vpit_port61_write(&pit, 0x61, 1, 0, now);
		vpit_port61_write(&pit, 0x61, 1, 1, now);
	}
	for (unsigned i = 0; i < 20000; i++) {
		unsigned clocks = next_random() % 8 ? 1 : next_random() % 300;

		for (unsigned c = 0; c < clocks; c++, now++)
			ref_clock(&r);
		if (clocks)
			compare(&r, now);
		random_step(&r, now);
	}
}

static void test_modes_count_as_the_datasheet_says(void **state)
{
	(void)state;
	for (unsigned mode = 0; mode <= 5; mode++) {
		run_against_reference(mode, false);
		run_against_reference(mode, true);
	}
}

static void test_long_counts_wrap(void **state)
{
	(void)state;
	for (unsigned mode = 0; mode <= 5; mode++) {
		struct ref r = {.gate = true};
		uint64_t now = 10;

		start();
		ref_mode(&r, mode, false);
		control((uint8_t)(0xB0 | mode << 1), now);
		ref_count(&r, 0);
		count(2, 0, now);
		ref_gate(&r, false), ref_gate(&r, true);
		vpit_port61_write(&pit, 0x61, 1, 1, now);
		for (unsigned c = 0; c < 200000; c++, now++) {
			if (c % 997 == 1 || (c % 65536 < 5 && c > 5))
				compare(&r, now);
			ref_clock(&r);
		}
	}
}

/* All edges of counter 0 come at the clocks at which the reference has them. */
static void check_irq_edges(unsigned mode, uint16_t n)
{
	struct ref r = {.gate = true};
	unsigned expected = 0;
	uint64_t now = 3;

	start();
	ref_mode(&r, mode, false);
	control((uint8_t)(0x30 | mode << 1), now);
	ref_count(&r, n);
	count(0, n, now);
	rises = 0;
	while (now < 5000) {
		bool before = r.out;

		ref_clock(&r);
		now++;
		expected += r.out && !before;
		if (now >= vpit_next_event(&pit))
			vpit_advance(&pit, now);
		assert_int_equal(rises, expected);
	}
	assert_true(mode == 0 || mode == 4 ? expected == 1 : expected > 10);
}

static void test_irq_edges_come_on_time(void **state)
{
	(void)state;
	check_irq_edges(0, 1000);
	check_irq_edges(0, 1);
	check_irq_edges(2, 100);
	check_irq_edges(2, 46);
	check_irq_edges(3, 100);
	check_irq_edges(3, 101);
	check_irq_edges(3, 47);
	check_irq_edges(4, 500);
}

/* A guest cannot have the host look a million times a second: several edges become one. */
static void test_short_periods_cost_little(void **state)
{
	static const uint8_t modes[] = {0x14, 0x16};

	(void)state;
	for (unsigned mode = 0; mode < ARRAY_SIZE(modes); mode++) {
		for (uint8_t clocks = 1; clocks < 50; clocks++) {
			unsigned looks = 0;

			start();
			control(modes[mode], 0);
			vpit_write(&pit, VPIT_PORT, 1, clocks, 0);
			rises = 0;
			for (uint64_t now; (now = vpit_next_event(&pit)) < VPIT_HZ / 100; looks++)
				vpit_advance(&pit, now);
			assert_in_range(looks, 1, 520);
			assert_true(rises > 100);
		}
	}
}

static void test_new_period_begins_after_the_old_one(void **state)
{
	uint64_t first;

	(void)state;
	start();
	control(0x34, 0);
	count(0, 1000, 0);
	count(0, 500, 300);
	first = vpit_next_event(&pit);
	assert_int_equal(first, 1001);
	vpit_advance(&pit, first);
	assert_int_equal(vpit_next_event(&pit), 1501);
}

static void test_gateless_modes_never_interrupt(void **state)
{
	(void)state;
	start();
	control(0x32, 0);
	count(0, 10, 0);
	assert_true(vpit_next_event(&pit) == UINT64_MAX);
	control(0x3A, 0);
	count(0, 10, 0);
	assert_true(vpit_next_event(&pit) == UINT64_MAX);
}

static void test_late_advance_gives_one_edge_in_phase(void **state)
{
	(void)state;
	start();
	control(0x34, 0);
	count(0, 100, 0);
	rises = 0;
	vpit_advance(&pit, 1000000);
	assert_int_equal(rises, 1);
	assert_int_equal((vpit_next_event(&pit) - 1) % 100, 0);
	assert_in_range(vpit_next_event(&pit), 1000001, 1000100);
}

static void test_periods_do_not_drift(void **state)
{
	const uint64_t hz = 99999989; /* shares no factor with the PIT's clock */
	uint64_t ticks = 0;

	(void)state;
	vpit_init(&pit, hz, (struct line){.set = on_line}, 0);
	control(0x34, 0);
	count(0, 1193, 0);
	rises = 0;
	for (unsigned i = 1; i <= 100000; i++) {
		ticks = vpit_next_event(&pit);
		vpit_advance(&pit, ticks);
		/* ceil((1 + 1193 i) hz / VPIT_HZ) */
		assert_int_equal(ticks, ((1 + 1193ULL * i) * hz + VPIT_HZ - 1) / VPIT_HZ);
		assert_int_equal(rises, i);
	}
}

static void test_readback_latches_status_then_count(void **state)
{
	(void)state;
	start();
	control(0xB6, 0); /* counter 2, mode 3, both bytes */
	control(0xE8, 0); /* status of counter 2 */
	assert_int_equal(vpit_read(&pit, 0x42, 1, 0), 0x80 | 0x40 | 0x36);
	count(2, 0x1234, 0);
	vpit_port61_write(&pit, 0x61, 1, 1, 0);
	control(0xC8, 5); /* both, of counter 2 */
	assert_int_equal(vpit_read(&pit, 0x42, 1, 50), 0x80 | 0x36);
	assert_int_equal(read_pair(2, 50), 0x1234 - 2 * 4);
	/* A second latch before the first is read changes nothing. */
	control(0x80, 60);
	control(0x80, 90);
	assert_int_equal(read_pair(2, 95), 0x1234 - 2 * 59);
	assert_int_equal(read_pair(2, 101), 0x1234 - 2 * 100);
}

static void test_single_byte_access(void **state)
{
	(void)state;
	start();
	control(0x94, 0); /* counter 2, LSB, mode 2 */
	vpit_port61_write(&pit, 0x61, 1, 1, 0);
	vpit_write(&pit, 0x42, 1, 200, 0);
	assert_int_equal(vpit_read(&pit, 0x42, 1, 11), 190);
	assert_int_equal(vpit_read(&pit, 0x42, 1, 12), 189);
	control(0xA4, 20); /* MSB */
	vpit_write(&pit, 0x42, 1, 2, 20);
	assert_int_equal(vpit_read(&pit, 0x42, 1, 22), 1);
	control(0x80, 22);
	assert_int_equal(vpit_read(&pit, 0x42, 1, 900), 1);
	assert_int_equal(vpit_read(&pit, 0x42, 1, 21), 2);
}

static void test_first_byte_stops_mode_0(void **state)
{
	(void)state;
	start();
	control(0xB0, 0);
	vpit_port61_write(&pit, 0x61, 1, 1, 0);
	count(2, 10, 0);
	assert_true(vpit_port61_read(&pit, 0x61, 1, 11) & 0x20);
	vpit_write(&pit, 0x42, 1, 10, 20);
	assert_false(vpit_port61_read(&pit, 0x61, 1, 500) & 0x20);
	vpit_write(&pit, 0x42, 1, 0, 500);
	assert_false(vpit_port61_read(&pit, 0x61, 1, 510) & 0x20);
	assert_true(vpit_port61_read(&pit, 0x61, 1, 511) & 0x20);
}

static void test_port61(void **state)
{
	unsigned toggles = 0;

	(void)state;
	start();
	vpit_port61_write(&pit, 0x61, 1, 0xFF, 0);
	assert_int_equal(vpit_port61_read(&pit, 0x61, 1, 0) & 0xCF, 0x0F);
	vpit_port61_write(&pit, 0x61, 1, 0x02, 0);
	assert_int_equal(vpit_port61_read(&pit, 0x61, 1, 0) & 0xCF, 0x02);
	for (uint64_t t = 1; t < 1800; t++)
		toggles += (vpit_port61_read(&pit, 0x61, 1, t) ^
			    vpit_port61_read(&pit, 0x61, 1, t - 1)) >>
				   4 &
			   1;
	assert_int_equal(toggles, 99);
}

static void test_any_register_traffic_is_survived(void **state)
{
	uint64_t now = 0;

	(void)state;
	start();
	for (unsigned i = 0; i < 300000; i++) {
		uint16_t port = (uint16_t)(0x40 + next_random() % 5);

		now += next_random() % 3 ? next_random() % 5 : next_random() % 200000;
		if (port == 0x44)
			vpit_port61_write(&pit, 0x61, 1, next_random(), now);
		else if (next_random() & 1)
			vpit_write(&pit, port, 1, next_random(), now);
		else
			vpit_read(&pit, port, 1, now);
		vpit_advance(&pit, now);
		assert_true(vpit_next_event(&pit) > now);
	}
}

static uint8_t status_of(unsigned counter, uint64_t now)
{
	control((uint8_t)(0xE0 | 2 << counter), now);
	return (uint8_t)vpit_read(&pit, (uint16_t)(0x40 + counter), 1, now);
}

static void test_power_up_state(void **state)
{
	(void)state;
	start();
	assert_int_equal(status_of(0, 5), 0x80 | 0x36);
	assert_int_equal(status_of(1, 5), 0x80 | 0x14);
	assert_int_equal(status_of(2, 5), 0x80 | 0x36);
	assert_int_equal(vpit_next_event(&pit), 1 + 32768);
	assert_int_equal(latched(0, 1 + 100), 65536 - 200);
	assert_int_equal(vpit_read(&pit, 0x41, 1, 1 + 7), 18 - 7);
}

static void test_control_word_drops_latches(void **state)
{
	(void)state;
	start();
	control(0xC8, 10); /* count and status of counter 2 */
	control(0xB4, 10);
	vpit_port61_write(&pit, 0x61, 1, 1, 10);
	count(2, 1000, 10);
	assert_int_equal(read_pair(2, 111), 900);
}

static void test_retrigger_keeps_a_low_output_low(void **state)
{
	(void)state;
	start();
	control(0xB2, 0);
	count(2, 100, 0);
	vpit_port61_write(&pit, 0x61, 1, 1, 0);
	for (uint64_t now = 1; now < 80; now += 20) {
		vpit_port61_write(&pit, 0x61, 1, 0, now);
		vpit_port61_write(&pit, 0x61, 1, 1, now);
		assert_false(vpit_port61_read(&pit, 0x61, 1, now) & 0x20);
	}
	assert_false(vpit_port61_read(&pit, 0x61, 1, 161) & 0x20);
	assert_true(vpit_port61_read(&pit, 0x61, 1, 162) & 0x20);
}

static void test_null_count_until_loaded(void **state)
{
	(void)state;
	start();
	control(0x34, 0);
	count(0, 100, 0);
	assert_int_equal(status_of(0, 0), 0x80 | 0x40 | 0x34);
	assert_int_equal(status_of(0, 1), 0x80 | 0x34);
	count(0, 50, 10); /* waits for the end of the period */
	assert_int_equal(status_of(0, 99), 0x80 | 0x40 | 0x34);
	assert_int_equal(status_of(0, 101), 0x80 | 0x34);
	assert_int_equal(latched(0, 111), 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes_count_as_the_datasheet_says),
		cmocka_unit_test(test_long_counts_wrap),
		cmocka_unit_test(test_irq_edges_come_on_time),
		cmocka_unit_test(test_short_periods_cost_little),
		cmocka_unit_test(test_new_period_begins_after_the_old_one),
		cmocka_unit_test(test_gateless_modes_never_interrupt),
		cmocka_unit_test(test_late_advance_gives_one_edge_in_phase),
		cmocka_unit_test(test_periods_do_not_drift),
		cmocka_unit_test(test_readback_latches_status_then_count),
		cmocka_unit_test(test_single_byte_access),
		cmocka_unit_test(test_first_byte_stops_mode_0),
		cmocka_unit_test(test_port61),
		cmocka_unit_test(test_any_register_traffic_is_survived),
		cmocka_unit_test(test_power_up_state),
		cmocka_unit_test(test_control_word_drops_latches),
		cmocka_unit_test(test_retrigger_keeps_a_low_output_low),
		cmocka_unit_test(test_null_count_until_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
