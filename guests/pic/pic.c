/* SPDX-License-Identifier: MIT */
/*
 * The 8259 pair and its ELCR: masks, priorities, nesting, the kinds of EOI, poll, special mask,
 * levels and the spurious interrupt, with the timer (IRQ0), the UART (IRQ4) and the clock (IRQ8)
 * as sources. Intel 8259A datasheet.
 */
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/mmio.h"
#include "guests/lib/trap.h"

#define OCW2_ROTATE_EOI	  0xA0
#define OCW2_LOWEST(ir)	  (uint8_t)(0xC0 | (ir))
#define OCW2_SPECIFIC(ir) (uint8_t)(0x60 | (ir))
#define OCW2_AEOI_ROTATE  0x80
#define OCW3_POLL	  0x0C
#define OCW3_SMM_ON	  0x68
#define OCW3_SMM_OFF	  0x48
#define POLL_REQUEST	  0x80
#define SPURIOUS	  7
#define ELCR_MASTER	  0x4D0
#define ELCR_SLAVE	  0x4D1

#define PIT_CONTROL	  0x43
#define PIT_COUNTER0	  0x40
#define PIT_MODE0	  0x30
#define PIT_SHORT	  50 /* 42 us */

#define UART_IER	  (COM1_PORT + 1)
#define UART_IIR	  (COM1_PORT + 2)
#define UART_MCR	  (COM1_PORT + 4)
#define IER_THRE	  2
#define MCR_OUT2	  8

#define RTC_INDEX	  0x70
#define RTC_DATA	  0x71
#define RTC_A		  0x0A
#define RTC_A_1024HZ	  0x26
#define RTC_B		  0x0B
#define RTC_B_24H	  0x02
#define RTC_B_PERIODIC	  0x42
#define RTC_C		  0x0C

#define LAPIC_LINT0	  0xFEE00350
#define LVT_EXTINT	  0x700
#define LVT_MASKED	  (1u << 16)
#define IOAPIC_INDEX	  0xFEC00000
#define IOAPIC_DATA	  0xFEC00010
#define IOAPIC_PIN0	  0x10

#define IRQ_TIMER	  0
#define IRQ_UART	  4
#define IRQ_RTC		  8
#define WAIT_US		  3000

static volatile unsigned interrupts;  /* of any kind */
static volatile unsigned order[8];    /* the IRQs as they came */
static volatile unsigned isr_seen[8]; /* both chips' ISR in the handler */
static volatile bool ends, toggles;

static void note(unsigned irq)
{
	unsigned at = interrupts & 7;

	order[at] = irq;
	isr_seen[at] = (unsigned)pic_read(PIC_SLAVE, PIC_READ_ISR) << 8 |
		       pic_read(PIC_MASTER, PIC_READ_ISR);
	interrupts = interrupts + 1;
	if (ends)
		pic_end(irq);
}

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	note(IRQ_TIMER);
}

static void on_uart(struct trap_frame *frame)
{
	(void)frame;
	/* While it is level triggered the source must fall silent before the EOI, sometimes. */
	if (!toggles || interrupts >= 2)
		outb(UART_IER, 0);
	note(IRQ_UART);
}

static void on_clock(struct trap_frame *frame)
{
	(void)frame;
	outb(RTC_INDEX, RTC_B);
	outb(RTC_DATA, RTC_B_24H);
	outb(RTC_INDEX, RTC_C);
	inb(RTC_DATA);
	note(IRQ_RTC);
}

static void on_spurious(struct trap_frame *frame)
{
	(void)frame;
	note(SPURIOUS);
}

/* The timer's output goes up, once, after a moment that is waited for. */
static void raise_timer(void)
{
	outb(PIT_CONTROL, PIT_MODE0);
	outb(PIT_COUNTER0, PIT_SHORT);
	outb(PIT_COUNTER0, 0);
	clock_wait(100);
}

static void raise_uart(void)
{
	outb(UART_IER, 0);
	outb(UART_MCR, MCR_OUT2);
	outb(UART_IER, IER_THRE);
}

static void lower_uart(void)
{
	outb(UART_IER, 0);
	inb(UART_IIR);
}

static void start(uint16_t mask, bool with_ends)
{
	/* Counter 0 in mode 0 and unfinished is low: no edge is left over. */
	outb(PIT_CONTROL, PIT_MODE0);
	lower_uart();
	pic_start(PIC_8086);
	pic_set_mask(mask);
	interrupts = 0;
	ends = with_ends;
	toggles = false;
}

