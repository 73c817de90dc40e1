/* SPDX-License-Identifier: MIT */
/*
 * The physical memory of the machine as a set of free ranges of page frames. Ranges are few (a
 * firmware map has some dozens) and requests are rare, so a sorted array under one lock does;
 * nothing is kept in the memory itself, which may hold anything. All zero is the empty set.
 */
#ifndef LIB_FRAMES_H
#define LIB_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/spinlock.h"

#define FRAMES_RANGES_MAX 256
#define FRAMES_NONE	  UINT64_MAX

struct frames {
	struct spinlock lock; /* of the rest */
	unsigned count;
	struct {
		uint64_t start; /* bytes, page-aligned */
		uint64_t end;
	} range[FRAMES_RANGES_MAX]; /* ascending, neither touching nor overlapping */
};

/*
 * Adds [start, end) as free, or takes it away whatever its state; both cut to whole pages (add
 * inwards, remove outwards). False when the table is full: then a part of the memory is lost, never
 * given twice.
 */
bool frames_add(struct frames *frames, uint64_t start, uint64_t end);
bool frames_remove(struct frames *frames, uint64_t start, uint64_t end);

/*
 * A free block of `size` bytes (a multiple of the page size) at a multiple of `align`, below
 * `limit`; taken from the highest place that fits, so that low memory stays for those who need it.
 * FRAMES_NONE when there is none. The contents are what they were.
 */
uint64_t frames_alloc(struct frames *frames, uint64_t size, uint64_t align, uint64_t limit);
bool frames_free(struct frames *frames, uint64_t start, uint64_t size);

/* Bytes free in all, and in the largest block at a multiple of `align`. */
uint64_t frames_total(struct frames *frames);
uint64_t frames_largest(struct frames *frames, uint64_t align);

#endif
