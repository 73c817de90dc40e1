/* SPDX-License-Identifier: MIT */
/* Visits to vCPUs. */
#include "vmx/visit.h"

#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/smp.h"
#include "vmx/switch.h"

#define TRIES 1000 /* a vCPU that moves between cores meanwhile */

struct visit {
	struct vmx_vcpu *vcpu;
	void (*look)(struct vmx_vcpu *v, void *arg);
	void *arg;
	bool done;
};

static void look_if_loaded(void *arg)
{
	struct visit *visit = arg;

	if (pcpu_self()->current != visit->vcpu)
		return;
	visit->look(visit->vcpu, visit->arg);
	visit->done = true;
}

/* It is loaded nowhere: here for a moment, in the place of what the loop up the stack runs. */
static void load_and_look(struct visit *visit)
{
	struct vmx_vcpu *before = pcpu_self()->current;

	vmx_switch_to(visit->vcpu);
	visit->look(visit->vcpu, visit->arg);
	visit->done = true;
	if (before)
		vmx_switch_to(before);
	else
		vmx_switch_away();
}

bool vcpu_visit(struct vmx_vcpu *v, void (*look)(struct vmx_vcpu *v, void *arg), void *arg)
{
	struct visit visit = {.vcpu = v, .look = look, .arg = arg};

	for (unsigned tries = 0; tries < TRIES && !visit.done; tries++) {
		int core = __atomic_load_n(&v->loaded_on, __ATOMIC_ACQUIRE);

		if (core != NO_CORE)
			smp_call((unsigned)core, look_if_loaded, &visit);
		else
			load_and_look(&visit);
	}
	return visit.done;
}
