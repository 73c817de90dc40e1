/* SPDX-License-Identifier: MIT */
/* Memory types by MTRRs. */
#include "lib/mtrr.h"

#include <stdbool.h>

#define DEF_TYPE_ENABLE BIT(11)
#define MASK_VALID	BIT(11)
#define TYPE_NONE	0xff

/* "MTRR Precedences": uncached wins, write-through wins over write-back, the rest is undefined. */
static uint8_t combine(uint8_t a, uint8_t b)
{
	if (a == TYPE_NONE || a == b)
		return b;
	if ((a == MEMORY_WT && b == MEMORY_WB) || (a == MEMORY_WB && b == MEMORY_WT))
		return MEMORY_WT;
	return MEMORY_UC;
}

/* The type of `address`; *end gets lowered to where the next range of one type may begin. */
static enum memory_type type_at(const struct mtrr *mtrr, uint64_t address, uint64_t *end)
{
	uint8_t type = TYPE_NONE;

	if (!(mtrr->def_type & DEF_TYPE_ENABLE))
		return MEMORY_UC;
	for (unsigned i = 0; i < mtrr->count; i++) {
		uint64_t mask = mtrr->variable[i].mask & ~(PAGE_SIZE - 1);

		if (!(mtrr->variable[i].mask & MASK_VALID))
			continue;
		if ((address & mask) == (mtrr->variable[i].base & mask))
			type = combine(type, (uint8_t)mtrr->variable[i].base);
		/* The lowest bit that counts: below it all addresses fare alike. */
		if (mask)
			*end = MIN(*end, align_down(address, mask & -mask) + (mask & -mask));
	}
	return (enum memory_type)(type == TYPE_NONE ? (uint8_t)mtrr->def_type : type);
}

enum memory_type mtrr_type(const struct mtrr *mtrr, uint64_t start, uint64_t end)
{
	uint64_t next = end;
	enum memory_type type = type_at(mtrr, start, &next);

	for (uint64_t at = next; at < end; at = next) {
		next = end;
		if (type_at(mtrr, at, &next) != type)
			return MEMORY_UC;
	}
	return type;
}
