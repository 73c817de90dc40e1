/* SPDX-License-Identifier: MIT */
/* Bounded printf-style formatting. */
#include "lib/format.h"

#include <stdbool.h>
#include <stdint.h>

#include "lib/string.h"

struct out {
	char *buf;
	size_t size;
	size_t length;
};

struct spec {
	bool zero;
	bool left;
	bool upper;
	unsigned width;
	unsigned precision; /* UINT32_MAX: none given */
	unsigned bytes;	    /* size of the integer argument */
};

static void put(struct out *out, char c)
{
	if (out->length + 1 < out->size)
		out->buf[out->length++] = c;
}

static void put_padded(struct out *out, const struct spec *spec, const char *text, size_t length)
{
	size_t pad = spec->width > length ? spec->width - length : 0;

	if (spec->zero && !spec->left && length && text[0] == '-') {
		put(out, '-');
		text++;
		length--;
	}
	for (; pad && !spec->left; pad--)
		put(out, spec->zero ? '0' : ' ');
	for (size_t i = 0; i < length; i++)
		put(out, text[i]);
	for (; pad; pad--)
		put(out, ' ');
}

static void put_integer(struct out *out, const struct spec *spec, uint64_t value, unsigned base,
			bool negative)
{
	const char *digits = spec->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[24];
	size_t at = sizeof(text);

	do {
		text[--at] = digits[value % base];
		value /= base;
	} while (value);
	if (negative)
		text[--at] = '-';
	put_padded(out, spec, text + at, sizeof(text) - at);
}

static unsigned parse_number(const char **fmt)
{
	unsigned n = 0;

	for (; **fmt >= '0' && **fmt <= '9'; (*fmt)++)
		n = n * 10 + (unsigned)(**fmt - '0');
	return n;
}

/* Reads flags, width, precision and length up to the conversion character. `star` is a '*'. */
static struct spec parse_spec(const char **fmt, va_list *args)
{
	struct spec spec = {.precision = UINT32_MAX, .bytes = 4};

	for (;; (*fmt)++) {
		if (**fmt == '0')
			spec.zero = true;
		else if (**fmt == '-')
			spec.left = true;
		else
			break;
	}
	if (**fmt == '*') {
		(*fmt)++;
		spec.width = va_arg(*args, unsigned);
	} else {
		spec.width = parse_number(fmt);
	}
	if (**fmt == '.') {
		(*fmt)++;
		if (**fmt == '*') {
			(*fmt)++;
			spec.precision = va_arg(*args, unsigned);
		} else {
			spec.precision = parse_number(fmt);
		}
	}
	for (;; (*fmt)++) {
		if (**fmt == 'l' || **fmt == 'z')
			spec.bytes = 8;
		else if (**fmt == 'h')
			spec.bytes /= 2;
		else
			return spec;
	}
}

static uint64_t unsigned_arg(const struct spec *spec, va_list *args)
{
	uint64_t value = spec->bytes == 8 ? va_arg(*args, uint64_t) : va_arg(*args, uint32_t);

	return value & (~0ULL >> (64 - 8 * spec->bytes));
}

static void convert(struct out *out, struct spec *spec, char conversion, va_list *args)
{
	const char *text;
	int64_t number;
	char c;

	switch (conversion) {
	case 'c':
		c = (char)va_arg(*args, int);
		put_padded(out, spec, &c, 1);
		return;
	case 's':
		text = va_arg(*args, const char *);
		text = text ? text : "(null)";
		put_padded(out, spec, text, strnlen(text, spec->precision));
		return;
	case 'd':
	case 'i':
		number = spec->bytes == 8 ? va_arg(*args, int64_t) : va_arg(*args, int);
		put_integer(out, spec, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10,
			    number < 0);
		return;
	case 'u': put_integer(out, spec, unsigned_arg(spec, args), 10, false); return;
	case 'X': spec->upper = true; /* fall through */
	case 'x': put_integer(out, spec, unsigned_arg(spec, args), 16, false); return;
	case 'p': put_integer(out, spec, (uintptr_t)va_arg(*args, void *), 16, false); return;
	case '%': put(out, '%'); return;
	default: put(out, '%'); put(out, conversion);
	}
}

size_t vformat(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out out = {.buf = buf, .size = size};
	va_list copy;

	va_copy(copy, args);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&out, *fmt);
			continue;
		}
		fmt++;
		struct spec spec = parse_spec(&fmt, &copy);

		if (!*fmt)
			break;
		convert(&out, &spec, *fmt, &copy);
	}
	va_end(copy);
	buf[out.length] = '\0';
	return out.length;
}

size_t format(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	size_t length;

	va_start(args, fmt);
	length = vformat(buf, size, fmt, args);
	va_end(args);
	return length;
}
