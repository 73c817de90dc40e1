/* SPDX-License-Identifier: MIT */
/* A file in memory with its changes beside it. */
#include "vm/disk.h"

#include "lib/bits.h"
#include "lib/string.h"

#define CHUNK_MIN (256 * KIB)
#define ENTRIES	  (PAGE_SIZE / sizeof(void *))
#define LEVELS	  3 /* 512 GiB */

void disk_init(struct disk *disk, const uint8_t *data, uint64_t size, struct frames *frames,
	       struct spinlock *lock)
{
	*disk = (struct disk){.data = data, .size = size, .frames = frames, .lock = lock};
}

void disk_drop(struct disk *disk)
{
	while (disk->chunk) {
		struct disk_chunk *chunk = disk->chunk;

		disk->chunk = chunk->next;
		frames_free(disk->frames, (uint64_t)chunk, chunk->size);
	}
	disk->taken = disk->unused = 0;
	disk->root = NULL;
}

/* A quarter of what it has already: so chunks stay few, and little is taken in vain. */
static bool add_chunk(struct disk *disk)
{
	uint64_t size = MAX(disk->taken / 4, CHUNK_MIN), page;
	struct disk_chunk *chunk;

	spin_lock(disk->lock);
	do {
		size = align_down(size, PAGE_SIZE);
		page = frames_alloc(disk->frames, size, PAGE_SIZE, UINT64_MAX);
	} while (page == FRAMES_NONE && (size /= 2) >= 2 * PAGE_SIZE);
	if (page != FRAMES_NONE) {
		chunk = (struct disk_chunk *)page;
		*chunk = (struct disk_chunk){disk->chunk, size};
		disk->chunk = chunk;
		disk->taken += size;
		disk->unused = size - PAGE_SIZE;
	}
	spin_unlock(disk->lock);
	return page != FRAMES_NONE;
}

static void *new_page(struct disk *disk)
{
	uint8_t *page;

	if (!disk->unused && !add_chunk(disk))
		return NULL;
	page = (uint8_t *)disk->chunk + disk->chunk->size - disk->unused;
	disk->unused -= PAGE_SIZE;
	return memset(page, 0, PAGE_SIZE);
}

/* The copy of a page; NULL: there is none, or with `make` no memory for it. */
static uint8_t *copy_of(struct disk *disk, uint64_t number, bool make)
{
	void **slot = (void **)&disk->root;

	if (number >> 9 * LEVELS)
		return NULL;
	for (unsigned level = LEVELS; level--;) {
		if (!*slot && !(make && (*slot = new_page(disk))))
			return NULL;
		slot = (void **)*slot + (number >> 9 * level) % ENTRIES;
	}
	if (*slot || !make)
		return *slot;
	*slot = new_page(disk);
	if (*slot && number * PAGE_SIZE < disk->size)
		memcpy(*slot, disk->data + number * PAGE_SIZE,
		       MIN(PAGE_SIZE, disk->size - number * PAGE_SIZE));
	return *slot;
}

static void read_original(const struct disk *disk, uint64_t offset, uint8_t *to, uint64_t length)
{
	uint64_t there = offset < disk->size ? MIN(length, disk->size - offset) : 0;

	memcpy(to, disk->data + offset, there);
	memset(to + there, 0, length - there);
}

bool disk_read(void *ctx, uint64_t offset, void *to, uint64_t length)
{
	struct disk *disk = ctx;

	for (uint64_t part; length; offset += part, length -= part, to = (uint8_t *)to + part) {
		const uint8_t *copy = NULL;

		part = MIN(length, PAGE_SIZE - offset % PAGE_SIZE);
		if (disk->root)
			copy = copy_of(disk, offset / PAGE_SIZE, false);
		if (copy)
			memcpy(to, copy + offset % PAGE_SIZE, part);
		else
			read_original(disk, offset, to, part);
	}
	return true;
}

bool disk_write(void *ctx, uint64_t offset, const void *from, uint64_t length)
{
	struct disk *disk = ctx;

	for (uint64_t part; length; offset += part, length -= part) {
		uint8_t *copy = copy_of(disk, offset / PAGE_SIZE, true);

		part = MIN(length, PAGE_SIZE - offset % PAGE_SIZE);
		if (!copy)
			return false;
		memcpy(copy + offset % PAGE_SIZE, from, part);
		from = (const uint8_t *)from + part;
	}
	return true;
}
