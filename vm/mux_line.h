/* SPDX-License-Identifier: MIT */
/*
 * A VM's line on its way into a view that it shares with others: gathered until it is whole, and
 * with nothing in it that could leave the line or overwrite what stands before it. Escape sequences
 * (ECMA-48) and control characters are dropped but tab, and backspace as far as the line's start;
 * bytes above ASCII pass as whole UTF-8 characters only.
 */
#ifndef VM_MUX_LINE_H
#define VM_MUX_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUX_LINE_MAX 240 /* bytes of a line that wait to be shown together */

struct mux_line {
	uint8_t text[MUX_LINE_MAX];
	unsigned length;
	unsigned column;   /* how far to the left backspaces may go from what is shown */
	bool broken;	   /* somebody else ended the line that this one goes on with */
	bool returned;	   /* a CR brought the cursor to the margin */
	bool after_cr;	   /* the last byte was CR: what follows decides */
	uint8_t escape;	   /* where in an escape sequence */
	uint8_t utf8_left; /* bytes that a character still wants */
	uint8_t utf8_used;
	uint8_t utf8[4];
	uint64_t since; /* tick of the last byte */
};

/* What is to be shown now. */
enum mux_piece {
	MUX_NOTHING,
	MUX_PART,   /* the text; the line goes on */
	MUX_RETURN, /* the text and a CR */
	MUX_END,    /* the text and a newline */
};

/* Takes a byte; *taken is false if it is to be given again after the piece is shown. */
enum mux_piece mux_line_byte(struct mux_line *line, uint8_t byte, bool *taken);
/* What there is though the line is not whole. */
enum mux_piece mux_line_rest(const struct mux_line *line);
/*
 * Takes the text out, to `to`; `fresh` when it is to stand at the start of the VM's part of a line.
 * Its length, at most MUX_LINE_MAX.
 */
size_t mux_line_text(struct mux_line *line, bool fresh, uint8_t to[MUX_LINE_MAX]);

#endif
