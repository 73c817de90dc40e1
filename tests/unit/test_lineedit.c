/* SPDX-License-Identifier: MIT */
/* The line editor, before a terminal that the test draws for it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/lineedit.h"

#define COLUMNS 80
#define UP	"\x1b[A"
#define DOWN	"\x1b[B"
#define RIGHT	"\x1b[C"
#define LEFT	"\x1b[D"

/* The line of the terminal that the cursor is on. */
static char row[COLUMNS + 1];
static unsigned column, lines, bells, wrapped;
static char above[COLUMNS + 1]; /* the line before */
static bool in_escape;
static struct lineedit edit;

static void clear_from(unsigned from)
{
	memset(row + from, ' ', COLUMNS - from);
}

static void draw(char c)
{
	if (in_escape) {
		in_escape = c == '[' || (c >= '0' && c <= '9');
		if (c == 'K')
			clear_from(column);
		if (c == 'J')
			clear_from(0);
		if (c == 'H')
			column = 0;
	} else if (c == '\x1b') {
		in_escape = true;
	} else if (c == '\r') {
		column = 0;
	} else if (c == '\n') {
		memcpy(above, row, sizeof(above));
		clear_from(0);
		lines++;
	} else if (c == '\b') {
		column -= column ? 1 : 0;
	} else if (c == '\a') {
		bells++;
	} else {
		if (column == COLUMNS) {
			wrapped++;
			column = 0;
		}
		assert_in_range((uint8_t)c, ' ', '~');
		row[column++] = c;
	}
}

static void put(void *ctx, const char *text, size_t length)
{
	assert_ptr_equal(ctx, &edit);
	for (size_t i = 0; i < length; i++)
		draw(text[i]);
}

static bool complete(void *ctx, const char *line, size_t length, unsigned index,
		     char word[LINEEDIT_WORD])
{
	static const char *const words[] = {"start", "stats", "stop", "top"};
	size_t start = length;

	(void)ctx;
	while (start && line[start - 1] != ' ')
		start--;
	for (unsigned i = 0; i < 4; i++) {
		if (strncmp(words[i], line + start, length - start))
			continue;
		if (!index--) {
			snprintf(word, LINEEDIT_WORD, "%s", words[i]);
			return true;
		}
	}
	return false;
}

static const struct lineedit_ops ops = {put, complete};

static int setup(void **state)
{
	(void)state;
	column = lines = bells = wrapped = 0;
	in_escape = false;
	clear_from(0);
	lineedit_init(&edit, "> ", &ops, &edit);
	lineedit_start(&edit);
	return 0;
}

/* What the last key meant. */
static enum lineedit_event type(const char *keys)
{
	enum lineedit_event event = LINEEDIT_MORE;

	for (; *keys; keys++)
		event = lineedit_key(&edit, (uint8_t)*keys);
	return event;
}

/* The prompt and `text` stand on the screen, the cursor on its character number `cursor`. */
static void shows(const char *text, unsigned cursor)
{
	char wanted[COLUMNS + 1];

	snprintf(wanted, sizeof(wanted), "> %-78s", text);
	assert_string_equal(row, wanted);
	assert_int_equal(column, 2 + cursor);
	assert_string_equal(edit.line, text);
	assert_int_equal(wrapped, 0);
}

static void enters(const char *keys, const char *line)
{
	assert_int_equal(type(keys), LINEEDIT_LINE);
	assert_string_equal(edit.line, line);
	assert_int_equal(column, 0);
	lineedit_start(&edit);
}

static void test_typing(void **state)
{
	(void)state;
	shows("", 0);
	type("vms now");
	shows("vms now", 7);
	type("\x7f\b\x7f");
	shows("vms ", 4);
	type("\x7f\x7f\x7f\x7f\x7f\x7f");
	shows("", 0);
	enters("help\r", "help");
	enters("\r", "");
	/* CR LF is one Enter. */
	assert_int_equal(type("a\r"), LINEEDIT_LINE);
	lineedit_start(&edit);
	assert_int_equal(type("\n"), LINEEDIT_MORE);
	assert_int_equal(type("\n"), LINEEDIT_LINE);
}

