/* SPDX-License-Identifier: MIT */
/*
 * A one-line editor for ANSI terminals: what is typed, a byte at a time, becomes a line. ECMA-48
 * control sequences; keys as xterm and VT220 send them. It echoes through a callback and keeps no
 * clock. Only printable ASCII gets into the line; everything else is a key or ignored.
 *
 * The terminal's width is taken as LINEEDIT_COLUMNS; a longer line is shown through a window that
 * follows the cursor, so that it never wraps.
 */
#ifndef VM_LINEEDIT_H
#define VM_LINEEDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINEEDIT_MAX	 255 /* characters in a line */
#define LINEEDIT_HISTORY 16
#define LINEEDIT_COLUMNS 79
#define LINEEDIT_WORD	 64 /* a completion, with its NUL */

enum lineedit_event {
	LINEEDIT_MORE,	    /* nothing yet */
	LINEEDIT_LINE,	    /* Enter: line holds it; call lineedit_start for the next */
	LINEEDIT_CANCELLED, /* Ctrl-C */
	LINEEDIT_END,	    /* Ctrl-D in an empty line */
};

struct lineedit_ops {
	void (*put)(void *ctx, const char *text, size_t length);
	/*
	 * Completion `index` of the word that ends the first `length` characters of `line`, as the
	 * whole word; false when there are no more. NULL: nothing completes.
	 */
	bool (*complete)(void *ctx, const char *line, size_t length, unsigned index,
			 char word[LINEEDIT_WORD]);
};

struct lineedit {
	const struct lineedit_ops *ops;
	void *ctx;
	const char *prompt;
	char line[LINEEDIT_MAX + 1]; /* ended by a NUL */
	size_t length;
	size_t cursor;
	size_t window; /* the first character shown */
	char history[LINEEDIT_HISTORY][LINEEDIT_MAX + 1];
	unsigned entries;	      /* of history, oldest first */
	unsigned recalled;	      /* the one shown; `entries`: the line that was being typed */
	char typed[LINEEDIT_MAX + 1]; /* that line, kept while others are shown */
	bool tabbed;		      /* the last key was a Tab that could not decide */
	bool after_return;	      /* the last byte was CR: an LF belongs to it */
	uint8_t escape;		      /* where in an escape sequence */
	uint16_t parameter;	      /* its number */
};

/* `prompt` is printable text of at most 20 characters. All three stay the caller's. */
void lineedit_init(struct lineedit *edit, const char *prompt, const struct lineedit_ops *ops,
		   void *ctx);
/* A new empty line: shows the prompt. */
void lineedit_start(struct lineedit *edit);
/* A byte from the terminal. At LINEEDIT_LINE the cursor is at the margin of the next line. */
enum lineedit_event lineedit_key(struct lineedit *edit, uint8_t byte);
/* Takes prompt and line off the screen, for other output; lineedit_show brings them back. */
void lineedit_hide(struct lineedit *edit);
void lineedit_show(struct lineedit *edit);

#endif
