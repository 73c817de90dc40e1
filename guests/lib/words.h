/* SPDX-License-Identifier: MIT */
/* The command line of a test guest: words, some of them NAME=NUMBER. */
#ifndef GUESTS_LIB_WORDS_H
#define GUESTS_LIB_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* Is `word` one of the line's words? `info` is what main got. */
bool words_have(uintptr_t info, const char *word);
/* The decimal number after `name` and '='; `otherwise` where there is none. */
uint32_t words_number(uintptr_t info, const char *name, uint32_t otherwise);

#endif
