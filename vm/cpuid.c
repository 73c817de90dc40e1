/* SPDX-License-Identifier: MIT */
/* CPUID policy of a VM. */
#include "vm/cpuid.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "lib/x86.h"

/* Leaf 1 ECX. */
#define ECX1_SSE3	  BIT(0)
#define ECX1_PCLMULQDQ	  BIT(1)
#define ECX1_SSSE3	  BIT(9)
#define ECX1_FMA	  BIT(12)
#define ECX1_CX16	  BIT(13)
#define ECX1_PCID	  BIT(17)
#define ECX1_SSE41	  BIT(19)
#define ECX1_SSE42	  BIT(20)
#define ECX1_X2APIC	  BIT(21)
#define ECX1_MOVBE	  BIT(22)
#define ECX1_POPCNT	  BIT(23)
#define ECX1_TSC_DEADLINE BIT(24)
#define ECX1_AES	  BIT(25)
#define ECX1_XSAVE	  BIT(26)
#define ECX1_OSXSAVE	  BIT(27)
#define ECX1_AVX	  BIT(28)
#define ECX1_F16C	  BIT(29)
#define ECX1_RDRAND	  BIT(30)
#define ECX1_HYPERVISOR	  BIT(31)
/*
 * Not passed: DTES64, MONITOR (no guest may keep a CPU in C-states of its choice), DS-CPL, VMX,
 * SMX, EIST, TM2, CNXT-ID, SDBG, xTPR, PDCM, DCA.
 */
#define ECX1_PASS                                                                                  \
	(ECX1_SSE3 | ECX1_PCLMULQDQ | ECX1_SSSE3 | ECX1_FMA | ECX1_CX16 | ECX1_PCID | ECX1_SSE41 | \
	 ECX1_SSE42 | ECX1_MOVBE | ECX1_POPCNT | ECX1_AES | ECX1_XSAVE | ECX1_AVX | ECX1_F16C |    \
	 ECX1_RDRAND)
/* Modelled by us whatever the host has. */
#define ECX1_SET (ECX1_X2APIC | ECX1_TSC_DEADLINE | ECX1_HYPERVISOR)

/*
 * Leaf 1 EDX without PSN, DS, ACPI (clock modulation), TM, PBE; HTT is set by the count of CPUs.
 * MCE and MCA are there with no banks.
 */
#define EDX1_APIC BIT(9)
#define EDX1_HTT  BIT(28)
#define EDX1_PASS (BITS(8, 0) | BITS(17, 11) | BIT(19) | BITS(27, 23) /* MMX FXSR SSE SSE2 SS */)

/* Leaf 7 EBX. Not passed: TSX (HLE 4, RTM 11), PQM 12, PQE 15, SGX 2, PT 25, MPX 14. */
#define EBX7_FSGSBASE	BIT(0)
#define EBX7_TSC_ADJUST BIT(1)
#define EBX7_INVPCID	BIT(10)
#define EBX7_PASS                                                                                  \
	(EBX7_FSGSBASE | BIT(3) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(9) | EBX7_INVPCID |      \
	 BIT(13) | BIT(16) | BIT(17) | BIT(18) | BIT(19) | BIT(20) | BIT(21) | BIT(23) | BIT(24) | \
	 BIT(26) | BIT(27) | BIT(28) | BIT(29) | BIT(30) | BIT(31))
/* Leaf 7 ECX: AVX512_VBMI, UMIP, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ, RDPID. */
#define ECX7_UMIP  BIT(2)
#define ECX7_RDPID BIT(22)
#define ECX7_PASS  (BIT(1) | ECX7_UMIP | BIT(6) | BITS(12, 8) | BIT(14) | ECX7_RDPID)
/* Leaf 7 EDX: 4VNNIW, 4FMAPS, FSRM, MD_CLEAR, SERIALIZE, IBRS/IBPB, STIBP, ARCH_CAPS, SSBD. */
#define EDX7_PASS \
	(BIT(2) | BIT(3) | BIT(4) | BIT(10) | BIT(14) | BIT(26) | BIT(27) | BIT(29) | BIT(31))

/* Leaf 80000001H: LAHF, LZCNT, PREFETCHW; SYSCALL, NX, 1 GiB pages, RDTSCP, long mode. */
#define ECX81_PASS   (BIT(0) | BIT(5) | BIT(8))
#define EDX81_RDTSCP BIT(27)
#define EDX81_PASS   (BIT(11) | BIT(20) | BIT(26) | EDX81_RDTSCP | BIT(29))

