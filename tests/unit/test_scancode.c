/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "arch/x86_64/scancode.h"

static struct scancode keys;

/* Makes what `codes`, as a string of bytes, types. */
static const char *typed(const char *codes)
{
	static char all[256];
	char text[SCANCODE_TEXT_MAX];

	all[0] = '\0';
	for (; *codes; codes++) {
		const char *made = scancode_text(&keys, (uint8_t)*codes, text);

		assert_true(strlen(made) < SCANCODE_TEXT_MAX);
		assert_true(strlen(all) + strlen(made) < sizeof(all));
		strcat(all, made);
	}
	return all;
}

static int fresh(void **state)
{
	(void)state;
	memset(&keys, 0, sizeof(keys));
	return 0;
}

static void test_letters(void **state)
{
	(void)state;
	assert_string_equal(typed("\x1e\x9e\x30\xb0\x39\xb9\x1c\x9c"), "ab \r");
	assert_string_equal(typed("\x02\x0b\x0c\x0d\x0e\x0f\x01"), "10-=\x7f\t\x1b");
	assert_string_equal(typed("\x1a\x1b\x27\x28\x29\x2b\x33\x34\x35"), "[];'`\\,./");
}

static void test_shift(void **state)
{
	(void)state;
	assert_string_equal(typed("\x2a\x1e\x03\x35\xaa\x1e"), "A@?a");
	assert_string_equal(typed("\x36\x28\x2b\x29\xb6\x28"), "\"|~'");
	/* Caps Lock is for letters, and shift undoes it. */
	assert_string_equal(typed("\x3a\xba\x1e\x02\x2a\x1e\x02\xaa\x3a\xba\x1e"), "A1a!a");
}

static void test_control(void **state)
{
	(void)state;
	assert_string_equal(typed("\x1d\x1e\x2e\x9d\x1e"), "\x01\x03"
							   "a");
	assert_string_equal(typed("\xe0\x1d\x20\xe0\x9d\x20"), "\x04"
							       "d");
	/* Both are down: the other one still counts. */
	assert_string_equal(typed("\x1d\xe0\x1d\x9d\x1e\xe0\x9d\x1e"), "\x01"
								       "a");
	assert_string_equal(typed("\x1d\x02\x9d"), "1");
}

static void test_cursor(void **state)
{
	(void)state;
	assert_string_equal(typed("\xe0\x48\xe0\xc8\xe0\x50\xe0\x4d\xe0\x4b"),
			    "\x1b[A\x1b[B\x1b[C\x1b[D");
	assert_string_equal(typed("\xe0\x47\xe0\x4f\xe0\x53"), "\x1b[H\x1b[F\x1b[3~");
	/* With the shifts that some keyboards put around them. */
	assert_string_equal(typed("\xe0\x2a\xe0\x48\xe0\xc8\xe0\xaa\x1e"), "\x1b[A"
									   "a");
	assert_string_equal(typed("\xe0\x35\xe0\x1c"), "/\r");
}

static void test_pause(void **state)
{
	(void)state;
	assert_string_equal(typed("\xe1\x1d\x45\xe1\x9d\xc5\x1e"), "a");
}

/* Any bytes: never more than fits, and no key that hangs. */
static void test_all_codes(void **state)
{
	char text[SCANCODE_TEXT_MAX];

	(void)state;
	for (unsigned first = 0; first < 256; first++)
		for (unsigned second = 0; second < 256; second++) {
			assert_true(strlen(scancode_text(&keys, (uint8_t)first, text)) < 5);
			assert_true(strlen(scancode_text(&keys, (uint8_t)second, text)) < 5);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_letters, fresh),
		cmocka_unit_test_setup(test_shift, fresh),
		cmocka_unit_test_setup(test_control, fresh),
		cmocka_unit_test_setup(test_cursor, fresh),
		cmocka_unit_test_setup(test_pause, fresh),
		cmocka_unit_test_setup(test_all_codes, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
