/* SPDX-License-Identifier: MIT */
/* The TSC against the ACPI PM timer. */
#include "guests/guard64/pace.h"

#include "guests/lib/clock.h"
#include "guests/lib/guest.h"

#define TRIES	  8
#define MEASURED  (CLOCK_PM_HZ / 50)
#define PM_MASK	  0xffffffu
#define LATE_PM	  1000u /* an error of both readings, in PM ticks: 280 us */
#define TOLERANCE 200u	/* one part in so many */

static uint64_t hz;

struct moment pace_now(void)
{
	struct moment best = {0, 0};
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t before = rdtsc();
		uint32_t pm = inl(CLOCK_PM_TIMER);
		uint64_t gap = rdtsc() - before;

		if (gap < least) {
			least = gap;
			best = (struct moment){before, pm};
		}
	}
	return best;
}

void pace_init(void)
{
	struct moment start = pace_now(), now;

	do {
		now = pace_now();
	} while (((now.pm - start.pm) & PM_MASK) < MEASURED);
	hz = (now.tsc - start.tsc) * CLOCK_PM_HZ / ((now.pm - start.pm) & PM_MASK);
}

uint64_t pace_ticks(uint64_t microseconds)
{
	return hz * microseconds / 1000000;
}

bool pace_kept(struct moment since)
{
	struct moment now = pace_now();
	uint64_t pm = (now.pm - since.pm) & PM_MASK;
	uint64_t want = pm * hz / CLOCK_PM_HZ, got = now.tsc - since.tsc;
	uint64_t error = want / TOLERANCE + LATE_PM * hz / CLOCK_PM_HZ;

	if (got + error >= want && got <= want + error)
		return true;
	guest_print("# the TSC ran 0x%llx, the PM timer says 0x%llx\n", (unsigned long long)got,
		    (unsigned long long)want);
	return false;
}
