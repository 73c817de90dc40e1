/* SPDX-License-Identifier: MIT */
/* Exact conversion between ticks of a clock and units of another frequency. */
#ifndef LIB_RATE_H
#define LIB_RATE_H

#include <stdint.h>

/* Frequencies are 1 .. 2^33 Hz for `hz`, 1 .. 10^9 for `unit_hz`. */

/* Whole units that have passed after `ticks` ticks: floor(ticks * unit_hz / hz). Saturates. */
static inline uint64_t rate_units(uint64_t ticks, uint64_t hz, uint64_t unit_hz)
{
	uint64_t seconds = ticks / hz;
	uint64_t rest = ticks % hz * unit_hz / hz;

	/* Only a clock slower than the unit can get there. */
	if (hz < unit_hz && seconds > (UINT64_MAX - rest) / unit_hz)
		return UINT64_MAX;
	return seconds * unit_hz + rest;
}

/* The first tick at which `units` units have passed: ceil(units * hz / unit_hz). Saturates. */
static inline uint64_t rate_ticks(uint64_t units, uint64_t hz, uint64_t unit_hz)
{
	uint64_t seconds = units / unit_hz;
	uint64_t rest = (units % unit_hz * hz + unit_hz - 1) / unit_hz;

	if (seconds > (UINT64_MAX - rest) / hz)
		return UINT64_MAX;
	return seconds * hz + rest;
}

#endif
