/* SPDX-License-Identifier: MIT */
/*
 * The reason for which a description, an image or a table was refused: one line of words that
 * names the field and what would be right. The caller adds which VM it was.
 */
#ifndef LIB_ERROR_H
#define LIB_ERROR_H

#include <stdbool.h>

struct error {
	char text[224];
};

/* Fills `error` (cut to fit) and returns false, so that a parser can `return error_set(...)`. */
bool error_set(struct error *error, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
