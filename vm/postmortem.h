/* SPDX-License-Identifier: MIT */
/*
 * What is said of a vCPU whose VM has died: the exceptions that led there, registers, the walk of
 * the address that faulted, code, stack, the last exits. Only reads; nothing of the guest's is
 * trusted.
 */
#ifndef VM_POSTMORTEM_H
#define VM_POSTMORTEM_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/inspect.h"
#include "vm/symbols.h"

#define POSTMORTEM_NO_VECTOR 0xFFFF

/* An exception that was seen, by the CPU or by Socle. */
struct postmortem_exception {
	uint64_t rip;
	uint64_t address; /* of a page fault */
	uint32_t error_code;
	uint8_t vector;
	uint16_t during; /* the event whose delivery raised it, or POSTMORTEM_NO_VECTOR */
};

struct postmortem_exit {
	uint64_t rip;
	const char *name; /* of its reason */
};

struct postmortem {
	const struct monitor_regs *regs;
	const struct inspect_reader *reader;
	const struct symbols *symbols; /* of the guest's kernel */
	/* Oldest first. */
	const struct postmortem_exception *exceptions;
	unsigned exceptions_count;
	bool shutdown; /* the last one led to it */
	/* Exit number `back`, 0 for the last one; false: there were no more. */
	bool (*exit)(void *ctx, unsigned back, struct postmortem_exit *exit);
	void *ctx;
	unsigned exits; /* how many to show at most */
	/* Gets each line, without its end. */
	void (*line)(const char *text);
};

/* "#PF at 0x1000" or "#GP": for a verdict's reason. */
void postmortem_name(const struct postmortem_exception *exception, struct outbuf *out);

/* The names of the bits that are set, a blank before each. */
enum postmortem_register { POSTMORTEM_RFLAGS, POSTMORTEM_CR0, POSTMORTEM_CR4, POSTMORTEM_EFER };
void postmortem_flags(enum postmortem_register which, uint64_t value, struct outbuf *out);

void postmortem_report(const struct postmortem *pm);

#endif
