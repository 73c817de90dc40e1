/* SPDX-License-Identifier: MIT */
/* Texts in one string. */
#include "lib/words.h"

#include "lib/string.h"

const char *word_at(const char *words, unsigned index)
{
	while (index--)
		words += strlen(words) + 1;
	return words;
}
