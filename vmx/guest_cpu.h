/* SPDX-License-Identifier: MIT */
/* The emulator's view of the vCPU: state from the VMCS when asked for, accesses to the PC. */
#ifndef VMX_GUEST_CPU_H
#define VMX_GUEST_CPU_H

#include "vm/emulate.h"
#include "vmx/exit.h"
#include "vmx/vmx_vcpu.h"

/* Prepares `e` for one exit. RSP is in its slot of the registers from now on. */
void guest_cpu_begin(struct vmx_vcpu *v, struct emulate *e);
/* Writes RSP back if it changed. */
void guest_cpu_end(struct vmx_vcpu *v);
/* What follows from the emulator's answer for the exit. */
enum exit_action guest_cpu_result(struct vmx_vcpu *v, enum emulate_status status,
				  const struct emulate_result *result);

enum guest_cpu_direction { GUEST_CPU_READ, GUEST_CPU_WRITE };

/*
 * Copies between `data` and linear memory as the CPU's implicit accesses to descriptor tables and
 * task-state segments do: with supervisor rights whatever the CPL. False: a page fault, of which
 * CR2 is set and *error_code is the code; memory outside RAM reads as all ones.
 */
bool guest_cpu_copy(struct vmx_vcpu *v, uint64_t linear, void *data, unsigned size,
		    enum guest_cpu_direction direction, uint32_t *error_code);

#endif