/*
 * Leaf DH subleaf 1 EAX: XSAVEOPT and XGETBV with ECX = 1. The compacted format (XSAVEC, XSAVES) is
 * not offered: it saves some room and no time, and XRSTOR of it in Bochs 2.7 makes all components
 * initial, by which processes lose their vector registers.
 */
#define EAXD1_PASS (BIT(0) | BIT(2))

/* XCR0: x87, SSE, AVX, AVX-512 (three). MPX and PKRU are not offered, AMX neither. */
#define XCR0_PASS	  (BITS(2, 0) | BITS(7, 5))
#define XCR0_X87	  BIT(0)
#define XCR0_AVX512	  BITS(7, 5)
#define XSAVE_LEGACY_SIZE (512 + 64)

/* Basic leaves that depend on the subleaf or on the vCPU's state. */
#define NOT_FIXED (BIT(1) | BIT(4) | BIT(7) | BIT(0xb) | BIT(0xd))

static const char hypervisor_name[12] = "SocleSocle\0";

static void build_features(struct cpuid_table *t, const struct cpuid_policy *p)
{
	struct cpuid_regs *leaf = &t->basic[1];

	leaf->ebx = (leaf->ebx & (uint32_t)BITS(15, 0)) | p->cpus << 16;
	leaf->ecx = (leaf->ecx & (uint32_t)ECX1_PASS) | (uint32_t)ECX1_SET;
	leaf->edx = (leaf->edx & (uint32_t)EDX1_PASS) | (uint32_t)EDX1_APIC |
		    (p->cpus > 1 ? (uint32_t)EDX1_HTT : 0);
}

static void build_extended_features(struct cpuid_table *t, const struct cpuid_policy *p)
{
	struct cpuid_regs *leaf = &t->basic[7];

	leaf->eax = 0;
	leaf->ebx = (leaf->ebx & (uint32_t)EBX7_PASS) | (uint32_t)EBX7_TSC_ADJUST;
	if (!p->invpcid)
		leaf->ebx &= ~(uint32_t)EBX7_INVPCID;
	leaf->ecx &= (uint32_t)ECX7_PASS;
	if (!p->rdtscp)
		leaf->ecx &= ~(uint32_t)ECX7_RDPID;
	leaf->edx &= (uint32_t)EDX7_PASS;
	t->extended[1].ecx &= (uint32_t)ECX81_PASS;
	t->extended[1].edx &= (uint32_t)EDX81_PASS;
	if (!p->rdtscp)
		t->extended[1].edx &= ~(uint32_t)EDX81_RDTSCP;
}

static unsigned log2_ceil(unsigned n)
{
	unsigned bits = 0;

	while (1u << bits < n)
		bits++;
	return bits;
}

/*
 * Caches are the host's; who shares them is not. EAX has the highest number of a core in bits
 * 31..26, and of a thread among those that share the cache in bits 25..14.
 */
static void build_caches(struct cpuid_table *t, const struct cpuid_policy *p)
{
	uint32_t ids = (1u << log2_ceil(p->cpus)) - 1;

	for (unsigned i = 0; i < CPUID_SUBLEAVES; i++) {
		t->cache[i] = p->host(4, i);
		t->cache[i].eax &= (uint32_t)BITS(13, 0);
		if (!bits_get(t->cache[i].eax, 4, 0))
			continue;
		t->cache[i].eax |= ids << 26;
		/* Below the third level each core has its own. */
		if (bits_get(t->cache[i].eax, 7, 5) >= 3)
			t->cache[i].eax |= ids << 14;
	}
	t->basic[4] = t->cache[0];
}

static void build_xsave(struct cpuid_table *t, const struct cpuid_policy *p)
{
	uint64_t host, allowed;

	if (t->basic_max < 0xd || !(t->basic[1].ecx & ECX1_XSAVE)) {
		memset(t->xsave, 0, sizeof(t->xsave));
		t->basic[1].ecx &= ~(uint32_t)(ECX1_XSAVE | ECX1_AVX | ECX1_F16C | ECX1_FMA);
		return;
	}
	host = t->basic[0xd].eax | (uint64_t)t->basic[0xd].edx << 32;
	allowed = host & XCR0_PASS;
	/* AVX-512's three components come together or not at all. */
	if ((allowed & XCR0_AVX512) != XCR0_AVX512)
		allowed &= ~XCR0_AVX512;
	t->xsave[1] = p->host(0xd, 1);
	t->xsave[1] = (struct cpuid_regs){.eax = t->xsave[1].eax & (uint32_t)EAXD1_PASS};
	t->xsave[0] = (struct cpuid_regs){.eax = (uint32_t)allowed, .ecx = XSAVE_LEGACY_SIZE};
	for (unsigned i = 2; i < CPUID_XSAVE_STATES; i++) {
		if (!(allowed & BIT(i)))
			continue;
		t->xsave[i] = p->host(0xd, i);
		t->xsave[0].ecx = MAX(t->xsave[0].ecx, t->xsave[i].eax + t->xsave[i].ebx);
	}
	t->xsave[0].ebx = t->xsave[0].ecx;
}

