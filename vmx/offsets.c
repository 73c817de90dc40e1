/* SPDX-License-Identifier: MIT */
/* Offsets that entry.asm uses; the build turns these lines into build/gen/offsets.inc. */
#include <stddef.h>

#include "vmx/vmx_vcpu.h"

#define OFFSET(name, value) \
	__asm__ volatile("\n.ascii \"->" #name " %c0\"" : : "i"((size_t)(value)))

void offsets(void);
void offsets(void)
{
	OFFSET(VCPU_GPR_END, offsetof(struct vmx_vcpu, vcpu.gpr) + sizeof(uint64_t) * GPR_COUNT);
	OFFSET(VCPU_HOST_RSP, offsetof(struct vmx_vcpu, host_rsp));
	OFFSET(VCPU_LAUNCHED, offsetof(struct vmx_vcpu, launched));
	OFFSET(VCPU_SPEC_CTRL, offsetof(struct vmx_vcpu, state.msrs.spec_ctrl));
	_Static_assert(offsetof(struct vmx_vcpu, vcpu.gpr) == 0, "entry.asm pops from the start");
}
