/* SPDX-License-Identifier: MIT */
/* What Socle prints of a vCPU whose entry fails. */
#ifndef VMX_DUMP_H
#define VMX_DUMP_H

#include "vmx/vmx_vcpu.h"

/* VM-fail at entry: the rules that are broken; where none is known, the fields. The error. */
const char *dump_vm_fail(struct vmx_vcpu *v);
/* The same of an entry that failed after it began. */
void dump_entry_failure(struct vmx_vcpu *v, uint32_t basic_reason);

/* In words, of the vCPU that this core has loaded. */
const char *dump_mode_name(void);

#endif
