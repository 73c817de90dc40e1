/* SPDX-License-Identifier: MIT */
/*
 * What a guest could learn of the host, or of another guest, by speculative execution on this CPU,
 * and what Socle does about it: decided from CPUID and IA32_ARCH_CAPABILITIES alone.
 *
 * Sources: Intel, 'Speculative Execution Side Channel Mitigations'; 'L1 Terminal Fault';
 * 'Microarchitectural Data Sampling'; 'Intel Transactional Synchronization Extensions Asynchronous
 * Abort'; SDM volume 4, "Architectural MSRs", IA32_ARCH_CAPABILITIES.
 */
#ifndef VMX_SPECULATION_H
#define VMX_SPECULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bits.h"

/* CPUID leaf 7: IA32_ARCH_CAPABILITIES; a bit of IA32_SPEC_CTRL (IBRS, STIBP, SSBD). */
#define LEAF7_EDX_ARCH_CAPS BIT(29)
#define LEAF7_EDX_SPEC_CTRL (BITS(27, 26) | BIT(31))

/* entry.asm has these numbers too. */
#define DEFENSE_IBRS	    1u	/* at each exit, with a return stack of our own; undone at entry */
#define DEFENSE_L1D_FLUSH   2u	/* at each entry */
#define DEFENSE_VERW	    4u	/* at each entry */
#define DEFENSE_IBRS_ALWAYS 8u	/* set for ever: the CPU tells host and guest apart by itself */
#define DEFENSE_IBPB	    16u /* when a core turns to another VM */
/* Those that cost something at each exit. */
#define DEFENSES_EACH_EXIT (DEFENSE_IBRS | DEFENSE_L1D_FLUSH | DEFENSE_VERW)

/* What this CPU is open to, with no means against it. */
#define OPEN_L1TF     1u
#define OPEN_MDS      2u
#define OPEN_BRANCHES 4u

/* The boot option. */
enum mitigations {
	MITIGATIONS_AUTO, /* what this CPU needs */
	MITIGATIONS_OFF,
	MITIGATIONS_ON, /* all that it takes, needed or not */
};

struct speculation_cpu {
	uint32_t leaf7_ebx, leaf7_edx; /* CPUID leaf 7 */
	uint64_t arch_caps;	       /* IA32_ARCH_CAPABILITIES, 0 where the CPU has none */
};

struct speculation {
	uint32_t defenses;
	uint32_t open;
};

/* What is needed on such a CPU, as far as it can be had, and what stays open. */
struct speculation speculation_decide(const struct speculation_cpu *cpu);

/* 'L1TF, MDS' or 'L1D flush, VERW': the names of the bits, parted by commas. */
void speculation_name_open(uint32_t open, char *text, size_t size);
void speculation_name_defenses(uint32_t defenses, char *text, size_t size);

#endif
