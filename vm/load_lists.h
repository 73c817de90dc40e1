/* SPDX-License-Identifier: MIT */
/*
 * What boot protocols put into a guest's memory beside its kernel: lists and strings below 1 MiB,
 * files (modules, symbols) on whole pages above the kernel, or between 1 MiB and the kernel.
 */
#ifndef VM_LOAD_LISTS_H
#define VM_LOAD_LISTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/config.h"
#include "vm/load_plan.h"
#include "vm/memory.h"

struct lists {
	struct guest_memory *memory;
	uint64_t next; /* of the next list or string, up to LAYOUT_BOOT_LISTS_END */
	struct {
		uint64_t next, end;
	} room[2]; /* for files: after the kernel, before it */
};

/* `plan`: measured. */
void lists_init(struct lists *lists, struct guest_memory *memory, const struct plan *plan);

/* The gpa (of 8-byte alignment) at which `length` bytes were put, 0 when they do not fit. */
uint32_t lists_put(struct lists *lists, const void *from, uint64_t length);

/* The same for a text, with a NUL after it. */
uint32_t lists_put_text(struct lists *lists, struct text text);

/* Puts a file where there is room for it; `ctx` is the struct lists. */
bool lists_put_file(void *ctx, const void *from, uint64_t size, uint64_t *gpa);

/* Puts a file of the description there; the error names `what` it is (module, initrd). */
bool lists_put_module(struct lists *lists, const char *what, const struct config_file *file,
		      uint64_t *gpa, struct error *error);

/* Puts the kernel's command line at LAYOUT_CMDLINE. */
bool lists_put_cmdline(struct lists *lists, struct text cmdline, struct error *error);

#endif
