/* SPDX-License-Identifier: MIT */
/*
 * The keyboard controller, its keyboard and mouse, interrupts, the A20 gate, and port 92H. What
 * resets the machine is in guests/ends.
 */
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"

#define DATA	       0x60
#define COMMAND	       0x64
#define PORT92	       0x92

#define STATUS_OUTPUT  0x01
#define STATUS_SYSTEM  0x04
#define STATUS_COMMAND 0x08
#define STATUS_AUX     0x20

#define READ_MODE      0x20
#define WRITE_MODE     0x60
#define DISABLE_AUX    0xA7
#define ENABLE_AUX     0xA8
#define TEST_AUX       0xA9
#define SELF_TEST      0xAA
#define TEST_KEYBOARD  0xAB
#define DISABLE_KBD    0xAD
#define ENABLE_KBD     0xAE
#define READ_OUTPUT    0xD0
#define WRITE_OUTPUT   0xD1
#define WRITE_KBD_BUF  0xD2
#define WRITE_AUX_BUF  0xD3
#define WRITE_AUX      0xD4
#define PULSE_NOTHING  0xFF

#define MODE_IRQ1      0x01
#define MODE_IRQ12     0x02
#define MODE_KBD_OFF   0x10
#define MODE_AUX_OFF   0x20
#define MODE_TEST      0x65
#define RESEND	       0xFE
#define ACK	       0xFA
#define RESET	       0xFF
#define IDENTIFY       0xF2
#define TEST_PASSED    0xAA
#define OUTPUT_A20     0x02

#define IRQ_KBD	       1
#define IRQ_AUX	       12

static volatile unsigned kbd, aux;
static volatile uint8_t byte;

static void on_kbd(struct trap_frame *frame)
{
	(void)frame;
	kbd = kbd + 1;
	byte = inb(DATA);
	pic_end(IRQ_KBD);
}

static void on_aux(struct trap_frame *frame)
{
	(void)frame;
	aux = aux + 1;
	byte = inb(DATA);
	pic_end(IRQ_AUX);
}

static uint8_t ask(uint8_t command)
{
	outb(COMMAND, command);
	return inb(DATA);
}

static void tell(uint8_t command, uint8_t value)
{
	outb(COMMAND, command);
	outb(DATA, value);
}

static void test_commands(void)
{
	uint8_t status;

	outb(COMMAND, SELF_TEST);
	status = inb(COMMAND);
	guest_check_equal(status & STATUS_OUTPUT, STATUS_OUTPUT, "the self test answers");
	guest_check_equal(status & STATUS_COMMAND, STATUS_COMMAND, "it was a command");
	guest_check_equal(inb(DATA), 0x55, "it passes");
	status = inb(COMMAND);
	guest_check_equal(status & STATUS_OUTPUT, 0, "the answer is gone when read");
	guest_check_equal(status & STATUS_SYSTEM, STATUS_SYSTEM, "the system flag is set");
	guest_check_equal(ask(TEST_KEYBOARD), 0, "the keyboard's interface is well");
	guest_check_equal(ask(TEST_AUX), 0, "the mouse's as well");
	tell(WRITE_MODE, MODE_TEST);
	guest_check_equal(ask(READ_MODE), MODE_TEST, "the command byte reads back");
	tell(WRITE_MODE + 5, 0x77);
	guest_check_equal(ask(READ_MODE + 5), 0x77, "so does RAM byte 5");
	outb(COMMAND, DISABLE_KBD);
	outb(COMMAND, DISABLE_AUX);
	guest_check_equal(ask(READ_MODE) & (MODE_KBD_OFF | MODE_AUX_OFF),
			  MODE_KBD_OFF | MODE_AUX_OFF, "interfaces are disabled");
	outb(COMMAND, ENABLE_KBD);
	outb(COMMAND, ENABLE_AUX);
	guest_check_equal(ask(READ_MODE) & (MODE_KBD_OFF | MODE_AUX_OFF), 0, "and enabled");
	outb(COMMAND, PULSE_NOTHING);
	guest_check(true, "pulsing no line does nothing");
}

/* What a device says next; -1 when it says nothing. */
static int device(uint8_t from)
{
	for (unsigned i = 0; i < 50; i++) {
		uint8_t status = inb(COMMAND);

		if (status & STATUS_OUTPUT)
			return (status & STATUS_AUX) == from ? inb(DATA) : -1;
		clock_wait(100);
	}
	return -1;
}

static void test_devices(void)
{
	outb(DATA, RESET);
	guest_check_equal((uint32_t)device(0), ACK, "the keyboard takes a reset");
	guest_check_equal((uint32_t)device(0), TEST_PASSED, "and passes its test");
	outb(DATA, IDENTIFY);
	guest_check_equal((uint32_t)device(0), ACK, "it takes the question who it is");
	guest_check_equal((uint32_t)device(0), 0xAB, "it is a keyboard");
	guest_check_equal((uint32_t)device(0), 0x41, "of 101 keys, translated");
	guest_check_equal((uint32_t)device(0), (uint32_t)-1, "and no more");
	outb(DATA, 0x01);
	guest_check_equal((uint32_t)device(0), RESEND, "an unknown command is to be sent again");
	tell(WRITE_AUX, RESET);
	guest_check_equal((uint32_t)device(STATUS_AUX), ACK, "the mouse takes a reset");
	guest_check_equal((uint32_t)device(STATUS_AUX), TEST_PASSED, "and passes its test");
	guest_check_equal((uint32_t)device(STATUS_AUX), 0, "it is a mouse");
}

static void test_interrupts(void)
{
	tell(WRITE_MODE, MODE_IRQ1 | MODE_IRQ12 | 4);
	tell(WRITE_KBD_BUF, 0x1C);
	irq_window();
	guest_check_equal(kbd << 8 | byte, 0x11C, "a byte in the keyboard's buffer is IRQ1");
	tell(WRITE_AUX_BUF, 0x2D);
	irq_window();
	guest_check_equal(aux << 8 | byte, 0x12D, "one in the mouse's is IRQ12");
	guest_check_equal(kbd, 1, "and not IRQ1");
	tell(WRITE_MODE, 4);
	tell(WRITE_KBD_BUF, 0x1C);
	irq_window();
	guest_check_equal(kbd, 1, "the command byte turns IRQ1 off");
	inb(DATA);
}

static void test_a20(void)
{
	guest_check_equal(ask(READ_OUTPUT) & 3, 3, "the output port: A20 on, no reset");
	tell(WRITE_OUTPUT, 0xDD);
	guest_check_equal(ask(READ_OUTPUT) & OUTPUT_A20, 0, "A20 off reads back");
	tell(WRITE_OUTPUT, 0xDF);
	guest_check_equal(ask(READ_OUTPUT) & OUTPUT_A20, OUTPUT_A20, "and on");
	guest_check_equal(inb(PORT92) & 3, 2, "port 92H: A20 on, no reset");
	outb(PORT92, 0);
	guest_check_equal(inb(PORT92) & 3, 0, "off");
	outb(PORT92, 2);
	guest_check_equal(inb(PORT92) & 3, 2, "and on");
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	trap_set_handler(IRQ_VECTOR(IRQ_KBD), on_kbd);
	trap_set_handler(IRQ_VECTOR(IRQ_AUX), on_aux);
	clock_init();
	pic_start(PIC_8086);
	pic_set_mask(IRQ_ONLY(IRQ_KBD) & IRQ_ONLY(IRQ_AUX));
	test_commands();
	test_devices();
	test_interrupts();
	test_a20();
	return guest_failures();
}
