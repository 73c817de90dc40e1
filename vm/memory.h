/* SPDX-License-Identifier: MIT */
/*
 * The RAM of a VM as Socle itself reads and writes it. RAM is one or more extents of host memory;
 * every access from outside the guest (loaders, page walks, emulation) goes through here, so that
 * every guest-physical address is checked in one place.
 */
#ifndef VM_MEMORY_H
#define VM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bits.h"

/*
 * RAM above this size continues at 4 GiB: the gap holds PCI's registers and hole, IOAPIC, local
 * APIC, ROM. A power of two, as one MTRR covers the gap.
 */
#define GUEST_LOW_MAX	  0x80000000ULL
#define GUEST_HIGH_BASE	  0x100000000ULL
#define GUEST_EXTENTS_MAX 16

struct guest_extent {
	uint64_t gpa; /* both in whole pages; the size is not 0 */
	uint64_t size;
	uint8_t *host;
};

struct guest_memory {
	struct guest_extent extent[GUEST_EXTENTS_MAX]; /* by ascending gpa, not overlapping */
	unsigned extents;
	/*
	 * Called before Socle first touches a 2 MiB block of an extent that the guest has not
	 * touched either: zeroes and maps it. NULL: everything is there from the start.
	 */
	bool (*populate)(void *ctx, uint64_t gpa);
	void *ctx;
	uint8_t *populated; /* one bit for each 2 MiB of guest-physical space; NULL as above */
};

/* Bytes of RAM below and above 4 GiB. */
uint64_t guest_memory_low(const struct guest_memory *memory);
uint64_t guest_memory_high(const struct guest_memory *memory);

/* Host address of [gpa, gpa + length), or NULL unless one extent holds all of it. Writable. */
void *guest_memory_map(struct guest_memory *memory, uint64_t gpa, uint64_t length);

/*
 * The same for a piece that lies within one 4 KiB page, without a call where its block is
 * populated: page walks and instruction fetches spend most of their time here.
 */
static inline void *guest_memory_piece(struct guest_memory *memory, uint64_t gpa, unsigned size)
{
	const struct guest_extent *end = memory->extent + memory->extents;

	for (const struct guest_extent *extent = memory->extent; extent < end; extent++) {
		uint64_t offset = gpa - extent->gpa;
		uint64_t block = gpa / PAGE_SIZE_2M;

		if (offset > extent->size - size)
			continue;
		if (memory->populated && !(memory->populated[block / 8] >> (block % 8) & 1))
			return guest_memory_map(memory, gpa, size);
		return extent->host + offset;
	}
	return NULL;
}

/* Copies; false, with nothing promised of the destination, when a byte is not RAM. */
bool guest_memory_read(struct guest_memory *memory, uint64_t gpa, void *to, uint64_t length);
bool guest_memory_write(struct guest_memory *memory, uint64_t gpa, const void *from,
			uint64_t length);
bool guest_memory_zero(struct guest_memory *memory, uint64_t gpa, uint64_t length);

#endif