/* TSC and APIC timer frequency in CPUID's own words: leaf 15H, kHz in the hypervisor's leaf. */
static void build_frequencies(struct cpuid_table *t, const struct cpuid_policy *p)
{
	t->basic[0x15] = (struct cpuid_regs){0};
	t->basic[0x16] = (struct cpuid_regs){0};
	t->hypervisor[0x10] = (struct cpuid_regs){.eax = (uint32_t)(p->tsc_hz / 1000),
						  .ebx = (uint32_t)(p->apic_timer_hz / 1000)};
}

static void build_hypervisor(struct cpuid_table *t)
{
	struct cpuid_regs *leaf = &t->hypervisor[0];

	leaf->eax = CPUID_HYPERVISOR_MAX;
	memcpy(&leaf->ebx, hypervisor_name, 4);
	memcpy(&leaf->ecx, hypervisor_name + 4, 4);
	memcpy(&leaf->edx, hypervisor_name + 8, 4);
}

/*
 * Leaves that tell of what a guest does not have: 3 (serial number), 5 (MONITOR), 6 (thermal and
 * power: only ARAT, the APIC timer never stops), 9 (DCA), AH (PMU), EH.., FH, 10H (QoS), 12H (SGX),
 * 14H (PT).
 */
static void clear_absent(struct cpuid_table *t)
{
	static const uint8_t absent[] = {3,   5,   6,	 8,    9,    0xa,  0xc,
					 0xe, 0xf, 0x10, 0x11, 0x12, 0x13, 0x14};

	for (unsigned i = 0; i < sizeof(absent); i++)
		t->basic[absent[i]] = (struct cpuid_regs){0};
	t->basic[6].eax = (uint32_t)BIT(2);
}

void cpuid_build(struct cpuid_table *t, const struct cpuid_policy *p)
{
	memset(t, 0, sizeof(*t));
	t->basic_max = MIN(p->host(0, 0).eax, CPUID_BASIC_MAX);
	/* A host without extended leaves answers with some basic one: look-ups need a range. */
	t->extended_max = MIN(p->host(CPUID_EXTENDED, 0).eax, CPUID_EXTENDED_MAX);
	t->extended_max = MAX(t->extended_max, CPUID_EXTENDED);
	for (uint32_t leaf = 0; leaf <= t->basic_max; leaf++)
		t->basic[leaf] = p->host(leaf, 0);
	for (uint32_t i = 0; CPUID_EXTENDED + i <= t->extended_max; i++)
		t->extended[i] = p->host(CPUID_EXTENDED + i, 0);
	t->basic[0].eax = t->basic_max;
	t->extended[0].eax = t->extended_max;
	clear_absent(t);
	build_features(t, p);
	build_extended_features(t, p);
	build_caches(t, p);
	build_xsave(t, p);
	build_frequencies(t, p);
	build_hypervisor(t);
	/* Leaf BH EAX of level 1: bits to shift the APIC id by to get the package. */
	t->basic[0xb] = (struct cpuid_regs){.eax = log2_ceil(p->cpus), .ebx = p->cpus};
	/* Invariant TSC: ours never stops or changes its rate while the VM lives. */
	t->extended[7] = (struct cpuid_regs){.edx = (uint32_t)BIT(8)};
	t->extended[8].ecx = 0;
	t->extended[8].ebx = 0;
	t->extended[8].edx = 0;
	t->fixed = (uint32_t)BITS(t->basic_max, 0) & ~(uint32_t)NOT_FIXED;
}

static uint32_t xsave_size(const struct cpuid_table *t, uint64_t xcr0)
{
	uint32_t size = XSAVE_LEGACY_SIZE;

	for (unsigned i = 2; i < CPUID_XSAVE_STATES; i++)
		if (xcr0 & BIT(i))
			size = MAX(size, t->xsave[i].eax + t->xsave[i].ebx);
	return size;
}

