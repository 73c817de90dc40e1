/* SPDX-License-Identifier: MIT */
/* Sound VMCSs: modes, events to inject, states of blocking and activity, controls. */
#include "tests/mutants/mutants.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/traps.h"
#include "lib/bits.h"
#include "lib/x86.h"
#include "vmx/caps.h"
#include "vmx/events.h"

#define PAT	  0x0007040600070406ULL
#define VTPR	  0x80
#define FLAGS	  2
#define CR0_GUEST (CR0_PE | CR0_ET | CR0_NE | CR0_PG)
#define CODE_64	  0xa09b
#define CODE_32	  0xc09b
#define CODE_16	  0x009b
#define DATA	  0xc093
#define DATA_16	  0x0093
#define USER	  0x0060 /* DPL 3 */
#define V86	  0x00f3
#define LDT	  0x0082
#define TSS	  0x008b
#define UNUSABLE  0x10000
#define HANDLED	  0x300 /* RSP */

extern const uint8_t mutant_exit[];

#define F(name) s->field[FIELD_##name]

static bool allowed(const struct entry_state *s, enum control_word word, uint64_t bits)
{
	return (s->cpu->caps->capability[word] >> 32 & bits) == bits;
}

/* Sets what the CPU has of these bits. */
static uint64_t some(const struct entry_state *s, enum control_word word, uint64_t bits)
{
	uint64_t capability = s->cpu->caps->capability[word];

	return (uint32_t)capability | (bits & capability >> 32);
}

static void controls(struct entry_state *s, const struct pages *p)
{
	F(PIN_CONTROLS) =
		some(s, CONTROL_PIN,
		     PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI | PIN_PREEMPTION_TIMER);
	F(PROC_CONTROLS) = some(s, CONTROL_PROC,
				PROC_HLT | PROC_MSR_BITMAPS | PROC_IO_BITMAPS | PROC_TPR_SHADOW |
					PROC_SECONDARY);
	F(PROC2_CONTROLS) =
		some(s, CONTROL_PROC2, PROC2_EPT | PROC2_UNRESTRICTED_GUEST | PROC2_VPID);
	F(EXIT_CONTROLS) = some(s, CONTROL_EXIT, EXIT_HOST_64BIT | EXIT_LOAD_PAT | EXIT_LOAD_EFER);
	F(ENTRY_CONTROLS) = some(s, CONTROL_ENTRY,
				 ENTRY_IA32E | ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER);
	F(VPID) = 1;
	F(IO_BITMAP_A) = p->bitmaps;
	F(IO_BITMAP_B) = p->bitmaps + PAGE_SIZE;
	F(MSR_BITMAP) = F(VMREAD_BITMAP) = F(VMWRITE_BITMAP) = F(EPTP_LIST) = p->bitmaps;
	F(SPP_POINTER) = F(POSTED_DESCRIPTOR) = p->bitmaps;
	F(VIRTUAL_APIC) = p->apic;
	F(APIC_ACCESS) = F(PML_ADDRESS) = F(VE_INFORMATION) = p->scratch;
	F(EXIT_MSR_STORE) = F(EXIT_MSR_LOAD) = p->stored;
	F(ENTRY_MSR_LOAD) = p->msrs;
	F(EPT_POINTER) = p->ept;
	F(TSC_MULTIPLIER) = BIT(48);
}

static void host(struct entry_state *s)
{
	const struct pcpu *pcpu = pcpu_self();

	F(HOST_ES_SELECTOR) = F(HOST_SS_SELECTOR) = F(HOST_DS_SELECTOR) = SELECTOR_DATA;
	F(HOST_CS_SELECTOR) = SELECTOR_CODE;
	F(HOST_TR_SELECTOR) = SELECTOR_TSS;
	F(HOST_PAT) = rdmsr(MSR_PAT);
	F(HOST_EFER) = rdmsr(MSR_EFER);
	F(HOST_CR0) = read_cr0();
	F(HOST_CR3) = read_cr3();
	F(HOST_CR4) = read_cr4();
	F(HOST_GS_BASE) = (uint64_t)pcpu;
	F(HOST_TR_BASE) = (uint64_t)&pcpu->tss;
	F(HOST_GDTR_BASE) = (uint64_t)pcpu->gdt;
	F(HOST_IDTR_BASE) = traps_idt_base();
	F(HOST_RSP) = (uint64_t)pcpu;
	F(HOST_RIP) = (uint64_t)mutant_exit;
}

