/* SPDX-License-Identifier: MIT */
/* The clock of a VM: each way is the other's inverse, whatever the rates. */
#include "vm/vmclock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MHZ 1000000ULL

static uint64_t seed = 1;

static uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void test_unscaled(void **state)
{
	struct vm_clock clock;

	(void)state;
	vm_clock_start(&clock, 3000 * MHZ, 3000 * MHZ, 12345);
	assert_int_equal(clock.scale, 0);
	assert_int_equal(vm_clock_ticks(&clock, 12345), 0);
	assert_int_equal(vm_clock_ticks(&clock, 12346), 1);
	assert_int_equal(vm_clock_host(&clock, 7), 12352);
	assert_int_equal(vm_clock_host(&clock, UINT64_MAX), UINT64_MAX);
	assert_int_equal(vm_clock_host(&clock, UINT64_MAX - 12345), UINT64_MAX);
}

/* A second of the host's is a second of the VM's. */
static void test_rate(void **state)
{
	static const uint64_t rates[] = {1 * MHZ, 33 * MHZ, 1000 * MHZ, 2500 * MHZ, 8000 * MHZ};

	(void)state;
	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct vm_clock clock;
		uint64_t hour = 3600 * 2904 * MHZ + 77;

		vm_clock_start(&clock, rates[i], 2904 * MHZ, 77);
		assert_int_equal(vm_clock_ticks(&clock, 77), 0);
		assert_in_range(vm_clock_ticks(&clock, hour), 3600 * rates[i] - 100,
				3600 * rates[i] + 1);
	}
}

/* vm_clock_host is the first moment, neither late nor early. */
static void test_inverse(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct vm_clock clock;
		uint64_t begin = random64() >> (8 + random64() % 40), host;
		uint64_t ticks = random64() >> (14 + random64() % 50);

		vm_clock_start(&clock, (1 + random64() % 8000) * MHZ,
			       (100 + random64() % 5000) * MHZ, begin);
		host = vm_clock_host(&clock, ticks);
		assert_true(vm_clock_ticks(&clock, host) >= ticks);
		/* Before the beginning a slow clock stood at 0 for some of the host's ticks. */
		assert_true((int64_t)(vm_clock_ticks(&clock, host - 1) - ticks) < 0);
	}
}

static void test_never(void **state)
{
	struct vm_clock slow, fast;

	(void)state;
	vm_clock_start(&slow, 1 * MHZ, 5000 * MHZ, 1000000);
	assert_int_equal(vm_clock_host(&slow, UINT64_MAX), UINT64_MAX);
	/* At a 5000th of the host's rate this is beyond all of its ticks. */
	assert_int_equal(vm_clock_host(&slow, UINT64_MAX / 2), UINT64_MAX);
	vm_clock_start(&fast, 8000 * MHZ, 100 * MHZ, 1000000);
	assert_int_equal(vm_clock_host(&fast, UINT64_MAX), UINT64_MAX);
	assert_true(vm_clock_host(&fast, UINT64_MAX / 2) < UINT64_MAX / 100);
}

static void test_skip(void **state)
{
	struct vm_clock clock;
	uint64_t before;

	(void)state;
	vm_clock_start(&clock, 700 * MHZ, 3000 * MHZ, 5000);
	before = vm_clock_ticks(&clock, 900000);
	vm_clock_skip(&clock, 900000, 123456789);
	assert_int_equal(vm_clock_ticks(&clock, 123456789), before);
	assert_in_range(vm_clock_ticks(&clock, 123456789 + 3000), before + 699, before + 701);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unscaled), cmocka_unit_test(test_rate),
		cmocka_unit_test(test_inverse),	 cmocka_unit_test(test_never),
		cmocka_unit_test(test_skip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
