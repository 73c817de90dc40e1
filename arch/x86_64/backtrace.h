/* SPDX-License-Identifier: MIT */
/*
 * Where a core is, function by function. Taken and printed apart, because a core that is stuck may
 * hold the locks that printing needs.
 */
#ifndef ARCH_X86_64_BACKTRACE_H
#define ARCH_X86_64_BACKTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pcpu;

#define BACKTRACE_MAX 24

struct backtrace {
	unsigned count;
	uint64_t address[BACKTRACE_MAX]; /* return addresses, innermost first */
};

/* Follows the frames from RBP = `frame` on, which are on stacks of `pcpu`. Takes no lock. */
void backtrace_take(struct backtrace *trace, const struct pcpu *pcpu, uint64_t frame);
void backtrace_print(const struct backtrace *trace);
/*
 * Finds the function that holds `address`, and how many bytes inside it that is; false when it is
 * not known. Called in a panic: takes no lock and allocates nothing.
 */
typedef bool backtrace_namer(uint64_t address, char *name, size_t size, uint64_t *offset);
/* Before the first call, and without a namer, addresses are printed as they are. */
void backtrace_set_namer(backtrace_namer *find);

/* One line: `what`, the address, and the function it is in. */
void backtrace_print_address(const char *what, uint64_t address);

#endif
