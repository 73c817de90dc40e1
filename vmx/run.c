/* SPDX-License-Identifier: MIT */
/*
 * The loop that runs a vCPU: what is due is done, then the guest is entered, and exits are handled
 * without coming back here until somebody wants it (vcpu.wanted).
 *
 * The vCPU's deadline is the next moment at which it or its core wants to act: its local APIC's
 * timer, the core's timers, the end of its slice. It is kept by the VMX-preemption timer, or by the
 * host's local APIC where the CPU has none.
 */
#include "vmx/run.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/lapic.h"
#include "vmx/core.h"
#include "vmx/dump.h"
#include "vmx/entry_explain.h"
#include "vmx/events.h"
#include "vmx/replay.h"
#include "vmx/vmcs.h"

uint64_t vmx_enter(struct vmx_vcpu *v);

static struct vlapic *lapic_of(const struct vmx_vcpu *v)
{
	return pc_lapic(&v->vcpu.vm->pc, v->vcpu.id);
}

/* Host TSC at which its local APIC's timer is due, UINT64_MAX for never. */
static inline uint64_t timer_of(const struct vmx_vcpu *v)
{
	return vm_clock_host(&v->vcpu.vm->clock, vlapic_next_event(lapic_of(v)));
}

#define LEAST_TURN 2000 /* ticks */

/*
 * The next moment at which the vCPU or its core wants to act, and what keeps it. Where all that is
 * due has just been `served` and there is more already, the guest has its timers faster than they
 * can be served: it goes on nevertheless, a little.
 */
static void set_deadline(struct vmx_vcpu *v, const struct core *core, bool served)
{
	uint64_t timer = timer_of(v);
	uint64_t next = MIN(core->serve_at, core->slice_end), now = rdtsc();

	v->deadline = MIN(timer, next);
	if (served && v->deadline <= now)
		v->deadline = now + LEAST_TURN;
	if (!v->has_timer)
		lapic_timer_arm(v->deadline);
}

/* Everything that has become due, and the next deadline. False: the core is wanted elsewhere. */
static bool look_at_timers(struct vmx_vcpu *v, struct core *core)
{
	uint64_t now = rdtsc();

	if (core->pick || now >= core->slice_end)
		return false;
	core_serve(core, now);
	/* What was to be done may have put the vCPU away: a VM's start uses the VMCS pointer. */
	if (core->pick || core->pcpu->current != v)
		return false;
	vlapic_advance(lapic_of(v), vm_clock_ticks(&v->vcpu.vm->clock, now));
	set_deadline(v, core, true);
	return true;
}

/*
 * Whether nothing but an INIT or NMI of another vCPU could make this one go on; when that is so of
 * all of them, nothing ever happens in the VM again.
 */
static void set_asleep(struct vmx_vcpu *v, bool asleep)
{
	struct vm *vm = v->vcpu.vm;
	unsigned count;

	if (v->asleep == asleep)
		return;
	v->asleep = asleep;
	if (!asleep) {
		__atomic_fetch_sub(&vm->asleep, 1, __ATOMIC_SEQ_CST);
		return;
	}
	count = __atomic_add_fetch(&vm->asleep, 1, __ATOMIC_SEQ_CST);
	if (count < vm->cpus)
		return;
	/* What a vCPU was told before the sender went to sleep wakes it yet. */
	for (unsigned i = 0; i < vm->cpus; i++)
		if (__atomic_load_n(&vm->vcpu[i]->news, __ATOMIC_SEQ_CST) ||
		    pc_nmi_possible(&vm->pc, i))
			return;
	vm_end(vm, VERDICT_HANG, "halted with interrupts off: nothing can wake it (RIP 0x%lx)",
	       vmcs_read(GUEST_RIP));
}

/* Not active: whether it is now, or goes on waiting. */
static bool wakes(struct vmx_vcpu *v)
{
	switch (v->vcpu.activity) {
	case VCPU_STARTING: vmx_vcpu_startup(v, v->vcpu.startup_vector); break;
	case VCPU_HALTED:
		if (!events_wake(v)) {
			set_asleep(v, !(vmcs_read(GUEST_RFLAGS) & RFLAGS_IF));
			return false;
		}
		break;
	case VCPU_WAIT_FOR_SIPI: set_asleep(v, true); return false;
	default: break;
	}
	set_asleep(v, false);
	v->vcpu.activity = VCPU_ACTIVE;
	return true;
}

