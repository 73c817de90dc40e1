/* SPDX-License-Identifier: MIT */
/* What Socle prints of a vCPU whose entry fails. */
#ifndef VMX_DUMP_H
#define VMX_DUMP_H

#include "vmx/vmx_vcpu.h"

/* VM-fail at entry: the control or host fields, by the error number. */
void dump_vm_fail(struct vmx_vcpu *v);
/* An entry that failed after it began: the guest fields. */
void dump_entry_failure(struct vmx_vcpu *v, uint32_t basic_reason);

/* In words, of the vCPU that this core has loaded. */
const char *dump_mode_name(void);

#endif
