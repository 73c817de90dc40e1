/* SPDX-License-Identifier: MIT */
/*
 * Control registers of a guest: which bits are its own and which Socle keeps, and writes to them
 * with the checks of the instructions. Intel SDM volume 3, "Control Registers", "Guest/Host Masks
 * and Read Shadows for CR0 and CR4".
 */
#ifndef VMX_CR_H
#define VMX_CR_H

#include "vmx/vmx_vcpu.h"

/* Sets masks, shadows and values in the current VMCS. */
void cr_init(struct vmx_vcpu *v, uint64_t cr0, uint64_t cr4);

/* The values as the guest reads them. */
uint64_t cr_read_cr0(void);
uint64_t cr_read_cr4(void);

/* Loads CR3 without the instruction's checks; false when PAE paging's PDPTEs are not sound. */
bool cr_load_cr3(struct vmx_vcpu *v, uint64_t value);

/* MOV to a control register: EXIT_ADVANCE, or the exception raised. */
enum exit_action cr_write_cr0(struct vmx_vcpu *v, uint64_t value);
enum exit_action cr_write_cr3(struct vmx_vcpu *v, uint64_t value);
enum exit_action cr_write_cr4(struct vmx_vcpu *v, uint64_t value);
enum exit_action cr_write_cr8(struct vmx_vcpu *v, uint64_t value);

#endif
