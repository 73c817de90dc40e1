/* SPDX-License-Identifier: MIT */
/*
 * Linux bzImage loader: 64-bit entry where the kernel has one, else 32-bit.
 *
 * Source: Linux Documentation 'The Linux/x86 Boot Protocol' (2.06 and up).
 */
#ifndef VM_LOAD_LINUX_H
#define VM_LOAD_LINUX_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/config.h"
#include "vm/memory.h"
#include "vm/vcpu_start.h"

/* What `file` lacks to be a bzImage, in words; NULL for one. */
const char *linux_lacks(const struct config_file *file);

enum linux_part_index {
	LINUX_CODE,
	LINUX_INITRD,
	LINUX_CMDLINE,
	LINUX_SETUP,
	LINUX_PARTS,
};

struct linux_part {
	uint32_t gpa; /* where somebody else is to put it, for the 16-bit entry */
	uint32_t size;
	const void *data; /* LINUX_CMDLINE: without the NUL that ends it; NULL: there is none */
};

/* Takes config's kernel apart into LINUX_PARTS; `memory` is only measured. As image_load(). */
bool linux_split(const struct vm_config *config, const struct guest_memory *memory,
		 struct linux_part *part, struct error *error);

/* As image_load(). */
bool linux_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
		struct vcpu_start *start, struct error *error);

#endif