/*
 * Leaf BH: one thread to a core, all cores in one package. The x2APIC id is in EDX; level 0 is the
 * thread, 1 the core, with types as the SDM gives them; the rest is invalid.
 */
static struct cpuid_regs lookup_topology(const struct cpuid_table *t, uint32_t subleaf,
					 uint32_t apic_id)
{
	const uint32_t type_smt = 1 << 8, type_core = 2 << 8;
	struct cpuid_regs regs = {.ecx = subleaf & 0xff, .edx = apic_id};

	if (subleaf == 0) {
		regs.ebx = 1;
		regs.ecx |= type_smt;
	} else if (subleaf == 1) {
		regs.eax = t->basic[0xb].eax;
		regs.ebx = t->basic[0xb].ebx;
		regs.ecx |= type_core;
	}
	return regs;
}

static struct cpuid_regs lookup_features(const struct cpuid_table *t,
					 const struct cpuid_dynamic *dynamic)
{
	struct cpuid_regs regs = t->basic[1];

	regs.ebx |= dynamic->apic_id << 24;
	if (dynamic->osxsave)
		regs.ecx |= (uint32_t)ECX1_OSXSAVE;
	return regs;
}

static struct cpuid_regs lookup_xsave(const struct cpuid_table *t, uint32_t subleaf, uint64_t xcr0)
{
	struct cpuid_regs regs = {0};

	if (subleaf >= CPUID_XSAVE_STATES)
		return regs;
	regs = t->xsave[subleaf];
	if (subleaf == 0 && regs.eax)
		regs.ebx = xsave_size(t, xcr0);
	return regs;
}

static struct cpuid_regs lookup_basic(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf,
				      const struct cpuid_dynamic *dynamic)
{
	const struct cpuid_regs nothing = {0};

	switch (leaf) {
	case 1: return lookup_features(t, dynamic);
	case 4: return subleaf < CPUID_SUBLEAVES ? t->cache[subleaf] : nothing;
	case 7: return subleaf ? nothing : t->basic[7];
	case 0xb: return lookup_topology(t, subleaf, dynamic->apic_id);
	case 0xd: return lookup_xsave(t, subleaf, dynamic->xcr0);
	default: return t->basic[leaf];
	}
}

struct cpuid_regs cpuid_lookup(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf,
			       const struct cpuid_dynamic *dynamic)
{
	const struct cpuid_regs nothing = {0};

	if (leaf <= t->basic_max)
		return lookup_basic(t, leaf, subleaf, dynamic);
	if (leaf - CPUID_EXTENDED <= t->extended_max - CPUID_EXTENDED)
		return t->extended[leaf - CPUID_EXTENDED];
	if (leaf - CPUID_HYPERVISOR <= 0xff)
		return leaf <= CPUID_HYPERVISOR_MAX ? t->hypervisor[leaf - CPUID_HYPERVISOR]
						    : nothing;
	return lookup_basic(t, t->basic_max, subleaf, dynamic);
}

uint8_t cpuid_physical_bits(const struct cpuid_table *t)
{
	uint8_t bits = (uint8_t)t->extended[8].eax;

	return t->extended_max >= CPUID_EXTENDED + 8 && bits >= 32 && bits <= 52 ? bits : 36;
}

uint64_t cpuid_xcr0_allowed(const struct cpuid_table *t)
{
	return t->xsave[0].eax | (uint64_t)t->xsave[0].edx << 32;
}

uint64_t cpuid_cr4_allowed(const struct cpuid_table *t)
{
	/* Each feature's bit of CR4 exists when CPUID says so. */
	const struct {
		bool present;
		uint64_t bits;
	} rules[] = {
		{true, CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE |
			       CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT},
		{t->basic[7].ecx & ECX7_UMIP, CR4_UMIP},
		{t->basic[7].ebx & EBX7_FSGSBASE, CR4_FSGSBASE},
		{t->basic[1].ecx & ECX1_PCID, CR4_PCIDE},
		{t->basic[1].ecx & ECX1_XSAVE, CR4_OSXSAVE},
		{t->basic[7].ebx & BIT(7), CR4_SMEP},
		{t->basic[7].ebx & BIT(20), CR4_SMAP},
	};
	uint64_t allowed = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].present)
			allowed |= rules[i].bits;
	return allowed;
}
