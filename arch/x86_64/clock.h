/* SPDX-License-Identifier: MIT */
/* The frequency of this machine's TSC, Socle's only clock, and the time of day at boot. */
#ifndef ARCH_X86_64_CLOCK_H
#define ARCH_X86_64_CLOCK_H

#include <stdint.h>

/* Measures, and says by what. Ticks a second. ACPI tables must have been read. */
uint64_t clock_init(void);
/* Seconds since 1970-01-01 UTC by the machine's CMOS clock; 0 when that makes no sense. */
uint64_t clock_epoch(void);

#endif
