/* SPDX-License-Identifier: MIT */
/*
 * VM exits: reasons, and the handlers of each family.
 * Intel SDM volume 3, "VM Exits"; appendix C, "VMX Basic Exit Reasons".
 */
#ifndef VMX_EXIT_H
#define VMX_EXIT_H

#include "vmx/vmx_vcpu.h"

enum exit_reason {
	EXIT_EXCEPTION = 0,
	EXIT_EXTERNAL_INTERRUPT = 1,
	EXIT_TRIPLE_FAULT = 2,
	EXIT_INIT = 3,
	EXIT_SIPI = 4,
	EXIT_IO_SMI = 5,
	EXIT_OTHER_SMI = 6,
	EXIT_INTERRUPT_WINDOW = 7,
	EXIT_NMI_WINDOW = 8,
	EXIT_TASK_SWITCH = 9,
	EXIT_CPUID = 10,
	EXIT_GETSEC = 11,
	EXIT_HLT = 12,
	EXIT_INVD = 13,
	EXIT_INVLPG = 14,
	EXIT_RDPMC = 15,
	EXIT_RDTSC = 16,
	EXIT_RSM = 17,
	EXIT_VMCALL = 18,
	EXIT_VMCLEAR = 19,
	EXIT_VMLAUNCH = 20,
	EXIT_VMPTRLD = 21,
	EXIT_VMPTRST = 22,
	EXIT_VMREAD = 23,
	EXIT_VMRESUME = 24,
	EXIT_VMWRITE = 25,
	EXIT_VMXOFF = 26,
	EXIT_VMXON = 27,
	EXIT_CR_ACCESS = 28,
	EXIT_DR_ACCESS = 29,
	EXIT_IO = 30,
	EXIT_RDMSR = 31,
	EXIT_WRMSR = 32,
	EXIT_INVALID_GUEST_STATE = 33,
	EXIT_MSR_LOADING = 34,
	EXIT_MWAIT = 36,
	EXIT_MONITOR_TRAP = 37,
	EXIT_MONITOR = 39,
	EXIT_PAUSE = 40,
	EXIT_ENTRY_MACHINE_CHECK = 41,
	EXIT_TPR_BELOW_THRESHOLD = 43,
	EXIT_APIC_ACCESS = 44,
	EXIT_VIRTUALIZED_EOI = 45,
	EXIT_GDTR_IDTR = 46,
	EXIT_LDTR_TR = 47,
	EXIT_EPT_VIOLATION = 48,
	EXIT_EPT_MISCONFIGURATION = 49,
	EXIT_INVEPT = 50,
	EXIT_RDTSCP = 51,
	EXIT_PREEMPTION_TIMER = 52,
	EXIT_INVVPID = 53,
	EXIT_WBINVD = 54,
	EXIT_XSETBV = 55,
	EXIT_APIC_WRITE = 56,
	EXIT_RDRAND = 57,
	EXIT_INVPCID = 58,
	EXIT_VMFUNC = 59,
	EXIT_ENCLS = 60,
	EXIT_RDSEED = 61,
	EXIT_PML_FULL = 62,
	EXIT_XSAVES = 63,
	EXIT_XRSTORS = 64,
	EXIT_SPP = 66,
	EXIT_UMWAIT = 67,
	EXIT_TPAUSE = 68,
	EXIT_LOADIWKEY = 69,
};
_Static_assert(EXIT_LOADIWKEY < EXIT_REASONS, "counters for every reason");

/* Bit 31 of the exit reason: the entry failed while loading the guest. */
#define EXIT_ENTRY_FAILURE (1u << 31)

typedef enum exit_action (*exit_handler_fn)(struct vmx_vcpu *v);

/* By reason; entry.asm calls them, and answers some itself. */
extern const exit_handler_fn vmx_exit_handlers[EXIT_REASONS];

/*
 * What follows a handler, from entry.asm where that does not do it itself: nonzero to enter the
 * guest again at once, 0 when the run loop is wanted. `exits` counts those of its reason; NULL: it
 * has none that is known.
 */
uint64_t vmx_exit_finish(struct vmx_vcpu *v, enum exit_action action, struct vmx_exits *exits);

#define HYPERCALL_UNKNOWN (-1000) /* as Linux and KVM number it: no such call */

/* Moves RIP past an instruction of `length` bytes and ends the shadow of STI and MOV SS. */
void vmx_skip(uint64_t length);

/* The SDM's name of a basic exit reason. */
const char *exit_name(uint32_t reason);

/* exit_event.c */
enum exit_action exit_exception(struct vmx_vcpu *v);
enum exit_action exit_external_interrupt(struct vmx_vcpu *v);
enum exit_action exit_pause(struct vmx_vcpu *v);
enum exit_action exit_triple_fault(struct vmx_vcpu *v);
enum exit_action exit_interrupt_window(struct vmx_vcpu *v);
enum exit_action exit_nmi_window(struct vmx_vcpu *v);
enum exit_action exit_preemption_timer(struct vmx_vcpu *v);
enum exit_action exit_tpr_below_threshold(struct vmx_vcpu *v);
enum exit_action exit_virtualized_eoi(struct vmx_vcpu *v);
enum exit_action exit_apic_write(struct vmx_vcpu *v);
enum exit_action exit_entry_machine_check(struct vmx_vcpu *v);

/* exit_instruction.c */
enum exit_action exit_cpuid(struct vmx_vcpu *v);
enum exit_action exit_hlt(struct vmx_vcpu *v);
enum exit_action exit_cache(struct vmx_vcpu *v);
enum exit_action exit_rdpmc(struct vmx_vcpu *v);
enum exit_action exit_rdtsc(struct vmx_vcpu *v);
enum exit_action exit_vmcall(struct vmx_vcpu *v);
enum exit_action exit_xsetbv(struct vmx_vcpu *v);
enum exit_action exit_undefined(struct vmx_vcpu *v);
enum exit_action exit_rdmsr(struct vmx_vcpu *v);
enum exit_action exit_wrmsr(struct vmx_vcpu *v);

/* exit_cr.c, exit_io.c, exit_ept.c, exit_task.c */
enum exit_action exit_cr_access(struct vmx_vcpu *v);
enum exit_action exit_io(struct vmx_vcpu *v);
enum exit_action exit_ept_violation(struct vmx_vcpu *v);
enum exit_action exit_apic_access(struct vmx_vcpu *v);
enum exit_action exit_ept_misconfiguration(struct vmx_vcpu *v);
enum exit_action exit_pml_full(struct vmx_vcpu *v);
enum exit_action exit_task_switch(struct vmx_vcpu *v);

#endif