static void segments(struct entry_state *s, uint64_t code, uint64_t data, uint64_t limit)
{
	for (unsigned i = 0; i < 6; i++) {
		s->field[FIELD_GUEST_ES_SELECTOR + i] = 0x10;
		s->field[FIELD_GUEST_ES_BASE + i] = 0;
		s->field[FIELD_GUEST_ES_LIMIT + i] = limit;
		s->field[FIELD_GUEST_ES_RIGHTS + i] = i == VMCS_SEGMENT_CS ? code : data;
	}
	F(GUEST_LDTR_SELECTOR) = 0x20;
	F(GUEST_TR_SELECTOR) = 0x28;
	F(GUEST_LDTR_LIMIT) = F(GUEST_TR_LIMIT) = 0xffff;
	F(GUEST_LDTR_RIGHTS) = LDT;
	F(GUEST_TR_RIGHTS) = TSS;
}

void base_plain(struct entry_state *s, const struct pages *p)
{
	*(volatile uint8_t *)(p->apic + VTPR) = 0;
	controls(s, p);
	host(s);
	segments(s, CODE_64, DATA, UINT32_MAX);
	F(GUEST_GDTR_LIMIT) = F(GUEST_IDTR_LIMIT) = 0xffff;
	F(GUEST_CR0) = CR0_GUEST;
	F(GUEST_CR3) = p->bitmaps;
	F(GUEST_CR4) = s->cpu->caps->cr4_fixed0 | CR4_PAE;
	F(GUEST_EFER) = EFER_LME | EFER_LMA;
	F(GUEST_PAT) = PAT;
	F(GUEST_DR7) = 0x400;
	F(GUEST_RFLAGS) = FLAGS;
	F(GUEST_RIP) = 0x200;
	F(GUEST_RSP) = HANDLED;
	F(VMCS_LINK_POINTER) = UINT64_MAX;
}

static bool plain(struct entry_state *s, const struct pages *p)
{
	(void)s;
	(void)p;
	return true;
}

/* Modes. */

static bool ring_3(struct entry_state *s, const struct pages *p)
{
	(void)p;
	segments(s, CODE_64 | USER, DATA | USER, UINT32_MAX);
	for (unsigned i = 0; i < 6; i++)
		s->field[FIELD_GUEST_ES_SELECTOR + i] = 0x13;
	return true;
}

static bool compatibility(struct entry_state *s, const struct pages *p)
{
	ring_3(s, p);
	F(GUEST_CS_RIGHTS) = CODE_32 | USER;
	return true;
}

static bool conforming(struct entry_state *s, const struct pages *p)
{
	ring_3(s, p);
	F(GUEST_CS_RIGHTS) = 0xa09f;
	F(GUEST_DS_RIGHTS) = 0xc09f;
	F(GUEST_ES_RIGHTS) = 0xc0fb;
	F(GUEST_FS_RIGHTS) = 0xc0f7;
	return true;
}

static bool null_segments(struct entry_state *s, const struct pages *p)
{
	(void)p;
	for (unsigned i = 0; i < 7; i++)
		if (i != VMCS_SEGMENT_CS) {
			s->field[FIELD_GUEST_ES_SELECTOR + i] = 0;
			s->field[FIELD_GUEST_ES_RIGHTS + i] = UNUSABLE;
		}
	return true;
}

static void leave_long_mode(struct entry_state *s)
{
	F(ENTRY_CONTROLS) &= ~ENTRY_IA32E;
	F(GUEST_EFER) = 0;
	F(GUEST_CR4) &= ~CR4_PAE;
	segments(s, CODE_32, DATA, UINT32_MAX);
}

static bool paging_32(struct entry_state *s, const struct pages *p)
{
	(void)p;
	leave_long_mode(s);
	return true;
}

static bool unpaged(struct entry_state *s, const struct pages *p)
{
	leave_long_mode(s);
	(void)p;
	F(GUEST_CR0) &= ~CR0_PG;
	return allowed(s, CONTROL_PROC2, PROC2_UNRESTRICTED_GUEST);
}

static bool pae(struct entry_state *s, const struct pages *p)
{
	leave_long_mode(s);
	(void)p;
	F(GUEST_CR4) |= CR4_PAE;
	F(GUEST_PDPTE0) = F(GUEST_PDPTE2) = 0x1001;
	return true;
}

