/* SPDX-License-Identifier: MIT */
/*
 * A drive's medium: a file that the boot loader put in memory, and what was written since.
 *
 * The file stays as it was: a page is copied on its first write. Copies come from the free pool in
 * few large chunks, as that keeps the pool in few pieces, and go back when the VM ends.
 */
#ifndef VM_DISK_H
#define VM_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/frames.h"
#include "lib/spinlock.h"

struct disk_chunk {
	struct disk_chunk *next;
	uint64_t size; /* bytes, this page included */
};

struct disk {
	const uint8_t *data;
	uint64_t size; /* bytes; what lies beyond is zero and can be written up to disk_bytes */
	struct frames *frames;
	struct spinlock *lock; /* taken while `chunk` and the pool disagree: for the audit */
	struct disk_chunk *chunk;
	uint64_t taken;	 /* bytes of all chunks */
	uint64_t unused; /* bytes of the newest chunk that are free, at its end */
	uint64_t **root; /* copies, by page number: a tree of pages of pointers */
};

/* Neither data nor frames are the disk's. */
void disk_init(struct disk *disk, const uint8_t *data, uint64_t size, struct frames *frames,
	       struct spinlock *lock);
/* Gives all copies back. */
void disk_drop(struct disk *disk);

/* Its size in whole units: the last one is filled up with zeros. */
static inline uint64_t disk_bytes(const struct disk *disk, uint64_t unit)
{
	return (disk->size + unit - 1) / unit * unit;
}

/* For struct vata_medium; ctx is the disk. A write fails when there is no memory for a copy. */
bool disk_read(void *ctx, uint64_t offset, void *to, uint64_t length);
bool disk_write(void *ctx, uint64_t offset, const void *from, uint64_t length);

#endif
