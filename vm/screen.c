/* SPDX-License-Identifier: MIT */
/* What a terminal or a log is told of a text screen. */
#include "vm/screen.h"

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"

#define BLANK	   0x0720
#define BLINK	   0x80
#define NOWHERE	   SCREEN_COLUMNS
#define NO_COLOUR  0x100
#define STILL	   2	/* looks after which a row that is being written counts as a line */
#define CURSOR_OFF 0xFF /* of screen.cursor; others are parameters of DECSCUSR */

/* Code page 437: 00H..1FH, and 7FH..FFH. */
static const uint16_t low[33] = {
	0x0020, 0x263A, 0x263B, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022, 0x25D8, 0x25CB, 0x25D9,
	0x2642, 0x2640, 0x266A, 0x266B, 0x263C, 0x25BA, 0x25C4, 0x2195, 0x203C, 0x00B6, 0x00A7,
	0x25AC, 0x21A8, 0x2191, 0x2193, 0x2192, 0x2190, 0x221F, 0x2194, 0x25B2, 0x25BC, 0x0020,
};
static const uint16_t high[129] = {
	0x2302, 0x00C7, 0x00FC, 0x00E9, 0x00E2, 0x00E4, 0x00E0, 0x00E5, 0x00E7, 0x00EA, 0x00EB,
	0x00E8, 0x00EF, 0x00EE, 0x00EC, 0x00C4, 0x00C5, 0x00C9, 0x00E6, 0x00C6, 0x00F4, 0x00F6,
	0x00F2, 0x00FB, 0x00F9, 0x00FF, 0x00D6, 0x00DC, 0x00A2, 0x00A3, 0x00A5, 0x20A7, 0x0192,
	0x00E1, 0x00ED, 0x00F3, 0x00FA, 0x00F1, 0x00D1, 0x00AA, 0x00BA, 0x00BF, 0x2310, 0x00AC,
	0x00BD, 0x00BC, 0x00A1, 0x00AB, 0x00BB, 0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561,
	0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255D, 0x255C, 0x255B, 0x2510, 0x2514,
	0x2534, 0x252C, 0x251C, 0x2500, 0x253C, 0x255E, 0x255F, 0x255A, 0x2554, 0x2569, 0x2566,
	0x2560, 0x2550, 0x256C, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553,
	0x256B, 0x256A, 0x2518, 0x250C, 0x2588, 0x2584, 0x258C, 0x2590, 0x2580, 0x03B1, 0x00DF,
	0x0393, 0x03C0, 0x03A3, 0x03C3, 0x00B5, 0x03C4, 0x03A6, 0x0398, 0x03A9, 0x03B4, 0x221E,
	0x03C6, 0x03B5, 0x2229, 0x2261, 0x00B1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00F7, 0x2248,
	0x00B0, 0x2219, 0x00B7, 0x221A, 0x207F, 0x00B2, 0x25A0, 0x0020,
};

static unsigned unicode(uint8_t c)
{
	return c < ' ' ? low[c] : c < 0x7F ? c : high[c - 0x7F];
}

static size_t put_utf8(char *text, uint8_t c)
{
	unsigned code = unicode(c);
	size_t length = 0;

	if (code < 0x80) {
		text[length++] = (char)code;
	} else if (code < 0x800) {
		text[length++] = (char)(0xC0 | code >> 6);
		text[length++] = (char)(0x80 | (code & 0x3F));
	} else {
		text[length++] = (char)(0xE0 | code >> 12);
		text[length++] = (char)(0x80 | (code >> 6 & 0x3F));
		text[length++] = (char)(0x80 | (code & 0x3F));
	}
	return length;
}

/* --- Pictures --- */

void screen_size(const struct vvga_picture *picture, unsigned *columns, unsigned *rows)
{
	*columns = picture->text ? MIN(picture->width, SCREEN_COLUMNS) : 80;
	*rows = picture->text ? MIN(picture->height, SCREEN_ROWS) : 25;
}

static void say_graphics(const struct vvga_picture *picture, struct screen_row *to)
{
	char text[40];
	size_t length =
		format(text, sizeof(text), "graphics mode %ux%u", picture->width, picture->height);

	for (size_t i = 0; i < length; i++)
		to->cell[i] = (uint16_t)((BLANK & 0xFF00) | text[i]);
}

/* A piece of the display memory that does not wrap; a page at a time, as the reader wants it. */
static void read_cells(const struct vvga_picture *picture, const struct inspect_reader *reader,
		       uint32_t cell, uint16_t *to, unsigned count)
{
	while (count) {
		uint64_t gpa = picture->base + 2ULL * (cell % picture->cells);
		uint64_t left = (PAGE_SIZE - gpa % PAGE_SIZE) / 2;
		unsigned part = (unsigned)MIN(count, left);

		if (reader->read(reader->ctx, reader->vm, gpa, to, 2ULL * part) != MONITOR_RAM)
			for (unsigned i = 0; i < part; i++)
				to[i] = BLANK;
		cell += part;
		to += part;
		count -= part;
	}
}

