/* SPDX-License-Identifier: MIT */
/*
 * A text screen as a log and as a terminal see it. The terminal is a small one of the test's own,
 * which must end up with what the guest's memory holds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vm/screen.h"

#define COLUMNS 80
#define ROWS	25
#define BASE	0xB8000

static struct screen screen;
static struct vvga vga;
static uint16_t ram[0x4000];
static char said[8192];

static enum monitor_memory on_read(void *ctx, unsigned vm, uint64_t gpa, void *to, size_t length)
{
	assert_ptr_equal(ctx, ram);
	assert_int_equal(vm, 3);
	assert_true(gpa / 4096 == (gpa + length - 1) / 4096);
	assert_true(gpa >= BASE && gpa + length <= BASE + sizeof(ram));
	memcpy(to, (uint8_t *)ram + (gpa - BASE), length);
	return MONITOR_RAM;
}

static const struct inspect_reader reader = {on_read, ram, 3};

static void on_line(void *ctx, const char *line)
{
	assert_ptr_equal(ctx, said);
	strcat(strcat(said, line), "\n");
}

static void set(uint8_t index, uint8_t value)
{
	vvga_write(&vga, 0x3D4, 1, index, 0);
	vvga_write(&vga, 0x3D5, 1, value, 0);
}

static void put_cursor(unsigned x, unsigned y)
{
	unsigned at = y * COLUMNS + x;

	set(0x0E, (uint8_t)(at >> 8));
	set(0x0F, (uint8_t)at);
}

static void print(unsigned y, const char *text)
{
	for (unsigned i = 0; i < COLUMNS; i++)
		ram[y * COLUMNS + i] = 0x0720;
	for (unsigned i = 0; text[i]; i++)
		ram[y * COLUMNS + i] = (uint16_t)(0x0700 | (uint8_t)text[i]);
}

static void start(void)
{
	vvga_init(&vga, 1000000);
	for (unsigned i = 0; i < 0x4000; i++)
		ram[i] = 0x0720;
	screen_init(&screen);
}

static const char *look(void)
{
	struct vvga_picture picture;

	said[0] = '\0';
	vvga_look(&vga, &picture);
	screen_lines(&screen, &picture, &reader, on_line, said);
	return said;
}

static void test_lines_as_they_come(void **state)
{
	(void)state;
	start();
	assert_string_equal(look(), "");
	print(0, "one");
	print(1, "tw");
	put_cursor(2, 1);
	assert_string_equal(look(), "one\n"); /* the row of the cursor is being written */
	print(1, "two");
	put_cursor(0, 2);
	assert_string_equal(look(), "two\n");
	print(2, "login: ");
	put_cursor(7, 2);
	assert_string_equal(look(), "");
	look();
	assert_string_equal(look(), "login: \n"); /* until it stays, with its blank */
	assert_string_equal(look(), "");
	ram[0] = 0x4F6F; /* another colour */
	assert_string_equal(look(), "");
}

static void test_scrolling(void **state)
{
	char line[16];

	(void)state;
	start();
	for (unsigned i = 0; i < ROWS - 1; i++) {
		snprintf(line, sizeof(line), "line %u", i);
		print(i, line);
	}
	put_cursor(0, ROWS - 1);
	look();
	print(ROWS - 1, "line 24, half");
	put_cursor(13, ROWS - 1);
	assert_string_equal(look(), "");
	/* Seven rows up, by copying; the row that was being written has gone on. */
	memmove(ram, ram + 7 * COLUMNS, (ROWS - 7) * COLUMNS * 2);
	print(ROWS - 8, "line 24, half and whole");
	for (unsigned i = 0; i < 6; i++) {
		snprintf(line, sizeof(line), "line %u", 25 + i);
		print(ROWS - 7 + i, line);
	}
	print(ROWS - 1, "");
	put_cursor(0, ROWS - 1);
	assert_string_equal(look(), "line 24, half and whole\nline 25\nline 26\nline 27\n"
				    "line 28\nline 29\nline 30\n");
	/* The same by the start address. */
	set(0x0D, 2 * COLUMNS);
	print(ROWS, "line 31");
	put_cursor(0, ROWS + 1);
	assert_string_equal(look(), "line 31\n");
}

