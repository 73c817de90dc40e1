/* SPDX-License-Identifier: MIT */
/* Words, numbers and sizes out of text that is not ended by a NUL and not trusted. */
#ifndef LIB_PARSE_H
#define LIB_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of somebody else's text: bytes and their number. */
struct text {
	const char *start;
	size_t length;
};

/* At most `max` bytes at `start`, up to a NUL if there is one. NULL is an empty text. */
struct text text_from(const char *start, size_t max);

bool text_equals(struct text text, const char *string);

/* Takes the next word, parted by blanks, off the front of *rest; false when there is none. */
bool text_word(struct text *rest, struct text *word);

/* Splits key=value at the first '='; false without one. */
bool text_split(struct text word, struct text *key, struct text *value);

/* A decimal or 0x number of 0 to max, and nothing after it. */
bool text_number(struct text text, uint64_t max, uint64_t *value);

/* A number with an optional K, M or G (powers of 1024) after it, in bytes; false above 2^64. */
bool text_size(struct text text, uint64_t *bytes);

#define TEXT_SHOWN_MAX 40

/* The text as it may be printed: cut to fit, with '?' for what is not printable ASCII. */
struct text_shown {
	char text[TEXT_SHOWN_MAX + 1];
};

struct text_shown text_show(struct text text);

#endif
