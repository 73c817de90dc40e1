/* SPDX-License-Identifier: MIT */
/*
 * What of a kernel's file goes where: the segments that a loader found, checked against the guest's
 * RAM, against each other and against what the boot protocol puts into memory, then written.
 */
#ifndef VM_LOAD_PLAN_H
#define VM_LOAD_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/config.h"
#include "vm/memory.h"

#define PLAN_SEGMENTS_MAX 32

struct plan_segment {
	uint64_t offset;    /* in the file */
	uint64_t file_size; /* bytes */
	uint64_t gpa;
	uint64_t size;	 /* bytes in memory, at least file_size: the rest is zeroed */
	uint64_t linked; /* address it is linked at */
};

/* Parts of vm/layout.h that the protocol uses, where no segment may lie. */
enum plan_use {
	PLAN_GDT = 1,
	PLAN_INFO = 2, /* LAYOUT_BOOT_PARAMS and LAYOUT_BOOT_LISTS */
	PLAN_TABLES = 4,
	PLAN_STACK = 8,
	PLAN_CMDLINE = 16,
};

struct plan {
	struct plan_segment segment[PLAN_SEGMENTS_MAX];
	unsigned segments;
	uint64_t entry; /* gpa */
	uint64_t base;	/* gpa of the lowest segment, and after the highest: plan_measure */
	uint64_t end;
};

/* Empty segments are left out. False: too many, or the file has not what it promises. */
bool plan_add(struct plan *plan, const struct plan_segment *segment, uint64_t file_size,
	      struct error *error);

/* Sets base and end; a sum that wraps makes the highest end. */
void plan_measure(struct plan *plan);

/* Moves all segments and the entry, modulo 2^64: plan_write checks what comes out. */
void plan_move(struct plan *plan, uint64_t distance);

/* Checks each segment and the entry (uses: enum plan_use), then writes the segments. */
bool plan_write(struct plan *plan, const struct config_file *file, unsigned uses,
		struct guest_memory *memory, struct error *error);

#endif
