/* SPDX-License-Identifier: MIT */
/*
 * The line editor.
 *
 * What a dumb terminal can show is sent as plain characters: typing at the end of the line, and
 * erasing there. All else repaints the line, which needs CR, BS and "erase to the end of the line".
 */
#include "vm/lineedit.h"

#include "lib/bits.h"
#include "lib/string.h"

#define CTRL(letter)	 ((letter)&0x1F)
#define KEY_BACKSPACE	 0x08
#define KEY_TAB		 0x09
#define KEY_ESCAPE	 0x1B
#define KEY_DELETE	 0x7F
#define ERASE_REST	 "\x1b[K"
#define CLEAR_SCREEN	 "\x1b[2J\x1b[H"
#define COMPLETIONS_LIST 64
#define PARAMETER_MAX	 9999

enum { PLAIN, ESCAPE, CSI, SS3 };

static void put(const struct lineedit *edit, const char *text, size_t length)
{
	edit->ops->put(edit->ctx, text, length);
}

static void say(const struct lineedit *edit, const char *text)
{
	put(edit, text, strlen(text));
}

static void bell(const struct lineedit *edit)
{
	say(edit, "\a");
}

static size_t width(const struct lineedit *edit)
{
	return LINEEDIT_COLUMNS - strlen(edit->prompt);
}

/* Moves the window so that the cursor is in it; true when that changed it. */
static bool follow_cursor(struct lineedit *edit)
{
	size_t old = edit->window, wide = width(edit);

	if (edit->cursor < edit->window)
		edit->window = edit->cursor > wide / 2 ? edit->cursor - wide / 2 : 0;
	else if (edit->cursor > edit->window + wide)
		edit->window = edit->cursor - wide / 2;
	return edit->window != old;
}

static void paint(struct lineedit *edit)
{
	size_t shown;

	follow_cursor(edit);
	shown = MIN(edit->length - edit->window, width(edit));
	say(edit, "\r");
	say(edit, edit->prompt);
	put(edit, edit->line + edit->window, shown);
	say(edit, ERASE_REST);
	for (size_t i = edit->window + shown; i > edit->cursor; i--)
		say(edit, "\b");
}

void lineedit_init(struct lineedit *edit, const char *prompt, const struct lineedit_ops *ops,
		   void *ctx)
{
	memset(edit, 0, sizeof(*edit));
	edit->prompt = prompt;
	edit->ops = ops;
	edit->ctx = ctx;
}

static void clear(struct lineedit *edit)
{
	edit->line[0] = '\0';
	edit->length = edit->cursor = edit->window = 0;
	edit->recalled = edit->entries;
	edit->tabbed = false;
}

void lineedit_start(struct lineedit *edit)
{
	clear(edit);
	edit->escape = PLAIN;
	say(edit, edit->prompt);
}

void lineedit_hide(struct lineedit *edit)
{
	say(edit, "\r" ERASE_REST);
}

void lineedit_show(struct lineedit *edit)
{
	paint(edit);
}

static void insert(struct lineedit *edit, const char *text, size_t count)
{
	bool at_end = edit->cursor == edit->length;

	if (count > LINEEDIT_MAX - edit->length) {
		bell(edit);
		return;
	}
	memmove(edit->line + edit->cursor + count, edit->line + edit->cursor,
		edit->length - edit->cursor + 1);
	memcpy(edit->line + edit->cursor, text, count);
	edit->cursor += count;
	edit->length += count;
	if (at_end && !follow_cursor(edit))
		put(edit, text, count);
	else
		paint(edit);
}

/* Takes out [from, to), and puts the cursor there. */
static void erase(struct lineedit *edit, size_t from, size_t to)
{
	bool at_end = edit->cursor == edit->length && to == edit->length;
	bool one = to - from == 1;

	if (from == to)
		return;
	memmove(edit->line + from, edit->line + to, edit->length - to + 1);
	edit->length -= to - from;
	edit->cursor = from;
	if (at_end && one && !follow_cursor(edit))
		say(edit, "\b \b");
	else
		paint(edit);
}

