/* SPDX-License-Identifier: MIT */
/*
 * What CPUID tells a guest: a policy over what the host's CPU says. The table is built once for a
 * VM, because CPUID on a nested host is itself an exit; a look-up then costs a few loads.
 * Intel SDM volume 2, "CPUID—CPU Identification".
 */
#ifndef VM_CPUID_H
#define VM_CPUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bits.h"

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

#define CPUID_BASIC_MAX	     0x16
#define CPUID_EXTENDED	     0x80000000u
#define CPUID_EXTENDED_MAX   0x80000008u
#define CPUID_HYPERVISOR     0x40000000u
#define CPUID_HYPERVISOR_MAX 0x40000010u
#define CPUID_SUBLEAVES	     8 /* of leaf 4; leaf DH has its own */
#define CPUID_XSAVE_STATES   20

/* What the policy needs to know beside the host's leaves. */
struct cpuid_policy {
	/* The host's CPUID instruction, or a test's. */
	struct cpuid_regs (*host)(uint32_t leaf, uint32_t subleaf);
	uint64_t tsc_hz;
	uint64_t apic_timer_hz;
	unsigned cpus;
	bool rdtscp;  /* the VMCS enables RDTSCP for the guest */
	bool invpcid; /* and INVPCID */
};

struct cpuid_table {
	uint32_t basic_max;
	uint32_t extended_max;
	/* Basic leaves, a bit each, that are as in the table whatever the subleaf and the vCPU. */
	uint32_t fixed;
	struct cpuid_regs basic[CPUID_BASIC_MAX + 1]; /* subleaf 0 */
	struct cpuid_regs extended[CPUID_EXTENDED_MAX - CPUID_EXTENDED + 1];
	struct cpuid_regs hypervisor[CPUID_HYPERVISOR_MAX - CPUID_HYPERVISOR + 1];
	struct cpuid_regs cache[CPUID_SUBLEAVES];
	struct cpuid_regs xsave[CPUID_XSAVE_STATES];
};

void cpuid_build(struct cpuid_table *table, const struct cpuid_policy *policy);

/* State of the vCPU that shows in CPUID. */
struct cpuid_dynamic {
	uint32_t apic_id;
	bool osxsave;
	uint64_t xcr0;
};

/*
 * The answer for a guest. Unknown basic and extended leaves answer as the highest basic one, as the
 * SDM says; unknown hypervisor leaves are zero.
 */
struct cpuid_regs cpuid_lookup(const struct cpuid_table *table, uint32_t leaf, uint32_t subleaf,
			       const struct cpuid_dynamic *dynamic);

/* Physical-address bits of the guest: the host's own. */
uint8_t cpuid_physical_bits(const struct cpuid_table *table);
/* Bits that the guest may set in XCR0, and in CR4, by what its CPUID offers. */
uint64_t cpuid_xcr0_allowed(const struct cpuid_table *table);
uint64_t cpuid_cr4_allowed(const struct cpuid_table *table);

#endif
