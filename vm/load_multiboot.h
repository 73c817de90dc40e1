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
#include "vm/memory.h"
#include "vm/vcpu_start.h"

/* True when a valid header is in the first 8 KiB. */
bool multiboot_recognise(const uint8_t *data, uint64_t size);

/* As image_load(); there is no place for an RSDP: the guest finds it in the firmware area. */
bool multiboot_load(const struct vm_config *config, struct guest_memory *memory,
		    struct vcpu_start *start, struct error *error);

#endif
