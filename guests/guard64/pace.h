/* SPDX-License-Identifier: MIT */
/*
 * The TSC's rate, by the ACPI PM timer, as one can tell it though other VMs may have the core at
 * any moment: both are read together, and again until nothing came in between.
 */
#ifndef GUESTS_GUARD64_PACE_H
#define GUESTS_GUARD64_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct moment {
	uint64_t tsc;
	uint32_t pm;
};

struct moment pace_now(void);
/* Takes 20 ms. */
void pace_init(void);
/* TSC ticks of some microseconds. */
uint64_t pace_ticks(uint64_t microseconds);
/* Have both clocks run alike since then? Says so if not. */
bool pace_kept(struct moment since);

#endif
