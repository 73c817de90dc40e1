/* SPDX-License-Identifier: MIT */
/*
 * A bad neighbour for other virtual machines. It never ends; its command line says what it does:
 * `spin` runs with interrupts off, `flood` sends itself interrupts as fast as it can, `exits` makes
 * exits without a pause. All of its CPUs do.
 */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/smp.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define VECTOR 0x91

static void on_flood(struct trap_frame *frame)
{
	(void)frame;
	apic_write(APIC_EOI, 0);
	apic_send_self(VECTOR);
}

static void spin(void *argument)
{
	(void)argument;
	irq_off();
	for (;;)
		__asm__ volatile("");
}

static void flood(void *argument)
{
	(void)argument;
	apic_send_self(VECTOR);
	irq_on();
	for (;;)
		apic_send_self(VECTOR);
}

static void make_exits(void *argument)
{
	(void)argument;
	for (;;)
		cpuid(0, 0);
}

unsigned main(uintptr_t info)
{
	void (*act)(void *argument) = words_have(info, "spin")	  ? spin
				      : words_have(info, "flood") ? flood
								  : make_exits;

	trap_init();
	clock_init();
	pic_start(PIC_8086);
	trap_set_handler(VECTOR, on_flood);
	smp_start();
	guest_print("# begins\n");
	for (unsigned cpu = 1; cpu < smp_cpus; cpu++)
		smp_call(cpu, act, 0);
	act(0);
	return 1;
}
