/* SPDX-License-Identifier: MIT */
/*
 * ACPI fixed hardware.
 *
 * The PM timer is a function of the clock; its status bit is set whenever the top bit (31) has
 * changed since the last look. A machine with no SMM has nobody to send events to while SCI_EN is
 * clear: they wait in the status register.
 * ACPI specification 6.5, 'Power Management Timer', 'PM1 Status/Enable/Control Registers';
 * ICH9 datasheet, 'Reset Control Register' (CF9H).
 */
#include "devices/vacpi.h"

#include "lib/bits.h"
#include "lib/rate.h"
#include "lib/string.h"

#define NEVER		 UINT64_MAX

#define PM1_TIMER	 0x0001
#define PM1_BUS_MASTER	 0x0010
#define PM1_GLOBAL	 0x0020
#define PM1_POWER_BUTTON 0x0100
#define PM1_SLEEP_BUTTON 0x0200
#define PM1_RTC		 0x0400
#define PM1_WAKE	 0x8000
#define PM1_STATUS_BITS                                                                            \
	(PM1_TIMER | PM1_BUS_MASTER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC | \
	 PM1_WAKE)
#define PM1_ENABLE_BITS	 (PM1_TIMER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC)

#define CONTROL_SCI_EN	 0x0001
#define CONTROL_BM_RLD	 0x0002
#define CONTROL_SLP_TYP	 0x1C00
#define CONTROL_SLP_EN	 0x2000
#define CONTROL_WRITABLE (CONTROL_BM_RLD | CONTROL_SLP_TYP)
#define SLP_TYP_SHIFT	 10

/* Bytes of the block. */
#define BYTE_STATUS   0
#define BYTE_ENABLE   2
#define BYTE_CONTROL  4
#define BYTE_TIMER    8

#define TIMER_TOP_BIT 31

#define RESET_SYSTEM  0x02
#define RESET_CPU     0x04
#define RESET_FULL    0x08
#define RESET_BITS    (RESET_SYSTEM | RESET_CPU | RESET_FULL)

static uint64_t timer(const struct vacpi *v, uint64_t now)
{
	return rate_units(now, v->hz, VACPI_PM_TIMER_HZ);
}

static void drive(struct vacpi *v)
{
	bool level = (v->control & CONTROL_SCI_EN) && (v->status & v->enable & PM1_ENABLE_BITS);

	if (level == v->sci_level)
		return;
	v->sci_level = level;
	line_set(&v->sci, level);
}

static void settle(struct vacpi *v, uint64_t now)
{
	uint64_t halves = timer(v, now) >> TIMER_TOP_BIT;

	if (halves != v->halves)
		v->status |= PM1_TIMER;
	v->halves = halves;
}

static void schedule(struct vacpi *v)
{
	v->next = NEVER;
	if ((v->enable & PM1_TIMER) && !(v->status & PM1_TIMER))
		v->next = rate_ticks((v->halves + 1) << TIMER_TOP_BIT, v->hz, VACPI_PM_TIMER_HZ);
}

/* Byte `at` of the block; the registers that are not there read as zero. */
static uint8_t read_byte(struct vacpi *v, unsigned at, uint64_t now)
{
	switch (at & ~1U) {
	case BYTE_STATUS: return (uint8_t)(v->status >> 8 * (at & 1));
	case BYTE_ENABLE: return (uint8_t)(v->enable >> 8 * (at & 1));
	case BYTE_CONTROL: return (uint8_t)(v->control >> 8 * (at & 1));
	case BYTE_TIMER:
	case BYTE_TIMER + 2: return (uint8_t)(timer(v, now) >> 8 * (at & 3));
	default: return 0;
	}
}

uint32_t vacpi_read(void *vacpi, uint16_t port, unsigned size, uint64_t now)
{
	struct vacpi *v = vacpi;
	uint32_t value = 0;

	if (port % VACPI_PM_PORTS == BYTE_TIMER)
		return (uint32_t)timer(v, now);
	vacpi_advance(v, now);
	settle(v, now);
	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)read_byte(v, port % VACPI_PM_PORTS + i, now) << 8 * i;
	return value;
}

static void write_control(struct vacpi *v, uint16_t mask, uint16_t value)
{
	uint16_t writable = mask & CONTROL_WRITABLE;

	v->control = (uint16_t)((v->control & ~writable) | (value & writable));
	/* Only S5 exists: other sleep types do nothing. */
	if ((value & mask & CONTROL_SLP_EN) &&
	    (v->control & CONTROL_SLP_TYP) >> SLP_TYP_SHIFT == VACPI_SLP_TYP_S5)
		v->ops.power_off(v->ops.ctx);
}

static void write_byte(struct vacpi *v, unsigned at, uint8_t byte)
{
	uint16_t mask = (uint16_t)(0xFF << 8 * (at & 1)), value = (uint16_t)(byte << 8 * (at & 1));

	switch (at & ~1U) {
	case BYTE_STATUS: v->status &= (uint16_t)~value; break;
	case BYTE_ENABLE:
		v->enable = (uint16_t)((v->enable & ~mask) | (value & PM1_ENABLE_BITS));
		break;
	case BYTE_CONTROL: write_control(v, mask, value); break;
	default: break; /* the timer cannot be written */
	}
}

void vacpi_write(void *vacpi, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vacpi *v = vacpi;

	settle(v, now);
	for (unsigned i = 0; i < size; i++)
		write_byte(v, port % VACPI_PM_PORTS + i, (uint8_t)(value >> 8 * i));
	schedule(v);
	drive(v);
}

uint32_t vacpi_smi_read(void *vacpi, uint16_t port, unsigned size, uint64_t now)
{
	struct vacpi *v = vacpi;

	(void)size, (void)now;
	return port == VACPI_SMI_COMMAND ? v->smi_command : v->smi_status;
}

void vacpi_smi_write(void *vacpi, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vacpi *v = vacpi;

	(void)size;
	if (port != VACPI_SMI_COMMAND) {
		v->smi_status = (uint8_t)value;
		return;
	}
	v->smi_command = (uint8_t)value;
	if (value == VACPI_ENABLE)
		v->control |= CONTROL_SCI_EN;
	else if (value == VACPI_DISABLE)
		v->control &= ~CONTROL_SCI_EN & 0xFFFF;
	settle(v, now);
	schedule(v);
	drive(v);
}

uint32_t vacpi_reset_read(void *vacpi, uint16_t port, unsigned size, uint64_t now)
{
	struct vacpi *v = vacpi;

	(void)port, (void)size, (void)now;
	return v->reset_control;
}

void vacpi_reset_write(void *vacpi, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vacpi *v = vacpi;
	bool reset = value & ~v->reset_control & RESET_CPU;

	(void)port, (void)size, (void)now;
	v->reset_control = value & RESET_BITS;
	if (reset)
		v->ops.reset(v->ops.ctx);
}

void vacpi_power_button(struct vacpi *v)
{
	v->status |= PM1_POWER_BUTTON;
	drive(v);
}

void vacpi_advance(struct vacpi *v, uint64_t now)
{
	if (now < v->next)
		return;
	settle(v, now);
	schedule(v);
	drive(v);
}

void vacpi_init(struct vacpi *v, uint64_t hz, const struct vacpi_ops *ops, struct line sci,
		uint64_t now)
{
	memset(v, 0, sizeof(*v));
	v->hz = hz;
	v->ops = *ops;
	v->sci = sci;
	v->halves = timer(v, now) >> TIMER_TOP_BIT;
	v->next = NEVER;
}
