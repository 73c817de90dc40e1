/* SPDX-License-Identifier: MIT */
/*
 * The debugging ports of a virtual PC: a console (E9H), the POST code (80H) and an exit (F4H).
 * E9H and F4H are conventions of Bochs and QEMU; 80H is the IBM PC AT's.
 */
#ifndef DEVICES_VPORT_H
#define DEVICES_VPORT_H

#include <stdint.h>

#define VPORT_CONSOLE 0xE9
#define VPORT_BIOS    0x402 /* the same for firmware */
#define VPORT_POST    0x80
#define VPORT_EXIT    0xF4

struct vport_ops {
	void (*console)(void *ctx, uint8_t byte);
	void (*debug_exit)(void *ctx, uint32_t value);
	void *ctx;
};

struct vport {
	uint8_t post; /* last code written */
	struct vport_ops ops;
};

void vport_init(struct vport *v, const struct vport_ops *ops);
/* Ports E9H, 80H, and F4H with the three above it, so that the exit's value may have 32 bits. */
uint32_t vport_read(void *vport, uint16_t port, unsigned size, uint64_t now);
void vport_write(void *vport, uint16_t port, unsigned size, uint32_t value, uint64_t now);

#endif
