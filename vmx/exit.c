/* SPDX-License-Identifier: MIT */
/*
 * The handlers by exit reason, and what follows one: entry.asm calls them, and finishes by itself
 * an exit of which nothing special is left to do.
 */
#include "vmx/exit.h"

#include "arch/x86_64/cpu.h"
#include "lib/words.h"
#include "vmx/caps.h"
#include "vmx/dump.h"
#include "vmx/events.h"
#include "vmx/run.h"
#include "vmx/vmcs.h"

static enum exit_action exit_impossible(struct vmx_vcpu *v);

const exit_handler_fn vmx_exit_handlers[EXIT_REASONS] = {
	[EXIT_EXCEPTION] = exit_exception,
	[EXIT_EXTERNAL_INTERRUPT] = exit_external_interrupt,
	[EXIT_TRIPLE_FAULT] = exit_triple_fault,
	[EXIT_INTERRUPT_WINDOW] = exit_interrupt_window,
	[EXIT_NMI_WINDOW] = exit_nmi_window,
	[EXIT_TASK_SWITCH] = exit_task_switch,
	[EXIT_CPUID] = exit_cpuid,
	[EXIT_GETSEC] = exit_undefined,
	[EXIT_HLT] = exit_hlt,
	[EXIT_INVD] = exit_cache,
	[EXIT_RDPMC] = exit_rdpmc,
	[EXIT_VMCALL] = exit_vmcall,
	[EXIT_VMCLEAR] = exit_undefined,
	[EXIT_VMLAUNCH] = exit_undefined,
	[EXIT_VMPTRLD] = exit_undefined,
	[EXIT_VMPTRST] = exit_undefined,
	[EXIT_VMREAD] = exit_undefined,
	[EXIT_VMRESUME] = exit_undefined,
	[EXIT_VMWRITE] = exit_undefined,
	[EXIT_VMXOFF] = exit_undefined,
	[EXIT_VMXON] = exit_undefined,
	[EXIT_CR_ACCESS] = exit_cr_access,
	[EXIT_IO] = exit_io,
	[EXIT_RDMSR] = exit_rdmsr,
	[EXIT_WRMSR] = exit_wrmsr,
	[EXIT_MWAIT] = exit_undefined,
	[EXIT_MONITOR] = exit_undefined,
	[EXIT_PAUSE] = exit_pause,
	[EXIT_TPR_BELOW_THRESHOLD] = exit_tpr_below_threshold,
	[EXIT_APIC_ACCESS] = exit_apic_access,
	[EXIT_VIRTUALIZED_EOI] = exit_virtualized_eoi,
	[EXIT_EPT_VIOLATION] = exit_ept_violation,
	[EXIT_EPT_MISCONFIGURATION] = exit_ept_misconfiguration,
	[EXIT_PML_FULL] = exit_pml_full,
	[EXIT_INVEPT] = exit_undefined,
	[EXIT_PREEMPTION_TIMER] = exit_preemption_timer,
	[EXIT_INVVPID] = exit_undefined,
	[EXIT_WBINVD] = exit_cache,
	[EXIT_RDTSC] = exit_rdtsc,
	[EXIT_RDTSCP] = exit_rdtsc,
	[EXIT_XSETBV] = exit_xsetbv,
	[EXIT_APIC_WRITE] = exit_apic_write,
	[EXIT_INIT] = exit_impossible,
	[EXIT_SIPI] = exit_impossible,
	[EXIT_IO_SMI] = exit_impossible,
	[EXIT_OTHER_SMI] = exit_impossible,
	[EXIT_INVLPG] = exit_impossible,
	[EXIT_RSM] = exit_impossible,
	[EXIT_DR_ACCESS] = exit_impossible,
	[EXIT_INVALID_GUEST_STATE] = exit_impossible,
	[EXIT_MSR_LOADING] = exit_impossible,
	[EXIT_MONITOR_TRAP] = exit_impossible,
	[EXIT_ENTRY_MACHINE_CHECK] = exit_impossible,
	[EXIT_GDTR_IDTR] = exit_impossible,
	[EXIT_LDTR_TR] = exit_impossible,
	[EXIT_RDRAND] = exit_impossible,
	[EXIT_INVPCID] = exit_impossible,
	[EXIT_VMFUNC] = exit_impossible,
	[EXIT_ENCLS] = exit_impossible,
	[EXIT_RDSEED] = exit_impossible,
	[EXIT_XSAVES] = exit_impossible,
	[EXIT_XRSTORS] = exit_impossible,
	[EXIT_SPP] = exit_impossible,
	[EXIT_UMWAIT] = exit_impossible,
	[EXIT_TPAUSE] = exit_impossible,
	[EXIT_LOADIWKEY] = exit_impossible,
	[35] = exit_impossible,
	[38] = exit_impossible,
	[42] = exit_impossible,
	[65] = exit_impossible,
};

