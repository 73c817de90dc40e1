/* SPDX-License-Identifier: MIT */
/*
 * The checks at VM entry that are alike, driven by the table of rules, and those of controls and
 * host state. "Checks on VMX Controls and Host-State Area".
 */
#include "vmx/entry_check.h"

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/words.h"
#include "lib/x86.h"
#include "vmx/caps.h"
#include "vmx/events.h"

#define ALWAYS	    0xff
#define VTPR_OFFSET 0x80 /* in the virtual-APIC page */
/* A control in a byte: its word, and its bit. */
#define PIN(name)   ENTRY_BIT(CONTROL_PIN, PIN_##name)
#define PROC(name)  ENTRY_BIT(CONTROL_PROC, PROC_##name)
#define PROC2(name) ENTRY_BIT(CONTROL_PROC2, PROC2_##name)
#define EXIT(name)  ENTRY_BIT(CONTROL_EXIT, EXIT_##name)
#define ENTRY(name) ENTRY_BIT(CONTROL_ENTRY, ENTRY_##name)

#define SECTIONS(X)                                                                             \
	X(EXECUTION, REFUSED_CONTROLS, "VM-Execution Control Fields")                           \
	X(EXITS, REFUSED_CONTROLS, "VM-Exit Control Fields")                                    \
	X(ENTRIES, REFUSED_CONTROLS, "VM-Entry Control Fields")                                 \
	X(HOST_REGISTERS, REFUSED_HOST, "Checks on Host Control Registers, MSRs, and SSP")      \
	X(HOST_SEGMENTS, REFUSED_HOST, "Checks on Host Segment and Descriptor-Table Registers") \
	X(HOST_SIZE, REFUSED_HOST, "Checks Related to Address-Space Size")                      \
	X(GUEST_REGISTERS, REFUSED_GUEST,                                                       \
	  "Checks on Guest Control Registers, Debug Registers, and MSRs")                       \
	X(GUEST_SEGMENTS, REFUSED_GUEST, "Checks on Guest Segment Registers")                   \
	X(GUEST_TABLES, REFUSED_GUEST, "Checks on Guest Descriptor-Table Registers")            \
	X(GUEST_RIP, REFUSED_GUEST, "Checks on Guest RIP, RFLAGS, and SSP")                     \
	X(GUEST_OTHER, REFUSED_GUEST, "Checks on Guest Non-Register State")                     \
	X(GUEST_PDPTES, REFUSED_GUEST, "Checks on Guest Page-Directory-Pointer-Table Entries")  \
	X(LOADING, REFUSED_MSRS, "Loading MSRs")

enum section {
#define SECTION_ID(id, group, title) SECTION_##id,
	SECTIONS(SECTION_ID)
#undef SECTION_ID
};

static const uint8_t groups[] = {
#define SECTION_GROUP(id, group, title) group,
	SECTIONS(SECTION_GROUP)
#undef SECTION_GROUP
};

#define SECTION_TITLE(id, group, title) title "\0"
static const char titles[] = SECTIONS(SECTION_TITLE);
#undef SECTION_TITLE

/* The words are formats, of two controls' names or two numbers. */
#define KINDS(X)                                            \
	X(CODE, "")                                         \
	X(CAPABILITY, "the CPU does not allow these bits")  \
	X(ADDRESS, "want low bits 0, below MAXPHYADDR")     \
	X(AREA, "want 16-byte alignment, below MAXPHYADDR") \
	X(ZERO, "bits %u:%u must be 0")                     \
	X(ONE, "")                                          \
	X(NONZERO, "must not be 0")                         \
	X(CANONICAL, "must be canonical")                   \
	X(NEEDS, "'%s' needs '%s'")                         \
	X(EXCLUDES, "'%s' excludes '%s'")                   \
	X(NEVER, "'%s' is for SMM")                         \
	X(FIXED_CR0, "VMX fixes other bits")                \
	X(FIXED_CR4, "VMX fixes other bits")                \
	X(PAT, "an entry is no memory type")                \
	X(EFER, "reserved bits must be 0")                  \
	X(PERF, "reserved bits must be 0")                  \
	X(CET, "reserved bits, or no canonical address")

