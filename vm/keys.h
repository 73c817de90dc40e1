/* SPDX-License-Identifier: MIT */
/*
 * From what a terminal sends to the keys of a PC's keyboard, US layout: ASCII, control characters,
 * the sequences of cursor and function keys as xterm, VT220 and the Linux console send them, and
 * Alt as an Esc before a character.
 *
 * An Esc that nothing follows for KEYS_HOLD_PER_S is the Esc key. Carriage return and line feed are
 * Enter, BS and DEL Backspace. What no key makes is left out. ECMA-48.
 */
#ifndef VM_KEYS_H
#define VM_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#define KEYS_HOLD_PER_S 20 /* 1/20 s */

struct keys {
	enum { KEYS_GROUND, KEYS_ESC, KEYS_CSI, KEYS_SS3 } state;
	uint8_t number[2]; /* parameters of a sequence */
	uint8_t numbers;
	bool linux_f;	/* ESC [ [ */
	uint64_t since; /* tick of the last byte */
};

/* A key goes down or up: see vps2.h for its name. */
typedef void (*keys_press_fn)(void *ctx, uint8_t key, bool down);

void keys_byte(struct keys *keys, uint8_t byte, uint64_t now, keys_press_fn press, void *ctx);
/* Whether a sequence has begun and is not complete. */
static inline bool keys_open(const struct keys *keys)
{
	return keys->state != KEYS_GROUND;
}
/* Without another byte for long enough it was the Esc key; hz of the ticks. */
void keys_rest(struct keys *keys, uint64_t now, uint64_t hz, keys_press_fn press, void *ctx);

#endif
