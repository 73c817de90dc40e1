/* SPDX-License-Identifier: MIT */
/*
 * The log: a ring of records, the consumer's place in it, and the sinks.
 *
 * A record is a header (level, length in two bytes) and the line with its '\n'. Positions are bytes
 * since the beginning. The producer first gives up the oldest records, then writes, then publishes
 * `end`: whoever reads without the lock, after a panic, finds whole records.
 */
#include "lib/log.h"

#include <stdarg.h>

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/spinlock.h"
#include "lib/string.h"

#define LOG_SINKS_MAX 4
#define LOG_PREFIX    "socle: "
#define RING_SIZE     (64 * KIB) /* a power of two */
#define HEADER_SIZE   3

static struct {
	log_sink_fn sink[LOG_SINKS_MAX];
	unsigned sinks;
	enum log_level level;
	struct spinlock lock;
	bool queued;
	bool panicking;
	bool told; /* the consumer knows that there is something */
	void (*notify)(void);
	log_position oldest, taken, end;
	uint64_t lost; /* queued lines written over; not yet reported */
} state = {.level = LOG_INFO};

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

bool log_add_sink(log_sink_fn sink)
{
	if (state.sinks == LOG_SINKS_MAX)
		return false;
	state.sink[state.sinks++] = sink;
	return true;
}

void log_set_level(enum log_level level)
{
	__atomic_store_n(&state.level, level, __ATOMIC_RELAXED);
}

enum log_level log_get_level(void)
{
	return __atomic_load_n(&state.level, __ATOMIC_RELAXED);
}

bool log_enabled(enum log_level level)
{
	return level <= log_get_level();
}

bool log_level_parse(const char *word, enum log_level *level)
{
	for (unsigned i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(word, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

const char *log_level_name(enum log_level level)
{
	return level < ARRAY_SIZE(level_names) ? level_names[level] : "?";
}

static void lock(void)
{
	if (!__atomic_load_n(&state.panicking, __ATOMIC_ACQUIRE))
		spin_lock(&state.lock);
}

/* A panic between the two leaves the lock unbalanced, and nobody takes it any more. */
static void unlock(void)
{
	if (!__atomic_load_n(&state.panicking, __ATOMIC_ACQUIRE))
		spin_unlock(&state.lock);
}

/* Apart from `state`: it would be in the image. */
static uint8_t ring[RING_SIZE];

static uint8_t ring_byte(log_position at)
{
	return ring[at % RING_SIZE];
}

static size_t record_length(log_position at)
{
	return ring_byte(at + 1) | (size_t)ring_byte(at + 2) << 8;
}

static void drop_oldest(void)
{
	log_position next = state.oldest + HEADER_SIZE + record_length(state.oldest);

	if (state.taken == state.oldest) {
		state.taken = next;
		state.lost++;
	}
	__atomic_store_n(&state.oldest, next, __ATOMIC_RELEASE);
}

static void append(enum log_level level, const char *line, size_t length)
{
	log_position at = state.end;

	while (at + HEADER_SIZE + length - state.oldest > RING_SIZE)
		drop_oldest();
	ring[at++ % RING_SIZE] = (uint8_t)level;
	ring[at++ % RING_SIZE] = (uint8_t)length;
	ring[at++ % RING_SIZE] = (uint8_t)(length >> 8);
	for (size_t i = 0; i < length; i++)
		ring[at++ % RING_SIZE] = (uint8_t)line[i];
	__atomic_store_n(&state.end, at, __ATOMIC_RELEASE);
}

/* The record at `at`, which is one; where the next one is. */
static log_position copy_record(log_position at, char *line, size_t *length)
{
	*length = MIN(record_length(at), (size_t)LOG_LINE_MAX);
	for (size_t i = 0; i < *length; i++)
		line[i] = (char)ring_byte(at + HEADER_SIZE + i);
	line[*length] = '\0';
	return at + HEADER_SIZE + record_length(at);
}

static void to_sinks(const char *line, size_t length)
{
	for (unsigned i = 0; i < state.sinks; i++)
		state.sink[i](line, length);
}

/* What is queued; the caller holds the lock or is alone. */
static void hand_out(void)
{
	char line[LOG_LINE_MAX + 1];
	size_t length;

	while (state.taken != state.end) {
		state.taken = copy_record(state.taken, line, &length);
		to_sinks(line, length);
	}
}

void log_set_queued(bool queued)
{
	lock();
	state.queued = queued;
	if (!queued)
		hand_out();
	unlock();
}

void log_set_notify(void (*notify)(void))
{
	lock();
	state.notify = notify;
	unlock();
}

void log_panic(void)
{
	__atomic_store_n(&state.panicking, true, __ATOMIC_SEQ_CST);
	state.queued = false;
	hand_out();
}

static size_t compose(char *line, const char *fmt, va_list args)
{
	size_t length = sizeof(LOG_PREFIX) - 1;

	memcpy(line, LOG_PREFIX, length);
	/* One byte stays free for the newline. */
	length += vformat(line + length, LOG_LINE_MAX - length - 1, fmt, args);
	for (size_t i = 0; i < length; i++)
		if ((uint8_t)line[i] < ' ' || line[i] == 0x7F)
			line[i] = '?';
	line[length++] = '\n';
	return length;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	void (*notify)(void) = NULL;
	char line[LOG_LINE_MAX];
	size_t length;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, fmt);
	length = compose(line, fmt, args);
	va_end(args);
	lock();
	append(level, line, length);
	if (!state.queued) {
		hand_out();
	} else if (!state.told) {
		state.told = true;
		notify = state.notify;
	}
	unlock();
	if (notify)
		notify();
}

size_t log_take(char *line, uint64_t *lost)
{
	size_t length = 0;

	lock();
	state.told = false;
	*lost += state.lost;
	state.lost = 0;
	if (state.taken != state.end)
		state.taken = copy_record(state.taken, line, &length);
	unlock();
	return length;
}

bool log_waiting(void)
{
	return log_taken() != log_end();
}

log_position log_end(void)
{
	return __atomic_load_n(&state.end, __ATOMIC_ACQUIRE);
}

log_position log_taken(void)
{
	return __atomic_load_n(&state.taken, __ATOMIC_ACQUIRE);
}

size_t log_read(log_position *at, char *line, enum log_level *level)
{
	size_t length = 0;

	lock();
	if (*at < state.oldest)
		*at = state.oldest;
	if (*at < state.end) {
		*level = (enum log_level)ring_byte(*at);
		*at = copy_record(*at, line, &length);
	}
	unlock();
	return length;
}