void screen_read_row(const struct vvga_picture *picture, const struct inspect_reader *reader,
		     unsigned row, struct screen_row *to)
{
	unsigned columns, rows;

	screen_size(picture, &columns, &rows);
	for (unsigned i = 0; i < SCREEN_COLUMNS; i++)
		to->cell[i] = BLANK;
	if (!picture->on || row >= rows)
		return;
	if (!picture->text) {
		if (!row)
			say_graphics(picture, to);
		return;
	}
	read_cells(picture, reader, picture->start + row * picture->stride, to->cell, columns);
	/* What looks like a blank is one; 80H of an attribute means a blink from here on. */
	for (unsigned i = 0; i < columns; i++)
		if (unicode((uint8_t)to->cell[i]) == ' ')
			to->cell[i] = (uint16_t)((to->cell[i] & 0xFF00) | ' ');
}

size_t screen_text(const struct screen_row *row, unsigned columns, unsigned least,
		   char text[SCREEN_TEXT])
{
	size_t length = 0;

	while (columns > least && (row->cell[columns - 1] & 0xFF) == ' ')
		columns--;
	for (unsigned i = 0; i < columns; i++)
		length += put_utf8(text + length, (uint8_t)row->cell[i]);
	text[length] = '\0';
	return length;
}

void screen_init(struct screen *screen)
{
	memset(screen, 0, sizeof(*screen));
	for (unsigned row = 0; row < SCREEN_ROWS; row++) {
		for (unsigned i = 0; i < SCREEN_COLUMNS; i++)
			screen->now[row].cell[i] = BLANK;
		screen->told[row] = true;
	}
	screen_forget(screen, true);
}

/* --- Lines for a log --- */

static bool is_blank(const struct screen_row *row)
{
	for (unsigned i = 0; i < SCREEN_COLUMNS; i++)
		if ((row->cell[i] & 0xFF) != ' ')
			return false;
	return true;
}

static void tell(struct screen *screen, unsigned row, void (*put)(void *ctx, const char *line),
		 void *ctx)
{
	char text[SCREEN_TEXT];
	/* A prompt may end with a blank. */
	unsigned least = row == screen->cursor_y ? MIN(screen->cursor_x, screen->columns) : 0;

	if (!screen->told[row] && screen_text(&screen->now[row], screen->columns, 0, text)) {
		screen_text(&screen->now[row], screen->columns, least, text);
		put(ctx, text);
	}
	screen->told[row] = true;
}

/*
 * By how many rows the picture has moved up since the last look: the number for which most rows
 * are where they must be.
 */
static unsigned find_scroll(const struct screen *screen, const struct screen_row *fresh)
{
	unsigned best = 0, best_rows = 0;

	for (unsigned by = 0; by < screen->rows; by++) {
		unsigned rows = 0;

		for (unsigned row = 0; row + by < screen->rows; row++)
			rows += !memcmp(&fresh[row], &screen->now[row + by], sizeof(*fresh)) &&
				!is_blank(&fresh[row]);
		if (rows > best_rows) {
			best = by;
			best_rows = rows;
		}
	}
	return best;
}

static void scroll(struct screen *screen, unsigned by)
{
	unsigned rest = SCREEN_ROWS - by;

	memmove(screen->now, screen->now + by, rest * sizeof(screen->now[0]));
	memmove(screen->told, screen->told + by, rest * sizeof(screen->told[0]));
	memmove(screen->still, screen->still + by, rest * sizeof(screen->still[0]));
	for (unsigned row = rest; row < SCREEN_ROWS; row++)
		screen->told[row] = true;
}

static void find_cursor(struct screen *screen)
{
	const struct vvga_picture *p = &screen->picture;
	bool there = p->text && p->cursor && p->stride;
	uint32_t ahead = there ? (p->at - p->start) % p->cells : 0;

	screen->cursor_y = there ? ahead / p->stride : SCREEN_ROWS;
	screen->cursor_x = there ? ahead % p->stride : 0;
}

/* Takes the new picture's row; true: it is another one. */
static bool take_row(struct screen *screen, unsigned row, const struct screen_row *fresh)
{
	struct screen_row *was = &screen->now[row];
	char before[SCREEN_TEXT], after[SCREEN_TEXT];

	if (!memcmp(was, fresh, sizeof(*was))) {
		screen->still[row] += screen->still[row] < STILL;
		return false;
	}
	screen_text(was, SCREEN_COLUMNS, 0, before);
	screen_text(fresh, SCREEN_COLUMNS, 0, after);
	/* Another colour is no news for a log. */
	if (strcmp(before, after))
		screen->told[row] = false;
	screen->still[row] = 0;
	*was = *fresh;
	return true;
}

