/* SPDX-License-Identifier: MIT */
/*
 * Looks an address up in the table of functions.
 *
 * The table is linked in at a second pass, sorted by address. The image lies below 4 GiB, so 32
 * bits hold an address.
 */
#include "arch/x86_64/ksyms.h"

#include <stddef.h>

struct ksym {
	uint32_t address;
	uint32_t name; /* offset into ksyms_names */
};

extern const struct ksym ksyms[];
extern const uint32_t ksyms_count;
extern const char ksyms_names[];

const char *ksyms_find(uint64_t address, uint64_t *offset)
{
	uint32_t low = 0, high = ksyms_count;

	/* Entries below `low` start at or before the address, those from `high` on after it. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (ksyms[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	*offset = address - ksyms[low - 1].address;
	return ksyms_names + ksyms[low - 1].name;
}
