/* SPDX-License-Identifier: MIT */
/*
 * The mutation test of the VM-entry checks: sound VMCSs are changed, entered, and what the CPU does
 * is compared with what vmx/entry_check.h says. An image of its own, which runs instead of Socle.
 *
 * No guest executes anything: see docs/entry-check.md for how, and for what is left out.
 */
#ifndef TESTS_MUTANTS_MUTANTS_H
#define TESTS_MUTANTS_MUTANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmx/entry_check.h"

/* Pages that the VMCSs lead to; each is a page of its own, of zeros unless it says otherwise. */
struct pages {
	uint64_t bitmaps; /* two pages; all else that is only read */
	uint64_t apic;
	uint64_t scratch;      /* what a CPU may write to */
	uint64_t msrs, stored; /* entries that an entry loads; that an exit stores and loads */
	uint64_t bad_msrs;     /* entries that cannot */
	uint64_t pdptes;       /* four sound ones */
	uint64_t link;	       /* a VMCS that is not current */
	uint64_t ept;	       /* EPT pointer: all guest-physical memory is one page of HLT */
};

/* A sound VMCS: what differs from the plain 64-bit guest. */
struct base {
	const char *name;
	/* Changes the fields; false: this CPU has no such VMCS. */
	bool (*make)(struct entry_state *state, const struct pages *pages);
};
extern const struct base bases[];
extern const unsigned bases_count;

/* The plain 64-bit guest. */
void base_plain(struct entry_state *state, const struct pages *pages);

enum outcome { ENTERED, ERROR_CONTROLS, ERROR_HOST, FAILED_GUEST, FAILED_MSRS, OTHER };

/* What the CPU may do with a VMCS that breaks these rules: bits of enum outcome. */
unsigned outcomes(unsigned groups);
/* The groups that are broken: bits of enum entry_group. */
unsigned broken_groups(const struct entry_findings *findings);

/*
 * Whether what is known of the CPU at hand explains that it did `outcome`: see known.c. Counts what
 * was needed for that.
 */
bool known_explains(const struct entry_state *state, const struct entry_findings *findings,
		    enum outcome outcome);
/* Whether the machine would end, were this entered. */
bool known_to_end_it(const struct entry_state *state);
/* Set when a rule could not be checked for that; by read_memory. */
extern bool memory_unread;
/* One line for each difference that was seen. */
void known_report(void);

#endif
