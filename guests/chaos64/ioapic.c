/* SPDX-License-Identifier: MIT */
/*
 * IOAPIC, 8259 pair, and the timers behind them, programmed by chance and let loose for a moment.
 */
#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/mend.h"
#include "guests/lib/apic.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/mmio.h"

#define INDEX	  0xFEC00000u
#define DATA_REG  0xFEC00010u
#define REGISTERS 0x40
#define HPET	  0xFED00000u

static void write_register(uint32_t index, uint32_t value)
{
	/* An INIT may be the other CPU's, and a reset. */
	if ((value & 0x700) == APIC_INIT)
		value &= ~0x700u;
	mmio_write(INDEX, index);
	mmio_write(DATA_REG, value);
}

static void let_in(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < 4; i++)
		__asm__ volatile("sti\n\tnop\n\tpause\n\tcli" : : : "memory");
}

void act_ioapic(struct prng *p)
{
	for (unsigned count = 1 + prng_below(p, 16); count; count--)
		write_register(prng_below(p, REGISTERS), (uint32_t)prng_value(p));
	for (unsigned count = prng_below(p, 6); count; count--)
		outb(prng_chance(p, 50) ? 0x20 + prng_below(p, 2) : 0xA0 + prng_below(p, 2),
		     (uint8_t)prng_next(p));
	/* A timer's quick ticks, and an edge by hand: level and polarity of a pin make one. */
	outb(0x43, 0x34);
	outb(0x40, (uint8_t)(8 + prng_below(p, 200)));
	outb(0x40, 0);
	if (prng_chance(p, 50)) {
		mmio_write(HPET + 0x10, (uint32_t)prng_below(p, 4));
		mmio_write(HPET + 0x100 + 0x20 * prng_below(p, 3), (uint32_t)prng_next(p));
		mmio_write(HPET + 0x108 + 0x20 * prng_below(p, 3), (uint32_t)prng_value(p));
	}
	write_register(0x10 + 2 * prng_below(p, 24), (uint32_t)prng_next(p) & 0x8fff);
	for (unsigned count = 1 + prng_below(p, 4); count; count--)
		machine_call(let_in, 0);
	mend_board();
	mend_lapic();
}
