/* SPDX-License-Identifier: MIT */
/* Bounded text. */
#include "vm/outbuf.h"

#include "lib/format.h"
#include "lib/string.h"

#define PRINT_MAX 256

void outbuf_init(struct outbuf *out, char *text, size_t size)
{
	*out = (struct outbuf){.text = text, .size = size};
}

void outbuf_put(struct outbuf *out, const char *text, size_t length)
{
	size_t room = out->size - out->length;

	if (length > room) {
		length = room;
		out->cut = true;
	}
	memcpy(out->text + out->length, text, length);
	out->length += length;
}

void outbuf_char(struct outbuf *out, char c)
{
	outbuf_put(out, &c, 1);
}

void outbuf_vprint(struct outbuf *out, const char *fmt, va_list args)
{
	char text[PRINT_MAX];

	outbuf_put(out, text, vformat(text, sizeof(text), fmt, args));
}

void outbuf_print(struct outbuf *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	outbuf_vprint(out, fmt, args);
	va_end(args);
}
