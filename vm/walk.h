/* SPDX-License-Identifier: MIT */
/*
 * The guest's own paging: from a linear to a guest-physical address, with the checks, the page
 * fault and the accessed and dirty bits that the CPU would give.
 *
 * Sources: SDM volume 3, chapter 'Paging'. Protection keys, CET shadow stacks and HLAT are not
 * modelled: the CPUID policy hides them, and CR4 refuses their bits.
 */
#ifndef VM_WALK_H
#define VM_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/x86.h"
#include "vm/memory.h"

/* Kind of access, a set of bits; they are the page fault's error code bits as well. */
#define WALK_WRITE  0x02
#define WALK_USER   0x04 /* CPL 3 and not an implicit supervisor access */
#define WALK_FETCH  0x10

#define PF_PRESENT  0x01 /* a protection violation, not an absent page */
#define PF_RESERVED 0x08 /* a reserved bit was set */

/* What the walk depends on. Fields named 'if' need be valid only then. */
struct walk_state {
	uint64_t cr0;	   /* PG always; WP if the access is a supervisor's write */
	uint64_t cr3;	   /* if CR0.PG */
	uint64_t cr4;	   /* if CR0.PG */
	uint64_t efer;	   /* LMA and NXE, if CR0.PG */
	uint64_t pdpte[4]; /* as the CPU has them cached: if PAE paging (CR4.PAE, not EFER.LMA) */
	bool ac;	   /* RFLAGS.AC, if CR4.SMAP and the access is a supervisor's to data */
	uint8_t physical_bits; /* MAXPHYADDR of the guest: 32..52 */
};

/*
 * How a walk came to its result: the entries it read, and what they held. While CR3, CR4, EFER,
 * the access and the page are the same and each entry still holds that, a new walk would have the
 * same result, so it can be spared; nothing has to be invalidated.
 */
struct walk_record {
	unsigned count; /* of entries; 0: nothing was recorded */
	const uint64_t *entry[4];
	uint64_t seen[4];
};

/* False also when nothing was recorded. */
static inline bool walk_unchanged(const struct walk_record *record)
{
	for (unsigned i = 0; i < record->count; i++)
		if (__atomic_load_n(record->entry[i], __ATOMIC_RELAXED) != record->seen[i])
			return false;
	return record->count;
}

/*
 * Translates `linear` (canonical; only the low 32 bits count without EFER.LMA). True: *gpa is
 * the address, accessed and dirty bits are set. False: *error_code is the #PF error code, and
 * nothing was changed in memory but accessed bits. Tables that lie outside RAM read as all ones.
 */
bool walk(const struct walk_state *state, struct guest_memory *memory, uint64_t linear,
	  unsigned access, uint64_t *gpa, uint32_t *error_code);

/* The same, and fills *record where the walk was one of the common kind. */
bool walk_recorded(const struct walk_state *state, struct guest_memory *memory, uint64_t linear,
		   unsigned access, uint64_t *gpa, uint32_t *error_code,
		   struct walk_record *record);

#endif
