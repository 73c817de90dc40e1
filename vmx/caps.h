/* SPDX-License-Identifier: MIT */
/*
 * What VT-x this CPU has, read once at boot, and the control words that Socle uses with it.
 * Intel SDM volume 3, appendix A, "VMX Capability Reporting Facility".
 */
#ifndef VMX_CAPS_H
#define VMX_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vmx/controls.h"

/* IA32_VMX_EPT_VPID_CAP. */
#define EPT_CAP_WALK_4	      BIT(6)
#define EPT_CAP_WALK_5	      BIT(7)
#define EPT_CAP_UNCACHED      BIT(8)
#define EPT_CAP_WRITE_BACK    BIT(14)
#define EPT_CAP_2M	      BIT(16)
#define EPT_CAP_1G	      BIT(17)
#define EPT_CAP_INVEPT	      BIT(20)
#define EPT_CAP_DIRTY	      BIT(21)
#define EPT_CAP_SHADOW_STACKS BIT(23)
#define EPT_CAP_INVEPT_ONE    BIT(25)
#define EPT_CAP_INVEPT_ALL    BIT(26)
#define EPT_CAP_INVVPID	      BIT(32)
#define EPT_CAP_INVVPID_ONE   BIT(41)
#define EPT_CAP_INVVPID_ALL   BIT(42)

struct vmx_caps {
	uint32_t revision;	       /* VMCS revision identifier */
	uint64_t basic;		       /* IA32_VMX_BASIC */
	uint64_t capability[CONTROLS]; /* true ones where the CPU has them */
	uint32_t control[CONTROLS];    /* resolved; what does not change with a guest's state */
	uint64_t misc;
	uint64_t ept_vpid;
	uint64_t cr0_fixed0, cr0_fixed1;
	uint64_t cr4_fixed0, cr4_fixed1;
	/* Derived. */
	unsigned preemption_shift; /* timer ticks are TSC ticks >> this */
	unsigned ept_largest_level;
	bool ept_dirty_flags;
	bool invept_single;
	bool invvpid_single;
	bool has_pcid;
};

/*
 * Reads everything and resolves the controls; `without` is the boot option's list of features to
 * do without, parted by commas ("" for none). False: `error` names the feature that the CPU or its
 * firmware setting lacks and what would be right.
 */
bool vmx_caps_init(const char *without, struct error *error);
/* Constant after vmx_caps_init. */
const struct vmx_caps *vmx_caps(void);

static inline bool vmx_has(enum control_word word, uint32_t bit)
{
	return vmx_caps()->control[word] & bit;
}

/* One line for each control word: required, wanted, present. */
void vmx_caps_report(void);

/*
 * VMXON on this CPU: fixed bits of CR0 and CR4, IA32_FEATURE_CONTROL in each of its states.
 * `region` is a page for it. False: `error` says what to change.
 */
bool vmx_enable(uint64_t region, struct error *error);

#endif
