/* SPDX-License-Identifier: MIT */
/* Text on the machine's screen. */
#include "arch/x86_64/screen.h"

#include "gen/font.h"
#include "lib/bits.h"
#include "lib/spinlock.h"
#include "lib/string.h"

#define TEXT_ATTRIBUTE 0x0700 /* light grey on black */
#define TEXT_MAX       256    /* columns and rows that a text mode may have */
#define TEXT_BYTES     16384
#define PIXELS_MAX     16384

static struct {
	struct spinlock lock; /* of where the next character goes, and of the picture */
	bool lock_broken;
	bool text; /* else pixels */
	uint8_t *buffer;
	uint32_t pitch; /* bytes */
	uint32_t columns, rows;
	uint32_t column, row;
	uint32_t bytes; /* in a pixel */
	uint32_t ink;
} screen;

/* What a text screen shows. To read it back would be slow on a CPU, and under a hypervisor an exit
 * for each word, milliseconds for a line. */
static uint16_t shadow[TEXT_BYTES / 2];

static void put_cell(uint32_t row, uint32_t column, uint16_t cell)
{
	uint32_t at = row * screen.pitch / 2 + column;

	shadow[at] = cell;
	((volatile uint16_t *)screen.buffer)[at] = cell;
}

bool screen_init_text(uint64_t address, uint32_t pitch, uint32_t columns, uint32_t rows)
{
	if (!columns || !rows || columns > TEXT_MAX || rows > TEXT_MAX || pitch < columns * 2 ||
	    pitch % 2 || pitch > TEXT_BYTES / rows)
		return false;
	screen.text = true;
	screen.buffer = (uint8_t *)address;
	screen.pitch = pitch;
	screen.columns = columns;
	screen.rows = rows;
	for (uint32_t row = 0; row < rows; row++)
		for (uint32_t column = 0; column < columns; column++)
			put_cell(row, column, TEXT_ATTRIBUTE | ' ');
	return true;
}

static uint32_t component(uint8_t shift, uint8_t size)
{
	return size && size <= 8 && shift < 32 ? (uint32_t)(mask_bytes(1) >> (8 - size)) << shift
					       : 0;
}

bool screen_init_pixels(uint64_t address, uint32_t pitch, uint32_t width, uint32_t height,
			const struct screen_pixel *pixel)
{
	uint32_t bytes = (pixel->bits + 7u) / 8;

	if (bytes < 2 || bytes > 4 || width > PIXELS_MAX || height > PIXELS_MAX ||
	    width < FONT_WIDTH || height < FONT_HEIGHT || pitch < width * bytes)
		return false;
	screen.buffer = (uint8_t *)address;
	screen.pitch = pitch;
	screen.columns = width / FONT_WIDTH;
	screen.rows = height / FONT_HEIGHT;
	screen.bytes = bytes;
	screen.ink = component(pixel->red_shift, pixel->red_size) |
		     component(pixel->green_shift, pixel->green_size) |
		     component(pixel->blue_shift, pixel->blue_size);
	for (uint32_t row = 0; row < height; row++)
		memset(screen.buffer + (uint64_t)row * pitch, 0, width * bytes);
	return true;
}

static void draw_glyph(uint8_t c)
{
	const uint8_t *glyph = font_glyphs[c >= FONT_FIRST && c <= FONT_LAST ? c - FONT_FIRST : 0];
	uint8_t *line = screen.buffer + (uint64_t)screen.row * FONT_HEIGHT * screen.pitch +
			screen.column * FONT_WIDTH * screen.bytes;

	for (unsigned y = 0; y < FONT_HEIGHT; y++, line += screen.pitch) {
		for (unsigned x = 0; x < FONT_WIDTH; x++) {
			uint32_t colour = glyph[y] & (0x80u >> x) ? screen.ink : 0;

			memcpy(line + x * screen.bytes, &colour, screen.bytes);
		}
	}
}

static void scroll_pixels(void)
{
	uint64_t line = (uint64_t)FONT_HEIGHT * screen.pitch;
	uint8_t *last = screen.buffer + (screen.rows - 1) * line;

	memmove(screen.buffer, screen.buffer + line, (screen.rows - 1) * line);
	memset(last, 0, line);
}

static void scroll_text(void)
{
	uint32_t line = screen.pitch / 2, last = (screen.rows - 1) * line;

	memmove(shadow, shadow + line, last * 2);
	for (uint32_t column = 0; column < screen.columns; column++)
		shadow[last + column] = TEXT_ATTRIBUTE | ' ';
	memcpy(screen.buffer, shadow, (last + line) * 2);
}

static void scroll(void)
{
	if (screen.text)
		scroll_text();
	else
		scroll_pixels();
}

static void new_line(void)
{
	screen.column = 0;
	if (screen.row + 1 < screen.rows)
		screen.row++;
	else
		scroll();
}

static void put(uint8_t c)
{
	if (c == '\n') {
		new_line();
		return;
	}
	if (c == '\r') {
		screen.column = 0;
		return;
	}
	if (c < ' ')
		return;
	if (screen.column == screen.columns)
		new_line();
	if (screen.text)
		put_cell(screen.row, screen.column, TEXT_ATTRIBUTE | c);
	else
		draw_glyph(c);
	screen.column++;
}

void screen_sink(const char *text, size_t length)
{
	if (!screen.buffer)
		return;
	if (!screen.lock_broken)
		spin_lock(&screen.lock);
	for (size_t i = 0; i < length; i++)
		put((uint8_t)text[i]);
	if (!screen.lock_broken)
		spin_unlock(&screen.lock);
}

void screen_break_lock(void)
{
	screen.lock_broken = true;
}
