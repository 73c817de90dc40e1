/* SPDX-License-Identifier: MIT */
/*
 * 8259A pair.
 *
 * Each chip keeps its inputs; requests, the INT output and the vector are derived from them. As
 * on the chip, an edge-triggered request lasts only while its input stays high: one that is gone
 * at the acknowledge gives the vector of IR7 and no in-service bit.
 * Intel 8259A datasheet: 'Initialization Command Words', 'Operation Command Words', 'Poll
 * Command', 'Fully Nested Mode', 'Special Mask Mode', 'Automatic Rotation'.
 */
#include "devices/vpic.h"

#include "lib/bits.h"
#include "lib/string.h"

#define CASCADE	     2U

#define ICW1_SELECT  0x10
#define ICW1_IC4     0x01
#define ICW1_SNGL    0x02
#define ICW1_ADI     0x04
#define ICW1_LTIM    0x08
#define ICW2_BASE    0xF8
#define ICW4_UPM     0x01
#define ICW4_AEOI    0x02
#define ICW4_SFNM    0x10

#define OCW3_SELECT  0x08
#define OCW3_RIS     0x01
#define OCW3_RR	     0x02
#define OCW3_POLL    0x04
#define OCW3_SMM     0x20
#define OCW3_ESMM    0x40

#define POLL_REQUEST 0x80
#define SPURIOUS_IR  7U

/* Inputs that a PC cannot make level triggered: IRQ 0, 1, 2 and 8, 13. */
#define ELCR_MASTER_MASK 0xF8
#define ELCR_SLAVE_MASK	 0xDE

/* The operations of OCW2 bits 7:5. */
enum ocw2 {
	OCW2_ROTATE_AEOI_CLEAR,
	OCW2_EOI,
	OCW2_NOP,
	OCW2_EOI_SPECIFIC,
	OCW2_ROTATE_AEOI_SET,
	OCW2_ROTATE_EOI,
	OCW2_SET_PRIORITY,
	OCW2_ROTATE_EOI_SPECIFIC,
};

static bool is_master(const struct vpic *v, const struct vpic_chip *chip)
{
	return chip == &v->chip[0];
}

static uint8_t chip_irr(const struct vpic_chip *chip)
{
	uint8_t level = chip->level_triggered ? 0xFF : chip->elcr;

	return chip->lines & (chip->edges | level);
}

/* The IR of rank 0 (highest priority) to 7 in the present rotation. */
static unsigned ranked(const struct vpic_chip *chip, unsigned rank)
{
	return (chip->lowest + 1U + rank) & 7;
}

/* In-service bits that hold back requests of their own and lower priority. */
static uint8_t chip_inhibiting(const struct vpic_chip *chip)
{
	return chip->special_mask ? chip->isr & ~chip->imr : chip->isr;
}

/* The IR that the chip asks to be served, -1 for none. */
static int chip_request(const struct vpic *v, const struct vpic_chip *chip)
{
	uint8_t requests = chip_irr(chip) & ~chip->imr;
	uint8_t inhibiting = chip_inhibiting(chip);
	/* In special fully nested mode a slave in service may still ask for its higher inputs. */
	uint8_t nested = chip->fully_nested_special && is_master(v, chip) ? chip->cascade : 0;

	if (!requests || !chip->ready)
		return -1;
	for (unsigned rank = 0; rank < 8; rank++) {
		unsigned ir = ranked(chip, rank);

		if ((requests & BIT(ir)) && !(inhibiting & ~nested & BIT(ir)))
			return (int)ir;
		if (inhibiting & BIT(ir))
			return -1;
	}
	return -1;
}

static void chip_set_line(struct vpic_chip *chip, unsigned ir, bool level)
{
	uint8_t bit = (uint8_t)BIT(ir);

	if (level && !(chip->lines & bit))
		chip->edges |= bit;
	if (level)
		chip->lines |= bit;
	else
		chip->lines &= ~bit, chip->edges &= ~bit;
}

static void update(struct vpic *v)
{
	struct vpic_chip *master = &v->chip[0];
	bool intr;

	chip_set_line(master, CASCADE, chip_request(v, &v->chip[1]) >= 0);
	intr = chip_request(v, master) >= 0;
	if (intr != v->intr) {
		v->intr = intr;
		line_set(&v->output, intr);
	}
}

