/* SPDX-License-Identifier: MIT */
/*
 * Extended page tables: guest-physical to host-physical, 4 levels, pages of 4 KiB, 2 MiB and 1 GiB.
 * Intel SDM volume 3, "The Extended Page Table Mechanism (EPT)".
 *
 * Table pages come from the caller and are reached at their physical address, which is the identity
 * map on the target and any aligned memory in a test.
 */
#ifndef EPT_EPT_H
#define EPT_EPT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/x86.h"

#define EPT_READ   BIT(0)
#define EPT_WRITE  BIT(1)
#define EPT_EXEC   BIT(2)
#define EPT_DIRTY  BIT(9) /* the CPU has written there; with accessed and dirty flags on */
#define EPT_RWX	   (EPT_READ | EPT_WRITE | EPT_EXEC)

#define EPT_LEVELS 4
/* Guest-physical addresses have at most this many bits with 4 levels. */
#define EPT_GPA_BITS 48

struct ept_ops {
	/* A page of 4 KiB, its contents anything; 0 when there is none. */
	uint64_t (*alloc_page)(void *ctx);
	void (*free_page)(void *ctx, uint64_t page);
	/*
	 * Makes every CPU forget what it cached from these tables. Called after an entry that was
	 * present has changed, and before the memory it led to can be used for something else.
	 */
	void (*invalidate)(void *ctx, uint64_t eptp);
};

struct ept {
	uint64_t root;		/* physical address of the top table */
	unsigned largest_level; /* of a page: 1 (4 KiB), 2 (2 MiB), 3 (1 GiB) */
	bool dirty_flags;	/* accessed and dirty flags are on */
	uint64_t tables;	/* table pages in use, the root included */
	const struct ept_ops *ops;
	void *ctx;
};

/* What maps an address. */
struct ept_page {
	uint64_t hpa;  /* of the very address asked for */
	uint64_t size; /* of the page: 4 KiB, 2 MiB or 1 GiB */
	uint64_t access;
	enum memory_type type;
	bool dirty;
};

/* An empty map. False when there is no page for its root. The ops and ctx outlive it. */
bool ept_init(struct ept *ept, unsigned largest_level, bool dirty_flags, const struct ept_ops *ops,
	      void *ctx);
/* Gives back every table page; the memory mapped is the caller's. */
void ept_destroy(struct ept *ept);

/* The EPT pointer for the VMCS: write-back tables, 4 levels. */
uint64_t ept_pointer(const struct ept *ept);

/*
 * All three take whole pages (gpa, hpa and size multiples of 4 KiB, below 2^EPT_GPA_BITS) and
 * return false when they are not or when memory for tables ran out; what was done until then stays.
 * ept_map replaces what was mapped; write without read is refused (EPT misconfiguration). The
 * largest page that fits is used. ept_protect changes only what is mapped.
 */
bool ept_map(struct ept *ept, uint64_t gpa, uint64_t hpa, uint64_t size, uint64_t access,
	     enum memory_type type);
bool ept_unmap(struct ept *ept, uint64_t gpa, uint64_t size);
bool ept_protect(struct ept *ept, uint64_t gpa, uint64_t size, uint64_t access);

/*
 * Clears and sets bits of the entry that maps gpa: EPT_WRITE, EPT_DIRTY. The CPU may change flags
 * meanwhile. Nothing is invalidated: after bits fall the caller does that; more rights need none.
 * Does nothing where nothing is mapped.
 */
void ept_adjust(struct ept *ept, uint64_t gpa, uint64_t clear, uint64_t set);

/* What somebody wants to see of the tables: each table page, and each page that they map. */
struct ept_visitor {
	void (*table)(void *ctx, uint64_t table);
	void (*page)(void *ctx, uint64_t gpa, const struct ept_page *page);
	void *ctx;
};

void ept_visit(const struct ept *ept, const struct ept_visitor *visitor);

/* False when nothing maps gpa. */
bool ept_translate(const struct ept *ept, uint64_t gpa, struct ept_page *page);

#endif
