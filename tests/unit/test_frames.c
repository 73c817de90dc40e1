/* SPDX-License-Identifier: MIT */
/* The physical frame allocator, against a bitmap of what is free. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/frames.h"

static struct frames frames;

static void test_add_merges(void **state)
{
	(void)state;
	memset(&frames, 0, sizeof(frames));
	assert_true(frames_add(&frames, 0x1000, 0x3000));
	assert_true(frames_add(&frames, 0x5000, 0x6000));
	assert_int_equal(frames.count, 2);
	assert_true(frames_add(&frames, 0x3000, 0x5000));
	assert_int_equal(frames.count, 1);
	assert_int_equal(frames_total(&frames), 0x5000);
}

static void test_cuts_to_pages(void **state)
{
	(void)state;
	memset(&frames, 0, sizeof(frames));
	/* Free memory is cut inwards, memory in use outwards. */
	assert_true(frames_add(&frames, 0x1001, 0x8fff));
	assert_int_equal(frames_total(&frames), 0x6000);
	assert_true(frames_remove(&frames, 0x3fff, 0x4001));
	assert_int_equal(frames_total(&frames), 0x4000);
	assert_true(frames_add(&frames, UINT64_MAX - 10, UINT64_MAX));
	assert_int_equal(frames_total(&frames), 0x4000);
}

/* Nothing taken away is nothing changed: no range is cut in two that touch. */
static void test_removes_nothing(void **state)
{
	(void)state;
	memset(&frames, 0, sizeof(frames));
	assert_true(frames_add(&frames, 0, 4 * PAGE_SIZE));
	assert_true(frames_remove(&frames, PAGE_SIZE, PAGE_SIZE));
	assert_int_equal(frames.count, 1);
	assert_int_equal(frames_alloc(&frames, 4 * PAGE_SIZE, PAGE_SIZE, UINT64_MAX), 0);
}

static void test_alloc_aligned_below_limit(void **state)
{
	(void)state;
	memset(&frames, 0, sizeof(frames));
	assert_true(frames_add(&frames, 0x1000, 5 * GIB));
	assert_int_equal(frames_alloc(&frames, GIB, GIB, 4 * GIB), 3 * GIB);
	assert_int_equal(frames_alloc(&frames, GIB, GIB, 4 * GIB), 2 * GIB);
	assert_int_equal(frames_alloc(&frames, GIB, GIB, UINT64_MAX), 4 * GIB);
	assert_int_equal(frames_alloc(&frames, GIB, GIB, UINT64_MAX), GIB);
	/* The first GiB lacks a page. */
	assert_int_equal(frames_alloc(&frames, GIB, GIB, UINT64_MAX), FRAMES_NONE);
	assert_int_equal(frames_alloc(&frames, 0, PAGE_SIZE, UINT64_MAX), FRAMES_NONE);
	assert_int_equal(frames_alloc(&frames, 100, PAGE_SIZE, UINT64_MAX), FRAMES_NONE);
	assert_int_equal(frames_largest(&frames, PAGE_SIZE_2M), GIB - PAGE_SIZE_2M);
}

static void test_full_table_loses_but_never_doubles(void **state)
{
	uint64_t total;

	(void)state;
	memset(&frames, 0, sizeof(frames));
	assert_true(frames_add(&frames, 0, 1024 * PAGE_SIZE));
	for (uint64_t i = 0; i < FRAMES_RANGES_MAX - 1; i++)
		assert_true(
			frames_remove(&frames, (2 * i + 1) * PAGE_SIZE, (2 * i + 2) * PAGE_SIZE));
	assert_int_equal(frames.count, FRAMES_RANGES_MAX);
	total = frames_total(&frames);
	assert_false(frames_remove(&frames, 900 * PAGE_SIZE, 901 * PAGE_SIZE));
	assert_true(frames_total(&frames) < total);
	assert_false(frames_add(&frames, 1 * GIB, 2 * GIB));
}

#define MODEL_PAGES 512

static void test_against_bitmap(void **state)
{
	static bool is_free[MODEL_PAGES];
	uint32_t seed = 12345;

	(void)state;
	memset(&frames, 0, sizeof(frames));
	for (unsigned step = 0; step < 20000; step++) {
		uint64_t first, count, at;

		seed = seed * 1664525 + 1013904223;
		first = seed >> 8 & (MODEL_PAGES - 1);
		count = MIN((seed >> 20 & 15) + 1u, MODEL_PAGES - first);
		if (seed & 1u << 31) {
			frames_add(&frames, first * PAGE_SIZE, (first + count) * PAGE_SIZE);
			memset(is_free + first, 1, count);
		} else if (seed & 1u << 30) {
			frames_remove(&frames, first * PAGE_SIZE, (first + count) * PAGE_SIZE);
			memset(is_free + first, 0, count);
		} else {
			at = frames_alloc(&frames, count * PAGE_SIZE, 4 * PAGE_SIZE, UINT64_MAX);
			if (at == FRAMES_NONE)
				continue;
			assert_true(is_aligned(at, 4 * PAGE_SIZE));
			for (uint64_t i = 0; i < count; i++) {
				assert_true(is_free[at / PAGE_SIZE + i]);
				is_free[at / PAGE_SIZE + i] = false;
			}
		}
		at = 0;
		for (uint64_t i = 0; i < MODEL_PAGES; i++)
			at += is_free[i];
		assert_int_equal(frames_total(&frames), at * PAGE_SIZE);
	}
}

#define WORKERS	     4
#define WORKER_PAGES 64

/* Each takes pages of its own and marks the owner of each; a page given twice is seen. */
static void *take_pages(void *arg)
{
	static unsigned owner[WORKERS * WORKER_PAGES];
	unsigned taken[WORKER_PAGES], me = (unsigned)(uintptr_t)arg + 1, doubles = 0;

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < WORKER_PAGES; i++) {
			taken[i] =
				(unsigned)(frames_alloc(&frames, PAGE_SIZE, PAGE_SIZE, UINT64_MAX) /
					   PAGE_SIZE);
			doubles += __atomic_exchange_n(&owner[taken[i]], me, __ATOMIC_RELAXED) != 0;
		}
		sched_yield();
		for (unsigned i = 0; i < WORKER_PAGES; i++) {
			doubles += __atomic_exchange_n(&owner[taken[i]], 0, __ATOMIC_RELAXED) != me;
			frames_free(&frames, taken[i] * PAGE_SIZE, PAGE_SIZE);
		}
	}
	return (void *)(uintptr_t)doubles;
}

static void test_many_take_at_once(void **state)
{
	pthread_t thread[WORKERS];
	void *doubles;

	(void)state;
	memset(&frames, 0, sizeof(frames));
	frames_add(&frames, 0, (uint64_t)WORKERS * WORKER_PAGES * PAGE_SIZE);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, take_pages, (void *)(uintptr_t)i),
				 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		pthread_join(thread[i], &doubles);
		assert_null(doubles);
	}
	assert_int_equal(frames_total(&frames), WORKERS * WORKER_PAGES * PAGE_SIZE);
	assert_int_equal(frames.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_merges),
		cmocka_unit_test(test_many_take_at_once),
		cmocka_unit_test(test_cuts_to_pages),
		cmocka_unit_test(test_removes_nothing),
		cmocka_unit_test(test_alloc_aligned_below_limit),
		cmocka_unit_test(test_full_table_loses_but_never_doubles),
		cmocka_unit_test(test_against_bitmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
