/* SPDX-License-Identifier: MIT */
/* An expression up to a line feed, and what a console says after it. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "vm/regex.h"

void fuzz_regex(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	struct regex regex;
	struct error error = {""};
	size_t length;
	char *text;

	if (!end)
		return;
	length = (size_t)(end - data);
	/* A copy of its very size: a sanitizer sees a read beyond its end. */
	text = malloc(length + 1);
	memcpy(text, data, length);
	text[length] = '\0';
	if (regex_compile(&regex, text, &error)) {
		for (size_t i = length + 1; i < size; i++)
			regex_byte(&regex, data[i]);
		if (regex.at >> 1 >> (regex.positions - 1))
			abort(); /* nowhere */
	} else if (!error.text[0]) {
		abort(); /* a refusal has its words */
	}
	free(text);
}
