/* SPDX-License-Identifier: MIT */
/* Which ports acts are about. */
#ifndef GUESTS_CHAOS64_PORTS_H
#define GUESTS_CHAOS64_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "guests/chaos64/prng.h"

/* One with a device, mostly. */
uint16_t ports_pick(struct prng *p);
/* Not to be written: it would end the VM, or write on its console. */
bool ports_spared(uint16_t port, unsigned size, uint32_t value);

#endif
