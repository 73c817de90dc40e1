/* SPDX-License-Identifier: MIT */
/*
 * Known differences between the SDM, which vmx/entry_check.h follows, and the CPU that Bochs 2.7
 * is.
 * docs/entry-check.md has them with who is right.
 */
#include "tests/mutants/mutants.h"

#include "arch/x86_64/cpu.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/x86.h"
#include "vmx/events.h"

#define TYPE(rights)	 bits_get(rights, 3, 0)
#define DPL(rights)	 bits_get(rights, 6, 5)
#define RPL(selector)	 ((selector)&3)
#define RIGHTS_L	 BIT(13)
#define PENDING_RESERVED (BITS(31, 17) | BIT(15) | BIT(13) | BITS(11, 4))

#define F(name)		 s->field[FIELD_##name]

bool memory_unread;

/* Rules that this CPU does not check, or only in part. */

static bool never(const struct entry_state *s)
{
	(void)s;
	return true;
}

static bool low_half_sound(const struct entry_state *s)
{
	return !(F(GUEST_PENDING_DEBUG) & PENDING_RESERVED);
}

/* A 64-bit guest may have a null SS: this CPU takes its RPL for a sign of that. */
static bool null_stack(const struct entry_state *s)
{
	return entry_on(s, ENTRY_BIT(CONTROL_ENTRY, ENTRY_IA32E)) &&
	       (F(GUEST_CS_RIGHTS) & RIGHTS_L) && !RPL(F(GUEST_SS_SELECTOR));
}

static bool type_7(const struct entry_state *s)
{
	return INTR_TYPE(F(ENTRY_INTR_INFO)) == INTR_OTHER;
}

#define CPUID_1_ECX_X2APIC BIT(21)

/* The area is ours, so it can be read. */
static bool x2apic_msr_without_x2apic(const struct entry_state *s)
{
	uint32_t index = *(const uint32_t *)F(ENTRY_MSR_LOAD);

	return index >= MSR_X2APIC_FIRST && index <= MSR_X2APIC_LAST &&
	       !(cpuid(1, 0).ecx & CPUID_1_ECX_X2APIC);
}

static bool real_mode(const struct entry_state *s)
{
	return !(F(GUEST_CR0) & CR0_PE);
}

/* HLT takes any event, shutdown any whose vector is that of #MC. */
static bool event_by_vector(const struct entry_state *s)
{
	return F(GUEST_ACTIVITY) == 1 ||
	       (F(GUEST_ACTIVITY) == 2 && INTR_VECTOR(F(ENTRY_INTR_INFO)) == VECTOR_MC);
}

static const struct missing {
	enum entry_rule rule;
	bool (*here)(const struct entry_state *s);
	const char *what;
} missing[] = {
	{RULE_G_DEBUGCTL, never, "reserved bits of IA32_DEBUGCTL are not checked"},
	{RULE_N_PENDING, low_half_sound,
	 "bits 63:32 of the pending debug exceptions are not checked"},
	{RULE_R_RIP_64, never, "RIP's bits beyond linear addresses are not checked"},
	{RULE_S_CS_DPL, never, "CS.DPL is not compared with SS.DPL"},
	{RULE_N_NMI, never, "NMI into a guest that blocks NMIs is not refused"},
	{RULE_EVENT_TYPE, never, "event type 7 is not refused without the monitor trap flag"},
	{RULE_EVENT_VECTOR, type_7, "nor is its vector looked at"},
	{RULE_N_EVENT, event_by_vector, "HLT and shutdown take events that they should not"},
	{RULE_N_BS_0, never, "a single step that is pending without TF is not refused"},
	{RULE_N_BS_1, never, "nor TF without a single step that is pending"},
	{RULE_R_VM, real_mode, "RFLAGS.VM goes without CR0.PE"},
	{RULE_G_LONG_PG, never, "'IA-32e mode guest' goes without CR0.PG"},
	{RULE_H_PERF, never, "the host's IA32_PERF_GLOBAL_CTRL is not checked"},
	{RULE_G_PERF, never, "nor is the guest's"},
	{RULE_M_INDEX, x2apic_msr_without_x2apic, "x2APIC MSRs load on a CPU without x2APIC"},
	{RULE_TO_SMM, never, "'entry to SMM' is no invalid control"},
};

