/* SPDX-License-Identifier: MIT */
/*
 * Page tables for test guests: 4 GiB mapped to themselves in large pages, but for a window of
 * 2 MiB in small pages that a test may map as it likes.
 */
#ifndef GUESTS_LIB_PAGING_H
#define GUESTS_LIB_PAGING_H

#include <stdint.h>

#define PAGING_WINDOW	0x800000u
#define PAGING_PRESENT	1u
#define PAGING_WRITABLE 2u

enum paging_mode {
	PAGING_32,  /* two levels */
	PAGING_PAE, /* three levels */
	PAGING_64,  /* four levels: for a guest of 64-bit code, which has it on */
};

/* Turns paging on, with CR0.WP, or changes the tables. */
void paging_start(enum paging_mode mode);
void paging_stop(void);
/* Maps the window's page `page` (0..511) to a frame; `flags`: PAGING_*. */
void paging_map(unsigned page, uintptr_t frame, uint32_t flags);

#endif
