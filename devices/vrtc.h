/* SPDX-License-Identifier: MIT */
/*
 * MC146818 real-time clock with 128 bytes of battery-backed RAM (CMOS).
 *
 * Time is counted in periods of the 32.768 kHz crystal; the registers hold what the chip's would
 * and are brought up to date when somebody looks. Motorola MC146818 datasheet; the use of the RAM
 * is that of the IBM PC AT and its successors.
 */
#ifndef DEVICES_VRTC_H
#define DEVICES_VRTC_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/line.h"

#define VRTC_PORT	0x70
#define VRTC_CRYSTAL_HZ 32768ULL
#define VRTC_RAM_SIZE	128

struct vrtc {
	uint8_t ram[VRTC_RAM_SIZE]; /* registers 0..13 included, in the guest's own format */
	uint8_t index;
	bool nmi_disabled; /* port 70H bit 7 */
	bool irq;
	uint64_t hz;
	uint64_t origin;  /* tick at which the divider chain began to run */
	uint64_t offset;  /* and the crystal periods that it had counted then */
	uint64_t counted; /* crystal periods up to which the registers are brought up to date */
	uint64_t next;	  /* tick of the next interrupt, UINT64_MAX for never */
	struct line output;
};

/* `epoch` is the time of day at `now`, seconds since 1970-01-01 (UTC); format 24 h, BCD. */
void vrtc_init(struct vrtc *v, uint64_t hz, uint64_t epoch, struct line irq8, uint64_t now);
/* Fills the CMOS bytes that tell the sizes of RAM below and above 4 GiB, in bytes. */
void vrtc_set_memory(struct vrtc *v, uint64_t low, uint64_t high);
/* Ports 70H, 71H. */
uint32_t vrtc_read(void *vrtc, uint16_t port, unsigned size, uint64_t now);
void vrtc_write(void *vrtc, uint16_t port, unsigned size, uint32_t value, uint64_t now);
void vrtc_advance(struct vrtc *v, uint64_t now);

static inline uint64_t vrtc_next_event(const struct vrtc *v)
{
	return v->next;
}

#endif
