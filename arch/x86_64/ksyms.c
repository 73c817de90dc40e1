/* SPDX-License-Identifier: MIT */
/*
 * Looks an address up in the table of functions.
 *
 * The table is linked in at a second pass, sorted by address. It is searched in a panic or a dump
 * only, so it is small and not fast: functions as distances, names one after another with a byte
 * for each pair of bytes that is common (tools/ksyms).
 */
#include "arch/x86_64/ksyms.h"

#include <stddef.h>

extern const uint32_t ksyms_count;
extern const uint32_t ksyms_first;	  /* address of the first function */
extern const uint16_t ksyms_sizes[];	  /* from each to the next; ksyms_count - 1 of them */
extern const uint8_t ksyms_pairs[256][2]; /* what a code stands for; 0, 0: itself */
extern const uint8_t ksyms_names[];	  /* each ended by a 0 */

/* Writes what `code` stands for to `name` from `at` on; where it ends. */
static size_t expand(uint8_t code, char *name, size_t at)
{
	const uint8_t *pair = ksyms_pairs[code];

	if (pair[0])
		return expand(pair[1], name, expand(pair[0], name, at));
	if (at < KSYMS_NAME_MAX)
		name[at++] = (char)code;
	return at;
}

bool ksyms_find(uint64_t address, char name[KSYMS_NAME_MAX + 1], uint64_t *offset)
{
	const uint8_t *code = ksyms_names;
	uint64_t start = ksyms_first;
	size_t end = 0;

	if (!ksyms_count || address < start)
		return false;
	for (uint32_t i = 0; i + 1 < ksyms_count && address - start >= ksyms_sizes[i]; i++) {
		start += ksyms_sizes[i];
		while (*code++)
			;
	}
	while (*code)
		end = expand(*code++, name, end);
	name[end] = '\0';
	*offset = address - start;
	return true;
}