#define OFF "not enabled"
/* All reasons in order: their names, and why one without a handler cannot occur here. */
/* clang-format off */
#define REASONS(X) \
	X(EXIT_EXCEPTION, "exception or NMI", "") \
	X(EXIT_EXTERNAL_INTERRUPT, "external interrupt", "") \
	X(EXIT_TRIPLE_FAULT, "triple fault", "") \
	X(EXIT_INIT, "INIT signal", "nobody sends one") \
	X(EXIT_SIPI, "start-up IPI", "nobody waits so") \
	X(EXIT_IO_SMI, "I/O SMI", "no SMM monitor is there") \
	X(EXIT_OTHER_SMI, "other SMI", "no SMM monitor is there") \
	X(EXIT_INTERRUPT_WINDOW, "interrupt window", "") \
	X(EXIT_NMI_WINDOW, "NMI window", "") \
	X(EXIT_TASK_SWITCH, "task switch", "") \
	X(EXIT_CPUID, "CPUID", "") \
	X(EXIT_GETSEC, "GETSEC", "") \
	X(EXIT_HLT, "HLT", "") \
	X(EXIT_INVD, "INVD", "") \
	X(EXIT_INVLPG, "INVLPG", OFF) \
	X(EXIT_RDPMC, "RDPMC", "") \
	X(EXIT_RDTSC, "RDTSC", "") \
	X(EXIT_RSM, "RSM", "it raises #UD outside SMM") \
	X(EXIT_VMCALL, "VMCALL", "") \
	X(EXIT_VMCLEAR, "VMCLEAR", "") \
	X(EXIT_VMLAUNCH, "VMLAUNCH", "") \
	X(EXIT_VMPTRLD, "VMPTRLD", "") \
	X(EXIT_VMPTRST, "VMPTRST", "") \
	X(EXIT_VMREAD, "VMREAD", "") \
	X(EXIT_VMRESUME, "VMRESUME", "") \
	X(EXIT_VMWRITE, "VMWRITE", "") \
	X(EXIT_VMXOFF, "VMXOFF", "") \
	X(EXIT_VMXON, "VMXON", "") \
	X(EXIT_CR_ACCESS, "control-register access", "") \
	X(EXIT_DR_ACCESS, "MOV DR", OFF) \
	X(EXIT_IO, "I/O instruction", "") \
	X(EXIT_RDMSR, "RDMSR", "") \
	X(EXIT_WRMSR, "WRMSR", "") \
	X(EXIT_INVALID_GUEST_STATE, "VM entry refused: invalid guest state", "") \
	X(EXIT_MSR_LOADING, "VM entry refused: MSR loading", "none are loaded") \
	X(35, "unknown", "") \
	X(EXIT_MWAIT, "MWAIT", "") \
	X(EXIT_MONITOR_TRAP, "monitor trap flag", OFF) \
	X(38, "unknown", "") \
	X(EXIT_MONITOR, "MONITOR", "") \
	X(EXIT_PAUSE, "PAUSE", "") \
	X(EXIT_ENTRY_MACHINE_CHECK, "machine check during VM entry", "") \
	X(42, "unknown", "") \
	X(EXIT_TPR_BELOW_THRESHOLD, "TPR below threshold", "") \
	X(EXIT_APIC_ACCESS, "APIC access", "") \
	X(EXIT_VIRTUALIZED_EOI, "virtualized EOI", "") \
	X(EXIT_GDTR_IDTR, "GDTR or IDTR access", OFF) \
	X(EXIT_LDTR_TR, "LDTR or TR access", OFF) \
	X(EXIT_EPT_VIOLATION, "EPT violation", "") \
	X(EXIT_EPT_MISCONFIGURATION, "EPT misconfiguration", "") \
	X(EXIT_INVEPT, "INVEPT", "") \
	X(EXIT_RDTSCP, "RDTSCP", "") \
	X(EXIT_PREEMPTION_TIMER, "VMX-preemption timer", "") \
	X(EXIT_INVVPID, "INVVPID", "") \
	X(EXIT_WBINVD, "WBINVD", "") \
	X(EXIT_XSETBV, "XSETBV", "") \
	X(EXIT_APIC_WRITE, "APIC write", "") \
	X(EXIT_RDRAND, "RDRAND", OFF) \
	X(EXIT_INVPCID, "INVPCID", OFF) \
	X(EXIT_VMFUNC, "VMFUNC", OFF) \
	X(EXIT_ENCLS, "ENCLS", OFF) \
	X(EXIT_RDSEED, "RDSEED", OFF) \
	X(EXIT_PML_FULL, "page-modification log full", "") \
	X(EXIT_XSAVES, "XSAVES", OFF) \
	X(EXIT_XRSTORS, "XRSTORS", OFF) \
	X(65, "unknown", "") \
	X(EXIT_SPP, "sub-page permission event", OFF) \
	X(EXIT_UMWAIT, "UMWAIT", OFF) \
	X(EXIT_TPAUSE, "TPAUSE", OFF) \
	X(EXIT_LOADIWKEY, "LOADIWKEY", OFF)
