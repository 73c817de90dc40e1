/* SPDX-License-Identifier: MIT */
/*
 * HPET: a counter of 100 MHz and three timers, each able to be periodic, of 32 or 64 bits, with
 * edge or level interrupts at pins 20 to 23 of the IOAPIC or by message; timers 0 and 1 can take
 * the places of the 8254 and the RTC. IA-PC HPET Specification 1.0a.
 */
#ifndef DEVICES_VHPET_H
#define DEVICES_VHPET_H

#include <stdbool.h>
#include <stdint.h>

#define VHPET_BASE   0xFED00000ULL
#define VHPET_SIZE   0x400ULL
#define VHPET_TIMERS 3
#define VHPET_HZ     100000000ULL
/* Capabilities, low half: vendor, legacy replacement, 64 bits, three timers, revision 1. */
#define VHPET_ID 0x8086A201U

struct vhpet_ops {
	void (*pin)(void *ctx, unsigned pin, bool level); /* of the IOAPIC; 0 and 8: as ISA IRQs */
	void (*message)(void *ctx, uint64_t address, uint32_t data);
	void (*legacy)(void *ctx, bool on); /* the 8254 and the RTC are (not) to be heard */
	void *ctx;
};

struct vhpet_timer {
	uint64_t config;
	uint64_t comparator;
	uint64_t period; /* what is added to a periodic timer's comparator */
	uint64_t route;	 /* message: data, address << 32 */
	uint64_t due;	 /* when it fires: units since `start`, UINT64_MAX for never */
};

struct vhpet {
	struct vhpet_timer timer[VHPET_TIMERS];
	uint64_t config;
	uint64_t status;
	uint64_t count; /* the counter at `start`, from which it runs, if it is enabled */
	uint64_t start; /* tick */
	uint64_t hz;
	uint64_t next; /* tick at which a timer fires, UINT64_MAX for never */
	struct vhpet_ops ops;
};

void vhpet_init(struct vhpet *v, uint64_t hz, const struct vhpet_ops *ops);
uint64_t vhpet_read(void *vhpet, uint64_t offset, unsigned size, uint64_t now);
void vhpet_write(void *vhpet, uint64_t offset, unsigned size, uint64_t value, uint64_t now);
void vhpet_advance(struct vhpet *v, uint64_t now);

static inline uint64_t vhpet_next_event(const struct vhpet *v)
{
	return v->next;
}

#endif