/* What it refuses beyond the SDM's rules. */

static bool cs_rpl(const struct entry_state *s)
{
	uint64_t dpl = DPL(F(GUEST_CS_RIGHTS)), rpl = RPL(F(GUEST_CS_SELECTOR));

	if (F(GUEST_RFLAGS) & RFLAGS_VM)
		return false;
	switch (TYPE(F(GUEST_CS_RIGHTS))) {
	case 9:
	case 11: return rpl != dpl;
	case 13:
	case 15: return rpl < dpl;
	default: return false;
	}
}

static bool to_smm(const struct entry_state *s)
{
	return entry_on(s, ENTRY_BIT(CONTROL_ENTRY, ENTRY_SMM));
}

/* The SDM lets a CPU do so. */
static bool nmi_after_sti(const struct entry_state *s)
{
	return (F(ENTRY_INTR_INFO) & INTR_VALID) && INTR_TYPE(F(ENTRY_INTR_INFO)) == INTR_NMI &&
	       (F(GUEST_INTERRUPTIBILITY) & BLOCKING_STI);
}

static const struct extra {
	bool (*here)(const struct entry_state *s);
	enum entry_group group;
	const char *what;
} extra[] = {
	{cs_rpl, REFUSED_GUEST, "CS.DPL is compared with CS.RPL"},
	{nmi_after_sti, REFUSED_GUEST, "an NMI is refused after STI"},
	{to_smm, REFUSED_GUEST, "'entry to SMM' is refused as guest state"},
};

static uint64_t missing_seen[ARRAY_SIZE(missing) + 1], extra_seen[ARRAY_SIZE(extra)], unread_seen;

#define SS_RULE (ARRAY_SIZE(missing))

static bool is_of_stack(const struct entry_finding *f)
{
	return f->field[0] == FIELD_GUEST_SS_RIGHTS || f->field[0] == FIELD_GUEST_SS_BASE;
}

static int missing_of(const struct entry_state *s, const struct entry_finding *f)
{
	unsigned rule = f->rule;

	if (is_of_stack(f) && null_stack(s) && rule != RULE_S_SS_DPL && rule != RULE_S_SS_DPL_0)
		return (int)SS_RULE;
	for (unsigned i = 0; i < ARRAY_SIZE(missing); i++)
		if (missing[i].rule == rule && missing[i].here(s))
			return (int)i;
	return -1;
}

bool known_explains(const struct entry_state *s, const struct entry_findings *f,
		    enum outcome outcome)
{
	uint32_t missing_used = 0, extra_used = 0;
	unsigned groups = 0;

	for (unsigned i = 0; i < f->count; i++) {
		int known = missing_of(s, &f->list[i]);

		if (known < 0)
			groups |= 1u << entry_rule_group((enum entry_rule)f->list[i].rule);
		else
			missing_used |= 1u << known;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(extra); i++)
		if (extra[i].here(s)) {
			groups |= 1u << extra[i].group;
			extra_used |= 1u << i;
		}
	if (!(outcomes(groups) & 1u << outcome)) {
		unread_seen += memory_unread;
		return memory_unread;
	}
	for (unsigned i = 0; i <= SS_RULE; i++)
		missing_seen[i] += missing_used >> i & 1;
	for (unsigned i = 0; i < ARRAY_SIZE(extra); i++)
		extra_seen[i] += extra_used >> i & 1;
	return true;
}

/* It panics when it loads what it should have refused: long mode without CR0.PE. */
bool known_to_end_it(const struct entry_state *s)
{
	return entry_on(s, ENTRY_BIT(CONTROL_ENTRY, ENTRY_IA32E)) && !(F(GUEST_CR0) & CR0_PE);
}

void known_report(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(missing); i++)
		log_info("known: %lu: %s", missing_seen[i], missing[i].what);
	for (unsigned i = 0; i < ARRAY_SIZE(extra); i++)
		log_info("known: %lu: %s", extra_seen[i], extra[i].what);
	log_info("known: %lu: SS of RPL 0 in 64-bit mode is not checked", missing_seen[SS_RULE]);
	log_info("known: %lu: memory that cannot be read here decides", unread_seen);
}
