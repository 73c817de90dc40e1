/* SPDX-License-Identifier: MIT */
/* Extended page tables. */
#include "ept/ept.h"

#include <stddef.h>

#include "lib/bits.h"
#include "lib/string.h"

#define ENTRIES	       512
#define ENTRY_TYPE_LOW 3
#define ENTRY_TYPE     BITS(5, 3)
#define ENTRY_LARGE    BIT(7)
#define ENTRY_ADDRESS  BITS(51, 12)

/* EPT pointer: memory type of the tables, levels - 1, accessed and dirty flags. */
#define EPTP_WALK_SHIFT	 3
#define EPTP_DIRTY_FLAGS BIT(6)

static uint64_t level_size(unsigned level)
{
	return PAGE_SIZE << (9 * (level - 1));
}

static bool is_present(uint64_t entry)
{
	return entry & EPT_RWX;
}

/* Whether a present entry of `level` maps a page, as opposed to leading to a table. */
static bool is_page(uint64_t entry, unsigned level)
{
	return level == 1 || (entry & ENTRY_LARGE);
}

static uint64_t *table_of(uint64_t entry)
{
	return (uint64_t *)(entry & ENTRY_ADDRESS);
}

static uint64_t *entry_at(uint64_t *table, uint64_t gpa, unsigned level)
{
	return &table[gpa >> (12 + 9 * (level - 1)) & (ENTRIES - 1)];
}

static uint64_t *alloc_table(struct ept *ept)
{
	uint64_t page = ept->ops->alloc_page(ept->ctx);

	if (!page)
		return NULL;
	ept->tables++;
	return memset((void *)page, 0, PAGE_SIZE);
}

/* Frees the table that a non-page entry of `level` led to, and all below it. */
static void free_below(struct ept *ept, uint64_t entry, unsigned level)
{
	const uint64_t *table = table_of(entry);

	for (unsigned i = 0; level > 2 && i < ENTRIES; i++)
		if (is_present(table[i]) && !is_page(table[i], level - 1))
			free_below(ept, table[i], level - 1);
	ept->tables--;
	ept->ops->free_page(ept->ctx, (uint64_t)table);
}

bool ept_init(struct ept *ept, unsigned largest_level, bool dirty_flags, const struct ept_ops *ops,
	      void *ctx)
{
	*ept = (struct ept){
		.largest_level = largest_level, .dirty_flags = dirty_flags, .ops = ops, .ctx = ctx};
	ept->root = (uint64_t)alloc_table(ept);
	return ept->root != 0;
}

void ept_destroy(struct ept *ept)
{
	ept->ops->invalidate(ept->ctx, ept_pointer(ept));
	free_below(ept, ept->root, EPT_LEVELS + 1);
	ept->root = 0;
}

uint64_t ept_pointer(const struct ept *ept)
{
	return ept->root | MEMORY_WB | (EPT_LEVELS - 1) << EPTP_WALK_SHIFT |
	       (ept->dirty_flags ? EPTP_DIRTY_FLAGS : 0);
}

/* Turns a page into a table of pages of the next smaller size that map the same. */
static bool split(struct ept *ept, uint64_t *entry, unsigned level)
{
	uint64_t *table = alloc_table(ept);
	uint64_t low = level == 2 ? *entry & ~ENTRY_LARGE : *entry;

	if (!table)
		return false;
	for (unsigned i = 0; i < ENTRIES; i++)
		table[i] = low + i * level_size(level - 1);
	*entry = (uint64_t)table | EPT_RWX;
	ept->ops->invalidate(ept->ctx, ept_pointer(ept));
	return true;
}

/* Puts `value` in place of what the entry was; nothing that it led to is reachable afterwards. */
static void replace(struct ept *ept, uint64_t *entry, unsigned level, uint64_t value)
{
	uint64_t old = *entry;

	*entry = value;
	if (!is_present(old) || old == value)
		return;
	ept->ops->invalidate(ept->ctx, ept_pointer(ept));
	if (!is_page(old, level))
		free_below(ept, old, level);
}

/* What ept_map, ept_unmap and ept_protect want of the pages of a range. */
struct change {
	enum { MAP, UNMAP, PROTECT } kind;
	uint64_t gpa, end;
	uint64_t hpa;
	uint64_t access;
	enum memory_type type;
};

/* Whether one entry of `level` at change->gpa can carry out the change for all it spans. */
static bool fits(const struct ept *ept, const struct change *change, uint64_t entry, unsigned level)
{
	uint64_t size = level_size(level);

	if (change->kind != MAP && !is_present(entry))
		return true;
	if (!is_aligned(change->gpa, size) || change->end - change->gpa < size)
		return false;
	switch (change->kind) {
	case MAP: return level <= ept->largest_level && is_aligned(change->hpa, size);
	case UNMAP: return true;
	default: return is_page(entry, level);
	}
}

static uint64_t changed_entry(const struct change *change, uint64_t entry, unsigned level)
{
	switch (change->kind) {
	case MAP:
		return change->hpa | change->access | (uint64_t)change->type << ENTRY_TYPE_LOW |
		       (level > 1 ? ENTRY_LARGE : 0);
	case PROTECT: return (entry & ~EPT_RWX) | change->access;
	default: return 0;
	}
}

