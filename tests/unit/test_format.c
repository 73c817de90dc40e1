/* SPDX-License-Identifier: MIT */
/* Our printf against the C library's, and never beyond the buffer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/format.h"

#define SAME(...)                                                        \
	do {                                                             \
		char ours[200], theirs[200];                             \
		size_t length = format(ours, sizeof(ours), __VA_ARGS__); \
                                                                         \
		snprintf(theirs, sizeof(theirs), __VA_ARGS__);           \
		assert_string_equal(ours, theirs);                       \
		assert_int_equal(length, strlen(theirs));                \
	} while (0)

static void test_integers(void **state)
{
	static const int64_t values[] = {0,    1,     -1,	 9,	    10,	       255,
					 -128, 65536, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};

	(void)state;
	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		int64_t v = values[i];

		SAME("%d %i %u %x %X", (int)v, (int)v, (unsigned)v, (unsigned)v, (unsigned)v);
		SAME("%ld %lu %lx %lX", (long)v, (unsigned long)v, (unsigned long)v,
		     (unsigned long)v);
		SAME("%lld %llu %llx", (long long)v, (unsigned long long)v, (unsigned long long)v);
		SAME("%zu %zx", (size_t)v, (size_t)v);
		SAME("%hu %hx %hhu %hhx", (unsigned short)v, (unsigned short)v, (unsigned char)v,
		     (unsigned char)v);
		SAME("[%8d] [%-8d] [%08d] [%2d]", (int)v, (int)v, (int)v, (int)v);
		SAME("[%16lx] [%-16lx] [%016lx]", (unsigned long)v, (unsigned long)v,
		     (unsigned long)v);
		SAME("[%*d]", 12, (int)v);
	}
}

static void test_text(void **state)
{
	(void)state;
	SAME("plain");
	SAME("%s and %s", "one", "two");
	SAME("[%5s] [%-5s] [%2s]", "abc", "abc", "abc");
	SAME("[%.2s] [%.*s] [%6.2s]", "abc", 1, "xyz", "abc");
	SAME("%c%c%% [%3c]", 'a', 'b', 'c');
}

static void test_precision_bounds(void **state)
{
	char *text = malloc(3); /* no NUL */
	char out[10];

	(void)state;
	memcpy(text, "abc", 3);
	assert_int_equal(format(out, sizeof(out), "%.*s", 3, text), 3);
	assert_string_equal(out, "abc");
	free(text);
}

static void test_cut(void **state)
{
	(void)state;
	for (size_t size = 1; size < 20; size++) {
		char *out = malloc(size);
		size_t length = format(out, size, "%s %08x", "words", 0x1234);

		assert_int_equal(length, size - 1 < 14 ? size - 1 : 14);
		assert_int_equal(strlen(out), length);
		assert_memory_equal(out, "words 00001234", length);
		free(out);
	}
}

static void test_error(void **state)
{
	struct error error;
	char words[400];

	(void)state;
	assert_false(error_set(&error, "memory=%u: %s", 5u, "too little"));
	assert_string_equal(error.text, "memory=5: too little");
	memset(words, 'w', sizeof(words));
	words[sizeof(words) - 1] = '\0';
	error_set(&error, "%s", words);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_precision_bounds),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
