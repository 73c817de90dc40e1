/* SPDX-License-Identifier: MIT */
/* A VM's console: where its lines begin, and what of them reaches the machine. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "vm/console.h"

static char out[512];
static size_t length;
static struct console console;

static void put(uint8_t byte)
{
	assert_true(length < sizeof(out) - 1);
	out[length++] = (char)byte;
	out[length] = '\0';
}

static void start(const char *prefix)
{
	length = 0;
	out[0] = '\0';
	console_init(&console, put, prefix);
}

static void say(const char *text)
{
	for (; *text; text++)
		console_put(&console, (uint8_t)*text);
}

/* What the machine's console shows of `text` by a VM named v. */
static void shows(const char *text, const char *wanted)
{
	start("v");
	say(text);
	assert_string_equal(out, wanted);
	assert_int_equal(console.bytes, strlen(text));
}

static void test_plain_without_prefix(void **state)
{
	const char *text = "a\r\nb\rc\n\n\r\x1b[31md";

	(void)state;
	start(NULL);
	say(text);
	assert_string_equal(out, text);
	assert_int_equal(console.bytes, strlen(text));
}

static void test_every_byte_passes(void **state)
{
	(void)state;
	start(NULL);
	for (unsigned i = 0; i < 256; i++)
		console_put(&console, (uint8_t)i);
	assert_int_equal(length, 256);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal((uint8_t)out[i], i);
}

static void test_prefix_at_line_starts(void **state)
{
	(void)state;
	shows("", "");
	shows("a", "[v] a");
	shows("ab\ncd", "[v] ab\n[v] cd");
	shows("a\nb\n", "[v] a\n[v] b\n");
	shows("a\r\nb\r\n", "[v] a\r\n[v] b\r\n");
	shows("a\n\rb\n\r", "[v] a\n\r[v] b\n\r");
	/* Empty lines stay empty. */
	shows("\n\n\r\na", "\n\n\r\n[v] a");
	shows("\r\r\na", "\r\r\n[v] a");
}

/* A return goes to the margin, where the prefix would be written over. */
static void test_prefix_after_a_lone_return(void **state)
{
	(void)state;
	shows("10%\r20%\r\n", "[v] 10%\r[v] 20%\r\n");
	shows("a\r\rb", "[v] a\r\r[v] b");
	shows("\rb", "\r[v] b");
	/* Once for each return, not for each byte after it. */
	shows("a\rbc", "[v] a\r[v] bc");
}

static void test_whole_name(void **state)
{
	(void)state;
	start("linux-2");
	say("x\ny");
	assert_string_equal(out, "[linux-2] x\n[linux-2] y");
	/* The prefix is Socle's, not of the guest's count. */
	assert_int_equal(console.bytes, 3);
}

static void test_break_line(void **state)
{
	(void)state;
	start("v");
	console_break_line(&console);
	assert_string_equal(out, "");
	say("login: ");
	console_break_line(&console);
	assert_string_equal(out, "[v] login: \r\n");
	console_break_line(&console);
	assert_string_equal(out, "[v] login: \r\n");
	say("x\n");
	assert_string_equal(out, "[v] login: \r\n[v] x\n");
	console_break_line(&console);
	assert_string_equal(out, "[v] login: \r\n[v] x\n");
}

/* The text before a return still stands on the line. */
static void test_break_line_after_return(void **state)
{
	(void)state;
	start("v");
	say("50%\r");
	console_break_line(&console);
	assert_string_equal(out, "[v] 50%\r\r\n");
	say("b");
	assert_string_equal(out, "[v] 50%\r\r\n[v] b");
	/* A return alone leaves the line empty. */
	start("v");
	say("a\n\r");
	console_break_line(&console);
	assert_string_equal(out, "[v] a\n\r");
}

static void test_break_line_without_prefix(void **state)
{
	(void)state;
	start(NULL);
	console_break_line(&console);
	say("a");
	console_break_line(&console);
	say("b");
	assert_string_equal(out, "a\r\nb");
	assert_int_equal(console.bytes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_without_prefix),
		cmocka_unit_test(test_every_byte_passes),
		cmocka_unit_test(test_prefix_at_line_starts),
		cmocka_unit_test(test_prefix_after_a_lone_return),
		cmocka_unit_test(test_whole_name),
		cmocka_unit_test(test_break_line),
		cmocka_unit_test(test_break_line_after_return),
		cmocka_unit_test(test_break_line_without_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
