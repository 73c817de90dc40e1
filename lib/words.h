/* SPDX-License-Identifier: MIT */
/* Tables of texts as one string, "one\0two\0": half the size of as many pointers. */
#ifndef LIB_WORDS_H
#define LIB_WORDS_H

/* The text with that index, which must be there. */
const char *word_at(const char *words, unsigned index);

#endif
