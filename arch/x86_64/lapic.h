/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of the CPU we run on, in xAPIC or x2APIC mode, and its timer. Intel SDM volume 3,
 * "Advanced Programmable Interrupt Controller (APIC)".
 */
#ifndef ARCH_X86_64_LAPIC_H
#define ARCH_X86_64_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

/* Physical address of the xAPIC's page, to be mapped uncached; 0 in x2APIC mode. */
uint64_t lapic_page(void);
/* Enables this CPU's APIC (x2APIC where there is one), everything masked but its timer. */
void lapic_init(void);
uint32_t lapic_id(void);
void lapic_eoi(void);

/*
 * Raises VECTOR_TIMER on this CPU when the TSC reaches `deadline`; a deadline in the past raises it
 * at once. One deadline at a time; UINT64_MAX disarms.
 */
void lapic_timer_arm(uint64_t deadline);
/* Frequency of the timer is measured against the TSC, which has been calibrated. */
void lapic_timer_init(uint64_t tsc_hz, bool allow_tsc_deadline);

#endif