static void take_news(struct vmx_vcpu *v)
{
	uint32_t news = vcpu_take_news(&v->vcpu, NEWS_MAIL | NEWS_PAUSE | NEWS_CLOCK);

	if (news & NEWS_MAIL)
		pc_collect(&v->vcpu.vm->pc, v->vcpu.id);
	if (news & NEWS_CLOCK) {
		vmcs_write(TSC_OFFSET, v->vcpu.tsc_adjust - v->vcpu.vm->clock.base);
		v->vcpu.attention |= ATTENTION_TIMER;
	}
}

#define GO_ON (-1)

/* Does what is due; what there is to inject stays for the entry. GO_ON, or why the loop ends. */
static int attend(struct vmx_vcpu *v, struct core *core)
{
	if (v->replay.on && rdtsc() >= v->replay.until)
		replay_end(v);
	take_news(v);
	if (v->vcpu.attention & ATTENTION_TIMER) {
		v->vcpu.attention &= ~(uint32_t)ATTENTION_TIMER;
		if (!look_at_timers(v, core)) {
			v->vcpu.attention |= ATTENTION_TIMER;
			return vcpu_ended(&v->vcpu) ? RUN_ENDED : RUN_AGAIN;
		}
		take_news(v);
	}
	if (vcpu_ended(&v->vcpu))
		return RUN_ENDED;
	if (__atomic_load_n(&v->vcpu.vm->paused, __ATOMIC_RELAXED))
		return RUN_WAIT;
	if (v->vcpu.activity != VCPU_ACTIVE && !wakes(v))
		return vcpu_ended(&v->vcpu) ? RUN_ENDED : RUN_WAIT;
	return GO_ON;
}

/*
 * The last step before the entry: an event chosen here has left the interrupt controllers, and is
 * lost if anything but the entry follows. False: the VM has ended.
 */
static bool inject(struct vmx_vcpu *v)
{
	if (!(v->vcpu.attention & ATTENTION_EVENT))
		return true;
	v->vcpu.attention &= ~(uint32_t)ATTENTION_EVENT;
	if (events_inject(v))
		return true;
	replay_end(v);
	return false;
}

enum run_end vmx_vcpu_run(struct vmx_vcpu *v)
{
	struct core *core = core_self();

	/* Its core has just been served; what waits for the guest is in `wanted`. */
	v->left = 0;
	v->vcpu.attention &= ~(uint32_t)ATTENTION_TIMER;
	/* While the VM is paused its clock stands, whoever wakes the vCPU: no timer expires. */
	if (rdtsc() >= v->wake_at && !__atomic_load_n(&v->vcpu.vm->paused, __ATOMIC_SEQ_CST))
		vlapic_advance(lapic_of(v), vmx_now(v));
	set_deadline(v, core, false);
	if (v->vcpu.activity != VCPU_ACTIVE || v->vcpu.vm->paused)
		v->vcpu.attention |= ATTENTION_EVENT;
	for (;;) {
		if (v->vcpu.wanted) {
			int end = attend(v, core);

			if (end != GO_ON) {
				core->left = v->left;
				v->wake_at = v->vcpu.vm->paused ? UINT64_MAX : timer_of(v);
				return (enum run_end)end;
			}
		}
		if (!run_arm_timer(v, rdtsc()) || !inject(v))
			continue;
		if ((v->vcpu.attention & ATTENTION_ENTRY) && !entry_prepare(v)) {
			v->stopped = true;
			vm_end(v->vcpu.vm, VERDICT_CRASH, "entrycheck=always: the entry is wrong");
			continue;
		}
		if (core->left)
			core_count_switch();
		if (vmx_enter(v)) {
			v->stopped = true;
			vm_end(v->vcpu.vm, VERDICT_CRASH, "VM entry failed: %s", dump_vm_fail(v));
			continue;
		}
		v->launched = true;
	}
}
