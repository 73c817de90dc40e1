/* SPDX-License-Identifier: MIT */
/*
 * Where Socle puts things in a guest's physical memory. All that a loader needs for itself lies
 * below the EBDA, in RAM that the guest may reuse once it runs.
 */
#ifndef VM_LAYOUT_H
#define VM_LAYOUT_H

/* Real-mode vectors and the BIOS data area: vm/bios_data.c. */
#define LAYOUT_IVT	       0x00000
#define LAYOUT_GDT	       0x01000 /* one page */
#define LAYOUT_BOOT_PARAMS     0x02000 /* Linux: one page; Multiboot: information, one page */
#define LAYOUT_BOOT_LISTS      0x03000 /* Multiboot: map, modules, strings */
#define LAYOUT_BOOT_LISTS_END  0x08000
#define LAYOUT_PAGE_TABLES     0x08000 /* PML4, PDPT, 4 page directories */
#define LAYOUT_PAGE_TABLES_END 0x0E000
#define LAYOUT_STACK_TOP       0x10000 /* grows down to LAYOUT_PAGE_TABLES_END */
#define LAYOUT_CMDLINE	       0x20000
#define LAYOUT_CMDLINE_END     0x30000
/* The rest below the EBDA is free: real-mode trampolines of the guest. */
#define LAYOUT_EBDA	    0x9FC00 /* 1 KiB: extended BIOS data area, MP floating pointer */
#define LAYOUT_LOW_END	    0xA0000 /* VGA memory and option ROMs, no RAM for the guest */
#define LAYOUT_FIRMWARE	    0xE0000 /* ACPI and MP tables, as a BIOS would have them */
#define LAYOUT_FIRMWARE_END 0x100000
#define LAYOUT_KERNEL	    0x100000 /* loaders use RAM from here for images and initrds */

/* PCI configuration registers of bus 0 in memory. */
#define LAYOUT_ECAM	0xB0000000
#define LAYOUT_ECAM_END 0xB0100000

/* E820: the tables that the guest may reclaim, and what it must leave alone. */
#define LAYOUT_ACPI	LAYOUT_FIRMWARE
#define LAYOUT_ACPI_END 0xF0000

#endif
