/* SPDX-License-Identifier: MIT */
/*
 * PS/2 keyboard and its controller, an i8042. What firmware left it in is not trusted, and every
 * wait ends. IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
 * Controller", "Keyboards (101/102-key)".
 */
#include "arch/x86_64/ps2kbd.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/scancode.h"
#include "lib/bits.h"

#define PORT_DATA	   0x60
#define PORT_STATUS	   0x64 /* read */
#define PORT_COMMAND	   0x64 /* write */

#define STATUS_OUTPUT	   BIT(0)
#define STATUS_INPUT	   BIT(1)
#define STATUS_AUX	   BIT(5)
#define STATUS_NONE	   0xFF /* nobody drives the bus */

#define COMMAND_READ	   0x20
#define COMMAND_WRITE	   0x60
#define COMMAND_AUX_OFF	   0xA7
#define COMMAND_KBD_OFF	   0xAD
#define COMMAND_KBD_ON	   0xAE

#define MODE_INTERRUPT	   BIT(0)
#define MODE_AUX_INTERRUPT BIT(1)
#define MODE_KBD_OFF	   BIT(4)
#define MODE_AUX_OFF	   BIT(5)
#define MODE_TRANSLATE	   BIT(6)

#define KBD_ENABLE	   0xF4
#define WAIT_READS	   100000 /* of a port, which takes about a microsecond */
#define FLUSH_MAX	   64
#define RING		   64

static struct {
	struct scancode scancode;
	uint32_t head, tail; /* free-running */
	uint8_t byte[RING];
} keyboard;

static bool wait_status(uint8_t mask, uint8_t want)
{
	for (unsigned i = 0; i < WAIT_READS; i++)
		if ((inb(PORT_STATUS) & mask) == want)
			return true;
	return false;
}

static bool send(uint16_t port, uint8_t value)
{
	if (!wait_status(STATUS_INPUT, 0))
		return false;
	outb(port, value);
	return true;
}

static void flush(void)
{
	for (unsigned i = 0; i < FLUSH_MAX && (inb(PORT_STATUS) & STATUS_OUTPUT); i++)
		inb(PORT_DATA);
}

static bool read_mode(uint8_t *mode)
{
	if (!send(PORT_COMMAND, COMMAND_READ) || !wait_status(STATUS_OUTPUT, STATUS_OUTPUT))
		return false;
	*mode = inb(PORT_DATA);
	return true;
}

bool ps2kbd_init(void)
{
	uint8_t mode;

	if (inb(PORT_STATUS) == STATUS_NONE || !send(PORT_COMMAND, COMMAND_KBD_OFF) ||
	    !send(PORT_COMMAND, COMMAND_AUX_OFF))
		return false;
	flush();
	if (!read_mode(&mode))
		return false;
	mode |= MODE_INTERRUPT | MODE_TRANSLATE | MODE_AUX_OFF;
	mode &= (uint8_t) ~(MODE_AUX_INTERRUPT | MODE_KBD_OFF);
	if (!send(PORT_COMMAND, COMMAND_WRITE) || !send(PORT_DATA, mode) ||
	    !send(PORT_COMMAND, COMMAND_KBD_ON) || !send(PORT_DATA, KBD_ENABLE))
		return false;
	/* Its acknowledgement; a keyboard that is plugged in later sends none, and works. */
	wait_status(STATUS_OUTPUT, STATUS_OUTPUT);
	flush();
	return true;
}

static void take(uint8_t code)
{
	char text[SCANCODE_TEXT_MAX];

	/* Full: what is typed then is lost, as in a keyboard's own buffer. */
	for (const char *c = scancode_text(&keyboard.scancode, code, text); *c; c++)
		if (keyboard.head - keyboard.tail < RING)
			keyboard.byte[keyboard.head++ % RING] = (uint8_t)*c;
}

void ps2kbd_irq(void)
{
	for (unsigned i = 0; i < FLUSH_MAX; i++) {
		uint8_t status = inb(PORT_STATUS);

		if (!(status & STATUS_OUTPUT))
			return;
		if (status & STATUS_AUX)
			inb(PORT_DATA);
		else
			take(inb(PORT_DATA));
	}
}

bool ps2kbd_waiting(void)
{
	return keyboard.head != keyboard.tail;
}

int ps2kbd_get(void)
{
	return ps2kbd_waiting() ? keyboard.byte[keyboard.tail++ % RING] : -1;
}
