/* SPDX-License-Identifier: MIT */
/* Timers: order, setting anew, taking out, against a plain array. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/timer.h"

#define COUNT 20

static void test_order(void **state)
{
	struct timer_queue queue;
	struct timer a = {0}, b = {0}, c = {0};

	(void)state;
	timer_queue_init(&queue);
	assert_true(timer_first(&queue) == UINT64_MAX);
	assert_null(timer_take_due(&queue, UINT64_MAX));
	timer_set(&queue, &b, 20);
	timer_set(&queue, &a, 10);
	timer_set(&queue, &c, 20);
	assert_int_equal(timer_first(&queue), 10);
	assert_null(timer_take_due(&queue, 9));
	assert_ptr_equal(timer_take_due(&queue, 10), &a);
	assert_false(timer_queued(&a));
	timer_set(&queue, &c, UINT64_MAX);
	assert_ptr_equal(timer_take_due(&queue, 30), &b);
	assert_null(timer_take_due(&queue, 30));
	assert_true(timer_queued(&c));
	timer_cancel(&c);
	timer_cancel(&c);
	assert_null(timer_take_due(&queue, UINT64_MAX));
	assert_true(timer_first(&queue) == UINT64_MAX);
}

static void test_equal_times_keep_their_order(void **state)
{
	struct timer_queue queue;
	struct timer a = {0}, b = {0};

	(void)state;
	timer_queue_init(&queue);
	timer_set(&queue, &b, 5);
	timer_set(&queue, &a, 5);
	assert_ptr_equal(timer_take_due(&queue, 5), &b);
	assert_ptr_equal(timer_take_due(&queue, 5), &a);
}

static void test_against_array(void **state)
{
	struct timer_queue queue;
	struct timer timer[COUNT] = {0};
	uint64_t when[COUNT];
	uint32_t seed = 1;

	(void)state;
	timer_queue_init(&queue);
	for (unsigned i = 0; i < COUNT; i++)
		when[i] = UINT64_MAX;
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (seed = seed * 1103515245 + 12345) >> 16 & 0x7fff;
		uint64_t least = UINT64_MAX;
		struct timer *due;

		if (i % 3) {
			when[i % COUNT] = i % 997;
			timer_set(&queue, &timer[i % COUNT], i % 997);
		} else {
			when[i % COUNT] = UINT64_MAX;
			timer_cancel(&timer[i % COUNT]);
		}
		for (unsigned k = 0; k < COUNT; k++)
			least = when[k] < least ? when[k] : least;
		assert_true(timer_first(&queue) == least);
		if (i % 5)
			continue;
		due = timer_take_due(&queue, 500);
		assert_true((due != NULL) == (least <= 500));
		if (due) {
			assert_true(when[due - timer] == least);
			when[due - timer] = UINT64_MAX;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_equal_times_keep_their_order),
		cmocka_unit_test(test_against_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
