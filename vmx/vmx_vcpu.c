/* SPDX-License-Identifier: MIT */
/*
 * Making a vCPU: its VMCS, filled in three parts (controls, host, guest) from what the CPU can do,
 * what the host is, and the VM's start state.
 */
#include "vmx/vmx_vcpu.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/traps.h"
#include "lib/log.h"
#include "lib/string.h"
#include "vmx/caps.h"
#include "vmx/cr.h"
#include "vmx/msr.h"
#include "vmx/vmcs.h"

#define PAT_RESET	  0x0007040600070406ULL
#define DR7_RESET	  0x400
#define LINK_POINTER_NONE UINT64_MAX

extern const uint8_t vmx_exit[];

/* Bitmaps that are the same for every vCPU: all ports exit; MSRs by vmx/msr.c's table. */
static struct {
	uint64_t io_bitmap; /* two pages */
	uint64_t msr_bitmap;
} shared;

bool vmx_vcpu_init_shared(struct frames *frames)
{
	shared.io_bitmap = frames_alloc(frames, 2 * PAGE_SIZE, PAGE_SIZE, UINT64_MAX);
	shared.msr_bitmap = frames_alloc(frames, PAGE_SIZE, PAGE_SIZE, UINT64_MAX);
	if (shared.io_bitmap == FRAMES_NONE || shared.msr_bitmap == FRAMES_NONE)
		return false;
	memset((void *)shared.io_bitmap, 0xff, 2 * PAGE_SIZE);
	msr_fill_bitmap((uint8_t *)shared.msr_bitmap);
	return true;
}

