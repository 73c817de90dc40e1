/* SPDX-License-Identifier: MIT */
/* Checked access to a VM's RAM. */
#include "vm/memory.h"

#include "lib/bits.h"
#include "lib/string.h"

static uint64_t size_within(const struct guest_memory *memory, uint64_t start, uint64_t end)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < memory->extents; i++)
		if (memory->extent[i].gpa >= start && memory->extent[i].gpa < end)
			sum += memory->extent[i].size;
	return sum;
}

uint64_t guest_memory_low(const struct guest_memory *memory)
{
	return size_within(memory, 0, GUEST_LOW_MAX);
}

uint64_t guest_memory_high(const struct guest_memory *memory)
{
	return size_within(memory, GUEST_HIGH_BASE, UINT64_MAX);
}

static struct guest_extent *find_extent(struct guest_memory *memory, uint64_t gpa)
{
	for (unsigned i = 0; i < memory->extents; i++)
		if (gpa - memory->extent[i].gpa < memory->extent[i].size)
			return &memory->extent[i];
	return NULL;
}

static bool populate_block(struct guest_memory *memory, uint64_t gpa)
{
	uint64_t block = gpa / PAGE_SIZE_2M;

	if (!memory->populated || (memory->populated[block / 8] & BIT(block % 8)))
		return true;
	return memory->populate(memory->ctx, gpa);
}

static bool populate_range(struct guest_memory *memory, uint64_t gpa, uint64_t length)
{
	uint64_t last = (gpa + length - 1) / PAGE_SIZE_2M;

	for (uint64_t block = gpa / PAGE_SIZE_2M; block <= last; block++)
		if (!populate_block(memory, MAX(gpa, block * PAGE_SIZE_2M)))
			return false;
	return true;
}

void *guest_memory_map(struct guest_memory *memory, uint64_t gpa, uint64_t length)
{
	struct guest_extent *extent = find_extent(memory, gpa);

	if (!extent || !range_within(gpa - extent->gpa, length, extent->size))
		return NULL;
	if (length && !populate_range(memory, gpa, length))
		return NULL;
	return extent->host + (gpa - extent->gpa);
}

/* The part of [gpa, gpa + *length) that lies in gpa's extent; *length is cut to it. */
static void *map_part(struct guest_memory *memory, uint64_t gpa, uint64_t *length)
{
	struct guest_extent *extent = find_extent(memory, gpa);

	if (!extent)
		return NULL;
	*length = MIN(*length, extent->size - (gpa - extent->gpa));
	return guest_memory_map(memory, gpa, *length);
}

bool guest_memory_read(struct guest_memory *memory, uint64_t gpa, void *to, uint64_t length)
{
	for (uint64_t done = 0, part; done < length; done += part) {
		part = length - done;
		const void *from = map_part(memory, gpa + done, &part);

		if (!from)
			return false;
		memcpy((uint8_t *)to + done, from, part);
	}
	return true;
}

bool guest_memory_write(struct guest_memory *memory, uint64_t gpa, const void *from,
			uint64_t length)
{
	for (uint64_t done = 0, part; done < length; done += part) {
		part = length - done;
		void *to = map_part(memory, gpa + done, &part);

		if (!to)
			return false;
		memcpy(to, (const uint8_t *)from + done, part);
	}
	return true;
}

bool guest_memory_zero(struct guest_memory *memory, uint64_t gpa, uint64_t length)
{
	for (uint64_t done = 0, part; done < length; done += part) {
		part = length - done;
		void *to = map_part(memory, gpa + done, &part);

		if (!to)
			return false;
		memset(to, 0, part);
	}
	return true;
}
