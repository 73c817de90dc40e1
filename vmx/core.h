/* SPDX-License-Identifier: MIT */
/*
 * One core of the host: which vCPU it runs, its timers, and what other cores and devices want of
 * it. Every core is in core_run, and each takes vCPUs from the one scheduler.
 */
#ifndef VMX_CORE_H
#define VMX_CORE_H

#include <stdint.h>

#include "arch/x86_64/pcpu.h"
#include "lib/spinlock.h"
#include "lib/timer.h"
#include "vmx/vmx_vcpu.h"

struct core {
	struct pcpu *pcpu;
	struct spinlock lock; /* of the timers */
	struct timer_queue timers;
	bool pick;	     /* the scheduler is to be asked before this core goes on */
	bool look;	     /* core_serve is wanted; set by any core */
	bool gone;	     /* a vCPU has left for good, and is out with the next pick */
	uint64_t slice_end;  /* TSC at which it is to be asked at the latest */
	uint64_t serve_at;   /* TSC at which core_serve is to be called at the latest */
	uint64_t irqs;	     /* of the host that have been seen to */
	uint64_t watch_next; /* TSC at which the next core is to be looked after */
	uint64_t left;	     /* TSC of the exit that left the last vCPU; 0: it idled since */
	struct {
		uint64_t count; /* from one vCPU to another, without idling */
		uint64_t ticks; /* from the exit of one to the entry of the other */
		uint64_t max;
	} switches;
};

/* Once, on core 0, before any other core enters core_run; hz of the TSC. */
void core_init(unsigned cores, uint64_t hz);

/*
 * What core 0 does beside running vCPUs, called often: returns the TSC at which it wants to be
 * called again at the latest. It may not wait for other vCPUs. `left` is called on any core when a
 * vCPU has left it for good.
 */
void core_set_housekeeping(uint64_t (*fn)(uint64_t now), void (*left)(void));

/* Has core 0 do its housekeeping soon. From any core. */
void core_call_housekeeping(void);

_Noreturn void core_run(struct pcpu *pcpu);

/* This core. */
struct core *core_self(void);

/* What is due on this core, if anything, is done: timers, housekeeping. With no lock held. */
void core_serve(struct core *core, uint64_t now);

/* Whether the IPI that came wants something of the core itself, not of its vCPU. */
static inline bool core_wanted(const struct core *core)
{
	return __atomic_load_n(&core->pick, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&core->look, __ATOMIC_RELAXED);
}

/* The vCPU has news: it looks at them soon, wherever it is. From any core. */
void core_kick(struct vcpu *vcpu);

/*
 * Queues the timer on this core. It fires here, between two entries, with no lock held. Whoever
 * sets and cancels one timer does so from one core at a time.
 */
void core_timer_set(struct timer *timer, uint64_t when);
void core_timer_cancel(struct timer *timer);

/* A vCPU joins the cores of `mask` (0: all); it runs once it is kicked. */
void core_add(struct vmx_vcpu *v, struct sched_group *group, uint64_t mask);
/*
 * A vCPU of a VM that has ended leaves by itself, when it is kicked. True once it has: no core has
 * anything of it then. Not with a lock held.
 */
bool core_put_away(struct vmx_vcpu *v);

/* `v`, which runs here, spins: others go first, if there are any. */
void core_yield(struct vmx_vcpu *v);

/* The next entry is of another vCPU than the last exit: its time is counted. By the run loop. */
void core_count_switch(void);

/* What the cores did, to the log at its debug level. */
void core_report(void);

void core_group_init(struct sched_group *group, unsigned weight, unsigned cap);
/* Ticks of a vCPU up to now. */
void core_times(const struct vmx_vcpu *v, struct sched_times *times);

#endif
