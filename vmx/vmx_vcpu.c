/* SPDX-License-Identifier: MIT */
/*
 * Making a vCPU: its VMCS, filled in three parts (controls, host, guest) from what the CPU can do,
 * what the host is, and the VM's start state.
 */
#include "vmx/vmx_vcpu.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/traps.h"
#include "lib/log.h"
#include "lib/string.h"
#include "vm/image_start.h"
#include "vm/audit.h"
#include "vmx/caps.h"
#include "vmx/defenses.h"
#include "vmx/cr.h"
#include "vmx/entry_explain.h"
#include "vmx/msr.h"
#include "vmx/switch.h"
#include "vmx/virtual_apic.h"
#include "vmx/vmcs.h"

#define PAT_RESET	  0x0007040600070406ULL
#define DR6_RESET	  0xffff0ff0ULL
#define DR7_RESET	  0x400
#define LINK_POINTER_NONE UINT64_MAX
/* TSC ticks: PAUSEs closer than the gap are one loop; who loops for the window is told of. */
#define PML_FIRST    511 /* entries of the log, counted from 0 */
#define PAUSE_GAP    128
#define PAUSE_WINDOW 8192

extern const uint8_t vmx_exit[], vmx_exit_guarded[];

/* The same for every vCPU, two pages: all ports exit. */
static uint64_t io_bitmap;
static uint64_t apic_access_page; /* no access ever reaches it; 0: not used */

/*
 * VPIDs in use; 0 is the host's. Whoever gets one that was another's finds nothing of it: a core
 * that a vCPU comes to anew invalidates its VPID first (vmx/switch.c). Core 0 makes all vCPUs.
 */
#define VPIDS 4096
static uint8_t vpid_used[VPIDS / 8] = {1};

static uint16_t vpid_take(void)
{
	for (unsigned vpid = 1; vpid < VPIDS; vpid++) {
		if (vpid_used[vpid / 8] & BIT(vpid % 8))
			continue;
		vpid_used[vpid / 8] |= (uint8_t)BIT(vpid % 8);
		return (uint16_t)vpid;
	}
	return 0;
}

static void vpid_give(uint16_t vpid)
{
	vpid_used[vpid / 8] &= (uint8_t)~BIT(vpid % 8);
}

bool vmx_vcpu_init_shared(struct frames *frames)
{
	io_bitmap = frames_alloc(frames, 2 * PAGE_SIZE, PAGE_SIZE, UINT64_MAX);
	if (io_bitmap == FRAMES_NONE)
		return false;
	memset((void *)io_bitmap, 0xff, 2 * PAGE_SIZE);
	if (vmx_has(CONTROL_PROC2, PROC2_APIC_ACCESSES)) {
		apic_access_page = frames_alloc(frames, PAGE_SIZE, PAGE_SIZE, UINT64_MAX);
		if (apic_access_page == FRAMES_NONE)
			return false;
		memset((void *)apic_access_page, 0, PAGE_SIZE);
	}
	return msr_init(frames);
}

uint64_t vmx_apic_access_page(void)
{
	return apic_access_page;
}

void vmx_vcpu_claim_shared(struct audit *audit)
{
	if (apic_access_page)
		audit_claim(audit, apic_access_page, PAGE_SIZE, AUDIT_SOCLE,
			    "the APIC-access page");
	audit_claim(audit, io_bitmap, 2 * PAGE_SIZE, AUDIT_SOCLE, "the I/O bitmaps");
	audit_claim(audit, msr_bitmap(false), 2 * PAGE_SIZE, AUDIT_SOCLE, "the MSR bitmaps");
}

/* The VM's own rate of the TSC: by the CPU, or each RDTSC exits. */
static void write_tsc_scale(struct vmx_vcpu *v)
{
	uint64_t scale = v->vcpu.vm->clock.scale;

	if (!scale)
		v->proc2_controls &= ~(uint32_t)PROC2_TSC_SCALING;
	else if (v->proc2_controls & PROC2_TSC_SCALING)
		vmcs_write(TSC_MULTIPLIER, scale);
	else
		v->proc_controls |= PROC_RDTSC;
}

static void write_log(struct vmx_vcpu *v)
{
	const uint64_t *log = writes_log(&v->vcpu.vm->writes, v->vcpu.id);

	if (!log) {
		v->proc2_controls &= ~(uint32_t)PROC2_PML;
		return;
	}
	vmcs_write(PML_ADDRESS, (uint64_t)log);
	vmcs_write(GUEST_PML_INDEX, PML_FIRST);
}