static void chip_rotate(struct vpic_chip *chip, unsigned lowest)
{
	chip->lowest = (uint8_t)lowest;
}

/* The first INTA cycle (or a poll): the request becomes in service. -1: it has gone. */
static int chip_acknowledge(struct vpic *v, struct vpic_chip *chip)
{
	int ir = chip_request(v, chip);

	if (ir < 0)
		return -1;
	chip->edges &= (uint8_t)~BIT(ir);
	if (!chip->auto_eoi)
		chip->isr |= (uint8_t)BIT(ir);
	else if (chip->rotate_on_auto_eoi)
		chip_rotate(chip, (unsigned)ir);
	return ir;
}

/* What the second INTA cycle puts on the bus; in MCS-80 mode that is an address's low byte. */
static uint8_t chip_vector(const struct vpic_chip *chip, unsigned ir)
{
	if (chip->mcs8086)
		return (uint8_t)((chip->vector & ICW2_BASE) | ir);
	if (chip->call_interval4)
		return (uint8_t)((chip->call_address & 0xE0) | ir << 2);
	return (uint8_t)((chip->call_address & 0xC0) | ir << 3);
}

uint8_t vpic_acknowledge(struct vpic *v)
{
	struct vpic_chip *chip = &v->chip[0];
	int ir = chip_acknowledge(v, chip);

	if (ir == (int)CASCADE && (chip->cascade & BIT(CASCADE)) && !chip->single) {
		chip = &v->chip[1];
		ir = chip_acknowledge(v, chip);
	}
	/* The slave's INT falls with its INTA cycle, and rises again if it wants more. */
	chip_set_line(&v->chip[0], CASCADE, false);
	update(v);
	return chip_vector(chip, ir < 0 ? SPURIOUS_IR : (unsigned)ir);
}

static void chip_icw1(struct vpic_chip *chip, uint8_t value)
{
	chip->edges = 0;
	chip->imr = 0;
	chip->isr = 0;
	chip->lowest = 7;
	chip->special_mask = false;
	chip->read_isr = false;
	chip->poll = false;
	chip->rotate_on_auto_eoi = false;
	chip->mcs8086 = false;
	chip->auto_eoi = false;
	chip->fully_nested_special = false;
	chip->level_triggered = value & ICW1_LTIM;
	chip->single = value & ICW1_SNGL;
	chip->wants_icw4 = value & ICW1_IC4;
	chip->call_interval4 = value & ICW1_ADI;
	chip->call_address = value & 0xE0;
	chip->ready = false;
	chip->step = 2;
}

static void chip_icw4(struct vpic_chip *chip, uint8_t value)
{
	chip->mcs8086 = value & ICW4_UPM;
	chip->auto_eoi = value & ICW4_AEOI;
	chip->fully_nested_special = value & ICW4_SFNM;
}

/* ICW2, ICW3 and ICW4, whichever is due. */
static void chip_icw(struct vpic_chip *chip, uint8_t value)
{
	switch (chip->step) {
	case 2:
		chip->vector = value & ICW2_BASE;
		chip->step = !chip->single ? 3 : chip->wants_icw4 ? 4 : 0;
		break;
	case 3:
		chip->cascade = value;
		chip->step = chip->wants_icw4 ? 4 : 0;
		break;
	default: chip_icw4(chip, value); chip->step = 0;
	}
	chip->ready = !chip->step;
}

/* The in-service IR that a non-specific EOI ends, -1 for none. */
static int chip_serviced(const struct vpic_chip *chip)
{
	uint8_t candidates = chip_inhibiting(chip);

	for (unsigned rank = 0; rank < 8; rank++)
		if (candidates & BIT(ranked(chip, rank)))
			return (int)ranked(chip, rank);
	return -1;
}

static void chip_eoi(struct vpic_chip *chip, int ir, bool rotate)
{
	if (ir < 0)
		return;
	chip->isr &= (uint8_t)~BIT(ir);
	if (rotate)
		chip_rotate(chip, (unsigned)ir);
}

