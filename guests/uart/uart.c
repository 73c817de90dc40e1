/* SPDX-License-Identifier: MIT */
/*
 * The 16550: registers, FIFOs, and each source of its interrupt, through the loopback. Nothing is
 * printed while the chip is in a state that the console could not use. PC16550D datasheet.
 */
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define DATA	    (COM1_PORT + 0)
#define IER	    (COM1_PORT + 1)
#define IIR	    (COM1_PORT + 2)
#define FCR	    (COM1_PORT + 2)
#define LCR	    (COM1_PORT + 3)
#define MCR	    (COM1_PORT + 4)
#define LSR	    (COM1_PORT + 5)
#define MSR	    (COM1_PORT + 6)
#define SCRATCH	    (COM1_PORT + 7)

#define IER_RDA	    0x01
#define IER_THRE    0x02
#define IER_RLS	    0x04
#define IER_MSR	    0x08
#define IIR_MSR	    0x00
#define IIR_NONE    0x01
#define IIR_THRE    0x02
#define IIR_RDA	    0x04
#define IIR_RLS	    0x06
#define IIR_TIMEOUT 0x0C
#define IIR_FIFOS   0xC0
#define FCR_ON	    0x07 /* enabled, both cleared */
#define FCR_AT_14   0xC0
#define LCR_8N1	    0x03
#define LCR_DLAB    0x80
#define MCR_DTR	    0x01
#define MCR_RTS	    0x02
#define MCR_OUT1    0x04
#define MCR_OUT2    0x08
#define MCR_LOOP    0x10
#define LSR_DR	    0x01
#define LSR_OE	    0x02
#define LSR_IDLE    0x60
#define MSR_DCTS    0x01
#define MSR_TERI    0x04
#define MSR_CTS	    0x10
#define MSR_DSR	    0x20
#define MSR_RI	    0x40
#define MSR_DCD	    0x80

#define UART_IRQ    4
#define SHORT_US    500
#define FIFO_BYTES  16
#define TRIGGER	    14
/* Four characters of 10 bits at 115200 baud. */
#define TIMEOUT_US 347

static volatile unsigned interrupts;
static volatile uint8_t last_iir, last_lsr, last_msr;
static volatile uint64_t last_time;

static void on_uart(struct trap_frame *frame)
{
	(void)frame;
	last_time = rdtsc();
	last_iir = inb(IIR);
	last_lsr = inb(LSR);
	if ((last_iir & 0x0F) == IIR_MSR)
		last_msr = inb(MSR);
	/* An edge input: what keeps asking shall not do so from in here. */
	outb(IER, 0);
	interrupts++;
	pic_end(UART_IRQ);
}

static void quiet(void)
{
	outb(IER, 0);
	outb(FCR, 0);
	outb(MCR, 0);
	while (inb(LSR) & LSR_DR)
		inb(DATA);
	inb(MSR);
	inb(IIR);
	interrupts = 0;
}

/* The host's line may still be busy with what other guests wrote. */
static void wait_idle(void)
{
	while ((inb(LSR) & LSR_IDLE) != LSR_IDLE)
		;
}

static void test_registers(void)
{
	uint8_t low, high, ier;

	quiet();
	outb(SCRATCH, 0x5A);
	guest_check_equal(inb(SCRATCH), 0x5A, "the scratch register holds 5A");
	outb(SCRATCH, 0xA5);
	guest_check_equal(inb(SCRATCH), 0xA5, "and A5");
	outb(LCR, LCR_8N1 | LCR_DLAB);
	outb(DATA, 0x34);
	outb(IER, 0x12);
	low = inb(DATA);
	high = inb(IER);
	outb(DATA, 1);
	outb(IER, 0);
	outb(LCR, LCR_8N1);
	ier = inb(IER);
	guest_check_equal(high << 8 | low, 0x1234, "DLAB opens the divisor");
	guest_check_equal(ier, 0, "which is not IER");
	outb(IER, 0xF0);
	guest_check_equal(inb(IER), 0, "IER has four bits");
	guest_check_equal(inb(LCR), LCR_8N1, "LCR reads back");
	wait_idle();
	guest_check_equal(inb(LSR) & ~LSR_DR, LSR_IDLE, "an idle line: THRE and TEMT");
	guest_check_equal(inb(IIR), IIR_NONE, "IIR without a source");
	outb(FCR, FCR_ON);
	guest_check_equal(inb(IIR), IIR_FIFOS | IIR_NONE, "and with FIFOs");
	guest_check_equal(inb(MSR) & 0xF0, MSR_CTS | MSR_DSR | MSR_DCD, "a peer is there");
}