static void write_controls(struct vmx_vcpu *v)
{
	const uint32_t *control = vmx_caps()->control;
	const struct vm *vm = v->vcpu.vm;

	v->proc_controls = control[CONTROL_PROC];
	vmcs_write(PIN_CONTROLS, control[CONTROL_PIN]);
	vmcs_write(PROC_CONTROLS, v->proc_controls);
	vmcs_write(PROC2_CONTROLS, control[CONTROL_PROC2]);
	vmcs_write(EXIT_CONTROLS, control[CONTROL_EXIT]);
	vmcs_write(ENTRY_CONTROLS,
		   control[CONTROL_ENTRY] | (vm->start.efer & EFER_LMA ? ENTRY_IA32E : 0));
	/*
	 * #AC and #DB can be raised without end by a guest's own tables during their delivery
	 * (CVE-2015-5307, CVE-2015-8104); their exits keep such a guest stoppable. #MC is the
	 * host's.
	 */
	vmcs_write(EXCEPTION_BITMAP, BIT(VECTOR_AC) | BIT(VECTOR_DB) | BIT(VECTOR_MC));
	vmcs_write(PF_ERROR_MASK, 0);
	vmcs_write(PF_ERROR_MATCH, 0);
	vmcs_write(CR3_TARGET_COUNT, 0);
	vmcs_write(EXIT_MSR_STORE_COUNT, 0);
	vmcs_write(EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write(ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write(ENTRY_INTR_INFO, 0);
	vmcs_write(IO_BITMAP_A, shared.io_bitmap);
	vmcs_write(IO_BITMAP_B, shared.io_bitmap + PAGE_SIZE);
	vmcs_write(MSR_BITMAP, shared.msr_bitmap);
	vmcs_write(TSC_OFFSET, 0 - vm->tsc_base);
	vmcs_write(EPT_POINTER, v->ept_pointer);
	if (vmx_has(CONTROL_PROC2, PROC2_VPID))
		vmcs_write(VPID, v->vpid);
	if (vmx_has(CONTROL_PROC, PROC_TPR_SHADOW)) {
		vmcs_write(VIRTUAL_APIC, (uint64_t)vm->apic_page[v->vcpu.id]);
		vmcs_write(TPR_THRESHOLD, 0);
	}
}

/* What an exit loads is what the host runs with, so that it needs no repair. */
static void write_host(const struct vmx_vcpu *v)
{
	const struct pcpu *pcpu = pcpu_self();

	vmcs_write(HOST_CS_SELECTOR, SELECTOR_CODE);
	vmcs_write(HOST_SS_SELECTOR, SELECTOR_DATA);
	vmcs_write(HOST_DS_SELECTOR, SELECTOR_DATA);
	vmcs_write(HOST_ES_SELECTOR, SELECTOR_DATA);
	vmcs_write(HOST_FS_SELECTOR, 0);
	vmcs_write(HOST_GS_SELECTOR, 0);
	vmcs_write(HOST_TR_SELECTOR, SELECTOR_TSS);
	vmcs_write(HOST_PAT, rdmsr(MSR_PAT));
	vmcs_write(HOST_EFER, rdmsr(MSR_EFER));
	vmcs_write(HOST_SYSENTER_CS, 0);
	vmcs_write(HOST_SYSENTER_ESP, 0);
	vmcs_write(HOST_SYSENTER_EIP, 0);
	vmcs_write(HOST_CR0, read_cr0());
	vmcs_write(HOST_CR3, read_cr3());
	vmcs_write(HOST_CR4, read_cr4());
	vmcs_write(HOST_FS_BASE, 0);
	vmcs_write(HOST_GS_BASE, (uint64_t)pcpu);
	vmcs_write(HOST_TR_BASE, (uint64_t)&pcpu->tss);
	vmcs_write(HOST_GDTR_BASE, (uint64_t)pcpu->gdt);
	vmcs_write(HOST_IDTR_BASE, traps_idt_base());
	vmcs_write(HOST_RSP, (uint64_t)(v->vcpu.gpr + GPR_COUNT));
	vmcs_write(HOST_RIP, (uint64_t)vmx_exit);
}

/* The VMCS's order of segments is the instructions' one (enum insn_segment), then LDTR and TR. */
static void write_segment(unsigned index, const struct start_segment *s)
{
	vmcs_write(vmcs_segment(GUEST_ES_SELECTOR, index), s->selector);
	vmcs_write(vmcs_segment(GUEST_ES_BASE, index), s->base);
	vmcs_write(vmcs_segment(GUEST_ES_LIMIT, index), s->limit);
	vmcs_write(vmcs_segment(GUEST_ES_RIGHTS, index), s->rights);
}

static void write_guest(struct vmx_vcpu *v)
{
	const struct vcpu_start *start = &v->vcpu.vm->start;

	for (unsigned i = 0; i < SEGMENTS; i++)
		write_segment(i, &start->segment[i]);
	write_segment(VMCS_SEGMENT_LDTR, &start->ldtr);
	write_segment(VMCS_SEGMENT_TR, &start->tr);
	vmcs_write(GUEST_GDTR_BASE, start->gdtr.base);
	vmcs_write(GUEST_GDTR_LIMIT, start->gdtr.limit);
	vmcs_write(GUEST_IDTR_BASE, start->idtr.base);
	vmcs_write(GUEST_IDTR_LIMIT, start->idtr.limit);
	vmcs_write(GUEST_RIP, start->rip);
	vmcs_write(GUEST_RSP, start->gpr[GPR_RSP]);
	vmcs_write(GUEST_RFLAGS, start->rflags | RFLAGS_FIXED);
	vmcs_write(GUEST_CR3, start->cr3);
	vmcs_write(GUEST_EFER, start->efer);
	vmcs_write(GUEST_PAT, PAT_RESET);
	vmcs_write(GUEST_DEBUGCTL, 0);
	vmcs_write(GUEST_DR7, DR7_RESET);
	vmcs_write(GUEST_SYSENTER_CS, 0);
	vmcs_write(GUEST_SYSENTER_ESP, 0);
	vmcs_write(GUEST_SYSENTER_EIP, 0);
	vmcs_write(GUEST_INTERRUPTIBILITY, 0);
	vmcs_write(GUEST_ACTIVITY, 0);
	vmcs_write(GUEST_PENDING_DEBUG, 0);
	vmcs_write(VMCS_LINK_POINTER, LINK_POINTER_NONE);
	cr_init(v, start->cr0, start->cr4);
	memcpy(v->vcpu.gpr, start->gpr, sizeof(v->vcpu.gpr));
}

bool vmx_vcpu_create(struct vmx_vcpu *v, struct vm *vm, unsigned id, struct error *error)
{
	v->vcpu.id = id;
	v->vcpu.vm = vm;
	v->vcpu.xcr0 = 1;
	v->vpid = (uint16_t)(id + 1);
	v->has_timer = vmx_has(CONTROL_PIN, PIN_PREEMPTION_TIMER);
	v->timer_shift = (uint8_t)vmx_caps()->preemption_shift;
	v->ept_pointer = ept_pointer(&vm->ept);
	v->cr4_allowed = cpuid_cr4_allowed(&vm->cpuid);
	v->xcr0_allowed = cpuid_xcr0_allowed(&vm->cpuid);
	v->vmcs = frames_alloc(vm->host->frames, PAGE_SIZE, PAGE_SIZE, UINT64_MAX);
	if (v->vmcs == FRAMES_NONE)
		return error_set(error, "no memory left for a VMCS");
	memset((void *)v->vmcs, 0, PAGE_SIZE);
	*(uint32_t *)v->vmcs = vmx_caps()->revision;
	if (!vmcs_clear(v->vmcs) || !vmcs_load(v->vmcs)) {
		frames_free(vm->host->frames, v->vmcs, PAGE_SIZE);
		return error_set(error, "the CPU refuses its VMCS (VMCLEAR or VMPTRLD failed)");
	}
	pcpu_self()->current = v;
	write_controls(v);
	write_host(v);
	write_guest(v);
	msr_reset(v);
	vm->vcpu[id] = &v->vcpu;
	return true;
}

void vmx_vcpu_destroy(struct vmx_vcpu *v)
{
	/* VMCLEAR writes back what the CPU cached of it: only then is the page free. */
	vmcs_clear(v->vmcs);
	/* The next user of this VPID must not see this one's translations. */
	if (vmx_has(CONTROL_PROC2, PROC2_VPID))
		vmx_invvpid(INVVPID_ALL, 0, 0);
	pcpu_self()->current = NULL;
	frames_free(v->vcpu.vm->host->frames, v->vmcs, PAGE_SIZE);
	v->vcpu.vm->vcpu[v->vcpu.id] = NULL;
}

uint64_t vmx_now(const struct vmx_vcpu *v)
{
	return rdtsc() - v->vcpu.vm->tsc_base;
}

uint64_t vmx_host_tsc(const struct vmx_vcpu *v, uint64_t ticks)
{
	uint64_t base = v->vcpu.vm->tsc_base;

	return ticks > UINT64_MAX - base ? UINT64_MAX : ticks + base;
}
