/* SPDX-License-Identifier: MIT */
/*
 * The local APIC as far as the CPU has it: virtual-interrupt delivery, APIC-register virtualisation
 * and virtualised x2APIC mode, used together or not at all. The registers are the model's page; the
 * VMCS holds besides it the highest vectors of IRR and ISR (RVI, SVI), and which of them exit when
 * they end.
 *
 * In xAPIC mode the registers are the CPU's by an APIC-access page instead, where it has that.
 *
 * EOI, changes of the TPR and self-IPIs are the CPU's, and so is the delivery that follows
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

/*
 * Whether it is used for this vCPU now. While the guest has its local APIC disabled by software it
 * is not: the CPU knows nothing of that, and would accept self-IPIs.
 */
static inline bool virtual_apic_used(const struct vmx_vcpu *v)
{
	return v->virtual_interrupts;
}

/*
 * Before the first entry, and after the guest has changed the mode of its local APIC, where its
 * registers are, or switched it on or off. The VMCS is loaded. Nothing where the CPU lacks it all.
 */
void virtual_apic_set_mode(struct vmx_vcpu *v);
/* Before an entry for which anything about interrupts may have changed. */
void virtual_apic_check_mode(struct vmx_vcpu *v);

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
