/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration mechanism 1 in front of a bus with nothing on it.
 * PCI Local Bus Specification 3.0, 'Software Generation of Configuration Transactions'.
 */
#ifndef DEVICES_VPCI_H
#define DEVICES_VPCI_H

#include <stdint.h>

#define VPCI_ADDRESS_PORT 0xCF8
#define VPCI_DATA_PORT	  0xCFC

struct vpci {
	uint32_t address; /* CONFIG_ADDRESS */
};

void vpci_init(struct vpci *v);
/* Ports CF8H..CFFH. */
uint32_t vpci_read(void *vpci, uint16_t port, unsigned size, uint64_t now);
void vpci_write(void *vpci, uint16_t port, unsigned size, uint32_t value, uint64_t now);

#endif
