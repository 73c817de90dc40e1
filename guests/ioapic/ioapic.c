/* SPDX-License-Identifier: MIT */
/*
 * The IOAPIC: its registers, ISA interrupts by edge (timer, pin 2) and by level (UART, pin 4),
 * masks, remote IRR and both ways of EOI, destinations. Intel 82093AA datasheet.
 */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/mmio.h"
#include "guests/lib/trap.h"

#define INDEX	      0xFEC00000
#define WINDOW	      0xFEC00010
#define EOI_REGISTER  0xFEC00040
#define REG_ID	      0
#define REG_VERSION   1
#define REG_LOW(pin)  (0x10u + 2 * (pin))
#define REG_HIGH(pin) (0x11u + 2 * (pin))

#define PINS	      24
#define PIN_TIMER     2
#define PIN_UART      4
#define MASKED	      (1u << 16)
#define LEVEL	      (1u << 15)
#define REMOTE_IRR    (1u << 14)
#define LOGICAL	      (1u << 11)
#define LOWEST	      (1u << 8)

#define VECTOR_TIMER  0x50
#define VECTOR_UART   0x61
#define UART_IER      (COM1_PORT + 1)
#define UART_IIR      (COM1_PORT + 2)
#define UART_MCR      (COM1_PORT + 4)
#define PIT_CONTROL   0x43
#define PIT_COUNTER0  0x40
#define PIT_MODE0     0x30
#define SVR	      (APIC_SVR_ON | 0xFF)

static volatile unsigned interrupts;
static volatile unsigned last_vector;
static volatile uint32_t entry_seen;
static volatile unsigned lower_at; /* the interrupt at which the UART falls silent */

static uint32_t get(uint32_t reg)
{
	mmio_write(INDEX, reg);
	return mmio_read(WINDOW);
}

static void set(uint32_t reg, uint32_t value)
{
	mmio_write(INDEX, reg);
	mmio_write(WINDOW, value);
}

static void route(unsigned pin, uint32_t low, uint8_t destination)
{
	set(REG_LOW(pin), MASKED);
	set(REG_HIGH(pin), (uint32_t)destination << 24);
	set(REG_LOW(pin), low);
	interrupts = 0;
}

static void raise_uart(void)
{
	outb(UART_IER, 0);
	outb(UART_MCR, 8);
	outb(UART_IER, 2);
}

static void lower_uart(void)
{
	outb(UART_IER, 0);
	inb(UART_IIR);
}

static void raise_timer(void)
{
	outb(PIT_CONTROL, PIT_MODE0);
	outb(PIT_COUNTER0, 50);
	outb(PIT_COUNTER0, 0);
	clock_wait(100);
}

static void on_timer(struct trap_frame *frame)
{
	last_vector = (unsigned)frame->vector;
	interrupts = interrupts + 1;
	apic_write(APIC_EOI, 0);
}

static void on_uart(struct trap_frame *frame)
{
	last_vector = (unsigned)frame->vector;
	interrupts = interrupts + 1;
	entry_seen = get(REG_LOW(PIN_UART));
	if (interrupts >= lower_at)
		lower_uart();
	apic_write(APIC_EOI, 0);
}

static void test_registers(void)
{
	unsigned open = 0;

	guest_check_equal(get(REG_VERSION), 0x170020, "version 20H with 24 pins");
	for (unsigned pin = 0; pin < PINS; pin++)
		open += !(get(REG_LOW(pin)) & MASKED);
	guest_check_equal(open, 0, "all pins are masked at first");
	set(REG_HIGH(5), 0xFFFFFFFF);
	guest_check_equal(get(REG_HIGH(5)), 0xFF000000, "an entry's destination has 8 bits");
	set(REG_LOW(5), 0xFFFFFFFF);
	guest_check_equal(get(REG_LOW(5)), 0x1AFFF, "status and remote IRR cannot be written");
	set(REG_LOW(5), MASKED);
	set(REG_ID, 0x0A000000);
	guest_check_equal(get(REG_ID), 0x0A000000, "the ID is four bits of software's");
	mmio_write(INDEX, 0x12);
	guest_check_equal(mmio_read(INDEX), 0x12, "the index reads back");
}

