/* SPDX-License-Identifier: MIT */
/*
 * The checks of the guest state at VM entry that the table of rules does not describe. "Checking
 * and Loading Guest State", "Loading MSRs".
 */
#include "lib/bits.h"
#include "lib/x86.h"
#include "vmx/entry_check.h"
#include "vmx/events.h"

#define UNRESTRICTED ENTRY_BIT(CONTROL_PROC2, PROC2_UNRESTRICTED_GUEST)
#define IA32E	     ENTRY_BIT(CONTROL_ENTRY, ENTRY_IA32E)

/* Access rights. */
#define TYPE(rights)	bits_get(rights, 3, 0)
#define DPL(rights)	bits_get(rights, 6, 5)
#define RIGHTS_S	BIT(4)
#define RIGHTS_P	BIT(7)
#define RIGHTS_L	BIT(13)
#define RIGHTS_DB	BIT(14)
#define RIGHTS_G	BIT(15)
#define RIGHTS_RESERVED (BITS(31, 17) | BITS(11, 8))
#define RIGHTS_V86	0xf3
#define TYPE_ACCESSED	BIT(0)
#define TYPE_READABLE	BIT(1) /* of code; of data: writable */
#define TYPE_CODE	BIT(3)
#define TYPE_DATA	3 /* accessed, writable, expand-up */
#define TYPE_LDT	2
#define TYPE_TSS_16	3
#define TYPE_TSS	11
#define RPL(selector)	((selector)&3)
#define SELECTOR_TI	BIT(2)

struct check {
	const struct entry_state *s;
	struct entry_findings *f;
	const uint64_t *field;
	bool unrestricted, ia32e, virtual_8086, real;
	unsigned index; /* of the segment or PDPTE at hand, else 0 */
};

static void want(const struct check *c, bool good, enum entry_rule rule)
{
	if (!good)
		entry_find(c->f, rule, c->index);
}

/* Registers. */

static void check_registers(const struct check *c)
{
	uint64_t cr0 = c->field[FIELD_GUEST_CR0], efer = c->field[FIELD_GUEST_EFER];

	want(c, !(cr0 & CR0_PG) || (cr0 & CR0_PE), RULE_G_PG);
	want(c, c->ia32e || !(c->field[FIELD_GUEST_CR4] & CR4_PCIDE), RULE_G_PCIDE);
	if (entry_on(c->s, ENTRY_BIT(CONTROL_ENTRY, ENTRY_LOAD_DEBUG)))
		want(c, !(c->field[FIELD_GUEST_DEBUGCTL] & ~c->s->cpu->debugctl), RULE_G_DEBUGCTL);
	if (!entry_on(c->s, ENTRY_BIT(CONTROL_ENTRY, ENTRY_LOAD_EFER)))
		return;
	want(c, !!(efer & EFER_LMA) == c->ia32e, RULE_G_LMA);
	want(c, !(cr0 & CR0_PG) || !(efer & EFER_LMA) == !(efer & EFER_LME), RULE_G_LME);
}

/* Segments. */

struct segment {
	unsigned index;
	uint64_t selector, base, limit, rights;
	bool usable;
};

static struct segment segment(const struct check *c, unsigned index)
{
	uint64_t rights = c->field[FIELD_GUEST_ES_RIGHTS + index];

	return (struct segment){
		.index = index,
		.selector = c->field[FIELD_GUEST_ES_SELECTOR + index],
		.base = c->field[FIELD_GUEST_ES_BASE + index],
		.limit = c->field[FIELD_GUEST_ES_LIMIT + index],
		.rights = rights,
		/* Of CS the bit is ignored; of TR it is a rule of its own. */
		.usable = index == SEGMENT_CS || index == VMCS_SEGMENT_TR ||
			  !(rights & RIGHTS_UNUSABLE),
	};
}

static void check_v86(const struct check *c, const struct segment *seg)
{
	want(c, seg->base == seg->selector << 4, RULE_S_V86_BASE);
	want(c, seg->limit == 0xffff, RULE_S_V86_LIMIT);
	want(c, seg->rights == RIGHTS_V86, RULE_S_V86_RIGHTS);
}

