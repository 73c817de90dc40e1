/* SPDX-License-Identifier: MIT */
/* The TSC as a test guest's clock. */
#include "guests/lib/clock.h"

#include "guests/lib/guest.h"

#define MEASURED_US   10000u
#define MEASURED_PM   (CLOCK_PM_HZ / 100)
#define TOLERANCE_PER 100u

uint32_t clock_slack;

static uint64_t measured; /* ticks of MEASURED_US */

uint64_t clock_divide(uint64_t n, uint32_t d)
{
	uint32_t high = (uint32_t)(n >> 32), low = (uint32_t)n, rest = high % d;

	__asm__("divl %2" : "+a"(low), "+d"(rest) : "r"(d));
	return (uint64_t)(high / d) << 32 | low;
}

void clock_init(void)
{
	uint32_t first = inl(CLOCK_PM_TIMER);
	uint64_t start = rdtsc();

	while (inl(CLOCK_PM_TIMER) - first < MEASURED_PM)
		;
	measured = rdtsc() - start;
}

uint64_t clock_ticks(uint32_t microseconds)
{
	return clock_divide(measured * microseconds, MEASURED_US);
}

bool clock_near(uint64_t ticks, uint32_t microseconds, uint32_t percent)
{
	uint64_t want = clock_ticks(microseconds);
	uint64_t tolerance = clock_divide(want * percent, TOLERANCE_PER) + clock_ticks(clock_slack);

	if (ticks + tolerance >= want && ticks <= want + tolerance)
		return true;
	guest_print("# took 0x%llx ticks, want 0x%llx\n", (unsigned long long)ticks,
		    (unsigned long long)want);
	return false;
}

void clock_wait(uint32_t microseconds)
{
	uint64_t start = rdtsc(), ticks = clock_ticks(microseconds);

	while (rdtsc() - start < ticks)
		;
}