static void test_edge(void)
{
	route(PIN_TIMER, VECTOR_TIMER, 0);
	raise_timer();
	irq_window();
	guest_check_equal(interrupts, 1, "the timer comes through pin 2");
	guest_check_equal(last_vector, VECTOR_TIMER, "with its entry's vector");
	irq_window();
	guest_check_equal(interrupts, 1, "an edge is one interrupt");
	route(PIN_TIMER, MASKED | VECTOR_TIMER, 0);
	raise_timer();
	set(REG_LOW(PIN_TIMER), VECTOR_TIMER);
	irq_window();
	guest_check_equal(interrupts, 0, "an edge on a masked pin is lost");
}

static void test_destinations(void)
{
	route(PIN_TIMER, VECTOR_TIMER, 1);
	raise_timer();
	irq_window();
	guest_check_equal(interrupts, 0, "an entry for another APIC is not ours");
	route(PIN_TIMER, VECTOR_TIMER, 0xFF);
	raise_timer();
	irq_window();
	guest_check_equal(interrupts, 1, "one for all is");
	apic_write(APIC_DFR, 0xFFFFFFFF);
	apic_write(APIC_LDR, 2u << 24);
	route(PIN_TIMER, LOGICAL | LOWEST | VECTOR_TIMER, 3);
	raise_timer();
	irq_window();
	guest_check_equal(interrupts, 1, "lowest priority to a logical set with us");
	route(PIN_TIMER, LOGICAL | VECTOR_TIMER, 4);
	raise_timer();
	irq_window();
	guest_check_equal(interrupts, 0, "a logical set without us");
	route(PIN_TIMER, MASKED, 0);
}

static void test_level(void)
{
	lower_at = 3;
	route(PIN_UART, LEVEL | VECTOR_UART, 0);
	raise_uart();
	irq_window();
	guest_check_equal(interrupts, 3, "a level comes again after EOI until it falls");
	guest_check_equal(entry_seen & REMOTE_IRR, REMOTE_IRR, "remote IRR is set in service");
	guest_check_equal(get(REG_LOW(PIN_UART)) & REMOTE_IRR, 0, "and clear after EOI");
	lower_at = 1;
	route(PIN_UART, MASKED | LEVEL | VECTOR_UART, 0);
	raise_uart();
	irq_window();
	guest_check_equal(interrupts, 0, "a masked level waits");
	set(REG_LOW(PIN_UART), LEVEL | VECTOR_UART);
	irq_window();
	guest_check_equal(interrupts, 1, "and comes when the mask goes");
	guest_check(!apic_bit(APIC_TMR, VECTOR_TIMER) && apic_bit(APIC_TMR, VECTOR_UART),
		    "TMR knows levels from edges");
}

static void test_directed_eoi(void)
{
	uint32_t before;

	apic_write(APIC_SVR, SVR | APIC_SVR_DIRECTED);
	lower_at = 1;
	route(PIN_UART, LEVEL | VECTOR_UART, 0);
	raise_uart();
	irq_window();
	before = get(REG_LOW(PIN_UART));
	mmio_write(EOI_REGISTER, VECTOR_TIMER);
	guest_check_equal(before & REMOTE_IRR, REMOTE_IRR,
			  "without broadcast EOI ends nothing here");
	guest_check_equal(get(REG_LOW(PIN_UART)) & REMOTE_IRR, REMOTE_IRR,
			  "nor does a directed EOI of another vector");
	mmio_write(EOI_REGISTER, VECTOR_UART);
	guest_check_equal(get(REG_LOW(PIN_UART)) & REMOTE_IRR, 0, "that of its own does");
	raise_uart();
	irq_window();
	guest_check_equal(interrupts, 2, "and the next one comes");
	set(REG_LOW(PIN_UART), VECTOR_UART | MASKED);
	guest_check_equal(get(REG_LOW(PIN_UART)) & REMOTE_IRR, 0,
			  "an edge entry has no remote IRR");
	apic_write(APIC_SVR, SVR);
	lower_uart();
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	trap_set_handler(VECTOR_TIMER, on_timer);
	trap_set_handler(VECTOR_UART, on_uart);
	clock_init();
	pic_start(PIC_8086);
	apic_write(APIC_SVR, SVR);
	test_registers();
	test_edge();
	test_destinations();
	test_level();
	test_directed_eoi();
	return guest_failures();
}
