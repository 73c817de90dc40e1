/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 2 loader: ELF32 and ELF64 files, and files that give their addresses in the header,
 * moved where the header allows it, told what a boot loader on a BIOS would tell.
 *
 * Source: 'Multiboot2 Specification version 2.0'.
 */
#ifndef VM_LOAD_MULTIBOOT2_H
#define VM_LOAD_MULTIBOOT2_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/config.h"
#include "vm/memory.h"
#include "vm/vcpu_start.h"

/* What `file` lacks to be a Multiboot 2 kernel, in words; NULL for one. */
const char *multiboot2_lacks(const struct config_file *file);

/* As image_load(). */
bool multiboot2_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
		     struct vcpu_start *start, struct error *error);

#endif
