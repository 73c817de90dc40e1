/* SPDX-License-Identifier: MIT */
/*
 * The checks that a CPU makes at VM entry, over the values of all fields: which rules are broken.
 * Pure. Intel SDM volume 3, "VM Entries": "Checks on VMX Controls and Host-State Area", "Checking
 * and Loading Guest State", "Loading MSRs".
 *
 * The CPU is in IA-32e mode, outside SMM, and in VMX root operation: rules for others are left out,
 * and so are those of tertiary controls, of secondary exit controls and of FRED.
 */
#ifndef VMX_ENTRY_CHECK_H
#define VMX_ENTRY_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmx/caps.h"
#include "vmx/controls.h"
#include "vmx/entry_rules.h"
#include "vmx/fields.h"

/* How the CPU refuses: VM-instruction errors 7 and 8, exit reasons 33 and 34. */
enum entry_group { REFUSED_CONTROLS, REFUSED_HOST, REFUSED_GUEST, REFUSED_MSRS };

/* What the checks depend on beside the fields. */
struct entry_cpu {
	const struct vmx_caps *caps; /* as read */
	uint64_t vm_functions;
	uint64_t debugctl;    /* bits that IA32_DEBUGCTL has */
	uint64_t efer;	      /* bits that IA32_EFER has */
	uint64_t perf_global; /* bits that IA32_PERF_GLOBAL_CTRL has */
	unsigned physical_bits, linear_bits;
	bool rtm, sgx;
};

struct entry_state {
	const struct entry_cpu *cpu;
	uint64_t field[VMCS_FIELD_COUNT]; /* 0: one that the CPU lacks */
	uint64_t vmcs;			  /* physical */
	/*
	 * Some rules are of what fields lead to. False: that memory cannot be read, and the rule
	 * is taken as kept.
	 */
	bool (*read)(void *ctx, uint64_t address, void *to, size_t length);
	void *ctx;
};

#define ENTRY_NO_FIELD 0xff

/* A broken rule, and the fields that break it: the first, then what it depends on. */
struct entry_finding {
	uint8_t rule;	  /* enum entry_rule */
	uint8_t field[3]; /* enum vmcs_index or ENTRY_NO_FIELD */
};

#define ENTRY_FINDINGS_MAX 24

struct entry_findings {
	const struct entry_state *state;
	unsigned count; /* of those in the list; more are dropped */
	struct entry_finding list[ENTRY_FINDINGS_MAX];
};

/*
 * All broken rules, in the SDM's order. The CPU looks at controls and host state in any order,
 * then at the guest state, then at the MSRs to load.
 */
void entry_check(const struct entry_state *state, struct entry_findings *findings);

/* The group that the CPU refuses for: controls where those and the host are both wrong. */
enum entry_group entry_rule_group(enum entry_rule rule);
/* The SDM's section, by its title. */
const char *entry_rule_section(enum entry_rule rule);
/* The rule in a few words, at most 79 bytes. */
void entry_rule_text(enum entry_rule rule, char *text, size_t size);

/* Of a rule on the reserved bits of a control word: the word, and its bits that are wrong. */
bool entry_rule_word(enum entry_rule rule, enum control_word *word);
uint32_t entry_wrong_bits(const struct entry_cpu *cpu, enum control_word word, uint32_t value);

/* For the checks of the guest state, in entry_guest.c. */
void entry_check_guest(const struct entry_state *state, struct entry_findings *findings);
void entry_check_msrs(const struct entry_state *state, struct entry_findings *findings);
/* A control as the rules name it, and whether it is on. */
#define ENTRY_BIT(word, mask) ((word)*32 + __builtin_ctzll(mask))
bool entry_on(const struct entry_state *state, unsigned control);
/* The field at fault is `offset` after the rule's. */
void entry_find(struct entry_findings *findings, enum entry_rule rule, unsigned offset);
bool entry_canonical(const struct entry_cpu *cpu, uint64_t address);
/* Aligned to 2^bits bytes, and no bit beyond the CPU's physical addresses. */
bool entry_physical(const struct entry_cpu *cpu, uint64_t address, unsigned bits);

#endif
