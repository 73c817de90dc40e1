/* SPDX-License-Identifier: MIT */
/* Sleeps to a TSC deadline, and looks whether its clock agrees: for somebody who pauses it. */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"

#define VECTOR	0x61
#define NAP_US	3000000u
#define LATE_US 500000u /* whoever shares the core may have it for a while */

static volatile unsigned wakes;
static volatile uint64_t woke;

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	woke = rdtsc();
	wakes = wakes + 1;
	apic_write(APIC_EOI, 0);
}

unsigned main(uintptr_t info)
{
	uint64_t deadline;

	(void)info;
	trap_init();
	clock_init();
	pic_set_mask(IRQ_ALL_MASKED);
	trap_set_handler(VECTOR, on_timer);
	apic_write(APIC_SVR, APIC_SVR_ON | 0xFF);
	apic_write(APIC_LVT_TIMER, APIC_DEADLINE | VECTOR);
	deadline = rdtsc() + clock_ticks(NAP_US);
	msr_write(APIC_DEADLINE_MSR, deadline);
	guest_print("# napping\n");
	irq_halt(&wakes, 1);
	guest_check(woke >= deadline, "not woken before its time");
	guest_check(woke - deadline < clock_ticks(LATE_US), "nor long after it");
	return guest_failures();
}
