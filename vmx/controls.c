/* SPDX-License-Identifier: MIT */
/* VMX controls. */
#include "vmx/controls.h"

#include "lib/string.h"
#include "lib/words.h"

const struct control_request control_requests[CONTROLS] = {
	[CONTROL_PIN] = {.required = PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI,
			 .wanted = PIN_PREEMPTION_TIMER},
	[CONTROL_PROC] = {.required = PROC_TSC_OFFSET | PROC_HLT | PROC_MWAIT | PROC_RDPMC |
				      PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_MONITOR |
				      PROC_SECONDARY,
			  .wanted = PROC_TPR_SHADOW},
	[CONTROL_PROC2] = {.required = PROC2_EPT | PROC2_UNRESTRICTED_GUEST,
			   .wanted = PROC2_VPID | PROC2_RDTSCP | PROC2_INVPCID | PROC2_WBINVD |
				     PROC2_PAUSE_LOOP | PROC2_VIRTUAL_APIC | PROC2_APIC_ACCESSES |
				     PROC2_TSC_SCALING | PROC2_PML},
	[CONTROL_EXIT] = {.required = EXIT_SAVE_DEBUG | EXIT_HOST_64BIT | EXIT_ACK_INTERRUPT |
				      EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER |
				      EXIT_LOAD_EFER},
	[CONTROL_ENTRY] = {.required = ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER},
};

bool control_resolve(uint64_t capability, const struct control_request *request, uint32_t *value,
		     uint32_t *missing)
{
	uint32_t must = (uint32_t)capability, may = (uint32_t)(capability >> 32);

	*missing = request->required & ~may;
	*value = must | ((request->required | request->wanted) & may);
	return *missing == 0;
}

uint32_t control_usable(uint32_t primary, uint32_t secondary)
{
	bool complete = (secondary & PROC2_VIRTUAL_APIC) == PROC2_VIRTUAL_APIC;

	if (complete && (primary & PROC_TPR_SHADOW))
		return secondary;
	return secondary & ~(uint32_t)(PROC2_VIRTUAL_APIC | PROC2_APIC_ACCESSES);
}

#define FEATURE_LOCK	   BIT(0)
#define FEATURE_VMX_IN_SMX BIT(1)
#define FEATURE_VMX	   BIT(2)

enum feature_control feature_control_state(uint64_t value)
{
	if (!(value & FEATURE_LOCK))
		return FEATURE_CONTROL_UNLOCKED;
	return value & FEATURE_VMX ? FEATURE_CONTROL_ON : FEATURE_CONTROL_OFF;
}

uint64_t feature_control_enabled(uint64_t value, bool smx)
{
	return value | FEATURE_LOCK | FEATURE_VMX | (smx ? FEATURE_VMX_IN_SMX : 0);
}

