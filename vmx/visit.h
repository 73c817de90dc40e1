/* SPDX-License-Identifier: MIT */
/* Looking at a vCPU's VMCS and registers from core 0, wherever it is. */
#ifndef VMX_VISIT_H
#define VMX_VISIT_H

#include "vmx/vmx_vcpu.h"

/*
 * Calls look(v, arg) on the core that has the vCPU loaded, between its exit and its next entry; or
 * here, loaded for a moment. False: it moved between cores all the time.
 */
bool vcpu_visit(struct vmx_vcpu *v, void (*look)(struct vmx_vcpu *v, void *arg), void *arg);

#endif
