/* SPDX-License-Identifier: MIT */
/* Exits caused by events: exceptions, NMIs, interrupts, windows, timers. */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/panic.h"
#include "arch/x86_64/traps.h"
#include "vmx/core.h"
#include "vmx/events.h"
#include "vmx/exit.h"
#include "vmx/replay.h"
#include "vmx/vmcs.h"

/* A #DB's exit qualification: bits for DR6. SDM volume 3, "Basic VM-Exit Information". */
#define DEBUG_CAUSES   (BITS(3, 0) | DEBUG_BD | BIT(14))
#define DEBUG_BD       BIT(13)
#define DR6_BREAKS     BITS(3, 0)
#define DR6_ACTIVE_LOW 0xffff0ff0ULL
#define DR7_GD	       BIT(13)

/* Instruction breakpoints and general detect are faults, data breakpoints and steps are traps. */
static bool is_debug_fault(uint64_t causes, uint64_t dr7)
{
	for (unsigned i = 0; i < 4; i++)
		if ((causes & BIT(i)) && !(dr7 >> (16 + 4 * i) & 3))
			return true;
	return causes & DEBUG_BD;
}

/* INT1, INT3, INTO as they are, at their own RIP. */
static enum exit_action inject_software(struct vmx_vcpu *v, uint32_t info)
{
	v->interrupted = (struct vmx_event){
		.info = info & ~INTR_NMI_UNBLOCK,
		.length = (uint32_t)vmcs_read(EXIT_INSN_LENGTH),
	};
	v->vcpu.attention |= ATTENTION_EVENT;
	return EXIT_RESUME;
}

static enum exit_action reflect_debug(struct vmx_vcpu *v, uint32_t info)
{
	uint64_t causes = vmcs_read(EXIT_QUALIFICATION) & DEBUG_CAUSES;
	uint64_t interruptibility = vmcs_read(GUEST_INTERRUPTIBILITY);

	events_set_dr6(causes);
	/* A CPU has RF in the saved flags already; not every emulation of VMX does. */
	if (is_debug_fault(causes, vmcs_read(GUEST_DR7)))
		vmcs_write(GUEST_RFLAGS, vmcs_read(GUEST_RFLAGS) | RFLAGS_RF);
	/*
	 * Delivery ends the shadow of STI and MOV SS. Left there it makes the entry fail when TF is
	 * set: the check wants a single step to be pending, and this exit has taken it.
	 */
	if (interruptibility & (BLOCKING_STI | BLOCKING_MOV_SS))
		vmcs_write(GUEST_INTERRUPTIBILITY,
			   interruptibility & ~(BLOCKING_STI | BLOCKING_MOV_SS));
	/* Delivery of #DB clears DR7.GD. */
	vmcs_write(GUEST_DR7, vmcs_read(GUEST_DR7) & ~DR7_GD);
	/* INT1 exits before it is executed: the CPU does that, and comes back if it faults. */
	if (INTR_TYPE(info) == INTR_PRIVILEGED_SOFTWARE)
		return inject_software(v, info);
	return vmx_reflect(v, VECTOR_DB, 0);
}

/* An IRET that had unblocked NMIs before it faulted must block them again. */
static void restore_nmi_blocking(const struct vmx_vcpu *v, uint32_t info)
{
	if ((info & INTR_NMI_UNBLOCK) && !(v->interrupted.info & INTR_VALID) &&
	    INTR_VECTOR(info) != VECTOR_DF)
		vmcs_write(GUEST_INTERRUPTIBILITY,
			   vmcs_read(GUEST_INTERRUPTIBILITY) | BLOCKING_NMI);
}

static void record(struct vmx_vcpu *v, uint32_t info)
{
	const struct postmortem_exception exception = {
		.rip = vmcs_read(GUEST_RIP),
		.address = vmcs_read(EXIT_QUALIFICATION),
		.error_code = (uint32_t)vmcs_read(EXIT_INTR_ERROR_CODE),
		.vector = INTR_VECTOR(info),
		.during = v->interrupted.info & INTR_VALID ? INTR_VECTOR(v->interrupted.info)
							   : POSTMORTEM_NO_VECTOR,
	};

	recorder_exception(&v->recorder, &exception);
}

/* One that exits only because a triple fault is replayed: the guest gets it as it would have. */
static enum exit_action replay_exception(struct vmx_vcpu *v, uint32_t info)
{
	uint8_t vector = INTR_VECTOR(info);

	if (INTR_TYPE(info) >= INTR_SOFTWARE)
		return inject_software(v, info);
	if (vector == VECTOR_PF)
		write_cr2(vmcs_read(EXIT_QUALIFICATION));
	return vmx_reflect(v, vector, (uint32_t)vmcs_read(EXIT_INTR_ERROR_CODE));
}

