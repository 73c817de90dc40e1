/* SPDX-License-Identifier: MIT */
/*
 * A case of the bench: one thing that a guest does, timed by RDTSC, and its answer checked.
 *
 * Each round times the thing and, in the same words, nothing; the difference is the round's ticks.
 * In Bochs, where the TSC counts instructions, an instruction without an exit costs 1.
 */
#ifndef GUESTS_BENCH64_BENCH_H
#define GUESTS_BENCH64_BENCH_H

#include <stdbool.h>
#include <stdint.h>

struct bench_case {
	const char *name;
	/* Makes the machine ready; says why this one has no such thing, NULL if it has. Or NULL. */
	const char *(*prepare)(void);
	/* One round: its ticks; false when an answer was wrong. */
	bool (*run)(int64_t *ticks);
	/* Leaves the machine as it was found. Or NULL. */
	void (*end)(void);
	unsigned part;	  /* so many times fewer rounds than usual; 0 is 1 */
	unsigned exactly; /* or so many, and the first counts as well */
};

struct bench_family {
	const char *name;
	const struct bench_case *cases;
	unsigned count;
};

/* In the order in which they run: xAPIC mode first, for Socle's x2APIC mode is for good. */
extern const struct bench_family bench_instructions, bench_msrs, bench_registers, bench_ports,
	bench_mmio, bench_xapic, bench_x2apic, bench_timers, bench_memory, bench_user;

#define BENCH_FAMILY(id, text, list) \
	const struct bench_family id = {text, list, sizeof(list) / sizeof(list[0])}

enum bench_host { HOST_BARE, HOST_SOCLE, HOST_KVM, HOST_OTHER };
extern enum bench_host bench_host;

/* The 4 KiB page's entry in the page tables in use; for the window of guests/lib/paging.h. */
uint64_t *bench_entry(uintptr_t address);

/* handlers.asm: the first instructions of a handler, which notes when it began. */
extern volatile uint32_t bench_handled, bench_handled_at;
void bench_handler(void);
/* #GP of an instruction of two bytes, which is left out; counted. */
extern volatile uint32_t bench_skipped;
void bench_skip(void);
/* #PF: writes `value` to the entry and tries again; counted. */
extern struct {
	uint64_t value, *entry;
} bench_mend;
extern volatile uint32_t bench_mended;
void bench_fault(void);
/* Where SYSCALL leads; counted. */
extern volatile uint32_t bench_called;
void bench_syscall(void);

/* Registers before the instruction, and after it. */
struct bench_regs {
	uint64_t a, b, c, d, si, di;
};

#define BENCH_LOAD                                                              \
	"rdtsc\n\tmov %%eax, %%r9d\n\tmov 0(%1), %%rax\n\tmov 8(%1), %%rbx\n\t" \
	"mov 16(%1), %%rcx\n\tmov 24(%1), %%rdx\n\tmov 32(%1), %%rsi\n\tmov 40(%1), %%rdi\n\t"
#define BENCH_STORE                                                                              \
	"\n\tmov %%rax, 0(%1)\n\tmov %%rbx, 8(%1)\n\tmov %%rcx, 16(%1)\n\tmov %%rdx, 24(%1)\n\t" \
	"mov %%rsi, 32(%1)\n\tmov %%rdi, 40(%1)\n\trdtsc\n\tsub %%r9d, %%eax"
#define BENCH_BLOCK(regs, words)                                                                \
	({                                                                                      \
		uint32_t ticks_;                                                                \
                                                                                                \
		__asm__ volatile(words                                                          \
				 : "=&a"(ticks_)                                                \
				 : "r"(regs)                                                    \
				 : "rbx", "rcx", "rdx", "rsi", "rdi", "r9", "r10", "r11", "cc", \
				   "memory");                                                   \
		ticks_;                                                                         \
	})

/* Ticks of some instructions alone, which may change RAX to RDX, RSI, RDI, R10 and R11. */
#define BENCH_TIMED(regs, words)                                              \
	({                                                                    \
		int64_t nothing_ = BENCH_BLOCK(regs, BENCH_LOAD BENCH_STORE); \
                                                                              \
		BENCH_BLOCK(regs, BENCH_LOAD words BENCH_STORE) - nothing_;   \
	})

/* The same to bench_handler's first instruction: it runs with interrupts on until that has been. */
#define BENCH_TO_HANDLER(regs, words)                                                         \
	({                                                                                    \
		int64_t nothing_ =                                                            \
			BENCH_BLOCK(regs, BENCH_LOAD "push %%rax\n\tpush %%rdx\n\trdtsc\n\t"  \
						     "sub %%r9d, %%eax\n\tadd $16, %%rsp");   \
                                                                                              \
		bench_handled = 0;                                                            \
		BENCH_BLOCK(regs, "sti\n\tnop\n\t" BENCH_LOAD words                           \
				  "\n1:\tcmpl $0, bench_handled(%%rip)\n\tje 1b\n\tcli\n\t"   \
				  "mov bench_handled_at(%%rip), %%eax\n\tsub %%r9d, %%eax") - \
			nothing_;                                                             \
	})

#endif
