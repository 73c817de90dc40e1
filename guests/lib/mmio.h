/* SPDX-License-Identifier: MIT */
/* Device registers in memory, as a test guest's C reaches them: one access of 32 bits each. */
#ifndef GUESTS_LIB_MMIO_H
#define GUESTS_LIB_MMIO_H

#include <stdint.h>

static inline uint32_t mmio_read(uintptr_t address)
{
	return *(volatile uint32_t *)address;
}

static inline void mmio_write(uintptr_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

#endif
