/* SPDX-License-Identifier: MIT */
/* Event injection. */
#include "vmx/events.h"

#include "vmx/caps.h"
#include "vmx/controls.h"
#include "vmx/replay.h"
#include "vmx/virtual_apic.h"
#include "vmx/vmcs.h"

static void set_proc_control(struct vmx_vcpu *v, uint32_t bit, bool on)
{
	uint32_t value = on ? v->proc_controls | bit : v->proc_controls & ~bit;

	if (value == v->proc_controls)
		return;
	v->proc_controls = value;
	vmcs_write(PROC_CONTROLS, value);
}

void events_close_interrupt_window(struct vmx_vcpu *v)
{
	set_proc_control(v, PROC_INTERRUPT_WINDOW, false);
}

void events_close_nmi_window(struct vmx_vcpu *v)
{
	set_proc_control(v, PROC_NMI_WINDOW, false);
}

/* SDM volume 3, "Guest Non-Register State": bit 14 is BS; with BTF only branches trap. */
#define PENDING_DEBUG_ENABLED BIT(12) /* a breakpoint that DR7 enables was met */
#define PENDING_DEBUG_BS      BIT(14)
#define DEBUGCTL_BTF	      BIT(1)

static void step(uint64_t rflags)
{
	if ((rflags & RFLAGS_TF) && !(vmcs_read(GUEST_DEBUGCTL) & DEBUGCTL_BTF))
		vmcs_write(GUEST_PENDING_DEBUG, vmcs_read(GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

void events_retire(uint64_t rflags)
{
	if (rflags & RFLAGS_RF)
		vmcs_write(GUEST_RFLAGS, rflags & ~RFLAGS_RF);
	step(rflags);
}

void events_iterate(void)
{
	uint64_t rflags = vmcs_read(GUEST_RFLAGS);

	vmcs_write(GUEST_RFLAGS, rflags | RFLAGS_RF);
	step(rflags);
}

#define DR6_BREAKS     BITS(3, 0)
#define DR6_ACTIVE_LOW 0xffff0ff0ULL

void events_set_dr6(uint64_t causes)
{
	uint64_t dr6;

	__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
	dr6 = (dr6 & ~DR6_BREAKS) | causes | DR6_ACTIVE_LOW;
	__asm__ volatile("mov %0, %%dr6" : : "r"(dr6));
}

void events_keep_interrupted(struct vmx_vcpu *v)
{
	uint32_t info = (uint32_t)vmcs_read(IDT_VECTORING_INFO);

	if (!(info & INTR_VALID))
		return;
	v->interrupted = (struct vmx_event){
		/* Bit 12 is undefined here and reserved at entry. */
		.info = info & ~INTR_NMI_UNBLOCK,
		.error_code =
			info & INTR_ERROR_CODE ? (uint32_t)vmcs_read(IDT_VECTORING_ERROR_CODE) : 0,
		/* Only software events have it, and only for them is the field read at entry. */
		.length = (uint32_t)vmcs_read(EXIT_INSN_LENGTH),
	};
	/* The NMI was not taken after all: its delivery at the next entry blocks again. */
	if (INTR_TYPE(info) == INTR_NMI)
		vmcs_write(GUEST_INTERRUPTIBILITY,
			   vmcs_read(GUEST_INTERRUPTIBILITY) & ~BLOCKING_NMI);
	v->vcpu.attention |= ATTENTION_EVENT;
}

static void write_event(struct vmx_vcpu *v, const struct vmx_event *event)
{
	replay_note_injected(v, event);
	if (event->info & INTR_ERROR_CODE)
		vmcs_write(ENTRY_ERROR_CODE, event->error_code);
	if (INTR_TYPE(event->info) >= INTR_SOFTWARE)
		vmcs_write(ENTRY_INSN_LENGTH, event->length);
	vmcs_write(ENTRY_INTR_INFO, event->info);
}

static bool is_nmi(const struct vmx_event *event)
{
	return (event->info & INTR_VALID) && INTR_TYPE(event->info) == INTR_NMI;
}

static bool is_hardware_exception(const struct vmx_event *event)
{
	return (event->info & INTR_VALID) && INTR_TYPE(event->info) == INTR_EXCEPTION;
}

/* In real mode no exception pushes an error code: the entry must not ask for one. */
static bool pushes_error_codes(void)
{
	return vmcs_read(GUEST_CR0) & CR0_PE;
}

static void inject_exception(struct vmx_vcpu *v)
{
	const struct vcpu_exception *e = &v->vcpu.exception;
	struct vmx_event event = {.info = INTR_VALID | e->vector, .error_code = e->error_code};

	/* #BP and #OF come from INT3 and INTO alone, which never exit here. */
	event.info |= INTR_EXCEPTION << 8;
	if (e->has_error_code && pushes_error_codes())
		event.info |= INTR_ERROR_CODE;
	write_event(v, &event);
	v->vcpu.exception.pending = false;
}

/* An exception raised while another event was being delivered. False: a triple fault. */
static bool merge_interrupted(struct vmx_vcpu *v)
{
	struct vcpu *vcpu = &v->vcpu;

	if (!vcpu->exception.pending || !(v->interrupted.info & INTR_VALID))
		return true;
	if (is_hardware_exception(&v->interrupted)) {
		struct vcpu_exception second = vcpu->exception;

		vcpu->exception = (struct vcpu_exception){
			.pending = true, .vector = INTR_VECTOR(v->interrupted.info)};
		v->interrupted.info = 0;
		return vcpu_raise(vcpu, second.vector, second.has_error_code, second.error_code);
	}
	/*
	 * An interrupt's delivery faulted: the fault goes first. A software interrupt is executed
	 * again; an external one or NMI would be lost, so it stays for the entry after.
	 */
	if (INTR_TYPE(v->interrupted.info) >= INTR_SOFTWARE)
		v->interrupted.info = 0;
	return true;
}

static bool inject_nmi(struct vmx_vcpu *v, uint64_t blocking)
{
	const struct vmx_event event = {.info = INTR_VALID | INTR_NMI << 8 | VECTOR_NMI};

	if (blocking & (BLOCKING_NMI | BLOCKING_STI | BLOCKING_MOV_SS))
		return false;
	write_event(v, &event);
	v->vcpu.nmis--;
	return true;
}

static void inject_interrupt(struct vmx_vcpu *v, uint64_t blocking)
{
	int vector;

	if (!(vmcs_read(GUEST_RFLAGS) & RFLAGS_IF) || (blocking & (BLOCKING_STI | BLOCKING_MOV_SS)))
		return;
	vector = pc_interrupt_acknowledge(&v->vcpu.vm->pc, v->vcpu.id);
	if (vector >= 0) {
		const struct vmx_event event = {.info = INTR_VALID | (uint8_t)vector};

		write_event(v, &event);
	}
}

static void update_tpr_threshold(struct vmx_vcpu *v)
{
	uint32_t threshold;

	if (!vmx_has(CONTROL_PROC, PROC_TPR_SHADOW))
		return;
	threshold = vlapic_tpr_threshold(pc_lapic(&v->vcpu.vm->pc, v->vcpu.id));
	if (threshold == v->tpr_threshold)
		return;
	v->tpr_threshold = threshold;
	vmcs_write(TPR_THRESHOLD, threshold);
}

/*
 * Right after the exit that cut it short an event can always be delivered again; one that had to
 * let an exception go first waits until the guest would take it.
 */
static bool can_redeliver(const struct vmx_event *event, uint64_t blocking)
{
	switch (INTR_TYPE(event->info)) {
	case INTR_EXTERNAL:
		return (vmcs_read(GUEST_RFLAGS) & RFLAGS_IF) &&
		       !(blocking & (BLOCKING_STI | BLOCKING_MOV_SS));
	case INTR_NMI: return !(blocking & (BLOCKING_NMI | BLOCKING_STI | BLOCKING_MOV_SS));
	default: return true;
	}
}

/* A debug trap of the last instruction waits to be delivered. */
static bool trap_waits(void)
{
	return vmcs_read(GUEST_PENDING_DEBUG) & (PENDING_DEBUG_ENABLED | PENDING_DEBUG_BS);
}

bool events_inject(struct vmx_vcpu *v)
{
	struct vcpu *vcpu = &v->vcpu;
	bool injected = false, waits;
	uint64_t blocking;

	if (!merge_interrupted(v))
		return false;
	blocking = vmcs_read(GUEST_INTERRUPTIBILITY);
	if (vcpu->exception.pending) {
		inject_exception(v);
		injected = true;
	} else if ((v->interrupted.info & INTR_VALID) && can_redeliver(&v->interrupted, blocking)) {
		write_event(v, &v->interrupted);
		v->interrupted.info = 0;
		injected = true;
	}
	if (v->replay.on)
		return true;
	virtual_apic_check_mode(v);
	if (virtual_apic_used(v))
		virtual_apic_begin(v);
	waits = vcpu->nmis || pc_interrupt_pending(&vcpu->vm->pc, vcpu->id);
	/*
	 * A trap goes before an interrupt, and an entry that injects one drops it (SDM volume 3,
	 * "Delivery of Pending Debug Exceptions after VM Entry"). It makes an exit at once.
	 */
	if (waits && !injected && trap_waits())
		injected = true;
	if (vcpu->nmis && !injected)
		injected = inject_nmi(v, blocking);
	set_proc_control(v, PROC_NMI_WINDOW, vcpu->nmis || is_nmi(&v->interrupted));
	if (!injected && pc_interrupt_pending(&vcpu->vm->pc, vcpu->id))
		inject_interrupt(v, blocking);
	set_proc_control(v, PROC_INTERRUPT_WINDOW,
			 pc_interrupt_pending(&vcpu->vm->pc, vcpu->id) ||
				 (v->interrupted.info & INTR_VALID));
	if (virtual_apic_used(v))
		virtual_apic_end(v);
	else
		update_tpr_threshold(v);
	return true;
}

/* A handler of NMIs that halts is not woken by the next one: it stays blocked until IRET. */
static bool nmi_deliverable(const struct vmx_vcpu *v)
{
	return v->vcpu.nmis && !(vmcs_read(GUEST_INTERRUPTIBILITY) & BLOCKING_NMI);
}

static bool interrupt_pending(const struct vmx_vcpu *v)
{
	return pc_interrupt_pending(&v->vcpu.vm->pc, v->vcpu.id) ||
	       (virtual_apic_used(v) && virtual_apic_pending(v));
}

bool events_wake(const struct vmx_vcpu *v)
{
	return nmi_deliverable(v) || (v->interrupted.info & INTR_VALID) ||
	       v->vcpu.exception.pending || trap_waits() ||
	       ((vmcs_read(GUEST_RFLAGS) & RFLAGS_IF) && interrupt_pending(v));
}

enum exit_action vmx_raise(struct vmx_vcpu *v, uint8_t vector, uint32_t error_code)
{
	/* A fault's image of RFLAGS on the stack has RF set, as the CPU would store it. */
	vmcs_write(GUEST_RFLAGS, vmcs_read(GUEST_RFLAGS) | RFLAGS_RF);
	return vmx_reflect(v, vector, error_code);
}

enum exit_action vmx_reflect(struct vmx_vcpu *v, uint8_t vector, uint32_t error_code)
{
	if (vcpu_raise(&v->vcpu, vector, vcpu_has_error_code(vector), error_code))
		return EXIT_RESUME;
	replay_end(v);
	return EXIT_STOP;
}
