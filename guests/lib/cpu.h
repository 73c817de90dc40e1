/* SPDX-License-Identifier: MIT */
/*
 * The CPU's registers as a test guest reaches them, and the same accesses where a fault is what is
 * asked for: try_* return the vector of the exception, TRAP_NONE when there was none.
 */
#ifndef GUESTS_LIB_CPU_H
#define GUESTS_LIB_CPU_H

#include <stdint.h>

#include "guests/lib/trap.h"

#define TRAP_DB	     1
#define TRAP_UD	     6
#define TRAP_NM	     7
#define TRAP_TS	     10
#define TRAP_NP	     11
#define TRAP_SS	     12
#define TRAP_GP	     13
#define TRAP_PF	     14

#define CR0_PE	     (1u << 0)
#define CR0_MP	     (1u << 1)
#define CR0_EM	     (1u << 2)
#define CR0_TS	     (1u << 3)
#define CR0_NE	     (1u << 5)
#define CR0_WP	     (1u << 16)
#define CR0_AM	     (1u << 18)
#define CR0_NW	     (1u << 29)
#define CR0_CD	     (1u << 30)
#define CR0_PG	     (1u << 31)

#define CR4_VME	     (1u << 0)
#define CR4_TSD	     (1u << 2)
#define CR4_PSE	     (1u << 4)
#define CR4_PAE	     (1u << 5)
#define CR4_MCE	     (1u << 6)
#define CR4_PGE	     (1u << 7)
#define CR4_PCE	     (1u << 8)
#define CR4_UMIP     (1u << 11)
#define CR4_VMXE     (1u << 13)
#define CR4_SMXE     (1u << 14)
#define CR4_FSGSBASE (1u << 16)
#define CR4_PCIDE    (1u << 17)
#define CR4_OSXSAVE  (1u << 18)
#define CR4_SMEP     (1u << 20)
#define CR4_SMAP     (1u << 21)
#define CR4_PKE	     (1u << 22)

#define MSR_EFER     0xc0000080
#define EFER_SCE     0x001u
#define EFER_LME     0x100u
#define EFER_LMA     0x400u
#define EFER_NXE     0x800u

#define FLAG_CF	     0x1u
#define FLAG_TF	     0x100u
#define FLAG_IF	     0x200u
#define FLAG_NT	     0x4000u
#define FLAG_VM	     0x20000u

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "0"(leaf), "2"(subleaf));
	return r;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline uint64_t xgetbv(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

static inline void xsetbv(uint32_t index, uint64_t value)
{
	__asm__ volatile("xsetbv"
			 :
			 : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* read_cr0() and write_cr0(value), and so on. */
#define GUEST_CR(name)                                                              \
	static inline uintptr_t read_##name(void)                                   \
	{                                                                           \
		uintptr_t value;                                                    \
                                                                                    \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(value) : : "memory"); \
		return value;                                                       \
	}                                                                           \
	static inline void write_##name(uintptr_t value)                            \
	{                                                                           \
		__asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");     \
	}
GUEST_CR(cr0)
GUEST_CR(cr2)
GUEST_CR(cr3)
GUEST_CR(cr4)
GUEST_CR(dr0)
GUEST_CR(dr3)
GUEST_CR(dr6)
GUEST_CR(dr7)
#ifdef __x86_64__
GUEST_CR(cr8)
#endif

static inline void invlpg(const volatile void *address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

unsigned try_rdmsr(uint32_t msr, uint64_t *value);
unsigned try_wrmsr(uint32_t msr, uint64_t value);
unsigned try_xsetbv(uint32_t index, uint64_t value);
/* MOV to CR`n`: 0, 3, 4, and 8 in 64-bit code. */
unsigned try_write_cr(unsigned n, uintptr_t value);
/* Reads, or writes, a byte. */
unsigned try_read(uintptr_t address);
unsigned try_write(uintptr_t address);

#endif