/* In any order: a control's word and bit, and its name. */
#define NAMES(X)                                                                      \
	X(CONTROL_PIN, PIN_EXTERNAL_INTERRUPT, "external-interrupt exiting")          \
	X(CONTROL_PIN, PIN_NMI, "NMI exiting")                                        \
	X(CONTROL_PIN, PIN_VIRTUAL_NMI, "virtual NMIs")                               \
	X(CONTROL_PIN, PIN_PREEMPTION_TIMER, "VMX-preemption timer")                  \
	X(CONTROL_PIN, PIN_POSTED_INTERRUPTS, "process posted interrupts")            \
	X(CONTROL_PROC, PROC_INTERRUPT_WINDOW, "interrupt-window exiting")            \
	X(CONTROL_PROC, PROC_TSC_OFFSET, "use TSC offsetting")                        \
	X(CONTROL_PROC, PROC_HLT, "HLT exiting")                                      \
	X(CONTROL_PROC, PROC_MWAIT, "MWAIT exiting")                                  \
	X(CONTROL_PROC, PROC_RDPMC, "RDPMC exiting")                                  \
	X(CONTROL_PROC, PROC_RDTSC, "RDTSC exiting")                                  \
	X(CONTROL_PROC, PROC_TPR_SHADOW, "use TPR shadow")                            \
	X(CONTROL_PROC, PROC_NMI_WINDOW, "NMI-window exiting")                        \
	X(CONTROL_PROC, PROC_IO_BITMAPS, "use I/O bitmaps")                           \
	X(CONTROL_PROC, PROC_MSR_BITMAPS, "use MSR bitmaps")                          \
	X(CONTROL_PROC, PROC_MONITOR, "MONITOR exiting")                              \
	X(CONTROL_PROC, PROC_SECONDARY, "activate secondary controls")                \
	X(CONTROL_PROC2, PROC2_APIC_ACCESSES, "virtualize APIC accesses")             \
	X(CONTROL_PROC2, PROC2_EPT, "enable EPT")                                     \
	X(CONTROL_PROC2, PROC2_RDTSCP, "enable RDTSCP")                               \
	X(CONTROL_PROC2, PROC2_X2APIC, "virtualize x2APIC mode")                      \
	X(CONTROL_PROC2, PROC2_VPID, "enable VPID")                                   \
	X(CONTROL_PROC2, PROC2_WBINVD, "WBINVD exiting")                              \
	X(CONTROL_PROC2, PROC2_UNRESTRICTED_GUEST, "unrestricted guest")              \
	X(CONTROL_PROC2, PROC2_APIC_REGISTERS, "APIC-register virtualization")        \
	X(CONTROL_PROC2, PROC2_INTERRUPTS, "virtual-interrupt delivery")              \
	X(CONTROL_PROC2, PROC2_PAUSE_LOOP, "PAUSE-loop exiting")                      \
	X(CONTROL_PROC2, PROC2_INVPCID, "enable INVPCID")                             \
	X(CONTROL_PROC2, PROC2_VM_FUNCTIONS, "enable VM functions")                   \
	X(CONTROL_PROC2, PROC2_SHADOWING, "VMCS shadowing")                           \
	X(CONTROL_PROC2, PROC2_PML, "enable PML")                                     \
	X(CONTROL_PROC2, PROC2_VE, "EPT-violation #VE")                               \
	X(CONTROL_PROC2, PROC2_MODE_BASED_EXECUTE, "mode-based execute control")      \
	X(CONTROL_PROC2, PROC2_SUB_PAGE, "sub-page write permissions")                \
	X(CONTROL_PROC2, PROC2_PT_GUEST_PHYSICAL, "PT uses guest physical addresses") \
	X(CONTROL_PROC2, PROC2_TSC_SCALING, "use TSC scaling")                        \
	X(CONTROL_EXIT, EXIT_SAVE_DEBUG, "save debug controls")                       \
	X(CONTROL_EXIT, EXIT_HOST_64BIT, "host address-space size")                   \
	X(CONTROL_EXIT, EXIT_ACK_INTERRUPT, "acknowledge interrupt on exit")          \
	X(CONTROL_EXIT, EXIT_SAVE_PAT, "save IA32_PAT")                               \
	X(CONTROL_EXIT, EXIT_LOAD_PAT, "load IA32_PAT")                               \
	X(CONTROL_EXIT, EXIT_SAVE_EFER, "save IA32_EFER")                             \
	X(CONTROL_EXIT, EXIT_LOAD_EFER, "load IA32_EFER")                             \
	X(CONTROL_EXIT, EXIT_SAVE_TIMER, "save VMX-preemption timer value")           \
	X(CONTROL_EXIT, EXIT_CLEAR_RTIT, "clear IA32_RTIT_CTL")                       \
	X(CONTROL_ENTRY, ENTRY_LOAD_DEBUG, "load debug controls")                     \
	X(CONTROL_ENTRY, ENTRY_IA32E, "IA-32e mode guest")                            \
	X(CONTROL_ENTRY, ENTRY_SMM, "entry to SMM")                                   \
	X(CONTROL_ENTRY, ENTRY_DUAL_MONITOR, "deactivate dual-monitor treatment")     \
	X(CONTROL_ENTRY, ENTRY_LOAD_PAT, "load IA32_PAT")                             \
	X(CONTROL_ENTRY, ENTRY_LOAD_EFER, "load IA32_EFER")                           \
	X(CONTROL_ENTRY, ENTRY_LOAD_RTIT, "load IA32_RTIT_CTL")

/* A control in a byte. */
#define CODE(word, bit) (uint8_t)((word)*32 + __builtin_ctzll(bit))

static const uint8_t codes[] = {
#define NAME_CODE(word, bit, name) CODE(word, bit),
	NAMES(NAME_CODE)
#undef NAME_CODE
};

#define NAME_TEXT(word, bit, name) name "\0"
static const char names[] = NAMES(NAME_TEXT);
#undef NAME_TEXT

const char *control_name(enum control_word word, unsigned bit)
{
	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i] == word * 32 + bit)
			return word_at(names, i);
	return "reserved";
}

const char *control_word_name(enum control_word word)
{
	static const char *const words[CONTROLS] = {
		[CONTROL_PIN] = "pin-based",
		[CONTROL_PROC] = "processor-based",
		[CONTROL_PROC2] = "secondary processor-based",
		[CONTROL_EXIT] = "VM-exit",
		[CONTROL_ENTRY] = "VM-entry",
	};

	return words[word];
}

/* What can be done without: the option's word. */
static const struct {
	uint8_t code;
	char option[19];
} options[] = {
	{CODE(CONTROL_PIN, PIN_PREEMPTION_TIMER), "preemption-timer"},
	{CODE(CONTROL_PROC, PROC_TPR_SHADOW), "tpr-shadow"},
	{CODE(CONTROL_PROC2, PROC2_APIC_ACCESSES), "apic-accesses"},
	{CODE(CONTROL_PROC2, PROC2_RDTSCP), "rdtscp"},
	{CODE(CONTROL_PROC2, PROC2_VPID), "vpid"},
	{CODE(CONTROL_PROC2, PROC2_WBINVD), "wbinvd-exiting"},
	{CODE(CONTROL_PROC2, PROC2_INTERRUPTS), "virtual-interrupts"},
	{CODE(CONTROL_PROC2, PROC2_PAUSE_LOOP), "pause-loop"},
	{CODE(CONTROL_PROC2, PROC2_INVPCID), "invpcid"},
	{CODE(CONTROL_PROC2, PROC2_TSC_SCALING), "tsc-scaling"},
	{CODE(CONTROL_PROC2, PROC2_PML), "pml"},
};

bool control_parse_wanted(const char *name, enum control_word *word, uint32_t *bit)
{
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
		if (strcmp(options[i].option, name) != 0)
			continue;
		*word = (enum control_word)(options[i].code / 32);
		*bit = 1u << options[i].code % 32;
		return true;
	}
	return false;
}
