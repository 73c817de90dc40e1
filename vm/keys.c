/* SPDX-License-Identifier: MIT */
/* From a terminal's bytes to keys. Keys are named by their codes of set 1. */
#include "vm/keys.h"

#include "devices/vps2.h"
#include "lib/bits.h"
#include "lib/string.h"

#define ESC	    0x1B
#define DEL	    0x7F
#define KEY_ESC	    0x01
#define KEY_CTRL    0x1D
#define KEY_SHIFT   0x2A
#define KEY_ALT	    0x38
#define KEY_F1	    0x3B
#define KEY_F11	    0x57
#define EXTENDED(k) ((k) | VPS2_EXTENDED)

#define WITH_SHIFT  1 /* bits of a sequence's second parameter less one */
#define WITH_ALT    2
#define WITH_CTRL   4

/* The character of each key, from code 1 on; a blank is no key, but that of code 39H. */
static const char plain[] = "\0331234567890-=\b\tqwertyuiop[]\r asdfghjkl;'` \\zxcvbnm,./   ";
static const char shifted[] = " !@#$%^&*()_+  QWERTYUIOP{}  ASDFGHJKL:\"~ |ZXCVBNM<>?   ";
_Static_assert(sizeof(plain) == 0x39 && sizeof(shifted) == sizeof(plain), "up to the space");

static void press_with(uint8_t key, unsigned with, keys_press_fn press, void *ctx)
{
	static const uint8_t modifiers[] = {KEY_SHIFT, KEY_ALT, KEY_CTRL};

	for (unsigned i = 0; i < ARRAY_SIZE(modifiers); i++)
		if (with & BIT(i))
			press(ctx, modifiers[i], true);
	press(ctx, key, true);
	press(ctx, key, false);
	for (unsigned i = ARRAY_SIZE(modifiers); i--;)
		if (with & BIT(i))
			press(ctx, modifiers[i], false);
}

/* The key of a character on this table, 0 for none. */
static uint8_t find(const char *table, char c)
{
	const char *at = strchr(table, c);

	if (c == ' ')
		return 0x39;
	return c && at ? (uint8_t)(at - table + 1) : 0;
}

static void character(uint8_t byte, unsigned with, keys_press_fn press, void *ctx)
{
	char c = (char)byte;
	uint8_t key;

	if (byte == '\n')
		c = '\r';
	else if (byte == DEL)
		c = '\b';
	else if (byte < ' ' && byte != '\r' && byte != '\t' && byte != '\b' && byte != ESC) {
		/* Ctrl with a letter or one of [ \ ] ^ _, and Ctrl-Space. */
		with |= WITH_CTRL;
		c = byte ? (char)(byte + 0x40) : ' ';
		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 'a' - 'A');
	}
	key = find(plain, c);
	if (!key) {
		key = find(shifted, c);
		with |= WITH_SHIFT;
	}
	if (key)
		press_with(key, with, press, ctx);
}

/* ESC [ ... letter, and ESC O letter. */
static uint8_t key_of_letter(uint8_t letter)
{
	static const char letters[] = "ABCDFHG";
	static const uint8_t keys[] = {0x48, 0x50, 0x4D, 0x4B, 0x4F, 0x47};
	const char *at = letter ? strchr(letters, letter) : NULL;

	if (letter >= 'P' && letter <= 'S')
		return (uint8_t)(KEY_F1 + letter - 'P');
	return at && at - letters < (int)sizeof(keys) ? EXTENDED(keys[at - letters]) : 0;
}

/* ESC [ number ~ */
static uint8_t key_of_number(uint8_t number)
{
	static const uint8_t keys[] = {
		[1] = EXTENDED(0x47), [2] = EXTENDED(0x52), [3] = EXTENDED(0x53),
		[4] = EXTENDED(0x4F), [5] = EXTENDED(0x49), [6] = EXTENDED(0x51),
		[7] = EXTENDED(0x47), [8] = EXTENDED(0x4F), [11] = KEY_F1,
		[12] = KEY_F1 + 1,    [13] = KEY_F1 + 2,    [14] = KEY_F1 + 3,
		[15] = KEY_F1 + 4,    [17] = KEY_F1 + 5,    [18] = KEY_F1 + 6,
		[19] = KEY_F1 + 7,    [20] = KEY_F1 + 8,    [21] = KEY_F1 + 9,
		[23] = KEY_F11,	      [24] = KEY_F11 + 1,
	};

	return number < sizeof(keys) ? keys[number] : 0;
}

static void end_sequence(struct keys *keys, uint8_t byte, keys_press_fn press, void *ctx)
{
	uint8_t key = byte == '~' ? key_of_number(keys->number[0]) : key_of_letter(byte);
	unsigned with = keys->numbers && keys->number[1] ? keys->number[1] - 1U : 0;

	if (keys->linux_f)
		key = byte >= 'A' && byte <= 'E' ? (uint8_t)(KEY_F1 + byte - 'A') : 0;
	if (key)
		press_with(key, with & (WITH_SHIFT | WITH_ALT | WITH_CTRL), press, ctx);
	keys->state = KEYS_GROUND;
}

/* A byte within ESC [. */
static void sequence(struct keys *keys, uint8_t byte, keys_press_fn press, void *ctx)
{
	uint8_t *number = &keys->number[keys->numbers];

	if (byte >= '0' && byte <= '9')
		*number = (uint8_t)(*number * 10 + byte - '0');
	else if (byte == ';')
		keys->numbers = 1;
	else if (byte == '[' && !keys->linux_f)
		keys->linux_f = true;
	else if (byte >= '@' && byte <= '~')
		end_sequence(keys, byte, press, ctx);
	else if (byte < ' ')
		keys->state = KEYS_GROUND;
}

static void after_esc(struct keys *keys, uint8_t byte, keys_press_fn press, void *ctx)
{
	keys->state = KEYS_GROUND;
	if (byte == '[' || byte == 'O')
		keys->state = byte == '[' ? KEYS_CSI : KEYS_SS3;
	else if (byte == ESC)
		press_with(KEY_ESC, 0, press, ctx);
	else
		character(byte, WITH_ALT, press, ctx);
}

void keys_byte(struct keys *keys, uint8_t byte, uint64_t now, keys_press_fn press, void *ctx)
{
	keys->since = now;
	switch (keys->state) {
	case KEYS_ESC: after_esc(keys, byte, press, ctx); break;
	case KEYS_CSI: sequence(keys, byte, press, ctx); break;
	case KEYS_SS3: end_sequence(keys, byte, press, ctx); break;
	case KEYS_GROUND:
		if (byte == ESC)
			*keys = (struct keys){.state = KEYS_ESC, .since = now};
		else
			character(byte, 0, press, ctx);
	}
}

void keys_rest(struct keys *keys, uint64_t now, uint64_t hz, keys_press_fn press, void *ctx)
{
	if (keys->state == KEYS_GROUND || now - keys->since < hz / KEYS_HOLD_PER_S)
		return;
	press_with(KEY_ESC, 0, press, ctx);
	if (keys->state == KEYS_CSI)
		character('[', 0, press, ctx);
	else if (keys->state == KEYS_SS3)
		character('O', 0, press, ctx);
	keys->state = KEYS_GROUND;
}
