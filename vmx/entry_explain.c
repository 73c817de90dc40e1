/* SPDX-License-Identifier: MIT */
/* Reads what vmx/entry_check.h judges, and says what it finds. */
#include "vmx/entry_explain.h"

#include "arch/x86_64/cpu.h"
#include "lib/log.h"
#include "lib/string.h"
#include "lib/x86.h"
#include "vm/outbuf.h"
#include "vm/postmortem.h"
#include "vmx/caps.h"
#include "vmx/events.h"
#include "vmx/vmcs.h"

#define CPUID_7_EBX_SGX	     BIT(2)
#define CPUID_7_EBX_RTM	     BIT(11)
#define CPUID_7_ECX_BUS_LOCK BIT(24)
#define MSR_VMX_VMFUNC	     0x491
/* IA32_DEBUGCTL: LBR, BTF, and from TR to FREEZE_WHILE_SMM. */
#define DEBUGCTL_ALWAYS	  (BITS(1, 0) | BITS(14, 6))
#define DEBUGCTL_BUS_LOCK BIT(2)
#define DEBUGCTL_RTM	  BIT(15)
#define LEAF_PERF	  10

/* Counters that IA32_PERF_GLOBAL_CTRL enables: general ones from bit 0, fixed ones from bit 32. */
static uint64_t perf_global(void)
{
	struct cpuid leaf = cpuid(LEAF_PERF, 0);
	unsigned general = (unsigned)bits_get(leaf.eax, 15, 8);
	unsigned fixed = (unsigned)bits_get(leaf.edx, 4, 0);

	if (cpuid(0, 0).eax < LEAF_PERF || general > 32)
		return 0;
	return (BIT(general) - 1) | (BIT(fixed) - 1) << 32;
}

void entry_read_cpu(struct entry_cpu *cpu)
{
	struct cpuid seven = cpuid_leaf7(), sizes = cpuid(0x80000008, 0);

	*cpu = (struct entry_cpu){
		.caps = vmx_caps(),
		.debugctl = DEBUGCTL_ALWAYS,
		.efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE,
		.perf_global = perf_global(),
		.physical_bits = (uint8_t)sizes.eax,
		.linear_bits = (uint8_t)(sizes.eax >> 8),
		.rtm = seven.ebx & CPUID_7_EBX_RTM,
		.sgx = seven.ebx & CPUID_7_EBX_SGX,
	};
	if (cpu->rtm)
		cpu->debugctl |= DEBUGCTL_RTM;
	if (seven.ecx & CPUID_7_ECX_BUS_LOCK)
		cpu->debugctl |= DEBUGCTL_BUS_LOCK;
	if (cpu->caps->capability[CONTROL_PROC2] >> 32 & PROC2_VM_FUNCTIONS)
		cpu->vm_functions = rdmsr(MSR_VMX_VMFUNC);
}

void entry_read_fields(struct entry_state *state)
{
	for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
		if (!vmcs_try_read(vmcs_field_at((enum vmcs_index)i), &state->field[i]))
			state->field[i] = 0;
}

/* The virtual-APIC page; Socle uses nothing else in memory that a rule is about. */
static bool read_apic_page(void *ctx, uint64_t address, void *to, size_t length)
{
	const struct vmx_vcpu *v = ctx;
	uint64_t page = (uint64_t)v->vcpu.vm->apic_page[v->vcpu.id];

	if (!page || address < page || !range_within(address - page, length, PAGE_SIZE))
		return false;
	memcpy(to, (const void *)address, length);
	return true;
}