static void chip_ocw2(struct vpic_chip *chip, uint8_t value)
{
	unsigned ir = value & 7;

	switch ((enum ocw2)(value >> 5)) {
	case OCW2_ROTATE_AEOI_CLEAR: chip->rotate_on_auto_eoi = false; break;
	case OCW2_ROTATE_AEOI_SET: chip->rotate_on_auto_eoi = true; break;
	case OCW2_EOI: chip_eoi(chip, chip_serviced(chip), false); break;
	case OCW2_ROTATE_EOI: chip_eoi(chip, chip_serviced(chip), true); break;
	case OCW2_EOI_SPECIFIC: chip_eoi(chip, (int)ir, false); break;
	case OCW2_ROTATE_EOI_SPECIFIC: chip_eoi(chip, (int)ir, true); break;
	case OCW2_SET_PRIORITY: chip_rotate(chip, ir); break;
	case OCW2_NOP: break;
	}
}

static void chip_ocw3(struct vpic_chip *chip, uint8_t value)
{
	if (value & OCW3_ESMM)
		chip->special_mask = value & OCW3_SMM;
	if (value & OCW3_RR)
		chip->read_isr = value & OCW3_RIS;
	chip->poll = value & OCW3_POLL;
}

static void chip_command(struct vpic_chip *chip, uint8_t value)
{
	if (value & ICW1_SELECT)
		chip_icw1(chip, value);
	else if (value & OCW3_SELECT)
		chip_ocw3(chip, value);
	else
		chip_ocw2(chip, value);
}

static struct vpic_chip *chip_at(struct vpic *v, uint16_t port)
{
	return &v->chip[(port & ~1U) == VPIC_SLAVE_PORT];
}

static uint8_t chip_poll(struct vpic *v, struct vpic_chip *chip)
{
	int ir = chip_acknowledge(v, chip);

	chip->poll = false;
	if (!is_master(v, chip))
		chip_set_line(&v->chip[0], CASCADE, false);
	update(v);
	return ir < 0 ? SPURIOUS_IR : (uint8_t)(POLL_REQUEST | (unsigned)ir);
}

uint32_t vpic_read(void *vpic, uint16_t port, unsigned size, uint64_t now)
{
	struct vpic *v = vpic;
	struct vpic_chip *chip = chip_at(v, port);

	(void)size, (void)now;
	if (chip->poll)
		return chip_poll(v, chip);
	if (port & 1)
		return chip->imr;
	return chip->read_isr ? chip->isr : chip_irr(chip);
}

void vpic_write(void *vpic, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vpic *v = vpic;
	struct vpic_chip *chip = chip_at(v, port);

	(void)size, (void)now;
	if (!(port & 1))
		chip_command(chip, (uint8_t)value);
	else if (chip->step)
		chip_icw(chip, (uint8_t)value);
	else
		chip->imr = (uint8_t)value;
	update(v);
}

uint32_t vpic_elcr_read(void *vpic, uint16_t port, unsigned size, uint64_t now)
{
	struct vpic *v = vpic;

	(void)size, (void)now;
	return v->chip[port & 1].elcr;
}

void vpic_elcr_write(void *vpic, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vpic *v = vpic;

	(void)size, (void)now;
	v->chip[port & 1].elcr = (uint8_t)value & (port & 1 ? ELCR_SLAVE_MASK : ELCR_MASTER_MASK);
	update(v);
}

void vpic_set_pin(void *vpic, unsigned irq, bool level)
{
	struct vpic *v = vpic;

	if (irq >= VPIC_PINS || irq == CASCADE)
		return;
	chip_set_line(&v->chip[irq / 8], irq % 8, level);
	update(v);
}

void vpic_init(struct vpic *v, struct line intr)
{
	memset(v, 0, sizeof(*v));
	v->output = intr;
	v->chip[0].lowest = v->chip[1].lowest = 7;
}

void vpic_firmware(struct vpic *v)
{
	static const uint8_t words[][2] = {{0x08, BIT(CASCADE)}, {0x70, CASCADE}};
	static const uint8_t masks[] = {(uint8_t)~BIT(CASCADE), 0xFF};

	for (unsigned i = 0; i < 2; i++) {
		uint16_t port = i ? VPIC_SLAVE_PORT : VPIC_MASTER_PORT;

		vpic_write(v, port, 1, ICW1_SELECT | ICW1_IC4, 0);
		vpic_write(v, port + 1, 1, words[i][0], 0);
		vpic_write(v, port + 1, 1, words[i][1], 0);
		vpic_write(v, port + 1, 1, ICW4_UPM, 0);
		vpic_write(v, port + 1, 1, masks[i], 0);
	}
}
