/* SPDX-License-Identifier: MIT */
/*
 * What a switch between two vCPUs of one core costs, in ticks of the TSC: both do nothing but write
 * down the time, and who finds that it has not run for a while looks at when the other one last
 * did. That is from one's last instruction to the other's first, exit and entry with it.
 */
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/smp.h"
#include "guests/lib/trap.h"

#define SWITCHES 400u
#define PAUSED	 20000u /* ticks without a turn, of which a slice has many more */

static volatile uint64_t last[2] __attribute__((aligned(64)));
static volatile unsigned switches;
static uint32_t taken[SWITCHES];

static void run(void *argument)
{
	unsigned self = smp_id();
	uint64_t before = rdtsc();

	(void)argument;
	while (switches < SWITCHES) {
		uint64_t now = rdtsc(), other = last[!self];

		if (now - before > PAUSED && other > before) {
			taken[switches] = (uint32_t)(now - other);
			switches = switches + 1;
		}
		/* One reading for both: wherever the turn ends, the next one sees the gap. */
		before = last[self] = now;
	}
}

unsigned main(uintptr_t info)
{
	uint32_t min = UINT32_MAX, max = 0;
	uint64_t sum = 0;

	(void)info;
	trap_init();
	clock_init();
	pic_start(PIC_8086);
	if (!guest_check(smp_start() == 2, "two CPUs"))
		return guest_failures();
	guest_check(smp_all(run, 0), "both had their turns");
	for (unsigned i = 0; i < SWITCHES; i++) {
		min = taken[i] < min ? taken[i] : min;
		max = taken[i] > max ? taken[i] : max;
		sum += taken[i];
	}
	guest_print("bench switch min %u mean %u max %u\n", min,
		    (unsigned)clock_divide(sum, SWITCHES), max);
	return guest_failures();
}
