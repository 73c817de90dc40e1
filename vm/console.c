/* SPDX-License-Identifier: MIT */
/* VM console output. */
#include "vm/console.h"

void console_init(struct console *console, void (*put)(uint8_t byte), const char *prefix)
{
	*console = (struct console){.put = put, .prefix = prefix};
}

static void put_prefix(struct console *console)
{
	console->put('[');
	for (const char *c = console->prefix; *c; c++)
		console->put((uint8_t)*c);
	console->put(']');
	console->put(' ');
}

void console_put(struct console *console, uint8_t byte)
{
	console->bytes++;
	if (console->prefix && byte != '\r' && byte != '\n' &&
	    (!console->mid_line || console->after_return))
		put_prefix(console);
	console->put(byte);
	console->after_return = byte == '\r';
	if (byte == '\n')
		console->mid_line = false;
	else if (byte != '\r')
		console->mid_line = true;
}

void console_break_line(struct console *console)
{
	if (!console->mid_line)
		return;
	console->put('\r');
	console->put('\n');
	console->mid_line = false;
	console->after_return = false;
}
