/* SPDX-License-Identifier: MIT */
/* The log: lines from several cores, queued and direct, its scroll-back, and a panic. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"

#define THREADS 4
#define LINES	300

static char out[1 << 16];
static size_t length;
static unsigned notified;

static void sink(const char *text, size_t count)
{
	assert_true(length + count < sizeof(out));
	memcpy(out + length, text, count);
	length += count;
	out[length] = '\0';
}

static void notify(void)
{
	notified++;
}

static int setup(void **state)
{
	char line[LOG_LINE_MAX + 1];
	uint64_t lost = 0;

	(void)state;
	log_set_notify(NULL);
	log_set_queued(false);
	log_set_level(LOG_INFO);
	while (log_take(line, &lost))
		;
	length = 0;
	out[0] = '\0';
	notified = 0;
	return 0;
}

static void test_direct(void **state)
{
	(void)state;
	log_info("one %d", 1);
	assert_string_equal(out, "socle: one 1\n");
	log_debug("not this");
	assert_string_equal(out, "socle: one 1\n");
	log_set_level(LOG_DEBUG);
	assert_int_equal(log_get_level(), LOG_DEBUG);
	log_debug("this");
	assert_string_equal(out, "socle: one 1\nsocle: this\n");
	assert_false(log_waiting());
}

static void test_control_characters(void **state)
{
	(void)state;
	log_info("a\nsocle: forged\r\x1b[2J\tb\x7f");
	assert_string_equal(out, "socle: a?socle: forged??[2J?b?\n");
}

static void test_long_line(void **state)
{
	char text[2 * LOG_LINE_MAX];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	assert_true(length <= LOG_LINE_MAX);
	assert_true(length > LOG_LINE_MAX - 8);
	assert_int_equal(out[length - 1], '\n');
}

static void test_queued(void **state)
{
	char line[LOG_LINE_MAX + 1];
	uint64_t lost = 0;

	(void)state;
	log_set_notify(notify);
	log_set_queued(true);
	log_info("first");
	log_info("second");
	assert_int_equal(length, 0);
	/* One notice for both. */
	assert_int_equal(notified, 1);
	assert_true(log_waiting());
	assert_int_equal(log_take(line, &lost), strlen("socle: first\n"));
	assert_string_equal(line, "socle: first\n");
	log_info("third");
	assert_int_equal(notified, 2);
	log_take(line, &lost);
	assert_string_equal(line, "socle: second\n");
	/* Back in direct mode the rest comes out by itself, once. */
	log_set_queued(false);
	assert_string_equal(out, "socle: third\n");
	assert_int_equal(log_take(line, &lost), 0);
	assert_int_equal(lost, 0);
}

static void test_positions(void **state)
{
	char line[LOG_LINE_MAX + 1];
	log_position before;
	uint64_t lost = 0;

	(void)state;
	log_set_queued(true);
	before = log_end();
	assert_int_equal(log_taken(), before);
	log_info("x");
	assert_true(log_end() > before);
	assert_int_equal(log_taken(), before);
	log_take(line, &lost);
	assert_int_equal(log_taken(), log_end());
}

static void test_scroll_back(void **state)
{
	log_position at = log_end();
	char line[LOG_LINE_MAX + 1];
	enum log_level level;

	(void)state;
	log_error("an error");
	log_warn("a warning");
	assert_int_equal(log_read(&at, line, &level), strlen("socle: an error\n"));
	assert_string_equal(line, "socle: an error\n");
	assert_int_equal(level, LOG_ERROR);
	log_read(&at, line, &level);
	assert_string_equal(line, "socle: a warning\n");
	assert_int_equal(level, LOG_WARN);
	assert_int_equal(log_read(&at, line, &level), 0);
	/* Reading changed nothing for the sinks. */
	assert_string_equal(out, "socle: an error\nsocle: a warning\n");
}

/* More than the ring holds: the oldest go, whole, and are counted. */
static void test_overflow(void **state)
{
	char line[LOG_LINE_MAX + 1];
	unsigned first = 0, taken = 0, number;
	uint64_t lost = 0;
	log_position at = 0;
	enum log_level level;

	(void)state;
	log_set_queued(true);
	for (unsigned i = 0; i < 10000; i++)
		log_info("line %u of them", i);
	assert_true(log_read(&at, line, &level) > 0);
	assert_int_equal(sscanf(line, "socle: line %u of them\n", &first), 1);
	assert_true(first > 5000 && first < 9900);
	while (log_take(line, &lost)) {
		assert_int_equal(sscanf(line, "socle: line %u of them\n", &number), 1);
		assert_int_equal(number, first + taken);
		taken++;
	}
	assert_int_equal(lost, first);
	assert_int_equal(first + taken, 10000);
}

static void *talk(void *name)
{
	for (unsigned i = 0; i < LINES; i++)
		log_info("%s says %u", (const char *)name, i);
	return NULL;
}

static void test_many_cores(void **state)
{
	static char names[THREADS][8] = {"anna", "bob", "carl", "dora"};
	unsigned next[THREADS] = {0}, number, count = 0;
	char line[LOG_LINE_MAX + 1], name[8];
	pthread_t thread[THREADS];
	uint64_t lost = 0;

	(void)state;
	log_set_queued(true);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, talk, names[i]);
	while (count < THREADS * LINES) {
		if (!log_take(line, &lost))
			continue;
		assert_int_equal(sscanf(line, "socle: %7s says %u\n", name, &number), 2);
		for (unsigned i = 0; i < THREADS; i++)
			if (strcmp(name, names[i]) == 0)
				assert_int_equal(number, next[i]++);
		count++;
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(lost, 0);
	assert_false(log_waiting());
}

static jmp_buf dead;
static bool dies;

/* A core that dies while it holds the log's lock, as a fault in a sink would have it. */
static void dying_sink(const char *text, size_t count)
{
	(void)text;
	(void)count;
	if (dies)
		longjmp(dead, 1);
}

/* The last test: a panic is not taken back. */
static void test_panic(void **state)
{
	(void)state;
	log_add_sink(dying_sink);
	dies = true;
	if (!setjmp(dead))
		log_info("the last of it");
	dies = false;
	length = 0;
	log_panic();
	log_error("panic: here");
	assert_string_equal(out, "socle: panic: here\n");
	log_error("and here");
	assert_string_equal(out, "socle: panic: here\nsocle: and here\n");
}

/* And what was queued comes first; a panic in the panic changes nothing. */
static void test_panic_flushes(void **state)
{
	(void)state;
	log_set_queued(true);
	length = 0;
	log_info("queued 1");
	log_info("queued 2");
	assert_int_equal(length, 0);
	log_panic();
	log_error("panic: here");
	assert_string_equal(out, "socle: queued 1\nsocle: queued 2\nsocle: panic: here\n");
	log_panic();
	log_error("again");
	assert_non_null(strstr(out, "panic: here\nsocle: again\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_direct, setup),
		cmocka_unit_test_setup(test_control_characters, setup),
		cmocka_unit_test_setup(test_long_line, setup),
		cmocka_unit_test_setup(test_queued, setup),
		cmocka_unit_test_setup(test_positions, setup),
		cmocka_unit_test_setup(test_scroll_back, setup),
		cmocka_unit_test_setup(test_overflow, setup),
		cmocka_unit_test_setup(test_many_cores, setup),
		cmocka_unit_test_setup(test_panic, setup),
		cmocka_unit_test(test_panic_flushes),
	};

	log_add_sink(sink);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
