/* SPDX-License-Identifier: MIT */
/*
 * CPUID: what Socle promises a guest, what it keeps back, and that what is promised works.
 * Intel SDM volume 2, "CPUID".
 */
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"

#define HYPERVISOR_LEAF 0x40000000u
#define EXTENDED_LEAF	0x80000000u
#define LAPIC_ID	0xFEE00020

/* Leaf 1 ECX. */
#define ECX_XSAVE      (1u << 26)
#define ECX_OSXSAVE    (1u << 27)
#define ECX_HYPERVISOR (1u << 31)
#define ECX_X2APIC     (1u << 21)
#define ECX_DEADLINE   (1u << 24)

static void check_bit(uint32_t word, unsigned bit, bool want, const char *what)
{
	guest_check_equal(word >> bit & 1, want, what);
}

static bool same(struct cpuid a, struct cpuid b)
{
	return a.eax == b.eax && a.ebx == b.ebx && a.ecx == b.ecx && a.edx == b.edx;
}

static bool is_zero(struct cpuid a)
{
	return !a.eax && !a.ebx && !a.ecx && !a.edx;
}

static void test_hypervisor(void)
{
	struct cpuid leaf = cpuid(HYPERVISOR_LEAF, 0);

	guest_check(cpuid(1, 0).ecx & ECX_HYPERVISOR, "the hypervisor bit is set");
	guest_check(leaf.ebx == 0x6c636f53 && leaf.ecx == 0x636f5365 && leaf.edx == 0x656c,
		    "the hypervisor says SocleSocle");
	guest_check_equal(leaf.eax, HYPERVISOR_LEAF + 0x10, "its highest leaf");
	guest_check(cpuid(leaf.eax, 0).eax != 0, "which tells the TSC's frequency");
	guest_check(is_zero(cpuid(leaf.eax + 1, 0)), "what is beyond is zero");
	guest_check(is_zero(cpuid(HYPERVISOR_LEAF + 0xff, 0)), "to the end of the range");
}

static void test_features(void)
{
	struct cpuid leaf = cpuid(1, 0), leaf7 = cpuid(7, 0);

	check_bit(leaf.ecx, 3, 0, "no MONITOR");
	check_bit(leaf.ecx, 5, 0, "no VMX");
	check_bit(leaf.ecx, 6, 0, "no SMX");
	check_bit(leaf.ecx, 15, 0, "no PDCM");
	check_bit(leaf.edx, 21, 0, "no DS");
	check_bit(leaf.edx, 22, 0, "no thermal control");
	check_bit(leaf.edx, 9, 1, "an APIC");
	guest_check((leaf.ecx & ECX_X2APIC) && (leaf.ecx & ECX_DEADLINE),
		    "with x2APIC mode and a TSC deadline");
	guest_check_equal(leaf.ebx >> 24, *(volatile uint32_t *)LAPIC_ID >> 24,
			  "the APIC id is the APIC's");
	guest_check_equal(leaf.ebx >> 16 & 0xff, 1, "one logical CPU");
	check_bit(leaf7.ebx, 1, 1, "IA32_TSC_ADJUST");
	check_bit(leaf7.ebx, 2, 0, "no SGX");
	check_bit(leaf7.ebx, 4, 0, "no HLE");
	check_bit(leaf7.ebx, 11, 0, "no RTM");
	check_bit(leaf7.ebx, 14, 0, "no MPX");
	check_bit(leaf7.ebx, 25, 0, "no processor trace");
	check_bit(leaf7.ecx, 3, 0, "no protection keys");
	check_bit(leaf7.ecx, 5, 0, "no user wait");
	guest_check_equal(leaf7.eax, 0, "leaf 7 has one subleaf");
	guest_check(is_zero(cpuid(7, 1)), "the next is zero");
	guest_check(is_zero(cpuid(5, 0)), "leaf 5 (MONITOR) is zero");
	guest_check(is_zero(cpuid(0xa, 0)), "leaf AH (PMU) is zero");
}

static void test_ranges(void)
{
	uint32_t basic = cpuid(0, 0).eax, extended = cpuid(EXTENDED_LEAF, 0).eax;

	guest_check(basic >= 0xb && basic <= 0x16, "basic leaves end at BH to 16H");
	guest_check_equal(extended, EXTENDED_LEAF + 8, "extended leaves end at 80000008H");
	guest_check(same(cpuid(basic + 1, 0), cpuid(basic, 0)), "beyond is the last basic leaf");
	guest_check(same(cpuid(extended + 1, 0), cpuid(basic, 0)), "beyond the extended ones too");
	guest_check(same(cpuid(0xffffffff, 0), cpuid(basic, 0)), "and at the very end");
	check_bit(cpuid(EXTENDED_LEAF + 7, 0).edx, 8, 1, "the TSC is invariant");
	check_bit(cpuid(EXTENDED_LEAF + 1, 0).edx, 29, 1, "long mode");
	guest_check((cpuid(EXTENDED_LEAF + 8, 0).eax & 0xff) >= 36, "physical-address bits");
	guest_check(basic < 0x12 || (is_zero(cpuid(0x12, 0)) && is_zero(cpuid(0x14, 0))),
		    "no SGX, no trace leaf");
}