static bool real(struct entry_state *s, const struct pages *p)
{
	leave_long_mode(s);
	(void)p;
	F(GUEST_CR0) = CR0_ET | CR0_NE;
	segments(s, DATA_16, DATA_16, 0xffff);
	return allowed(s, CONTROL_PROC2, PROC2_UNRESTRICTED_GUEST);
}

static bool virtual_8086(struct entry_state *s, const struct pages *p)
{
	leave_long_mode(s);
	(void)p;
	segments(s, V86, V86, 0xffff);
	for (unsigned i = 0; i < 6; i++)
		s->field[FIELD_GUEST_ES_BASE + i] = 0x100;
	F(GUEST_RFLAGS) |= RFLAGS_VM;
	return true;
}

static bool restricted(struct entry_state *s, const struct pages *p)
{
	(void)p;
	F(PROC2_CONTROLS) &= ~PROC2_UNRESTRICTED_GUEST;
	return true;
}

static bool restricted_ring_3(struct entry_state *s, const struct pages *p)
{
	return ring_3(s, p) && restricted(s, p);
}

static bool without_ept(struct entry_state *s, const struct pages *p)
{
	restricted(s, p);
	F(PROC2_CONTROLS) &= ~PROC2_EPT;
	return true;
}

static bool pae_without_ept(struct entry_state *s, const struct pages *p)
{
	pae(s, p);
	F(GUEST_CR3) = p->pdptes;
	return without_ept(s, p);
}

static bool without_secondary(struct entry_state *s, const struct pages *p)
{
	(void)p;
	F(PROC_CONTROLS) &= ~PROC_SECONDARY;
	return true;
}

/* Events. */

static void inject(struct entry_state *s, enum intr_type type, unsigned vector)
{
	F(ENTRY_INTR_INFO) = INTR_VALID | (unsigned)type << 8 | vector;
}

static bool interrupt(struct entry_state *s, const struct pages *p)
{
	(void)p;
	inject(s, INTR_EXTERNAL, 0x30);
	F(GUEST_RFLAGS) |= RFLAGS_IF;
	return true;
}

static bool nmi(struct entry_state *s, const struct pages *p)
{
	(void)p;
	inject(s, INTR_NMI, VECTOR_NMI);
	return true;
}

static bool fault(struct entry_state *s, const struct pages *p)
{
	(void)p;
	inject(s, INTR_EXCEPTION, VECTOR_UD);
	return true;
}

static bool fault_with_code(struct entry_state *s, const struct pages *p)
{
	(void)p;
	inject(s, INTR_EXCEPTION, VECTOR_GP);
	F(ENTRY_INTR_INFO) |= INTR_ERROR_CODE;
	F(ENTRY_ERROR_CODE) = 0x18;
	return true;
}

static bool software_interrupt(struct entry_state *s, const struct pages *p)
{
	(void)p;
	inject(s, INTR_SOFTWARE, 0x80);
	F(ENTRY_INSN_LENGTH) = 2;
	return true;
}

static bool int1(struct entry_state *s, const struct pages *p)
{
	(void)p;
	inject(s, INTR_PRIVILEGED_SOFTWARE, VECTOR_DB);
	F(ENTRY_INSN_LENGTH) = 1;
	return true;
}

static bool int3(struct entry_state *s, const struct pages *p)
{
	(void)p;
	inject(s, INTR_SOFTWARE_EXCEPTION, VECTOR_BP);
	F(ENTRY_INSN_LENGTH) = 1;
	return true;
}

static bool real_fault(struct entry_state *s, const struct pages *p)
{
	return real(s, p) && fault(s, p);
}

/* Blocking and activity. */

static bool sti(struct entry_state *s, const struct pages *p)
{
	(void)p;
	F(GUEST_RFLAGS) |= RFLAGS_IF;
	F(GUEST_INTERRUPTIBILITY) = BLOCKING_STI;
	return true;
}

static bool mov_ss(struct entry_state *s, const struct pages *p)
{
	(void)p;
	F(GUEST_INTERRUPTIBILITY) = BLOCKING_MOV_SS;
	return true;
}

static bool in_nmi(struct entry_state *s, const struct pages *p)
{
	(void)p;
	F(GUEST_INTERRUPTIBILITY) = BLOCKING_NMI;
	return true;
}

static bool single_step(struct entry_state *s, const struct pages *p)
{
	sti(s, p);
	F(GUEST_RFLAGS) |= RFLAGS_TF;
	F(GUEST_PENDING_DEBUG) = BIT(14);
	return true;
}

static bool activity(struct entry_state *s, unsigned state)
{
	F(GUEST_ACTIVITY) = state;
	return s->cpu->caps->misc & BIT(5 + state);
}

