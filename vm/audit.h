/* SPDX-License-Identifier: MIT */
/*
 * Proof of who owns the machine's memory: each page that was ever given to the frame allocator is
 * free, or of one VM, or of Socle, and of one of them only.
 *
 * Whoever owns memory claims it, page by page in a map of all; what is claimed twice, claimed from
 * outside, or left over at the end is a finding. Nothing may be taken or given back meanwhile: the
 * caller holds what locks that needs.
 */
#ifndef VM_AUDIT_H
#define VM_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/frames.h"
#include "vm/vm.h"

enum audit_owner { AUDIT_FREE, AUDIT_SOCLE, AUDIT_VM, AUDIT_OWNERS };

struct audit {
	const struct frames *pool; /* all that there ever was */
	uint64_t base;		   /* of the map's first page */
	uint64_t pages;
	uint8_t *map; /* a bit for each page: claimed */
	void (*line)(void *to, const char *text);
	void *to;
	unsigned findings;
	uint64_t bytes[AUDIT_OWNERS];
	const char *name; /* of the VM that is looked at, or of what is claimed */
	const struct guest_memory *memory;
	uint64_t apic_access_page; /* that the tables may lead to as well; 0: none */
};

/* Bytes of the map that `pool` needs. */
uint64_t audit_map_size(const struct frames *pool);
/* `map`: that many bytes. Each finding is a line, in words. */
void audit_begin(struct audit *audit, const struct frames *pool, uint8_t *map,
		 void (*line)(void *to, const char *text), void *to);

/* [start, start + size), widened to pages, is `owner`'s; `what` it is, for the findings. */
void audit_claim(struct audit *audit, uint64_t start, uint64_t size, enum audit_owner owner,
		 const char *what);
void audit_claim_free(struct audit *audit, struct frames *frames);
/*
 * What the VM has: RAM, tables, pages of its own; and that its tables lead to its own RAM only, to
 * each page where it belongs. The caller holds vm->memory_lock.
 */
void audit_claim_vm(struct audit *audit, const struct vm *vm);
/* Something else that is wrong. */
void audit_finding(struct audit *audit, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What nobody claimed is lost. Says the sums; true when there was no finding. */
bool audit_end(struct audit *audit);

#endif
