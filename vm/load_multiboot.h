/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 loader: ELF32 and ELF64 files, and files that give their addresses in the header.
 *
 * Sources: 'Multiboot Specification version 0.6.96'; 'Tool Interface Standard ELF 1.2'.
 */
#ifndef VM_LOAD_MULTIBOOT_H
#define VM_LOAD_MULTIBOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/config.h"
#include "vm/load_plan.h"
#include "vm/memory.h"
#include "vm/vcpu_start.h"

/* The boot loader's name: kernels that tell boot loaders apart look for 'GRUB 2'. */
#define MULTIBOOT_LOADER "Socle (as GRUB 2)"

/* EGA text as the framebuffer of either version: 80x25 cells of 16 bits at B8000H. */
enum multiboot_screen {
	SCREEN_ADDRESS = 0xB8000,
	SCREEN_PITCH = 160,
	SCREEN_WIDTH = 80,
	SCREEN_HEIGHT = 25,
	SCREEN_DEPTH = 16,
	SCREEN_EGA_TEXT = 2,
};

/* Addresses as the headers of both versions give them. */
struct multiboot_addresses {
	uint32_t header_addr;
	uint32_t load_addr;
	uint32_t load_end_addr; /* 0: all of the file */
	uint32_t bss_end_addr;	/* 0: no BSS */
};

/* The segment that a header at `offset` describes so. */
bool multiboot_plan(struct plan *plan, const struct config_file *file,
		    const struct multiboot_addresses *addresses, uint64_t offset,
		    struct error *error);

/* KiB below 640K and above 1M up to the first hole: 'basic memory information'. */
uint32_t multiboot_memory_lower(void);
uint32_t multiboot_memory_upper(const struct guest_memory *memory);

/* What `file` lacks to be a Multiboot 1 kernel, in words; NULL for one. */
const char *multiboot_lacks(const struct config_file *file);

/* As image_load(); there is no place for an RSDP: the guest finds it in the firmware area. */
bool multiboot_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
		    struct vcpu_start *start, struct error *error);

#endif
