/* SPDX-License-Identifier: MIT */
/* Error texts. */
#include "lib/error.h"

#include <stdarg.h>

#include "lib/format.h"

bool error_set(struct error *error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vformat(error->text, sizeof(error->text), fmt, args);
	va_end(args);
	return false;
}