static bool hlt(struct entry_state *s, const struct pages *p)
{
	(void)p;
	return activity(s, 1);
}

static bool hlt_interrupt(struct entry_state *s, const struct pages *p)
{
	return interrupt(s, p) && activity(s, 1);
}

static bool shutdown(struct entry_state *s, const struct pages *p)
{
	(void)p;
	return activity(s, 2);
}

static bool shutdown_nmi(struct entry_state *s, const struct pages *p)
{
	return nmi(s, p) && activity(s, 2);
}

static bool wait_for_sipi(struct entry_state *s, const struct pages *p)
{
	(void)p;
	return activity(s, 3);
}

/* Controls. */

static bool msr_areas(struct entry_state *s, const struct pages *p)
{
	(void)p;
	F(EXIT_MSR_STORE_COUNT) = F(EXIT_MSR_LOAD_COUNT) = F(ENTRY_MSR_LOAD_COUNT) = 1;
	return true;
}

static bool virtual_apic(struct entry_state *s, const struct pages *p)
{
	(void)p;
	F(PROC2_CONTROLS) |= PROC2_VIRTUAL_APIC;
	return allowed(s, CONTROL_PROC2, PROC2_VIRTUAL_APIC);
}

static bool apic_accesses(struct entry_state *s, const struct pages *p)
{
	(void)p;
	F(PROC2_CONTROLS) |= PROC2_APIC_ACCESSES;
	F(TPR_THRESHOLD) = 5;
	return allowed(s, CONTROL_PROC2, PROC2_APIC_ACCESSES);
}

static bool threshold(struct entry_state *s, const struct pages *p)
{
	*(volatile uint8_t *)(p->apic + VTPR) = 0x50;
	F(TPR_THRESHOLD) = 5;
	return true;
}

static bool all_of_ept(struct entry_state *s, const struct pages *p)
{
	(void)p;
	F(PROC2_CONTROLS) |= some(s, CONTROL_PROC2,
				  PROC2_PML | PROC2_VE | PROC2_SUB_PAGE | PROC2_VM_FUNCTIONS |
					  PROC2_SHADOWING | PROC2_TSC_SCALING);
	F(VM_FUNCTIONS) = s->cpu->vm_functions & 1;
	return true;
}

static bool no_loads(struct entry_state *s, const struct pages *p)
{
	(void)p;
	F(ENTRY_CONTROLS) = some(s, CONTROL_ENTRY, ENTRY_IA32E);
	F(EXIT_CONTROLS) = some(s, CONTROL_EXIT, EXIT_HOST_64BIT);
	return true;
}

static bool linked(struct entry_state *s, const struct pages *p)
{
	F(VMCS_LINK_POINTER) = p->link;
	return true;
}

const struct base bases[] = {
	{"64-bit", plain},
	{"64-bit, ring 3", ring_3},
	{"compatibility mode", compatibility},
	{"conforming code", conforming},
	{"unusable segments", null_segments},
	{"32-bit paging", paging_32},
	{"32-bit, unpaged", unpaged},
	{"PAE paging", pae},
	{"real mode", real},
	{"virtual-8086 mode", virtual_8086},
	{"restricted", restricted},
	{"restricted, ring 3", restricted_ring_3},
	{"without EPT", without_ept},
	{"PAE paging without EPT", pae_without_ept},
	{"without secondary controls", without_secondary},
	{"external interrupt", interrupt},
	{"NMI", nmi},
	{"fault", fault},
	{"fault with error code", fault_with_code},
	{"fault in real mode", real_fault},
	{"software interrupt", software_interrupt},
	{"INT1", int1},
	{"INT3", int3},
	{"blocking by STI", sti},
	{"blocking by MOV SS", mov_ss},
	{"blocking by NMI", in_nmi},
	{"pending single step", single_step},
	{"HLT", hlt},
	{"HLT, interrupt", hlt_interrupt},
	{"shutdown", shutdown},
	{"shutdown, NMI", shutdown_nmi},
	{"wait-for-SIPI", wait_for_sipi},
	{"MSR areas", msr_areas},
	{"virtual interrupts", virtual_apic},
	{"APIC accesses", apic_accesses},
	{"TPR threshold", threshold},
	{"all of EPT", all_of_ept},
	{"no MSRs loaded", no_loads},
	{"VMCS link pointer", linked},
};

const unsigned bases_count = ARRAY_SIZE(bases);