/* Changes one entry at change->gpa, the highest that fits. Its end, 0 when out of memory. */
static uint64_t change_one(struct ept *ept, const struct change *change)
{
	uint64_t *table = (uint64_t *)ept->root;

	for (unsigned level = EPT_LEVELS;; level--) {
		uint64_t *entry = entry_at(table, change->gpa, level);

		if (fits(ept, change, *entry, level)) {
			if (change->kind == MAP || is_present(*entry))
				replace(ept, entry, level, changed_entry(change, *entry, level));
			return align_down(change->gpa, level_size(level)) + level_size(level);
		}
		if (!is_present(*entry)) {
			uint64_t *below = alloc_table(ept);

			if (!below)
				return 0;
			*entry = (uint64_t)below | EPT_RWX;
		} else if (is_page(*entry, level) && !split(ept, entry, level)) {
			return 0;
		}
		table = table_of(*entry);
	}
}

static bool change_range(struct ept *ept, struct change change, uint64_t size)
{
	if (!is_aligned(change.gpa | change.hpa | size, PAGE_SIZE) ||
	    !range_within(change.gpa, size, BIT(EPT_GPA_BITS)))
		return false;
	change.end = change.gpa + size;
	while (change.gpa < change.end) {
		uint64_t next = change_one(ept, &change);

		if (!next)
			return false;
		change.hpa += next - change.gpa;
		change.gpa = next;
	}
	return true;
}

static bool is_legal_access(uint64_t access)
{
	return (access & ~EPT_RWX) == 0 && (!(access & EPT_WRITE) || (access & EPT_READ));
}

bool ept_map(struct ept *ept, uint64_t gpa, uint64_t hpa, uint64_t size, uint64_t access,
	     enum memory_type type)
{
	struct change change = {
		.kind = MAP, .gpa = gpa, .hpa = hpa, .access = access, .type = type};

	return access && is_legal_access(access) && change_range(ept, change, size);
}

bool ept_unmap(struct ept *ept, uint64_t gpa, uint64_t size)
{
	return change_range(ept, (struct change){.kind = UNMAP, .gpa = gpa}, size);
}

bool ept_protect(struct ept *ept, uint64_t gpa, uint64_t size, uint64_t access)
{
	struct change change = {.kind = PROTECT, .gpa = gpa, .access = access};

	/* An entry without rights would be one that is not present, and its page lost. */
	return access && is_legal_access(access) && change_range(ept, change, size);
}

static struct ept_page page_of(uint64_t entry, uint64_t gpa, unsigned level)
{
	uint64_t offset = level_size(level) - 1;

	return (struct ept_page){
		.hpa = (entry & ENTRY_ADDRESS & ~offset) | (gpa & offset),
		.size = level_size(level),
		.access = entry & EPT_RWX,
		.dirty = entry & EPT_DIRTY,
		.type = (enum memory_type)((entry & ENTRY_TYPE) >> ENTRY_TYPE_LOW)};
}

static void visit_below(uint64_t entry, uint64_t gpa, unsigned level,
			const struct ept_visitor *visitor)
{
	uint64_t *table = table_of(entry);

	visitor->table(visitor->ctx, (uint64_t)table);
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t at = gpa + i * level_size(level);
		struct ept_page page;

		if (!is_present(table[i]))
			continue;
		if (!is_page(table[i], level)) {
			visit_below(table[i], at, level - 1, visitor);
			continue;
		}
		page = page_of(table[i], at, level);
		visitor->page(visitor->ctx, at, &page);
	}
}

void ept_visit(const struct ept *ept, const struct ept_visitor *visitor)
{
	visit_below(ept->root, 0, EPT_LEVELS, visitor);
}

/* The entry that maps gpa, and its level; NULL: nothing does. */
static uint64_t *find(const struct ept *ept, uint64_t gpa, unsigned *level)
{
	uint64_t *table = (uint64_t *)ept->root;

	if (gpa >= BIT(EPT_GPA_BITS))
		return NULL;
	for (*level = EPT_LEVELS;; --*level) {
		uint64_t *entry = entry_at(table, gpa, *level);

		if (!is_present(*entry))
			return NULL;
		if (is_page(*entry, *level))
			return entry;
		table = table_of(*entry);
	}
}

void ept_adjust(struct ept *ept, uint64_t gpa, uint64_t clear, uint64_t set)
{
	unsigned level;
	uint64_t *entry = find(ept, gpa, &level);

	if (!entry)
		return;
	__atomic_fetch_and(entry, ~clear, __ATOMIC_RELAXED);
	__atomic_fetch_or(entry, set, __ATOMIC_RELAXED);
}

bool ept_translate(const struct ept *ept, uint64_t gpa, struct ept_page *page)
{
	unsigned level;
	const uint64_t *entry = find(ept, gpa, &level);

	if (entry)
		*page = page_of(*entry, gpa, level);
	return entry;
}
