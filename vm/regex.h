/* SPDX-License-Identifier: MIT */
/*
 * Regular expressions over the lines of a console, byte by byte as they come.
 *
 * An expression becomes its positions (Glushkov's automaton): one for each byte that it can take,
 * with the positions that may come next. What is kept of a line is the set of positions that it may
 * have come to, so a byte costs the same whatever came before, and memory is bounded.
 *
 * Syntax: c . [abc] [^a-z] * + ? | ( ) ^ $ \d \w \s \D \W \S, and \ before what is no letter or
 * digit. It is about bytes; \d and the like are ASCII's. There are no counts: { wants a \ before.
 */
#ifndef VM_REGEX_H
#define VM_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define REGEX_POSITIONS 64 /* one of them before the first byte: position 0 */
#define REGEX_DEPTH	16 /* parentheses inside each other */

/* Position i is bit i. */
typedef uint64_t regex_set;

struct regex {
	regex_set follow[REGEX_POSITIONS];
	regex_set last;			   /* where it has matched */
	regex_set at;			   /* where this line may be */
	const char *atom[REGEX_POSITIONS]; /* what it takes, in the text of the expression */
	unsigned positions;
	bool in_line;  /* the line has begun */
	bool after_cr; /* a line feed now ends no further line */
};

/*
 * False: `error` says what is wrong, and where, counted from 1. An expression that matches an empty
 * text is refused: it would match whatever is said. The text must stay as it is.
 */
bool regex_compile(struct regex *regex, const char *text, struct error *error);

/* The next byte; a line ends with CR, LF or both. True: the line so far has the expression. */
bool regex_byte(struct regex *regex, uint8_t byte);

#endif
