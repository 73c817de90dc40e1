/* SPDX-License-Identifier: MIT */
/* Exits of control-register accesses. */
#include "vmx/cr.h"
#include "vmx/exit.h"
#include "vmx/vmcs.h"

enum cr_access_type { CR_MOV_TO, CR_MOV_FROM, CR_CLTS, CR_LMSW };

/* SDM volume 3, "Exit Qualification for Control-Register Accesses". */
struct cr_access {
	unsigned cr;
	enum cr_access_type type;
	unsigned gpr;
	uint16_t lmsw_source;
};

static struct cr_access decode(uint64_t qualification)
{
	return (struct cr_access){
		.cr = (unsigned)bits_get(qualification, 3, 0),
		.type = (enum cr_access_type)bits_get(qualification, 5, 4),
		.gpr = (unsigned)bits_get(qualification, 11, 8),
		.lmsw_source = (uint16_t)bits_get(qualification, 31, 16),
	};
}

/* RSP is in the VMCS. Outside 64-bit mode the upper halves are zero and stay so. */
static uint64_t read_gpr(const struct vmx_vcpu *v, unsigned index)
{
	return index == GPR_RSP ? vmcs_read(GUEST_RSP) : v->vcpu.gpr[index];
}

static void write_gpr(struct vmx_vcpu *v, unsigned index, uint64_t value)
{
	if (index == GPR_RSP)
		vmcs_write(GUEST_RSP, value);
	else
		v->vcpu.gpr[index] = value;
}

static enum exit_action mov_to(struct vmx_vcpu *v, unsigned cr, uint64_t value)
{
	switch (cr) {
	case 0: return cr_write_cr0(v, value);
	case 3: return cr_write_cr3(v, value);
	case 4: return cr_write_cr4(v, value);
	case 8: return cr_write_cr8(v, value);
	default: return vmx_raise(v, VECTOR_UD, 0);
	}
}

static enum exit_action mov_from(struct vmx_vcpu *v, unsigned cr, unsigned gpr)
{
	/* CR0 and CR4 are read from their shadows without an exit. */
	if (cr == 3)
		write_gpr(v, gpr, vmcs_read(GUEST_CR3));
	else
		write_gpr(v, gpr, vlapic_tpr(pc_lapic(&v->vcpu.vm->pc, v->vcpu.id)) >> 4);
	return EXIT_ADVANCE;
}

#define LMSW_BITS (CR0_PE | CR0_MP | CR0_EM | CR0_TS)

/* LMSW loads four bits, and cannot clear PE. */
static uint64_t lmsw_value(uint16_t source)
{
	uint64_t cr0 = cr_read_cr0();

	return (cr0 & ~(LMSW_BITS & ~CR0_PE)) | (source & LMSW_BITS);
}

enum exit_action exit_cr_access(struct vmx_vcpu *v)
{
	struct cr_access access = decode(vmcs_read(EXIT_QUALIFICATION));

	switch (access.type) {
	case CR_MOV_TO: return mov_to(v, access.cr, read_gpr(v, access.gpr));
	case CR_MOV_FROM: return mov_from(v, access.cr, access.gpr);
	case CR_CLTS: return cr_write_cr0(v, cr_read_cr0() & ~CR0_TS);
	default: return cr_write_cr0(v, lmsw_value(access.lmsw_source));
	}
}
