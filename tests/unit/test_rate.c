/* SPDX-License-Identifier: MIT */
/* Conversion between ticks and units, against 128-bit arithmetic. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/rate.h"

static const uint64_t clocks[] = {1, 2, 32768, 99999989, 100000000, 2399999999ULL, 1ULL << 33};
static const uint64_t units[] = {1, 18, 32768, 1193182, 3579545, 1000000000};

static void check(uint64_t n, uint64_t hz, uint64_t unit_hz)
{
	unsigned __int128 whole = (unsigned __int128)n * unit_hz / hz;
	unsigned __int128 least = ((unsigned __int128)n * hz + unit_hz - 1) / unit_hz;

	if (whole <= UINT64_MAX)
		assert_true(rate_units(n, hz, unit_hz) == (uint64_t)whole);
	else
		assert_true(rate_units(n, hz, unit_hz) == UINT64_MAX);
	if (least <= UINT64_MAX)
		assert_true(rate_ticks(n, hz, unit_hz) == (uint64_t)least);
	else
		assert_true(rate_ticks(n, hz, unit_hz) == UINT64_MAX);
}

static void test_against_wide_arithmetic(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < sizeof(clocks) / sizeof(*clocks); i++)
		for (unsigned j = 0; j < sizeof(units) / sizeof(*units); j++)
			for (unsigned n = 0; n < 20000; n++) {
				seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
				check(seed >> n % 64, clocks[i], units[j]);
				check(UINT64_MAX - (seed >> 40), clocks[i], units[j]);
				check(n, clocks[i], units[j]);
			}
}

/* The first tick of a unit is that: not before, and not a tick late. */
static void test_they_are_inverse(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(clocks) / sizeof(*clocks); i++)
		for (unsigned j = 0; j < sizeof(units) / sizeof(*units); j++)
			for (uint64_t n = 1; n < 20000; n += 7) {
				uint64_t at = rate_ticks(n, clocks[i], units[j]);

				assert_true(rate_units(at, clocks[i], units[j]) >= n);
				assert_true(rate_units(at - 1, clocks[i], units[j]) < n);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_wide_arithmetic),
		cmocka_unit_test(test_they_are_inverse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