/* clang-format on */

enum {
#define REASON_PLACE(reason, name, never) PLACE_##reason,
	REASONS(REASON_PLACE)
#undef REASON_PLACE
};
#define REASON_CHECK(reason, name, never) _Static_assert((int)PLACE_##reason == (int)reason, name);
REASONS(REASON_CHECK)
#undef REASON_CHECK
_Static_assert(PLACE_EXIT_LOADIWKEY == EXIT_REASONS - 1, "a name for every reason");

#define REASON_TEXT(reason, name, never) name "\0" never "\0"
static const char reasons[] = REASONS(REASON_TEXT);
#undef REASON_TEXT

static const char *why_never(uint32_t reason)
{
	const char *why = reason < EXIT_REASONS ? word_at(reasons, 2 * reason + 1) : "";

	return *why ? why : "unknown to this version";
}

const char *exit_name(uint32_t reason)
{
	return reason < EXIT_REASONS ? word_at(reasons, 2 * reason) : "unknown";
}

#define CS_LONG_MODE BIT(13)

/* Outside 64-bit mode RIP has 32 bits and an entry with more of them is refused. */
static __attribute__((noinline, cold)) uint64_t wrap_rip(uint64_t rip)
{
	return vmcs_read(GUEST_CS_RIGHTS) & CS_LONG_MODE ? rip : (uint32_t)rip;
}

/* entry.asm does the same where only RIP is to be changed. */
void vmx_skip(uint64_t length)
{
	uint64_t rip = vmcs_read(GUEST_RIP), next = rip + length;
	uint64_t interruptibility = vmcs_read(GUEST_INTERRUPTIBILITY), rflags;

	if ((next ^ rip) >> 32)
		next = wrap_rip(next);
	vmcs_write(GUEST_RIP, next);
	if (interruptibility & (BLOCKING_STI | BLOCKING_MOV_SS))
		vmcs_write(GUEST_INTERRUPTIBILITY,
			   interruptibility & ~(BLOCKING_STI | BLOCKING_MOV_SS));
	rflags = vmcs_read(GUEST_RFLAGS);
	if (rflags & (RFLAGS_TF | RFLAGS_RF))
		events_retire(rflags);
}

/* No handler: the entry was refused, or the CPU did what our controls rule out. */
static __attribute__((noinline, cold)) void exit_without_handler(struct vmx_vcpu *v,
								 uint32_t reason)
{
	uint32_t basic = reason & 0xffff;

	v->stopped = true;
	if (basic == EXIT_ENTRY_MACHINE_CHECK)
		exit_entry_machine_check(v);
	if (reason & EXIT_ENTRY_FAILURE) {
		dump_entry_failure(v, basic);
		vm_end(v->vcpu.vm, VERDICT_CRASH, "VM entry failed: %s", exit_name(basic));
		return;
	}
	vm_end(v->vcpu.vm, VERDICT_CRASH, "exit %u (%s) has no handler: %s", basic,
	       exit_name(basic), why_never(basic));
}

static enum exit_action exit_impossible(struct vmx_vcpu *v)
{
	exit_without_handler(v, (uint32_t)vmcs_read(EXIT_REASON));
	return EXIT_STOP;
}

/* What is counted of an exit ends here; spans are below 2^32 ticks, so their low halves do. */
static inline void count(struct vmx_exits *exits, uint32_t start, uint32_t end)
{
	uint64_t ticks = end - start;

	exits->ticks += ticks;
	if (ticks > exits->max)
		exits->max = ticks;
}

static uint64_t back_to_loop(struct vmx_vcpu *v, struct vmx_exits *exits)
{
	uint64_t now = rdtsc();

	count(exits, v->exit_start, (uint32_t)now);
	v->left = now - (uint32_t)((uint32_t)now - v->exit_start);
	return 0;
}

uint64_t vmx_exit_finish(struct vmx_vcpu *v, enum exit_action action, struct vmx_exits *exits)
{
	uint64_t now;

	if (!exits) {
		exit_without_handler(v, (uint32_t)vmcs_read(EXIT_REASON));
		return 0;
	}
	if (action == EXIT_ADVANCE)
		vmx_skip(vmcs_read(EXIT_INSN_LENGTH));
	/* Who ends a VM has told all of its vCPUs: so EXIT_STOP shows here too. */
	if (__builtin_expect(v->vcpu.wanted != 0, false))
		return back_to_loop(v, exits);
	now = rdtsc();
	count(exits, v->exit_start, (uint32_t)now);
	return run_arm_timer(v, now);
}
