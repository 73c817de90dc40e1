/* SPDX-License-Identifier: MIT */
/*
 * Time for a test guest: the TSC, whose rate is measured against the ACPI PM timer, for that one
 * needs no set-up and its rate is fixed by the specification.
 */
#ifndef GUESTS_LIB_CLOCK_H
#define GUESTS_LIB_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_PM_TIMER 0x408
#define CLOCK_PM_HZ    3579545u

/* Microseconds that a machine beneath may be late, where a test is told so by `slack=N`. */
extern uint32_t clock_slack;

/* n / d for code that has no 64-bit division. */
uint64_t clock_divide(uint64_t n, uint32_t d);
/* Measures the TSC's rate; takes 10 ms. */
void clock_init(void);
/* TSC ticks of some microseconds (up to 2^32 - 1). */
uint64_t clock_ticks(uint32_t microseconds);
/* Is `ticks` what `microseconds` take, give or take `percent` of that
 * and the slack? Says so if not. */
bool clock_near(uint64_t ticks, uint32_t microseconds, uint32_t percent);
/* Waits with interrupts as they are. */
void clock_wait(uint32_t microseconds);

#endif
