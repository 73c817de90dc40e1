/* SPDX-License-Identifier: MIT */
/*
 * The boot information of Multiboot 2: one list of tags, in the place of the command line, which is
 * one of them.
 *
 * Source: 'Multiboot2 Specification version 2.0', 'Boot information'.
 */
#ifndef VM_LOAD_TAGS_H
#define VM_LOAD_TAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/config.h"
#include "vm/elf.h"
#include "vm/layout.h"
#include "vm/load_plan.h"
#include "vm/memory.h"

#define TAGS_ADDRESS LAYOUT_CMDLINE

/*
 * Writes the modules and the tags. elf: NULL for a file that is none. moved: the kernel is told its
 * place. rsdp: gpa of the ACPI root pointer, 0 for none.
 */
bool tags_write(const struct vm_config *config, const struct plan *plan, const struct elf *elf,
		bool moved, struct guest_memory *memory, uint64_t rsdp, struct error *error);

#endif
