/* SPDX-License-Identifier: MIT */
/* Offsets that entry.asm uses; the build turns these lines into build/gen/offsets.inc. */
#include <stddef.h>

#include "vmx/exit.h"
#include "vmx/fields.h"

#define OFFSET(name, value) \
	__asm__ volatile("\n.ascii \"->" #name " %c0\"" : : "i"((size_t)(value)))

void offsets(void);
void offsets(void)
{
	OFFSET(VCPU_GPR_END, offsetof(struct vmx_vcpu, vcpu.gpr) + sizeof(uint64_t) * GPR_COUNT);
	OFFSET(VCPU_HOST_RSP, offsetof(struct vmx_vcpu, host_rsp));
	OFFSET(VCPU_LAUNCHED, offsetof(struct vmx_vcpu, launched));
	OFFSET(VCPU_SPEC_CTRL, offsetof(struct vmx_vcpu, state.msrs.spec_ctrl));
	OFFSET(VCPU_WANTED, offsetof(struct vmx_vcpu, vcpu.wanted));
	OFFSET(VCPU_VM, offsetof(struct vmx_vcpu, vcpu.vm));
	OFFSET(VCPU_EXIT_START, offsetof(struct vmx_vcpu, exit_start));
	OFFSET(VCPU_DEADLINE, offsetof(struct vmx_vcpu, deadline));
	OFFSET(VCPU_TIMER_SHIFT, offsetof(struct vmx_vcpu, timer_shift));
	OFFSET(VCPU_MSR_NUMBER, offsetof(struct vmx_vcpu, msr_read.number));
	OFFSET(VCPU_MSR_VALUE, offsetof(struct vmx_vcpu, msr_read.value));
	OFFSET(VCPU_RECORDER_NEXT, offsetof(struct vmx_vcpu, recorder.next));
	OFFSET(VCPU_RECORDER_REASON, offsetof(struct vmx_vcpu, recorder.reason));
	OFFSET(VCPU_RECORDER_RIP, offsetof(struct vmx_vcpu, recorder.rip));
	OFFSET(VCPU_EXITS, offsetof(struct vmx_vcpu, exits));
	OFFSET(EXITS_COUNT, offsetof(struct vmx_exits, count));
	OFFSET(EXITS_TICKS, offsetof(struct vmx_exits, ticks));
	OFFSET(EXITS_MAX, offsetof(struct vmx_exits, max));
	OFFSET(VM_CPUID_FIXED, offsetof(struct vm, cpuid.fixed));
	OFFSET(VM_CPUID_BASIC, offsetof(struct vm, cpuid.basic));
	OFFSET(EXIT_REASONS, EXIT_REASONS);
	OFFSET(EXIT_CPUID, EXIT_CPUID);
	OFFSET(EXIT_EXTERNAL_INTERRUPT, EXIT_EXTERNAL_INTERRUPT);
	OFFSET(EXIT_HLT, EXIT_HLT);
	OFFSET(EXIT_INTERRUPT_WINDOW, EXIT_INTERRUPT_WINDOW);
	OFFSET(EXIT_PREEMPTION_TIMER, EXIT_PREEMPTION_TIMER);
	OFFSET(EXIT_VMCALL, EXIT_VMCALL);
	OFFSET(EXIT_IO, EXIT_IO);
	OFFSET(EXIT_RDMSR, EXIT_RDMSR);
	OFFSET(EXIT_WRMSR, EXIT_WRMSR);
	OFFSET(EXIT_XSETBV, EXIT_XSETBV);
	OFFSET(EXIT_APIC_WRITE, EXIT_APIC_WRITE);
	OFFSET(HYPERCALL_UNKNOWN, HYPERCALL_UNKNOWN);
	OFFSET(FIELD_EXIT_REASON, ENCODING_EXIT_REASON);
	OFFSET(FIELD_INSN_LENGTH, ENCODING_EXIT_INSN_LENGTH);
	OFFSET(FIELD_RIP, ENCODING_GUEST_RIP);
	OFFSET(FIELD_RFLAGS, ENCODING_GUEST_RFLAGS);
	OFFSET(FIELD_INTERRUPTIBILITY, ENCODING_GUEST_INTERRUPTIBILITY);
	OFFSET(FIELD_SS_RIGHTS, ENCODING_GUEST_SS_RIGHTS);
	OFFSET(FIELD_PREEMPTION_TIMER, ENCODING_PREEMPTION_TIMER);
	_Static_assert((int)EXIT_ADVANCE == 1, "entry.asm has it so");
	_Static_assert(sizeof(struct vmx_exits) == 24, "entry.asm multiplies by it");
	_Static_assert(sizeof(struct cpuid_regs) == 16, "entry.asm multiplies by it");
	_Static_assert(offsetof(struct vmx_vcpu, vcpu.gpr) == 0, "entry.asm pops from the start");
}
