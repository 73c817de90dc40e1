/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration mechanism 1, empty bus: a master abort on every configuration cycle.
 * PCI Local Bus Specification 3.0, 'Configuration Mechanism #1'.
 */
#include "devices/vpci.h"

/* Enable, bus, device, function, register; the others read as zero. */
#define ADDRESS_BITS 0x80FFFFFCU

void vpci_init(struct vpci *v)
{
	v->address = 0;
}

/* CONFIG_ADDRESS is there for whole double words only; others go to the ports as such: nobody. */
uint32_t vpci_read(void *vpci, uint16_t port, unsigned size, uint64_t now)
{
	const struct vpci *v = vpci;

	(void)now;
	return port == VPCI_ADDRESS_PORT && size == 4 ? v->address : UINT32_MAX;
}

void vpci_write(void *vpci, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vpci *v = vpci;

	(void)now;
	if (port == VPCI_ADDRESS_PORT && size == 4)
		v->address = value & ADDRESS_BITS;
}
