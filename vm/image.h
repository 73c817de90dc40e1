/* SPDX-License-Identifier: MIT */
/*
 * A guest's kernel: recognised by content, loaded into its RAM, made ready to start. Each format's
 * loader is in vm/load_*.[ch].
 */
#ifndef VM_IMAGE_H
#define VM_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/config.h"
#include "vm/memory.h"
#include "vm/vcpu_start.h"

/*
 * The first format whose marks `file` bears; CONFIG_BOOT_AUTO for none, and `error` then says which
 * were tried and what each lacked.
 */
enum config_boot image_recognise(const struct config_file *file, struct error *error);

/*
 * Loads config's kernel, initrd and modules into `memory` (zeroed, config->memory bytes) and
 * says how its vCPU starts. On false, `error` names the field and what would be right.
 * rsdp: gpa of the ACPI root pointer for the guest, 0 for none.
 */
bool image_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
		struct vcpu_start *start, struct error *error);

#endif
