/* SPDX-License-Identifier: MIT */
/* Pictures of any registers and memory, as a log and a terminal get them. */
#include <string.h>

#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "vm/screen.h"

#define ROOM  4000
#define DRAWS (2 * SCREEN_COLUMNS * SCREEN_ROWS)

static struct screen screen;
static struct vvga vga;
static uint16_t cells[0x4000]; /* from B8000H; the rest is no RAM */

static enum monitor_memory on_read(void *ctx, unsigned vm, uint64_t gpa, void *to, size_t length)
{
	(void)ctx, (void)vm;
	FUZZ_REQUIRE(length && gpa / 4096 == (gpa + length - 1) / 4096);
	if (gpa < 0xB8000 || gpa - 0xB8000 + length > sizeof(cells))
		return MONITOR_NO_RAM;
	memcpy(to, (uint8_t *)cells + (gpa - 0xB8000), length);
	return MONITOR_RAM;
}

/* RFC 3629, and no control characters. */
static void check_text(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		uint8_t c = (uint8_t)text[i];
		unsigned more = c < 0x80 ? 0 : c >= 0xE0 ? 2 : 1;

		FUZZ_REQUIRE(c >= ' ' && c != 0x7F && (c < 0x80 || c >= 0xC2) && c < 0xF0);
		for (; more--; i++)
			FUZZ_REQUIRE(i + 1 < length && ((uint8_t)text[i + 1] & 0xC0) == 0x80);
	}
}

static void on_line(void *ctx, const char *line)
{
	(void)ctx;
	check_text(line, strlen(line));
}

static void look(const struct vvga_picture *picture)
{
	static const struct inspect_reader reader = {on_read, NULL, 0};
	char text[SCREEN_TEXT];
	struct screen_row row;
	unsigned columns, rows;

	screen_size(picture, &columns, &rows);
	FUZZ_REQUIRE(columns <= SCREEN_COLUMNS && rows <= SCREEN_ROWS);
	for (unsigned i = 0; i < rows && picture->text; i++) {
		screen_read_row(picture, &reader, i, &row);
		check_text(text, screen_text(&row, columns, i, text));
	}
	screen_lines(&screen, picture, &reader, on_line, NULL);
}

/* The terminal is brought to the picture, in pieces of `room`. */
static void draw(size_t room)
{
	static char text[ROOM];
	unsigned draws = 0;
	size_t length;

	room = MAX(room % ROOM, (size_t)SCREEN_STEP);
	while ((length = screen_draw(&screen, text, room))) {
		FUZZ_REQUIRE(length <= room && draws++ < DRAWS);
		for (size_t i = 0; i < length; i++)
			FUZZ_REQUIRE((uint8_t)text[i] >= ' ' || text[i] == '\033' ||
				     text[i] == '\r' || text[i] == '\n' || text[i] == '\b');
	}
}

static void check_picture(const struct vvga_picture *picture)
{
	FUZZ_REQUIRE(!picture->text ||
		     (picture->cells && !(picture->cells & (picture->cells - 1))));
}

void fuzz_screen(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);
	struct vvga_picture picture;
	char text[SCREEN_STEP];

	memset(&screen, 0, sizeof(screen));
	memset(cells, 0, sizeof(cells));
	screen_init(&screen);
	vvga_init(&vga, 1000000);
	while (stream_more(&in)) {
		uint8_t choice = stream_byte(&in);

		switch (choice % 8) {
		case 0:
		case 1:
			vvga_write(&vga, VVGA_PORT + stream_byte(&in) % 0x30, 1, stream_byte(&in),
				   0);
			break;
		case 2:
			/* A register of the CRTC. */
			vvga_write(&vga, 0x3D4, 1, stream_byte(&in) % VVGA_CRTC, 0);
			vvga_write(&vga, 0x3D5, 1, stream_byte(&in), 0);
			break;
		case 3:
		case 4:
			for (unsigned at = (unsigned)stream_number(&in, 2), n = choice >> 3;
			     n-- && stream_more(&in);)
				cells[at++ % ARRAY_SIZE(cells)] =
					(uint16_t)(0x700 | stream_byte(&in)) ^
					(uint16_t)(choice << 8);
			break;
		case 5: draw(stream_number(&in, 2)); break;
		case 6: screen_forget(&screen, choice & 8); break;
		case 7:
			vvga_look(&vga, &picture);
			check_picture(&picture);
			look(&picture);
			break;
		}
	}
	draw(0);
	FUZZ_REQUIRE(screen_leave(&screen, text) <= SCREEN_STEP);
	screen_lines_end(&screen, on_line, NULL);
}