bool screen_lines(struct screen *screen, const struct vvga_picture *picture,
		  const struct inspect_reader *reader, void (*put)(void *ctx, const char *line),
		  void *ctx)
{
	struct screen_row *fresh = screen->fresh;
	unsigned by, x = screen->cursor_x, y = screen->cursor_y;
	bool rows = false;

	screen->picture = *picture;
	screen_size(picture, &screen->columns, &screen->rows);
	find_cursor(screen);
	for (unsigned row = 0; row < SCREEN_ROWS; row++) {
		screen_read_row(picture, reader, row, &fresh[row]);
		rows |= memcmp(&fresh[row], &screen->now[row], sizeof(*fresh)) != 0;
	}
	by = rows ? find_scroll(screen, fresh) : 0;
	for (unsigned row = 0; row < by; row++)
		tell(screen, row, put, ctx);
	if (by)
		scroll(screen, by);
	for (unsigned row = 0; row < SCREEN_ROWS; row++)
		take_row(screen, row, &fresh[row]);
	/* The cursor follows what is written: rows below it may be but half of it. */
	for (unsigned row = 0; row < screen->rows; row++)
		if (row < screen->cursor_y || screen->still[row] == STILL)
			tell(screen, row, put, ctx);
	return rows || x != screen->cursor_x || y != screen->cursor_y;
}

void screen_lines_end(struct screen *screen, void (*put)(void *ctx, const char *line), void *ctx)
{
	for (unsigned row = 0; row < screen->rows; row++)
		tell(screen, row, put, ctx);
}

/* --- A terminal --- */

/* VGA counts blue, green, red from bit 0; terminals red, green, blue. */
static unsigned colour(unsigned vga)
{
	return (vga & 1) << 2 | (vga & 2) | (vga >> 2 & 1);
}

static size_t put_attribute(const struct screen *screen, char *text, unsigned attribute)
{
	bool top = attribute & BLINK, blinks = top && screen->picture.blinks;

	return format(text, SCREEN_STEP, "\x1b[0;%s%u;%um", blinks ? "5;" : "",
		      (attribute & 8 ? 90 : 30) + colour(attribute),
		      (top && !blinks ? 100 : 40) + colour(attribute >> 4));
}

void screen_forget(struct screen *screen, bool clear)
{
	for (unsigned row = 0; row < SCREEN_ROWS; row++)
		for (unsigned i = 0; i < SCREEN_COLUMNS; i++)
			screen->shown[row].cell[i] = clear ? BLANK : 0;
	screen->cleared = !clear;
	screen->at_x = NOWHERE;
	screen->attribute = NO_COLOUR;
	screen->cursor = 0;
}

/* One cell, with what must come before it. */
static size_t draw_cell(struct screen *screen, char *text, unsigned x, unsigned y)
{
	uint16_t cell = screen->now[y].cell[x];
	size_t length = 0;

	if (screen->at_x != x || screen->at_y != y)
		length += format(text, SCREEN_STEP, "\x1b[%u;%uH", y + 1, x + 1);
	if (screen->attribute != cell >> 8) {
		screen->attribute = cell >> 8;
		length += put_attribute(screen, text + length, screen->attribute);
	}
	length += put_utf8(text + length, (uint8_t)cell);
	screen->shown[y].cell[x] = cell;
	/* Where the cursor is after the last column is the terminal's affair. */
	screen->at_x = x + 1 < screen->columns ? x + 1 : NOWHERE;
	screen->at_y = y;
	return length;
}

static size_t draw_cursor(struct screen *screen, char *text)
{
	const struct vvga_picture *p = &screen->picture;
	unsigned y = screen->cursor_y, x = screen->cursor_x, cursor = CURSOR_OFF;
	size_t length = 0;

	if (y < screen->rows)
		cursor = p->cursor_full ? 1 : 3;
	if (cursor != screen->cursor) {
		screen->cursor = cursor;
		if (cursor == CURSOR_OFF)
			length += format(text, SCREEN_STEP, "\x1b[?25l");
		else
			length += format(text, SCREEN_STEP, "\x1b[?25h\x1b[%u q", cursor);
	}
	if (cursor != CURSOR_OFF && (screen->at_x != x || screen->at_y != y) && x < NOWHERE) {
		length += format(text + length, SCREEN_STEP, "\x1b[%u;%uH", y + 1, x + 1);
		screen->at_x = x;
		screen->at_y = y;
	}
	return length;
}

size_t screen_draw(struct screen *screen, char *text, size_t room)
{
	size_t length = 0;

	if (!screen->cleared)
		length += format(text, room, "\x1b[0;37;40m\x1b[2J");
	screen->cleared = true;
	for (unsigned y = 0; y < screen->rows; y++)
		for (unsigned x = 0; x < screen->columns; x++) {
			if (screen->now[y].cell[x] == screen->shown[y].cell[x])
				continue;
			if (room - length < SCREEN_STEP)
				return length;
			length += draw_cell(screen, text + length, x, y);
		}
	if (room - length >= SCREEN_STEP)
		length += draw_cursor(screen, text + length);
	return length;
}

size_t screen_leave(const struct screen *screen, char *text)
{
	return format(text, SCREEN_STEP, "\x1b[0m\x1b[?25h\x1b[0 q\x1b[%u;1H\x1b[J",
		      screen->rows + 1);
}
