/* SPDX-License-Identifier: MIT */
/*
 * How much of its core's time each CPU gets when all do nothing but run: `ticks=N` (millions) is
 * how long. A CPU counts the time between two readings of the TSC unless it is so long that others
 * must have run. Each share is printed, and the spread among the CPUs in thousandths of their mean.
 */
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/smp.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define MILLION 1000000u
#define AWAY	50000u /* ticks: more than an exit, less than a slice */
#define SETTLE	20u    /* million ticks before and after, in which others begin and end */

static struct {
	volatile uint64_t ran;
	volatile unsigned turns;
} __attribute__((aligned(64))) shares[SMP_MAX];
static uint64_t from, to;

static void run(void *argument)
{
	unsigned cpu = smp_id(), turns = 0;
	uint64_t before = rdtsc(), ran = 0;

	(void)argument;
	while (before < to + (uint64_t)SETTLE * MILLION) {
		uint64_t now = rdtsc();

		if (before >= from && now < to) {
			if (now - before < AWAY)
				ran += now - before;
			else
				turns++;
		}
		before = now;
	}
	shares[cpu].ran = ran;
	shares[cpu].turns = turns;
}

static void report(uint32_t ticks)
{
	uint64_t least = UINT64_MAX, most = 0, sum = 0;

	for (unsigned cpu = 0; cpu < smp_cpus; cpu++) {
		uint64_t ran = shares[cpu].ran;

		least = ran < least ? ran : least;
		most = ran > most ? ran : most;
		sum += ran;
		guest_print("share of CPU %u: %u of 1000 (%u turns)\n", cpu,
			    (unsigned)clock_divide(ran, ticks * (MILLION / 1000)),
			    shares[cpu].turns);
	}
	guest_print("spread %u of 1000\n",
		    (unsigned)clock_divide((most - least) * 1000,
					   (uint32_t)(clock_divide(sum, smp_cpus))));
}

unsigned main(uintptr_t info)
{
	uint32_t ticks = words_number(info, "ticks", 500);

	trap_init();
	clock_init();
	pic_start(PIC_8086);
	guest_check(smp_start() >= 1, "started");
	from = rdtsc() + (uint64_t)SETTLE * MILLION;
	to = from + (uint64_t)ticks * MILLION;
	for (unsigned cpu = 1; cpu < smp_cpus; cpu++)
		smp_call(cpu, run, 0);
	run(0);
	for (unsigned cpu = 1; cpu < smp_cpus; cpu++)
		smp_wait(cpu);
	report(ticks);
	return guest_failures();
}