static void test_moving(void **state)
{
	(void)state;
	type("ace" LEFT "d" LEFT LEFT "b");
	shows("abcde", 2);
	type(RIGHT RIGHT RIGHT RIGHT RIGHT "f");
	shows("abcdef", 6);
	type("\x01"
	     "0");
	shows("0abcdef", 1);
	type("\x05"
	     "g");
	shows("0abcdefg", 8);
	type("\x1b[H\x1b[3~");
	shows("abcdefg", 0);
	type("\x1b[F\b\x1bOH1\x1bOF2");
	shows("1abcdef2", 8);
	type("\x1b[1~\x04\x1b[4~\x7f");
	shows("abcdef", 6);
	type("\x02\x02\x06\x04");
	shows("abcde", 5);
	type("\x1b[7~\x1b[8~");
	shows("abcde", 5);
	type(LEFT LEFT);
	enters("\r", "abcde");
}

static void test_killing(void **state)
{
	(void)state;
	type("one two three" LEFT LEFT "\x0b");
	shows("one two thr", 11);
	type("\x17");
	shows("one two ", 8);
	type("\x17");
	shows("one ", 4);
	type("xyz" LEFT "\x15");
	shows("z", 0);
	type("\x0b\x0b\x15\x17");
	shows("", 0);
}

static void test_history(void **state)
{
	(void)state;
	enters("first\r", "first");
	enters("second\r", "second");
	enters("second\r", "second"); /* once */
	enters("\r", "");	      /* not at all */
	type("half" UP);
	shows("second", 6);
	type(UP);
	shows("first", 5);
	type(UP);
	shows("first", 5);
	type("\x7f" DOWN);
	shows("second", 6);
	type(DOWN);
	shows("half", 4);
	type(DOWN);
	shows("half", 4);
	type("\x10\x10\x0e");
	shows("second", 6);
	enters("!\r", "second!");
}

static void test_history_is_bounded(void **state)
{
	char line[16];

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		snprintf(line, sizeof(line), "l%u\r", i);
		type(line);
		lineedit_start(&edit);
	}
	for (unsigned i = 0; i < 100; i++)
		type(UP);
	shows("l24", 3);
}

static void test_completion(void **state)
{
	(void)state;
	type("\t");
	assert_int_equal(bells, 1);
	type("st\t");
	assert_int_equal(bells, 2);
	type("a\t");
	shows("sta", 3);
	assert_int_equal(bells, 3);
	assert_int_equal(lines, 0);
	type("\t"); /* the second lists */
	assert_string_equal(above, "start  stats                                                   "
				   "                 ");
	shows("sta", 3);
	type("r\t");
	shows("start ", 6);
	type("to\t");
	shows("start top ", 10);
	type("q\t");
	shows("start top q", 11);
	assert_int_equal(bells, 4);
}

static void test_completion_in_the_middle(void **state)
{
	(void)state;
	type("to x" LEFT LEFT "\t");
	shows("top  x", 4);
}

static void test_ends(void **state)
{
	(void)state;
	assert_int_equal(type("abc\x03"), LINEEDIT_CANCELLED);
	lineedit_start(&edit);
	shows("", 0);
	assert_int_equal(type("a\x04"), LINEEDIT_MORE);
	assert_int_equal(type("\x7f\x04"), LINEEDIT_END);
}

/* Where the cursor is at the edge, nothing is written beyond it. */
static void test_cancelled_at_the_edge(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * COLUMNS; i++) {
		char c[2] = "x";

		type(c);
		if (column == LINEEDIT_COLUMNS)
			break;
	}
	assert_int_equal(column, LINEEDIT_COLUMNS);
	assert_int_equal(type("\x03"), LINEEDIT_CANCELLED);
	assert_int_equal(wrapped, 0);
	assert_int_equal(column, 0);
}