static void check_base(const struct check *c, const struct segment *seg)
{
	switch (seg->index) {
	case SEGMENT_FS:
	case SEGMENT_GS:
	case VMCS_SEGMENT_TR:
		want(c, entry_canonical(c->s->cpu, seg->base), RULE_S_CANONICAL);
		break;
	case VMCS_SEGMENT_LDTR:
		want(c, !seg->usable || entry_canonical(c->s->cpu, seg->base), RULE_S_CANONICAL);
		break;
	default: want(c, !seg->usable || !(seg->base >> 32), RULE_S_32BIT);
	}
}

static void check_code(const struct check *c, const struct segment *seg)
{
	uint64_t type = TYPE(seg->rights), dpl = DPL(seg->rights);
	uint64_t ss_dpl = DPL(c->field[FIELD_GUEST_SS_RIGHTS]);
	bool code = (type & TYPE_CODE) && (type & TYPE_ACCESSED), dpl_sound = true;

	want(c, code || (c->unrestricted && type == TYPE_DATA), RULE_S_CODE_TYPE);
	switch (type) {
	case TYPE_DATA: dpl_sound = dpl == 0; break;
	case 9:
	case 11: dpl_sound = dpl == ss_dpl; break;
	case 13:
	case 15: dpl_sound = dpl <= ss_dpl; break;
	}
	want(c, dpl_sound, RULE_S_CS_DPL);
	want(c, !c->ia32e || !(seg->rights & RIGHTS_L) || !(seg->rights & RIGHTS_DB),
	     RULE_S_CS_SIZE);
}

static void check_stack(const struct check *c, const struct segment *seg)
{
	uint64_t type = TYPE(seg->rights), dpl = DPL(seg->rights);
	bool cs_is_data = TYPE(c->field[FIELD_GUEST_CS_RIGHTS]) == TYPE_DATA;

	want(c, !seg->usable || type == 3 || type == 7, RULE_S_STACK_TYPE);
	/* These two hold of an unusable one as well. */
	want(c, c->unrestricted || dpl == RPL(seg->selector), RULE_S_SS_DPL);
	want(c, dpl == 0 || !(cs_is_data || c->real), RULE_S_SS_DPL_0);
	want(c, c->unrestricted || RPL(seg->selector) == RPL(c->field[FIELD_GUEST_CS_SELECTOR]),
	     RULE_S_SS_RPL);
}

static void check_data(const struct check *c, const struct segment *seg)
{
	uint64_t type = TYPE(seg->rights);
	bool readable = !(type & TYPE_CODE) || (type & TYPE_READABLE);
	bool conforming = type >= 12;

	if (!seg->usable)
		return;
	want(c, (type & TYPE_ACCESSED) && readable, RULE_S_DATA_TYPE);
	want(c, c->unrestricted || conforming || DPL(seg->rights) >= RPL(seg->selector),
	     RULE_S_DATA_DPL);
}

/* "Any bit in the limit's 11:0 is 0: G must be 0; any in 31:20 is 1: G must be 1." */
static bool granularity_sound(const struct segment *seg)
{
	if (seg->rights & RIGHTS_G)
		return (seg->limit & BITS(11, 0)) == BITS(11, 0);
	return !(seg->limit & BITS(31, 20));
}

static void check_system(const struct check *c, const struct segment *seg)
{
	uint64_t type = TYPE(seg->rights);
	bool tr = seg->index == VMCS_SEGMENT_TR;

	if (seg->usable)
		want(c, !(seg->selector & SELECTOR_TI), RULE_S_TI);
	if (tr) {
		want(c, type == TYPE_TSS || (!c->ia32e && type == TYPE_TSS_16), RULE_S_TR_TYPE);
		want(c, !(seg->rights & RIGHTS_UNUSABLE), RULE_S_TR_USABLE);
	} else if (seg->usable) {
		want(c, type == TYPE_LDT, RULE_S_LDTR_TYPE);
	}
}

