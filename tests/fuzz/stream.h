/* SPDX-License-Identifier: MIT */
/* A fuzz target's input as a stream of choices, and what it must find true. */
#ifndef TESTS_FUZZ_STREAM_H
#define TESTS_FUZZ_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/panic.h"

/* Ends the run as a crash does: a fuzzer keeps the input, a unit test fails. */
#define FUZZ_REQUIRE(condition)                                  \
	do {                                                     \
		if (!(condition))                                \
			panic("fuzz: not true: %s", #condition); \
	} while (0)

struct stream {
	const uint8_t *at, *end;
};

static inline struct stream stream_from(const uint8_t *data, size_t size)
{
	return (struct stream){data, data + size};
}

static inline bool stream_more(const struct stream *s)
{
	return s->at < s->end;
}

/* Zeros follow the end. */
static inline uint8_t stream_byte(struct stream *s)
{
	return stream_more(s) ? *s->at++ : 0;
}

/* Little-endian; at most 8 bytes. */
static inline uint64_t stream_number(struct stream *s, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)stream_byte(s) << (8 * i);
	return value;
}

/* A span of time, or an address: any order of magnitude by two or three bytes. */
static inline uint64_t stream_magnitude(struct stream *s)
{
	uint8_t shift = stream_byte(s) % 64;

	return stream_number(s, 2) << shift;
}

/* 1, 2, 4 or 8 bytes; `largest` is one of these. */
static inline unsigned stream_size(struct stream *s, unsigned largest)
{
	unsigned size = 1u << stream_byte(s) % 4;

	return size > largest ? largest : size;
}

#endif
