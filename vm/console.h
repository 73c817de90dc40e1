/* SPDX-License-Identifier: MIT */
/*
 * The console of a VM: its first serial port's bytes on their way to the machine's console. With
 * one VM they pass as they are; with several each line bears "[name] ".
 */
#ifndef VM_CONSOLE_H
#define VM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console {
	void (*put)(uint8_t byte); /* to the machine */
	const char *prefix;	   /* NULL: none */
	bool mid_line;		   /* the last byte put was not a newline */
	bool after_return;	   /* it was a carriage return */
	uint64_t bytes;
};

void console_init(struct console *console, void (*put)(uint8_t byte), const char *prefix);
void console_put(struct console *console, uint8_t byte);
/* Ends a line that the guest left open, so that a line of Socle's own starts at the margin. */
void console_break_line(struct console *console);

#endif
