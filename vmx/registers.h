/* SPDX-License-Identifier: MIT */
/* The registers of a vCPU, wherever it is: loaded on some core, or on none. */
#ifndef VMX_REGISTERS_H
#define VMX_REGISTERS_H

#include "vm/monitor_ops.h"
#include "vmx/vmx_vcpu.h"

/*
 * As they are, or were at its last exit. On core 0, between two entries. False: it moves from core
 * to core too fast.
 */
bool registers_read(struct vmx_vcpu *v, struct monitor_regs *regs);

#endif
