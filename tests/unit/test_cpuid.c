/* SPDX-License-Identifier: MIT */
/*
 * What CPUID tells a guest of a made-up host. Bits are by their numbers in SDM volume 2,
 * "CPUID—CPU Identification", so that a wrong name in the policy shows.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/cpuid.h"

#define MARK(leaf) (0x11000000u | (leaf) << 8)

/* The host: every feature bit set, unless a test takes it back. */
static struct {
	uint32_t basic_max, extended_max;
	uint32_t ecx1, xcr0, physical;
} host;

/* XSAVE components: size and offset, as in AVX-512 CPUs; 9 is PKRU. */
static const struct cpuid_regs components[10] = {
	[2] = {256, 576, 0, 0}, [3] = {64, 960, 0, 0},	 [4] = {64, 1024, 0, 0},
	[5] = {64, 1088, 0, 0}, [6] = {512, 1152, 0, 0}, [7] = {1024, 1664, 0, 0},
	[9] = {8, 2688, 0, 0},
};

static struct cpuid_regs host_extended(uint32_t leaf)
{
	switch (leaf) {
	case 0x80000000: return (struct cpuid_regs){host.extended_max, 1, 2, 3};
	case 0x80000001: return (struct cpuid_regs){0x55, 0x66, UINT32_MAX, UINT32_MAX};
	case 0x80000008: return (struct cpuid_regs){host.physical, 7, 7, 7};
	default: return (struct cpuid_regs){leaf, leaf + 1, leaf + 2, leaf + 3};
	}
}

static struct cpuid_regs host_basic(uint32_t leaf, uint32_t subleaf)
{
	switch (leaf) {
	case 0: return (struct cpuid_regs){host.basic_max, 0x756e6547, 0x6c65746e, 0x49656e69};
	case 1: return (struct cpuid_regs){0x906ea, 0xfe100800, host.ecx1, UINT32_MAX};
	case 4:
		if (subleaf > 3)
			return (struct cpuid_regs){0};
		return (struct cpuid_regs){0xfc004121 + subleaf + (subleaf == 3 ? 0x40 : 0),
					   0x1c0003f, 0x3f + subleaf, 4};
	case 7: return (struct cpuid_regs){2, UINT32_MAX, UINT32_MAX, UINT32_MAX};
	case 0xb: return (struct cpuid_regs){1, 2, 0x100 + subleaf, 77};
	case 0xd:
		if (subleaf == 0)
			return (struct cpuid_regs){host.xcr0, 2696, 2696, 0};
		if (subleaf == 1)
			return (struct cpuid_regs){0x1f, 2568, 0x100, 0};
		return subleaf < 10 ? components[subleaf] : (struct cpuid_regs){0};
	default: return (struct cpuid_regs){MARK(leaf), MARK(leaf) + 1, MARK(leaf) + 2, subleaf};
	}
}

/* Leaves that it does not have answer as the highest basic one. */
static struct cpuid_regs host_cpuid(uint32_t leaf, uint32_t subleaf)
{
	if (leaf >= 0x80000000 && leaf <= host.extended_max)
		return host_extended(leaf);
	if (leaf > host.basic_max)
		leaf = host.basic_max;
	return host_basic(leaf, subleaf);
}

static struct cpuid_table table;
static struct cpuid_policy policy;
static struct cpuid_dynamic dynamic;

static int setup(void **state)
{
	(void)state;
	host.basic_max = 0x1f;
	host.extended_max = 0x8000001f;
	host.ecx1 = UINT32_MAX;
	host.xcr0 = 0x2ff;
	host.physical = 0x3027;
	policy = (struct cpuid_policy){.host = host_cpuid,
				       .tsc_hz = 2400000000,
				       .apic_timer_hz = 1000000000,
				       .cpus = 1,
				       .rdtscp = true,
				       .invpcid = true};
	dynamic = (struct cpuid_dynamic){.xcr0 = 1};
	return 0;
}

static void build(void)
{
	memset(&table, 0xa5, sizeof(table));
	cpuid_build(&table, &policy);
}

static struct cpuid_regs ask(uint32_t leaf, uint32_t subleaf)
{
	return cpuid_lookup(&table, leaf, subleaf, &dynamic);
}

