/* SPDX-License-Identifier: MIT */
/*
 * Somebody who asks: a prompt without an end of line, and then what was typed, up to Enter. "bye"
 * ends it.
 */
#include "guests/lib/guest.h"

#define LSR	  (COM1_PORT + 5)
#define LSR_READY 0x01
#define LINE_MAX  64

static char read_key(void)
{
	while (!(inb(LSR) & LSR_READY))
		__asm__ volatile("pause");
	return (char)inb(COM1_PORT);
}

static bool is_enter(char key)
{
	return key == '\r' || key == '\n';
}

/* Keys that are no text are shown by their number. */
static void show(const char *line, unsigned length)
{
	guest_print("\nheard:");
	for (unsigned i = 0; i < length; i++) {
		if (line[i] >= ' ')
			guest_print(" %c", line[i]);
		else
			guest_print(" <%u>", (unsigned)line[i]);
	}
	guest_print("\n");
}

unsigned main(uintptr_t info)
{
	char line[LINE_MAX];

	(void)info;
	for (;;) {
		unsigned length = 0;
		char key;

		guest_print("say: ");
		while (!is_enter(key = read_key()))
			if (length < LINE_MAX)
				line[length++] = key;
		show(line, length);
		if (length == 3 && line[0] == 'b' && line[1] == 'y' && line[2] == 'e')
			return 0;
	}
}
