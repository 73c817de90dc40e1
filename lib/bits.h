/* SPDX-License-Identifier: MIT */
/* Bit, alignment and field helpers. Pure macros and inlines, the same on host and target. */
#ifndef LIB_BITS_H
#define LIB_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BIT(n) (UINT64_C(1) << (n))
/* Bits hi..lo set, both included; 0 <= lo <= hi <= 63. */
#define BITS(hi, lo)  ((~UINT64_C(0) >> (63 - (hi))) & (~UINT64_C(0) << (lo)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

#define KIB	      (UINT64_C(1) << 10)
#define MIB	      (UINT64_C(1) << 20)
#define GIB	      (UINT64_C(1) << 30)

#define PAGE_SIZE     UINT64_C(4096)
#define PAGE_SIZE_2M  (2 * MIB)

/* The field hi..lo of value, shifted down to bit 0. */
static inline uint64_t bits_get(uint64_t value, unsigned hi, unsigned lo)
{
	return (value & BITS(hi, lo)) >> lo;
}

/* `align` is a power of two. align_up wraps to 0 beyond 2^64 - align; callers bound first. */
static inline uint64_t align_down(uint64_t value, uint64_t align)
{
	return value & ~(align - 1);
}

static inline uint64_t align_up(uint64_t value, uint64_t align)
{
	return align_down(value + align - 1, align);
}

static inline bool is_aligned(uint64_t value, uint64_t align)
{
	return (value & (align - 1)) == 0;
}

/* True when [start, start + length) lies within [0, limit); never overflows. */
static inline bool range_within(uint64_t start, uint64_t length, uint64_t limit)
{
	return start <= limit && length <= limit - start;
}

/* All ones in the low `bytes` bytes; bytes is 1..8. */
static inline uint64_t mask_bytes(unsigned bytes)
{
	return ~UINT64_C(0) >> (64 - 8 * bytes);
}

#endif