static void answers(uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx, uint32_t ecx,
		    uint32_t edx)
{
	struct cpuid_regs regs = ask(leaf, subleaf);

	if (regs.eax != eax || regs.ebx != ebx || regs.ecx != ecx || regs.edx != edx)
		fail_msg("leaf %x.%x: %x %x %x %x, not %x %x %x %x", leaf, subleaf, regs.eax,
			 regs.ebx, regs.ecx, regs.edx, eax, ebx, ecx, edx);
}

static void same(struct cpuid_regs a, struct cpuid_regs b)
{
	assert_memory_equal(&a, &b, sizeof(a));
}

/* Which bits of `value` are in the list, and that none of the other list is. */
static void has(uint32_t value, const char *what, uint64_t with, uint64_t without)
{
	if ((value & with) != with)
		fail_msg("%s: %08x lacks %08x", what, value, (uint32_t)(with & ~value));
	if (value & without)
		fail_msg("%s: %08x has %08x", what, value, (uint32_t)(value & without));
}

static void test_features(void **state)
{
	(void)state;
	build();
	/* DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, CNXT-ID, SDBG, xTPR, PDCM, DCA. */
	has(ask(1, 0).ecx, "1.ecx",
	    BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(19) | BIT(20) | BIT(21) | BIT(23) |
		    BIT(24) | BIT(25) | BIT(26) | BIT(28) | BIT(30) | BIT(31),
	    BITS(8, 2) | BIT(10) | BIT(11) | BITS(16, 14) | BIT(18) | BIT(27));
	/* FPU, TSC, MSR, PAE, APIC, MTRR, SSE2; not PSN, DS, ACPI, HTT, TM, PBE. */
	has(ask(1, 0).edx, "1.edx",
	    BIT(0) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(9) | BIT(12) | BIT(13) |
		    BIT(15) | BIT(16) | BITS(26, 23),
	    BIT(10) | BIT(18) | BIT(20) | BIT(21) | BIT(22) | BITS(31, 28));
	/* HLE, RTM, SGX, PQM, MPX, PQE, PT; FSGSBASE, SMEP, ERMS, INVPCID, SMAP are there. */
	has(ask(7, 0).ebx, "7.ebx", BIT(0) | BIT(1) | BIT(5) | BIT(7) | BIT(9) | BIT(10) | BIT(20),
	    BIT(2) | BIT(4) | BIT(11) | BIT(12) | BIT(14) | BIT(15) | BIT(25));
	/* UMIP; not PKU, OSPKE, WAITPKG, SHSTK, TME, LA57, key locker, ENQCMD, SGX_LC, PKS. */
	has(ask(7, 0).ecx, "7.ecx", BIT(2) | BIT(22),
	    BITS(5, 3) | BIT(7) | BIT(13) | BIT(16) | BIT(23) | BITS(31, 29));
	/* Not TSXLDTRK, PCONFIG, LBR, IBT, AMX, CORE_CAPABILITIES, hybrid, L1D_FLUSH. */
	has(ask(7, 0).edx, "7.edx", BIT(10) | BIT(26) | BIT(27),
	    BITS(16, 15) | BITS(20, 18) | BIT(22) | BIT(24) | BIT(25) | BIT(28) | BIT(30));
	has(ask(0x80000001, 0).ecx, "80000001.ecx", BIT(0) | BIT(5), BIT(2));
	has(ask(0x80000001, 0).edx, "80000001.edx", BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29),
	    BIT(31));
}

/* What the models bring is there on the barest host; nothing else is made up. */
static void test_bare_host(void **state)
{
	(void)state;
	host.ecx1 = 0;
	build();
	assert_int_equal(ask(1, 0).ecx, BIT(21) | BIT(24) | BIT(31));
	/* Without XSAVE nothing that needs it, and no states. */
	answers(0xd, 0, 0, 0, 0, 0);
	answers(0xd, 1, 0, 0, 0, 0);
	answers(0xd, 2, 0, 0, 0, 0);
	assert_int_equal(cpuid_xcr0_allowed(&table), 0);
	host.ecx1 = (uint32_t)(BIT(12) | BIT(28) | BIT(29));
	build();
	assert_int_equal(ask(1, 0).ecx, BIT(21) | BIT(24) | BIT(31));
}