static void test_masks(void)
{
	uint8_t irr;
	unsigned while_masked;

	start(0xFFFF, true);
	guest_check_equal(inb(PIC_MASTER + 1), 0xFF, "the master's mask reads back");
	outb(PIC_SLAVE + 1, 0xA5);
	guest_check_equal(inb(PIC_SLAVE + 1), 0xA5, "the slave's as well");
	raise_timer();
	irr = pic_read(PIC_MASTER, PIC_READ_IRR);
	irq_window();
	while_masked = interrupts;
	pic_set_mask(IRQ_ONLY(IRQ_TIMER));
	irq_window();
	guest_check_equal(irr & 1, 1, "a masked request stands in IRR");
	guest_check_equal(while_masked, 0, "and is not delivered");
	guest_check_equal(interrupts, 1, "until the mask goes");
	guest_check_equal(isr_seen[0], 1, "ISR says IR0 in its handler");
	guest_check_equal(pic_read(PIC_MASTER, PIC_READ_ISR), 0, "EOI ends it");
}

static void test_eoi(void)
{
	start(IRQ_ONLY(IRQ_TIMER), false);
	raise_timer();
	irq_window();
	raise_timer();
	irq_window();
	guest_check_equal(interrupts, 1, "without EOI the same IR is held back");
	outb(PIC_MASTER, PIC_EOI);
	irq_window();
	guest_check_equal(interrupts, 2, "and comes after it");
	outb(PIC_MASTER, OCW2_SPECIFIC(3));
	guest_check_equal(pic_read(PIC_MASTER, PIC_READ_ISR), 1,
			  "a specific EOI of IR3 is not IR0's");
	outb(PIC_MASTER, OCW2_SPECIFIC(0));
	guest_check_equal(pic_read(PIC_MASTER, PIC_READ_ISR), 0, "that of IR0 is");
}

static void test_slave(void)
{
	start((uint16_t) ~(1u << IRQ_RTC | 1u << 2), true);
	outb(RTC_INDEX, RTC_C);
	inb(RTC_DATA);
	outb(RTC_INDEX, RTC_A);
	outb(RTC_DATA, RTC_A_1024HZ);
	outb(RTC_INDEX, RTC_B);
	outb(RTC_DATA, RTC_B_PERIODIC);
	guest_check(irq_wait(&interrupts, 1, WAIT_US), "the clock interrupts through the slave");
	guest_check_equal(isr_seen[0], 1u << IRQ_RTC | 1u << 2, "both chips have it in service");
	guest_check_equal(pic_read(PIC_MASTER, PIC_READ_ISR), 0, "two EOIs end it: master");
	guest_check_equal(pic_read(PIC_SLAVE, PIC_READ_ISR), 0, "and slave");
}

static void raise_both(void)
{
	raise_timer();
	raise_uart();
}

#define BOTH (IRQ_ONLY(IRQ_TIMER) & IRQ_ONLY(IRQ_UART))

static void test_priorities(void)
{
	start(BOTH, true);
	raise_both();
	irq_window();
	guest_check_equal(order[0] << 4 | order[1], 0x04, "IR0 goes before IR4");
	start(BOTH, true);
	outb(PIC_MASTER, OCW2_LOWEST(0));
	raise_both();
	irq_window();
	guest_check_equal(order[0] << 4 | order[1], 0x40, "with IR0 the lowest IR4 goes first");
	start(BOTH, false);
	raise_timer();
	irq_window();
	outb(PIC_MASTER, OCW2_ROTATE_EOI);
	interrupts = 0;
	ends = true;
	raise_both();
	irq_window();
	guest_check_equal(order[0] << 4 | order[1], 0x40, "a rotating EOI makes its IR the lowest");
}

static void test_nesting(void)
{
	start(BOTH, false);
	raise_uart();
	irq_window();
	raise_timer();
	irq_window();
	guest_check_equal(interrupts, 2, "IR0 interrupts the service of IR4");
	guest_check_equal(isr_seen[1], 0x11, "both are in service then");
	outb(PIC_MASTER, PIC_EOI);
	guest_check_equal(pic_read(PIC_MASTER, PIC_READ_ISR), 0x10, "EOI ends the higher one");
	start(BOTH, false);
	raise_timer();
	irq_window();
	raise_uart();
	irq_window();
	guest_check_equal(interrupts, 1, "IR4 waits for the service of IR0");
	pic_set_mask(BOTH | 1u << IRQ_TIMER);
	outb(PIC_MASTER, OCW3_SMM_ON);
	irq_window();
	guest_check_equal(interrupts, 2, "unless IR0 is masked in special mask mode");
	outb(PIC_MASTER, OCW3_SMM_OFF);
	lower_uart();
}