enum exit_action exit_exception(struct vmx_vcpu *v)
{
	uint32_t info = (uint32_t)vmcs_read(EXIT_INTR_INFO);

	events_keep_interrupted(v);
	/*
	 * The host's NMI. NMIs stay blocked after the exit until an IRET: a software interrupt
	 * through the same gate runs its handler and ends in one.
	 */
	if (INTR_TYPE(info) == INTR_NMI) {
		__asm__ volatile("int $2" : : : "memory");
		return EXIT_RESUME;
	}
	restore_nmi_blocking(v, info);
	record(v, info);
	switch (INTR_VECTOR(info)) {
	case VECTOR_DB: return reflect_debug(v, info);
	case VECTOR_AC: return vmx_reflect(v, VECTOR_AC, (uint32_t)vmcs_read(EXIT_INTR_ERROR_CODE));
	case VECTOR_MC: panic_machine_check(NULL, "while this VM ran: ", v->vcpu.vm->config->name);
	default:
		if (v->replay.on)
			return replay_exception(v, info);
		v->stopped = true;
		vm_end(v->vcpu.vm, VERDICT_CRASH, "exit for exception %u, which is not intercepted",
		       INTR_VECTOR(info));
		return EXIT_STOP;
	}
}

enum exit_action exit_entry_machine_check(struct vmx_vcpu *v)
{
	panic_machine_check(NULL, "while this VM was entered: ", v->vcpu.vm->config->name);
}

enum exit_action exit_external_interrupt(struct vmx_vcpu *v)
{
	uint8_t vector = INTR_VECTOR(vmcs_read(EXIT_INTR_INFO));

	traps_run_irq(vector);
	/* A kick is for the vCPU, which has news, unless the core is wanted. */
	if (vector != VECTOR_KICK || core_wanted(core_self()))
		v->vcpu.attention |= ATTENTION_TIMER;
	return EXIT_RESUME;
}

/* It waits for another vCPU, which may wait for this core. */
enum exit_action exit_pause(struct vmx_vcpu *v)
{
	core_yield(v);
	return EXIT_RESUME;
}

enum exit_action exit_triple_fault(struct vmx_vcpu *v)
{
	events_keep_interrupted(v);
	if (replay_begin(v))
		return EXIT_RESUME;
	replay_end(v);
	return EXIT_STOP;
}

enum exit_action exit_interrupt_window(struct vmx_vcpu *v)
{
	events_close_interrupt_window(v);
	v->vcpu.attention |= ATTENTION_EVENT;
	return EXIT_RESUME;
}

enum exit_action exit_nmi_window(struct vmx_vcpu *v)
{
	events_close_nmi_window(v);
	v->vcpu.attention |= ATTENTION_EVENT;
	return EXIT_RESUME;
}

enum exit_action exit_preemption_timer(struct vmx_vcpu *v)
{
	v->vcpu.attention |= ATTENTION_TIMER;
	return EXIT_RESUME;
}

enum exit_action exit_tpr_below_threshold(struct vmx_vcpu *v)
{
	v->vcpu.attention |= ATTENTION_EVENT;
	return EXIT_RESUME;
}

/* SVI and the page are right already; the CPU has stopped before it looks for the next vector. */
enum exit_action exit_virtualized_eoi(struct vmx_vcpu *v)
{
	uint8_t vector = (uint8_t)vmcs_read(EXIT_QUALIFICATION);
	struct vlapic *lapic = pc_lapic(&v->vcpu.vm->pc, v->vcpu.id);

	if (vlapic_level_triggered(lapic, vector / 64) & BIT(vector % 64))
		vlapic_ended(lapic, vector);
	v->vcpu.attention |= ATTENTION_EVENT;
	return EXIT_RESUME;
}

/*
 * After a write to the page that the CPU leaves to software: in xAPIC mode most of them. Of the
 * registers that the MSR bitmap lets through only the self-IPI is one, with a vector below 16.
 */
enum exit_action exit_apic_write(struct vmx_vcpu *v)
{
	uint32_t offset = (uint32_t)vmcs_read(EXIT_QUALIFICATION) & (VLAPIC_PAGE_SIZE - 1);
	struct vlapic *lapic = pc_lapic(&v->vcpu.vm->pc, v->vcpu.id);
	uint32_t value;

	if (!vlapic_x2apic(lapic)) {
		v->vcpu.attention |= ATTENTION_TIMER | ATTENTION_EVENT;
		vlapic_written(lapic, offset, vmx_now(v));
		return EXIT_RESUME;
	}
	value = *(const uint32_t *)(v->vcpu.vm->apic_page[v->vcpu.id] + offset);
	vlapic_write_msr(lapic, VLAPIC_MSR_FIRST + offset / 16, value, vmx_now(v));
	return EXIT_RESUME;
}
