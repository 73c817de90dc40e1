/* SPDX-License-Identifier: MIT */
/* Reads a vCPU's registers: from the VMCS and the CPU of the core that has it loaded. */
#include "vmx/registers.h"

#include "arch/x86_64/cpu.h"
#include "vmx/cr.h"
#include "vmx/dump.h"
#include "vmx/visit.h"
#include "vmx/vmcs.h"

static void read_segments(struct monitor_regs *regs)
{
	for (unsigned i = 0; i < MONITOR_SEGMENTS; i++)
		regs->segment[i] = (struct monitor_segment){
			.selector = (uint16_t)vmcs_read(vmcs_segment(GUEST_ES_SELECTOR, i)),
			.base = vmcs_read(vmcs_segment(GUEST_ES_BASE, i)),
			.limit = (uint32_t)vmcs_read(vmcs_segment(GUEST_ES_LIMIT, i)),
			.rights = (uint32_t)vmcs_read(vmcs_segment(GUEST_ES_RIGHTS, i)),
		};
	regs->gdt_base = vmcs_read(GUEST_GDTR_BASE);
	regs->gdt_limit = (uint32_t)vmcs_read(GUEST_GDTR_LIMIT);
	regs->idt_base = vmcs_read(GUEST_IDTR_BASE);
	regs->idt_limit = (uint32_t)vmcs_read(GUEST_IDTR_LIMIT);
}

static void read_debug(struct monitor_regs *regs)
{
	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3; mov %%dr6, %4"
			 : "=r"(regs->dr[0]), "=r"(regs->dr[1]), "=r"(regs->dr[2]),
			   "=r"(regs->dr[3]), "=r"(regs->dr6));
	regs->dr7 = vmcs_read(GUEST_DR7);
}

static const char *activity_name(enum vcpu_activity activity)
{
	switch (activity) {
	case VCPU_ACTIVE: return "active";
	case VCPU_HALTED: return "halted";
	case VCPU_WAIT_FOR_SIPI: return "waiting for a start-up IPI";
	case VCPU_STARTING: return "starting";
	}
	return "unknown";
}

/* Of the vCPU that this core has loaded, between its exit and its next entry. */
static void read_loaded(struct vmx_vcpu *v, void *arg)
{
	struct monitor_regs *regs = arg;

	for (unsigned i = 0; i < GPR_COUNT; i++)
		regs->gpr[i] = v->vcpu.gpr[i];
	regs->gpr[GPR_RSP] = vmcs_read(GUEST_RSP);
	regs->rip = vmcs_read(GUEST_RIP);
	regs->rflags = vmcs_read(GUEST_RFLAGS);
	regs->cr0 = cr_read_cr0();
	regs->cr2 = read_cr2();
	regs->cr3 = vmcs_read(GUEST_CR3);
	regs->cr4 = cr_read_cr4();
	regs->cr8 = vlapic_tpr(pc_lapic(&v->vcpu.vm->pc, v->vcpu.id)) >> 4;
	regs->efer = vmcs_read(GUEST_EFER);
	regs->pdpte[0] = vmcs_read(GUEST_PDPTE0);
	regs->pdpte[1] = vmcs_read(GUEST_PDPTE1);
	regs->pdpte[2] = vmcs_read(GUEST_PDPTE2);
	regs->pdpte[3] = vmcs_read(GUEST_PDPTE3);
	regs->activity = activity_name(v->vcpu.activity);
	regs->mode = dump_mode_name();
	regs->physical_bits = cpuid_physical_bits(&v->vcpu.vm->cpuid);
	read_segments(regs);
	read_debug(regs);
}

bool registers_read(struct vmx_vcpu *v, struct monitor_regs *regs)
{
	return vcpu_visit(v, read_loaded, regs);
}
