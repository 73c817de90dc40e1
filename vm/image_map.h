/* SPDX-License-Identifier: MIT */
/*
 * The memory map that a guest is told: what of its physical address space is RAM, reserved or
 * holds ACPI tables, in the types of BIOS function E820, which Multiboot uses as well.
 */
#ifndef VM_IMAGE_MAP_H
#define VM_IMAGE_MAP_H

#include <stdint.h>

#include "vm/memory.h"

enum image_map_type {
	MAP_RAM = 1,
	MAP_RESERVED = 2,
	MAP_ACPI = 3,
};

#define IMAGE_MAP_MAX (GUEST_EXTENTS_MAX + 5)

struct image_map_entry {
	uint64_t gpa;
	uint64_t size; /* bytes */
	uint32_t type; /* enum image_map_type */
};

struct image_map {
	unsigned count;
	struct image_map_entry entry[IMAGE_MAP_MAX]; /* ascending, not overlapping */
};

/* The map of a VM with this RAM, by vm/layout.h. */
void image_map(struct image_map *map, const struct guest_memory *memory);

/* The end of the RAM that begins at LAYOUT_KERNEL and lies below 4 GiB without a hole. */
uint64_t image_ram_end(const struct guest_memory *memory);

#endif
