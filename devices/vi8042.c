/* SPDX-License-Identifier: MIT */
/*
 * 8042 keyboard controller.
 *
 * The controller answers each command at once, and over what a device has sent. A device sends
 * while its interface is enabled and the output buffer is empty.
 * IBM PS/2 Hardware Interface Technical Reference, 'Keyboard and Auxiliary Device Controller'.
 */
#include "devices/vi8042.h"

#include "lib/bits.h"
#include "lib/string.h"

#define STATUS_OUTPUT_FULL  0x01
#define STATUS_SYSTEM	    0x04
#define STATUS_COMMAND	    0x08
#define STATUS_UNLOCKED	    0x10
#define STATUS_AUX_FULL	    0x20

#define MODE_IRQ1	    0x01
#define MODE_IRQ12	    0x02
#define MODE_SYSTEM	    0x04
#define MODE_KBD_DISABLED   0x10
#define MODE_AUX_DISABLED   0x20
#define MODE_TRANSLATE	    0x40

#define OUTPUT_NO_RESET	    0x01
#define OUTPUT_A20	    0x02
#define OUTPUT_IRQ1	    0x10
#define OUTPUT_IRQ12	    0x20
#define OUTPUT_IDLE	    0xC0 /* keyboard clock and data lines */

#define CMD_READ_RAM	    0x20
#define CMD_WRITE_RAM	    0x60
#define CMD_TEST_PASSWORD   0xA4
#define CMD_LOAD_PASSWORD   0xA5
#define CMD_DISABLE_AUX	    0xA7
#define CMD_ENABLE_AUX	    0xA8
#define CMD_TEST_AUX	    0xA9
#define CMD_SELF_TEST	    0xAA
#define CMD_TEST_KBD	    0xAB
#define CMD_DISABLE_KBD	    0xAD
#define CMD_ENABLE_KBD	    0xAE
#define CMD_READ_INPUT	    0xC0
#define CMD_READ_OUTPUT	    0xD0
#define CMD_WRITE_OUTPUT    0xD1
#define CMD_WRITE_KBD_BUF   0xD2
#define CMD_WRITE_AUX_BUF   0xD3
#define CMD_WRITE_AUX	    0xD4
#define CMD_READ_TEST	    0xE0
#define CMD_PULSE	    0xF0
#define CMD_GROUP	    0xE0 /* bits that tell the RAM commands */
#define CMD_OPERAND	    0x1F
#define CMD_PULSE_LINES	    0x0F

#define ANSWER_NO_PASSWORD  0xF1
#define ANSWER_SELF_TEST_OK 0x55
#define ANSWER_INTERFACE_OK 0x00
#define INPUT_PORT	    0x80 /* keyboard not locked */
#define TEST_INPUTS	    0x03 /* both clock lines are high */

#define BREAK_PREFIX	    0xF0
#define BREAK_BIT	    0x80
#define BYTES_PER_S	    1000

#define PORT92_RESET	    0x01
#define PORT92_A20	    0x02

enum source { FROM_KBD, FROM_AUX };

static bool irq1_level(const struct vi8042 *v)
{
	return (v->status & STATUS_OUTPUT_FULL) && !(v->status & STATUS_AUX_FULL) &&
	       (v->ram[0] & MODE_IRQ1);
}

static bool irq12_level(const struct vi8042 *v)
{
	return (v->status & STATUS_AUX_FULL) && (v->ram[0] & MODE_IRQ12);
}

static void update(struct vi8042 *v)
{
	line_set(&v->irq1, irq1_level(v));
	line_set(&v->irq12, irq12_level(v));
}

static void answer(struct vi8042 *v, uint8_t byte, enum source source)
{
	v->output = byte;
	v->status &= ~STATUS_AUX_FULL & 0xFF;
	v->status |= STATUS_OUTPUT_FULL | (source == FROM_AUX ? STATUS_AUX_FULL : 0);
}

/* --- The devices --- */

static bool kbd_sends(const struct vi8042 *v)
{
	return vps2_waiting(&v->kbd) && !(v->ram[0] & MODE_KBD_DISABLED);
}

