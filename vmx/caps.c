/* SPDX-License-Identifier: MIT */
/* VT-x capabilities and VMXON. */
#include "vmx/caps.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/panic.h"
#include "arch/x86_64/traps.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/string.h"
#include "lib/x86.h"
#include "vmx/vmcs.h"

#define CPUID_1_ECX_VMX		 BIT(5)
#define CPUID_1_ECX_SMX		 BIT(6)
#define CPUID_1_ECX_PCID	 BIT(17)
#define CPUID_1_ECX_HYPERVISOR	 BIT(31)

#define BASIC_MEMORY_TYPE(basic) bits_get(basic, 53, 50)
#define BASIC_TRUE_CONTROLS	 BIT(55)

static struct vmx_caps caps;

const struct vmx_caps *vmx_caps(void)
{
	return &caps;
}

static bool check_cpu(struct error *error)
{
	char vendor[13] = {0};
	struct cpuid leaf = cpuid(0, 0);

	memcpy(vendor, &leaf.ebx, 4);
	memcpy(vendor + 4, &leaf.edx, 4);
	memcpy(vendor + 8, &leaf.ecx, 4);
	if (cpuid(1, 0).ecx & CPUID_1_ECX_VMX)
		return true;
	return error_set(error,
			 "this CPU (%s) has no VT-x (CPUID 1 ECX bit 5): Socle needs an Intel CPU "
			 "with VT-x, EPT and unrestricted guest (2010 or later), or nested VT-x "
			 "switched on in the hypervisor around it",
			 vendor);
}

static void read_capabilities(void)
{
	static const uint32_t plain[CONTROLS] = {MSR_VMX_PIN, MSR_VMX_PROC, MSR_VMX_PROC2,
						 MSR_VMX_EXIT, MSR_VMX_ENTRY};
	static const uint32_t true_ones[CONTROLS] = {MSR_VMX_TRUE_PIN, MSR_VMX_TRUE_PROC,
						     MSR_VMX_PROC2, MSR_VMX_TRUE_EXIT,
						     MSR_VMX_TRUE_ENTRY};

	caps.basic = rdmsr(MSR_VMX_BASIC);
	caps.revision = (uint32_t)bits_get(caps.basic, 30, 0);
	caps.misc = rdmsr(MSR_VMX_MISC);
	caps.cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
	caps.cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
	caps.cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
	caps.cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
	caps.has_pcid = cpuid(1, 0).ecx & CPUID_1_ECX_PCID;
	for (unsigned word = 0; word < CONTROLS; word++) {
		uint32_t msr = caps.basic & BASIC_TRUE_CONTROLS ? true_ones[word] : plain[word];

		/* The secondary controls' MSR exists only where the primary ones announce it. */
		if (word == CONTROL_PROC2 &&
		    !(caps.capability[CONTROL_PROC] >> 32 & PROC_SECONDARY))
			continue;
		caps.capability[word] = rdmsr(msr);
	}
	if (caps.capability[CONTROL_PROC2] >> 32 & (PROC2_EPT | PROC2_VPID))
		caps.ept_vpid = rdmsr(MSR_VMX_EPT_VPID_CAP);
}

/* What others than VT-x do without: boot/machine.c. */
static bool is_of_the_board(const char *word)
{
	return strcmp(word, "tsc-deadline") == 0 || strcmp(word, "tsc-adjust") == 0 ||
	       strcmp(word, "x2apic") == 0;
}

/* Takes the words of the list out of the allowed-1 settings, as if the CPU lacked them. */
static bool apply_without(const char *list, struct error *error)
{
	while (*list) {
		char word[32];
		size_t length = 0;
		enum control_word control;
		uint32_t bit;

		while (list[length] && list[length] != ',')
			length++;
		format(word, sizeof(word), "%.*s", (int)length, list);
		list += length + (list[length] == ',');
		if (strcmp(word, "1g-pages") == 0)
			caps.ept_vpid &= ~EPT_CAP_1G;
		else if (strcmp(word, "ept-dirty") == 0)
			caps.ept_vpid &= ~EPT_CAP_DIRTY;
		else if (control_parse_wanted(word, &control, &bit))
			caps.capability[control] &= ~((uint64_t)bit << 32);
		else if (!is_of_the_board(word))
			return error_set(
				error,
				"boot option without=%s: names no feature that Socle can "
				"do without; these are: preemption-timer tpr-shadow "
				"virtual-interrupts vpid rdtscp invpcid wbinvd-exiting "
				"pause-loop apic-accesses tsc-scaling pml 1g-pages ept-dirty "
				"tsc-deadline tsc-adjust x2apic",
				word);
	}
	return true;
}

