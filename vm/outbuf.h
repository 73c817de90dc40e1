/* SPDX-License-Identifier: MIT */
/* Text that grows in a buffer of somebody else's, to its end and no further. */
#ifndef VM_OUTBUF_H
#define VM_OUTBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outbuf {
	char *text; /* not ended by a NUL */
	size_t size;
	size_t length;
	bool cut; /* something did not fit and is missing */
};

void outbuf_init(struct outbuf *out, char *text, size_t size);
void outbuf_put(struct outbuf *out, const char *text, size_t length);
void outbuf_char(struct outbuf *out, char c);
/* As lib/format.h; one call adds at most 255 characters. */
void outbuf_print(struct outbuf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void outbuf_vprint(struct outbuf *out, const char *fmt, va_list args);

#endif
