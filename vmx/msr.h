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
/* Reset state: of what is emulated in `v`, and of what is passed through in the CPU. */
void msr_reset(struct vmx_vcpu *v);

/* False: #GP. */
bool msr_read(struct vmx_vcpu *v, uint32_t msr, uint64_t *value);
bool msr_write(struct vmx_vcpu *v, uint32_t msr, uint64_t value);

#endif
