/* SPDX-License-Identifier: MIT */
/* Dumps of a vCPU. */
#include "vmx/dump.h"

#include "arch/x86_64/cpu.h"
#include "lib/log.h"
#include "vmx/cr.h"
#include "vmx/entry_explain.h"
#include "vmx/exit.h"
#include "vmx/vmcs.h"

#define ERROR_CONTROLS 7
#define ERROR_HOST     8
#define CS_LONG	       BIT(13)
#define CS_BIG	       BIT(14)

const char *dump_mode_name(void)
{
	uint64_t rights = vmcs_read(GUEST_CS_RIGHTS);

	if (!(vmcs_read(GUEST_CR0) & CR0_PE))
		return "real mode";
	if (vmcs_read(GUEST_RFLAGS) & RFLAGS_VM)
		return "virtual-8086 mode";
	if ((vmcs_read(GUEST_EFER) & EFER_LMA) && (rights & CS_LONG))
		return "64-bit mode";
	return rights & CS_BIG ? "32-bit mode" : "16-bit protected mode";
}

static void ask_for_report(void)
{
	log_error("  no rule that Socle knows is broken; please report this with these fields:");
}

const char *dump_vm_fail(struct vmx_vcpu *v)
{
	/* Before other instructions fail: a field that is read, and that the CPU lacks. */
	uint64_t number = vmcs_read(INSTRUCTION_ERROR);
	const char *error = vmx_instruction_error(number);

	log_error("VM %s: vCPU %u: the CPU refuses the entry, error %lu: %s",
		  v->vcpu.vm->config->name, v->vcpu.id, number, error);
	if ((number == ERROR_CONTROLS || number == ERROR_HOST) && !entry_explain(v)) {
		ask_for_report();
		vmcs_dump(number == ERROR_CONTROLS ? VMCS_CONTROL : VMCS_HOST);
	}
	return error;
}

/* "VM-Entry Failures During or After Loading Guest State": what a CPU may refuse, or not. */
#define NMI_AFTER_STI 3

void dump_entry_failure(struct vmx_vcpu *v, uint32_t basic_reason)
{
	log_error("VM %s: vCPU %u: the CPU refuses the guest's state: %s%s",
		  v->vcpu.vm->config->name, v->vcpu.id, exit_name(basic_reason),
		  vmcs_read(EXIT_QUALIFICATION) == NMI_AFTER_STI ? " (an NMI after STI)" : "");
	if (entry_explain(v))
		return;
	ask_for_report();
	vmcs_dump(VMCS_GUEST);
	vmcs_dump(VMCS_CONTROL);
}