static void test_transmitter(void)
{
	bool came;
	unsigned again;

	quiet();
	outb(MCR, MCR_OUT2);
	outb(IER, IER_THRE);
	came = irq_wait(&interrupts, 1, SHORT_US);
	guest_check(came, "enabling THRE interrupts at once");
	guest_check_equal(last_iir, IIR_THRE, "IIR says THRE");
	quiet();
	outb(MCR, MCR_OUT2 | MCR_LOOP);
	outb(IER, IER_THRE);
	inb(IIR); /* takes the request back */
	irq_window();
	again = interrupts;
	outb(DATA, 'x');
	came = irq_wait(&interrupts, 1, SHORT_US);
	quiet();
	guest_check_equal(again, 0, "reading IIR takes the THRE request back");
	guest_check(came, "a byte that is gone makes the next one");
	outb(IER, IER_THRE);
	irq_window();
	again = interrupts;
	quiet();
	guest_check_equal(again, 0, "OUT2 clear holds the interrupt back");
}

static void test_receiver(void)
{
	uint8_t before, after, byte;
	bool came;

	quiet();
	outb(MCR, MCR_OUT2 | MCR_LOOP);
	outb(IER, IER_RDA);
	before = inb(LSR);
	outb(DATA, 0xC3);
	came = irq_wait(&interrupts, 1, SHORT_US);
	byte = inb(DATA);
	after = inb(LSR);
	quiet();
	guest_check(came, "a byte received interrupts");
	guest_check_equal(last_iir, IIR_RDA, "IIR says data");
	guest_check_equal(before & LSR_DR, 0, "LSR.DR was clear before");
	guest_check_equal(last_lsr & LSR_DR, LSR_DR, "is set then");
	guest_check_equal(byte, 0xC3, "the byte comes through");
	guest_check_equal(after & LSR_DR, 0, "and LSR.DR is clear again");
}

static void test_overrun(void)
{
	uint8_t first, second;
	bool came;

	quiet();
	outb(MCR, MCR_OUT2 | MCR_LOOP);
	outb(IER, IER_RLS | IER_RDA);
	outb(DATA, 'a');
	outb(DATA, 'b');
	came = irq_wait(&interrupts, 1, SHORT_US);
	first = last_lsr;
	second = inb(LSR);
	quiet();
	guest_check(came, "an overrun interrupts");
	guest_check_equal(last_iir, IIR_RLS, "before the data does");
	guest_check_equal(first & LSR_OE, LSR_OE, "LSR.OE is set");
	guest_check_equal(second & LSR_OE, 0, "until it is read");
}

static void test_fifo_trigger(void)
{
	unsigned early, late, wrong = 0;
	uint8_t trigger;

	quiet();
	outb(MCR, MCR_OUT2 | MCR_LOOP);
	outb(FCR, FCR_ON | FCR_AT_14);
	outb(IER, IER_RDA);
	for (uint8_t i = 0; i < TRIGGER - 1; i++)
		outb(DATA, i);
	irq_window();
	early = interrupts;
	outb(DATA, TRIGGER - 1);
	irq_window();
	late = interrupts;
	trigger = last_iir;
	for (uint8_t i = 0; i < TRIGGER; i++)
		wrong += inb(DATA) != i;
	quiet();
	guest_check_equal(early, 0, "13 bytes are below the trigger level 14");
	guest_check_equal(late, 1, "the 14th interrupts");
	guest_check_equal(trigger, IIR_FIFOS | IIR_RDA, "IIR says data");
	guest_check_equal(wrong, 0, "they come out in order");
}

