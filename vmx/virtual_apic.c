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

void virtual_apic_init(struct vmx_vcpu *v)
{
	if (!virtual_apic_used())
		return;
	vlapic_delegate(lapic_of(v));
	virtual_apic_set_mode(v);
}

/*
 * The CPU takes accesses to the MSRs for itself while it virtualises x2APIC mode; without that the
 * same bitmap would lead to the host's local APIC. So both change together.
 */
void virtual_apic_set_mode(struct vmx_vcpu *v)
{
	uint32_t controls = vmx_caps()->control[CONTROL_PROC2];
	bool x2apic = vlapic_x2apic(lapic_of(v));

	if (!virtual_apic_used())
		return;
	vmcs_write(PROC2_CONTROLS, x2apic ? controls : controls & ~(uint32_t)PROC2_X2APIC);
	vmcs_write(MSR_BITMAP, msr_bitmap(x2apic));
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
