/* SPDX-License-Identifier: MIT */
/*
 * Model-specific registers of a guest: one table says for each what happens. What is not in it
 * raises #GP, as on a CPU that has no such register. Intel SDM volume 4.
 */
#ifndef VMX_MSR_H
#define VMX_MSR_H

#include "vmx/vmx_vcpu.h"

/*
 * Finds out what this CPU has, and makes the bitmaps that all vCPUs share. Once. False: no memory.
 */
bool msr_init(struct frames *frames);
/* The MSR bitmap's address. `x2apic`: for a vCPU whose x2APIC mode the CPU virtualises. */
uint64_t msr_bitmap(bool x2apic);
/* Power-up state of what is emulated; what is passed through is 0 in v->state already. */
void msr_reset(struct vmx_vcpu *v);

/* Between the CPU's registers and v->state. */
void msr_save(struct vmx_vcpu *v);
void msr_load(const struct vmx_vcpu *v);
/* What one VM taught the branch predictors is not for the next. */
void msr_forget_branches(void);

/* False: #GP. */
bool msr_read(struct vmx_vcpu *v, uint32_t msr, uint64_t *value);
bool msr_write(struct vmx_vcpu *v, uint32_t msr, uint64_t value);

#endif
