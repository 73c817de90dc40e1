/* SPDX-License-Identifier: MIT */
/* printf-style formatting into a bounded buffer, for freestanding code. */
#ifndef LIB_FORMAT_H
#define LIB_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Writes at most size - 1 characters and a NUL to buf (size >= 1) and returns the length written,
 * cut to fit. Conversions: %c %s %d %i %u %x %X %p %%, with '0' or '-' flags, a width, a precision
 * for %s (also '*'), and the lengths hh h l ll z. Anything else is printed as it stands.
 */
size_t format(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
size_t vformat(char *buf, size_t size, const char *fmt, va_list args);

#endif