static void check_segment(struct check *c, unsigned index)
{
	const struct segment seg = segment(c, index);
	bool system = index >= VMCS_SEGMENT_LDTR;

	c->index = index;
	if (c->virtual_8086 && !system) {
		check_v86(c, &seg);
		return;
	}
	check_base(c, &seg);
	if (index == SEGMENT_CS)
		check_code(c, &seg);
	else if (index == SEGMENT_SS)
		check_stack(c, &seg);
	else if (system)
		check_system(c, &seg);
	else
		check_data(c, &seg);
	if (!seg.usable)
		return;
	want(c, !(seg.rights & RIGHTS_S) == system, RULE_S_SYSTEM);
	want(c, seg.rights & RIGHTS_P, RULE_S_PRESENT);
	want(c, !(seg.rights & RIGHTS_RESERVED), RULE_S_RESERVED);
	want(c, granularity_sound(&seg), RULE_S_GRANULARITY);
}

/* RIP, RFLAGS, SSP. */

#define RFLAGS_RESERVED (BITS(63, 22) | BIT(15) | BIT(5) | BIT(3))

static bool injects(const struct check *c, enum intr_type type)
{
	uint32_t info = (uint32_t)c->field[FIELD_ENTRY_INTR_INFO];

	return (info & INTR_VALID) && INTR_TYPE(info) == type;
}

/* The bits beyond the linear addresses are alike; they need not be as the highest one within. */
static bool rip_sound(const struct check *c, uint64_t rip)
{
	uint64_t beyond = rip >> c->s->cpu->linear_bits;

	return !beyond || beyond == UINT64_MAX >> c->s->cpu->linear_bits;
}

static void check_flags(const struct check *c)
{
	uint64_t rflags = c->field[FIELD_GUEST_RFLAGS], rip = c->field[FIELD_GUEST_RIP];
	bool wide = c->ia32e && (c->field[FIELD_GUEST_CS_RIGHTS] & RIGHTS_L);
	uint64_t ssp = c->field[FIELD_GUEST_SSP];

	if (wide)
		want(c, rip_sound(c, rip), RULE_R_RIP_64);
	else
		want(c, !(rip >> 32), RULE_R_RIP_32);
	want(c, !(rflags & RFLAGS_RESERVED), RULE_R_RFLAGS_0);
	want(c, !(rflags & RFLAGS_VM) || !(c->ia32e || c->real), RULE_R_VM);
	want(c, (rflags & RFLAGS_IF) || !injects(c, INTR_EXTERNAL), RULE_R_IF);
	if (entry_on(c->s, ENTRY_BIT(CONTROL_ENTRY, ENTRY_LOAD_CET)))
		want(c, wide ? rip_sound(c, ssp) : !(ssp >> 32), RULE_R_SSP);
}

/* Non-register state. */

enum { ACTIVE, HLT, SHUTDOWN, WAIT_FOR_SIPI };
#define MISC_HLT	 BIT(6) /* and the next two states after it */
#define DEBUGCTL_BTF	 BIT(1)
#define PENDING_ENABLED	 BIT(12)
#define PENDING_BS	 BIT(14)
#define PENDING_RTM	 BIT(16)
#define PENDING_RESERVED (BITS(63, 17) | BIT(15) | BIT(13) | BITS(11, 4))

/* Whether the event may come in that activity state. */
static bool event_fits(uint32_t info, uint64_t activity)
{
	uint8_t type = (uint8_t)INTR_TYPE(info), vector = INTR_VECTOR(info);
	bool mc = type == INTR_EXCEPTION && vector == VECTOR_MC;

	switch (activity) {
	case HLT:
		return type == INTR_EXTERNAL || type == INTR_NMI || mc ||
		       (type == INTR_EXCEPTION && vector == VECTOR_DB) ||
		       (type == INTR_OTHER && vector == 0);
	case SHUTDOWN: return type == INTR_NMI || mc;
	case WAIT_FOR_SIPI: return false;
	default: return true;
	}
}

