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
	bool guessed;			 /* nobody knows the frames */
	uint64_t address[BACKTRACE_MAX]; /* return addresses, innermost first */
};

/* A place on the way. */
struct backtrace_at {
	uint64_t rip, rsp, rbp;
};

/* Where this very line is. */
#define BACKTRACE_HERE(at)                      \
	__asm__ volatile("lea 0(%%rip), %0\n\t" \
			 "mov %%rsp, %1\n\t"    \
			 "mov %%rbp, %2"        \
			 : "=&r"((at)->rip), "=&r"((at)->rsp), "=&r"((at)->rbp))

/* Follows the callers of `at`, whose frames are on stacks of `pcpu`. Takes no lock. */
void backtrace_take(struct backtrace *trace, const struct pcpu *pcpu, struct backtrace_at at);
void backtrace_print(const struct backtrace *trace);

/*
 * How the code at an address finds its caller's frame. Socle keeps no frame pointers: they would be
 * a fiftieth of the image and a part of each exit.
 */
struct backtrace_frame {
	bool by_rbp;	/* the caller's RSP is this CPU's RBP plus `cfa` bytes, not RSP */
	uint16_t cfa;	/* 0: nothing is known here */
	uint8_t rbp_at; /* the caller's RBP is so far below that; 0: it is in RBP still */
};
/* False when nothing is known of any address. As a namer's, its calls take no lock. */
typedef bool backtrace_framer(uint64_t address, struct backtrace_frame *frame);
/*
 * Finds the function that holds `address`, and how many bytes inside it that is; false when it is
 * not known. Called in a panic: takes no lock and allocates nothing.
 */
typedef bool backtrace_namer(uint64_t address, char *name, size_t size, uint64_t *offset);
/*
 * Before the first call, and without them, addresses are printed as they are, and what could be a
 * return address on the stack stands for the callers.
 */
void backtrace_set_names(backtrace_namer *name, backtrace_framer *frame);

/* One line: `what`, the address, and the function it is in. */
void backtrace_print_address(const char *what, uint64_t address);

#endif
