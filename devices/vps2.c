/* SPDX-License-Identifier: MIT */
/* PS/2 keyboard and mouse. */
#include "devices/vps2.h"

#include "lib/bits.h"
#include "lib/string.h"

#define ACK		0xFA
#define RESEND		0xFE
#define SELF_TEST_OK	0xAA
#define BREAK_PREFIX	0xF0
#define EXTENDED_PREFIX 0xE0
#define SET1_BREAK	0x80
#define SET1_OVERRUN	0xFF
#define SET2_OVERRUN	0x00
#define KEY_F7		0x41 /* the one key whose code of set 2 is above 7FH */
#define SET2_F7		0x83
#define SET2_ALT_PRTSC	0x84

enum common_command {
	CMD_IDENTIFY = 0xF2,
	CMD_RATE = 0xF3,
	CMD_ENABLE = 0xF4,
	CMD_DISABLE = 0xF5,
	CMD_DEFAULT = 0xF6,
	CMD_RESEND = 0xFE,
	CMD_RESET = 0xFF,
};

enum keyboard_command {
	KBD_LEDS = 0xED,
	KBD_ECHO = 0xEE,
	KBD_SET = 0xF0,
	KBD_ALL_TYPEMATIC = 0xF7, /* F7H..FAH: all keys of set 3; F8H, FAH with break codes */
	KBD_ALL_LAST = 0xFA,
	KBD_KEY_TYPEMATIC = 0xFB, /* FBH..FDH: those that follow; FCH with break codes */
	KBD_KEY_MAKE_BREAK = 0xFC,
	KBD_KEY_MAKE = 0xFD,
};

enum mouse_command {
	MOUSE_SCALE_1 = 0xE6,
	MOUSE_SCALE_2 = 0xE7,
	MOUSE_RESOLUTION = 0xE8,
	MOUSE_STATUS = 0xE9,
	MOUSE_STREAM = 0xEA,
	MOUSE_READ = 0xEB,
	MOUSE_UNWRAP = 0xEC,
	MOUSE_WRAP = 0xEE,
	MOUSE_REMOTE = 0xF0,
};

#define MODE_SCALE_2   0x10
#define MODE_ENABLED   0x20
#define MODE_REMOTE    0x40
#define MODE_WRAP      0x80 /* not seen in the status byte */
#define MOUSE_ID_WHEEL 3
#define MOUSE_NO_MOVE  0x08
#define RATE_KEYBOARD  0x2B /* 10.9 a second after 500 ms */
#define RATE_MOUSE     100

/* Set 2 to set 1; what no key has goes to what is left over. */
static const uint8_t to_set1[128] = {
	0xFF, 0x43, 0x41, 0x3F, 0x3D, 0x3B, 0x3C, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3E, 0x0F, 0x29,
	0x59, 0x65, 0x38, 0x2A, 0x70, 0x1D, 0x10, 0x02, 0x5A, 0x66, 0x71, 0x2C, 0x1F, 0x1E, 0x11,
	0x03, 0x5B, 0x67, 0x2E, 0x2D, 0x20, 0x12, 0x05, 0x04, 0x5C, 0x68, 0x39, 0x2F, 0x21, 0x14,
	0x13, 0x06, 0x5D, 0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5E, 0x6A, 0x72, 0x32, 0x24,
	0x16, 0x08, 0x09, 0x5F, 0x6B, 0x33, 0x25, 0x17, 0x18, 0x0B, 0x0A, 0x60, 0x6C, 0x34, 0x35,
	0x26, 0x27, 0x19, 0x0C, 0x61, 0x6D, 0x73, 0x28, 0x74, 0x1A, 0x0D, 0x62, 0x6E, 0x3A, 0x36,
	0x1C, 0x1B, 0x75, 0x2B, 0x63, 0x76, 0x55, 0x56, 0x77, 0x78, 0x79, 0x7A, 0x0E, 0x7B, 0x7C,
	0x4F, 0x7D, 0x4B, 0x47, 0x7E, 0x7F, 0x6F, 0x52, 0x53, 0x50, 0x4C, 0x4D, 0x48, 0x01, 0x45,
	0x57, 0x4E, 0x51, 0x4A, 0x37, 0x49, 0x46, 0x54,
};

/* Keys whose code of set 3 is not that of set 2, by their names here. */
static const struct {
	uint8_t key, code;
} to_set3[] = {
	{0x01, 0x08}, {0x3B, 0x07}, {0x3C, 0x0F}, {0x3D, 0x17}, {0x3E, 0x1F}, {0x3F, 0x27},
	{0x40, 0x2F}, {0x41, 0x37}, {0x42, 0x3F}, {0x43, 0x47}, {0x44, 0x4F}, {0x57, 0x56},
	{0x58, 0x5E}, {0x2B, 0x5C}, {0x1D, 0x11}, {0x3A, 0x14}, {0x38, 0x19}, {0x9D, 0x58},
	{0xB8, 0x39}, {0xD2, 0x67}, {0xD3, 0x64}, {0xC7, 0x6E}, {0xCF, 0x65}, {0xC9, 0x6F},
	{0xD1, 0x6D}, {0xC8, 0x63}, {0xD0, 0x60}, {0xCB, 0x61}, {0xCD, 0x6A}, {0x9C, 0x79},
	{0xB5, 0x77}, {0x45, 0x76}, {0x37, 0x7E}, {0x4A, 0x84}, {0x4E, 0x7C}, {0x46, 0x5F},
};

