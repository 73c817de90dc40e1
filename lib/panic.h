/* SPDX-License-Identifier: MIT */
/* What Socle does about a bug of its own: says where and why, and stops the machine. */
#ifndef LIB_PANIC_H
#define LIB_PANIC_H

/* Prints cause, place, registers and a backtrace, and halts every CPU. Host tests abort. */
_Noreturn void panic_at(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)

#endif