static void test_automatic_eoi(void)
{
	start(0xFFFF, false);
	pic_start(PIC_8086 | PIC_AUTO_EOI);
	pic_set_mask(BOTH);
	raise_timer();
	irq_window();
	guest_check_equal(interrupts, 1, "with automatic EOI IR0 comes");
	guest_check_equal(isr_seen[0], 0, "and is not in service");
	outb(PIC_MASTER, OCW2_AEOI_ROTATE);
	raise_timer();
	irq_window();
	interrupts = 0;
	raise_both();
	irq_window();
	guest_check_equal(order[0] << 4 | order[1], 0x40, "rotation in automatic EOI mode");
}

static void test_poll(void)
{
	uint8_t found, isr, nothing;

	start(BOTH, false);
	raise_uart();
	outb(PIC_MASTER, OCW3_POLL);
	found = inb(PIC_MASTER);
	isr = pic_read(PIC_MASTER, PIC_READ_ISR);
	lower_uart();
	outb(PIC_MASTER, PIC_EOI);
	outb(PIC_MASTER, OCW3_POLL);
	nothing = inb(PIC_MASTER);
	irq_window();
	guest_check_equal(found, POLL_REQUEST | IRQ_UART, "a poll finds IR4");
	guest_check_equal(isr, 1u << IRQ_UART, "and puts it in service");
	guest_check_equal(nothing & POLL_REQUEST, 0, "a second one finds nothing");
	guest_check_equal(interrupts, 0, "the processor sees none of it");
}

static void test_levels(void)
{
	uint8_t master = inb(ELCR_MASTER), low, high;
	unsigned edge, level;

	outb(ELCR_MASTER, 0xFF);
	low = inb(ELCR_MASTER);
	outb(ELCR_MASTER, master);
	master = inb(ELCR_SLAVE);
	outb(ELCR_SLAVE, 0xFF);
	high = inb(ELCR_SLAVE);
	outb(ELCR_SLAVE, master);
	guest_check_equal(low, 0xF8, "ELCR: IRQ 0..2 stay edges");
	guest_check_equal(high, 0xDE, "and IRQ 8 and 13");
	start(BOTH, true);
	toggles = true;
	raise_uart();
	irq_window();
	edge = interrupts;
	start(BOTH, true);
	outb(ELCR_MASTER, 1u << IRQ_UART);
	toggles = true;
	raise_uart();
	irq_window();
	level = interrupts;
	outb(ELCR_MASTER, 0);
	guest_check_equal(edge, 1, "an edge interrupts once, however long the line is up");
	guest_check_equal(level, 3, "a level until it falls");
}

/* An ExtINT message by the IOAPIC stays when the request goes: the 8259 answers with IR7. */
static void test_spurious(void)
{
	start(BOTH, false);
	mmio_write(LAPIC_LINT0, LVT_MASKED | LVT_EXTINT);
	mmio_write(IOAPIC_INDEX, IOAPIC_PIN0);
	mmio_write(IOAPIC_DATA, LVT_EXTINT);
	raise_uart();
	lower_uart();
	irq_window();
	guest_check_equal(interrupts, 1, "a request that went makes a spurious interrupt");
	guest_check_equal(order[0], SPURIOUS, "with the vector of IR7");
	guest_check_equal(isr_seen[0], 0, "and nothing in service");
	raise_uart();
	irq_window();
	guest_check_equal(interrupts, 2, "the IOAPIC's ExtINT delivers real ones as well");
	guest_check_equal(order[1], IRQ_UART, "with their own vector");
	mmio_write(IOAPIC_DATA, LVT_MASKED);
	mmio_write(LAPIC_LINT0, LVT_EXTINT);
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	trap_set_handler(IRQ_VECTOR(IRQ_TIMER), on_timer);
	trap_set_handler(IRQ_VECTOR(IRQ_UART), on_uart);
	trap_set_handler(IRQ_VECTOR(IRQ_RTC), on_clock);
	trap_set_handler(IRQ_VECTOR(SPURIOUS), on_spurious);
	clock_init();
	test_masks();
	test_eoi();
	test_slave();
	test_priorities();
	test_nesting();
	test_automatic_eoi();
	test_poll();
	test_levels();
	test_spurious();
	return guest_failures();
}
