/* SPDX-License-Identifier: MIT */
/* Host page tables. */
#include "arch/x86_64/paging.h"

#include <stddef.h>

#include "arch/x86_64/cpu.h"
#include "lib/bits.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "lib/x86.h"

#define PTE_PRESENT	     BIT(0)
#define PTE_WRITE	     BIT(1)
#define PTE_USER	     BIT(2)
#define PTE_PWT		     BIT(3)
#define PTE_PCD		     BIT(4)
#define PTE_ACCESSED	     BIT(5)
#define PTE_DIRTY	     BIT(6)
#define PTE_LARGE	     BIT(7)
#define PTE_NX		     BIT(63)
#define PTE_ADDRESS	     BITS(51, 12)

#define LEVELS		     4
#define ENTRIES		     512
#define LIMIT_4G	     (4 * GIB)

#define CPUID_7_EBX_SMEP     BIT(7)
#define CPUID_7_EBX_SMAP     BIT(20)
#define CPUID_7_ECX_UMIP     BIT(2)
#define CPUID_81_EDX_PAGE_1G BIT(26)

static struct {
	struct frames *frames;
	uint64_t root;
	uint64_t table_limit;
	unsigned largest_level; /* 2: 2 MiB pages, 3: 1 GiB pages */
	uint64_t cr4;
	struct spinlock lock; /* of the tables */
} paging;

static uint64_t entry_flags(enum paging_access access)
{
	const uint64_t present = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY;

	switch (access) {
	case PAGING_RW: return present | PTE_WRITE | PTE_NX;
	case PAGING_RX: return present;
	case PAGING_RO:
	case PAGING_FIRMWARE: return present | PTE_NX;
	case PAGING_DEVICE: return present | PTE_WRITE | PTE_NX | PTE_PCD | PTE_PWT;
	default: return 0;
	}
}

/* Bytes that an entry of `level` (1: 4 KiB) spans. */
static uint64_t level_size(unsigned level)
{
	return PAGE_SIZE << (9 * (level - 1));
}

static uint64_t *alloc_table(void)
{
	uint64_t page = frames_alloc(paging.frames, PAGE_SIZE, PAGE_SIZE, paging.table_limit);

	if (page == FRAMES_NONE)
		return NULL;
	return memset((void *)page, 0, PAGE_SIZE);
}

void paging_init(struct frames *frames)
{
	paging.frames = frames;
	paging.table_limit = LIMIT_4G;
	paging.largest_level = cpuid(0x80000001, 0).edx & CPUID_81_EDX_PAGE_1G ? 3 : 2;
	paging.root = (uint64_t)alloc_table();
}

/* The table below `entry`, made (from the large page that was there, if any) when missing. */
static uint64_t *next_table(uint64_t *entry, unsigned level)
{
	uint64_t *table;

	if ((*entry & PTE_PRESENT) && !(*entry & PTE_LARGE))
		return (uint64_t *)(*entry & PTE_ADDRESS);
	table = alloc_table();
	if (!table)
		return NULL;
	if (*entry & PTE_PRESENT)
		for (unsigned i = 0; i < ENTRIES; i++)
			table[i] = (*entry & ~(level == 2 ? PTE_LARGE : 0)) +
				   i * level_size(level - 1);
	*entry = (uint64_t)table | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	return table;
}

/* Whether the entry of `level` at `address` may become one page for what is left of the range. */
static bool fits(uint64_t entry, unsigned level, uint64_t address, uint64_t end)
{
	if (level == 1)
		return true;
	return level <= paging.largest_level && is_aligned(address, level_size(level)) &&
	       end - address >= level_size(level) &&
	       (!(entry & PTE_PRESENT) || (entry & PTE_LARGE));
}

/* Sets the entry at `address`, as large as fits; returns its size, 0 when out of memory. */
static uint64_t set_one(uint64_t address, uint64_t end, uint64_t flags)
{
	uint64_t *table = (uint64_t *)paging.root;

	for (unsigned level = LEVELS;; level--) {
		uint64_t *entry = &table[address >> (12 + 9 * (level - 1)) & (ENTRIES - 1)];

		if (fits(*entry, level, address, end)) {
			*entry = flags ? address | flags | (level > 1 ? PTE_LARGE : 0) : 0;
			return level_size(level);
		}
		table = next_table(entry, level);
		if (!table)
			return 0;
	}
}

