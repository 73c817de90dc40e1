/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of the CPU we run on, in xAPIC or x2APIC mode, and its timer. Intel SDM volume 3,
 * "Advanced Programmable Interrupt Controller (APIC)".
 */
#ifndef ARCH_X86_64_LAPIC_H
#define ARCH_X86_64_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

/*
 * On the boot CPU, once: chooses the mode for all CPUs, x2APIC where there is one and it is
 * allowed, and maps the xAPIC's page. False: no memory for that.
 */
bool lapic_choose(bool allow_x2apic);
/* Enables this CPU's APIC in the chosen mode, everything masked but NMI, and later the timer. */
void lapic_init(void);
uint32_t lapic_id(void);
/* Whether a message in the chosen mode can be addressed to that CPU. */
bool lapic_reaches(uint32_t apic_id);
void lapic_eoi(void);

/* Messages to another CPU. What was written before them is visible there when they arrive. */
void lapic_send_irq(uint32_t apic_id, uint8_t vector);
void lapic_send_nmi(uint32_t apic_id);
void lapic_send_init(uint32_t apic_id);
/* `page`: where it begins in real mode, physical, a page below 1 MiB. */
void lapic_send_startup(uint32_t apic_id, uint64_t page);

/*
 * Raises VECTOR_TIMER on this CPU when the TSC reaches `deadline`; a deadline in the past raises it
 * at once. One deadline at a time; UINT64_MAX disarms.
 */
void lapic_timer_arm(uint64_t deadline);
/* Frequency of the timer is measured against the TSC, which has been calibrated. */
void lapic_timer_init(uint64_t tsc_hz, bool allow_tsc_deadline);
/* The timer of another CPU, as the boot CPU's. */
void lapic_timer_init_other(void);

#endif