static void check_activity(const struct check *c)
{
	uint64_t activity = c->field[FIELD_GUEST_ACTIVITY];
	uint32_t info = (uint32_t)c->field[FIELD_ENTRY_INTR_INFO];
	bool blocking = c->field[FIELD_GUEST_INTERRUPTIBILITY] & (BLOCKING_STI | BLOCKING_MOV_SS);

	want(c,
	     activity == ACTIVE || (activity <= WAIT_FOR_SIPI &&
				    (c->s->cpu->caps->misc & (MISC_HLT << (activity - 1)))),
	     RULE_N_ACTIVITY);
	want(c, activity != HLT || !DPL(c->field[FIELD_GUEST_SS_RIGHTS]), RULE_N_HLT_DPL);
	want(c, activity == ACTIVE || !blocking, RULE_N_BLOCKED);
	if (info & INTR_VALID)
		want(c, event_fits(info, activity), RULE_N_EVENT);
}

static void check_blocking(const struct check *c)
{
	uint64_t blocking = c->field[FIELD_GUEST_INTERRUPTIBILITY];
	uint64_t both = BLOCKING_STI | BLOCKING_MOV_SS;
	bool virtual_nmis = entry_on(c->s, ENTRY_BIT(CONTROL_PIN, PIN_VIRTUAL_NMI));

	want(c, (blocking & both) != both, RULE_N_STI_MOV_SS);
	want(c, !(blocking & BLOCKING_STI) || (c->field[FIELD_GUEST_RFLAGS] & RFLAGS_IF),
	     RULE_N_STI_IF);
	want(c, !injects(c, INTR_EXTERNAL) || !(blocking & both), RULE_N_INTERRUPT);
	if (injects(c, INTR_NMI)) {
		want(c, !(blocking & BLOCKING_MOV_SS), RULE_N_NMI_MOV_SS);
		want(c, !virtual_nmis || !(blocking & BLOCKING_NMI), RULE_N_NMI);
	}
	if (blocking & IN_ENCLAVE)
		want(c, c->s->cpu->sgx && !(blocking & BLOCKING_MOV_SS), RULE_N_ENCLAVE);
}

static void check_pending(const struct check *c)
{
	uint64_t pending = c->field[FIELD_GUEST_PENDING_DEBUG];
	uint64_t blocking = c->field[FIELD_GUEST_INTERRUPTIBILITY];
	bool single_step = (c->field[FIELD_GUEST_RFLAGS] & RFLAGS_TF) &&
			   !(c->field[FIELD_GUEST_DEBUGCTL] & DEBUGCTL_BTF);

	want(c, !(pending & PENDING_RESERVED), RULE_N_PENDING);
	if ((blocking & (BLOCKING_STI | BLOCKING_MOV_SS)) ||
	    c->field[FIELD_GUEST_ACTIVITY] == HLT) {
		want(c, !single_step || (pending & PENDING_BS), RULE_N_BS_1);
		want(c, single_step || !(pending & PENDING_BS), RULE_N_BS_0);
	}
	if (pending & PENDING_RTM)
		want(c,
		     pending == (PENDING_RTM | PENDING_ENABLED) && c->s->cpu->rtm &&
			     !(blocking & BLOCKING_MOV_SS),
		     RULE_N_RTM);
}

#define NO_LINK	    UINT64_MAX
#define SHADOW_VMCS BIT(31)

static void check_link(const struct check *c)
{
	uint64_t link = c->field[FIELD_VMCS_LINK_POINTER];
	bool shadowing = entry_on(c->s, ENTRY_BIT(CONTROL_PROC2, PROC2_SHADOWING));
	uint32_t word, expected = (uint32_t)(c->s->cpu->caps->basic & BITS(30, 0));

	if (link == NO_LINK)
		return;
	if (!entry_physical(c->s->cpu, link, 12)) {
		want(c, false, RULE_N_LINK);
		return;
	}
	expected |= shadowing ? SHADOW_VMCS : 0;
	if (c->s->read(c->s->ctx, link, &word, sizeof(word)))
		want(c, word == expected, RULE_N_LINK_REVISION);
	want(c, link != c->s->vmcs, RULE_N_LINK_CURRENT);
}

/* PDPTEs. */

#define PDPTE_P BIT(0)