static void test_fifo_timeout(void)
{
	uint64_t start;
	bool came;

	quiet();
	outb(MCR, MCR_OUT2 | MCR_LOOP);
	outb(FCR, FCR_ON | FCR_AT_14);
	outb(IER, IER_RDA);
	outb(DATA, 'q');
	start = rdtsc();
	came = irq_wait(&interrupts, 1, 10 * TIMEOUT_US);
	quiet();
	guest_check(came, "a byte below the level interrupts after a while");
	guest_check_equal(last_iir, IIR_FIFOS | IIR_TIMEOUT, "IIR says time-out");
	guest_check(clock_near(last_time - start, TIMEOUT_US, 25), "after four characters' time");
}

static void test_fifo_overrun(void)
{
	unsigned wrong = 0;
	uint8_t status, emptied, cleared;

	quiet();
	outb(MCR, MCR_LOOP);
	outb(FCR, FCR_ON);
	for (uint8_t i = 0; i <= FIFO_BYTES; i++)
		outb(DATA, i);
	status = inb(LSR);
	for (uint8_t i = 0; i < FIFO_BYTES; i++)
		wrong += inb(DATA) != i;
	emptied = inb(LSR);
	outb(DATA, 'z');
	outb(FCR, FCR_ON);
	cleared = inb(LSR);
	quiet();
	guest_check_equal(status & LSR_OE, LSR_OE, "17 bytes overrun the FIFO");
	guest_check_equal(wrong, 0, "the first 16 stay");
	guest_check_equal(emptied & LSR_DR, 0, "and no more");
	guest_check_equal(cleared & LSR_DR, 0, "FCR clears the receiver's FIFO");
}

static void test_modem(void)
{
	uint8_t all, rest, fell;
	bool came;

	quiet();
	outb(MCR, MCR_LOOP);
	inb(MSR);
	outb(MCR, MCR_LOOP | MCR_DTR | MCR_RTS | MCR_OUT1 | MCR_OUT2);
	all = inb(MSR);
	rest = inb(MSR);
	outb(MCR, MCR_LOOP | MCR_DTR | MCR_RTS | MCR_OUT2);
	fell = inb(MSR);
	outb(IER, IER_MSR);
	outb(MCR, MCR_LOOP | MCR_DTR | MCR_OUT2);
	came = irq_wait(&interrupts, 1, SHORT_US);
	quiet();
	guest_check_equal(all & 0xF0, MSR_CTS | MSR_DSR | MSR_RI | MSR_DCD,
			  "the loop leads MCR's outputs to MSR");
	guest_check_equal(rest & 0x0F, 0, "reading MSR clears the deltas");
	guest_check_equal(fell & 0x0F, MSR_TERI, "the fall of RI sets TERI");
	guest_check(came, "a change of CTS interrupts");
	guest_check_equal(last_iir, IIR_MSR, "IIR says modem status");
	guest_check_equal(last_msr & 0x1F, MSR_DCTS, "MSR says CTS, now clear");
}

unsigned main(uintptr_t info)
{
	clock_slack = words_number(info, "slack", 0);
	trap_init();
	trap_set_handler(IRQ_VECTOR(UART_IRQ), on_uart);
	clock_init();
	pic_start(PIC_8086);
	pic_set_mask(IRQ_ONLY(UART_IRQ));
	test_registers();
	test_transmitter();
	test_receiver();
	test_overrun();
	test_fifo_trigger();
	test_fifo_timeout();
	test_fifo_overrun();
	test_modem();
	return guest_failures();
}