static void test_dependent_features(void **state)
{
	(void)state;
	policy.rdtscp = false;
	build();
	has(ask(7, 0).ecx, "7.ecx", BIT(2), BIT(22));
	has(ask(0x80000001, 0).edx, "80000001.edx", BIT(29), BIT(27));
	has(ask(7, 0).ebx, "7.ebx", BIT(10), 0);
	policy.rdtscp = true;
	policy.invpcid = false;
	build();
	has(ask(7, 0).ebx, "7.ebx", BIT(9), BIT(10));
	has(ask(7, 0).ecx, "7.ecx", BIT(22), 0);
}

static void test_vcpu_state_shows(void **state)
{
	(void)state;
	build();
	/* Family and model are the host's; its own APIC id and count are not. */
	assert_int_equal(ask(1, 0).eax, 0x906ea);
	assert_int_equal(ask(1, 0).ebx, 0x00010800);
	dynamic.apic_id = 5;
	dynamic.osxsave = true;
	policy.cpus = 6;
	build();
	assert_int_equal(ask(1, 0).ebx, 0x05060800);
	has(ask(1, 0).ecx, "1.ecx", BIT(27), 0);
	has(ask(1, 0).edx, "1.edx", BIT(28), 0);
}

static void test_hypervisor_leaves(void **state)
{
	struct cpuid_regs regs;

	(void)state;
	build();
	regs = ask(0x40000000, 0);
	assert_int_equal(regs.eax, 0x40000010);
	assert_memory_equal(&regs.ebx, "SocleSocle\0", 12);
	answers(0x40000001, 0, 0, 0, 0, 0);
	/* TSC and bus frequency in kHz, as other hypervisors put them there. */
	answers(0x40000010, 0, 2400000, 1000000, 0, 0);
	answers(0x40000011, 0, 0, 0, 0, 0);
	answers(0x400000ff, 0, 0, 0, 0, 0);
	/* The host's own are never seen; beyond the range it is as with any unknown leaf. */
	host.basic_max = 2;
	build();
	answers(0x400000ff, 0, 0, 0, 0, 0);
	same(ask(0x40000100, 0), host_cpuid(2, 0));
	same(ask(0x3fffffff, 0), host_cpuid(2, 0));
}

static void test_highest_leaves(void **state)
{
	(void)state;
	build();
	answers(0, 0, 0x16, 0x756e6547, 0x6c65746e, 0x49656e69);
	assert_int_equal(ask(0x80000000, 0).eax, 0x80000008);
	/* Beyond the highest: as the highest basic one. */
	same(ask(0x17, 0), ask(0x16, 0));
	same(ask(0x1f, 0), ask(0x16, 0));
	same(ask(0x80000009, 0), ask(0x16, 0));
	same(ask(0xffffffff, 0), ask(0x16, 0));
	host.basic_max = 0xd;
	build();
	assert_int_equal(ask(0, 0).eax, 0xd);
	dynamic.xcr0 = 7;
	for (uint32_t i = 0; i < 4; i++) {
		same(ask(0xe, i), ask(0xd, i));
		same(ask(0x80000009, i), ask(0xd, i));
	}
	assert_int_equal(ask(0xe, 0).ebx, 832);
}

/* Serial number, MONITOR, power but ARAT, DCA, PMU, QoS, SGX, PT, frequencies. */
static void test_absent_leaves(void **state)
{
	static const uint8_t zero[] = {3,    5,	   8,	 9,    0xa,  0xc,  0xe, 0xf,
				       0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16};

	(void)state;
	build();
	for (unsigned i = 0; i < sizeof(zero); i++)
		answers(zero[i], 0, 0, 0, 0, 0);
	answers(6, 0, 4, 0, 0, 0);
	same(ask(2, 0), host_cpuid(2, 0));
	/* Invariant TSC and nothing else. */
	answers(0x80000007, 0, 0, 0, 0, 0x100);
	answers(0x80000008, 0, 0x3027, 0, 0, 0);
	/* The brand string is the host's. */
	for (uint32_t leaf = 0x80000002; leaf <= 0x80000006; leaf++)
		same(ask(leaf, 0), host_cpuid(leaf, 0));
}

