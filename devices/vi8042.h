/* SPDX-License-Identifier: MIT */
/*
 * 8042 keyboard controller, with a PS/2 keyboard and a PS/2 mouse, and system control port 92H.
 *
 * A byte of theirs takes a millisecond, which is about what the eleven bits take on the wire: a
 * handler that reads port 60H twice gets the same byte twice.
 *
 * The A20 gate is remembered and read back, and gates nothing: processors since Haswell have no
 * A20M# either. IBM PS/2 Hardware Interface Technical Reference, 'Keyboard and Auxiliary Device
 * Controller'; ICH9 datasheet, 'Fast A20 and INIT'.
 */
#ifndef DEVICES_VI8042_H
#define DEVICES_VI8042_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/line.h"
#include "devices/vps2.h"

#define VI8042_DATA_PORT    0x60
#define VI8042_COMMAND_PORT 0x64
#define VI8042_PORT92	    0x92
#define VI8042_RAM_SIZE	    32

struct vi8042 {
	uint8_t ram[VI8042_RAM_SIZE]; /* ram[0] is the command byte */
	uint8_t output;		      /* the output buffer */
	uint8_t status;		      /* flags of `output` and of the last write */
	uint8_t command;	      /* the command that waits for its data byte, 0 for none */
	uint8_t output_port;
	uint8_t port92; /* A20 and the last level of the fast reset */
	bool broken;	/* a break prefix was taken off, and waits for its code */
	uint64_t hz;
	uint64_t next; /* tick at which the next byte of a device is here, UINT64_MAX for none */
	struct vps2 kbd;
	struct vps2 mouse;
	struct line irq1;
	struct line irq12;
	void (*reset)(void *ctx);
	void *ctx;
};

/* As firmware leaves it: keyboard, IRQ1, translation and A20 on. `reset` resets the machine. */
void vi8042_init(struct vi8042 *v, uint64_t hz, struct line irq1, struct line irq12,
		 void (*reset)(void *ctx), void *ctx);
/* Ports 60H and 64H. */
uint32_t vi8042_read(void *vi8042, uint16_t port, unsigned size, uint64_t now);
void vi8042_write(void *vi8042, uint16_t port, unsigned size, uint32_t value, uint64_t now);
/* Port 92H. */
uint32_t vi8042_port92_read(void *vi8042, uint16_t port, unsigned size, uint64_t now);
void vi8042_port92_write(void *vi8042, uint16_t port, unsigned size, uint32_t value, uint64_t now);
/* Presses (or lets go of) a key of the keyboard: see vps2.h. */
void vi8042_key(struct vi8042 *v, uint8_t key, bool down, uint64_t now);
/* Whether the guest has read all keys, and wants more. */
bool vi8042_wants_key(const struct vi8042 *v);
void vi8042_advance(struct vi8042 *v, uint64_t now);

static inline uint64_t vi8042_next_event(const struct vi8042 *v)
{
	return v->next;
}

#endif
