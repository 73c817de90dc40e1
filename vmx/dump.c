/* SPDX-License-Identifier: MIT */
/* Dumps of a vCPU. */
#include "vmx/dump.h"

#include "arch/x86_64/cpu.h"
#include "lib/log.h"
#include "vmx/cr.h"
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

void dump_vm_fail(struct vmx_vcpu *v)
{
	uint64_t number = vmcs_read(INSTRUCTION_ERROR);

	log_error("VM %s: vCPU %u: the CPU refuses the entry, error %lu: %s",
		  v->vcpu.vm->config->name, v->vcpu.id, number, vmx_instruction_error(number));
	if (number == ERROR_CONTROLS) {
		log_error("  a field of the controls is wrong; these are all of them:");
		vmcs_dump(VMCS_CONTROL);
	} else if (number == ERROR_HOST) {
		log_error("  a field of the host state is wrong; these are all of them:");
		vmcs_dump(VMCS_HOST);
	}
}

/* SDM volume 3, "VM-Entry Failures During or After Loading Guest State": the qualification. */
static const char *failure_detail(uint64_t qualification)
{
	switch (qualification) {
	case 2: return " (loading the PDPTEs)";
	case 3: return " (an NMI into a guest that blocks by STI)";
	case 4: return " (VMCS link pointer)";
	default: return "";
	}
}

void dump_entry_failure(struct vmx_vcpu *v, uint32_t basic_reason)
{
	log_error("VM %s: vCPU %u: the CPU refuses the guest's state: %s%s",
		  v->vcpu.vm->config->name, v->vcpu.id, exit_name(basic_reason),
		  failure_detail(vmcs_read(EXIT_QUALIFICATION)));
	log_error("  a field of the guest state is wrong; these are all of them:");
	vmcs_dump(VMCS_GUEST);
	vmcs_dump(VMCS_CONTROL);
}