static void test_subleaves(void **state)
{
	(void)state;
	build();
	/* The caches are the host's, shared with nobody. */
	for (uint32_t i = 0; i < 4; i++)
		answers(4, i, (i == 3 ? 0x161 : 0x121) + i, 0x1c0003f, 0x3f + i, 4);
	for (uint32_t i = 4; i < 12; i++)
		answers(4, i, 0, 0, 0, 0);
	answers(4, UINT32_MAX, 0, 0, 0, 0);
	/* Leaf 7 has the one subleaf. */
	assert_int_equal(ask(7, 0).eax, 0);
	answers(7, 1, 0, 0, 0, 0);
	answers(7, UINT32_MAX, 0, 0, 0, 0);
	/* A leaf without subleaves does not look at ECX. */
	same(ask(2, 9), ask(2, 0));
	answers(0xd, 20, 0, 0, 0, 0);
	answers(0xd, UINT32_MAX, 0, 0, 0, 0);
}

static void test_topology(void **state)
{
	static const struct {
		unsigned cpus, shift;
	} shifts[] = {{1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 3}, {32, 5}};

	(void)state;
	dynamic.apic_id = 3;
	for (unsigned i = 0; i < ARRAY_SIZE(shifts); i++) {
		policy.cpus = shifts[i].cpus;
		build();
		answers(0xb, 0, 0, 1, 0x100, 3);
		answers(0xb, 1, shifts[i].shift, shifts[i].cpus, 0x201, 3);
		/* Invalid levels: type 0, the number as asked, the id as ever. */
		answers(0xb, 2, 0, 0, 2, 3);
		answers(0xb, 0x1234, 0, 0, 0x34, 3);
		/* Leaf 4: cores of the package, and one that has its first cache for itself. */
		assert_int_equal(ask(4, 0).eax >> 26, (1 << shifts[i].shift) - 1);
		assert_int_equal(ask(4, 0).eax >> 14 & 0xfff, 0);
		assert_int_equal(ask(4, 3).eax >> 14 & 0xfff, (1 << shifts[i].shift) - 1);
		assert_int_equal(ask(4, 4).eax, 0);
	}
}

static void test_xsave_sizes(void **state)
{
	static const struct {
		uint32_t xcr0, size;
	} sizes[] = {{1, 576}, {3, 576}, {7, 832}, {0xe7, 2688}};

	(void)state;
	build();
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		dynamic.xcr0 = sizes[i].xcr0;
		answers(0xd, 0, 0xe7, sizes[i].size, 2688, 0);
	}
	answers(0xd, 2, 256, 576, 0, 0);
	answers(0xd, 7, 1024, 1664, 0, 0);
	/* MPX and PKRU are the host's only. */
	answers(0xd, 3, 0, 0, 0, 0);
	answers(0xd, 4, 0, 0, 0, 0);
	answers(0xd, 9, 0, 0, 0, 0);
	/* XSAVEOPT and XGETBV with ECX = 1; no compacted format, no supervisor states, no XFD. */
	answers(0xd, 1, 5, 0, 0, 0);
}

static void test_xcr0(void **state)
{
	(void)state;
	build();
	assert_int_equal(cpuid_xcr0_allowed(&table), 0xe7);
	/* AVX-512 in part is none of it. */
	host.xcr0 = 0x67;
	build();
	assert_int_equal(cpuid_xcr0_allowed(&table), 7);
	answers(0xd, 0, 7, 576, 832, 0);
	answers(0xd, 5, 0, 0, 0, 0);
	host.xcr0 = 3;
	build();
	assert_int_equal(cpuid_xcr0_allowed(&table), 3);
	answers(0xd, 0, 3, 576, 576, 0);
}

