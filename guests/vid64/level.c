/* SPDX-License-Identifier: MIT */
/* The UART's level through the IOAPIC: EOI by broadcast and directed. Intel 82093AA datasheet. */
#include "guests/vid64/level.h"

#include "guests/lib/apic.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/mmio.h"
#include "guests/lib/trap.h"

#define INDEX	     0xFEC00000
#define WINDOW	     0xFEC00010
#define EOI_REGISTER 0xFEC00040
#define ENTRY	     (0x10 + 2 * 4) /* of pin 4 */
#define MASKED	     (1u << 16)
#define LEVEL	     (1u << 15)
#define REMOTE_IRR   (1u << 14)
#define VECTOR	     0x71
#define LOWER	     0x31
#define UART_IER     (COM1_PORT + 1)
#define UART_IIR     (COM1_PORT + 2)
#define UART_MCR     (COM1_PORT + 4)
#define SVR	     (APIC_SVR_ON | 0xFF)
#define TIMES	     3

static volatile unsigned interrupts, lowers;
static volatile unsigned silent_at; /* the interrupt at which the UART falls silent */
static volatile bool views;

static uint32_t entry(void)
{
	mmio_write(INDEX, ENTRY);
	return mmio_read(WINDOW);
}

static void set_entry(uint32_t value)
{
	mmio_write(INDEX, ENTRY);
	mmio_write(WINDOW, value);
}

static void on_uart(struct trap_frame *frame)
{
	(void)frame;
	interrupts = interrupts + 1;
	views = apic_bit(APIC_TMR, VECTOR) && apic_bit(APIC_ISR, VECTOR) && (entry() & REMOTE_IRR);
	if (interrupts == 1)
		apic_send_self(LOWER);
	if (interrupts >= silent_at) {
		outb(UART_IER, 0);
		inb(UART_IIR);
	}
	apic_write(APIC_EOI, 0);
}

static void on_lower(struct trap_frame *frame)
{
	(void)frame;
	/* The level goes first as often as it comes. */
	lowers = lowers * 16 + interrupts;
	apic_write(APIC_EOI, 0);
}

static void raise_uart(void)
{
	outb(UART_MCR, 8);
	outb(UART_IER, 2);
	irq_window();
}

void test_level(void)
{
	uint32_t held;

	trap_set_handler(VECTOR, on_uart);
	trap_set_handler(LOWER, on_lower);
	interrupts = lowers = 0;
	silent_at = TIMES;
	set_entry(LEVEL | VECTOR);
	raise_uart();
	guest_check_equal(interrupts, TIMES, "a level comes again after each EOI until it falls");
	guest_check_equal(lowers, TIMES, "before a lower vector that waits");
	guest_check(views, "TMR and remote IRR are set in service");
	guest_check_equal(entry() & REMOTE_IRR, 0, "and remote IRR falls with EOI");
	apic_write(APIC_SVR, SVR | APIC_SVR_DIRECTED);
	interrupts = 0;
	silent_at = 1;
	raise_uart();
	held = entry() & REMOTE_IRR;
	mmio_write(EOI_REGISTER, VECTOR);
	guest_check(held && !(entry() & REMOTE_IRR), "with directed EOI only that makes it fall");
	apic_write(APIC_SVR, SVR);
	set_entry(MASKED);
	/* The same vector by an edge: no end is the IOAPIC's any more. */
	interrupts = 0;
	apic_send_self(VECTOR);
	irq_window();
	guest_check(interrupts == 1 && !views, "as an edge the vector has no bit in TMR");
}
