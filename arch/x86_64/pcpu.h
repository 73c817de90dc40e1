/* SPDX-License-Identifier: MIT */
/*
 * A physical CPU: its descriptor tables and stacks. #DF, NMI and #MC have stacks of their own by
 * the TSS's interrupt stack table, so that they work whatever state the interrupted code's stack
 * is in. Intel SDM volume 3, "Protected-Mode Memory Management", "Interrupt and Exception
 * Handling".
 */
#ifndef ARCH_X86_64_PCPU_H
#define ARCH_X86_64_PCPU_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86_64/backtrace.h"
#include "arch/x86_64/mca.h"
#include "lib/bits.h"
#include "lib/frames.h"

#define PCPU_MAX      32
#define MCA_NOTED     4 /* banks with errors, the first ones */

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS  0x18
#define GDT_ENTRIES   5 /* null, code, data, TSS (two) */

#define STACK_SIZE    (4 * PAGE_SIZE)

/* Index + 1 is the IST number in the IDT; 0 means the stack in use. */
enum { IST_NONE, IST_DF, IST_NMI, IST_MC, IST_COUNT };

/* A stack with the guard page below it; page-aligned. */
struct guarded_stack {
	uint8_t guard[PAGE_SIZE];
	uint8_t bytes[STACK_SIZE];
} __attribute__((aligned(4096)));

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "64-bit TSS");

struct vmx_vcpu;
struct smp_request;

enum pcpu_state {
	PCPU_AWAITED,  /* by the boot CPU, for it has been started */
	PCPU_ARRIVED,  /* set up; its TSC is being compared */
	PCPU_ACCEPTED, /* one of those that pcpu_of gives */
	PCPU_LEFT_OUT, /* to halt for good */
};

struct pcpu {
	struct pcpu *self; /* at GS:0 */
	unsigned id;	   /* 0 is the boot CPU */
	uint32_t apic_id;
	uint64_t gdt[GDT_ENTRIES];
	struct tss tss;
	struct guarded_stack *stack;
	struct guarded_stack *ist_stack[IST_COUNT]; /* [0] is unused */
	struct vmx_vcpu *current;		    /* whose VMCS is current on this CPU */
	uint64_t vmxon_region;			    /* physical; 0 before VMXON */
	uint64_t nmis;				    /* taken */
	uint64_t nmis_sent;			    /* to it, by other cores; atomic */
	bool nmi_told;				    /* of one that no core sent */
	uint64_t irqs;				    /* host interrupts taken, kicks apart */

	/* The run loop's signs of life, which smp_watchdog of the core before looks at. */
	volatile uint64_t heartbeat; /* counted up at least every 10 ms while not idle */
	volatile bool idle;	     /* in HLT: the heartbeat may stand still */
	/* What this core's smp_watchdog has seen of the next core. */
	struct {
		uint64_t heartbeat;
		uint64_t since; /* TSC; it stands still since then */
		bool reported;
	} watch;

	/* machine_check.c. */
	struct {
		unsigned count;
		uint64_t status; /* IA32_MCG_STATUS */
		struct mca_bank bank[MCA_NOTED];
	} mca;

	/* What other cores want of this one: smp.c. */
	unsigned state;		   /* enum pcpu_state */
	struct smp_request *calls; /* newest first */
	uint32_t nmi_wants;
	bool stopped; /* it halts for good */
	bool had_other_mtrrs;
	struct {
		bool done;
		bool in_guest;
		uint64_t rip;
		struct backtrace trace;
	} where; /* filled by its NMI handler */
	struct {
		uint64_t asked; /* number of the round */
		uint64_t answered;
		uint64_t tsc;
		int64_t correction;
	} __attribute__((aligned(64))) tsc;
};

/* Loads GDT, TSS, IDT and GS base of this CPU. The stacks must have been set. */
void pcpu_load(struct pcpu *pcpu);

static inline struct pcpu *pcpu_self(void)
{
	struct pcpu *self;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(self));
	return self;
}

/* Whether [address, address + size) is on one of the stacks. */
bool pcpu_has_on_stack(const struct pcpu *pcpu, uint64_t address, uint64_t size);
/* Which stack is full if that address could not be reached: "main" or so; NULL: none is. */
const char *pcpu_full_stack(const struct pcpu *pcpu, uint64_t address);
/* The first value of RSP. */
uint64_t pcpu_stack_top(const struct pcpu *pcpu);
/* Takes the pages under the stacks out of the page tables. False: no memory for that. */
bool pcpu_guard_stacks(const struct pcpu *pcpu);
/* Bytes of such a struct with its stacks. */
uint64_t pcpu_bytes(void);
/* A struct with stacks for another core. NULL when there is no memory. */
struct pcpu *pcpu_create(struct frames *frames, uint32_t apic_id);

extern struct pcpu boot_pcpu;
/* Sets up the boot CPU's struct over its static stacks and loads it. */
void pcpu_init_boot(void);

#endif
