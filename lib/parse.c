/* SPDX-License-Identifier: MIT */
/* Words, numbers and sizes out of bounded text. */
#include "lib/parse.h"

#include "lib/bits.h"
#include "lib/string.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct text text_from(const char *start, size_t max)
{
	return (struct text){.start = start, .length = start ? strnlen(start, max) : 0};
}

bool text_equals(struct text text, const char *string)
{
	return strlen(string) == text.length &&
	       (!text.length || memcmp(text.start, string, text.length) == 0);
}

static struct text without_front(struct text text, size_t count)
{
	return (struct text){.start = text.start + count, .length = text.length - count};
}

bool text_word(struct text *rest, struct text *word)
{
	size_t length = 0;

	while (rest->length && is_blank(rest->start[0]))
		*rest = without_front(*rest, 1);
	while (length < rest->length && !is_blank(rest->start[length]))
		length++;
	*word = (struct text){.start = rest->start, .length = length};
	if (!length)
		return false;
	*rest = without_front(*rest, length);
	return true;
}

bool text_split(struct text word, struct text *key, struct text *value)
{
	for (size_t i = 0; i < word.length; i++) {
		if (word.start[i] != '=')
			continue;
		*key = (struct text){.start = word.start, .length = i};
		*value = without_front(word, i + 1);
		return true;
	}
	return false;
}

/* UINT_MAX for what is no digit of any base. */
static unsigned digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return ~0u;
}

bool text_number(struct text text, uint64_t max, uint64_t *value)
{
	unsigned base = 10;
	uint64_t number = 0;

	if (text.length > 2 && text.start[0] == '0' && text.start[1] == 'x') {
		base = 16;
		text = without_front(text, 2);
	}
	if (!text.length)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		unsigned d = digit(text.start[i]);

		if (d >= base || number > (UINT64_MAX - d) / base)
			return false;
		number = number * base + d;
	}
	*value = number;
	return number <= max;
}

bool text_size(struct text text, uint64_t *bytes)
{
	uint64_t unit = 1;

	if (!text.length)
		return false;
	switch (text.start[text.length - 1]) {
	case 'K': unit = KIB; break;
	case 'M': unit = MIB; break;
	case 'G': unit = GIB; break;
	}
	if (unit != 1)
		text.length--;
	if (!text_number(text, UINT64_MAX / unit, bytes))
		return false;
	*bytes *= unit;
	return true;
}

struct text_shown text_show(struct text text)
{
	struct text_shown shown = {0};
	size_t length = MIN(text.length, TEXT_SHOWN_MAX);

	for (size_t i = 0; i < length; i++) {
		char c = text.start[i];

		shown.text[i] = c >= ' ' && c <= '~' ? c : '?';
	}
	return shown;
}
