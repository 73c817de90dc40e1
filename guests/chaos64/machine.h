/* SPDX-License-Identifier: MIT */
/*
 * The CPU that the acts run on: how it gets into any mode with any registers, and how it comes back
 * to what it was. SDM volume 3, "System Architecture Overview".
 */
#ifndef GUESTS_CHAOS64_MACHINE_H
#define GUESTS_CHAOS64_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/* Selectors; rescue.asm has them too. */
#define CODE64		0x08
#define DATA		0x10
#define CODE32		0x18
#define CODE16		0x20 /* its base is LOW_PAGE */
#define DATA16		0x28
#define USER_CODE32	0x33
#define USER_DATA	0x3b
#define USER_CODE64	0x43
#define USER_CODE16	0x4b
#define TSS64		0x50
#define TSS_LAUNCH	0x60
#define TSS_ACT		0x68
#define LDT_ACT		0x70
#define ARENA_CODE16	0x80 /* 16-bit code whose base is ARENA_LOW */
#define ARENA_DATA16	0x88
#define TSS_ACT16	0x90
#define TSS_RESCUE	0x98 /* by vector, and one for all that are no exceptions */
#define GDT_GARBAGE	(TSS_RESCUE + 8 * 33)
#define GDT_GARBAGE_END (GDT_GARBAGE + 8 * 64)

#define LOW_PAGE	0x70000u /* of real-mode code of ours */
#define ARENA_LOW	0x10000u /* where acts of real and 16-bit modes are: to LOW_PAGE */
#define MEMORY_END	0x1000000u
#define ACTOR		1 /* the CPU's APIC ID */

/* Of the image this alone can be written under the trees of pages.h. */
#define KEPT __attribute__((section(".kept"), aligned(16)))

/* In the place of a vector: a start-up IPI ended the act, or its function returned. */
#define END_RESTARTED 256
#define END_RETURNED  257

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

/* rescue.asm has this as `start`. */
struct launch {
	uint64_t gpr[16];
	uint64_t rip, cs, rflags, rsp, ss;
	uint64_t cr3;
	uint64_t data;	   /* selector of DS, ES, FS and GS */
	uint32_t cr0, cr4; /* legacy modes */
};

/* How an act ended; rescue.asm has this as `end`. Legacy modes: registers are in the act's TSS. */
struct landing {
	uint64_t gpr[16];
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
	uint64_t cr2;
};
extern volatile struct landing machine_landing;

struct __attribute__((packed)) tss32 {
	uint32_t link;
	uint32_t stacks[6];
	uint32_t cr3, eip, eflags;
	uint32_t gpr[8];
	uint32_t segment[6]; /* ES CS SS DS FS GS */
	uint32_t ldt;
	uint16_t trap, io_map;
};
_Static_assert(sizeof(struct tss32) == 104, "TSS");

/* For real mode; rescue.asm has this as low_start. */
struct __attribute__((packed)) real_start {
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint16_t ip, cs, ds, es, ss, fs, gs, reserved;
};

/* On CPU 0, once; what it has then is what the actor comes back to. */
void machine_init(void);
/* Anew: tables, TSSs and the code below 1 MiB. The actor does it before each act. */
void machine_mend(void);
/* Only the code below 1 MiB, for a start-up IPI. */
void machine_mend_low(void);

/* Each comes back whatever happens, unless the VM ends; the vector, or END_*. */
unsigned machine_call(void (*function)(void *argument), void *argument);
unsigned machine_long(const struct launch *start);
/* Legacy protected mode by a switch to TSS_ACT; `start`: cr0, cr3, cr4. */
unsigned machine_legacy(const struct launch *start);
unsigned machine_real(const struct real_start *real);

uint64_t *machine_gdt(void);
struct tss32 *machine_act_tss(void);
uint64_t machine_home_cr3(void);
/* Sets the descriptor of an IDT's gate: whole, of rescue's; for tables of one's own. */
void machine_gate(void *idt, unsigned vector);
/* The IDTs of the two families of modes. */
void *machine_idt64(void);
void *machine_idt32(void);

#endif
