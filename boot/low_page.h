/* SPDX-License-Identifier: MIT */
/* A page below 1 MiB for code that other CPUs start in: they begin in real mode. */
#ifndef BOOT_LOW_PAGE_H
#define BOOT_LOW_PAGE_H

#include "boot/bootinfo.h"

#define LOW_PAGE_NONE UINT64_MAX

/*
 * The highest page that the memory map calls available and nobody else does not, with no module and
 * no boot information in it; neither page 0 nor, when `ebda_segment` (the BIOS data area's word at
 * 40Eh) is plausible, anything from the extended BIOS data area on. LOW_PAGE_NONE when there is
 * none. A startup IPI cannot name pages from A0000h on.
 */
uint64_t low_page_find(const struct bootinfo *info, uint16_t ebda_segment);

#endif
