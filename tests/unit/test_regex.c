/* SPDX-License-Identifier: MIT */
/* Regular expressions: refusals, lines as they come, and the C library for comparison. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/regex.h"

static struct regex regex;
static struct error error;

/* In a block of its very size: a sanitizer sees a read beyond its end. */
static bool compile(const char *text)
{
	static char *copy;

	free(copy);
	copy = strdup(text);
	return regex_compile(&regex, copy, &error);
}

/* The byte, from 1, with which the text first has the expression in a line; 0: none. */
static unsigned found(const char *expression, const char *text)
{
	if (!compile(expression))
		fail_msg("%s: %s", expression, error.text);
	for (unsigned i = 0; text[i]; i++)
		if (regex_byte(&regex, (uint8_t)text[i]))
			return i + 1;
	return 0;
}

static void test_refused(void **state)
{
	FILE *file = fopen("tests/unit/regex.txt", "r");
	char line[256], what[64], want[128];
	unsigned lines = 0, at;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		char *expression = strstr(line, "| ");

		if (line[0] == '#')
			continue;
		assert_non_null(expression);
		line[strcspn(line, "\n")] = '\0';
		expression[-1] = '\0';
		what[0] = '\0';
		assert_true(sscanf(line, "%u %63[^\n]", &at, what) >= 1);
		snprintf(want, sizeof(want), "at %u: %s", at, what);
		if (compile(expression + 2) != !at)
			fail_msg("%s: %s", expression + 2, at ? "is taken" : error.text);
		if (at && strncmp(error.text, want, strlen(want)) != 0)
			fail_msg("%s: %s, want %s", expression + 2, error.text, want);
		lines++;
	}
	fclose(file);
	assert_true(lines > 30);
}

static void test_lines(void **state)
{
	(void)state;
	assert_int_equal(found("login: ", "\nhost login: "), 13);
	assert_int_equal(found("^ok$", "not ok\nok \nok\n"), 14);
	assert_int_equal(found("^ok$", "ok\r\n"), 3);
	assert_int_equal(found("^ok", "1%\rok"), 5);
	assert_int_equal(found("^$", "a\r\n"), 0);
	assert_int_equal(found("^$", "a\n\n"), 3);
	assert_int_equal(found("$^", "a\n\n"), 3);
	assert_int_equal(found("^^a$$", "a\n"), 2);
	assert_int_equal(found("a.c", "a\nc"), 0);
	assert_int_equal(found("a\\sc", "ab\nc a c"), 8);
	assert_int_equal(found("x$", "x"), 0);
	assert_int_equal(found("a$|b^", "ab"), 0);
	assert_int_equal(found("[^\\w\\s]", "aZ_9 \t!"), 7);
	assert_int_equal(found("[\\D]", "123a"), 4);
	assert_int_equal(found("[a-c]+-[]x]", "abc-]"), 5);
	assert_int_equal(found("\xFF.", "\xFF\x80"), 2);
}

/* Nested repeats, at which one that goes back would not end. */
static void test_linear(void **state)
{
	(void)state;
	assert_true(compile("((a*)*b?)*((a|aa)+)+$x"));
	for (unsigned i = 0; i < 100000; i++)
		assert_false(regex_byte(&regex, 'a'));
	assert_false(regex_byte(&regex, '\n'));
}

static uint32_t seed = 1;

static unsigned any(unsigned below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static void grow(char *text, unsigned depth)
{
	static const char *const atoms[] = {"a",     "b",   "c",    ".",   "[ab]", "[^b]",
					    "[a-b]", "\\w", "\\W",  "\\s", "c",	   "\\.",
					    "[^ac]", "a",   "[.b]", "b"};
	unsigned parts = 1 + any(3);

	for (unsigned i = 0; i < parts; i++) {
		if (i && !any(4))
			strcat(text, "|");
		if (depth && !any(3)) {
			strcat(text, "(");
			grow(text, depth - 1);
			strcat(text, ")");
		} else {
			strcat(text, atoms[any(16)]);
		}
		if (!any(3))
			strncat(text, &"*+?"[any(3)], 1);
	}
}

static bool library(const regex_t *expression, const char *text)
{
	return regexec(expression, text, 0, NULL, 0) == 0;
}

/* Whole lines, so that both see where it ends. */
static void test_library(void **state)
{
	unsigned compared = 0, matched = 0;

	(void)state;
	for (unsigned i = 0; i < 6000; i++) {
		char expression[2000] = "", text[32];
		regex_t other;

		/* Anchors in the middle are where the library is wrong. */
		if (!any(4))
			strcat(expression, "^");
		grow(expression, 2);
		if (!any(4))
			strcat(expression, "$");
		if (!compile(expression))
			continue;
		assert_int_equal(regcomp(&other, expression, REG_EXTENDED | REG_NOSUB), 0);
		for (unsigned j = 0; j < 20; j++) {
			unsigned length = any(9);
			bool is = false;

			for (unsigned k = 0; k < length; k++)
				text[k] = "abc. "[any(5)];
			text[length] = '\0';
			for (unsigned k = 0; k < length; k++)
				is |= regex_byte(&regex, (uint8_t)text[k]);
			is |= regex_byte(&regex, '\n');
			if (is != library(&other, text))
				fail_msg("'%s' on '%s': %d", expression, text, is);
			compared++;
			matched += is;
		}
		regfree(&other);
	}
	assert_true(compared > 50000 && matched > 10000 && matched < compared - 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_library),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
