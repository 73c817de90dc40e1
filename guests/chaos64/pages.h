/* SPDX-License-Identifier: MIT */
/*
 * Page tables for acts. In all of them the guest's image is at its place, so that there is a way
 * back; the rest leads to RAM, to devices, to nothing, or is garbage. SDM volume 3, "Paging".
 */
#ifndef GUESTS_CHAOS64_PAGES_H
#define GUESTS_CHAOS64_PAGES_H

#include <stdint.h>

#include "guests/chaos64/prng.h"

#define PAGE	     4096u
#define WINDOW	     0x800000u /* 512 small pages, each mapped by chance */
#define WINDOW_PAGES 512
#define TWIN	     0xA00000u /* the same, mapped by hand */
#define FRAMES	     0x800000u /* RAM that acts may have: 2 MiB */
#define TWIN_FRAMES  0xA00000u
#define HOLE	     0xD0000000u /* nobody's */

#define PTE_P	     1u
#define PTE_W	     2u
#define PTE_U	     4u
#define PTE_A	     0x20u
#define PTE_D	     0x40u
#define PTE_LARGE    0x80u
#define PTE_G	     0x100u
#define PTE_NX	     (1ULL << 63)

void pages_init(void);
/*
 * Of two sets of trees the one that leads to devices, or the one that does not. Few instructions
 * can be emulated on a device's memory, and the others end the VM.
 */
void pages_wild(bool wild);
bool pages_is_wild(void);
/* Maps some pages of the window anew, and sometimes puts garbage into the upper levels. */
void pages_shuffle(struct prng *p);
/* CR3 of the trees: for IA-32e mode, PAE, and 32-bit paging. */
uint64_t pages_long(void);
uint64_t pages_pae(void);
uint64_t pages_32(void);
/* PAE without garbage in its first level. */
uint64_t pages_safe_pae(void);
/* Maps a page of the window to its own RAM, for code: what follows it stays as it is. */
void pages_code(unsigned page);
/* Trees of nothing but the image and TWIN. */
uint64_t pages_twin_long(void);
uint64_t pages_twin_pae(void);
uint64_t pages_twin_32(void);
/* Maps a page of TWIN, in all trees. */
void pages_twin(unsigned page, uint64_t entry);
uint64_t pages_twin_entry(unsigned page);
/* The same of the tree of 32-bit paging. */
uint32_t pages_twin_entry32(unsigned page);
/* A linear address that is worth a register's while: in the window, at its pages' ends, at a
 * device's, in what no table maps. */
uint64_t pages_pointer(struct prng *p);
/* A frame: RAM of FRAMES, a device's, nobody's. */
uint64_t pages_frame(struct prng *p);

#endif
