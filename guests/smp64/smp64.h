/* SPDX-License-Identifier: MIT */
/* The parts of the guest that tests several CPUs. */
#ifndef GUESTS_SMP64_SMP64_H
#define GUESTS_SMP64_SMP64_H

#include "guests/lib/smp.h"

#define VECTOR_COUNT 0x91 /* counted for each CPU in `got` */

/* How often VECTOR_COUNT came to a CPU. */
extern volatile unsigned got[SMP_MAX];
/* Lets all that was sent arrive, and forgets it at the next call of forget(). */
void forget(void);
/* Which CPUs got it: bit n for CPU n, once; any other number sets bit 31. */
uint32_t who_got(void);

void test_start(void);
void test_restart(void);
void test_ipis(void);
void test_xapic_logical(void);
void test_x2apic(void);
void test_ioapic(void);
void test_time(void);
void test_memory(void);

#endif
