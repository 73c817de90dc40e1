/* SPDX-License-Identifier: MIT */
/*
 * The CPU states in which boot protocols hand over: real mode, flat 32-bit protected mode and
 * 64-bit mode with an identity map, with the tables that these need in guest memory.
 *
 * Sources: SDM volume 3, chapters 'Protected-Mode Memory Management', 'Paging'; Linux
 * Documentation 'The Linux/x86 Boot Protocol', '64-bit Boot Protocol'.
 */
#ifndef VM_IMAGE_START_H
#define VM_IMAGE_START_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/memory.h"
#include "vm/vcpu_start.h"

#define START_CODE_SELECTOR 0x10 /* as Linux wants them: __BOOT_CS and __BOOT_DS */
#define START_DATA_SELECTOR 0x18

/*
 * Fills *start for an entry at `rip`, interrupts off, general registers 0, and writes the GDT
 * (and page tables) by vm/layout.h. False: that part of the layout is not RAM.
 */
bool start_protected32(struct vcpu_start *start, struct guest_memory *memory, uint64_t rip,
		       struct error *error);
bool start_long64(struct vcpu_start *start, struct guest_memory *memory, uint64_t rip,
		  struct error *error);

/* Real mode at `rip`, below 1 MiB: CS in whole 64 KiB, the others 0, a stack under LAYOUT_GDT. */
void start_real16(struct vcpu_start *start, uint64_t rip);

/*
 * After power-up: real mode, 16 bytes below 4 GiB. SDM volume 3, 'Processor State After Reset'.
 * signature: CPUID's, in EDX.
 */
void start_reset(struct vcpu_start *start, uint32_t signature);

#endif
