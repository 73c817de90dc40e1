/* SPDX-License-Identifier: MIT */
/*
 * What an IPI between two CPUs costs, in ticks of the TSC from before the write of ICR to the
 * handler's first instruction: to a CPU that runs, and to one that halts.
 */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/smp.h"
#include "guests/lib/trap.h"

#define VECTOR	    0x91
#define ROUNDS	    200u
#define ECX1_X2APIC (1u << 21)

void ipi_handler(void);

/* Of handler.asm. */
volatile uint64_t ipi_arrived;
volatile unsigned ipi_count;
uint32_t ipi_eoi = APIC_PAGE + APIC_EOI; /* 0 in x2APIC mode */

static volatile bool stop;
static uint32_t taken[ROUNDS];

static void spin(void *argument)
{
	(void)argument;
	irq_on();
	while (!stop)
		__asm__ volatile("" : : : "memory");
	irq_off();
}

static void halt(void *argument)
{
	(void)argument;
	while (!stop)
		__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

static void sort(void)
{
	for (unsigned i = 1; i < ROUNDS; i++)
		for (unsigned j = i; j && taken[j - 1] > taken[j]; j--) {
			uint32_t other = taken[j];

			taken[j] = taken[j - 1];
			taken[j - 1] = other;
		}
}

static void measure(const char *name, void (*wait)(void *argument))
{
	unsigned come = 0;

	stop = false;
	smp_call(1, wait, 0);
	clock_wait(500);
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned before = ipi_count;
		uint64_t start;

		/* Not in step with anything. */
		for (unsigned pause = 300 + i * 7919 % 1024; pause; pause--)
			__asm__ volatile("" : : : "memory");
		if (!apic_x2)
			apic_write(APIC_ICR_HIGH, 1u << 24);
		start = rdtsc();
		if (apic_x2)
			msr_write(APIC_X2_MSR(APIC_ICR), 1ull << 32 | VECTOR);
		else
			apic_write(APIC_ICR, VECTOR);
		come += smp_until(&ipi_count, before + 1);
		taken[i] = (uint32_t)(ipi_arrived - start);
	}
	stop = true;
	apic_ipi(VECTOR, 1);
	smp_wait(1);
	sort();
	guest_check_equal(come, ROUNDS, name);
	guest_print("bench ipi-%s min %u median %u max %u\n", name, taken[0], taken[ROUNDS / 2],
		    taken[ROUNDS - 1]);
}

static void enter_x2apic(void *argument)
{
	(void)argument;
	msr_write(APIC_BASE_MSR, msr_read(APIC_BASE_MSR) | APIC_BASE_X2);
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	clock_init();
	pic_start(PIC_8086);
	if (!guest_check(smp_start() == 2, "two CPUs"))
		return guest_failures();
	trap_set_gate(VECTOR, (uintptr_t)ipi_handler);
	measure("xapic-running", spin);
	measure("xapic-halted", halt);
	if (!(cpuid(1, 0).ecx & ECX1_X2APIC))
		return guest_failures();
	smp_call(1, enter_x2apic, 0);
	smp_wait(1);
	enter_x2apic(0);
	apic_x2 = true;
	ipi_eoi = 0;
	measure("x2apic-running", spin);
	measure("x2apic-halted", halt);
	return guest_failures();
}
