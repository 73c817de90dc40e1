/* SPDX-License-Identifier: MIT */
/* The local APIC as far as the CPU has it. */
#include "vmx/virtual_apic.h"

#include "vmx/msr.h"
#include "vmx/vmcs.h"

/* Guest interrupt status: RVI, the highest vector requested, and SVI, the highest in service. */
#define STATUS_RVI	 0xffu
#define STATUS_SVI_SHIFT 8

#define CLASS(vector)	 ((vector) >> 4)
#define BITMAP_WORDS	 4

static struct vlapic *lapic_of(const struct vmx_vcpu *v)
{
	return pc_lapic(&v->vcpu.vm->pc, v->vcpu.id);
}

static bool possible(void)
{
	return vmx_has(CONTROL_PROC2, PROC2_INTERRUPTS);
}

static void begin_use(struct vmx_vcpu *v)
{
	v->virtual_interrupts = true;
	v->eoi_watched = 0;
	v->tpr_threshold = 0;
	vmcs_write(TPR_THRESHOLD, 0);
	vlapic_delegate(lapic_of(v));
}

static void end_use(struct vmx_vcpu *v)
{
	v->virtual_interrupts = false;
	vlapic_undelegate(lapic_of(v));
}

/*
 * The CPU takes accesses to the MSRs for itself while it virtualises x2APIC mode; without that the
 * same bitmap would lead to the host's local APIC. So both change together. The APIC-access page
 * is memory to a vCPU that is not in xAPIC mode at its address, so it goes before such a one runs.
 */
void virtual_apic_set_mode(struct vmx_vcpu *v)
{
	uint32_t controls = v->proc2_controls;
	const struct vlapic *lapic = lapic_of(v);
	bool use = vlapic_software_enabled(lapic), x2apic = vlapic_x2apic(lapic);

	if (!possible())
		return;
	if (use != v->virtual_interrupts)
		(use ? begin_use : end_use)(v);
	if (!use)
		controls &= ~(uint32_t)(PROC2_INTERRUPTS | PROC2_X2APIC);
	if (!x2apic)
		controls &= ~(uint32_t)PROC2_X2APIC;
	if (!vlapic_claims(lapic, VLAPIC_BASE_DEFAULT)) {
		controls &= ~(uint32_t)PROC2_APIC_ACCESSES;
		vm_drop_apic_access(v->vcpu.vm);
	}
	vmcs_write(PROC2_CONTROLS, controls);
	vmcs_write(MSR_BITMAP, msr_bitmap(use && x2apic));
}

void virtual_apic_check_mode(struct vmx_vcpu *v)
{
	if (possible() && vlapic_software_enabled(lapic_of(v)) != v->virtual_interrupts)
		virtual_apic_set_mode(v);
}

static uint64_t with_watched(const struct vmx_vcpu *v, unsigned word)
{
	uint64_t levels = vlapic_level_triggered(lapic_of(v), word);

	if (v->eoi_watched && v->eoi_watched / 64U == word)
		levels |= BIT(v->eoi_watched % 64);
	return levels;
}

static void write_exit_bitmap(const struct vmx_vcpu *v, unsigned words)
{
	static const vmcs_field *const bitmap[BITMAP_WORDS] = {
		&EOI_EXIT_BITMAP0, &EOI_EXIT_BITMAP1, &EOI_EXIT_BITMAP2, &EOI_EXIT_BITMAP3};

	for (unsigned i = 0; i < BITMAP_WORDS; i++)
		if (words & BIT(i))
			vmcs_write(*bitmap[i], with_watched(v, i));
}

/* 0 for none. */
static void watch_eoi(struct vmx_vcpu *v, uint8_t vector)
{
	struct vlapic *lapic = lapic_of(v);
	unsigned words = lapic->tmr_changed;

	if (vector != v->eoi_watched)
		words |= 1U << vector / 64 | 1U << v->eoi_watched / 64;
	if (!words)
		return;
	v->eoi_watched = vector;
	lapic->tmr_changed = 0;
	write_exit_bitmap(v, words);
}

void virtual_apic_begin(struct vmx_vcpu *v)
{
	uint64_t status = vmcs_read(GUEST_INTERRUPT_STATUS);

	v->interrupt_status = (uint16_t)status;
	vlapic_take_back(lapic_of(v), (uint8_t)status, (uint8_t)(status >> STATUS_SVI_SHIFT));
}

void virtual_apic_end(struct vmx_vcpu *v)
{
	uint8_t requested, serviced;
	uint16_t status;

	vlapic_hand_over(lapic_of(v), &requested, &serviced);
	status = (uint16_t)(serviced << STATUS_SVI_SHIFT | requested);
	if (status != v->interrupt_status)
		vmcs_write(GUEST_INTERRUPT_STATUS, status);
	watch_eoi(v, requested && CLASS(requested) <= CLASS(serviced) ? serviced : 0);
}

bool virtual_apic_pending(const struct vmx_vcpu *v)
{
	const struct vlapic *lapic = lapic_of(v);
	unsigned requested = vmcs_read(GUEST_INTERRUPT_STATUS) & STATUS_RVI;

	if (lapic->request > (int)requested)
		requested = (unsigned)lapic->request;
	return CLASS(requested) > CLASS(vlapic_ppr(lapic));
}