static bool set(uint64_t start, uint64_t end, enum paging_access access)
{
	uint64_t flags = entry_flags(access);
	uint64_t address = align_down(start, PAGE_SIZE), size;

	for (end = align_up(end, PAGE_SIZE); address < end; address += size) {
		size = set_one(address, end, flags);
		if (!size)
			return false;
		/* Harmless where these tables are not in use yet. */
		__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
	}
	return true;
}

bool paging_set(uint64_t start, uint64_t end, enum paging_access access)
{
	bool ok;

	spin_lock(&paging.lock);
	ok = set(start, end, access);
	spin_unlock(&paging.lock);
	return ok;
}

/* The entry that maps `address`, 0 when none does. */
static uint64_t lookup(uint64_t address)
{
	const uint64_t *table = (const uint64_t *)paging.root;

	for (unsigned level = LEVELS;; level--) {
		uint64_t entry = table[address >> (12 + 9 * (level - 1)) & (ENTRIES - 1)];

		if (!(entry & PTE_PRESENT) || level == 1 || (entry & PTE_LARGE))
			return entry & PTE_PRESENT ? entry : 0;
		table = (const uint64_t *)(entry & PTE_ADDRESS);
	}
}

struct visitor {
	void (*table)(void *ctx, uint64_t table);
	void (*page)(void *ctx, const struct paging_page *page);
	void *ctx;
};

static void visit_below(uint64_t table, uint64_t address, unsigned level,
			const struct visitor *visitor)
{
	const uint64_t *entries = (const uint64_t *)table;

	visitor->table(visitor->ctx, table);
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t entry = entries[i], at = address + i * level_size(level);
		const struct paging_page page = {
			.address = at,
			.size = level_size(level),
			.write = entry & PTE_WRITE,
			.execute = !(entry & PTE_NX),
			.user = entry & PTE_USER,
			.identity = (entry & PTE_ADDRESS & ~(level_size(level) - 1)) == at,
		};

		if (!(entry & PTE_PRESENT))
			continue;
		if (level > 1 && !(entry & PTE_LARGE))
			visit_below(entry & PTE_ADDRESS, at, level - 1, visitor);
		else
			visitor->page(visitor->ctx, &page);
	}
}

void paging_visit(void (*table)(void *ctx, uint64_t table),
		  void (*page)(void *ctx, const struct paging_page *page), void *ctx)
{
	const struct visitor visitor = {table, page, ctx};

	spin_lock(&paging.lock);
	visit_below(paging.root, 0, LEVELS, &visitor);
	spin_unlock(&paging.lock);
}

static bool map_missing(uint64_t start, uint64_t size, enum paging_access access)
{
	bool ok = true;

	/* The identity map stays in the lower canonical half, 47 bits. */
	if (!range_within(start, size, BIT(47)))
		return false;
	spin_lock(&paging.lock);
	for (uint64_t at = align_down(start, PAGE_SIZE); ok && at < start + size; at += PAGE_SIZE)
		ok = lookup(at) || set(at, at + PAGE_SIZE, access);
	spin_unlock(&paging.lock);
	return ok;
}

bool paging_map_device(uint64_t start, uint64_t size)
{
	return map_missing(start, size, PAGING_DEVICE);
}

bool paging_map_firmware(uint64_t start, uint64_t size)
{
	return map_missing(start, size, PAGING_FIRMWARE);
}

static uint64_t wanted_cr4(void)
{
	struct cpuid leaf7 = cpuid_leaf7();
	uint64_t cr4 = CR4_PAE | CR4_PGE | CR4_MCE;

	if (leaf7.ebx & CPUID_7_EBX_SMEP)
		cr4 |= CR4_SMEP;
	if (leaf7.ebx & CPUID_7_EBX_SMAP)
		cr4 |= CR4_SMAP;
	if (leaf7.ecx & CPUID_7_ECX_UMIP)
		cr4 |= CR4_UMIP;
	return cr4;
}

void paging_activate(void)
{
	paging.cr4 = wanted_cr4();
	paging_activate_other();
	paging.table_limit = UINT64_MAX;
}

void paging_activate_other(void)
{
	write_cr3(paging.root);
	write_cr4(paging.cr4);
	write_cr0(CR0_PE | CR0_MP | CR0_NE | CR0_ET | CR0_WP | CR0_PG);
}

uint64_t paging_root(void)
{
	return paging.root;
}

uint64_t paging_unguarded(void)
{
	uint64_t off = (wanted_cr4() & ~read_cr4()) | (CR0_WP & ~read_cr0());

	if (!(rdmsr(MSR_EFER) & EFER_NXE))
		off |= PAGING_NO_NX;
	return read_cr3() == paging.root ? off : off | PAGING_NO_ROOT;
}