static void write_controls(struct vmx_vcpu *v)
{
	const uint32_t *control = vmx_caps()->control;
	const struct vm *vm = v->vcpu.vm;

	v->proc_controls = control[CONTROL_PROC];
	v->proc2_controls = control[CONTROL_PROC2];
	write_tsc_scale(v);
	write_log(v);
	vmcs_write(PIN_CONTROLS, control[CONTROL_PIN]);
	vmcs_write(PROC_CONTROLS, v->proc_controls);
	vmcs_write(PROC2_CONTROLS, v->proc2_controls);
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
	vmcs_write(IO_BITMAP_A, io_bitmap);
	vmcs_write(IO_BITMAP_B, io_bitmap + PAGE_SIZE);
	vmcs_write(MSR_BITMAP, msr_bitmap(false));
	vmcs_write(TSC_OFFSET, 0 - vm->clock.base);
	vmcs_write(EPT_POINTER, v->ept_pointer);
	if (vmx_has(CONTROL_PROC2, PROC2_VPID))
		vmcs_write(VPID, v->vpid);
	if (vmx_has(CONTROL_PROC2, PROC2_PAUSE_LOOP)) {
		vmcs_write(PLE_GAP, PAUSE_GAP);
		vmcs_write(PLE_WINDOW, PAUSE_WINDOW);
	}
	if (vmx_has(CONTROL_PROC, PROC_TPR_SHADOW)) {
		vmcs_write(VIRTUAL_APIC, (uint64_t)vm->apic_page[v->vcpu.id]);
		vmcs_write(TPR_THRESHOLD, 0);
	}
	if (apic_access_page)
		vmcs_write(APIC_ACCESS, apic_access_page);
	virtual_apic_set_mode(v);
}

/* What an exit loads is what the host runs with, so that it needs no repair. */
static void write_host(const struct vmx_vcpu *v)
{
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
	vmcs_write(HOST_IDTR_BASE, traps_idt_base());
	vmcs_write(HOST_RSP, (uint64_t)(v->vcpu.gpr + GPR_COUNT));
	vmcs_write(HOST_RIP,
		   (uint64_t)(!v->has_timer || (defenses() & DEFENSES_EACH_EXIT) ? vmx_exit_guarded
										 : vmx_exit));
}

void vmx_vcpu_write_core(struct vmx_vcpu *v)
{
	const struct pcpu *pcpu = pcpu_self();

	vmcs_write(HOST_GS_BASE, (uint64_t)pcpu);
	vmcs_write(HOST_TR_BASE, (uint64_t)&pcpu->tss);
	vmcs_write(HOST_GDTR_BASE, (uint64_t)pcpu->gdt);
	v->last_core = (int)pcpu->id;
}

/* The VMCS's order of segments is the instructions' one (enum insn_segment), then LDTR and TR. */
static void write_segment(unsigned index, const struct start_segment *s)
{
	vmcs_write(vmcs_segment(GUEST_ES_SELECTOR, index), s->selector);
	vmcs_write(vmcs_segment(GUEST_ES_BASE, index), s->base);
	vmcs_write(vmcs_segment(GUEST_ES_LIMIT, index), s->limit);
	vmcs_write(vmcs_segment(GUEST_ES_RIGHTS, index), s->rights);
}

