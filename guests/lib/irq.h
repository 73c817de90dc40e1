/* SPDX-License-Identifier: MIT */
/* The 8259 pair for test guests, and waiting for interrupts. */
#ifndef GUESTS_LIB_IRQ_H
#define GUESTS_LIB_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#define PIC_MASTER	 0x20
#define PIC_SLAVE	 0xA0
#define PIC_READ_IRR	 0x0A
#define PIC_READ_ISR	 0x0B
#define PIC_EOI		 0x20
#define PIC_EOI_SPECIFIC 0x60
#define PIC_8086	 0x01
#define PIC_AUTO_EOI	 0x02
#define IRQ_VECTOR(irq)	 (0x20u + (irq))
#define IRQ_ALL_MASKED	 0xFFFF
#define IRQ_ONLY(irq)	 ((uint16_t) ~(1u << (irq) | 1u << 2))

/* Initialises both chips (icw4: PIC_*): vectors IRQ_VECTOR(0..15), edges, all masked. */
void pic_start(uint8_t icw4);
/* Bit n set: IRQ n is masked. */
void pic_set_mask(uint16_t mask);
/* PIC_READ_IRR or PIC_READ_ISR of the chip at `port`. */
uint8_t pic_read(uint16_t port, uint8_t what);
/* Non-specific EOI to the chip or chips of an IRQ. */
void pic_end(unsigned irq);

static inline void irq_on(void)
{
	__asm__ volatile("sti\n\tnop" : : : "memory");
}

static inline void irq_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/*
 * Lets interrupts in until *count has reached `want` or the time is over; false for the latter.
 * They are off before and after.
 */
bool irq_wait(const volatile unsigned *count, unsigned want, uint32_t microseconds);
/* The same halted and without an end: for what takes long. */
void irq_halt(const volatile unsigned *count, unsigned want);
/* Lets in what is pending now, and no more. */
void irq_window(void);

#endif
