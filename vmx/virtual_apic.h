/* SPDX-License-Identifier: MIT */
/*
 * The local APIC as far as the CPU has it: virtual-interrupt delivery, APIC-register virtualisation
 * and virtualised x2APIC mode, used together or not at all. The registers are the model's page; the
 * VMCS holds besides it the highest vectors of IRR and ISR (RVI, SVI), and which of them exit when
 * they end.
 *
 * EOI, changes of the TPR and self-IPIs (by MSR) are the CPU's, and so is the delivery that follows
 * from them. What comes from outside we inject ourselves, which leaves the same state; and while it
 * waits for IF the interrupt window is open, while it waits for an EOI that EOI exits. So the CPU
 * has hardly ever to remember an interrupt that the guest cannot take yet, which not every
 * emulation of VMX does right (docs/architecture.md, "What Bochs does otherwise").
 * Intel SDM volume 3, "APIC Virtualization and Virtual Interrupts".
 */
#ifndef VMX_VIRTUAL_APIC_H
#define VMX_VIRTUAL_APIC_H

#include "vmx/caps.h"
#include "vmx/vmx_vcpu.h"

static inline bool virtual_apic_used(void)
{
	return vmx_has(CONTROL_PROC2, PROC2_INTERRUPTS);
}

/* Before the first entry; the VMCS is loaded. Nothing where it is not used. */
void virtual_apic_init(struct vmx_vcpu *v);
/* The guest has changed the mode of its local APIC: its registers are in MSRs, or no longer. */
void virtual_apic_set_mode(struct vmx_vcpu *v);

/* Only where it is used: */

/*
 * Around the choice of what an entry injects: the model has IRR and ISR between the two. What is
 * deliverable then must be injected or have the interrupt window open.
 */
void virtual_apic_begin(struct vmx_vcpu *v);
void virtual_apic_end(struct vmx_vcpu *v);
/* Whether the guest would take an interrupt if its IF allowed it. */
bool virtual_apic_pending(const struct vmx_vcpu *v);

#endif
