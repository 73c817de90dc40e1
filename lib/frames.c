/* SPDX-License-Identifier: MIT */
/* Physical page frames. */
#include "lib/frames.h"

#include "lib/bits.h"

static void delete_range(struct frames *frames, unsigned at)
{
	frames->count--;
	for (unsigned i = at; i < frames->count; i++)
		frames->range[i] = frames->range[i + 1];
}

static bool insert_range(struct frames *frames, unsigned at, uint64_t start, uint64_t end)
{
	if (frames->count == FRAMES_RANGES_MAX)
		return false;
	for (unsigned i = frames->count++; i > at; i--)
		frames->range[i] = frames->range[i - 1];
	frames->range[at].start = start;
	frames->range[at].end = end;
	return true;
}

static bool add(struct frames *frames, uint64_t start, uint64_t end)
{
	unsigned at = 0;

	if (start > UINT64_MAX - PAGE_SIZE)
		return true;
	start = align_up(start, PAGE_SIZE);
	end = align_down(end, PAGE_SIZE);
	if (start >= end)
		return true;
	while (at < frames->count && frames->range[at].end < start)
		at++;
	while (at < frames->count && frames->range[at].start <= end) {
		start = MIN(start, frames->range[at].start);
		end = MAX(end, frames->range[at].end);
		delete_range(frames, at);
	}
	return insert_range(frames, at, start, end);
}

static bool take_away(struct frames *frames, uint64_t start, uint64_t end)
{
	start = align_down(start, PAGE_SIZE);
	end = end > UINT64_MAX - PAGE_SIZE ? align_down(UINT64_MAX, PAGE_SIZE)
					   : align_up(end, PAGE_SIZE);
	if (start >= end)
		return true;
	for (unsigned i = 0; i < frames->count;) {
		uint64_t old_start = frames->range[i].start, old_end = frames->range[i].end;

		if (old_end <= start || old_start >= end) {
			i++;
			continue;
		}
		delete_range(frames, i);
		if (old_start < start)
			insert_range(frames, i++, old_start, start);
		/* The one case that needs a new slot: on failure the upper part is lost. */
		if (old_end > end && !insert_range(frames, i++, end, old_end))
			return false;
	}
	return true;
}

/* The highest aligned start for `size` bytes in range i below limit, or FRAMES_NONE. */
static uint64_t fit(const struct frames *frames, unsigned i, uint64_t size, uint64_t align,
		    uint64_t limit)
{
	uint64_t start = frames->range[i].start, end = MIN(frames->range[i].end, limit);
	uint64_t at;

	if (end < start || end - start < size)
		return FRAMES_NONE;
	at = align_down(end - size, align);
	return at >= start ? at : FRAMES_NONE;
}

static uint64_t alloc(struct frames *frames, uint64_t size, uint64_t align, uint64_t limit)
{
	for (unsigned i = frames->count; i-- > 0;) {
		uint64_t at = fit(frames, i, size, MAX(align, PAGE_SIZE), limit);

		if (at != FRAMES_NONE)
			return take_away(frames, at, at + size) ? at : FRAMES_NONE;
	}
	return FRAMES_NONE;
}

static uint64_t total(const struct frames *frames)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < frames->count; i++)
		sum += frames->range[i].end - frames->range[i].start;
	return sum;
}

static uint64_t largest(const struct frames *frames, uint64_t align)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < frames->count; i++) {
		uint64_t start = align_up(frames->range[i].start, align);
		uint64_t end = align_down(frames->range[i].end, align);

		if (start < end)
			most = MAX(most, end - start);
	}
	return most;
}

bool frames_add(struct frames *frames, uint64_t start, uint64_t end)
{
	bool ok;

	spin_lock(&frames->lock);
	ok = add(frames, start, end);
	spin_unlock(&frames->lock);
	return ok;
}

bool frames_remove(struct frames *frames, uint64_t start, uint64_t end)
{
	bool ok;

	spin_lock(&frames->lock);
	ok = take_away(frames, start, end);
	spin_unlock(&frames->lock);
	return ok;
}

uint64_t frames_alloc(struct frames *frames, uint64_t size, uint64_t align, uint64_t limit)
{
	uint64_t at;

	if (!size || !is_aligned(size, PAGE_SIZE))
		return FRAMES_NONE;
	spin_lock(&frames->lock);
	at = alloc(frames, size, align, limit);
	spin_unlock(&frames->lock);
	return at;
}

bool frames_free(struct frames *frames, uint64_t start, uint64_t size)
{
	return frames_add(frames, start, start + size);
}

uint64_t frames_total(struct frames *frames)
{
	uint64_t sum;

	spin_lock(&frames->lock);
	sum = total(frames);
	spin_unlock(&frames->lock);
	return sum;
}

uint64_t frames_largest(struct frames *frames, uint64_t align)
{
	uint64_t most;

	spin_lock(&frames->lock);
	most = largest(frames, align);
	spin_unlock(&frames->lock);
	return most;
}
