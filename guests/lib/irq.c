/* SPDX-License-Identifier: MIT */
/* The 8259 pair for test guests. Intel 8259A datasheet. */
#include "guests/lib/irq.h"

#include "guests/lib/clock.h"
#include "guests/lib/guest.h"

#define ICW1	     0x11 /* edges, cascaded, ICW4 follows */
#define CASCADE	     2
#define WINDOW_STEPS 64

void pic_start(uint8_t icw4)
{
	outb(PIC_MASTER, ICW1);
	outb(PIC_MASTER + 1, IRQ_VECTOR(0));
	outb(PIC_MASTER + 1, 1 << CASCADE);
	outb(PIC_MASTER + 1, icw4);
	outb(PIC_SLAVE, ICW1);
	outb(PIC_SLAVE + 1, IRQ_VECTOR(8));
	outb(PIC_SLAVE + 1, CASCADE);
	outb(PIC_SLAVE + 1, icw4);
	pic_set_mask(IRQ_ALL_MASKED);
}

void pic_set_mask(uint16_t mask)
{
	outb(PIC_MASTER + 1, (uint8_t)mask);
	outb(PIC_SLAVE + 1, (uint8_t)(mask >> 8));
}

uint8_t pic_read(uint16_t port, uint8_t what)
{
	outb(port, what);
	return inb(port);
}

void pic_end(unsigned irq)
{
	if (irq >= 8)
		outb(PIC_SLAVE, PIC_EOI);
	outb(PIC_MASTER, PIC_EOI);
}

bool irq_wait(const volatile unsigned *count, unsigned want, uint32_t microseconds)
{
	uint64_t start = rdtsc(), ticks = clock_ticks(microseconds);

	irq_on();
	while (*count < want && rdtsc() - start < ticks)
		;
	irq_off();
	return *count >= want;
}

void irq_halt(const volatile unsigned *count, unsigned want)
{
	while (*count < want)
		__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

void irq_window(void)
{
	irq_on();
	for (volatile unsigned i = 0; i < WINDOW_STEPS; i++)
		;
	irq_off();
}