/* CPU generations that brought what older VT-x lacks. */
static const char *generation(enum control_word word, uint32_t missing)
{
	if (word == CONTROL_PROC2 && (missing & PROC2_EPT))
		return "Intel CPUs have it since Nehalem (2008)";
	if (word == CONTROL_PROC2 && (missing & PROC2_UNRESTRICTED_GUEST))
		return "Intel CPUs have it since Westmere (2010)";
	return "any CPU with unrestricted guest has it; a hypervisor around Socle may hide it";
}

static unsigned lowest_bit(uint32_t value)
{
	return (unsigned)__builtin_ctz(value);
}

static bool resolve_all(struct error *error)
{
	/* EPT first: without it, it is the one thing to be named. */
	static const enum control_word order[CONTROLS] = {CONTROL_PROC, CONTROL_PROC2, CONTROL_PIN,
							  CONTROL_EXIT, CONTROL_ENTRY};

	for (unsigned i = 0; i < CONTROLS; i++) {
		enum control_word word = order[i];
		uint32_t missing;

		if (!control_resolve(caps.capability[word], &control_requests[word],
				     &caps.control[word], &missing))
			return error_set(
				error, "this CPU's VT-x lacks '%s' (%s control, bit %u): %s",
				control_name(word, lowest_bit(missing)), control_word_name(word),
				lowest_bit(missing), generation(word, missing));
	}
	return true;
}