static void move(struct lineedit *edit, size_t cursor)
{
	if (cursor == edit->cursor)
		return;
	edit->cursor = cursor;
	paint(edit);
}

static void erase_word(struct lineedit *edit)
{
	size_t from = edit->cursor;

	while (from && edit->line[from - 1] == ' ')
		from--;
	while (from && edit->line[from - 1] != ' ')
		from--;
	erase(edit, from, edit->cursor);
}

static void recall(struct lineedit *edit, unsigned entry)
{
	const char *from = entry == edit->entries ? edit->typed : edit->history[entry];

	if (edit->recalled == edit->entries)
		memcpy(edit->typed, edit->line, sizeof(edit->typed));
	edit->recalled = entry;
	memcpy(edit->line, from, sizeof(edit->line));
	edit->length = edit->cursor = strlen(edit->line);
	edit->window = 0;
	paint(edit);
}

static void older(struct lineedit *edit)
{
	if (edit->recalled)
		recall(edit, edit->recalled - 1);
}

static void newer(struct lineedit *edit)
{
	if (edit->recalled < edit->entries)
		recall(edit, edit->recalled + 1);
}

/* Empty lines and repetitions are not worth a place. */
static void remember(struct lineedit *edit)
{
	if (!edit->length ||
	    (edit->entries && strcmp(edit->history[edit->entries - 1], edit->line) == 0))
		return;
	if (edit->entries == LINEEDIT_HISTORY) {
		memmove(edit->history[0], edit->history[1],
			sizeof(edit->history) - sizeof(edit->history[0]));
		edit->entries--;
	}
	memcpy(edit->history[edit->entries++], edit->line, sizeof(edit->line));
}

static bool completion(const struct lineedit *edit, unsigned index, char word[LINEEDIT_WORD])
{
	return edit->ops->complete &&
	       edit->ops->complete(edit->ctx, edit->line, edit->cursor, index, word);
}

static size_t common_length(const char *a, const char *b)
{
	size_t length = 0;

	while (a[length] && a[length] == b[length])
		length++;
	return length;
}

static void list_completions(struct lineedit *edit)
{
	char word[LINEEDIT_WORD];

	say(edit, "\r\n");
	for (unsigned i = 0; i < COMPLETIONS_LIST && completion(edit, i, word); i++) {
		say(edit, word);
		say(edit, "  ");
	}
	say(edit, "\r\n");
	paint(edit);
}

static void complete(struct lineedit *edit)
{
	char first[LINEEDIT_WORD], other[LINEEDIT_WORD];
	size_t start = edit->cursor, common;
	unsigned count = 1;

	if (!completion(edit, 0, first)) {
		bell(edit);
		return;
	}
	while (start && edit->line[start - 1] != ' ')
		start--;
	for (common = strlen(first); completion(edit, count, other); count++)
		common = MIN(common, common_length(first, other));
	if (count == 1 && common < LINEEDIT_WORD - 1)
		first[common++] = ' ';
	if (common > edit->cursor - start) {
		insert(edit, first + (edit->cursor - start), common - (edit->cursor - start));
	} else if (edit->tabbed) {
		list_completions(edit);
	} else {
		bell(edit);
		edit->tabbed = true;
	}
}

/* The last byte of a CSI sequence, or of an SS3 one. */
static void sequence_key(struct lineedit *edit, uint8_t byte, unsigned parameter)
{
	if (byte == '~') {
		switch (parameter) {
		case 1:
		case 7: byte = 'H'; break;
		case 4:
		case 8: byte = 'F'; break;
		case 3: byte = 'P'; break; /* Delete; of its own it is a function key */
		default: return;
		}
	} else if (byte == 'P') {
		return;
	}
	switch (byte) {
	case 'A': older(edit); break;
	case 'B': newer(edit); break;
	case 'C': move(edit, MIN(edit->cursor + 1, edit->length)); break;
	case 'D': move(edit, edit->cursor ? edit->cursor - 1 : 0); break;
	case 'H': move(edit, 0); break;
	case 'F': move(edit, edit->length); break;
	case 'P': erase(edit, edit->cursor, MIN(edit->cursor + 1, edit->length)); break;
	}
}

