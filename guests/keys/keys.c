/* SPDX-License-Identifier: MIT */
/*
 * A small text console over VGA and the keyboard, without a word on COM1: it echoes lines, and ends
 * by the line 'end'. F1 shows what else comes: the codes of keys as the controller gives them.
 */
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"

#define DATA	 0x60
#define IRQ_KBD	 1
#define COLUMNS	 80
#define ROWS	 25
#define SHIFT	 0x2A
#define ENTER	 0x1C
#define BACK	 0x0E
#define F1	 0x3B
#define BREAK	 0x80
#define EXTENDED 0xE0
#define LINE	 70

static volatile uint16_t *const cell = (volatile uint16_t *)0xB8000;
static const char plain[] = "\t\t1234567890-=\t\tqwertyuiop[]\t\tasdfghjkl;'`\t\\zxcvbnm,./\t\t\t ";
static const char upper[] = "\t\t!@#$%^&*()_+\t\tQWERTYUIOP{}\t\tASDFGHJKL:\"~\t|ZXCVBNM<>?\t\t\t ";
static unsigned x, y;
static uint8_t attribute = 0x07;
static volatile uint8_t codes[256];
static volatile unsigned head;
static unsigned tail;

static void put_cursor(void)
{
	unsigned at = y * COLUMNS + x;

	outw(0x3D4, (uint16_t)((at & 0xFF00) | 0x0E));
	outw(0x3D4, (uint16_t)(at << 8 | 0x0F));
}

static void new_line(void)
{
	x = 0;
	if (++y < ROWS)
		return;
	y = ROWS - 1;
	for (unsigned i = 0; i < COLUMNS * (ROWS - 1); i++)
		cell[i] = cell[i + COLUMNS];
	for (unsigned i = 0; i < COLUMNS; i++)
		cell[COLUMNS * (ROWS - 1) + i] = 0x0720;
}

static void put(char c)
{
	if (c == '\n')
		new_line();
	else
		cell[y * COLUMNS + x++] = (uint16_t)(attribute << 8 | (uint8_t)c);
	put_cursor();
}

static void say(const char *text)
{
	while (*text)
		put(*text++);
}

static void say_code(uint8_t code)
{
	put("0123456789ABCDEF"[code >> 4]);
	put("0123456789ABCDEF"[code & 15]);
	put(' ');
}

static void on_key(struct trap_frame *frame)
{
	(void)frame;
	codes[head % sizeof(codes)] = inb(DATA);
	head = head + 1;
	pic_end(IRQ_KBD);
}

static uint8_t next_code(void)
{
	irq_halt(&head, tail + 1);
	return codes[tail++ % sizeof(codes)];
}

/* A line; false when it was F1. */
static bool read_line(char line[LINE + 1])
{
	unsigned length = 0;
	bool shift = false;

	for (;;) {
		uint8_t code = next_code();

		if ((code & ~BREAK) == SHIFT)
			shift = !(code & BREAK);
		if (code == F1)
			return false;
		if (code == ENTER)
			break;
		if (code == BACK && length) {
			length--;
			x--;
			put(' ');
			x--;
			put_cursor();
		}
		if (code < sizeof(plain) - 1 && code != SHIFT && plain[code] != '\t' &&
		    length < LINE) {
			line[length++] = (shift ? upper : plain)[code];
			put(line[length - 1]);
		}
	}
	line[length] = '\0';
	new_line();
	return true;
}

/* Codes until Enter is let go. */
static void show_codes(void)
{
	uint8_t code;

	say("codes:\n");
	do {
		code = next_code();
		say_code(code);
		if (x > 70)
			new_line();
	} while (code != (ENTER | BREAK));
	new_line();
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

unsigned main(uintptr_t info)
{
	char line[LINE + 1];

	(void)info;
	trap_init();
	trap_set_handler(IRQ_VECTOR(IRQ_KBD), on_key);
	clock_init();
	pic_start(PIC_8086);
	pic_set_mask(IRQ_ONLY(IRQ_KBD));
	attribute = 0x1E;
	say("\xC9\xCD keys \xCD\xBB");
	attribute = 0x07;
	put('\n');
	for (;;) {
		say("> ");
		if (!read_line(line)) {
			put('\n');
			show_codes();
			continue;
		}
		if (same(line, "end"))
			return 0;
		if (same(line, "scroll")) {
			for (unsigned i = 0; i < 40; i++) {
				say("row ");
				say_code((uint8_t)i);
				put('\n');
				clock_wait(60000);
			}
			continue;
		}
		say("you said: ");
		say(line);
		put('\n');
	}
}
