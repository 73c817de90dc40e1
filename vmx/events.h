/* SPDX-License-Identifier: MIT */
/*
 * Events into the guest: exceptions, NMIs, interrupts, and those whose delivery an exit cut short.
 * Intel SDM volume 3, "VM-Entry Controls for Event Injection".
 */
#ifndef VMX_EVENTS_H
#define VMX_EVENTS_H

#include "vmx/vmx_vcpu.h"

#define INTR_VECTOR(info) ((uint8_t)(info))
#define INTR_TYPE(info)	  ((info) >> 8 & 7)
#define INTR_ERROR_CODE	  (1u << 11)
#define INTR_NMI_UNBLOCK  (1u << 12)
#define INTR_VALID	  (1u << 31)

enum intr_type {
	INTR_EXTERNAL = 0,
	INTR_RESERVED = 1,
	INTR_NMI = 2,
	INTR_EXCEPTION = 3,
	INTR_SOFTWARE = 4,
	INTR_PRIVILEGED_SOFTWARE = 5,
	INTR_SOFTWARE_EXCEPTION = 6,
	INTR_OTHER = 7,
};

#define BLOCKING_STI	BIT(0)
#define BLOCKING_MOV_SS BIT(1)
#define BLOCKING_SMI	BIT(2)
#define BLOCKING_NMI	BIT(3)
#define IN_ENCLAVE	BIT(4)

/*
 * After an exit that can cut short the delivery of an event: keeps that event for the next entry.
 * Intel SDM volume 3, "Information for VM Exits During Event Delivery".
 */
void events_keep_interrupted(struct vmx_vcpu *v);

/* Chooses what the next entry injects and which windows must open. False: a triple fault. */
bool events_inject(struct vmx_vcpu *v);

/* Something that would end HLT is there. */
bool events_wake(const struct vmx_vcpu *v);

void events_close_interrupt_window(struct vmx_vcpu *v);
/*
 * An exit before a #DB leaves DR6, which the guest has in the CPU's own register, as it was: adds
 * the causes.
 */
void events_set_dr6(uint64_t causes);

/*
 * An instruction has been executed for the guest while TF or RF were set: RF is clear after it, and
 * the single-step trap becomes pending.
 */
void events_retire(uint64_t rflags);
/*
 * The same for an iteration of a repeated string instruction that is not the last: what comes next
 * finds RF set (SDM volume 3, "Instruction-Breakpoint Exception Condition").
 */
void events_iterate(void);

void events_close_nmi_window(struct vmx_vcpu *v);

#endif
