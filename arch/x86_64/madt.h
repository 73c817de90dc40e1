/* SPDX-License-Identifier: MIT */
/*
 * The CPUs that ACPI's MADT lists. The table is firmware's word: plain C over its bytes, so that
 * damaged ones are tried out on the host. ACPI specification, "Multiple APIC Description Table".
 */
#ifndef ARCH_X86_64_MADT_H
#define ARCH_X86_64_MADT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MADT_CPUS_MAX 32

struct madt_cpus {
	unsigned count;
	uint32_t apic_id[MADT_CPUS_MAX]; /* in the table's order, each once */
	unsigned offline;		 /* may be plugged in later: not started */
	unsigned unusable;		 /* the firmware says so */
	unsigned duplicates;
	unsigned beyond; /* found no room in apic_id */
	bool damaged;	 /* an entry has a wrong length: what follows it was not read */
};

/*
 * Reads the `size` bytes at `table`, header included. The CPU with `boot_id` comes first, listed or
 * not, so that it is never the one without room. Names in the log what is left out.
 */
void madt_read_cpus(const void *table, size_t size, uint32_t boot_id, struct madt_cpus *cpus);

#endif