enum kind {
#define KIND_ID(id, text) KIND_##id,
	KINDS(KIND_ID)
#undef KIND_ID
};

#define KIND_TEXT(id, text) text "\0"
static const char kinds[] = KINDS(KIND_TEXT);
#undef KIND_TEXT

static const struct rule {
	uint8_t section, kind, when, field, a, b;
} rules[] = {
#define FIELD_NONE ENTRY_NO_FIELD
#define RULE_ROW(id, section, kind, when, field, a, b, text)                                    \
	{SECTION_##section,	   KIND_##kind, when, FIELD_##field, RULE_##kind##_ARGUMENT(a), \
	 RULE_##kind##_ARGUMENT(b)},
#define RULE_CODE_ARGUMENT(x)	    FIELD_##x
#define RULE_CAPABILITY_ARGUMENT(x) x
#define RULE_ADDRESS_ARGUMENT(x)    x
#define RULE_AREA_ARGUMENT(x)	    x
#define RULE_ZERO_ARGUMENT(x)	    x
#define RULE_ONE_ARGUMENT(x)	    x
#define RULE_NONZERO_ARGUMENT(x)    x
#define RULE_CANONICAL_ARGUMENT(x)  x
#define RULE_NEEDS_ARGUMENT(x)	    x
#define RULE_EXCLUDES_ARGUMENT(x)   x
#define RULE_NEVER_ARGUMENT(x)	    x
#define RULE_FIXED_CR0_ARGUMENT(x)  x
#define RULE_FIXED_CR4_ARGUMENT(x)  x
#define RULE_PAT_ARGUMENT(x)	    x
#define RULE_EFER_ARGUMENT(x)	    x
#define RULE_PERF_ARGUMENT(x)	    x
#define RULE_CET_ARGUMENT(x)	    x
	ENTRY_RULES(RULE_ROW)};
_Static_assert(VMCS_FIELD_COUNT < ENTRY_NO_FIELD, "a field's index is a byte");

/* The words of each rule, one after another, each ended by a NUL. */
static const char texts[] =
#define RULE_TEXT(id, section, kind, when, field, a, b, text) text "\0"
	ENTRY_RULES(RULE_TEXT)
#undef RULE_TEXT
	;

enum entry_group entry_rule_group(enum entry_rule rule)
{
	return (enum entry_group)groups[rules[rule].section];
}

const char *entry_rule_section(enum entry_rule rule)
{
	return word_at(titles, rules[rule].section);
}

static const char *control(unsigned code)
{
	return control_name((enum control_word)(code / 32), code % 32);
}

void entry_rule_text(enum entry_rule rule, char *text, size_t size)
{
	const struct rule *r = &rules[rule];
	const char *words = word_at(texts, rule);

	if (!*words)
		words = word_at(kinds, r->kind);
	if (r->kind == KIND_NEEDS || r->kind == KIND_EXCLUDES || r->kind == KIND_NEVER)
		format(text, size, words, control(r->when), control(r->a));
	else
		format(text, size, words, r->a, r->b);
}

bool entry_rule_word(enum entry_rule rule, enum control_word *word)
{
	*word = (enum control_word)rules[rule].a;
	return rules[rule].kind == KIND_CAPABILITY;
}

uint32_t entry_wrong_bits(const struct entry_cpu *cpu, enum control_word word, uint32_t value)
{
	uint64_t capability = cpu->caps->capability[word];

	return ((uint32_t)capability & ~value) | (value & ~(uint32_t)(capability >> 32));
}

bool entry_on(const struct entry_state *state, unsigned code)
{
	static const uint8_t word[CONTROLS] = {
		[CONTROL_PIN] = FIELD_PIN_CONTROLS,	[CONTROL_PROC] = FIELD_PROC_CONTROLS,
		[CONTROL_PROC2] = FIELD_PROC2_CONTROLS, [CONTROL_EXIT] = FIELD_EXIT_CONTROLS,
		[CONTROL_ENTRY] = FIELD_ENTRY_CONTROLS,
	};

	if (code == ALWAYS)
		return true;
	/* Secondary controls count as 0 unless they are activated. */
	if (code / 32 == CONTROL_PROC2 && !entry_on(state, PROC(SECONDARY)))
		return false;
	return state->field[word[code / 32]] & BIT(code % 32);
}

bool entry_canonical(const struct entry_cpu *cpu, uint64_t address)
{
	unsigned unused = 64 - cpu->linear_bits;

	return (uint64_t)((int64_t)(address << unused) >> unused) == address;
}

bool entry_physical(const struct entry_cpu *cpu, uint64_t address, unsigned bits)
{
	return is_aligned(address, BIT(bits)) && !(address >> cpu->physical_bits);
}

void entry_find(struct entry_findings *findings, enum entry_rule rule, unsigned offset)
{
	const struct rule *r = &rules[rule];
	struct entry_finding *f = &findings->list[findings->count];

	if (findings->count == ENTRY_FINDINGS_MAX)
		return;
	findings->count++;
	*f = (struct entry_finding){
		.rule = (uint8_t)rule,
		.field = {(uint8_t)(r->field + offset),
			  r->kind == KIND_CODE ? r->a : ENTRY_NO_FIELD,
			  r->kind == KIND_CODE ? r->b : ENTRY_NO_FIELD},
	};
	if (r->kind == KIND_AREA)
		f->field[1] = r->a;
}

/* 16 bytes an entry; an area without entries may be anywhere. */
static bool area_sound(const struct entry_cpu *cpu, uint64_t address, uint64_t count)
{
	if (!count)
		return true;
	return entry_physical(cpu, address, 4) && entry_physical(cpu, address + count * 16 - 1, 0);
}

static bool pat_sound(uint64_t pat)
{
	for (unsigned i = 0; i < 8; i++) {
		uint64_t type = bits_get(pat, 8 * i + 7, 8 * i);

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

/* IA32_S_CET: bits 9:6 are reserved, 10 and 11 exclude each other, above 11 is an address. */
static bool cet_sound(const struct entry_cpu *cpu, uint64_t value)
{
	return !(value & BITS(9, 6)) && (value & BITS(11, 10)) != BITS(11, 10) &&
	       entry_canonical(cpu, value & ~BITS(11, 0));
}

/* An unrestricted guest may have PE and PG as it likes; NW and CD are never checked. */
static bool cr0_sound(const struct entry_state *s, enum vmcs_index field)
{
	uint64_t value = s->field[field], must = s->cpu->caps->cr0_fixed0,
		 may = s->cpu->caps->cr0_fixed1;

	if (field == FIELD_GUEST_CR0 && entry_on(s, PROC2(UNRESTRICTED_GUEST)))
		must &= ~(CR0_PE | CR0_PG);
	must &= ~(CR0_NW | CR0_CD);
	may |= CR0_NW | CR0_CD;
	return !(must & ~value) && !(value & ~may);
}

static bool cr4_sound(const struct entry_cpu *cpu, uint64_t value)
{
	return !(cpu->caps->cr4_fixed0 & ~value) && !(value & ~cpu->caps->cr4_fixed1);
}

/* Whether a rule that the table alone describes is kept. */
static bool kept(const struct entry_state *s, const struct rule *r)
{
	const struct entry_cpu *cpu = s->cpu;
	uint64_t value = s->field[r->field];

	if (!entry_on(s, r->when))
		return true;
	switch ((enum kind)r->kind) {
	case KIND_CODE: return true;
	case KIND_CAPABILITY:
		return !entry_wrong_bits(cpu, (enum control_word)r->a, (uint32_t)value);
	case KIND_ADDRESS: return entry_physical(cpu, value, r->a);
	case KIND_AREA: return area_sound(cpu, value, s->field[r->a]);
	case KIND_ZERO: return !(value & BITS(r->a, r->b));
	case KIND_ONE: return (value & BITS(r->a, r->b)) == BITS(r->a, r->b);
	case KIND_NONZERO: return value != 0;
	case KIND_CANONICAL: return entry_canonical(cpu, value);
	case KIND_NEEDS: return entry_on(s, r->a);
	case KIND_EXCLUDES: return !entry_on(s, r->a);
	case KIND_NEVER: return false;
	case KIND_FIXED_CR0: return cr0_sound(s, (enum vmcs_index)r->field);
	case KIND_FIXED_CR4: return cr4_sound(cpu, value);
	case KIND_PAT: return pat_sound(value);
	case KIND_EFER: return !(value & ~cpu->efer);
	case KIND_PERF: return !(value & ~cpu->perf_global);
	case KIND_CET: return cet_sound(cpu, value);
	}
	return true;
}

static void check_table(const struct entry_state *s, struct entry_findings *f,
			enum entry_group group)
{
	for (unsigned i = 0; i < RULE_COUNT; i++)
		if (groups[rules[i].section] == group && !kept(s, &rules[i]))
			entry_find(f, (enum entry_rule)i, 0);
}

/* A rule that only code can check. */
static void want(bool good, struct entry_findings *f, enum entry_rule rule)
{
	if (!good)
		entry_find(f, rule, 0);
}

/* "VM-Execution Control Fields": the virtual TPR's class against the threshold. */
static void check_threshold(const struct entry_state *s, struct entry_findings *f)
{
	uint64_t threshold = s->field[FIELD_TPR_THRESHOLD];
	uint8_t vtpr;

	if (!entry_on(s, PROC(TPR_SHADOW)) || entry_on(s, PROC2(INTERRUPTS)))
		return;
	want(!(threshold & BITS(31, 4)), f, RULE_THRESHOLD);
	if (entry_on(s, PROC2(APIC_ACCESSES)) ||
	    !s->read(s->ctx, s->field[FIELD_VIRTUAL_APIC] + VTPR_OFFSET, &vtpr, 1))
		return;
	want((threshold & BITS(3, 0)) <= vtpr >> 4, f, RULE_THRESHOLD_VTPR);
}

static void check_ept_pointer(const struct entry_state *s, struct entry_findings *f)
{
	uint64_t eptp = s->field[FIELD_EPT_POINTER], cap = s->cpu->caps->ept_vpid;
	uint64_t type = bits_get(eptp, 2, 0), length = bits_get(eptp, 5, 3);
	uint64_t reserved = BITS(11, 8);

	if (!entry_on(s, PROC2(EPT)))
		return;
	want((type == MEMORY_UC && (cap & EPT_CAP_UNCACHED)) ||
		     (type == MEMORY_WB && (cap & EPT_CAP_WRITE_BACK)),
	     f, RULE_EPTP_TYPE);
	want((length == 3 && (cap & EPT_CAP_WALK_4)) || (length == 4 && (cap & EPT_CAP_WALK_5)), f,
	     RULE_EPTP_LENGTH);
	if (!(cap & EPT_CAP_DIRTY))
		reserved |= BIT(6);
	if (!(cap & EPT_CAP_SHADOW_STACKS))
		reserved |= BIT(7);
	want(!(eptp & reserved) && !(eptp >> s->cpu->physical_bits), f, RULE_EPTP_RESERVED);
}

#define FUNCTION_EPTP_SWITCHING BIT(0)

static void check_functions(const struct entry_state *s, struct entry_findings *f)
{
	uint64_t functions = s->field[FIELD_VM_FUNCTIONS];

	if (!entry_on(s, PROC2(VM_FUNCTIONS)))
		return;
	want(!(functions & ~s->cpu->vm_functions), f, RULE_FUNCTIONS_RESERVED);
	if (!(functions & FUNCTION_EPTP_SWITCHING))
		return;
	want(entry_on(s, PROC2(EPT)), f, RULE_FUNCTIONS_EPT);
	want(entry_physical(s->cpu, s->field[FIELD_EPTP_LIST], 12), f, RULE_FUNCTIONS_LIST);
}

/* The exceptions that push an error code. */
#define ERROR_CODE_VECTORS                                                                    \
	(BIT(VECTOR_DF) | BIT(VECTOR_TS) | BIT(VECTOR_NP) | BIT(VECTOR_SS) | BIT(VECTOR_GP) | \
	 BIT(VECTOR_PF) | BIT(VECTOR_AC))
#define BASIC_ANY_ERROR_CODE BIT(56) /* a hardware exception may have one or not */
#define MISC_LENGTH_0	     BIT(30)

static bool event_vector_sound(unsigned type, unsigned vector)
{
	switch (type) {
	case INTR_NMI: return vector == VECTOR_NMI;
	case INTR_EXCEPTION: return vector < 32;
	case INTR_OTHER: return vector == 0;
	default: return true;
	}
}

/* Whether "deliver error code" is as the event wants it. */
static bool event_error_sound(const struct entry_state *s, uint32_t info)
{
	bool delivers = info & INTR_ERROR_CODE, has_code;

	if (INTR_TYPE(info) != INTR_EXCEPTION)
		return !delivers;
	if (entry_on(s, PROC2(UNRESTRICTED_GUEST)) && !(s->field[FIELD_GUEST_CR0] & CR0_PE))
		return !delivers;
	if (s->cpu->caps->basic & BASIC_ANY_ERROR_CODE)
		return true;
	has_code = INTR_VECTOR(info) < 32 && (ERROR_CODE_VECTORS & BIT(INTR_VECTOR(info)));
	return delivers == has_code;
}

static void check_event(const struct entry_state *s, struct entry_findings *f)
{
	uint32_t info = (uint32_t)s->field[FIELD_ENTRY_INTR_INFO], type = INTR_TYPE(info);
	uint64_t length = s->field[FIELD_ENTRY_INSN_LENGTH];
	bool monitor_trap = s->cpu->caps->capability[CONTROL_PROC] >> 32 & PROC_MONITOR_TRAP;

	if (!(info & INTR_VALID))
		return;
	want(type != INTR_RESERVED && (type != INTR_OTHER || monitor_trap), f, RULE_EVENT_TYPE);
	want(event_vector_sound(type, INTR_VECTOR(info)), f, RULE_EVENT_VECTOR);
	want(event_error_sound(s, info), f, RULE_EVENT_ERROR);
	want(!(info & BITS(30, 12)), f, RULE_EVENT_RESERVED);
	if (info & INTR_ERROR_CODE)
		want(!(s->field[FIELD_ENTRY_ERROR_CODE] & BITS(31, 16)), f, RULE_EVENT_ERROR_CODE);
	if (type >= INTR_SOFTWARE && type <= INTR_SOFTWARE_EXCEPTION)
		want(length <= 15 && (length || (s->cpu->caps->misc & MISC_LENGTH_0)), f,
		     RULE_EVENT_LENGTH);
}

static void check_controls(const struct entry_state *s, struct entry_findings *f)
{
	check_table(s, f, REFUSED_CONTROLS);
	want(s->field[FIELD_CR3_TARGET_COUNT] <= bits_get(s->cpu->caps->misc, 24, 16), f,
	     RULE_CR3_TARGETS);
	check_threshold(s, f);
	check_ept_pointer(s, f);
	check_functions(s, f);
	check_event(s, f);
}

static bool cet_wants_wp(uint64_t cr0, uint64_t cr4)
{
	return (cr4 & CR4_CET) && !(cr0 & CR0_WP);
}

static void check_host(const struct entry_state *s, struct entry_findings *f)
{
	bool host_64bit = entry_on(s, EXIT(HOST_64BIT));
	uint64_t long_mode = host_64bit ? EFER_LMA | EFER_LME : 0;

	check_table(s, f, REFUSED_HOST);
	want(!cet_wants_wp(s->field[FIELD_HOST_CR0], s->field[FIELD_HOST_CR4]), f, RULE_H_CET_WP);
	if (entry_on(s, EXIT(LOAD_EFER)))
		want((s->field[FIELD_HOST_EFER] & (EFER_LMA | EFER_LME)) == long_mode, f,
		     RULE_H_LMA);
	for (unsigned i = FIELD_HOST_ES_SELECTOR; i <= FIELD_HOST_TR_SELECTOR; i++)
		if (s->field[i] & 7)
			entry_find(f, RULE_H_SELECTOR, i - FIELD_HOST_ES_SELECTOR);
	want(host_64bit, f, RULE_H_64BIT);
}

void entry_check(const struct entry_state *state, struct entry_findings *findings)
{
	findings->count = 0;
	check_controls(state, findings);
	check_host(state, findings);
	check_table(state, findings, REFUSED_GUEST);
	want(!cet_wants_wp(state->field[FIELD_GUEST_CR0], state->field[FIELD_GUEST_CR4]), findings,
	     RULE_G_CET_WP);
	entry_check_guest(state, findings);
	entry_check_msrs(state, findings);
}
