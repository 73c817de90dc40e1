/* SPDX-License-Identifier: MIT */
/* Lines that share a view. */
#include "vm/mux_line.h"

#include "lib/string.h"

#define ESC	 0x1B
#define CAN	 0x18
#define SUB	 0x1A
#define BEL	 0x07
#define BS	 0x08
#define DEL	 0x7F
#define REPLACED '?'
#define C1_LAST	 0x9F /* U+0080..U+009F are control characters */

/* ECMA-48: escape sequences, control sequences, control strings. */
enum { GROUND, ESCAPE, INTERMEDIATE, CSI, STRING, STRING_ESCAPE };

/* The next state after a byte of a sequence; a newline ends every one, lest a line get lost. */
static uint8_t next_escape(uint8_t state, uint8_t byte)
{
	if (byte == CAN || byte == SUB)
		return GROUND;
	if (byte == ESC)
		return state == STRING ? STRING_ESCAPE : ESCAPE;
	switch (state) {
	case STRING: return byte == BEL ? GROUND : STRING;
	case STRING_ESCAPE: return byte == '\\' ? GROUND : STRING;
	case ESCAPE:
		if (byte == '[')
			return CSI;
		if (byte == ']' || byte == 'P' || byte == '^' || byte == '_' || byte == 'X')
			return STRING;
		/* fall through */
	case INTERMEDIATE: return byte >= ' ' && byte < '0' ? INTERMEDIATE : GROUND;
	case CSI: return byte >= '@' ? GROUND : CSI;
	}
	return GROUND;
}

static void add(struct mux_line *line, uint8_t byte)
{
	line->text[line->length++] = byte;
}

/* Bytes that follow the first one of a UTF-8 character; 0 for what cannot be first. */
static uint8_t utf8_following(uint8_t byte)
{
	if (byte >= 0xC2 && byte <= 0xDF)
		return 1;
	if (byte >= 0xE0 && byte <= 0xEF)
		return 2;
	return byte >= 0xF0 && byte <= 0xF4 ? 3 : 0;
}

/* A well-formed sequence that is no control character. Unicode, "UTF-8", table 3-7. */
static bool utf8_sound(const uint8_t *bytes)
{
	if (bytes[0] == 0xC2)
		return bytes[1] > C1_LAST;
	if (bytes[0] == 0xE0)
		return bytes[1] >= 0xA0;
	if (bytes[0] == 0xED)
		return bytes[1] <= 0x9F;
	if (bytes[0] == 0xF0)
		return bytes[1] >= 0x90;
	return bytes[0] != 0xF4 || bytes[1] <= 0x8F;
}

static void end_utf8(struct mux_line *line)
{
	if (!line->utf8_used)
		return;
	if (line->utf8_left || !utf8_sound(line->utf8)) {
		add(line, REPLACED);
	} else {
		for (unsigned i = 0; i < line->utf8_used; i++)
			add(line, line->utf8[i]);
	}
	line->utf8_used = line->utf8_left = 0;
}

static void add_high(struct mux_line *line, uint8_t byte)
{
	if (line->utf8_left && (byte & 0xC0) == 0x80) {
		line->utf8[line->utf8_used++] = byte;
		if (!--line->utf8_left)
			end_utf8(line);
		return;
	}
	end_utf8(line);
	line->utf8_left = utf8_following(byte);
	if (!line->utf8_left) {
		add(line, REPLACED);
		return;
	}
	line->utf8[0] = byte;
	line->utf8_used = 1;
}

enum mux_piece mux_line_byte(struct mux_line *line, uint8_t byte, bool *taken)
{
	*taken = true;
	if (byte == '\n') {
		end_utf8(line);
		line->after_cr = false;
		line->escape = GROUND;
		return MUX_END;
	}
	if (line->escape != GROUND || byte == ESC) {
		line->escape = line->escape == GROUND ? ESCAPE : next_escape(line->escape, byte);
		return MUX_NOTHING;
	}
	if (line->after_cr && byte != '\r') {
		*taken = false;
		line->after_cr = false;
		return MUX_RETURN;
	}
	/* A character that breaks off another adds its replacement and up to four bytes. */
	if (line->length + 1 + sizeof(line->utf8) >= MUX_LINE_MAX) {
		*taken = false;
		return MUX_PART;
	}
	if (byte >= 0x80) {
		add_high(line, byte);
		return MUX_NOTHING;
	}
	end_utf8(line);
	if (byte == '\r')
		line->after_cr = true;
	else if ((byte >= ' ' && byte < DEL) || byte == '\t' || byte == BS)
		add(line, byte);
	return MUX_NOTHING;
}

enum mux_piece mux_line_rest(const struct mux_line *line)
{
	if (line->after_cr)
		return MUX_RETURN;
	return line->length ? MUX_PART : MUX_NOTHING;
}

/*
 * What is not ASCII may take no column, and a tab takes at least one: `column` never says more
 * than there are.
 */
size_t mux_line_text(struct mux_line *line, bool fresh, uint8_t to[MUX_LINE_MAX])
{
	size_t length = 0;

	if (fresh)
		line->column = 0;
	for (unsigned i = 0; i < line->length; i++) {
		uint8_t byte = line->text[i];

		if (byte == BS && !line->column)
			continue;
		if (byte == BS)
			line->column--;
		else if (byte < 0x80)
			line->column++;
		to[length++] = byte;
	}
	line->length = 0;
	line->after_cr = false;
	return length;
}