static void test_caches(void)
{
	unsigned caches = 0;

	while (caches < 8 && cpuid(4, caches).eax & 31) {
		struct cpuid leaf = cpuid(4, caches);

		if (leaf.eax >> 14 || !(leaf.eax >> 5 & 7))
			break;
		caches++;
	}
	guest_check(caches >= 1 && caches < 8, "leaf 4 lists caches that nobody shares");
	guest_check_equal(cpuid(4, caches).eax & 31, 0, "and ends");
	guest_check_equal(cpuid(4, 1000).eax & 31, 0, "far beyond too");
	guest_check(!same(cpuid(4, 0), cpuid(4, 1)), "its subleaves differ");
}

static void test_topology(void)
{
	struct cpuid thread = cpuid(0xb, 0), core = cpuid(0xb, 1), end = cpuid(0xb, 2);

	guest_check_equal(thread.ecx, 0x100, "leaf BH level 0 is the thread");
	guest_check_equal(thread.ebx & 0xffff, 1, "of which a core has one");
	guest_check_equal(core.ecx, 0x201, "level 1 is the core");
	guest_check_equal(core.ebx & 0xffff, 1, "of which there is one");
	guest_check_equal(end.ecx, 2, "level 2 is none");
	guest_check_equal(end.ebx | end.eax, 0, "and empty");
	guest_check_equal(end.edx, *(volatile uint32_t *)LAPIC_ID >> 24, "EDX is the x2APIC id");
}

static void test_osxsave(void)
{
	uintptr_t cr4 = read_cr4();

	write_cr4(cr4 | CR4_OSXSAVE);
	guest_check(cpuid(1, 0).ecx & ECX_OSXSAVE, "OSXSAVE follows CR4");
	write_cr4(cr4 & ~(uintptr_t)CR4_OSXSAVE);
	guest_check(!(cpuid(1, 0).ecx & ECX_OSXSAVE), "back as well");
	write_cr4(cr4 | CR4_OSXSAVE);
}

static uint8_t area[8192] __attribute__((aligned(64)));

/* Bytes up to the last one that XSAVE wrote over a background. */
static uint32_t written(void)
{
	uint32_t last = 0;

	for (unsigned round = 0; round < 2; round++) {
		uint8_t background = round ? 0x5a : 0xa5;

		for (unsigned i = 0; i < sizeof(area); i++)
			area[i] = i >= 512 && i < 576 ? 0 : background;
		__asm__ volatile("xsave %0" : "+m"(area) : "a"(-1), "d"(-1) : "memory");
		for (uint32_t i = 576; i < sizeof(area); i++)
			if (area[i] != background && i >= last)
				last = i + 1;
	}
	return last ? last : 576;
}

static void dirty_vectors(void)
{
	__asm__ volatile("vpcmpeqd %%xmm0, %%xmm0, %%xmm0\n\t"
			 "vinsertf128 $1, %%xmm0, %%ymm0, %%ymm0\n\t"
			 "vinsertf128 $1, %%xmm0, %%ymm0, %%ymm15"
			 :
			 :
			 : "memory");
}

static void test_xsave_sizes(void)
{
	struct cpuid leaf = cpuid(0xd, 0), compact = cpuid(0xd, 1);
	struct cpuid avx = cpuid(0xd, 2);

	guest_check_equal(xgetbv(0), 1, "XCR0 starts as 1");
	guest_check_equal(leaf.ebx, 576, "x87 alone takes 576 bytes");
	guest_check_equal(leaf.eax & 7, 7, "XCR0 may have x87, SSE and AVX");
	guest_check_equal(leaf.eax & ~0xe7u, 0, "and AVX-512, nothing else");
	guest_check_equal(leaf.edx, 0, "nor high bits");
	guest_check_equal(avx.eax, 256, "AVX's component has 256 bytes");
	guest_check_equal(avx.ebx, 576, "behind the header");
	check_bit(compact.eax, 1, 0, "no XSAVEC");
	check_bit(compact.eax, 3, 0, "no XSAVES");
	guest_check_equal(compact.ebx, 0, "so no size of theirs");
	guest_check_equal(compact.ecx | compact.edx, 0, "no supervisor states");
	guest_check(is_zero(cpuid(0xd, 3)) && is_zero(cpuid(0xd, 9)), "no MPX, no PKRU component");
	guest_check(is_zero(cpuid(0xd, 63)), "nor subleaf 63");
	xsetbv(0, 7);
	guest_check_equal(cpuid(0xd, 0).ebx, 832, "XCR0 = 7 takes 832 bytes");
	dirty_vectors();
	guest_check_equal(written(), cpuid(0xd, 0).ebx, "as XSAVE writes");
	xsetbv(0, leaf.eax);
	guest_check_equal(cpuid(0xd, 0).ebx, leaf.ecx, "all of XCR0 takes the maximum");
	if (leaf.eax & 0xe0)
		guest_check_equal(cpuid(0xd, 6).ebx, 1152, "ZMM's component is at 1152");
	xsetbv(0, 1);
}

