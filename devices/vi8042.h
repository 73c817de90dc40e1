/* SPDX-License-Identifier: MIT */
/*
 * 8042 keyboard controller with nothing attached to its two ports, and system control port 92H.
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
	struct line irq1;
	struct line irq12;
	void (*reset)(void *ctx);
	void *ctx;
};

/* As after firmware's self test: interfaces disabled, A20 on. `reset` resets the machine. */
void vi8042_init(struct vi8042 *v, struct line irq1, struct line irq12, void (*reset)(void *ctx),
		 void *ctx);
/* Ports 60H and 64H. */
uint32_t vi8042_read(void *vi8042, uint16_t port, unsigned size, uint64_t now);
void vi8042_write(void *vi8042, uint16_t port, unsigned size, uint32_t value, uint64_t now);
/* Port 92H. */
uint32_t vi8042_port92_read(void *vi8042, uint16_t port, unsigned size, uint64_t now);
void vi8042_port92_write(void *vi8042, uint16_t port, unsigned size, uint32_t value, uint64_t now);

#endif