/* Names of bits; of a segment's rights what it is. */
static void put_meaning(struct outbuf *out, unsigned index, uint64_t value)
{
	static const struct {
		uint8_t index, which;
	} registers[] = {
		{FIELD_GUEST_RFLAGS, POSTMORTEM_RFLAGS}, {FIELD_GUEST_CR0, POSTMORTEM_CR0},
		{FIELD_HOST_CR0, POSTMORTEM_CR0},	 {FIELD_GUEST_CR4, POSTMORTEM_CR4},
		{FIELD_HOST_CR4, POSTMORTEM_CR4},	 {FIELD_GUEST_EFER, POSTMORTEM_EFER},
		{FIELD_HOST_EFER, POSTMORTEM_EFER},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(registers); i++)
		if (registers[i].index == index)
			postmortem_flags((enum postmortem_register)registers[i].which, value, out);
	if (index >= FIELD_GUEST_ES_RIGHTS && index <= FIELD_GUEST_TR_RIGHTS)
		outbuf_print(out, " type %lu S %lu DPL %lu P %lu G %lu%s", bits_get(value, 3, 0),
			     bits_get(value, 4, 4), bits_get(value, 6, 5), bits_get(value, 7, 7),
			     bits_get(value, 15, 15), value & RIGHTS_UNUSABLE ? " unusable" : "");
	if (index == FIELD_ENTRY_INTR_INFO && (value & INTR_VALID))
		outbuf_print(out, " type %lu vector %lu", INTR_TYPE(value), bits_get(value, 7, 0));
}

/* Of a control word: which of its bits are not as the CPU allows. */
static void put_wrong_bits(struct outbuf *out, const struct entry_state *s, enum entry_rule rule,
			   unsigned field)
{
	enum control_word word;
	uint32_t value = (uint32_t)s->field[field], wrong;

	if (!entry_rule_word(rule, &word))
		return;
	wrong = entry_wrong_bits(s->cpu, word, value);
	for (unsigned bit = 0; bit < 32; bit++)
		if (wrong >> bit & 1)
			outbuf_print(out, ", bit %u '%s' must be %d", bit, control_name(word, bit),
				     !(value >> bit & 1));
}

/* "PG needs PE: GUEST_CR0 0x80000030 (NE PG); SDM: Checks on ..." */
static void say(const struct entry_state *s, const struct entry_finding *f)
{
	enum entry_rule rule = (enum entry_rule)f->rule;
	char rule_text[80], text[400];
	struct outbuf out;

	entry_rule_text(rule, rule_text, sizeof(rule_text));
	outbuf_init(&out, text, sizeof(text) - 1);
	for (unsigned i = 0; i < ARRAY_SIZE(f->field) && f->field[i] != ENTRY_NO_FIELD; i++) {
		unsigned index = f->field[i];

		outbuf_print(&out, "%s%s%s 0x%lx", i ? ", " : "",
			     vmcs_name_prefix((enum vmcs_index)index),
			     vmcs_name((enum vmcs_index)index), s->field[index]);
		put_meaning(&out, index, s->field[index]);
	}
	outbuf_print(&out, ": %s", rule_text);
	put_wrong_bits(&out, s, rule, f->field[0]);
	text[out.length] = '\0';
	log_error("  %s (SDM: %s)", text, entry_rule_section(rule));
}

bool entry_explain(struct vmx_vcpu *v)
{
	struct entry_cpu cpu;
	struct entry_state state = {.cpu = &cpu, .vmcs = v->vmcs, .read = read_apic_page, .ctx = v};
	struct entry_findings findings;

	entry_read_cpu(&cpu);
	entry_read_fields(&state);
	entry_check(&state, &findings);
	if (findings.count)
		log_error("VM %s: vCPU %u: rules of VM entry that its VMCS breaks:",
			  v->vcpu.vm->config->name, v->vcpu.id);
	for (unsigned i = 0; i < findings.count; i++)
		say(&state, &findings.list[i]);
	return findings.count != 0;
}

static bool check_always;
static enum entry_spoil spoil;

void entry_set_options(bool always, enum entry_spoil what)
{
	check_always = always;
	spoil = what;
}

bool entry_wants_attention(void)
{
	return check_always || spoil != SPOIL_NONE;
}

bool entry_prepare(struct vmx_vcpu *v)
{
	static const struct {
		uint16_t encoding;
		uint32_t value;
	} spoilers[] = {
		[SPOIL_CONTROLS] = {0x4000, PIN_VIRTUAL_NMI}, /* PIN_CONTROLS */
		[SPOIL_HOST] = {0x0c0c, 0},		      /* HOST_TR_SELECTOR */
		[SPOIL_GUEST] = {0x6820, RFLAGS_VM},	      /* GUEST_RFLAGS */
	};

	if (spoil)
		vmcs_write((vmcs_field){spoilers[spoil].encoding}, spoilers[spoil].value);
	return !check_always || !entry_explain(v);
}
