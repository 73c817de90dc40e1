/* SPDX-License-Identifier: MIT */
/*
 * A guest's kernel: recognised by content, loaded into its RAM, made ready to start.
 *
 * Sources: Linux Documentation 'The Linux/x86 Boot Protocol'; 'Multiboot Specification version
 * 0.6.96'; 'Tool Interface Standard ELF Specification 1.2'.
 */
#ifndef VM_IMAGE_H
#define VM_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/config.h"
#include "vm/memory.h"
#include "vm/vcpu_start.h"

enum image_kind {
	IMAGE_UNKNOWN,
	IMAGE_LINUX,	  /* bzImage */
	IMAGE_MULTIBOOT,  /* Multiboot 1 header in the first 8 KiB */
	IMAGE_MULTIBOOT2, /* recognised to be named in the error */
	IMAGE_ELF,	  /* the same: an ELF file without a Multiboot header */
};

enum image_kind image_recognise(const uint8_t *data, uint64_t size);

/*
 * Loads config's kernel, initrd and modules into `memory` (zeroed, config->memory bytes) and
 * says how its vCPU starts. On false, `error` names the field and what would be right.
 * rsdp: gpa of the ACPI root pointer for the guest, 0 for none.
 */
bool image_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
		struct vcpu_start *start, struct error *error);

#endif
