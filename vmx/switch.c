/* SPDX-License-Identifier: MIT */
/*
 * Loading and putting away a vCPU. A VMCS is active on one core at most: VMCLEAR comes before
 * another core's VMPTRLD. Intel SDM volume 3, "Software Use of Virtual-Machine Control Structures",
 * "Using VPIDs to Tag Cached Information".
 */
#include "vmx/switch.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/smp.h"
#include "lib/panic.h"
#include "vmx/caps.h"
#include "vmx/msr.h"
#include "vmx/vmcs.h"

static void save_debug(struct vmx_state *state)
{
	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3; mov %%dr6, %4"
			 : "=r"(state->dr[0]), "=r"(state->dr[1]), "=r"(state->dr[2]),
			   "=r"(state->dr[3]), "=r"(state->dr6));
}

static void load_debug(const struct vmx_state *state)
{
	__asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3; mov %4, %%dr6"
			 :
			 : "r"(state->dr[0]), "r"(state->dr[1]), "r"(state->dr[2]),
			   "r"(state->dr[3]), "r"(state->dr6));
}

void vmx_switch_away(void)
{
	struct pcpu *pcpu = pcpu_self();
	struct vmx_vcpu *v = pcpu->current;

	if (!v)
		return;
	save_debug(&v->state);
	v->state.cr2 = read_cr2();
	msr_save(v);
	fpu_save(v->state.fpu);
	if (!vmcs_clear(v->vmcs))
		panic("VMCLEAR of the VMCS at 0x%lx failed", v->vmcs);
	v->launched = false;
	pcpu->current = NULL;
	__atomic_store_n(&v->loaded_on, NO_CORE, __ATOMIC_RELEASE);
}

/*
 * The vCPU comes from another core, or is new. Its VPID may have translations here that it changed
 * there, or that are of the VPID's last owner.
 */
static void arrive(struct vmx_vcpu *v)
{
	vmx_vcpu_write_core(v);
	if (vmx_has(CONTROL_PROC2, PROC2_VPID))
		vmx_invvpid(vmx_caps()->invvpid_single ? INVVPID_SINGLE : INVVPID_ALL, v->vpid, 0);
}

void vmx_switch_to(struct vmx_vcpu *v)
{
	struct pcpu *pcpu = pcpu_self();
	struct vmx_vcpu *before = pcpu->current;
	int expected = NO_CORE;

	if (before == v)
		return;
	vmx_switch_away();
	while (!__atomic_compare_exchange_n(&v->loaded_on, &expected, (int)pcpu->id, false,
					    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		/* That core may wait for an answer of this one before it goes on. */
		smp_serve_calls();
		expected = NO_CORE;
		cpu_pause();
	}
	if (!vmcs_load(v->vmcs))
		panic("VMPTRLD of the VMCS at 0x%lx failed", v->vmcs);
	pcpu->current = v;
	if (v->last_core != (int)pcpu->id)
		arrive(v);
	if (!before || before->vcpu.vm != v->vcpu.vm)
		msr_forget_branches();
	fpu_load(v->state.fpu, v->vcpu.xcr0);
	msr_load(v);
	write_cr2(v->state.cr2);
	load_debug(&v->state);
}
