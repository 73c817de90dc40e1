/* SPDX-License-Identifier: MIT */
/*
 * MSRs: those that the guest has for itself, those that Socle keeps for it, and those that are not
 * there. Intel SDM volume 4; volume 3, "Memory Cache Control", "Time-Stamp Counter".
 */
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"

#define MSR_TSC		    0x10
#define MSR_PLATFORM_ID	    0x17
#define MSR_APIC_BASE	    0x1b
#define MSR_FEATURE_CONTROL 0x3a
#define MSR_TSC_ADJUST	    0x3b
#define MSR_SPEC_CTRL	    0x48
#define MSR_PMC0	    0xc1
#define MSR_MTRRCAP	    0xfe
#define MSR_SYSENTER_CS	    0x174
#define MSR_SYSENTER_ESP    0x175
#define MSR_SYSENTER_EIP    0x176
#define MSR_MCG_CAP	    0x179
#define MSR_MCG_STATUS	    0x17a
#define MSR_MCG_CTL	    0x17b
#define MSR_MISC_ENABLE	    0x1a0
#define MSR_DEBUGCTL	    0x1d9
#define MSR_MTRR_BASE0	    0x200
#define MSR_MTRR_MASK0	    0x201
#define MSR_MTRR_FIX64K	    0x250
#define MSR_MTRR_FIX4K_F8   0x26f
#define MSR_PAT		    0x277
#define MSR_MTRR_DEF_TYPE   0x2ff
#define MSR_MC0_CTL	    0x400
#define MSR_VMX_BASIC	    0x480
#define MSR_X2APIC_VERSION  0x803
#define MSR_XSS		    0xda0
#define MSR_STAR	    0xc0000081
#define MSR_LSTAR	    0xc0000082
#define MSR_CSTAR	    0xc0000083
#define MSR_FMASK	    0xc0000084
#define MSR_FS_BASE	    0xc0000100
#define MSR_GS_BASE	    0xc0000101
#define MSR_KERNEL_GS_BASE  0xc0000102
#define MSR_TSC_AUX	    0xc0000103
#define APIC_ENABLED	    (1u << 11)
#define APIC_X2APIC	    (1u << 10)
#define PAT_AT_RESET	    0x0007040600070406ULL
/* IBRS, STIBP, SSBD */
#define LEAF7_EDX_SPEC_CTRL (3u << 26 | 1u << 31)
/* Guests start within this many ticks of their VM's clock. */
#define TSC_START_MAX 50000000

static void check_keeps(uint32_t msr, uint64_t value, const char *what)
{
	uint64_t old, got;

	guest_check(try_rdmsr(msr, &old) == TRAP_NONE && try_wrmsr(msr, value) == TRAP_NONE &&
			    try_rdmsr(msr, &got) == TRAP_NONE && got == value,
		    what);
	/* It must live through exits as well. */
	cpuid(0, 0);
	guest_check_equal(rdmsr(msr), value, "and after an exit");
	wrmsr(msr, old);
}

static void check_refuses(uint32_t msr, uint64_t value, const char *what)
{
	uint64_t before = 0, after = 0;

	try_rdmsr(msr, &before);
	guest_check_equal(try_wrmsr(msr, value), TRAP_GP, what);
	try_rdmsr(msr, &after);
	if (before != after)
		guest_check(false, "but it changed the register");
}

static void check_absent(uint32_t msr, const char *what)
{
	uint64_t value;
	bool reads = try_rdmsr(msr, &value) == TRAP_NONE;

	guest_check(!reads && trap_last.error == 0 && try_wrmsr(msr, 0) == TRAP_GP, what);
}

static void test_passed(void)
{
	guest_check_equal(rdmsr(MSR_LSTAR) | rdmsr(MSR_STAR) | rdmsr(MSR_KERNEL_GS_BASE), 0,
			  "SYSCALL's registers start as zero");
	guest_check_equal(rdmsr(MSR_SYSENTER_CS) | rdmsr(MSR_SYSENTER_EIP), 0,
			  "SYSENTER's as well");
	check_keeps(MSR_STAR, 0x0010000800001234, "STAR keeps a value");
	check_keeps(MSR_LSTAR, 0xffff800000001000, "LSTAR");
	check_keeps(MSR_CSTAR, 0xffff800000002000, "CSTAR");
	check_keeps(MSR_FMASK, 0x47700, "FMASK");
	check_keeps(MSR_KERNEL_GS_BASE, 0xffff888000003000, "KERNEL_GS_BASE");
	check_keeps(MSR_FS_BASE, 0x00007fff00004000, "FS_BASE");
	check_keeps(MSR_GS_BASE, 0xffff888000005000, "GS_BASE");
	check_keeps(MSR_SYSENTER_CS, 0x10, "SYSENTER_CS");
	check_keeps(MSR_SYSENTER_ESP, 0xffff888000006000, "SYSENTER_ESP");
	check_keeps(MSR_SYSENTER_EIP, 0xffff888000007000, "SYSENTER_EIP");
	check_refuses(MSR_LSTAR, 0x8000000000000000, "LSTAR refuses what is not canonical");
	check_refuses(MSR_FS_BASE, 0x8000000000000000, "FS_BASE too");
	if (cpuid(0x80000001, 0).edx >> 27 & 1)
		check_keeps(MSR_TSC_AUX, 0x12345678, "TSC_AUX");
	else
		check_absent(MSR_TSC_AUX, "TSC_AUX is not there without RDTSCP");
}

