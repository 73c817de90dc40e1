/* SPDX-License-Identifier: MIT */
/*
 * A guest's page tables for one address, entry by entry.
 *
 * vm/walk.c does what the CPU does, with its side effects and its checks for an access; this one
 * shows what stands in the tables, and stops where they stop. SDM volume 3, chapter 'Paging'.
 */
#include "lib/bits.h"
#include "lib/x86.h"
#include "vm/inspect.h"
#include "vm/json.h"

#define PTE_P	    BIT(0)
#define PTE_PS	    BIT(7)
#define ADDRESS_TOP 51
#define PTE_SHIFT   12
#define PDE_SHIFT   21
#define PDE32_SHIFT 22
#define PDPTE_SHIFT 30
#define PML4E_SHIFT 39
#define PML5E_SHIFT 48
#define PSE36_LOW   13 /* PDE bits 20:13 are address bits 39:32 */
#define PSE36_BITS  8

struct walker {
	const struct inspect_reader *reader;
	uint64_t linear;
	bool json;
	struct outbuf *out;
};

/* The entry's flags by the SDM's letters, most of all for people. */
static void put_flags(struct outbuf *out, uint64_t entry, bool wide)
{
	static const struct {
		unsigned bit;
		const char *name;
	} flags[] = {{0, "P"}, {1, "R/W"}, {2, "U/S"}, {3, "PWT"}, {4, "PCD"},
		     {5, "A"}, {6, "D"},   {7, "PS"},  {8, "G"},   {63, "XD"}};

	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++)
		if ((entry & BIT(flags[i].bit)) && (wide || flags[i].bit < 32))
			outbuf_print(out, " %s", flags[i].name);
}

static void show(const struct walker *w, const char *level, uint64_t at, uint64_t entry, bool wide)
{
	struct json json;

	if (!w->json) {
		outbuf_print(w->out, "%-6s at %016lx: %016lx", level, at, entry);
		put_flags(w->out, entry, wide);
		outbuf_put(w->out, "\r\n", 2);
		return;
	}
	json = json_begin(w->out);
	json_string(&json, "level", level);
	json_hex(&json, "at", at);
	json_hex(&json, "entry", entry);
	json_bool(&json, "present", entry & PTE_P);
	json_end(&json);
}

static void show_missing(const struct walker *w, const char *level, uint64_t at)
{
	struct json json;

	if (!w->json) {
		outbuf_print(w->out, "%-6s at %016lx: no RAM there\r\n", level, at);
		return;
	}
	json = json_begin(w->out);
	json_string(&json, "level", level);
	json_hex(&json, "at", at);
	json_string(&json, "entry", NULL);
	json_bool(&json, "present", false);
	json_end(&json);
}

/* Reads and shows an entry; false unless it is present. Untouched RAM reads as zero. */
static bool entry_at(const struct walker *w, const char *level, uint64_t at, unsigned size,
		     uint64_t *entry)
{
	const struct inspect_reader *reader = w->reader;
	uint64_t wide = 0;
	uint32_t narrow = 0;
	enum monitor_memory kind =
		size == 8 ? reader->read(reader->ctx, reader->vm, at, &wide, size)
			  : reader->read(reader->ctx, reader->vm, at, &narrow, size);

	*entry = kind == MONITOR_RAM ? (size == 8 ? wide : narrow) : 0;
	if (kind == MONITOR_NO_RAM)
		show_missing(w, level, at);
	else
		show(w, level, at, *entry, size == 8);
	return *entry & PTE_P;
}

static const char *level_name(unsigned shift)
{
	switch (shift) {
	case PML5E_SHIFT: return "PML5E";
	case PML4E_SHIFT: return "PML4E";
	case PDPTE_SHIFT: return "PDPTE";
	case PDE_SHIFT: return "PDE";
	default: return "PTE";
	}
}

/* Tables of 8-byte entries, from the one at `table`. */
static bool walk_wide(const struct walker *w, uint64_t table, unsigned shift, uint64_t *gpa)
{
	uint64_t address = BITS(ADDRESS_TOP, PTE_SHIFT), entry;

	for (;; shift -= 9) {
		uint64_t at = (table & address) + 8 * bits_get(w->linear, shift + 8, shift);

		if (!entry_at(w, level_name(shift), at, 8, &entry))
			return false;
		if (shift == PTE_SHIFT || (shift <= PDPTE_SHIFT && (entry & PTE_PS)))
			break;
		table = entry;
	}
	*gpa = (entry & address & ~(BIT(shift) - 1)) | (w->linear & (BIT(shift) - 1));
	return true;
}

static bool walk_pae(const struct walker *w, const struct monitor_regs *regs, uint64_t *gpa)
{
	unsigned index = (unsigned)bits_get(w->linear, 31, PDPTE_SHIFT);
	uint64_t pdpte = regs->pdpte[index];

	/* The CPU walks the copy that it made when CR3 was loaded; so do we. */
	show(w, "PDPTE", align_down(regs->cr3 & BITS(31, 0), 32) + 8 * index, pdpte, true);
	return (pdpte & PTE_P) && walk_wide(w, pdpte, PDE_SHIFT, gpa);
}

static bool walk_narrow(const struct walker *w, const struct monitor_regs *regs, uint64_t *gpa)
{
	uint64_t table = regs->cr3 & BITS(31, PTE_SHIFT), entry;

	if (!entry_at(w, "PDE", table + 4 * bits_get(w->linear, 31, PDE32_SHIFT), 4, &entry))
		return false;
	if ((entry & PTE_PS) && (regs->cr4 & CR4_PSE)) {
		*gpa = bits_get(entry, PSE36_LOW + PSE36_BITS - 1, PSE36_LOW) << 32 |
		       (entry & BITS(31, PDE32_SHIFT)) | (w->linear & BITS(PDE32_SHIFT - 1, 0));
		return true;
	}
	table = entry & BITS(31, PTE_SHIFT);
	if (!entry_at(w, "PTE", table + 4 * bits_get(w->linear, PDE32_SHIFT - 1, PTE_SHIFT), 4,
		      &entry))
		return false;
	*gpa = (entry & BITS(31, PTE_SHIFT)) | (w->linear & BITS(PTE_SHIFT - 1, 0));
	return true;
}

bool inspect_walk(const struct monitor_regs *regs, const struct inspect_reader *reader,
		  uint64_t linear, bool json, struct outbuf *out, uint64_t *gpa)
{
	struct walker w = {.reader = reader, .linear = linear, .json = json, .out = out};

	if (!(regs->efer & EFER_LMA))
		w.linear = (uint32_t)linear;
	if (!(regs->cr0 & CR0_PG)) {
		*gpa = w.linear;
		return true;
	}
	if (regs->efer & EFER_LMA)
		return walk_wide(&w, regs->cr3, regs->cr4 & CR4_LA57 ? PML5E_SHIFT : PML4E_SHIFT,
				 gpa);
	if (regs->cr4 & CR4_PAE)
		return walk_pae(&w, regs, gpa);
	return walk_narrow(&w, regs, gpa);
}