static void test_hide_and_show(void **state)
{
	(void)state;
	type("abc" LEFT);
	lineedit_hide(&edit);
	assert_int_equal(column, 0);
	assert_int_equal(strspn(row, " "), COLUMNS);
	lineedit_show(&edit);
	shows("abc", 2);
	type("\x0c");
	shows("abc", 2);
}

/* The window follows the cursor, and nothing wraps. */
static void test_long_line(void **state)
{
	char keys[LINEEDIT_MAX + 1];

	(void)state;
	for (unsigned i = 0; i < LINEEDIT_MAX; i++)
		keys[i] = (char)('a' + i % 26);
	keys[LINEEDIT_MAX] = '\0';
	type(keys);
	assert_int_equal(edit.length, LINEEDIT_MAX);
	type("!");
	assert_int_equal(edit.length, LINEEDIT_MAX);
	assert_int_equal(bells, 1);
	assert_memory_equal(row, "> ", 2);
	assert_int_equal(row[column - 1], keys[LINEEDIT_MAX - 1]);
	type("\x01");
	assert_memory_equal(row, "> abcdefgh", 10);
	assert_int_equal(column, 2);
	for (unsigned i = 0; i < 150; i++)
		type(RIGHT);
	assert_int_equal(row[column], keys[150]);
	assert_int_equal(row[column - 1], keys[149]);
	type("\x7f");
	assert_int_equal(row[column], keys[150]);
	assert_int_equal(row[column - 1], keys[148]);
	type("\x05");
	for (unsigned i = 0; i < LINEEDIT_MAX; i++)
		type("\x7f");
	shows("", 0);
	assert_int_equal(wrapped, 0);
}

static void test_strange_bytes(void **state)
{
	(void)state;
	type("a\x1b[200~b\x1b[99999999999999Dc\x1b[5;3R");
	type("\xff\x80\xc3\xa4\x1b\x1b[D\x1bZ\x1b[\x03");
	lineedit_start(&edit);
	/* Delete as a CSI of its own is a function key. */
	type("abc" LEFT "\x1b[P\x1bOP");
	shows("abc", 2);
}

static void test_random(void **state)
{
	static const char likely[] = "ab \t\r\b\x7f\x1b\x1b[ABCD~1234\x01\x05\x0b\x15\x17\x10\x0e";

	(void)state;
	srand(7);
	for (unsigned i = 0; i < 300000; i++) {
		uint8_t byte = rand() % 3 ? (uint8_t)likely[(size_t)rand() % (sizeof(likely) - 1)]
					  : (uint8_t)rand();

		if (lineedit_key(&edit, byte) != LINEEDIT_MORE)
			lineedit_start(&edit);
		assert_true(edit.length <= LINEEDIT_MAX && edit.cursor <= edit.length);
		assert_int_equal(strlen(edit.line), edit.length);
		assert_true(edit.window <= edit.cursor);
		if (column > COLUMNS)
			fail();
	}
	assert_int_equal(wrapped, 0);
	/* The screen still says what the line is. */
	type("\x03");
	lineedit_start(&edit);
	type("ok");
	shows("ok", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_typing, setup),
		cmocka_unit_test_setup(test_moving, setup),
		cmocka_unit_test_setup(test_killing, setup),
		cmocka_unit_test_setup(test_history, setup),
		cmocka_unit_test_setup(test_history_is_bounded, setup),
		cmocka_unit_test_setup(test_completion, setup),
		cmocka_unit_test_setup(test_completion_in_the_middle, setup),
		cmocka_unit_test_setup(test_ends, setup),
		cmocka_unit_test_setup(test_cancelled_at_the_edge, setup),
		cmocka_unit_test_setup(test_hide_and_show, setup),
		cmocka_unit_test_setup(test_long_line, setup),
		cmocka_unit_test_setup(test_strange_bytes, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
