/* SPDX-License-Identifier: MIT */
/* Which defenses this machine takes. */
#include "vmx/defenses.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/traps.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/x86.h"

uint32_t vmx_defenses;

/* Those whose registers are there: a hypervisor around us may announce others. */
static uint32_t possible(uint32_t defenses)
{
	uint64_t value;

	if ((defenses & (DEFENSE_IBRS | DEFENSE_IBRS_ALWAYS)) && !rdmsr_safe(MSR_SPEC_CTRL, &value))
		defenses &= ~(DEFENSE_IBRS | DEFENSE_IBRS_ALWAYS);
	if ((defenses & DEFENSE_L1D_FLUSH) && !wrmsr_safe(MSR_FLUSH_CMD, 1))
		defenses &= ~DEFENSE_L1D_FLUSH;
	if ((defenses & DEFENSE_IBPB) && !wrmsr_safe(MSR_PRED_CMD, 1))
		defenses &= ~DEFENSE_IBPB;
	return defenses;
}

void defenses_init(enum mitigations wanted)
{
	struct cpuid leaf7 = cpuid_leaf7();
	struct speculation_cpu cpu = {.leaf7_ebx = leaf7.ebx, .leaf7_edx = leaf7.edx};
	struct speculation decided;
	char names[80];

	if ((leaf7.edx & LEAF7_EDX_ARCH_CAPS) && !rdmsr_safe(MSR_ARCH_CAPS, &cpu.arch_caps))
		cpu.arch_caps = 0;
	decided = speculation_decide(&cpu);
	if (wanted == MITIGATIONS_ON)
		decided.defenses = DEFENSES_EACH_EXIT | DEFENSE_IBPB;
	else if (wanted == MITIGATIONS_OFF)
		decided.defenses = 0;
	vmx_defenses = possible(decided.defenses);
	speculation_name_defenses(vmx_defenses, names, sizeof(names));
	if (vmx_defenses)
		log_info("speculation: %s", names);
	speculation_name_open(decided.open, names, sizeof(names));
	if (decided.open && wanted == MITIGATIONS_AUTO)
		log_info("speculation: this CPU has no means against %s", names);
}
