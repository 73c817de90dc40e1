/* SPDX-License-Identifier: MIT */
/*
 * Memory that nobody has touched: a word in each 4 KiB of 64 MiB. A round is 2 MiB; what it costs
 * the second time is taken off.
 */
#include "guests/bench64/bench.h"

#include "guests/lib/guest.h"

#define FIRST	0x1000000u
#define BLOCK	0x200000u
#define PAGE	4096u
#define BLOCKS	32
#define PATTERN 0x736f636cu

/*
 * The least of all rounds: each is long enough for the host's own timers to fall into many of them,
 * and into clear() as well.
 */
static uint64_t least = UINT64_MAX, least_clear = UINT64_MAX;
static bool right[BLOCKS];

/* Reads what is there, and writes. Ticks; *seen gets all that was read, in one. */
static uint64_t touch(uintptr_t at, uint32_t *seen)
{
	uint64_t start = rdtsc();
	uint32_t found = 0;

	for (uintptr_t end = at + BLOCK; at < end; at += PAGE) {
		volatile uint32_t *word = (volatile uint32_t *)at;

		found |= *word;
		*word = PATTERN;
	}
	*seen = found;
	return rdtsc() - start;
}

/* What it takes to clear as much: eight bytes an iteration. */
static uint64_t clear(uintptr_t at)
{
	struct bench_regs r = {.di = at, .c = BLOCK / 8};

	return (uint64_t)BENCH_TIMED(&r, "rep stosq");
}

static const char *measure(void)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		uintptr_t at = FIRST + i * BLOCK;
		uint32_t first, second;
		uint64_t ticks = touch(at, &first), again = touch(at, &second);
		uint64_t cleared = clear(at);

		least = ticks - again < least ? ticks - again : least;
		least_clear = cleared < least_clear ? cleared : least_clear;
		/* Elsewhere firmware or a loader was here before. */
		right[i] = second == PATTERN && (first == 0 || bench_host != HOST_SOCLE);
	}
	return 0;
}

static unsigned all_round, without_round;

static bool run_all(int64_t *ticks)
{
	*ticks = (int64_t)least;
	return right[all_round++ % BLOCKS];
}

static bool run_without(int64_t *ticks)
{
	*ticks = (int64_t)(least - least_clear);
	return right[without_round++ % BLOCKS];
}

static const char *need_clearing(void)
{
	return bench_host == HOST_BARE ? "nobody clears memory here" : 0;
}

static const struct bench_case cases[] = {
	{.name = "first-touch-2m", .prepare = measure, .run = run_all, .exactly = BLOCKS},
	{.name = "first-touch-2m-not-cleared",
	 .prepare = need_clearing,
	 .run = run_without,
	 .exactly = BLOCKS},
};
BENCH_FAMILY(bench_memory, "memory", cases);
