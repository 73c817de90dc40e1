/* SPDX-License-Identifier: MIT */
/*
 * A PCI bus as software configures it: mechanism 1 (ports CF8H, CFCH) and the memory-mapped one
 * of PCI Express, in front of functions that are 256 bytes of registers each.
 *
 * A function's registers are data: what they hold at power-up and which bits software can change.
 * A base-address register needs no more: its size is where its writable bits begin.
 * PCI Local Bus Specification 3.0, 'Configuration Space', 'Software Generation of Configuration
 * Transactions'; PCI Express Base Specification, 'PCI Express Enhanced Configuration Access
 * Mechanism'.
 */
#ifndef DEVICES_VPCI_H
#define DEVICES_VPCI_H

#include <stdbool.h>
#include <stdint.h>

#define VPCI_ADDRESS_PORT	     0xCF8
#define VPCI_DATA_PORT		     0xCFC
#define VPCI_ECAM_SIZE		     0x100000 /* of one bus */
#define VPCI_CONFIG_BYTES	     256
#define VPCI_FUNCTIONS_MAX	     16

#define VPCI_DEVFN(device, function) ((uint8_t)((device) << 3 | (function)))

/* Registers first .. last, a byte each: value at power-up, bits that software can write. */
struct vpci_register {
	uint8_t first;
	uint8_t last;
	uint8_t value;
	uint8_t writable;
};

struct vpci_function {
	uint8_t devfn;
	const struct vpci_register *map; /* of what is not zero and read-only; not overlapping */
	unsigned registers;
	/* Bytes [reg, reg + size) were written. May be NULL. */
	void (*written)(void *ctx, unsigned reg, unsigned size);
	void *ctx;
	uint8_t config[VPCI_CONFIG_BYTES];
};

struct vpci {
	uint32_t address; /* CONFIG_ADDRESS */
	unsigned functions;
	struct vpci_function *function[VPCI_FUNCTIONS_MAX];
};

/* An empty bus. */
void vpci_init(struct vpci *v);
/* Powers up *f, whose fields up to `ctx` are set, and puts it on the bus, which keeps the pointer.
 * False: the bus is full, or the place taken. */
bool vpci_add(struct vpci *v, struct vpci_function *f);

/* Ports CF8H..CFFH. */
uint32_t vpci_read(void *vpci, uint16_t port, unsigned size, uint64_t now);
void vpci_write(void *vpci, uint16_t port, unsigned size, uint32_t value, uint64_t now);
/* The VPCI_ECAM_SIZE bytes of bus 0. */
uint64_t vpci_ecam_read(void *vpci, uint64_t offset, unsigned size, uint64_t now);
void vpci_ecam_write(void *vpci, uint64_t offset, unsigned size, uint64_t value, uint64_t now);

#endif
