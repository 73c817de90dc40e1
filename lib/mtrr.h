/* SPDX-License-Identifier: MIT */
/*
 * Memory types by a machine's MTRRs, for memory above 1 MiB (the fixed ranges are below).
 * Intel SDM volume 3, "Memory Type Range Registers (MTRRs)".
 */
#ifndef LIB_MTRR_H
#define LIB_MTRR_H

#include <stdint.h>

#include "lib/x86.h"

#define MTRR_VARIABLE_MAX 32

struct mtrr {
	uint64_t def_type; /* IA32_MTRR_DEF_TYPE */
	unsigned count;
	struct {
		uint64_t base, mask; /* IA32_MTRR_PHYSBASEn and PHYSMASKn */
	} variable[MTRR_VARIABLE_MAX];
};

/* The type of [start, end), start >= 1 MiB; uncached where its parts differ in type. */
enum memory_type mtrr_type(const struct mtrr *mtrr, uint64_t start, uint64_t end);

#endif
