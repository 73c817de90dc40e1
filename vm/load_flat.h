/* SPDX-License-Identifier: MIT */
/*
 * Loader of flat images: a file at an address, entered in real, 32-bit or 64-bit mode with no
 * boot information at all. Keys boot=flat16, flat32, flat64, load= and entry=.
 */
#ifndef VM_LOAD_FLAT_H
#define VM_LOAD_FLAT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/config.h"
#include "vm/memory.h"
#include "vm/vcpu_start.h"

/* As image_load(). */
bool flat_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
	       struct vcpu_start *start, struct error *error);

#endif