static bool pdpte_sound(const struct check *c, uint64_t pdpte)
{
	uint64_t reserved = BITS(2, 1) | BITS(8, 5);

	return !(pdpte & PDPTE_P) || (!(pdpte & reserved) && !(pdpte >> c->s->cpu->physical_bits));
}

static void check_pdptes(struct check *c)
{
	bool pae = (c->field[FIELD_GUEST_CR0] & CR0_PG) && (c->field[FIELD_GUEST_CR4] & CR4_PAE);
	bool ept = entry_on(c->s, ENTRY_BIT(CONTROL_PROC2, PROC2_EPT));
	uint64_t table[4] = {0};

	if (c->ia32e || !pae)
		return;
	if (!ept &&
	    !c->s->read(c->s->ctx, c->field[FIELD_GUEST_CR3] & BITS(31, 5), table, sizeof(table)))
		return;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t pdpte = ept ? c->field[FIELD_GUEST_PDPTE0 + i] : table[i];

		c->index = ept ? i : 0;
		want(c, pdpte_sound(c, pdpte), ept ? RULE_P_FIELD : RULE_P_MEMORY);
	}
}

void entry_check_guest(const struct entry_state *state, struct entry_findings *findings)
{
	struct check c = {
		.s = state,
		.f = findings,
		.field = state->field,
		.unrestricted = entry_on(state, UNRESTRICTED),
		.ia32e = entry_on(state, IA32E),
		.virtual_8086 = state->field[FIELD_GUEST_RFLAGS] & RFLAGS_VM,
		.real = !(state->field[FIELD_GUEST_CR0] & CR0_PE),
	};

	check_registers(&c);
	for (unsigned i = SEGMENT_ES; i <= VMCS_SEGMENT_TR; i++)
		check_segment(&c, i);
	c.index = 0;
	check_flags(&c);
	check_activity(&c);
	check_blocking(&c);
	check_pending(&c);
	check_link(&c);
	check_pdptes(&c);
}

/* MSRs to load. */

struct msr_entry {
	uint32_t index, reserved;
	uint64_t value;
};

#define MSR_ENTRIES_MAX	    512 /* what MISC recommends at most, when its field is 0 */
#define MSR_BIOS_UPDATE	    0x79
#define MSR_SMM_MONITOR_CTL 0x9b

/* Those that no entry loads: FS and GS bases, the x2APIC's, and what is for SMM or microcode. */
static bool msr_loadable(uint32_t index)
{
	return index != MSR_FS_BASE && index != MSR_GS_BASE &&
	       index >> 8 != MSR_X2APIC_FIRST >> 8 && index != MSR_SMM_MONITOR_CTL &&
	       index != MSR_BIOS_UPDATE && index != MSR_BIOS_SIGN_ID;
}

/* As far as it is known here; WRMSR's own checks are the CPU's. */
static bool msr_value_sound(const struct entry_cpu *cpu, const struct msr_entry *entry)
{
	switch (entry->index) {
	case MSR_SYSENTER_ESP:
	case MSR_SYSENTER_EIP:
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_KERNEL_GS_BASE: return entry_canonical(cpu, entry->value);
	case MSR_EFER: return !(entry->value & ~cpu->efer);
	default: return true;
	}
}

/* The first entry that is wrong, for the CPU goes no further. */
void entry_check_msrs(const struct entry_state *state, struct entry_findings *findings)
{
	uint64_t address = state->field[FIELD_ENTRY_MSR_LOAD];
	uint64_t count = MIN(state->field[FIELD_ENTRY_MSR_LOAD_COUNT], MSR_ENTRIES_MAX);
	unsigned before = findings->count;

	for (unsigned i = 0; i < count && findings->count == before; i++) {
		struct msr_entry entry;

		if (!state->read(state->ctx, address + i * sizeof(entry), &entry, sizeof(entry)))
			return;
		if (!msr_loadable(entry.index))
			entry_find(findings, RULE_M_INDEX, 0);
		else if (entry.reserved)
			entry_find(findings, RULE_M_RESERVED, 0);
		else if (!msr_value_sound(state->cpu, &entry))
			entry_find(findings, RULE_M_VALUE, 0);
	}
}
