/* SPDX-License-Identifier: MIT */
/*
 * The log: one line of words for each event, each beginning "socle: ". Sinks are registered by
 * whoever owns an output; a line goes to all of them.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#define LOG_LINE_MAX 512

typedef void (*log_sink_fn)(const char *text, size_t length);

/* False when no more sinks fit. A sink gets whole lines that end in '\n'. */
bool log_add_sink(log_sink_fn sink);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/* The level of that name, by its word; false when the word is none. */
bool log_level_parse(const char *word, enum log_level *level);

/* Adds the prefix and the newline; longer lines are cut to LOG_LINE_MAX. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
