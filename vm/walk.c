/* SPDX-License-Identifier: MIT */
/*
 * The guest's own paging.
 *
 * Two walkers: walk_fast() knows one case, 4-level paging in which every entry is present and
 * accessed, no reserved bit is set and the access is allowed, which is nearly every walk that
 * emulation does; on anything else it gives up with nothing changed. walk_full() knows them all.
 *
 * Sources: SDM volume 3, chapter 'Paging': '32-Bit Paging', 'PAE Paging', '4-Level Paging and
 * 5-Level Paging', 'Access Rights', 'Page-Fault Exceptions', 'Accessed and Dirty Flags'. A CPU
 * without 1 GiB pages would find bit 7 of a PDPTE reserved; here it always means a page.
 */
#include "vm/walk.h"

#include "lib/bits.h"

#define PTE_P	      BIT(0)
#define PTE_W	      BIT(1)
#define PTE_U	      BIT(2)
#define PTE_A	      BIT(5)
#define PTE_D	      BIT(6)
#define PTE_PS	      BIT(7)
#define PTE_NX	      BIT(63)

#define PDPTE_SHIFT   30
#define PDE_SHIFT     21
#define PTE_SHIFT     12
#define PML4E_SHIFT   39
#define PML5E_SHIFT   48
#define PDE32_SHIFT   22
#define LEVELS_MAX    5
#define INDEX_BITS    9
#define CR3_PAE_MASK  BITS(31, 5)
#define CR3_32_MASK   BITS(31, 12)
#define ADDRESS_TOP   51 /* highest address bit that an 8-byte entry has room for */
#define PSE36_LOW     13 /* PDE bits 20:13 are address bits 39:32 */
#define PSE36_BITS    8
#define RETRIES	      8 /* of a walk whose entries another vCPU changes meanwhile */
#define ABSENT_MEMORY ~0ULL

/* What was met on the way. `rights` has W, U and NX as the AND (NX: the OR) of all levels. */
struct trail {
	uint64_t *entry[LEVELS_MAX]; /* in host memory; NULL for a table outside RAM */
	uint64_t seen[LEVELS_MAX];
	unsigned count;
	uint64_t rights;
};

/* Reserved and address bits of 8-byte entries, by the paging mode. */
struct format {
	uint64_t address;
	uint64_t reserved; /* in each entry */
};

static struct format entry_format(const struct walk_state *state, bool pae)
{
	uint64_t above =
		state->physical_bits > ADDRESS_TOP ? 0 : BITS(ADDRESS_TOP, state->physical_bits);
	struct format format = {
		.address = BITS(ADDRESS_TOP, PTE_SHIFT) & ~above,
		.reserved = above | (pae ? BITS(62, ADDRESS_TOP + 1) : 0),
	};

	if (!(state->efer & EFER_NXE))
		format.reserved |= PTE_NX;
	return format;
}

/* SDM 'Determination of Access Rights'; every level counts, so `rights` is of them all. */
static bool allowed(const struct walk_state *state, uint64_t rights, unsigned access)
{
	if ((access & WALK_FETCH) && (rights & PTE_NX))
		return false;
	if (access & WALK_USER)
		return (rights & PTE_U) && (!(access & WALK_WRITE) || (rights & PTE_W));
	if ((rights & PTE_U) && (access & WALK_FETCH) && (state->cr4 & CR4_SMEP))
		return false;
	if ((rights & PTE_U) && !(access & WALK_FETCH) && (state->cr4 & CR4_SMAP) && !state->ac)
		return false;
	return !(access & WALK_WRITE) || (rights & PTE_W) || !(state->cr0 & CR0_WP);
}

/* The error code's I/D bit exists only where fetches have rights of their own. */
static uint32_t fault_code(const struct walk_state *state, unsigned access, uint32_t why)
{
	bool tells_fetch =
		(state->cr4 & CR4_SMEP) || ((state->cr4 & CR4_PAE) && (state->efer & EFER_NXE));

	return why | (access & (WALK_WRITE | WALK_USER)) | (tells_fetch ? access & WALK_FETCH : 0);
}

