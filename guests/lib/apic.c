/* SPDX-License-Identifier: MIT */
/* The local APIC's registers for test guests. */
#include "guests/lib/apic.h"

#include "guests/lib/mmio.h"

bool apic_x2;

uint32_t apic_read(uint32_t reg)
{
	return apic_x2 ? (uint32_t)msr_read(APIC_X2_MSR(reg)) : mmio_read(APIC_PAGE + reg);
}

void apic_write(uint32_t reg, uint32_t value)
{
	if (apic_x2)
		msr_write(APIC_X2_MSR(reg), value);
	else
		mmio_write(APIC_PAGE + reg, value);
}

bool apic_bit(uint32_t array, unsigned vector)
{
	return apic_read(array + vector / 32 * 16) >> vector % 32 & 1;
}

void apic_send_self(unsigned vector)
{
	apic_write(APIC_ICR, APIC_SELF | vector);
}

void apic_ipi(uint32_t low, uint32_t destination)
{
	if (apic_x2) {
		msr_write(APIC_X2_MSR(APIC_ICR), (uint64_t)destination << 32 | low);
		return;
	}
	apic_write(APIC_ICR_HIGH, destination << 24);
	apic_write(APIC_ICR, low);
}
