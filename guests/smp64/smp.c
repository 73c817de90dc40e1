/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs: how they start, find and interrupt each other, share memory and time. The word
 * `hang` on the command line has all of them halt with interrupts off, `let-in` lets a host in
 * while they wait.
 */
#include "guests/smp64/smp64.h"

#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define ECX1_X2APIC (1u << 21)
#define NOT_ONCE    (1u << 31)

volatile unsigned got[SMP_MAX];

static void on_count(struct trap_frame *frame)
{
	(void)frame;
	smp_add(&got[smp_id()], 1);
	apic_write(APIC_EOI, 0);
}

void forget(void)
{
	smp_settle();
	irq_window();
	for (unsigned cpu = 0; cpu < SMP_MAX; cpu++)
		got[cpu] = 0;
}

uint32_t who_got(void)
{
	uint32_t who = 0;

	smp_settle();
	irq_window();
	for (unsigned cpu = 0; cpu < smp_cpus; cpu++)
		who |= got[cpu] == 1 ? 1u << cpu : got[cpu] ? NOT_ONCE : 0;
	return who;
}

static void halt(void *argument)
{
	(void)argument;
	for (;;)
		__asm__ volatile("cli\n\thlt");
}

unsigned main(uintptr_t info)
{
	smp_let_in = words_have(info, "let-in");
	trap_init();
	trap_set_handler(VECTOR_COUNT, on_count);
	clock_init();
	pic_start(PIC_8086);
	test_start();
	if (smp_cpus < 2)
		return guest_failures();
	if (words_have(info, "hang")) {
		guest_print("# all halt\n");
		for (unsigned cpu = 1; cpu < smp_cpus; cpu++)
			smp_call(cpu, halt, 0);
		halt(0);
	}
	test_ipis();
	test_xapic_logical();
	test_ioapic();
	test_time();
	test_memory();
	test_restart();
	if (cpuid(1, 0).ecx & ECX1_X2APIC)
		test_x2apic();
	else
		guest_print("# there is no x2APIC mode\n");
	return guest_failures();
}
