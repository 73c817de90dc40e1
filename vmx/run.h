/* SPDX-License-Identifier: MIT */
/* The loop that runs a vCPU; see run.c. */
#ifndef VMX_RUN_H
#define VMX_RUN_H

#include "vmx/vmx_vcpu.h"

/*
 * Before each entry: sets the preemption timer to the vCPU's deadline. False when the deadline has
 * passed, and the loop must look at the timers first.
 */
bool run_arm_timer(struct vmx_vcpu *v);

/* Asks the loop to look at the timers and the host's console before the next entry. */
static inline void run_check_timers(struct vmx_vcpu *v)
{
	v->vcpu.attention |= ATTENTION_TIMER;
}

#endif
