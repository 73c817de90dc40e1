/* SPDX-License-Identifier: MIT */
/* Replays of triple faults. */
#include "vmx/replay.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/lapic.h"
#include "vm/outbuf.h"
#include "vmx/events.h"
#include "vmx/vmcs.h"

/* Three faults take some hundred; whoever runs longer does not fault again. */
#define REPLAY_TICKS 20000

bool replay_begin(struct vmx_vcpu *v)
{
	struct vmx_replay *replay = &v->replay;

	if (replay->on)
		return false;
	replay->on = true;
	replay->first = v->recorder.exceptions;
	replay->until = rdtsc() + REPLAY_TICKS;
	v->deadline = replay->until;
	if (!v->has_timer)
		lapic_timer_arm(v->deadline);
	vmcs_write(EXCEPTION_BITMAP, UINT32_MAX);
	vmcs_write(GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	if ((replay->injected.info & INTR_VALID) && replay->injected_rip == vmcs_read(GUEST_RIP)) {
		v->interrupted = replay->injected;
		vmcs_write(GUEST_INTERRUPTIBILITY,
			   vmcs_read(GUEST_INTERRUPTIBILITY) & ~BLOCKING_NMI);
		v->vcpu.attention |= ATTENTION_EVENT;
	}
	return true;
}

void replay_end(struct vmx_vcpu *v)
{
	const struct recorder *recorder = &v->recorder;
	char text[96];
	struct outbuf out;

	outbuf_init(&out, text, sizeof(text) - 1);
	for (unsigned i = v->replay.on ? v->replay.first : 0; i < recorder->exceptions; i++) {
		outbuf_print(&out, out.length ? ", " : ": ");
		postmortem_name(&recorder->exception[i], &out);
	}
	text[out.length] = '\0';
	v->stopped = true;
	vm_end(v->vcpu.vm, VERDICT_CRASH, "triple fault at RIP 0x%lx%s", vmcs_read(GUEST_RIP),
	       text);
}

void replay_note_injected(struct vmx_vcpu *v, const struct vmx_event *event)
{
	v->replay.injected = *event;
	v->replay.injected_rip = vmcs_read(GUEST_RIP);
}