/* CR4 takes a bit exactly when CPUID offers its feature. */
static void check_cr4(uint32_t bit, bool promised, const char *what)
{
	uintptr_t cr4 = read_cr4();
	unsigned vector = try_write_cr(4, cr4 | bit);

	guest_check_equal(vector, promised ? TRAP_NONE : TRAP_GP, what);
	write_cr4(cr4);
}

static void run_rdrand(void *argument)
{
	__asm__ volatile("rdrand %%eax" : : : "eax", "cc");
	(void)argument;
}

static void run_rdseed(void *argument)
{
	__asm__ volatile("rdseed %%eax" : : : "eax", "cc");
	(void)argument;
}

static void run_rdtscp(void *argument)
{
	__asm__ volatile("rdtscp" : : : "eax", "ecx", "edx");
	(void)argument;
}

static void run_invpcid(void *argument)
{
	uint64_t descriptor[2] = {0};

	__asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"(2UL) : "memory");
	(void)argument;
}

static void run_rdfsbase(void *argument)
{
	__asm__ volatile("rdfsbase %%rax" : : : "rax");
	(void)argument;
}

static void run_monitor(void *argument)
{
	__asm__ volatile("monitor" : : "a"(argument), "c"(0), "d"(0));
}

static void check_works(void (*run)(void *), bool promised, const char *what)
{
	guest_check_equal(trap_run(run, area), promised ? TRAP_NONE : TRAP_UD, what);
}

static void test_promises(void)
{
	struct cpuid leaf = cpuid(1, 0), leaf7 = cpuid(7, 0);

	check_cr4(CR4_VMXE, false, "CR4.VMXE is refused");
	check_cr4(CR4_SMXE, false, "CR4.SMXE is refused");
	check_cr4(CR4_PKE, false, "CR4.PKE is refused");
	check_cr4(CR4_SMEP, leaf7.ebx >> 7 & 1, "CR4.SMEP as CPUID says");
	check_cr4(CR4_SMAP, leaf7.ebx >> 20 & 1, "CR4.SMAP as CPUID says");
	check_cr4(CR4_UMIP, leaf7.ecx >> 2 & 1, "CR4.UMIP as CPUID says");
	check_cr4(CR4_PCIDE, leaf.ecx >> 17 & 1, "CR4.PCIDE as CPUID says");
	check_cr4(CR4_FSGSBASE, leaf7.ebx & 1, "CR4.FSGSBASE as CPUID says");
	check_works(run_rdrand, leaf.ecx >> 30 & 1, "RDRAND as CPUID says");
	check_works(run_rdseed, leaf7.ebx >> 18 & 1, "RDSEED as CPUID says");
	check_works(run_invpcid, leaf7.ebx >> 10 & 1, "INVPCID as CPUID says");
	check_works(run_rdtscp, cpuid(EXTENDED_LEAF + 1, 0).edx >> 27 & 1, "RDTSCP as CPUID says");
	check_works(run_monitor, false, "MONITOR raises #UD");
	if (leaf7.ebx & 1) {
		uintptr_t cr4 = read_cr4();

		check_works(run_rdfsbase, false, "RDFSBASE wants CR4.FSGSBASE");
		write_cr4(cr4 | CR4_FSGSBASE);
		check_works(run_rdfsbase, true, "and works with it");
		write_cr4(cr4);
	}
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	test_hypervisor();
	test_features();
	test_ranges();
	test_caches();
	test_topology();
	/* Westmere has no XSAVE, and Linux switches it off where its sizes are odd. */
	if (cpuid(1, 0).ecx & ECX_XSAVE) {
		test_osxsave();
		test_xsave_sizes();
	} else {
		check_cr4(CR4_OSXSAVE, false, "CR4.OSXSAVE is refused without XSAVE");
	}
	test_promises();
	return guest_failures();
}
