/* SPDX-License-Identifier: MIT */
/*
 * The log: one line of words for each event, each beginning "socle: ".
 *
 * A line may come from any core, with interrupts off; whole lines are kept, in one order, in a ring
 * that is the log's scroll-back. In direct mode (at first, and in a panic) a line goes to all sinks
 * before log_line returns, one core at a time. In queued mode the one core that owns the machine's
 * console takes lines out by log_take.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#define LOG_LINE_MAX 512

typedef void (*log_sink_fn)(const char *text, size_t length);

/* False when no more sinks fit. A sink gets whole lines that end in '\n', and may not log. */
bool log_add_sink(log_sink_fn sink);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
bool log_enabled(enum log_level level);
/* The level of that name, by its word; false when the word is none. */
bool log_level_parse(const char *word, enum log_level *level);
const char *log_level_name(enum log_level level);

/*
 * Adds the prefix and the newline; longer lines are cut to LOG_LINE_MAX. Control characters become
 * '?': what somebody else wrote cannot begin a line.
 */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* To queue lines from now on, or to hand out what is queued and go back to direct mode. */
void log_set_queued(bool queued);
/*
 * `notify` is called in queued mode, on the core that logs and without the lock, when a line came
 * and nobody was told since the last log_take. NULL: nobody wants to know.
 */
void log_set_notify(void (*notify)(void));
/*
 * For a panic: hands out what is queued; from now on direct mode without the lock, whose holder
 * may be dead. The caller has stopped the other cores or lives with mixed lines.
 */
void log_panic(void);

/* A line's place in the log; each line that the log ever had has its own, in order. */
typedef uint64_t log_position;

/*
 * The next line that is queued: copied with its '\n' and a NUL to `line`, of at least
 * LOG_LINE_MAX + 1 bytes; its length, 0 for none. *lost is raised by the lines that were written
 * over before anybody took them.
 */
size_t log_take(char *line, uint64_t *lost);
/* Whether log_take has something. */
bool log_waiting(void);
/* Where the next line will be, and the next that log_take gives. */
log_position log_end(void);
log_position log_taken(void);

/*
 * The scroll-back: the line at or after *at as in log_take, and moves *at behind it. Start with 0
 * for the oldest.
 */
size_t log_read(log_position *at, char *line, enum log_level *level);

#endif
