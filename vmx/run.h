/* SPDX-License-Identifier: MIT */
/* The loop that runs a vCPU; see run.c. */
#ifndef VMX_RUN_H
#define VMX_RUN_H

#include "arch/x86_64/cpu.h"
#include "vmx/vmcs.h"
#include "vmx/vmx_vcpu.h"

enum run_end {
	RUN_AGAIN, /* the slice is over, or the core is wanted for something else */
	RUN_WAIT,  /* nothing to do until it is kicked, or until its wake_at */
	RUN_ENDED, /* its VM has ended */
};

/* Runs the vCPU, which is loaded on this core. */
enum run_end vmx_vcpu_run(struct vmx_vcpu *v);

/* Asks the loop to look at the timers and the host's console before the next entry. */
static inline void run_check_timers(struct vmx_vcpu *v)
{
	v->vcpu.attention |= ATTENTION_TIMER;
}

/*
 * Before each entry: sets the preemption timer to the vCPU's deadline. False when the deadline has
 * passed, and the loop must look at the timers first. On the path of every exit; `now` is the TSC.
 *
 * The end of its slice bounds the deadline to a fraction of a second, so that the counter's 32 bits
 * hold it.
 */
static inline bool run_arm_timer(struct vmx_vcpu *v, uint64_t now)
{
	int64_t left = (int64_t)(v->deadline - now);

	if (!v->has_timer)
		return true;
	if (left <= 0) {
		run_check_timers(v);
		return false;
	}
	vmcs_write(PREEMPTION_TIMER, (uint64_t)left >> v->timer_shift);
	return true;
}

#endif
