/* SPDX-License-Identifier: MIT */
/* The clock of a VM. */
#include "vm/vmclock.h"

/* floor((high * 2^64 + low) / divisor), which must be below 2^64. */
static uint64_t divide(uint64_t high, uint64_t low, uint64_t divisor)
{
	__asm__("divq %2" : "+a"(low), "+d"(high) : "r"(divisor) : "cc");
	return low;
}

uint64_t vm_clock_unscale(const struct vm_clock *clock, uint64_t scaled)
{
	uint64_t high = scaled >> (64 - VM_CLOCK_FRACTION), host;

	if (high >= clock->scale)
		return UINT64_MAX;
	host = divide(high, scaled << VM_CLOCK_FRACTION, clock->scale);
	return host + (host < UINT64_MAX && vm_clock_scaled(clock, host) < scaled);
}

void vm_clock_start(struct vm_clock *clock, uint64_t hz, uint64_t host_hz, uint64_t host)
{
	clock->hz = hz;
	clock->scale = hz == host_hz ? 0
				     : divide(hz >> (64 - VM_CLOCK_FRACTION),
					      hz << VM_CLOCK_FRACTION, host_hz);
	clock->base = vm_clock_scaled(clock, host);
}

void vm_clock_skip(struct vm_clock *clock, uint64_t from, uint64_t to)
{
	clock->base += vm_clock_scaled(clock, to) - vm_clock_scaled(clock, from);
}
