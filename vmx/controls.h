/* SPDX-License-Identifier: MIT */
/*
 * VMX controls: their bits by name, and the resolver from what a CPU's capability MSR allows and
 * what Socle asks for to a control word. Pure.
 * Intel SDM volume 3, appendix A, "VMX Capability Reporting Facility".
 */
#ifndef VMX_CONTROLS_H
#define VMX_CONTROLS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/bits.h"

#define PIN_EXTERNAL_INTERRUPT	 BIT(0)
#define PIN_NMI			 BIT(3)
#define PIN_VIRTUAL_NMI		 BIT(5)
#define PIN_PREEMPTION_TIMER	 BIT(6)
#define PIN_POSTED_INTERRUPTS	 BIT(7)

#define PROC_INTERRUPT_WINDOW	 BIT(2)
#define PROC_TSC_OFFSET		 BIT(3)
#define PROC_HLT		 BIT(7)
#define PROC_INVLPG		 BIT(9)
#define PROC_MWAIT		 BIT(10)
#define PROC_RDPMC		 BIT(11)
#define PROC_RDTSC		 BIT(12)
#define PROC_RDTSC		 BIT(12)
#define PROC_CR3_LOAD		 BIT(15)
#define PROC_CR3_STORE		 BIT(16)
#define PROC_CR8_LOAD		 BIT(19)
#define PROC_CR8_STORE		 BIT(20)
#define PROC_TPR_SHADOW		 BIT(21)
#define PROC_NMI_WINDOW		 BIT(22)
#define PROC_MOV_DR		 BIT(23)
#define PROC_IO_BITMAPS		 BIT(25)
#define PROC_MONITOR_TRAP	 BIT(27)
#define PROC_MSR_BITMAPS	 BIT(28)
#define PROC_MONITOR		 BIT(29)
#define PROC_PAUSE		 BIT(30)
#define PROC_SECONDARY		 BIT(31)

#define PROC2_APIC_ACCESSES	 BIT(0)
#define PROC2_EPT		 BIT(1)
#define PROC2_DESCRIPTOR_TABLES	 BIT(2)
#define PROC2_RDTSCP		 BIT(3)
#define PROC2_X2APIC		 BIT(4)
#define PROC2_VPID		 BIT(5)
#define PROC2_WBINVD		 BIT(6)
#define PROC2_UNRESTRICTED_GUEST BIT(7)
#define PROC2_APIC_REGISTERS	 BIT(8)
#define PROC2_INTERRUPTS	 BIT(9)
#define PROC2_PAUSE_LOOP	 BIT(10)
#define PROC2_INVPCID		 BIT(12)
#define PROC2_VM_FUNCTIONS	 BIT(13)
#define PROC2_SHADOWING		 BIT(14)
#define PROC2_PML		 BIT(17)
#define PROC2_VE		 BIT(18)
#define PROC2_MODE_BASED_EXECUTE BIT(22)
#define PROC2_SUB_PAGE		 BIT(23)
#define PROC2_PT_GUEST_PHYSICAL	 BIT(24)
#define PROC2_TSC_SCALING	 BIT(25)

#define EXIT_SAVE_DEBUG		 BIT(2)
#define EXIT_HOST_64BIT		 BIT(9)
#define EXIT_LOAD_PERF_GLOBAL	 BIT(12)
#define EXIT_ACK_INTERRUPT	 BIT(15)
#define EXIT_SAVE_PAT		 BIT(18)
#define EXIT_LOAD_PAT		 BIT(19)
#define EXIT_SAVE_EFER		 BIT(20)
#define EXIT_LOAD_EFER		 BIT(21)
#define EXIT_SAVE_TIMER		 BIT(22)
#define EXIT_CLEAR_RTIT		 BIT(25)
#define EXIT_LOAD_CET		 BIT(28)
#define EXIT_LOAD_PKRS		 BIT(29)

#define ENTRY_LOAD_DEBUG	 BIT(2)
#define ENTRY_IA32E		 BIT(9)
#define ENTRY_SMM		 BIT(10)
#define ENTRY_DUAL_MONITOR	 BIT(11)
#define ENTRY_LOAD_PERF_GLOBAL	 BIT(13)
#define ENTRY_LOAD_PAT		 BIT(14)
#define ENTRY_LOAD_EFER		 BIT(15)
#define ENTRY_LOAD_BNDCFGS	 BIT(16)
#define ENTRY_LOAD_RTIT		 BIT(18)
#define ENTRY_LOAD_CET		 BIT(20)
#define ENTRY_LOAD_PKRS		 BIT(22)

enum control_word {
	CONTROL_PIN,
	CONTROL_PROC,
	CONTROL_PROC2,
	CONTROL_EXIT,
	CONTROL_ENTRY,
	CONTROLS
};

/* What Socle asks for: it cannot do without `required`, and has a fallback for `wanted`. */
struct control_request {
	uint32_t required;
	uint32_t wanted;
};
extern const struct control_request control_requests[CONTROLS];

/*
 * The control word for a capability MSR (low half: bits that must be 1; high half: bits that may
 * be 1). False when a required bit may not be 1; *missing then holds those bits.
 */
bool control_resolve(uint64_t capability, const struct control_request *request, uint32_t *value,
		     uint32_t *missing);

/* The controls that make the CPU deliver a guest's interrupts; they are used all or none. */
#define PROC2_VIRTUAL_APIC (PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_INTERRUPTS)

/*
 * A secondary control word without what cannot be used: PROC2_VIRTUAL_APIC unless all of it is
 * there and the primary word has the TPR shadow, PROC2_APIC_ACCESSES unless that is.
 * SDM volume 3, "VM-Execution Control Fields".
 */
uint32_t control_usable(uint32_t primary, uint32_t secondary);

/*
 * Whether a VM can have a TSC of its own rate: the CPU scales it (the secondary word in use), or
 * RDTSC can exit (the capability of the primary word).
 */
static inline bool control_tsc_rate(uint64_t primary_capability, uint32_t secondary)
{
	return secondary & PROC2_TSC_SCALING || primary_capability >> 32 & PROC_RDTSC;
}

/*
 * What IA32_FEATURE_CONTROL says of VMXON outside SMX: allowed, not decided yet (then Socle writes
 * feature_control_enabled's value), or locked off. SDM volume 3, "Enabling and Entering VMX
 * Operation".
 */
enum feature_control { FEATURE_CONTROL_ON, FEATURE_CONTROL_UNLOCKED, FEATURE_CONTROL_OFF };
enum feature_control feature_control_state(uint64_t value);
/* Locked with VMXON allowed, inside SMX too where the CPU has SMX. */
uint64_t feature_control_enabled(uint64_t value, bool smx);

/* The SDM's name of a control bit, and of the word; "reserved" for bits that have none here. */
const char *control_name(enum control_word word, unsigned bit);
const char *control_word_name(enum control_word word);

/*
 * The control that a word such as "preemption-timer" stands for in the boot option `without=`;
 * false when it names none that can be done without.
 */
bool control_parse_wanted(const char *name, enum control_word *word, uint32_t *bit);

#endif
