/* SPDX-License-Identifier: MIT */
/* An interrupt or signal line from one device model to another. */
#ifndef DEVICES_LINE_H
#define DEVICES_LINE_H

#include <stdbool.h>

/* set() gets the line's new level; it is harmless to report the same level twice. */
struct line {
	void (*set)(void *ctx, unsigned pin, bool level);
	void *ctx;
	unsigned pin;
};

static inline void line_set(const struct line *line, bool level)
{
	if (line->set)
		line->set(line->ctx, line->pin, level);
}

#endif