static void write_guest(struct vmx_vcpu *v, const struct vcpu_start *start)
{
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
	vmcs_write(GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	vmcs_write(GUEST_PENDING_DEBUG, 0);
	vmcs_write(VMCS_LINK_POINTER, LINK_POINTER_NONE);
	cr_init(v, start->cr0, start->cr4);
	memcpy(v->vcpu.gpr, start->gpr, sizeof(v->vcpu.gpr));
}

/* What INIT leaves; RIP and CS are the vector's. */
static struct vcpu_start startup_state(uint8_t vector, uint32_t signature)
{
	struct vcpu_start start;

	start_reset(&start, signature);
	start.rip = 0;
	start.segment[SEGMENT_CS].selector = (uint16_t)(vector << 8);
	start.segment[SEGMENT_CS].base = (uint64_t)vector << 12;
	return start;
}

void vmx_vcpu_startup(struct vmx_vcpu *v, uint8_t vector)
{
	struct vcpu_start start = startup_state(vector, v->vcpu.vm->cpuid.basic[1].eax);
	uint64_t pat = vmcs_read(GUEST_PAT), zero = 0;

	/* INIT leaves these two alone; at first they are set. */
	start.cr0 = CR0_ET | (cr_read_cr0() & (CR0_NW | CR0_CD));

	vmcs_write(ENTRY_CONTROLS, vmcs_read(ENTRY_CONTROLS) & ~(uint64_t)ENTRY_IA32E);
	vmcs_write(ENTRY_INTR_INFO, 0);
	write_guest(v, &start);
	/* INIT leaves the PAT, the FPU and most other MSRs alone. */
	vmcs_write(GUEST_PAT, pat);
	write_cr2(0);
	__asm__ volatile("mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3; mov %1, %%dr6"
			 :
			 : "r"(zero), "r"(DR6_RESET));
	v->vcpu.exception.pending = false;
	v->vcpu.nmis = 0;
	v->interrupted.info = 0;
	v->vcpu.activity = VCPU_ACTIVE;
}

static bool alloc_parts(struct vmx_vcpu *v, struct error *error)
{
	struct frames *frames = v->vcpu.vm->host->frames;
	uint64_t fpu =
		frames_alloc(frames, align_up(fpu_area_size(), PAGE_SIZE), PAGE_SIZE, UINT64_MAX);

	v->vmcs = frames_alloc(frames, PAGE_SIZE, PAGE_SIZE, UINT64_MAX);
	if (fpu != FRAMES_NONE)
		v->state.fpu = (void *)fpu;
	if (v->vmcs == FRAMES_NONE || fpu == FRAMES_NONE)
		return error_set(error, "no memory left for a VMCS");
	fpu_area_init(v->state.fpu);
	memset((void *)v->vmcs, 0, PAGE_SIZE);
	*(uint32_t *)v->vmcs = vmx_caps()->revision;
	return true;
}

static void free_parts(struct vmx_vcpu *v)
{
	struct frames *frames = v->vcpu.vm->host->frames;

	if (v->state.fpu)
		frames_free(frames, (uint64_t)v->state.fpu, align_up(fpu_area_size(), PAGE_SIZE));
	if (v->vmcs != FRAMES_NONE)
		frames_free(frames, v->vmcs, PAGE_SIZE);
}

/* The VMCS is filled with the core's registers free for it, and left clear. */
static bool fill_vmcs(struct vmx_vcpu *v, struct error *error)
{
	struct vcpu_start startup = startup_state(0, v->vcpu.vm->cpuid.basic[1].eax);

	vmx_switch_away();
	if (!vmcs_clear(v->vmcs) || !vmcs_load(v->vmcs))
		return error_set(error, "the CPU refuses its VMCS (VMCLEAR or VMPTRLD failed)");
	write_controls(v);
	write_host(v);
	write_guest(v, v->vcpu.id == 0 ? &v->vcpu.vm->start : &startup);
	/* VMCLEAR writes back what the CPU keeps of it: another core may load it then. */
	vmcs_clear(v->vmcs);
	return true;
}

bool vmx_vcpu_create(struct vmx_vcpu *v, struct vm *vm, unsigned id, struct error *error)
{
	const struct vmx_caps *caps = vmx_caps();

	if (vm->clock.scale &&
	    !control_tsc_rate(caps->capability[CONTROL_PROC], caps->control[CONTROL_PROC2]))
		return error_set(error,
				 "tsc-mhz: the CPU lacks 'use TSC scaling' and 'RDTSC exiting'");
	v->vcpu.id = id;
	v->vcpu.vm = vm;
	v->vcpu.xcr0 = 1;
	v->vcpu.activity = id == 0 ? VCPU_ACTIVE : VCPU_WAIT_FOR_SIPI;
	v->state.dr6 = DR6_RESET;
	v->vpid = vpid_take();
	v->loaded_on = v->last_core = v->running_on = NO_CORE;
	v->has_timer = vmx_has(CONTROL_PIN, PIN_PREEMPTION_TIMER);
	v->timer_shift = (uint8_t)vmx_caps()->preemption_shift;
	if (entry_wants_attention())
		v->vcpu.attention |= ATTENTION_ENTRY;
	v->ept_pointer = ept_pointer(&vm->ept);
	v->cr4_allowed = cpuid_cr4_allowed(&vm->cpuid);
	v->xcr0_allowed = cpuid_xcr0_allowed(&vm->cpuid);
	msr_reset(v);
	if (!v->vpid)
		return error_set(error, "no VPID left: too many vCPUs");
	if (!alloc_parts(v, error) || !fill_vmcs(v, error)) {
		free_parts(v);
		vpid_give(v->vpid);
		return false;
	}
	vm->vcpu[id] = &v->vcpu;
	return true;
}

uint64_t vmx_vcpu_own_memory(void)
{
	return PAGE_SIZE + align_up(fpu_area_size(), PAGE_SIZE);
}

void vmx_vcpu_destroy(struct vmx_vcpu *v)
{
	free_parts(v);
	vpid_give(v->vpid);
	v->vcpu.vm->vcpu[v->vcpu.id] = NULL;
}

uint64_t vmx_now(const struct vmx_vcpu *v)
{
	return vm_clock_ticks(&v->vcpu.vm->clock, rdtsc());
}

uint64_t vmx_host_tsc(const struct vmx_vcpu *v, uint64_t ticks)
{
	return vm_clock_host(&v->vcpu.vm->clock, ticks);
}

/* The CPU fills it from its last entry down; the index is that of the next one. */
void vmx_read_write_log(struct vmx_vcpu *v)
{
	struct writes *writes = &v->vcpu.vm->writes;
	const uint64_t *log = writes_log(writes, v->vcpu.id);
	unsigned next = (uint16_t)(vmcs_read(GUEST_PML_INDEX) + 1);

	if (next > PML_FIRST + 1)
		next = 0;
	for (; next <= PML_FIRST; next++)
		writes_note(writes, log[next]);
	vmcs_write(GUEST_PML_INDEX, PML_FIRST);
}