static void test_pat_and_efer(void)
{
	uint64_t efer = rdmsr(MSR_EFER);

	guest_check_equal(rdmsr(MSR_PAT), PAT_AT_RESET, "the PAT starts as at reset");
	check_keeps(MSR_PAT, 0x0007050600070106ULL, "the PAT keeps a value");
	check_refuses(MSR_PAT, PAT_AT_RESET - 4, "PAT type 2 is refused");
	check_refuses(MSR_PAT, PAT_AT_RESET | 8ULL << 56, "type 8 too");
	guest_check((efer & (EFER_LME | EFER_LMA)) == (EFER_LME | EFER_LMA), "EFER shows LMA");
	check_keeps(MSR_EFER, efer | EFER_SCE | EFER_NXE, "EFER keeps SCE and NXE");
	check_refuses(MSR_EFER, efer | 2, "EFER's reserved bits are refused");
	check_refuses(MSR_EFER, efer & ~(uint64_t)EFER_LME, "and LME may not fall under paging");
}

/* Ticks that two lines of text may take: many where KVM is around Socle. Far less than moves. */
#define PRINTING_MAX (1ULL << 36)

static void test_tsc(uint64_t start)
{
	uint64_t before, after;

	guest_check(start < TSC_START_MAX, "the TSC starts near 0");
	before = rdmsr(MSR_TSC);
	after = rdtsc();
	guest_check(after > before && after - before < 100000, "RDMSR and RDTSC agree");
	wrmsr(MSR_TSC, 0x123456789abcULL);
	after = rdtsc();
	guest_check(after - 0x123456789abcULL < 100000, "WRMSR moves RDTSC");
	guest_check(rdmsr(MSR_TSC_ADJUST) != 0, "and TSC_ADJUST with it");
	wrmsr(MSR_TSC_ADJUST, 0);
	after = rdtsc();
	guest_check(after > before && after - before < PRINTING_MAX,
		    "TSC_ADJUST = 0 moves it back");
	wrmsr(MSR_TSC_ADJUST, 1ULL << 40);
	after = rdtsc() - (1ULL << 40);
	guest_check(after > before && after - before < PRINTING_MAX, "TSC_ADJUST adds to it");
	wrmsr(MSR_TSC_ADJUST, 0);
}

static void test_apic_base(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE), value;

	guest_check_equal(base, 0xfee00900, "APIC_BASE: enabled, the bootstrap processor");
	check_absent(MSR_X2APIC_VERSION, "no x2APIC register before x2APIC mode");
	check_refuses(MSR_APIC_BASE, base | 1, "reserved bits are refused");
	check_refuses(MSR_APIC_BASE, base | 1ULL << 60, "high ones too");
	check_refuses(MSR_APIC_BASE, (base & ~(uint64_t)APIC_ENABLED) | APIC_X2APIC,
		      "x2APIC without enable is refused");
	guest_check_equal(try_wrmsr(MSR_APIC_BASE, base | APIC_X2APIC), TRAP_NONE,
			  "x2APIC mode goes on");
	guest_check(try_rdmsr(MSR_X2APIC_VERSION, &value) == TRAP_NONE && (value & 0xf0) == 0x10,
		    "its version register is there");
	check_refuses(MSR_APIC_BASE, base, "the way back to xAPIC leads over disabled");
	guest_check_equal(try_wrmsr(MSR_APIC_BASE, base & ~(uint64_t)APIC_ENABLED), TRAP_NONE,
			  "disabled");
	guest_check_equal(try_wrmsr(MSR_APIC_BASE, base), TRAP_NONE, "and xAPIC again");
}

