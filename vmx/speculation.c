/* SPDX-License-Identifier: MIT */
/* Speculation: what is needed on which CPU. */
#include "vmx/speculation.h"

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"

#define EBX_RTM		   BIT(11)
#define EDX_MD_CLEAR	   BIT(10)
#define EDX_IBRS_IBPB	   BIT(26)
#define EDX_L1D_FLUSH	   BIT(28)

#define RDCL_NO		   BIT(0)
#define IBRS_ALL	   BIT(1)
#define SKIP_L1DFL_VMENTRY BIT(3)
#define MDS_NO		   BIT(5)
#define TAA_NO		   BIT(8)
#define FB_CLEAR	   BIT(17) /* VERW clears fill buffers of MMIO's stale data */
#define SBDR_SSDP_NO	   BIT(13)
#define FBSDP_NO	   BIT(14)
#define PSDP_NO		   BIT(15)
#define MMIO_STALE_DATA_NO (SBDR_SSDP_NO | FBSDP_NO | PSDP_NO)

/* Buffers that VERW empties leak; a CPU that does not say it is immune counts as affected. */
static bool buffers_leak(const struct speculation_cpu *cpu)
{
	uint64_t caps = cpu->arch_caps;

	return !(caps & MDS_NO) || ((cpu->leaf7_ebx & EBX_RTM) && !(caps & TAA_NO)) ||
	       ((caps & FB_CLEAR) && (caps & MMIO_STALE_DATA_NO) != MMIO_STALE_DATA_NO);
}

struct speculation speculation_decide(const struct speculation_cpu *cpu)
{
	struct speculation s = {0};

	if (!(cpu->arch_caps & (RDCL_NO | SKIP_L1DFL_VMENTRY))) {
		if (cpu->leaf7_edx & EDX_L1D_FLUSH)
			s.defenses |= DEFENSE_L1D_FLUSH;
		else
			s.open |= OPEN_L1TF;
	}
	if (buffers_leak(cpu)) {
		if (cpu->leaf7_edx & EDX_MD_CLEAR)
			s.defenses |= DEFENSE_VERW;
		else
			s.open |= OPEN_MDS;
	}
	if (cpu->leaf7_edx & EDX_IBRS_IBPB)
		s.defenses |= DEFENSE_IBPB |
			      (cpu->arch_caps & IBRS_ALL ? DEFENSE_IBRS_ALWAYS : DEFENSE_IBRS);
	else
		s.open |= OPEN_BRANCHES;
	return s;
}

static void name(uint32_t bits, const char *const *names, char *text, size_t size)
{
	text[0] = '\0';
	for (; bits; bits &= bits - 1) {
		size_t length = strlen(text);

		format(text + length, size - length, "%s%s", length ? ", " : "",
		       names[__builtin_ctz(bits)]);
	}
}

void speculation_name_open(uint32_t open, char *text, size_t size)
{
	static const char *const names[] = {"L1TF", "MDS", "branch targets"};

	name(open, names, text, size);
}

void speculation_name_defenses(uint32_t defenses, char *text, size_t size)
{
	static const char *const names[] = {"IBRS at exits", "L1D flush", "VERW", "IBRS for ever",
					    "IBPB between VMs"};

	name(defenses, names, text, size);
}
