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

#include "lib/bits.h"

#define PCPU_MAX      32

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
	uint64_t nmis;				    /* host NMIs taken */

	/* The run loop's signs of life, which smp_watchdog of the core before looks at. */
	volatile uint64_t heartbeat; /* counted up at least every 10 ms while not idle */
	volatile bool idle;	     /* in HLT: the heartbeat may stand still */
};

/* Loads GDT, TSS, IDT and GS base of this CPU. The stacks must have been set. */
void pcpu_load(struct pcpu *pcpu);

static inline struct pcpu *pcpu_self(void)
{
	struct pcpu *self;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(self));
	return self;
}

extern struct pcpu boot_pcpu;
/* Sets up the boot CPU's struct over its static stacks and loads it. */
void pcpu_init_boot(void);

#endif