static bool check_ept(struct error *error)
{
	const struct {
		uint64_t bits;
		const char *name;
	} required[] = {
		{EPT_CAP_WALK_4, "page walks of length 4"},
		{EPT_CAP_WRITE_BACK, "write-back paging structures"},
		{EPT_CAP_2M, "2 MiB pages"},
		{EPT_CAP_INVEPT | EPT_CAP_INVEPT_ALL, "INVEPT of all contexts"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(required); i++)
		if ((caps.ept_vpid & required[i].bits) != required[i].bits)
			return error_set(error,
					 "this CPU's EPT lacks %s (IA32_VMX_EPT_VPID_CAP 0x%lx): "
					 "all Intel CPUs with EPT have it; a hypervisor around "
					 "Socle may hide it",
					 required[i].name, caps.ept_vpid);
	return true;
}

/*
 * KVM on a CPU without posted interrupts (an emulated one: no CPU has been sold so) offers
 * virtual-interrupt delivery and never loads the EOI-exit bitmaps: the IOAPIC would hear of no EOI.
 */
static bool loses_eoi_exits(void)
{
	return (cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR) &&
	       !(caps.capability[CONTROL_PIN] >> 32 & PIN_POSTED_INTERRUPTS);
}

static void derive(void)
{
	const uint64_t invvpid = EPT_CAP_INVVPID | EPT_CAP_INVVPID_ALL;

	/* Without INVVPID a VPID could never be used for another guest. */
	if ((caps.ept_vpid & invvpid) != invvpid)
		caps.control[CONTROL_PROC2] &= ~(uint32_t)PROC2_VPID;
	/* Without the TPR shadow each MOV CR8 exits. */
	if (!(caps.control[CONTROL_PROC] & PROC_TPR_SHADOW))
		caps.control[CONTROL_PROC] |= (uint32_t)(PROC_CR8_LOAD | PROC_CR8_STORE);
	if (loses_eoi_exits())
		caps.control[CONTROL_PROC2] &= ~(uint32_t)PROC2_INTERRUPTS;
	caps.control[CONTROL_PROC2] =
		control_usable(caps.control[CONTROL_PROC], caps.control[CONTROL_PROC2]);
	caps.preemption_shift = (unsigned)bits_get(caps.misc, 4, 0);
	caps.ept_largest_level = caps.ept_vpid & EPT_CAP_1G ? 3 : 2;
	caps.ept_dirty_flags = caps.ept_vpid & EPT_CAP_DIRTY;
	caps.invept_single = caps.ept_vpid & EPT_CAP_INVEPT_ONE;
	caps.invvpid_single = caps.ept_vpid & EPT_CAP_INVVPID_ONE;
}

static bool check_basic(struct error *error)
{
	if (BASIC_MEMORY_TYPE(caps.basic) != MEMORY_WB)
		return error_set(error,
				 "this CPU wants its VMCS in memory of type %lu, not "
				 "write-back (6): such a CPU has never been sold",
				 BASIC_MEMORY_TYPE(caps.basic));
	return true;
}

bool vmx_caps_init(const char *without, struct error *error)
{
	if (!check_cpu(error))
		return false;
	read_capabilities();
	if (!check_basic(error) || !apply_without(without, error) || !resolve_all(error) ||
	    !check_ept(error))
		return false;
	derive();
	return true;
}

void vmx_caps_report(void)
{
	for (unsigned word = 0; word < CONTROLS; word++) {
		const struct control_request *request = &control_requests[word];
		char absent[160] = "";
		size_t length = 0;

		for (unsigned bit = 0; bit < 32; bit++)
			if ((request->wanted & ~caps.control[word]) & BIT(bit))
				length += format(absent + length, sizeof(absent) - length,
						 "; without %s", control_name(word, bit));
		log_debug("VT-x: %s controls: required %08x, wanted %08x, allowed %08x, used "
			  "%08x%s",
			  control_word_name(word), request->required, request->wanted,
			  (uint32_t)(caps.capability[word] >> 32), caps.control[word], absent);
	}
	log_info("VT-x: VMCS revision 0x%x, EPT with pages up to %s%s%s%s%s%s%s%s", caps.revision,
		 caps.ept_largest_level == 3 ? "1G" : "2M",
		 caps.ept_dirty_flags ? ", dirty flags" : "",
		 vmx_has(CONTROL_PROC2, PROC2_VPID) ? ", VPID" : ", no VPID",
		 vmx_has(CONTROL_PROC, PROC_TPR_SHADOW) ? ", TPR shadow" : ", no TPR shadow",
		 vmx_has(CONTROL_PROC2, PROC2_INTERRUPTS) ? ", virtual interrupts"
							  : ", no virtual interrupts",
		 vmx_has(CONTROL_PIN, PIN_PREEMPTION_TIMER) ? ", preemption timer"
							    : ", no preemption timer",
		 vmx_has(CONTROL_PROC2, PROC2_TSC_SCALING) ? ", TSC scaling" : ", no TSC scaling",
		 vmx_has(CONTROL_PROC2, PROC2_PML) ? ", write logs" : ", no write logs");
}

/* SDM volume 3, "Enabling and Entering VMX Operation". */
static bool enable_feature_control(struct error *error)
{
	uint64_t value;

	/* A CPU that has VMX has this MSR; some hypervisors leave it out and need no lock. */
	if (!rdmsr_safe(MSR_FEATURE_CONTROL, &value)) {
		log_debug("VT-x: no IA32_FEATURE_CONTROL, taken as enabled");
		return true;
	}
	if (feature_control_state(value) == FEATURE_CONTROL_UNLOCKED) {
		log_debug("VT-x: IA32_FEATURE_CONTROL unlocked (0x%lx): enabled and locked", value);
		wrmsr(MSR_FEATURE_CONTROL,
		      feature_control_enabled(value, cpuid(1, 0).ecx & CPUID_1_ECX_SMX));
		return true;
	}
	if (feature_control_state(value) == FEATURE_CONTROL_ON)
		return true;
	return error_set(
		error,
		"VT-x is locked off by the firmware (IA32_FEATURE_CONTROL is 0x%lx: locked, "
		"VMXON disabled): switch on 'Intel Virtualization Technology' (VT-x, VMX) "
		"in the firmware setup and power the machine off and on",
		value);
}

bool vmx_enable(uint64_t region, struct error *error)
{
	uint64_t cr0 = (read_cr0() | caps.cr0_fixed0) & caps.cr0_fixed1;
	uint64_t cr4 = ((read_cr4() | CR4_VMXE) | caps.cr4_fixed0) & caps.cr4_fixed1;

	if (!enable_feature_control(error))
		return false;
	write_cr0(cr0);
	write_cr4(cr4);
	memset((void *)region, 0, PAGE_SIZE);
	*(uint32_t *)region = caps.revision;
	if (!vmx_on(region))
		return error_set(error,
				 "VMXON failed (CR0 0x%lx, CR4 0x%lx, revision 0x%x): another "
				 "hypervisor is active, or the one around Socle has a fault",
				 cr0, cr4, caps.revision);
	panic_set_explainer(vmcs_explain);
	/* Whatever an earlier user of VMX on this CPU left in its TLB. */
	vmx_invept(INVEPT_ALL, 0);
	if (vmx_has(CONTROL_PROC2, PROC2_VPID))
		vmx_invvpid(INVVPID_ALL, 0, 0);
	return true;
}