static void test_what_scrolls_off_untold(void **state)
{
	(void)state;
	start();
	print(0, "a");
	print(1, "b");
	print(2, "prompt");
	put_cursor(6, 2);
	look();
	/* The row of the cursor goes off before anybody took it for whole. */
	memmove(ram, ram + 3 * COLUMNS, (ROWS - 3) * COLUMNS * 2);
	print(0, "new");
	put_cursor(0, 1);
	look();
	assert_non_null(strstr(said, "new\n"));
	print(1, "last");
	put_cursor(4, 1);
	look();
	said[0] = '\0';
	screen_lines_end(&screen, on_line, said);
	assert_string_equal(said, "last\n");
}

/* A prompt is written before the cursor comes: its last blank belongs to it. */
static void test_cursor_that_follows(void **state)
{
	(void)state;
	start();
	print(0, "last line");
	put_cursor(9, 0);
	look();
	print(1, "guest:/ # ");
	look();
	assert_null(strstr(said, "guest"));
	put_cursor(10, 1);
	assert_string_equal(look(), "last line\n");
	assert_string_equal(look(), "guest:/ # \n");
}

static void test_graphics_in_words(void **state)
{
	(void)state;
	start();
	print(0, "text");
	put_cursor(0, 1);
	look();
	vvga_write(&vga, 0x3CE, 2, 0x06, 0);
	vvga_write(&vga, 0x3CF, 1, 0x05, 0);
	assert_string_equal(look(), "graphics mode 640x25\n");
	vvga_init(&vga, 1);
	put_cursor(0, 1);
	assert_string_equal(look(), "text\n");
}

static void test_code_page(void **state)
{
	char text[SCREEN_TEXT];
	struct screen_row row = {{0x07C9, 0x0781, 0x0701, 0x077F, 0x0741, 0x07DB, 0x0720}};

	(void)state;
	assert_int_equal(screen_text(&row, 7, 0, text), 3 + 2 + 3 + 3 + 1 + 3);
	assert_string_equal(text, "\u2554\u00FC\u263A\u2302A\u2588");
}

/* --- A terminal --- */

struct terminal {
	unsigned x, y, fg, bg;
	bool blink, visible;
	uint16_t cell[ROWS][COLUMNS];
	size_t bytes;
} tty;

static void sgr(unsigned n)
{
	static const unsigned vga_colour[] = {0, 4, 2, 6, 1, 5, 3, 7};

	if (n == 0)
		tty.fg = 7, tty.bg = 0, tty.blink = false;
	else if (n == 5)
		tty.blink = true;
	else if (n >= 30 && n < 38)
		tty.fg = vga_colour[n - 30];
	else if (n >= 90 && n < 98)
		tty.fg = vga_colour[n - 90] | 8;
	else if (n >= 40 && n < 48)
		tty.bg = vga_colour[n - 40];
	else if (n >= 100 && n < 108)
		tty.bg = vga_colour[n - 100] | 8;
	else
		fail();
}

static const char *csi(const char *at)
{
	unsigned n[4] = {0}, count = 0;
	bool private = *at == '?';

	for (at += private; (*at >= '0' && *at <= '9') || *at == ';' || *at == ' '; at++) {
		if (*at == ';')
			count++;
		else if (*at != ' ')
			n[count] = n[count] * 10 + (unsigned)(*at - '0');
	}
	switch (*at) {
	case 'H': tty.y = n[0] - 1, tty.x = n[1] - 1; break;
	case 'J':
		for (unsigned i = 0; i < ROWS * COLUMNS; i++)
			tty.cell[i / COLUMNS][i % COLUMNS] = 0x0720;
		break;
	case 'm':
		for (unsigned i = 0; i <= count; i++)
			sgr(n[i]);
		break;
	case 'h':
	case 'l': tty.visible = *at == 'h'; break;
	case 'q': break;
	default: fail();
	}
	return at + 1;
}

