/* SPDX-License-Identifier: MIT */
/* Exact conversion between ticks of a clock and units of another frequency. */
#ifndef LIB_RATE_H
#define LIB_RATE_H

#include <stdint.h>

/* floor((a * b + c) / divisor), UINT64_MAX where that is larger. */
uint64_t rate_scale(uint64_t a, uint64_t b, uint64_t c, uint64_t divisor);

/* Frequencies are 1 .. 2^33 Hz for `hz`, 1 .. 10^9 for `unit_hz`. */

/* Whole units that have passed after `ticks` ticks: floor(ticks * unit_hz / hz). Saturates. */
static inline uint64_t rate_units(uint64_t ticks, uint64_t hz, uint64_t unit_hz)
{
	return rate_scale(ticks, unit_hz, 0, hz);
}

/* The first tick at which `units` units have passed: ceil(units * hz / unit_hz). Saturates. */
static inline uint64_t rate_ticks(uint64_t units, uint64_t hz, uint64_t unit_hz)
{
	return rate_scale(units, hz, unit_hz - 1, unit_hz);
}

#endif
