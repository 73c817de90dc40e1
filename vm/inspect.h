/* SPDX-License-Identifier: MIT */
/*
 * What the devices, the memory and the page tables of a VM hold, in words, for the monitor. Only
 * reads: nothing that the guest could notice happens.
 */
#ifndef VM_INSPECT_H
#define VM_INSPECT_H

#include "vm/memory.h"
#include "vm/monitor_ops.h"
#include "vm/outbuf.h"

/*
 * Part `part` (from 0) of the listing, at most INSPECT_PART_MAX bytes of whole lines, as words or
 * as JSON objects. False: there is no such part. `now` in the VM's ticks.
 */
#define INSPECT_PART_MAX 4096
bool inspect_devices(const struct pc *pc, uint64_t now, unsigned part, bool json,
		     struct outbuf *out);
bool inspect_interrupts(const struct pc *pc, unsigned part, bool json, struct outbuf *out);

/* As monitor_ops.read, of this memory. */
enum monitor_memory inspect_memory(const struct guest_memory *memory, uint64_t gpa, void *to,
				   size_t length);

/* How inspect_walk reads; as monitor_ops.read. */
struct inspect_reader {
	enum monitor_memory (*read)(void *ctx, unsigned vm, uint64_t gpa, void *to, size_t length);
	void *ctx;
	unsigned vm;
};

/*
 * The walk of the guest's page tables to `linear`, an entry a line; it sets no accessed or dirty
 * bit. True: *gpa is the address.
 */
bool inspect_walk(const struct monitor_regs *regs, const struct inspect_reader *reader,
		  uint64_t linear, bool json, struct outbuf *out, uint64_t *gpa);

#endif
