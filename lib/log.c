/* SPDX-License-Identifier: MIT */
/* The log. */
#include "lib/log.h"

#include <stdarg.h>

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"

#define LOG_SINKS_MAX 4
#define LOG_PREFIX    "socle: "

static struct {
	log_sink_fn sink[LOG_SINKS_MAX];
	unsigned sinks;
	enum log_level level;
} state = {.level = LOG_INFO};

bool log_add_sink(log_sink_fn sink)
{
	if (state.sinks == LOG_SINKS_MAX)
		return false;
	state.sink[state.sinks++] = sink;
	return true;
}

void log_set_level(enum log_level level)
{
	state.level = level;
}

bool log_enabled(enum log_level level)
{
	return level <= state.level;
}

bool log_level_parse(const char *word, enum log_level *level)
{
	static const char *const names[] = {
		[LOG_ERROR] = "error",
		[LOG_WARN] = "warn",
		[LOG_INFO] = "info",
		[LOG_DEBUG] = "debug",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(word, names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX] = LOG_PREFIX;
	size_t length = sizeof(LOG_PREFIX) - 1;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, fmt);
	/* One byte stays free for the newline. */
	length += vformat(line + length, sizeof(line) - length - 1, fmt, args);
	va_end(args);
	line[length++] = '\n';
	for (unsigned i = 0; i < state.sinks; i++)
		state.sink[i](line, length);
}