/* Rights are kept with NX as the only bit that forbids. */
static void trail_add(struct trail *trail, uint64_t *entry, uint64_t seen)
{
	trail->entry[trail->count] = entry;
	trail->seen[trail->count++] = seen;
	trail->rights =
		(trail->rights & seen & (PTE_W | PTE_U)) | ((trail->rights | seen) & PTE_NX);
}

static uint64_t read_entry(struct guest_memory *memory, uint64_t gpa, uint64_t **entry)
{
	*entry = guest_memory_piece(memory, gpa, sizeof(**entry));
	return *entry ? __atomic_load_n(*entry, __ATOMIC_RELAXED) : ABSENT_MEMORY;
}

/* Sets A in every entry and D in the last; false when one has changed since it was read. */
static bool mark_used(const struct trail *trail, unsigned access)
{
	for (unsigned i = 0; i < trail->count; i++) {
		bool last = i + 1 == trail->count;
		uint64_t set = PTE_A | (last && (access & WALK_WRITE) ? PTE_D : 0);
		uint64_t old = trail->seen[i];

		if (!trail->entry[i] || (old & set) == set)
			continue;
		if (!__atomic_compare_exchange_n(trail->entry[i], &old, old | set, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			return false;
	}
	return true;
}

enum outcome {
	FOUND,
	FAULTED,
	CHANGED, /* walk again */
};

static enum outcome faulted(const struct walk_state *state, unsigned access, uint32_t why,
			    uint32_t *error_code)
{
	*error_code = fault_code(state, access, why);
	return FAULTED;
}

static enum outcome finish(const struct walk_state *state, const struct trail *trail,
			   unsigned access, uint32_t *error_code)
{
	if (!allowed(state, trail->rights, access))
		return faulted(state, access, PF_PRESENT, error_code);
	return mark_used(trail, access) ? FOUND : CHANGED;
}

/* Tables of 8-byte entries, from the one at `table` whose index begins at bit `shift`. */
static enum outcome walk_wide(const struct walk_state *state, struct guest_memory *memory,
			      uint64_t table, unsigned shift, uint64_t linear, unsigned access,
			      uint64_t *gpa, uint32_t *error_code)
{
	bool pae = !(state->efer & EFER_LMA);
	struct format format = entry_format(state, pae);
	struct trail trail = {.rights = PTE_W | PTE_U};

	for (;; shift -= INDEX_BITS) {
		uint64_t index = bits_get(linear, shift + INDEX_BITS - 1, shift);
		uint64_t reserved = format.reserved;
		uint64_t *entry;
		uint64_t seen = read_entry(memory, table + 8 * index, &entry);
		bool leaf = shift == PTE_SHIFT || (shift <= PDPTE_SHIFT && (seen & PTE_PS));

		if (!(seen & PTE_P))
			return faulted(state, access, 0, error_code);
		if (shift > PDPTE_SHIFT)
			reserved |= PTE_PS;
		if (leaf && shift > PTE_SHIFT)
			reserved |= BITS(shift - 1, PTE_SHIFT + 1);
		if (seen & reserved)
			return faulted(state, access, PF_PRESENT | PF_RESERVED, error_code);
		trail_add(&trail, entry, seen);
		table = seen & format.address;
		if (leaf)
			break;
	}
	*gpa = align_down(table, BIT(shift)) | (linear & (BIT(shift) - 1));
	return finish(state, &trail, access, error_code);
}

static uint32_t read_entry32(struct guest_memory *memory, uint64_t gpa, uint32_t **entry)
{
	*entry = guest_memory_piece(memory, gpa, sizeof(**entry));
	return *entry ? __atomic_load_n(*entry, __ATOMIC_RELAXED) : (uint32_t)ABSENT_MEMORY;
}

static bool mark_used32(uint32_t *entry, uint32_t old, uint32_t set)
{
	return !entry || (old & set) == set ||
	       __atomic_compare_exchange_n(entry, &old, old | set, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

/* Bits of a 4 MiB page's PDE that are reserved: 21, and what MAXPHYADDR leaves of 20:13. */
static uint32_t pse_reserved(const struct walk_state *state)
{
	unsigned high = state->physical_bits > 32 ? state->physical_bits - 32U : 0;

	high = MIN(high, PSE36_BITS);
	return (uint32_t)BITS(PDE_SHIFT, PSE36_LOW + high);
}

static enum outcome walk_large32(const struct walk_state *state, uint32_t *entry, uint32_t pde,
				 uint32_t linear, unsigned access, uint64_t *gpa,
				 uint32_t *error_code)
{
	uint32_t set = PTE_A | (access & WALK_WRITE ? PTE_D : 0);

	if (pde & pse_reserved(state))
		return faulted(state, access, PF_PRESENT | PF_RESERVED, error_code);
	if (!allowed(state, pde & (PTE_W | PTE_U), access))
		return faulted(state, access, PF_PRESENT, error_code);
	*gpa = bits_get(pde, PSE36_LOW + PSE36_BITS - 1, PSE36_LOW) << 32 |
	       (pde & BITS(31, PDE32_SHIFT)) | (linear & (BIT(PDE32_SHIFT) - 1));
	return mark_used32(entry, pde, set) ? FOUND : CHANGED;
}

static enum outcome walk_narrow(const struct walk_state *state, struct guest_memory *memory,
				uint32_t linear, unsigned access, uint64_t *gpa,
				uint32_t *error_code)
{
	uint32_t *pde_entry, *pte_entry;
	uint64_t pde_gpa = (state->cr3 & CR3_32_MASK) + 4 * (linear >> PDE32_SHIFT);
	uint32_t pde = read_entry32(memory, pde_gpa, &pde_entry);
	uint32_t pte;

	if (!(pde & PTE_P))
		return faulted(state, access, 0, error_code);
	if ((pde & PTE_PS) && (state->cr4 & CR4_PSE))
		return walk_large32(state, pde_entry, pde, linear, access, gpa, error_code);
	pte = read_entry32(memory,
			   (pde & CR3_32_MASK) + 4 * bits_get(linear, PDE32_SHIFT - 1, PTE_SHIFT),
			   &pte_entry);
	if (!(pte & PTE_P))
		return faulted(state, access, 0, error_code);
	if (!allowed(state, pde & pte & (PTE_W | PTE_U), access))
		return faulted(state, access, PF_PRESENT, error_code);
	*gpa = (pte & CR3_32_MASK) | (linear & (PAGE_SIZE - 1));
	if (!mark_used32(pde_entry, pde, PTE_A))
		return CHANGED;
	return mark_used32(pte_entry, pte, PTE_A | (access & WALK_WRITE ? PTE_D : 0)) ? FOUND
										      : CHANGED;
}

/* A PDPTE of PAE paging gives no rights, and the CPU checked its reserved bits when loading. */
static enum outcome walk_pae(const struct walk_state *state, struct guest_memory *memory,
			     uint32_t linear, unsigned access, uint64_t *gpa, uint32_t *error_code)
{
	uint64_t pdpte = state->pdpte[linear >> PDPTE_SHIFT];

	if (!(pdpte & PTE_P))
		return faulted(state, access, 0, error_code);
	return walk_wide(state, memory, pdpte & entry_format(state, true).address, PDE_SHIFT,
			 linear, access, gpa, error_code);
}

static enum outcome walk_once(const struct walk_state *state, struct guest_memory *memory,
			      uint64_t linear, unsigned access, uint64_t *gpa, uint32_t *error_code)
{
	unsigned top = state->cr4 & CR4_LA57 ? PML5E_SHIFT : PML4E_SHIFT;

	if (state->efer & EFER_LMA)
		return walk_wide(state, memory, state->cr3 & entry_format(state, false).address,
				 top, linear, access, gpa, error_code);
	if (state->cr4 & CR4_PAE)
		return walk_pae(state, memory, (uint32_t)linear, access, gpa, error_code);
	return walk_narrow(state, memory, (uint32_t)linear, access, gpa, error_code);
}

/*
 * A guest that keeps changing its tables while another of its vCPUs walks them gets, in the end,
 * a translation that was right a moment ago, as a TLB would give it.
 */
static __attribute__((noinline)) bool walk_full(const struct walk_state *state,
						struct guest_memory *memory, uint64_t linear,
						unsigned access, uint64_t *gpa,
						uint32_t *error_code)
{
	for (unsigned i = 0; i < RETRIES; i++) {
		enum outcome outcome = walk_once(state, memory, linear, access, gpa, error_code);

		if (outcome != CHANGED)
			return outcome == FOUND;
	}
	return true;
}

static bool walk_fast(const struct walk_state *state, struct guest_memory *memory, uint64_t linear,
		      unsigned access, uint64_t *gpa, struct walk_record *record)
{
	uint64_t above = ~0ULL << (state->physical_bits & 63) & BITS(ADDRESS_TOP, 0);
	uint64_t address = BITS(ADDRESS_TOP, PTE_SHIFT) & ~above;
	uint64_t check = PTE_P | PTE_A | PTE_PS | above;
	uint64_t want = PTE_P | PTE_A;
	uint64_t forbids = 0, permits = ~0ULL;
	uint64_t entry = state->cr3;
	unsigned shift = PML4E_SHIFT;

	if (!(state->efer & EFER_NXE))
		check |= PTE_NX;
	record->count = 0;
	for (;; shift -= INDEX_BITS) {
		uint64_t *at = guest_memory_piece(
			memory, (entry & address) + (linear >> (shift - 3) & (511 << 3)), 8);

		if (!at)
			return false;
		entry = __atomic_load_n(at, __ATOMIC_RELAXED);
		record->entry[record->count] = at;
		record->seen[record->count++] = entry;
		forbids |= entry;
		permits &= entry;
		if (shift == PTE_SHIFT)
			break;
		if ((entry & check) == want)
			continue;
		if (shift > PDPTE_SHIFT || !(entry & PTE_PS))
			return false;
		check |= BITS(shift - 1, PTE_SHIFT + 1);
		break;
	}
	if (shift != PTE_SHIFT)
		want |= PTE_PS;
	else
		check &= ~PTE_PS; /* there it is PAT */
	if (access & WALK_WRITE) {
		check |= PTE_D;
		want |= PTE_D;
	}
	if ((entry & check) != want ||
	    !allowed(state, (permits & (PTE_W | PTE_U)) | (forbids & PTE_NX), access))
		return false;
	*gpa = align_down(entry & address, BIT(shift)) | (linear & (BIT(shift) - 1));
	return true;
}

bool walk_recorded(const struct walk_state *state, struct guest_memory *memory, uint64_t linear,
		   unsigned access, uint64_t *gpa, uint32_t *error_code, struct walk_record *record)
{
	if ((state->cr0 & CR0_PG) && (state->efer & EFER_LMA) && !(state->cr4 & CR4_LA57) &&
	    walk_fast(state, memory, linear, access, gpa, record))
		return true;
	record->count = 0;
	if (!(state->cr0 & CR0_PG)) {
		*gpa = (uint32_t)linear;
		return true;
	}
	return walk_full(state, memory, linear, access, gpa, error_code);
}

bool walk(const struct walk_state *state, struct guest_memory *memory, uint64_t linear,
	  unsigned access, uint64_t *gpa, uint32_t *error_code)
{
	struct walk_record record;

	return walk_recorded(state, memory, linear, access, gpa, error_code, &record);
}
