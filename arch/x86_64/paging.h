/* SPDX-License-Identifier: MIT */
/*
 * Socle's own page tables: one identity map. RAM is read-write and no-execute, our text
 * read-execute, our constants read-only; page 0 and the page under each stack are not there. All
 * CPUs run on them. Changes are under a lock, and other CPUs go on with what their TLBs hold: with
 * several CPUs up, pages may be added, but none taken away.
 * Intel SDM volume 3, "4-Level Paging and 5-Level Paging".
 */
#ifndef ARCH_X86_64_PAGING_H
#define ARCH_X86_64_PAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/frames.h"

enum paging_access {
	PAGING_NONE,
	PAGING_RW,
	PAGING_RO,
	PAGING_RX,
	PAGING_DEVICE,	 /* read-write, uncached */
	PAGING_FIRMWARE, /* read-only, cached */
};

/*
 * Starts empty tables. Until paging_activate, table pages come from below 4 GiB, which is what the
 * boot tables reach.
 */
void paging_init(struct frames *frames);
/* Sets [start, end), widened to whole pages, splitting larger pages. False: out of memory. */
bool paging_set(uint64_t start, uint64_t end, enum paging_access access);
/* Turns on the tables, write protection, and SMEP, SMAP and UMIP where the CPU has them. */
void paging_activate(void);
/* The same on another CPU, which is on the tables already. */
void paging_activate_other(void);
/*
 * What should protect Socle on this CPU and is off: bits of CR4, CR0.WP (whose place CR4's
 * FSGSBASE has, which is none of these), and the two below. 0: all is on.
 */
#define PAGING_NO_NX   (1ULL << 62) /* EFER.NXE */
#define PAGING_NO_ROOT (1ULL << 63) /* CR3 is not Socle's */
uint64_t paging_unguarded(void);
/* What CR3 holds on all CPUs; below 4 GiB. */
uint64_t paging_root(void);

/*
 * Walks the tables: `table` gets each table page, `page` each page that they map: it is writable,
 * executable, at its own address or not. With the tables' lock held.
 */
struct paging_page {
	uint64_t address, size;
	bool write, execute, user, identity;
};
void paging_visit(void (*table)(void *ctx, uint64_t table),
		  void (*page)(void *ctx, const struct paging_page *page), void *ctx);

/* Device registers and firmware tables, mapped unless RAM already covers them. */
bool paging_map_device(uint64_t start, uint64_t size);
bool paging_map_firmware(uint64_t start, uint64_t size);

#endif
