/* SPDX-License-Identifier: MIT */
/*
 * The checks at VM entry over any values of any fields, on CPUs of all kinds: they end, read little
 * and only what a CPU could address, and name in order, with words and fields, what is broken.
 */
#include <string.h>

#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "vmx/entry_check.h"

#define READS_MAX 520 /* 512 MSRs, and a few structures */
#define READ_MAX  32
#define CHANGES	  64
#define TEXT	  80
#define CPU_WORDS 16

struct memory {
	struct stream in;
	unsigned reads;
};

/* What the input has left, over and over; the first page cannot be read. */
static bool read_memory(void *ctx, uint64_t address, void *to, size_t length)
{
	struct memory *memory = ctx;
	size_t size = (size_t)(memory->in.end - memory->in.at);

	FUZZ_REQUIRE(length && length <= READ_MAX && ++memory->reads <= READS_MAX);
	memset(to, 0, length);
	if (address < PAGE_SIZE)
		return false;
	for (size_t i = 0; size && i < length; i++)
		((uint8_t *)to)[i] = memory->in.at[(address + i) % size];
	return true;
}

static void make_cpu(struct entry_cpu *cpu, struct vmx_caps *caps, struct stream *in)
{
	uint8_t kind = stream_byte(in);

	*caps = (struct vmx_caps){.basic = 0x2b,
				  .misc = 4 << 16 | 7 << 6,
				  .ept_vpid = EPT_CAP_WALK_4 | EPT_CAP_WRITE_BACK | EPT_CAP_DIRTY,
				  .cr0_fixed0 = 0x80000021,
				  .cr0_fixed1 = 0xffffffff,
				  .cr4_fixed0 = 0x2000,
				  .cr4_fixed1 = 0xffffff};
	for (unsigned i = 0; i < CONTROLS; i++)
		caps->capability[i] = UINT64_MAX << 32;
	*cpu = (struct entry_cpu){.caps = caps,
				  .vm_functions = kind & 1,
				  .debugctl = 0xffc3,
				  .efer = 0xd01,
				  .perf_global = 0xf,
				  .physical_bits = 36 + (kind >> 1 & 15),
				  .linear_bits = kind & 0x20 ? 57 : 48,
				  .rtm = kind & 0x40,
				  .sgx = kind & 0x80};
}

/* A guest in 64-bit mode that a CPU would enter. */
static void make_sound(uint64_t *field)
{
	for (unsigned i = 0; i < 8; i++) {
		field[FIELD_GUEST_ES_SELECTOR + i] = 0x10;
		field[FIELD_GUEST_ES_LIMIT + i] = 0xffffffff;
		field[FIELD_GUEST_ES_RIGHTS + i] = 0xc093;
	}
	field[FIELD_GUEST_CS_RIGHTS] = 0xa09b;
	field[FIELD_GUEST_LDTR_RIGHTS] = 0x8082;
	field[FIELD_GUEST_TR_RIGHTS] = 0x808b;
	field[FIELD_PROC_CONTROLS] = PROC_SECONDARY;
	field[FIELD_PROC2_CONTROLS] = PROC2_EPT | PROC2_UNRESTRICTED_GUEST;
	field[FIELD_EXIT_CONTROLS] = EXIT_HOST_64BIT | EXIT_LOAD_EFER;
	field[FIELD_ENTRY_CONTROLS] = ENTRY_IA32E | ENTRY_LOAD_EFER;
	field[FIELD_EPT_POINTER] = 0x4000 | 3 << 3 | 6;
	field[FIELD_GUEST_CR0] = field[FIELD_HOST_CR0] = 0x80010031;
	field[FIELD_GUEST_CR4] = field[FIELD_HOST_CR4] = 0x2020;
	field[FIELD_GUEST_EFER] = field[FIELD_HOST_EFER] = 0x500;
	field[FIELD_HOST_CS_SELECTOR] = 8;
	field[FIELD_HOST_TR_SELECTOR] = 0x18;
	field[FIELD_GUEST_RFLAGS] = 2;
	field[FIELD_VMCS_LINK_POINTER] = UINT64_MAX;
}

/* A field, or a word of what the CPU is said to have: set, or some bits of it changed. */
static void change(struct entry_state *state, struct vmx_caps *caps, struct stream *in)
{
	uint64_t *const words[CPU_WORDS] = {
		&caps->capability[0], &caps->capability[1], &caps->capability[2],
		&caps->capability[3], &caps->capability[4], &caps->basic,
		&caps->misc,	      &caps->ept_vpid,	    &caps->cr0_fixed0,
		&caps->cr0_fixed1,    &caps->cr4_fixed0,    &caps->cr4_fixed1,
	};
	unsigned which = stream_byte(in) % (VMCS_FIELD_COUNT + CPU_WORDS);
	uint8_t how = stream_byte(in);
	uint64_t value = how & 0x80 ? stream_number(in, 8) : stream_number(in, 2) << how % 64;
	uint64_t *to =
		which < VMCS_FIELD_COUNT ? &state->field[which] : words[which - VMCS_FIELD_COUNT];

	if (to)
		*to = how & 0x40 ? value : *to ^ value;
}

static void check_finding(const struct entry_state *state, const struct entry_finding *finding)
{
	enum entry_rule rule = (enum entry_rule)finding->rule;
	enum control_word word;
	char text[TEXT];

	FUZZ_REQUIRE(finding->rule < RULE_COUNT);
	memset(text, '?', sizeof(text));
	entry_rule_text(rule, text, sizeof(text));
	FUZZ_REQUIRE(text[0] && memchr(text, 0, sizeof(text)));
	FUZZ_REQUIRE(entry_rule_section(rule)[0]);
	FUZZ_REQUIRE(finding->field[0] < VMCS_FIELD_COUNT);
	for (unsigned i = 1; i < ARRAY_SIZE(finding->field); i++)
		FUZZ_REQUIRE(finding->field[i] < VMCS_FIELD_COUNT ||
			     finding->field[i] == ENTRY_NO_FIELD);
	if (entry_rule_word(rule, &word))
		FUZZ_REQUIRE(entry_wrong_bits(state->cpu, word,
					      (uint32_t)state->field[finding->field[0]]));
}

void fuzz_entry(const uint8_t *data, size_t size)
{
	static struct entry_state state;
	struct entry_findings findings, again;
	struct stream in = stream_from(data, size);
	struct memory memory;
	struct entry_cpu cpu;
	struct vmx_caps caps;
	uint8_t changes;

	make_cpu(&cpu, &caps, &in);
	state = (struct entry_state){.cpu = &cpu, .vmcs = 0x5000, .read = read_memory};
	state.ctx = &memory;
	changes = stream_byte(&in);
	if (changes & 0x80)
		make_sound(state.field);
	for (unsigned i = 0; i < changes % CHANGES; i++)
		change(&state, &caps, &in);
	memory = (struct memory){.in = in};
	entry_check(&state, &findings);
	FUZZ_REQUIRE(findings.count <= ENTRY_FINDINGS_MAX);
	for (unsigned i = 0; i < findings.count; i++) {
		check_finding(&state, &findings.list[i]);
		FUZZ_REQUIRE(!i ||
			     entry_rule_group((enum entry_rule)findings.list[i].rule) >=
				     entry_rule_group((enum entry_rule)findings.list[i - 1].rule));
	}
	memory.reads = 0;
	entry_check(&state, &again);
	FUZZ_REQUIRE(again.count == findings.count &&
		     !memcmp(again.list, findings.list, findings.count * sizeof(again.list[0])));
}
