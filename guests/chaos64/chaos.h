/* SPDX-License-Identifier: MIT */
/*
 * A guest that does to its machine whatever a seed says. `families` is what it can do.
 */
#ifndef GUESTS_CHAOS64_CHAOS_H
#define GUESTS_CHAOS64_CHAOS_H

#include <stdbool.h>
#include <stdint.h>

#include "guests/chaos64/prng.h"

struct family {
	const char *name;
	unsigned weight;
	void (*act)(struct prng *p);
};

void act_ports(struct prng *p);	  /* IN and OUT */
void act_strings(struct prng *p); /* REP INS and OUTS over pages */
void act_mmio(struct prng *p);	  /* loads and stores of all widths */
void act_msr(struct prng *p);	  /* RDMSR and WRMSR */
void act_control(struct prng *p); /* CR0, CR3, CR4, CR8, EFER, XCR0, DR6, DR7 */
void act_tables(struct prng *p);  /* descriptor tables and what is loaded from them */
void act_nested(struct prng *p);  /* exceptions in the delivery of events */
void act_tasks(struct prng *p);	  /* task switches */
void act_absent(struct prng *p);  /* VMX and other instructions that CPUID does not offer */
void act_lapic(struct prng *p);	  /* local APIC, IPIs, modes */
void act_ioapic(struct prng *p);  /* redirection entries */
void act_twin(struct prng *p);	  /* one instruction on RAM, and on what reads the same */
void act_code64(struct prng *p);  /* random bytes in 64-bit mode */
void act_compat(struct prng *p);  /* in compatibility mode */
void act_legacy(struct prng *p);  /* in protected mode, 16 and 32 bits, and virtual-8086 mode */
void act_real(struct prng *p);	  /* in real mode */
void act_halt(struct prng *p);	  /* HLT with interrupts off and on */

/* A check: is `got` what the processor gives? Says so if not, and `detail` with it. */
bool chaos_expect(uint64_t got, uint64_t want, const char *what, uint64_t detail);
/* Beside a failed check: two values. */
void chaos_note(const char *what, uint64_t one, uint64_t other);
/* The actor's, where its C code begins on its stack: goes on with the next act. */
_Noreturn void chaos_life(void);

/* Shared by the two CPUs. */
extern volatile uint64_t chaos_beat;
extern volatile bool chaos_done;
extern volatile unsigned chaos_failures;

#endif
