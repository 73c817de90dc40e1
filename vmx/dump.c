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

static void dump_segments(void)
{
	static const char *const names[] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		log_error("  %-4s %04lx base %016lx limit %08lx rights %05lx", names[i],
			  vmcs_read(vmcs_segment(GUEST_ES_SELECTOR, i)),
			  vmcs_read(vmcs_segment(GUEST_ES_BASE, i)),
			  vmcs_read(vmcs_segment(GUEST_ES_LIMIT, i)),
			  vmcs_read(vmcs_segment(GUEST_ES_RIGHTS, i)));
}

void dump_vcpu(struct vmx_vcpu *v)
{
	const uint64_t *r = v->vcpu.gpr;
	uint32_t reason = (uint32_t)vmcs_read(EXIT_REASON);

	log_error("VM %s: vCPU %u in %s; last exit %u (%s), qualification 0x%lx",
		  v->vcpu.vm->config->name, v->vcpu.id, dump_mode_name(), reason & 0xffff,
		  exit_name(reason & 0xffff), vmcs_read(EXIT_QUALIFICATION));
	log_error("  rip %016lx rsp %016lx rflags %08lx", vmcs_read(GUEST_RIP),
		  vmcs_read(GUEST_RSP), vmcs_read(GUEST_RFLAGS));
	log_error("  rax %016lx rbx %016lx rcx %016lx rdx %016lx", r[GPR_RAX], r[GPR_RBX],
		  r[GPR_RCX], r[GPR_RDX]);
	log_error("  rsi %016lx rdi %016lx rbp %016lx r8  %016lx", r[GPR_RSI], r[GPR_RDI],
		  r[GPR_RBP], r[8]);
	log_error("  r9  %016lx r10 %016lx r11 %016lx r12 %016lx", r[9], r[10], r[11], r[12]);
	log_error("  r13 %016lx r14 %016lx r15 %016lx cr2 %016lx", r[13], r[14], r[15], read_cr2());
	log_error("  cr0 %016lx cr3 %016lx cr4 %016lx efer %04lx", cr_read_cr0(),
		  vmcs_read(GUEST_CR3), cr_read_cr4(), vmcs_read(GUEST_EFER));
	dump_segments();
	log_error("  gdtr %016lx+%lx idtr %016lx+%lx", vmcs_read(GUEST_GDTR_BASE),
		  vmcs_read(GUEST_GDTR_LIMIT), vmcs_read(GUEST_IDTR_BASE),
		  vmcs_read(GUEST_IDTR_LIMIT));
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
