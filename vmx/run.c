/* SPDX-License-Identifier: MIT */
/*
 * The loop that runs a vCPU: what is due is done, then the guest is entered, and exits are handled
 * without coming back here until somebody sets a bit of `attention`.
 *
 * The vCPU's deadline is the next moment at which anything of the VM wants to act. While the guest
 * runs it is kept by the VMX-preemption timer, or by the host's local APIC where the CPU has none;
 * while it is halted the host halts, with the host's timer.
 */
#include "vmx/run.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/uart.h"
#include "vmx/dump.h"
#include "vmx/events.h"
#include "vmx/vmcs.h"

/* While bytes wait for room in the guest's UART or in ours, it is looked at this often. */
#define CONSOLE_POLL_HZ 2000

#define CPU_DR6_RESET	0xffff0ff0ULL

uint64_t vmx_enter(struct vmx_vcpu *v);

static void feed_console(struct vmx_vcpu *v, uint64_t now)
{
	struct pc *pc = &v->vcpu.vm->pc;
	int byte;

	/* In Bochs interrupts stay pending while the guest has them off: their turn is here. */
	irq_window();
	while (pc_can_receive(pc) && (byte = uart_get()) >= 0)
		pc_receive(pc, (uint8_t)byte, now);
	pc_tx_ready(pc, now);
}

/* Everything that has become due, and the next deadline. */
static void look_at_timers(struct vmx_vcpu *v)
{
	struct vm *vm = v->vcpu.vm;
	uint64_t now = vmx_now(v), next;

	feed_console(v, now);
	if (now >= pc_next_event(&vm->pc))
		pc_advance(&vm->pc, now);
	vm_check_progress(vm, now);
	next = MIN(pc_next_event(&vm->pc), vm_progress_deadline(vm));
	if (uart_waiting() || vm->pc.com1.tx.used)
		next = MIN(next, now + vm->host->hz / CONSOLE_POLL_HZ);
	v->deadline = MIN(vmx_host_tsc(v, next), (uint64_t)INT64_MAX);
	if (!v->has_timer)
		lapic_timer_arm(v->deadline);
}

/* Halted until an event for the guest comes; the VM may end meanwhile. */
static void idle(struct vmx_vcpu *v)
{
	while (!events_wake(v) && !(v->vcpu.attention & ATTENTION_END)) {
		if (!(vmcs_read(GUEST_RFLAGS) & RFLAGS_IF) &&
		    !pc_nmi_possible(&v->vcpu.vm->pc, v->vcpu.id)) {
			vm_end(v->vcpu.vm, VERDICT_HANG,
			       "halted with interrupts off: nothing can wake it (RIP 0x%lx)",
			       vmcs_read(GUEST_RIP));
			return;
		}
		if (rdtsc() < v->deadline) {
			lapic_timer_arm(v->deadline);
			irq_enable_and_halt();
		}
		look_at_timers(v);
	}
	if (v->has_timer)
		lapic_timer_arm(UINT64_MAX);
	v->vcpu.halted = false;
}

/* Does what is due; what there is to inject stays for the entry. False: the VM has ended. */
static bool attend(struct vmx_vcpu *v)
{
	if (v->vcpu.attention & ATTENTION_TIMER) {
		v->vcpu.attention &= ~(uint32_t)ATTENTION_TIMER;
		look_at_timers(v);
	}
	if (v->vcpu.halted)
		idle(v);
	return !(v->vcpu.attention & ATTENTION_END);
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
	vm_end(v->vcpu.vm, VERDICT_CRASH, "triple fault");
	return false;
}

/* What the last user of this CPU left in registers that entry and exit do not switch. */
static void load_clean_state(struct vmx_vcpu *v)
{
	uint64_t zero = 0;

	fpu_reset(v->vcpu.xcr0);
	write_cr2(0);
	__asm__ volatile("mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3; mov %1, %%dr6"
			 :
			 : "r"(zero), "r"(CPU_DR6_RESET));
}

void vmx_vcpu_run(struct vmx_vcpu *v)
{
	load_clean_state(v);
	v->vcpu.attention |= ATTENTION_TIMER | ATTENTION_EVENT;
	for (;;) {
		if (v->vcpu.attention && !attend(v))
			break;
		if (!run_arm_timer(v))
			continue;
		if (!inject(v))
			break;
		if (vmx_enter(v)) {
			dump_vm_fail(v);
			vm_end(v->vcpu.vm, VERDICT_CRASH, "VM entry failed: %s",
			       vmx_instruction_error(vmcs_read(INSTRUCTION_ERROR)));
			break;
		}
		v->launched = true;
	}
	lapic_timer_arm(UINT64_MAX);
	/* What was typed for this VM is not for the next one. */
	uart_drop_input();
}
