/* SPDX-License-Identifier: MIT */
/* Backtraces. */
#include "arch/x86_64/backtrace.h"

#include "arch/x86_64/pcpu.h"
#include "lib/bits.h"
#include "lib/log.h"

#define NAME_SIZE 64 /* bytes; what is longer is cut */

extern const uint8_t image_start[], text_end[];

static backtrace_namer *namer;

void backtrace_set_namer(backtrace_namer *find)
{
	namer = find;
}

void backtrace_print_address(const char *what, uint64_t address)
{
	uint64_t offset;
	char name[NAME_SIZE];

	if (namer && namer(address, name, sizeof(name), &offset))
		log_error("%s %016lx %s+0x%lx", what, address, name, offset);
	else
		log_error("%s %016lx", what, address);
}

void backtrace_take(struct backtrace *trace, const struct pcpu *pcpu, uint64_t frame)
{
	trace->count = 0;
	while (trace->count < BACKTRACE_MAX && is_aligned(frame, 8) &&
	       pcpu_has_on_stack(pcpu, frame, 16)) {
		const uint64_t *at = (const uint64_t *)frame;

		if (at[1] < (uint64_t)image_start || at[1] >= (uint64_t)text_end)
			return;
		trace->address[trace->count++] = at[1];
		/* Frames grow upwards; anything else is a broken chain. */
		if (at[0] <= frame)
			return;
		frame = at[0];
	}
}

void backtrace_print(const struct backtrace *trace)
{
	for (unsigned i = 0; i < trace->count; i++)
		backtrace_print_address("  called from", trace->address[i]);
}