static void test_misc(void)
{
	uint64_t misc = rdmsr(MSR_MISC_ENABLE);

	guest_check_equal(misc & 0x1801, 0x1801, "MISC_ENABLE: fast strings, no BTS, no PEBS");
	check_keeps(MSR_MISC_ENABLE, misc & ~1ULL, "fast strings can be turned off");
	check_refuses(MSR_MISC_ENABLE, misc | 1ULL << 50, "reserved bits are refused");
	guest_check_equal(rdmsr(MSR_MCG_CAP), 0, "no machine-check banks");
	check_refuses(MSR_MCG_CAP, 0, "MCG_CAP is read-only");
	check_keeps(MSR_MCG_STATUS, 0, "MCG_STATUS can be cleared");
	check_refuses(MSR_MCG_STATUS, 1ULL << 20, "its reserved bits are refused");
	check_absent(MSR_MCG_CTL, "MCG_CTL is not there");
	check_absent(MSR_MC0_CTL, "nor a bank");
	guest_check_equal(rdmsr(MSR_DEBUGCTL), 0, "DEBUGCTL starts as 0");
	check_keeps(MSR_DEBUGCTL, 2, "DEBUGCTL keeps BTF");
	check_refuses(MSR_DEBUGCTL, 1ULL << 20, "its reserved bits are refused");
	guest_check_equal(rdmsr(MSR_PLATFORM_ID), 0, "PLATFORM_ID can be read");
	check_refuses(MSR_PLATFORM_ID, 0, "and not written");
}

static void test_mtrrs(void)
{
	unsigned bits = cpuid(0x80000008, 0).eax & 0xff;
	uint64_t cap = rdmsr(MSR_MTRRCAP), type = rdmsr(MSR_MTRR_DEF_TYPE);

	guest_check((cap & 0xff) >= 1 && (cap & 1 << 8), "MTRRCAP: variable and fixed ranges");
	check_refuses(MSR_MTRRCAP, cap, "it is read-only");
	guest_check_equal(type & 0x800, 0x800, "MTRRs are on");
	check_keeps(MSR_MTRR_DEF_TYPE, 0xc00, "the default type can change");
	check_refuses(MSR_MTRR_DEF_TYPE, 0xc02, "type 2 is refused");
	check_refuses(MSR_MTRR_DEF_TYPE, type | 1 << 12, "reserved bits too");
	check_keeps(MSR_MTRR_BASE0 + 6, 0xd0000001, "a variable range's base");
	check_keeps(MSR_MTRR_MASK0 + 6, 0xfff000800, "and mask");
	check_refuses(MSR_MTRR_BASE0 + 6, 0xd0000003, "type 3 is refused");
	check_refuses(MSR_MTRR_BASE0 + 6, 0xd0000100, "reserved bits");
	check_refuses(MSR_MTRR_MASK0 + 6, 1ULL << bits | 0x800, "beyond physical addresses");
	check_keeps(MSR_MTRR_FIX64K, 0x0600040501000606ULL, "a fixed range");
	check_refuses(MSR_MTRR_FIX64K, 0x0600040501000706ULL, "type 7 is refused there");
	check_keeps(MSR_MTRR_FIX4K_F8, 0x0101010101010101ULL, "the last fixed range");
	check_absent(MSR_MTRR_BASE0 + 2 * (uint32_t)(cap & 0xff), "none beyond MTRRCAP's count");
}

static void test_absent(void)
{
	static const uint32_t gaps[] = {0x2,	    0x1fff,	0x2000,	    0x40000000, 0xbfffffff,
					0xc0000000, 0xc0001fff, 0xc0002000, 0xdeadbeef, 0xffffffff};

	check_absent(MSR_VMX_BASIC, "VMX's capabilities are not there");
	check_absent(MSR_FEATURE_CONTROL, "FEATURE_CONTROL neither");
	check_absent(MSR_PMC0, "performance counters neither");
	check_absent(MSR_XSS, "XSS neither");
	if (!(cpuid(7, 0).edx & LEAF7_EDX_SPEC_CTRL))
		check_absent(MSR_SPEC_CTRL, "SPEC_CTRL is not there where CPUID has none of it");
	for (unsigned i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
		uint64_t value;

		guest_check(try_rdmsr(gaps[i], &value) == TRAP_GP &&
				    try_wrmsr(gaps[i], 0) == TRAP_GP,
			    "an MSR that is not there");
	}
}

unsigned main(uintptr_t info)
{
	uint64_t start = rdtsc();

	(void)info;
	trap_init();
	test_tsc(start);
	test_passed();
	test_pat_and_efer();
	test_apic_base();
	test_misc();
	test_mtrrs();
	test_absent();
	return guest_failures();
}
