/* SPDX-License-Identifier: MIT */
/*
 * How far another core's TSC may be off, from messages that go there and back: the other's reading
 * was taken after ours of the sending and before ours of the answer. Pure arithmetic.
 */
#ifndef ARCH_X86_64_TSC_BOUNDS_H
#define ARCH_X86_64_TSC_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

/* Other's TSC minus ours lies in [least, most]; both in ticks. */
struct tsc_bounds {
	int64_t least;
	int64_t most;
};

#define TSC_BOUNDS_NONE              \
	{                            \
		INT64_MIN, INT64_MAX \
	}

/* One round trip: `sent` and `answered` are ours, `theirs` was read in between. */
static inline void tsc_bounds_add(struct tsc_bounds *bounds, uint64_t sent, uint64_t theirs,
				  uint64_t answered)
{
	int64_t least = (int64_t)(theirs - answered), most = (int64_t)(theirs - sent);

	if (least > bounds->least)
		bounds->least = least;
	if (most < bounds->most)
		bounds->most = most;
}

/* Whether the two may be the same: no difference can be told from the messages' own time. */
static inline bool tsc_bounds_agree(const struct tsc_bounds *bounds)
{
	return bounds->least <= 0 && bounds->most >= 0;
}

static inline int64_t tsc_bounds_middle(const struct tsc_bounds *bounds)
{
	return bounds->least + (bounds->most - bounds->least) / 2;
}

#endif
