/* SPDX-License-Identifier: MIT */
/*
 * What a terminal sends, three ways: as keys of a VM's keyboard, which come up again; as scan codes
 * of the machine's own; and in the line editor, whose terminal holds what the line is.
 */
#include <string.h>

#include "arch/x86_64/scancode.h"
#include "devices/vps2.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "vm/keys.h"
#include "vm/lineedit.h"

#define HZ     1000
#define PROMPT "> "

static bool down[256];
static struct vps2 keyboard;

static void press(void *ctx, uint8_t key, bool pressed)
{
	(void)ctx;
	FUZZ_REQUIRE(down[key] != pressed);
	down[key] = pressed;
	FUZZ_REQUIRE(vps2_key(&keyboard, key, pressed));
	while (vps2_waiting(&keyboard))
		vps2_read(&keyboard);
}

static void as_keys(const uint8_t *data, size_t size)
{
	struct keys keys = {0};
	uint64_t now = 1;

	vps2_init(&keyboard, false);
	memset(down, 0, sizeof(down));
	for (size_t i = 0; i < size; i++) {
		now += data[i] % 64;
		keys_rest(&keys, now, HZ, press, NULL);
		keys_byte(&keys, data[i], now, press, NULL);
	}
	keys_rest(&keys, now + HZ, HZ, press, NULL);
	FUZZ_REQUIRE(!keys_open(&keys));
	for (unsigned i = 0; i < 256; i++)
		FUZZ_REQUIRE(!down[i]);
}

static void as_scan_codes(const uint8_t *data, size_t size)
{
	struct scancode state = {0};
	char text[SCANCODE_TEXT_MAX];

	for (size_t i = 0; i < size; i++)
		FUZZ_REQUIRE(strlen(scancode_text(&state, data[i], text)) < SCANCODE_TEXT_MAX);
}

/* --- The line editor: a terminal of one line --- */

static struct {
	char cell[LINEEDIT_COLUMNS + 1];
	unsigned at;
	unsigned escape, number;
} terminal;

static void control(char c)
{
	unsigned count = terminal.number ? terminal.number : 1;

	switch (c) {
	case 'C': terminal.at += count; break;
	case 'D': terminal.at -= count < terminal.at ? count : terminal.at; break;
	case 'G': terminal.at = count - 1; break;
	case 'K': memset(terminal.cell + terminal.at, ' ', LINEEDIT_COLUMNS - terminal.at); break;
	default: break;
	}
	FUZZ_REQUIRE(terminal.at <= LINEEDIT_COLUMNS);
}

static void show(char c)
{
	if (terminal.escape == 1) {
		terminal.escape = c == '[' ? 2 : 0;
		terminal.number = 0;
	} else if (terminal.escape == 2 && c >= '0' && c <= '9') {
		terminal.number = terminal.number * 10 + (unsigned)(c - '0');
	} else if (terminal.escape == 2) {
		terminal.escape = 0;
		control(c);
	} else if (c == '\033') {
		terminal.escape = 1;
	} else if (c == '\r') {
		terminal.at = 0;
	} else if (c == '\n') {
		memset(terminal.cell, ' ', LINEEDIT_COLUMNS);
	} else if (c == '\b') {
		FUZZ_REQUIRE(terminal.at > 0);
		terminal.at--;
	} else if (c >= ' ') {
		FUZZ_REQUIRE(terminal.at < LINEEDIT_COLUMNS); /* it never wraps */
		terminal.cell[terminal.at++] = c;
	}
}

static void put(void *ctx, const char *text, size_t length)
{
	(void)ctx;
	for (size_t i = 0; i < length; i++)
		show(text[i]);
}

static bool complete(void *ctx, const char *line, size_t length, unsigned index,
		     char word[LINEEDIT_WORD])
{
	static const char *const words[] = {"start", "status", "stop", "a-long-word-that-is-alone"};
	size_t begin = length;

	(void)ctx;
	while (begin && line[begin - 1] != ' ')
		begin--;
	for (unsigned i = 0; i < 4; i++) {
		if (strncmp(words[i], line + begin, length - begin) != 0)
			continue;
		if (index-- == 0) {
			strcpy(word, words[i]);
			return true;
		}
	}
	return false;
}

/* The terminal shows the prompt and the part of the line around the cursor. */
static void check_line(const struct lineedit *edit)
{
	size_t shown = edit->length - edit->window;

	FUZZ_REQUIRE(edit->length <= LINEEDIT_MAX && edit->cursor <= edit->length);
	FUZZ_REQUIRE(strlen(edit->line) == edit->length && edit->window <= edit->cursor);
	if (shown > LINEEDIT_COLUMNS - strlen(PROMPT))
		shown = LINEEDIT_COLUMNS - strlen(PROMPT);
	FUZZ_REQUIRE(terminal.at == strlen(PROMPT) + edit->cursor - edit->window);
	FUZZ_REQUIRE(memcmp(terminal.cell, PROMPT, strlen(PROMPT)) == 0);
	for (size_t i = 0; i + 1 < shown; i++)
		FUZZ_REQUIRE(terminal.cell[strlen(PROMPT) + i] == edit->line[edit->window + i]);
}

static void key(struct lineedit *edit, uint8_t byte)
{
	switch (lineedit_key(edit, byte)) {
	case LINEEDIT_MORE: return;
	case LINEEDIT_LINE:
	case LINEEDIT_CANCELLED: FUZZ_REQUIRE(terminal.at == 0); break;
	case LINEEDIT_END: put(NULL, "\r\n", 2); break;
	}
	lineedit_start(edit);
}

static void as_a_line(const uint8_t *data, size_t size)
{
	static const struct lineedit_ops ops = {put, complete};
	static struct lineedit edit;

	memset(&terminal, 0, sizeof(terminal));
	memset(terminal.cell, ' ', LINEEDIT_COLUMNS);
	lineedit_init(&edit, PROMPT, &ops, NULL);
	lineedit_start(&edit);
	for (size_t i = 0; i < size; i++) {
		if (data[i] >= 0xF0) {
			lineedit_hide(&edit);
			lineedit_show(&edit);
		} else {
			key(&edit, data[i]);
		}
		check_line(&edit);
	}
}

void fuzz_keys(const uint8_t *data, size_t size)
{
	as_keys(data, size);
	as_scan_codes(data, size);
	as_a_line(data, size);
}
