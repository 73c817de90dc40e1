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

static enum memory_type type_at(const struct mtrr *mtrr, uint64_t address)
{
	uint8_t type = TYPE_NONE;

	if (!(mtrr->def_type & DEF_TYPE_ENABLE))
		return MEMORY_UC;
	for (unsigned i = 0; i < mtrr->count; i++) {
		uint64_t mask = mtrr->variable[i].mask & ~(PAGE_SIZE - 1);

		if ((mtrr->variable[i].mask & MASK_VALID) &&
		    (address & mask) == (mtrr->variable[i].base & mask))
			type = combine(type, (uint8_t)mtrr->variable[i].base);
	}
	return (enum memory_type)(type == TYPE_NONE ? (uint8_t)mtrr->def_type : type);
}

enum memory_type mtrr_type(const struct mtrr *mtrr, uint64_t start, uint64_t end)
{
	enum memory_type type = type_at(mtrr, start);

	for (uint64_t at = align_down(start, PAGE_SIZE) + PAGE_SIZE; at < end; at += PAGE_SIZE)
		if (type_at(mtrr, at) != type)
			return MEMORY_UC;
	return type;
}
