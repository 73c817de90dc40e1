/* SPDX-License-Identifier: MIT */
/*
 * What a kernel is told by its boot loader, whatever the protocol, and the checks of it.
 *
 * Words of the command line say what is right: ram=MIB modules=N, and bios=KIB where a BIOS started
 * GRUB, and keeps no more than that of RAM's end. A module's file holds the words that came with
 * it.
 */
#ifndef GUESTS_BOOTS_BOOTS_H
#define GUESTS_BOOTS_BOOTS_H

#include <stdbool.h>
#include <stdint.h>

/* From start.asm: registers, limits of segments, and the task register at the entry. */
struct entry_state {
	uint32_t eax, ebx, eflags, cr0, cr4;
	uint32_t cs_limit, ds_limit, ss_limit, tr;
};

extern const struct entry_state entry_state;

/* An area of the memory map, in E820's types. */
struct area {
	uint64_t start, size;
	uint32_t type;
};

/* The number after `name` (with its '=') on the command line, or 0. Call check_cmdline before. */
uint32_t boots_number(const char *name);
void check_entry(void);
void check_cmdline(const char *cmdline);
void check_map(const struct area *area, unsigned count);
void check_modules_count(unsigned count);
/* `text`: its words, NULL for none. Call check_map before. */
void check_module(uint64_t start, uint64_t size, const char *text);
void check_sections(uint32_t count, uint32_t size, const uint8_t *headers, uint32_t names);
void check_rsdp(const void *rsdp, bool new);
void check_screen(const void *framebuffer);

/* One protocol each: multiboot1.c, multiboot2.c, pvh.c. */
void check_multiboot1(uintptr_t info);
void check_multiboot2(uintptr_t info);
void check_pvh(uintptr_t info);

#endif
