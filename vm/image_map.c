/* SPDX-License-Identifier: MIT */
/* The memory map that a guest is told. */
#include "vm/image_map.h"

#include "lib/bits.h"
#include "vm/layout.h"

static void add(struct image_map *map, uint64_t start, uint64_t end, enum image_map_type type)
{
	struct image_map_entry *last = map->count ? &map->entry[map->count - 1] : NULL;

	if (start >= end)
		return;
	if (last && last->type == (uint32_t)type && last->gpa + last->size == start) {
		last->size += end - start;
		return;
	}
	if (map->count == IMAGE_MAP_MAX)
		return; /* there is one entry for each extent and five more */
	map->entry[map->count++] = (struct image_map_entry){start, end - start, type};
}

/* The parts of an extent that lie within [start, end) are RAM for the guest. */
static void add_ram(struct image_map *map, const struct guest_memory *memory, uint64_t start,
		    uint64_t end)
{
	for (unsigned i = 0; i < memory->extents; i++) {
		const struct guest_extent *extent = &memory->extent[i];

		add(map, MAX(start, extent->gpa), MIN(end, extent->gpa + extent->size), MAP_RAM);
	}
}

void image_map(struct image_map *map, const struct guest_memory *memory)
{
	map->count = 0;
	add_ram(map, memory, 0, LAYOUT_EBDA);
	add(map, LAYOUT_EBDA, LAYOUT_LOW_END, MAP_RESERVED);
	add(map, LAYOUT_ACPI, LAYOUT_ACPI_END, MAP_ACPI);
	add(map, LAYOUT_ACPI_END, LAYOUT_FIRMWARE_END, MAP_RESERVED);
	add_ram(map, memory, LAYOUT_KERNEL, GUEST_LOW_MAX);
	add(map, LAYOUT_ECAM, LAYOUT_ECAM_END, MAP_RESERVED);
	add_ram(map, memory, GUEST_HIGH_BASE, UINT64_MAX);
}

uint64_t image_ram_end(const struct guest_memory *memory)
{
	uint64_t end = LAYOUT_KERNEL;

	for (unsigned i = 0; i < memory->extents; i++) {
		const struct guest_extent *extent = &memory->extent[i];

		if (extent->gpa <= end && extent->gpa + extent->size > end)
			end = MIN(extent->gpa + extent->size, GUEST_HIGH_BASE);
	}
	return end;
}
