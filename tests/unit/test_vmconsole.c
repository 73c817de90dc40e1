/* SPDX-License-Identifier: MIT */
/* The console of a VM: nothing watched is lost, nobody waits for what is not, one notice a look. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "vm/vmconsole.h"

#define SIZE  256
#define MANY  200000
#define PRIME 251

static uint8_t buffer[SIZE];
static struct vm_console console;

static int setup(void **state)
{
	(void)state;
	memset(buffer, 0xEE, sizeof(buffer));
	vm_console_init(&console, buffer, SIZE);
	return 0;
}

static void say(const char *text)
{
	for (; *text; text++)
		vm_console_put(&console, (uint8_t)*text);
}

static void test_order(void **state)
{
	uint8_t got[16];
	uint64_t at = 0;

	(void)state;
	say("hello");
	assert_int_equal(vm_console_bytes(&console), 5);
	assert_int_equal(vm_console_peek(&console, &at, got, 3), 3);
	assert_memory_equal(got, "hel", 3);
	assert_int_equal(vm_console_peek(&console, &at, got, 16), 2);
	assert_memory_equal(got, "lo", 2);
	assert_int_equal(vm_console_peek(&console, &at, got, 16), 0);
	assert_int_equal(at, 5);
}

static void test_told_once(void **state)
{
	(void)state;
	/* Nobody looks: nobody is told. */
	assert_false(vm_console_put(&console, 'a'));
	vm_console_watch(&console, true);
	assert_true(vm_console_put(&console, 'b'));
	assert_false(vm_console_put(&console, 'c'));
	vm_console_look(&console);
	assert_true(vm_console_put(&console, 'd'));
	assert_false(vm_console_put(&console, 'e'));
}

static void test_room(void **state)
{
	uint64_t at = 0, room;
	uint8_t got[SIZE];

	(void)state;
	/* Not watched: always room, and nobody waits. */
	for (unsigned i = 0; i < 3 * SIZE; i++)
		vm_console_put(&console, 'x');
	assert_true(vm_console_room(&console) > 0);
	assert_false(vm_console_take(&console, 3 * SIZE));

	vm_console_watch(&console, true);
	room = vm_console_room(&console);
	assert_in_range(room, SIZE / 2, SIZE);
	for (uint64_t i = 0; i < room; i++) {
		assert_int_equal(vm_console_room(&console), room - i);
		vm_console_put(&console, (uint8_t)i);
	}
	assert_int_equal(vm_console_room(&console), 0);
	/* All of it is still there. */
	at = 3 * SIZE;
	assert_int_equal(vm_console_peek(&console, &at, got, SIZE), room);
	for (uint64_t i = 0; i < room; i++)
		assert_int_equal(got[i], (uint8_t)i);
	/* The one who waits is told when there is some room, not for each byte. */
	assert_false(vm_console_take(&console, 3 * SIZE + 1));
	assert_true(vm_console_take(&console, at));
	assert_false(vm_console_take(&console, at));
	assert_int_equal(vm_console_room(&console), room);
}

/* Who waits when the last one turns away is told as well. */
static void test_unwatched_frees(void **state)
{
	(void)state;
	vm_console_watch(&console, true);
	while (vm_console_room(&console))
		vm_console_put(&console, 'x');
	vm_console_watch(&console, false);
	assert_true(vm_console_take(&console, 0));
	assert_true(vm_console_room(&console) > 0);
}

static void test_oldest_go(void **state)
{
	uint8_t got[SIZE];
	uint64_t at = 0;
	size_t length;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		vm_console_put(&console, (uint8_t)(i % PRIME));
	length = vm_console_peek(&console, &at, got, SIZE);
	assert_int_equal(at, 1000);
	assert_in_range(length, SIZE - 1, SIZE);
	for (size_t i = 0; i < length; i++)
		assert_int_equal(got[i], (1000 - length + i) % PRIME);
}

static void test_back_to_a_line(void **state)
{
	uint8_t got[SIZE];
	uint64_t at;

	(void)state;
	say("one\ntwo\nthree\n> ");
	assert_int_equal(vm_console_back(&console, 1000), 0);
	at = vm_console_back(&console, 9);
	assert_int_equal(vm_console_peek(&console, &at, got, SIZE), 8);
	assert_memory_equal(got, "three\n> ", 8);
	/* A line that is longer than what is asked for is cut. */
	assert_int_equal(vm_console_back(&console, 1), vm_console_bytes(&console) - 1);
	for (unsigned i = 0; i < 10 * SIZE; i++)
		say("abc\n");
	at = vm_console_back(&console, SIZE * 2);
	vm_console_peek(&console, &at, got, 4);
	assert_memory_equal(got, "abc\n", 4);
}

static void test_typing(void **state)
{
	(void)state;
	assert_int_equal(vm_console_get(&console), -1);
	assert_true(vm_console_type(&console, 0xFF));
	assert_true(vm_console_typed(&console));
	assert_int_equal(vm_console_get(&console), 0xFF);
	assert_false(vm_console_typed(&console));
	for (unsigned i = 0; i < VM_CONSOLE_INPUT; i++)
		assert_true(vm_console_type(&console, (uint8_t)i));
	assert_false(vm_console_can_type(&console));
	assert_false(vm_console_type(&console, 'x'));
	for (unsigned i = 0; i < VM_CONSOLE_INPUT; i++)
		assert_int_equal(vm_console_get(&console), (uint8_t)i);
	assert_int_equal(vm_console_get(&console), -1);
}

static unsigned told;

/* A VM that holds its transmitter while there is no room. */
static void *produce(void *polite)
{
	for (uint32_t i = 0; i < MANY; i++) {
		while (polite && !vm_console_room(&console))
			sched_yield();
		if (vm_console_put(&console, (uint8_t)(i % PRIME)))
			__atomic_fetch_add(&told, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void test_two_cores_lose_nothing(void **state)
{
	uint64_t at = 0, seen = 0;
	uint8_t got[100];
	pthread_t thread;

	(void)state;
	vm_console_watch(&console, true);
	pthread_create(&thread, NULL, produce, &console);
	while (seen < MANY) {
		size_t length;

		vm_console_look(&console);
		length = vm_console_peek(&console, &at, got, sizeof(got));
		for (size_t i = 0; i < length; i++)
			assert_int_equal(got[i], seen++ % PRIME);
		vm_console_take(&console, at);
		if (!length)
			sched_yield();
	}
	pthread_join(thread, NULL);
	assert_true(told > 0);
}

/* A producer that asks nobody: the reader skips, and never sees a byte that is not its own. */
static void test_two_cores_overrun(void **state)
{
	uint64_t at = 0;
	uint8_t got[100];
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, produce, NULL);
	while (at < MANY) {
		size_t length = vm_console_peek(&console, &at, got, sizeof(got));

		for (size_t i = 0; i < length; i++)
			assert_int_equal(got[i], (at - length + i) % PRIME);
		if (!length)
			sched_yield();
	}
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order, setup),
		cmocka_unit_test_setup(test_told_once, setup),
		cmocka_unit_test_setup(test_room, setup),
		cmocka_unit_test_setup(test_unwatched_frees, setup),
		cmocka_unit_test_setup(test_oldest_go, setup),
		cmocka_unit_test_setup(test_back_to_a_line, setup),
		cmocka_unit_test_setup(test_typing, setup),
		cmocka_unit_test_setup(test_two_cores_lose_nothing, setup),
		cmocka_unit_test_setup(test_two_cores_overrun, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
