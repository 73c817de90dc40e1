/* SPDX-License-Identifier: MIT */
/*
 * The text screen of a VM's VGA, for two kinds of reader: somebody at a terminal, who sees it as it
 * stands (screen_draw), and a log, which gets its lines as they come (screen_lines).
 *
 * A picture is taken from the guest's memory now and then; what came and went between two looks is
 * not seen. Code page 437 becomes UTF-8. What is larger than SCREEN_COLUMNS x SCREEN_ROWS is cut.
 * ECMA-48; xterm's control sequences for the cursor's shape and visibility.
 */
#ifndef VM_SCREEN_H
#define VM_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/vvga.h"
#include "vm/inspect.h"

#define SCREEN_COLUMNS 100
#define SCREEN_ROWS    60
#define SCREEN_TEXT    (3 * SCREEN_COLUMNS + 1) /* a row in UTF-8, with its NUL */
#define SCREEN_STEP    64			/* room that screen_draw needs at least */

struct screen_row {
	uint16_t cell[SCREEN_COLUMNS]; /* character, attribute << 8 */
};

struct screen {
	struct vvga_picture picture;
	unsigned columns, rows, cursor_x, cursor_y; /* cursor_y is beyond `rows`: not seen */
	struct screen_row now[SCREEN_ROWS];	    /* at the last look */
	struct screen_row fresh[SCREEN_ROWS];	    /* while one is taken */

	/* What the log was told: */
	bool told[SCREEN_ROWS];	    /* it knows this row as it is */
	uint8_t still[SCREEN_ROWS]; /* looks since it changed */

	/* What stands on the terminal: */
	struct screen_row shown[SCREEN_ROWS];
	bool cleared;	     /* false: it is to be, first */
	unsigned at_x, at_y; /* its cursor; at_x == SCREEN_COLUMNS: unknown */
	unsigned attribute;  /* that is set, 0x100 for unknown */
	unsigned cursor;     /* how it looks, as the last sequence said */
};

/* One row of a picture, `columns` cells; outside of it, or where there is no RAM, blanks. */
void screen_read_row(const struct vvga_picture *picture, const struct inspect_reader *reader,
		     unsigned row, struct screen_row *to);
/* Columns and rows of a picture, cut; in graphics mode those of the words that tell of it. */
void screen_size(const struct vvga_picture *picture, unsigned *columns, unsigned *rows);
/* A row as UTF-8 without the blanks at its end, those in the first `least` apart; its length. */
size_t screen_text(const struct screen_row *row, unsigned columns, unsigned least,
		   char text[SCREEN_TEXT]);

/* A screen, of zeroes, of which nothing was seen yet. */
void screen_init(struct screen *screen);
/*
 * A look: lines that are whole, or have not changed for two looks, go to put(), each without its
 * end. True: the picture has changed since the last look.
 */
bool screen_lines(struct screen *screen, const struct vvga_picture *picture,
		  const struct inspect_reader *reader, void (*put)(void *ctx, const char *line),
		  void *ctx);
/* All that was not told yet. */
void screen_lines_end(struct screen *screen, void (*put)(void *ctx, const char *line), void *ctx);

/* The terminal holds something else; clear: and is to be cleared. */
void screen_forget(struct screen *screen, bool clear);
/*
 * Brings the terminal to the picture of the last look: at most `room` bytes, at least SCREEN_STEP,
 * into `text`; 0 when it is there.
 */
size_t screen_draw(struct screen *screen, char *text, size_t room);
/* Leaves it: the cursor goes below the picture, with no attributes. At most SCREEN_STEP bytes. */
size_t screen_leave(const struct screen *screen, char *text);

#endif