static bool mouse_sends(const struct vi8042 *v)
{
	return vps2_waiting(&v->mouse) && !(v->ram[0] & MODE_AUX_DISABLED);
}

/* The next byte starts on its way, unless one is. */
static void schedule(struct vi8042 *v, uint64_t now)
{
	if ((v->status & STATUS_OUTPUT_FULL) || (!kbd_sends(v) && !mouse_sends(v)))
		v->next = UINT64_MAX;
	else if (v->next == UINT64_MAX)
		v->next = now + v->hz / BYTES_PER_S;
}

/* A byte of the keyboard's. Translation makes one of a break prefix and the code after it. */
static void receive(struct vi8042 *v, uint8_t byte)
{
	if (v->ram[0] & MODE_TRANSLATE) {
		if (byte == BREAK_PREFIX) {
			v->broken = true;
			return;
		}
		byte = vps2_translate(byte) | (v->broken ? BREAK_BIT : 0);
		v->broken = false;
	}
	answer(v, byte, FROM_KBD);
}

void vi8042_advance(struct vi8042 *v, uint64_t now)
{
	if (now < v->next)
		return;
	v->next = UINT64_MAX;
	if (kbd_sends(v))
		receive(v, vps2_read(&v->kbd));
	else if (mouse_sends(v))
		answer(v, vps2_read(&v->mouse), FROM_AUX);
	update(v);
	schedule(v, now);
}

void vi8042_key(struct vi8042 *v, uint8_t key, bool down, uint64_t now)
{
	vps2_key(&v->kbd, key, down);
	schedule(v, now);
}

bool vi8042_wants_key(const struct vi8042 *v)
{
	return vps2_idle(&v->kbd) && !(v->ram[0] & MODE_KBD_DISABLED) &&
	       !(v->status & STATUS_OUTPUT_FULL);
}

/* --- The controller --- */

static uint8_t read_output_port(const struct vi8042 *v)
{
	return (uint8_t)(v->output_port | OUTPUT_IDLE | (irq1_level(v) ? OUTPUT_IRQ1 : 0) |
			 (irq12_level(v) ? OUTPUT_IRQ12 : 0));
}

static void write_output_port(struct vi8042 *v, uint8_t value)
{
	v->output_port = (value & OUTPUT_A20) | OUTPUT_NO_RESET;
	if (!(value & OUTPUT_NO_RESET))
		v->reset(v->ctx);
}

static void write_ram(struct vi8042 *v, unsigned at, uint8_t value)
{
	v->ram[at] = value;
	v->status &= ~STATUS_SYSTEM & 0xFF;
	v->status |= v->ram[0] & MODE_SYSTEM ? STATUS_SYSTEM : 0;
}

static void self_test(struct vi8042 *v)
{
	write_ram(v, 0, MODE_SYSTEM | MODE_KBD_DISABLED | MODE_AUX_DISABLED | MODE_TRANSLATE);
	answer(v, ANSWER_SELF_TEST_OK, FROM_KBD);
}

/* Commands of one byte; false for those that are not. */
static bool command_alone(struct vi8042 *v, uint8_t command)
{
	switch (command) {
	case CMD_TEST_PASSWORD: answer(v, ANSWER_NO_PASSWORD, FROM_KBD); return true;
	case CMD_DISABLE_AUX: v->ram[0] |= MODE_AUX_DISABLED; return true;
	case CMD_ENABLE_AUX: v->ram[0] &= ~MODE_AUX_DISABLED & 0xFF; return true;
	case CMD_TEST_AUX:
	case CMD_TEST_KBD: answer(v, ANSWER_INTERFACE_OK, FROM_KBD); return true;
	case CMD_SELF_TEST: self_test(v); return true;
	case CMD_DISABLE_KBD: v->ram[0] |= MODE_KBD_DISABLED; return true;
	case CMD_ENABLE_KBD: v->ram[0] &= ~MODE_KBD_DISABLED & 0xFF; return true;
	case CMD_READ_INPUT: answer(v, INPUT_PORT, FROM_KBD); return true;
	case CMD_READ_OUTPUT: answer(v, read_output_port(v), FROM_KBD); return true;
	case CMD_READ_TEST: answer(v, TEST_INPUTS, FROM_KBD); return true;
	default: return false;
	}
}

