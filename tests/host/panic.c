/* SPDX-License-Identifier: MIT */
/* Panic on the host: a failed assertion ends the test program, and sanitizers print the stack. */
#include "lib/panic.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void panic_at(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "panic: %s:%d: ", file, line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}
