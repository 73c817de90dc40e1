/* SPDX-License-Identifier: MIT */
/*
 * Conversions of time at all their edges: clocks and units of every kind, with ticks about every
 * power of two, every multiple of a second and where results leave 64 bits, against the definition
 * in 128 bits.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/bits.h"
#include "lib/rate.h"

__extension__ typedef unsigned __int128 wide;

static const uint64_t clocks[] = {1,	      2,	   3,	      999,	   1000,
				  32768,      1193182,	   999999999, 1000000000,  1000000001,
				  2400000000, BIT(32) - 1, BIT(32),   BIT(33) - 1, BIT(33)};
static const uint64_t units[] = {1,	  3,	   100,	      32768,	 115200,
				 1193182, 3579545, 100000000, 999999999, 1000000000};

static uint64_t cut(wide value)
{
	return value > UINT64_MAX ? UINT64_MAX : (uint64_t)value;
}

static void check(uint64_t n, uint64_t hz, uint64_t unit)
{
	uint64_t whole = cut((wide)n * unit / hz), ticks = cut(((wide)n * hz + unit - 1) / unit);

	assert_int_equal(rate_units(n, hz, unit), whole);
	assert_int_equal(rate_ticks(n, hz, unit), ticks);
	/* Nothing fires early, and not a tick late. */
	if (ticks == UINT64_MAX)
		return;
	assert_true(rate_units(ticks, hz, unit) >= n);
	assert_true(!ticks || rate_units(ticks - 1, hz, unit) < n);
}

/* About a value: five to each side, those beyond the ends around the corner. */
static void check_about(uint64_t n, uint64_t hz, uint64_t unit)
{
	for (uint64_t i = 0; i < 11; i++)
		check(n + i - 5, hz, unit);
}

static void check_pair(uint64_t hz, uint64_t unit)
{
	for (unsigned bit = 0; bit < 64; bit++)
		check_about(BIT(bit), hz, unit);
	for (uint64_t seconds = 1; seconds && seconds < UINT64_MAX / MAX(hz, unit); seconds *= 10) {
		check_about(seconds * hz, hz, unit);
		check_about(seconds * unit, hz, unit);
	}
	check_about(UINT64_MAX, hz, unit);
	/* Where the results come to their end. */
	check_about(cut((wide)UINT64_MAX * hz / unit), hz, unit);
	check_about(cut((wide)UINT64_MAX * unit / hz), hz, unit);
	check_about(UINT64_MAX / hz * hz, hz, unit);
	check_about(UINT64_MAX / unit * unit, hz, unit);
}

static void test_edges(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(clocks); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(units); j++)
			check_pair(clocks[i], units[j]);
}

/* All of them at small sizes. */
static void test_small(void **state)
{
	(void)state;
	for (uint64_t hz = 1; hz <= 24; hz++)
		for (uint64_t unit = 1; unit <= 24; unit++)
			for (uint64_t n = 0; n <= 100; n++)
				check(n, hz, unit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