/* Characters are compared by their first byte: ASCII as itself, others as code page 437's. */
static void terminal(const char *at, size_t length)
{
	const char *end = at + length;

	tty.bytes += length;
	while (at < end) {
		uint16_t attribute = (uint16_t)(tty.fg | tty.bg << 4 | (tty.blink ? 0x80 : 0));

		if (*at == '\x1b' && at[1] == '[') {
			at = csi(at + 2);
			continue;
		}
		assert_true((uint8_t)*at >= ' ' && (uint8_t)*at < 0x7F);
		assert_in_range(tty.x, 0, COLUMNS - 1);
		assert_in_range(tty.y, 0, ROWS - 1);
		tty.cell[tty.y][tty.x++] = (uint16_t)(attribute << 8 | (uint8_t)*at++);
	}
}

static void draw(size_t room)
{
	char text[1024];
	size_t length;

	tty.bytes = 0;
	while ((length = screen_draw(&screen, text, room))) {
		assert_true(length <= room);
		terminal(text, length);
	}
	assert_memory_equal(tty.cell, ram, sizeof(tty.cell));
}

static void test_drawing(void **state)
{
	(void)state;
	start();
	print(3, "Hello");
	put_cursor(5, 3);
	look();
	memset(tty.cell, 0x55, sizeof(tty.cell));
	draw(SCREEN_STEP);
	assert_true(tty.visible && tty.x == 5 && tty.y == 3);
	draw(1024);
	assert_int_equal(tty.bytes, 0);
	ram[3 * COLUMNS + 5] = 0x0721;
	put_cursor(6, 3);
	look();
	draw(1024);
	assert_int_equal(tty.bytes, 1); /* the cursor is there already */
	set(0x0A, 0x20);
	look();
	draw(1024);
	assert_false(tty.visible);
	/* Somebody else has written on it. */
	memset(tty.cell, 0, sizeof(tty.cell));
	screen_forget(&screen, false);
	draw(200);
}

static void test_drawing_anything(void **state)
{
	(void)state;
	start();
	srand(9);
	for (unsigned round = 0; round < 300; round++) {
		for (int i = rand() % 2000; i; i--) {
			unsigned c = ' ' + (unsigned)rand() % ('~' - ' ');

			ram[rand() % (ROWS * COLUMNS)] = (uint16_t)((rand() % 256) << 8 | c);
		}
		put_cursor((unsigned)rand() % COLUMNS, (unsigned)rand() % ROWS);
		look();
		draw(SCREEN_STEP + (size_t)rand() % 900);
	}
}

/* Whatever the registers say, nothing outside of the display memory is read. */
static void test_any_registers(void **state)
{
	char text[512];

	(void)state;
	start();
	srand(11);
	for (unsigned i = 0; i < 3000; i++) {
		struct vvga_picture picture;

		set(0x11, 0);
		for (unsigned j = 0; j < 4; j++)
			set((uint8_t)(rand() % 0x19), (uint8_t)rand());
		vvga_look(&vga, &picture);
		said[0] = '\0';
		screen_lines(&screen, &picture, &reader, on_line, said);
		for (unsigned j = 0; j < 200 && screen_draw(&screen, text, sizeof(text)); j++)
			;
		screen_leave(&screen, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_as_they_come),
		cmocka_unit_test(test_scrolling),
		cmocka_unit_test(test_what_scrolls_off_untold),
		cmocka_unit_test(test_cursor_that_follows),
		cmocka_unit_test(test_graphics_in_words),
		cmocka_unit_test(test_code_page),
		cmocka_unit_test(test_drawing),
		cmocka_unit_test(test_drawing_anything),
		cmocka_unit_test(test_any_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
