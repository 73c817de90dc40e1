/* SPDX-License-Identifier: MIT */
/* The ticket lock, by threads: mutual exclusion, and the order of those who wait. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "lib/spinlock.h"

#define THREADS 4
#define ROUNDS	80

static struct spinlock lock;
static volatile unsigned counter, inside;
static unsigned order[THREADS], arrived;

/* A read, a reschedule and a write: without the lock, additions get lost. */
static void *add(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned seen;

		spin_lock(&lock);
		inside = inside + 1;
		seen = counter;
		if (i % 16 == 0)
			sched_yield();
		counter = seen + inside;
		inside = inside - 1;
		spin_unlock(&lock);
		sched_yield();
	}
	return NULL;
}

static void test_one_at_a_time(void **state)
{
	pthread_t thread[THREADS];

	(void)state;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, add, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(counter, THREADS * ROUNDS);
	assert_false(spin_is_locked(&lock));
}

static void *queue_up(void *arg)
{
	spin_lock(&lock);
	order[arrived++] = (unsigned)(uintptr_t)arg;
	spin_unlock(&lock);
	return NULL;
}

/* Each thread is seen to have drawn its ticket before the next one begins. */
static void test_first_come_first_served(void **state)
{
	pthread_t thread[THREADS];

	(void)state;
	memset(&lock, 0, sizeof(lock));
	lock.next = lock.serving = UINT32_MAX - 1; /* tickets wrap on the way */
	spin_lock(&lock);
	assert_true(spin_is_locked(&lock));
	for (unsigned i = 0; i < THREADS; i++) {
		uint32_t drawn = __atomic_load_n(&lock.next, __ATOMIC_RELAXED);

		assert_int_equal(pthread_create(&thread[i], NULL, queue_up, (void *)(uintptr_t)i),
				 0);
		while (__atomic_load_n(&lock.next, __ATOMIC_RELAXED) == drawn)
			sched_yield();
	}
	assert_int_equal(arrived, 0);
	spin_unlock(&lock);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(order[i], i);
	assert_false(spin_is_locked(&lock));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_first_come_first_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
