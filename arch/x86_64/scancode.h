/* SPDX-License-Identifier: MIT */
/*
 * Scan codes of set 1, as an i8042 with translation gives them, to the bytes that a terminal would
 * send: US layout; arrows, Home, End and Delete as escape sequences of ECMA-48. Plain C.
 */
#ifndef ARCH_X86_64_SCANCODE_H
#define ARCH_X86_64_SCANCODE_H

#include <stdbool.h>
#include <stdint.h>

#define SCANCODE_TEXT_MAX 5 /* with the NUL */

/* All zero in the beginning: no key is down. */
struct scancode {
	bool extended; /* the byte before was E0H */
	uint8_t skip;  /* bytes of the Pause key that are yet to come */
	bool shift_left, shift_right, control_left, control_right, alt;
	bool caps;
};

/* The bytes that this one makes, maybe none, as a string; Ctrl-@ makes none. */
const char *scancode_text(struct scancode *state, uint8_t code, char text[SCANCODE_TEXT_MAX]);

#endif
