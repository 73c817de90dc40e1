/* SPDX-License-Identifier: MIT */
/* Backtraces. */
#include "arch/x86_64/backtrace.h"

#include "arch/x86_64/pcpu.h"
#include "lib/bits.h"
#include "lib/log.h"

#define NAME_SIZE 64 /* bytes; what is longer is cut */

extern const uint8_t image_start[], text_end[];

#define CALL	  0xe8 /* opcode of CALL rel32 */
#define CALL_SIZE 5

static backtrace_namer *namer;
static backtrace_framer *framer;

void backtrace_set_names(backtrace_namer *name, backtrace_framer *frame)
{
	namer = name;
	framer = frame;
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

static bool in_text(uint64_t address)
{
	return address >= (uint64_t)image_start + CALL_SIZE && address < (uint64_t)text_end;
}

/* A word of the stack. */
static bool read(const struct pcpu *pcpu, uint64_t address, uint64_t *word)
{
	if (!is_aligned(address, 8) || !pcpu_has_on_stack(pcpu, address, 8))
		return false;
	*word = *(const uint64_t *)address;
	return true;
}

static bool step(const struct pcpu *pcpu, const struct backtrace_frame *frame,
		 struct backtrace_at *at)
{
	uint64_t cfa = (frame->by_rbp ? at->rbp : at->rsp) + frame->cfa;

	/* Frames grow upwards; anything else is a broken chain. */
	if (!frame->cfa || cfa <= at->rsp || !read(pcpu, cfa - 8, &at->rip) ||
	    (frame->rbp_at && !read(pcpu, cfa - frame->rbp_at, &at->rbp)))
		return false;
	at->rsp = cfa;
	return in_text(at->rip);
}

/* All that looks as if a call had left it. */
static void guess(struct backtrace *trace, const struct pcpu *pcpu, uint64_t rsp)
{
	uint64_t word;

	trace->guessed = true;
	for (; trace->count < BACKTRACE_MAX && read(pcpu, rsp, &word); rsp += 8)
		if (in_text(word) && *(const uint8_t *)(word - CALL_SIZE) == CALL)
			trace->address[trace->count++] = word;
}

void backtrace_take(struct backtrace *trace, const struct pcpu *pcpu, struct backtrace_at at)
{
	struct backtrace_frame frame;

	*trace = (struct backtrace){0};
	/* A call may be the last of its function: what counts is before where it returns to. */
	while (trace->count < BACKTRACE_MAX) {
		if (!framer || !framer(at.rip - (trace->count > 0), &frame)) {
			guess(trace, pcpu, at.rsp);
			return;
		}
		if (!step(pcpu, &frame, &at))
			return;
		trace->address[trace->count++] = at.rip;
	}
}

void backtrace_print(const struct backtrace *trace)
{
	for (unsigned i = 0; i < trace->count; i++)
		backtrace_print_address(trace->guessed ? "  perhaps from" : "  called from",
					trace->address[i]);
}