static void test_cr4(void **state)
{
	/* VME..PCE, OSFXSR, OSXMMEXCPT. */
	const uint64_t always = BITS(10, 0);

	(void)state;
	build();
	/* UMIP, FSGSBASE, PCIDE, OSXSAVE, SMEP, SMAP; not LA57, VMXE, SMXE, PKE, CET, PKS. */
	assert_int_equal(cpuid_cr4_allowed(&table),
			 always | BIT(11) | BITS(18, 16) | BIT(20) | BIT(21));
	host.ecx1 = (uint32_t)~BIT(17);
	build();
	assert_int_equal(cpuid_cr4_allowed(&table) & BITS(18, 17), BIT(18));
	host.ecx1 = (uint32_t)~BIT(26);
	build();
	assert_int_equal(cpuid_cr4_allowed(&table) & BITS(18, 17), BIT(17));
	/* A host that ends before leaf 7 has none of its features. */
	host.basic_max = 6;
	build();
	assert_int_equal(cpuid_cr4_allowed(&table), always | BIT(17));
}

static void test_physical_bits(void **state)
{
	static const struct {
		uint32_t eax, bits;
	} cases[] = {{0x3027, 39}, {0x3020, 32}, {0x3034, 52}, {0x301f, 36},
		     {0x3035, 36}, {0, 36},	 {0xff, 36}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		host.physical = cases[i].eax;
		build();
		assert_int_equal(cpuid_physical_bits(&table), cases[i].bits);
	}
	host.physical = 0x3027;
	host.extended_max = 0x80000007;
	build();
	assert_int_equal(cpuid_physical_bits(&table), 36);
}

/* Hosts with fewer leaves: nothing beyond them is offered, nor read from the table. */
static void test_smaller_hosts(void **state)
{
	(void)state;
	for (uint32_t basic = 1; basic <= 0x16; basic++) {
		host.basic_max = basic;
		build();
		assert_int_equal(ask(0, 0).eax, basic);
		for (uint32_t leaf = basic + 1; leaf < 0x20; leaf++)
			same(ask(leaf, 0), ask(basic, 0));
		if (basic < 0xd) {
			has(ask(1, 0).ecx, "1.ecx", BIT(0), BIT(12) | BIT(26) | BIT(28) | BIT(29));
			assert_int_equal(cpuid_xcr0_allowed(&table), 0);
		}
	}
	host.basic_max = 0x16;
	host.extended_max = 0x80000001;
	build();
	assert_int_equal(ask(0x80000000, 0).eax, 0x80000001);
	for (uint32_t leaf = 0x80000002; leaf < 0x8000000a; leaf++)
		same(ask(leaf, 0), ask(0x16, 0));
}

/* A host without extended leaves answers for them as for its highest basic one. */
static void test_no_extended_leaves(void **state)
{
	(void)state;
	host.basic_max = 2;
	host.extended_max = 0;
	build();
	for (uint32_t i = 1; i < 0x1000; i++)
		same(ask(0x80000000 + i, 0), ask(2, 0));
	same(ask(0xffffffff, 0), ask(2, 0));
	assert_int_equal(cpuid_physical_bits(&table), 36);
}

/* What entry.asm answers by the table alone. */
static void test_fixed_agrees(void **state)
{
	unsigned fixed = 0;

	(void)state;
	dynamic = (struct cpuid_dynamic){.apic_id = 3, .osxsave = true, .xcr0 = 7};
	for (host.basic_max = 0; host.basic_max < 0x20; host.basic_max++) {
		build();
		assert_true(table.fixed & 1);
		for (uint32_t leaf = 0; leaf < 32; leaf++) {
			if (!(table.fixed & BIT(leaf)))
				continue;
			assert_true(leaf < ARRAY_SIZE(table.basic));
			fixed++;
			for (uint32_t subleaf = 0; subleaf < 24; subleaf++)
				same(table.basic[leaf], ask(leaf, subleaf));
		}
	}
	assert_true(fixed > 100);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_features),
		TEST(test_bare_host),
		TEST(test_dependent_features),
		TEST(test_vcpu_state_shows),
		TEST(test_hypervisor_leaves),
		TEST(test_highest_leaves),
		TEST(test_absent_leaves),
		TEST(test_subleaves),
		TEST(test_topology),
		TEST(test_xsave_sizes),
		TEST(test_xcr0),
		TEST(test_cr4),
		TEST(test_physical_bits),
		TEST(test_smaller_hosts),
		TEST(test_no_extended_leaves),
		TEST(test_fixed_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