/* True while the byte belongs to an escape sequence. Control characters break one off. */
static bool escape_byte(struct lineedit *edit, uint8_t byte)
{
	uint8_t state = edit->escape;

	if (state == PLAIN || byte < ' ' || byte >= KEY_DELETE) {
		edit->escape = PLAIN;
		return false;
	}
	if (state == ESCAPE) {
		edit->escape = byte == '[' ? CSI : byte == 'O' ? SS3 : PLAIN;
		edit->parameter = 0;
		return true;
	}
	if (state == CSI && byte < '@') {
		if (byte >= '0' && byte <= '9' && edit->parameter < PARAMETER_MAX / 10)
			edit->parameter = (uint16_t)(edit->parameter * 10 + (byte - '0'));
		return true;
	}
	edit->escape = PLAIN;
	sequence_key(edit, byte, edit->parameter);
	return true;
}

static enum lineedit_event enter(struct lineedit *edit)
{
	/* What follows is written below the line, wherever the cursor was. */
	if (edit->cursor != edit->length)
		move(edit, edit->length);
	say(edit, "\r\n");
	remember(edit);
	return LINEEDIT_LINE;
}

static enum lineedit_event cancel(struct lineedit *edit)
{
	bool fits = edit->cursor + 2 <= edit->window + width(edit);

	say(edit, &"^C\r\n"[fits ? 0 : 2]);
	clear(edit);
	return LINEEDIT_CANCELLED;
}

static enum lineedit_event control(struct lineedit *edit, uint8_t byte)
{
	switch (byte) {
	case '\r':
	case '\n': return enter(edit);
	case CTRL('C'): return cancel(edit);
	case CTRL('D'):
		if (!edit->length)
			return LINEEDIT_END;
		erase(edit, edit->cursor, MIN(edit->cursor + 1, edit->length));
		break;
	case CTRL('A'): move(edit, 0); break;
	case CTRL('E'): move(edit, edit->length); break;
	case CTRL('B'): move(edit, edit->cursor ? edit->cursor - 1 : 0); break;
	case CTRL('F'): move(edit, MIN(edit->cursor + 1, edit->length)); break;
	case CTRL('P'): older(edit); break;
	case CTRL('N'): newer(edit); break;
	case CTRL('K'): erase(edit, edit->cursor, edit->length); break;
	case CTRL('U'): erase(edit, 0, edit->cursor); break;
	case CTRL('W'): erase_word(edit); break;
	case CTRL('L'):
		say(edit, CLEAR_SCREEN);
		paint(edit);
		break;
	case KEY_TAB: complete(edit); break;
	case KEY_BACKSPACE:
	case KEY_DELETE: erase(edit, edit->cursor ? edit->cursor - 1 : 0, edit->cursor); break;
	case KEY_ESCAPE: edit->escape = ESCAPE; break;
	}
	return LINEEDIT_MORE;
}

enum lineedit_event lineedit_key(struct lineedit *edit, uint8_t byte)
{
	bool after_return = edit->after_return;
	char c = (char)byte;

	edit->after_return = byte == '\r';
	if (byte == '\n' && after_return)
		return LINEEDIT_MORE;
	if (escape_byte(edit, byte))
		return LINEEDIT_MORE;
	if (byte != KEY_TAB)
		edit->tabbed = false;
	if (byte < ' ' || byte == KEY_DELETE)
		return control(edit, byte);
	if (byte < KEY_DELETE)
		insert(edit, &c, 1);
	return LINEEDIT_MORE;
}
