/* SPDX-License-Identifier: MIT */
/* Scan codes. IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101/102-key)". */
#include "arch/x86_64/scancode.h"

#include "lib/bits.h"

#define BREAK		 0x80
#define EXTENDED	 0xE0
#define PAUSE		 0xE1 /* five more bytes follow, for it has no break code */
#define PAUSE_REST	 5

#define KEY_CONTROL	 0x1D
#define KEY_SHIFT_LEFT	 0x2A
#define KEY_SHIFT_RIGHT	 0x36
#define KEY_ALT		 0x38
#define KEY_CAPS	 0x3A
#define KEY_KEYPAD_SLASH 0x35 /* extended */
#define KEY_KEYPAD_ENTER 0x1C

static const char plain[] =
	"\0\0331234567890-=\177\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[] =
	"\0\033!@#$%^&*()_+\177\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
_Static_assert(sizeof(plain) == sizeof(shifted), "the same keys");

/* The keypad, with Num Lock as it were off: its keys are those of the cursor block. */
static const char *cursor_key(uint8_t key)
{
	switch (key) {
	case 0x47: return "\033[H";
	case 0x48: return "\033[A";
	case 0x4B: return "\033[D";
	case 0x4D: return "\033[C";
	case 0x4F: return "\033[F";
	case 0x50: return "\033[B";
	case 0x53: return "\033[3~";
	default: return "";
	}
}

/* True: it is a key that changes what others mean. */
static bool modifier(struct scancode *s, uint8_t key, bool down)
{
	switch (key) {
	case KEY_SHIFT_LEFT: s->shift_left = down && !s->extended; return true;
	case KEY_SHIFT_RIGHT: s->shift_right = down && !s->extended; return true;
	case KEY_CONTROL: *(s->extended ? &s->control_right : &s->control_left) = down; return true;
	case KEY_ALT: s->alt = down; return true;
	case KEY_CAPS: s->caps ^= down; return true;
	default: return false;
	}
}

static char with_modifiers(const struct scancode *s, uint8_t key)
{
	bool shift = s->shift_left || s->shift_right;
	char c = plain[key];

	if (s->caps && c >= 'a' && c <= 'z')
		shift = !shift;
	if (shift)
		c = shifted[key];
	if ((s->control_left || s->control_right) && c >= '@' && c < '\177')
		c &= 0x1F;
	return c;
}

static const char *of_key(const struct scancode *s, uint8_t key, char text[SCANCODE_TEXT_MAX])
{
	bool main_block = key < sizeof(plain) - 1 &&
			  (!s->extended || key == KEY_KEYPAD_SLASH || key == KEY_KEYPAD_ENTER);

	if (!main_block)
		return cursor_key(key);
	text[0] = with_modifiers(s, key);
	text[1] = '\0';
	return text;
}

const char *scancode_text(struct scancode *s, uint8_t code, char text[SCANCODE_TEXT_MAX])
{
	uint8_t key = code & ~BREAK;
	const char *made = "";

	if (s->skip) {
		s->skip--;
		return made;
	}
	if (code == PAUSE) {
		s->skip = PAUSE_REST;
		return made;
	}
	if (code == EXTENDED) {
		s->extended = true;
		return made;
	}
	if (!modifier(s, key, !(code & BREAK)) && !(code & BREAK))
		made = of_key(s, key, text);
	s->extended = false;
	return made;
}