static bool takes_data(uint8_t command)
{
	return (command & CMD_GROUP) == CMD_WRITE_RAM || command == CMD_LOAD_PASSWORD ||
	       (command >= CMD_WRITE_OUTPUT && command <= CMD_WRITE_AUX);
}

static void write_command(struct vi8042 *v, uint8_t command)
{
	v->status |= STATUS_COMMAND;
	v->command = 0;
	if (command_alone(v, command))
		return;
	if (takes_data(command))
		v->command = command;
	else if ((command & CMD_GROUP) == CMD_READ_RAM)
		answer(v, v->ram[command & CMD_OPERAND], FROM_KBD);
	else if (command >= CMD_PULSE && !(command & OUTPUT_NO_RESET))
		v->reset(v->ctx);
}

static void write_data(struct vi8042 *v, uint8_t value)
{
	uint8_t command = v->command;

	v->status &= ~STATUS_COMMAND & 0xFF;
	v->command = 0;
	switch (command) {
	case 0:
		v->ram[0] &= ~MODE_KBD_DISABLED & 0xFF; /* sending enables the interface */
		v->broken = false;
		vps2_write(&v->kbd, value);
		break;
	case CMD_LOAD_PASSWORD: /* there is no password; its bytes end with a zero */
		v->command = value ? CMD_LOAD_PASSWORD : 0;
		break;
	case CMD_WRITE_OUTPUT: write_output_port(v, value); break;
	case CMD_WRITE_KBD_BUF: answer(v, value, FROM_KBD); break;
	case CMD_WRITE_AUX_BUF: answer(v, value, FROM_AUX); break;
	case CMD_WRITE_AUX:
		v->ram[0] &= ~MODE_AUX_DISABLED & 0xFF;
		vps2_write(&v->mouse, value);
		break;
	default: write_ram(v, command & CMD_OPERAND, value);
	}
}

uint32_t vi8042_read(void *vi8042, uint16_t port, unsigned size, uint64_t now)
{
	struct vi8042 *v = vi8042;

	(void)size;
	vi8042_advance(v, now);
	if (port == VI8042_COMMAND_PORT)
		return v->status;
	v->status &= ~(STATUS_OUTPUT_FULL | STATUS_AUX_FULL) & 0xFF;
	update(v);
	schedule(v, now);
	return v->output;
}

void vi8042_write(void *vi8042, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vi8042 *v = vi8042;

	(void)size;
	vi8042_advance(v, now);
	if (port == VI8042_COMMAND_PORT)
		write_command(v, (uint8_t)value);
	else
		write_data(v, (uint8_t)value);
	update(v);
	schedule(v, now);
}

uint32_t vi8042_port92_read(void *vi8042, uint16_t port, unsigned size, uint64_t now)
{
	struct vi8042 *v = vi8042;

	(void)port, (void)size, (void)now;
	return v->port92;
}

void vi8042_port92_write(void *vi8042, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vi8042 *v = vi8042;
	bool reset = value & ~v->port92 & PORT92_RESET;

	(void)port, (void)size, (void)now;
	v->port92 = value & (PORT92_RESET | PORT92_A20);
	if (reset)
		v->reset(v->ctx);
}

void vi8042_init(struct vi8042 *v, uint64_t hz, struct line irq1, struct line irq12,
		 void (*reset)(void *ctx), void *ctx)
{
	memset(v, 0, sizeof(*v));
	v->hz = hz;
	v->next = UINT64_MAX;
	vps2_init(&v->kbd, false);
	vps2_init(&v->mouse, true);
	v->irq1 = irq1;
	v->irq12 = irq12;
	v->reset = reset;
	v->ctx = ctx;
	v->output_port = OUTPUT_NO_RESET | OUTPUT_A20;
	v->port92 = PORT92_A20;
	v->status = STATUS_UNLOCKED;
	write_ram(v, 0, MODE_IRQ1 | MODE_SYSTEM | MODE_AUX_DISABLED | MODE_TRANSLATE);
}
