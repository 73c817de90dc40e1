/* SPDX-License-Identifier: MIT */
/*
 * The clock of a VM: ticks of its TSC since it began, at a rate of its own or the host's. It is
 * computed from the host's TSC in the way of the CPU's own scaling (SDM volume 3, "Use TSC
 * Scaling"), so that what devices see and what RDTSC gives a guest agree to the tick.
 */
#ifndef VM_VMCLOCK_H
#define VM_VMCLOCK_H

#include <stdint.h>

#define VM_CLOCK_FRACTION 48 /* bits of `scale` below one */

struct vm_clock {
	uint64_t base;	/* the scaled host's TSC at tick 0 */
	uint64_t scale; /* the VM's ticks for each of the host's; 0: as many */
	uint64_t hz;	/* VM ticks a second */
};

static inline uint64_t vm_clock_scaled(const struct vm_clock *clock, uint64_t host)
{
	if (!clock->scale)
		return host;
	return (uint64_t)((unsigned __int128)host * clock->scale >> VM_CLOCK_FRACTION);
}

/* VM ticks at the host's TSC `host`. */
static inline uint64_t vm_clock_ticks(const struct vm_clock *clock, uint64_t host)
{
	return vm_clock_scaled(clock, host) - clock->base;
}

uint64_t vm_clock_unscale(const struct vm_clock *clock, uint64_t scaled);

/* The first host TSC at which `ticks` VM ticks have passed; UINT64_MAX: never. */
static inline uint64_t vm_clock_host(const struct vm_clock *clock, uint64_t ticks)
{
	if (ticks >= UINT64_MAX - clock->base)
		return UINT64_MAX;
	ticks += clock->base;
	return clock->scale ? vm_clock_unscale(clock, ticks) : ticks;
}

/* Tick 0 is now. `hz` is 1 to 2^33; as the host's: no scale. */
void vm_clock_start(struct vm_clock *clock, uint64_t hz, uint64_t host_hz, uint64_t host);
/* What has passed between two values of the host's TSC did not pass for the VM. */
void vm_clock_skip(struct vm_clock *clock, uint64_t from, uint64_t to);

#endif