uint8_t vps2_translate(uint8_t code)
{
	if (code < sizeof(to_set1))
		return to_set1[code];
	return code == SET2_F7 ? KEY_F7 : code == SET2_ALT_PRTSC ? 0x54 : code;
}

static void answer(struct vps2 *v, uint8_t byte)
{
	if (v->answers < sizeof(v->answer))
		v->answer[v->answers++] = byte;
}

/* Shifts, Caps Lock, Ctrl and Alt have break codes in set 3 from the start. */
static void default_breaks(struct vps2 *v)
{
	static const uint8_t codes[] = {0x11, 0x12, 0x14, 0x19, 0x59};

	memset(v->breaks, 0, sizeof(v->breaks));
	for (unsigned i = 0; i < sizeof(codes); i++)
		v->breaks[codes[i] / 8] |= (uint8_t)BIT(codes[i] % 8);
}

static void defaults(struct vps2 *v)
{
	v->enabled = false;
	v->set = 2;
	v->rate = v->mouse ? RATE_MOUSE : RATE_KEYBOARD;
	v->resolution = 2;
	v->mode = 0;
	v->codes = v->sent = 0;
	default_breaks(v);
}

static void reset(struct vps2 *v)
{
	defaults(v);
	v->enabled = !v->mouse;
	v->leds = v->id = v->knock = 0;
}

void vps2_init(struct vps2 *v, bool mouse)
{
	memset(v, 0, sizeof(*v));
	v->mouse = mouse;
	reset(v);
}

/* --- The keyboard's side of a command --- */

static void argument_of_keyboard(struct vps2 *v, uint8_t command, uint8_t byte)
{
	uint8_t *breaks = &v->breaks[byte / 8 % sizeof(v->breaks)];
	uint8_t bit = (uint8_t)BIT(byte % 8);

	switch (command) {
	case KBD_LEDS: v->leds = byte & 7; break;
	case CMD_RATE: v->rate = byte; break;
	case KBD_SET:
		if (byte > 3) {
			answer(v, RESEND);
			return;
		}
		answer(v, ACK);
		if (byte)
			v->set = byte;
		else
			answer(v, v->set);
		return;
	default: /* a key of set 3, and more may follow */
		*breaks = (uint8_t)((*breaks & ~bit) | (command == KBD_KEY_MAKE_BREAK ? bit : 0));
		v->awaiting = command;
	}
	answer(v, ACK);
}

static void command_of_keyboard(struct vps2 *v, uint8_t command)
{
	switch (command) {
	case KBD_LEDS:
	case KBD_SET:
	case KBD_KEY_TYPEMATIC:
	case KBD_KEY_MAKE_BREAK:
	case KBD_KEY_MAKE: v->awaiting = command; break;
	case KBD_ECHO: answer(v, KBD_ECHO); return;
	default:
		if (command < KBD_ALL_TYPEMATIC || command > KBD_ALL_LAST) {
			answer(v, RESEND);
			return;
		}
		memset(v->breaks, command & 1 ? 0 : 0xFF, sizeof(v->breaks));
	}
	answer(v, ACK);
}

/* --- The mouse's --- */

/* Sample rates 200, 100, 80 switch the wheel on. */
static void knock(struct vps2 *v, uint8_t rate)
{
	static const uint8_t rates[] = {200, 100, 80};

	v->knock = rate == rates[v->knock] ? v->knock + 1 : rate == rates[0];
	if (v->knock == sizeof(rates)) {
		v->id = MOUSE_ID_WHEEL;
		v->knock = 0;
	}
}

static void argument_of_mouse(struct vps2 *v, uint8_t command, uint8_t byte)
{
	answer(v, ACK);
	if (command == MOUSE_RESOLUTION) {
		v->resolution = byte & 3;
	} else {
		v->rate = byte;
		knock(v, byte);
	}
}

static void report_nothing(struct vps2 *v)
{
	answer(v, MOUSE_NO_MOVE);
	answer(v, 0);
	answer(v, 0);
	if (v->id == MOUSE_ID_WHEEL)
		answer(v, 0);
}

