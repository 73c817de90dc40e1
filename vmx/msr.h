/* SPDX-License-Identifier: MIT */
/*
 * Model-specific registers of a guest: one table says for each what happens. What is not in it
 * raises #GP, as on a CPU that has no such register. Intel SDM volume 4.
 */
#ifndef VMX_MSR_H
#define VMX_MSR_H

#include "vmx/vmx_vcpu.h"

/* The MSR bitmap (one page) by the table: 0 for reads and writes that the guest does itself. */
void msr_fill_bitmap(uint8_t *bitmap);
/* Power-up state of what is emulated; what is passed through is 0 in v->state already. */
void msr_reset(struct vmx_vcpu *v);

/* Finds out which of those passed through this CPU has. Once. */
void msr_init(void);
/* Between the CPU's registers and v->state. */
void msr_save(struct vmx_vcpu *v);
void msr_load(const struct vmx_vcpu *v);
/* What one VM taught the branch predictors is not for the next. */
void msr_forget_branches(void);

/* False: #GP. */
bool msr_read(struct vmx_vcpu *v, uint32_t msr, uint64_t *value);
bool msr_write(struct vmx_vcpu *v, uint32_t msr, uint64_t value);

#endif
