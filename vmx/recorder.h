/* SPDX-License-Identifier: MIT */
/*
 * What a vCPU did last, for the report of its death: the exits, by reason and RIP, and the
 * exceptions that Socle saw. The CPU gives the guest nearly all exceptions without an exit, so the
 * latter are few; those of a triple fault come from vmx/replay.c.
 */
#ifndef VMX_RECORDER_H
#define VMX_RECORDER_H

#include <stdint.h>

#include "vm/postmortem.h"

#define RECORDER_EXITS	    256 /* what an index of 8 bits counts: nothing is to be masked */
#define RECORDER_SHOWN	    64
#define RECORDER_EXCEPTIONS 8

struct recorder {
	uint8_t next; /* exit to be written */
	uint32_t reason[RECORDER_EXITS];
	uint64_t rip[RECORDER_EXITS];
	struct postmortem_exception exception[RECORDER_EXCEPTIONS];
	unsigned exceptions; /* kept; when there is no room the oldest goes */
};

/* On the way of every exit: five instructions. */
static inline void recorder_exit(struct recorder *recorder, uint32_t reason, uint64_t rip)
{
	uint8_t next = recorder->next;

	recorder->reason[next] = reason;
	recorder->rip[next] = rip;
	/* GCC would load, add and store. */
	__asm__("incb %0" : "+m"(recorder->next));
}

static inline void recorder_exception(struct recorder *recorder,
				      const struct postmortem_exception *exception)
{
	if (recorder->exceptions == RECORDER_EXCEPTIONS) {
		for (unsigned i = 1; i < RECORDER_EXCEPTIONS; i++)
			recorder->exception[i - 1] = recorder->exception[i];
		recorder->exceptions--;
	}
	recorder->exception[recorder->exceptions++] = *exception;
}

#endif