static void command_of_mouse(struct vps2 *v, uint8_t command)
{
	answer(v, ACK);
	switch (command) {
	case MOUSE_SCALE_1: v->mode &= ~MODE_SCALE_2 & 0xFF; break;
	case MOUSE_SCALE_2: v->mode |= MODE_SCALE_2; break;
	case MOUSE_RESOLUTION: v->awaiting = command; break;
	case MOUSE_STATUS:
		answer(v,
		       (v->mode & (MODE_SCALE_2 | MODE_REMOTE)) | (v->enabled ? MODE_ENABLED : 0));
		answer(v, v->resolution);
		answer(v, v->rate);
		break;
	case MOUSE_STREAM: v->mode &= ~MODE_REMOTE & 0xFF; break;
	case MOUSE_READ: report_nothing(v); break;
	case MOUSE_UNWRAP: v->mode &= ~MODE_WRAP & 0xFF; break;
	case MOUSE_WRAP: v->mode |= MODE_WRAP; break;
	case MOUSE_REMOTE: v->mode |= MODE_REMOTE; break;
	default: v->answer[v->answers - 1] = RESEND; break;
	}
}

/* --- Both --- */

static void reset_by_command(struct vps2 *v)
{
	reset(v);
	answer(v, ACK);
	answer(v, SELF_TEST_OK);
	if (v->mouse)
		answer(v, v->id);
}

static void identify(struct vps2 *v)
{
	answer(v, ACK);
	if (v->mouse) {
		answer(v, v->id);
	} else {
		answer(v, 0xAB);
		answer(v, 0x83);
	}
}

static void command(struct vps2 *v, uint8_t byte)
{
	switch (byte) {
	case CMD_RESET: reset_by_command(v); return;
	case CMD_RESEND: answer(v, v->last); return;
	case CMD_IDENTIFY: identify(v); return;
	case CMD_RATE: v->awaiting = byte; break;
	case CMD_ENABLE:
		v->enabled = true;
		v->codes = v->sent = 0;
		break;
	case CMD_DISABLE: defaults(v); break;
	case CMD_DEFAULT:
		defaults(v);
		v->enabled = !v->mouse;
		break;
	default:
		if (v->mouse)
			command_of_mouse(v, byte);
		else
			command_of_keyboard(v, byte);
		return;
	}
	answer(v, ACK);
}

void vps2_write(struct vps2 *v, uint8_t byte)
{
	uint8_t awaiting = v->awaiting;

	v->awaiting = 0;
	/* What the controller had not taken is gone. */
	v->answers = v->answered = 0;
	if ((v->mode & MODE_WRAP) && byte != CMD_RESET && byte != MOUSE_UNWRAP)
		answer(v, byte);
	/* A keyboard's arguments are below 80H: what is above gives the command up. */
	else if (awaiting && v->mouse)
		argument_of_mouse(v, awaiting, byte);
	else if (awaiting && byte < 0x80)
		argument_of_keyboard(v, awaiting, byte);
	else
		command(v, byte);
}

bool vps2_waiting(const struct vps2 *v)
{
	return v->answers || v->codes;
}

uint8_t vps2_read(struct vps2 *v)
{
	if (v->answers) {
		v->last = v->answer[v->answered++];
		if (v->answered == v->answers)
			v->answers = v->answered = 0;
	} else if (v->codes) {
		v->last = v->code[v->sent++];
		if (v->sent == v->codes)
			v->codes = v->sent = 0;
	}
	return v->last;
}

bool vps2_idle(const struct vps2 *v)
{
	return v->enabled && !v->codes && !v->answers && !v->awaiting;
}

/* All of a key's bytes, or the sign that there was no room. */
static void put_codes(struct vps2 *v, const uint8_t *bytes, unsigned count)
{
	unsigned room = VPS2_CODES - v->codes;
	uint8_t overrun = v->set == 1 ? SET1_OVERRUN : SET2_OVERRUN;

	if (count < room) {
		memcpy(v->code + v->codes, bytes, count);
		v->codes += (uint8_t)count;
	} else if (room && v->code[v->codes - 1] != overrun) {
		v->code[v->codes++] = overrun;
	}
}

/* 0: no such key. */
static uint8_t set2_of(uint8_t key)
{
	uint8_t code = sizeof(to_set1) - 1;

	if ((key & ~VPS2_EXTENDED) == KEY_F7)
		return SET2_F7;
	while (code && to_set1[code] != (key & ~VPS2_EXTENDED))
		code--;
	return code;
}

static uint8_t set3_of(uint8_t key)
{
	for (unsigned i = 0; i < ARRAY_SIZE(to_set3); i++)
		if (to_set3[i].key == key)
			return to_set3[i].code;
	return set2_of(key);
}

bool vps2_key(struct vps2 *v, uint8_t key, bool down)
{
	uint8_t bytes[3], code = v->set == 3 ? set3_of(key) : set2_of(key);
	unsigned count = 0;

	if (!code)
		return false;
	if (!v->enabled || (v->set == 3 && !down && !(v->breaks[code / 8] >> (code % 8) & 1)))
		return true;
	if (v->set < 3 && (key & VPS2_EXTENDED))
		bytes[count++] = EXTENDED_PREFIX;
	if (v->set != 1 && !down)
		bytes[count++] = BREAK_PREFIX;
	if (v->set == 1)
		code = (uint8_t)((key & ~VPS2_EXTENDED) | (down ? 0 : SET1_BREAK));
	bytes[count++] = code;
	put_codes(v, bytes, count);
	return true;
}
