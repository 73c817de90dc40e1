/* SPDX-License-Identifier: MIT */
/*
 * 8254 interval timer of a PC, with port 61H (gate and output of counter 2, refresh toggle).
 *
 * A counter is kept as 'the count loaded and when'; its value and its output are computed from the
 * clock when somebody looks. Intel 8254 datasheet; ICH9 datasheet, 'NMI Status and Control'.
 */
#ifndef DEVICES_VPIT_H
#define DEVICES_VPIT_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/line.h"

#define VPIT_HZ	      1193182ULL
#define VPIT_PORT     0x40
#define VPIT_PORT61   0x61
#define VPIT_COUNTERS 3

struct vpit_counter {
	uint8_t control; /* last control word, bits 5:0 */
	uint8_t mode;	 /* 0..5 */
	bool gate;
	bool loaded;	 /* the counting element has (or gets at `start`) a count of this mode */
	bool pending;	 /* the count register waits for a trigger or for the period's end */
	bool written;	 /* the count register was written since the control word */
	bool paused;	 /* the gate stops counting: `held` clocks of the period have passed */
	bool low_first;	 /* mode 3: the period at `start` began with the low half */
	bool write_high; /* the next byte written is the MSB of a pair */
	bool read_high;	 /* the next byte read is the MSB of a pair */
	bool status_latched;
	uint8_t write_low; /* the LSB that waits for its MSB */
	uint8_t latched;   /* bytes of a latched count left to read: 2 is the LSB of a pair */
	uint8_t status;	   /* latched status */
	uint16_t latch;
	uint16_t rest;	  /* what the counting element shows before `start` */
	bool rest_output; /* and the output then */
	uint32_t count;	  /* counting element: the count loaded at `start`, 1..65536 */
	uint32_t reload;  /* count register, same range */
	uint64_t start;	  /* PIT clock at which the counting element is loaded */
	uint64_t held;
	uint64_t pended; /* PIT clock at which the pending count was written */
};

struct vpit {
	struct vpit_counter counter[VPIT_COUNTERS];
	uint64_t hz;
	uint64_t next;	     /* tick of the next edge of counter 0's output, or UINT64_MAX */
	uint64_t next_clock; /* the same in PIT clocks */
	bool speaker;	     /* port 61H bit 1 */
	uint8_t checks;	     /* port 61H bits 3:2: parity and channel check disables */
	bool irq;	     /* level of the output line */
	struct line output;  /* OUT of counter 0 */
};

/* Power-up state as firmware leaves it: counter 0 in mode 3 with 65536, 1 refresh, 2 silent. */
void vpit_init(struct vpit *v, uint64_t hz, struct line irq0, uint64_t now);
/* Ports 40H..43H. */
uint32_t vpit_read(void *vpit, uint16_t port, unsigned size, uint64_t now);
void vpit_write(void *vpit, uint16_t port, unsigned size, uint32_t value, uint64_t now);
/* Port 61H. */
uint32_t vpit_port61_read(void *vpit, uint16_t port, unsigned size, uint64_t now);
void vpit_port61_write(void *vpit, uint16_t port, unsigned size, uint32_t value, uint64_t now);
void vpit_advance(struct vpit *v, uint64_t now);

static inline uint64_t vpit_next_event(const struct vpit *v)
{
	return v->next;
}

#endif
