/* SPDX-License-Identifier: MIT */
/*
 * PVH loader: ELF files with the note that says where their 32-bit entry point is, such as Linux'
 * vmlinux. The initrd is the first module.
 *
 * Source: Xen's public headers 'arch-x86/hvm/start_info.h' and 'elfnote.h'; Xen 'x86/HVM direct
 * boot ABI'.
 */
#ifndef VM_LOAD_PVH_H
#define VM_LOAD_PVH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/config.h"
#include "vm/memory.h"
#include "vm/vcpu_start.h"

/* What `file` lacks to be a PVH kernel, in words; NULL for one. */
const char *pvh_lacks(const struct config_file *file);

/* As image_load(). */
bool pvh_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
	      struct vcpu_start *start, struct error *error);

#endif
