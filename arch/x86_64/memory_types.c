/* SPDX-License-Identifier: MIT */
/* The same memory types on all CPUs. */
#include "arch/x86_64/memory_types.h"

#include <stdint.h>

#include "arch/x86_64/cpu.h"
#include "lib/bits.h"
#include "lib/mtrr.h"
#include "lib/x86.h"

#define CPUID_1_EDX_MTRR  BIT(12)
#define CPUID_1_EDX_PAT	  BIT(16)
#define MTRRCAP_VCNT(cap) bits_get(cap, 7, 0)
#define MTRRCAP_FIXED	  BIT(8)
#define DEF_TYPE_ENABLE	  BIT(11)
#define FIXED_4K	  8 /* registers from MSR_MTRR_FIX4K_C0 on */
#define VALUES_MAX	  (3 + FIXED_4K + 2 * MTRR_VARIABLE_MAX)

static struct {
	bool have_mtrr, have_pat;
	uint64_t pat;
	uint64_t def_type;
	unsigned count;
	struct {
		uint32_t msr;
		uint64_t value;
	} mtrr[VALUES_MAX];
} saved;

static void save(uint32_t msr)
{
	saved.mtrr[saved.count].msr = msr;
	saved.mtrr[saved.count++].value = rdmsr(msr);
}

void memory_types_save(void)
{
	uint32_t features = cpuid(1, 0).edx;
	uint64_t cap;

	saved.have_pat = features & CPUID_1_EDX_PAT;
	saved.have_mtrr = features & CPUID_1_EDX_MTRR;
	if (saved.have_pat)
		saved.pat = rdmsr(MSR_PAT);
	if (!saved.have_mtrr)
		return;
	saved.count = 0;
	cap = rdmsr(MSR_MTRRCAP);
	saved.def_type = rdmsr(MSR_MTRR_DEF_TYPE);
	if (cap & MTRRCAP_FIXED) {
		save(MSR_MTRR_FIX64K);
		save(MSR_MTRR_FIX16K_80);
		save(MSR_MTRR_FIX16K_A0);
		for (unsigned i = 0; i < FIXED_4K; i++)
			save(MSR_MTRR_FIX4K_C0 + i);
	}
	for (unsigned i = 0; i < 2 * MIN(MTRRCAP_VCNT(cap), MTRR_VARIABLE_MAX); i++)
		save(MSR_MTRR_PHYSBASE0 + i);
}

static void wbinvd(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}

static bool same(void)
{
	if (rdmsr(MSR_MTRR_DEF_TYPE) != saved.def_type)
		return false;
	for (unsigned i = 0; i < saved.count; i++)
		if (rdmsr(saved.mtrr[i].msr) != saved.mtrr[i].value)
			return false;
	return true;
}

/* The SDM's sequence: no caching and no global pages while the registers change. */
static void set_mtrrs(void)
{
	uint64_t cr0 = read_cr0(), cr4 = read_cr4();

	write_cr0((cr0 | CR0_CD) & ~CR0_NW);
	wbinvd();
	write_cr4(cr4 & ~CR4_PGE);
	write_cr3(read_cr3());
	wrmsr(MSR_MTRR_DEF_TYPE, saved.def_type & ~DEF_TYPE_ENABLE);
	for (unsigned i = 0; i < saved.count; i++)
		wrmsr(saved.mtrr[i].msr, saved.mtrr[i].value);
	wrmsr(MSR_MTRR_DEF_TYPE, saved.def_type);
	wbinvd();
	write_cr3(read_cr3());
	write_cr0(cr0);
	write_cr4(cr4);
}

bool memory_types_match(bool *changed)
{
	*changed = saved.have_mtrr && !same();
	if (*changed)
		set_mtrrs();
	if (saved.have_pat && rdmsr(MSR_PAT) != saved.pat) {
		wrmsr(MSR_PAT, saved.pat);
		wbinvd();
		write_cr3(read_cr3());
	}
	return !*changed || same();
}
