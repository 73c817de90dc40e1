/* SPDX-License-Identifier: MIT */
/*
 * Which pages of its RAM a VM has written, since somebody asked last: for `writes` at the monitor,
 * in VMs whose description says track-writes. Three ways, by what the CPU has: it logs each page
 * once (SDM volume 3, "Page-Modification Logging"); it sets dirty flags in EPT entries; or pages
 * are write-protected until their first write. What Socle writes for a guest (string input, DMA of
 * the configuration device) does not count. With logs and flags the guest's page tables count as
 * written when the CPU walks them (SDM, "Accessed and Dirty Flags for EPT").
 */
#ifndef VM_WRITES_H
#define VM_WRITES_H

#include <stdbool.h>
#include <stdint.h>

#include "ept/ept.h"

enum writes_how { WRITES_NONE, WRITES_PROTECT, WRITES_FLAGS, WRITES_LOG };

struct writes {
	enum writes_how how;
	uint8_t *live;	/* a bit for each page of guest-physical space; atomic */
	uint8_t *shown; /* what writes_take found */
	uint64_t size;	/* bytes of each; whole pages. A page for each vCPU's log follows */
	uint64_t at;	/* page where writes_next goes on */
};

/* Bytes that a VM with RAM up to `end` needs for it. */
uint64_t writes_bytes(uint64_t end, unsigned cpus);
/* `room` is writes_bytes of memory, in whole pages, which stays the caller's. */
void writes_init(struct writes *writes, enum writes_how how, void *room, uint64_t end,
		 unsigned cpus);

/* The page that logs what vCPU `cpu` writes, or NULL. */
uint64_t *writes_log(const struct writes *writes, unsigned cpu);
/* A page was written. From any core; what is beyond RAM does not count. */
void writes_note(struct writes *writes, uint64_t gpa);

/*
 * Takes what was written since the last time, which the CPU then notices anew. The logs have been
 * read; the VM's memory lock is held. The caller has all CPUs forget the tables afterwards, without
 * the lock.
 */
void writes_take(struct writes *writes, struct ept *ept);
/* The next range of what was taken; false: that was all. Lengths in bytes. */
bool writes_next(struct writes *writes, uint64_t *gpa, uint64_t *length);

#endif
