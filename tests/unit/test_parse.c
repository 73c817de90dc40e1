/* SPDX-License-Identifier: MIT */
/* Words, numbers and sizes from bounded text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/parse.h"

/* A text with nothing after it, so that a sanitizer sees a read beyond its end. */
static struct text exact(const char *string)
{
	static char *kept;
	size_t length = strlen(string);

	free(kept);
	kept = malloc(length ? length : 1);
	memcpy(kept, string, length);
	return (struct text){kept, length};
}

static void test_words(void **state)
{
	struct text rest = exact("  kernel\tvm memory=1M "), word;

	(void)state;
	assert_true(text_word(&rest, &word) && text_equals(word, "kernel"));
	assert_false(text_equals(word, "kern"));
	assert_false(text_equals(word, "kernels"));
	assert_true(text_word(&rest, &word) && text_equals(word, "vm"));
	assert_true(text_word(&rest, &word) && text_equals(word, "memory=1M"));
	assert_false(text_word(&rest, &word));
	assert_int_equal(word.length, 0);
}

static void test_from(void **state)
{
	static const char unended[4] = {'a', 'b', 'c', 'd'};

	(void)state;
	assert_int_equal(text_from(unended, 4).length, 4);
	assert_int_equal(text_from("ab\0cd", 5).length, 2);
	assert_int_equal(text_from(NULL, 5).length, 0);
}

static void test_split(void **state)
{
	struct text key, value;

	(void)state;
	assert_true(text_split(exact("a=b=c"), &key, &value));
	assert_true(text_equals(key, "a") && text_equals(value, "b=c"));
	assert_true(text_split(exact("a="), &key, &value));
	assert_int_equal(value.length, 0);
	assert_false(text_split(exact("abc"), &key, &value));
}

static void test_numbers(void **state)
{
	static const char *const bad[] = {"",
					  "x",
					  "1x",
					  "-1",
					  "0x",
					  "0xg",
					  "1 ",
					  " 1",
					  "18446744073709551616",
					  "0x10000000000000000"};
	uint64_t value;

	(void)state;
	assert_true(text_number(exact("0"), 10, &value) && value == 0);
	assert_true(text_number(exact("0x1F"), 100, &value) && value == 31);
	assert_true(text_number(exact("18446744073709551615"), UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
	assert_true(text_number(exact("10"), 10, &value));
	assert_false(text_number(exact("11"), 10, &value));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(text_number(exact(bad[i]), UINT64_MAX, &value));
}

static void test_sizes(void **state)
{
	static const char *const bad[] = {
		"", "M", "1T", "1m", "1MM", "M1", "1.5G", "17179869184G", "18014398509481984K"};
	uint64_t value;

	(void)state;
	assert_true(text_size(exact("4096"), &value) && value == 4096);
	assert_true(text_size(exact("3K"), &value) && value == 3072);
	assert_true(text_size(exact("256M"), &value) && value == 256u << 20);
	assert_true(text_size(exact("0x10G"), &value) && value == 16ULL << 30);
	assert_true(text_size(exact("17179869183G"), &value));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(text_size(exact(bad[i]), &value));
}

static void test_show(void **state)
{
	char text[100];

	(void)state;
	assert_string_equal(text_show(exact("a\x1b[b\n\xff ~")).text, "a?[b?? ~");
	memset(text, 'x', sizeof(text));
	assert_int_equal(strlen(text_show((struct text){text, sizeof(text)}).text), TEXT_SHOWN_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words), cmocka_unit_test(test_from),
		cmocka_unit_test(test_split), cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_sizes), cmocka_unit_test(test_show),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	exact("");
	return failed;
}
