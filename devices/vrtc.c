/* SPDX-License-Identifier: MIT */
/*
 * MC146818 real-time clock.
 *
 * The divider chain is a count of crystal periods; its multiples of 32768 are the updates, those of
 * the selected rate the periodic flags. settle() brings registers and flags up to a given tick,
 * over however many seconds have passed, and every access begins with it.
 * Motorola MC146818 datasheet: 'Time, Calendar and Alarm Locations', 'Update Cycle', 'Interrupts',
 * 'Registers'. The century byte (32H) counts on, as in the chips of later PCs.
 */
#include "devices/vrtc.h"

#include "lib/bits.h"
#include "lib/rate.h"
#include "lib/string.h"

#define NEVER UINT64_MAX

enum reg {
	SECONDS,
	SECONDS_ALARM,
	MINUTES,
	MINUTES_ALARM,
	HOURS,
	HOURS_ALARM,
	DAY_OF_WEEK,
	DAY,
	MONTH,
	YEAR,
	REG_A,
	REG_B,
	REG_C,
	REG_D,
	SHUTDOWN = 0x0F,
	EQUIPMENT = 0x14,
	BASE_MEMORY = 0x15,
	EXTENDED_MEMORY = 0x17,
	CHECKSUM = 0x2E, /* high byte first */
	EXTENDED_MEMORY_POST = 0x30,
	CENTURY = 0x32,
	MEMORY_ABOVE_16M = 0x34,
	MEMORY_ABOVE_4G = 0x5B,
};

#define A_UIP	       0x80
#define A_DIVIDER      0x70
#define A_DIVIDER_RUNS 0x20
#define A_RATE	       0x0F
#define B_SET	       0x80
#define B_PIE	       0x40
#define B_AIE	       0x20
#define B_UIE	       0x10
#define B_BINARY       0x04
#define B_24H	       0x02
#define C_IRQF	       0x80
#define C_PF	       0x40
#define C_AF	       0x20
#define C_UF	       0x10
#define D_VRT	       0x80
#define HOURS_PM       0x80
#define ALARM_ANY      0xC0
#define INDEX_MASK     0x7F
#define INDEX_NMI      0x80

/* From the rise of UIP to the end of the update: 244 us and 1984 us, in crystal periods. */
#define UIP_PERIODS 73
/* The first update after the divider chain is released comes half a second later. */
#define RELEASE_PHASE (VRTC_CRYSTAL_HZ / 2)

#define DAY_SECONDS   86400U

static bool running(const struct vrtc *v)
{
	return (v->ram[REG_A] & A_DIVIDER) == A_DIVIDER_RUNS;
}

static uint64_t crystal(const struct vrtc *v, uint64_t now)
{
	return running(v) ? v->offset + rate_units(now - v->origin, v->hz, VRTC_CRYSTAL_HZ)
			  : v->counted;
}

/* Crystal periods between two periodic flags; 0 for none. Rates 1 and 2 repeat 8 and 9. */
static uint64_t rate_period(const struct vrtc *v)
{
	unsigned rate = v->ram[REG_A] & A_RATE;

	if (!rate)
		return 0;
	return BIT(rate <= 2 ? rate + 6 : rate - 1);
}

static uint8_t encode(const struct vrtc *v, unsigned value)
{
	return (uint8_t)(v->ram[REG_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static unsigned decode(const struct vrtc *v, uint8_t byte)
{
	return v->ram[REG_B] & B_BINARY ? byte : (byte >> 4) * 10U + (byte & 15);
}

static uint8_t encode_hour(const struct vrtc *v, unsigned hour)
{
	if (v->ram[REG_B] & B_24H)
		return encode(v, hour);
	return encode(v, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOURS_PM : 0);
}

static unsigned decode_hour(const struct vrtc *v, uint8_t byte)
{
	if (v->ram[REG_B] & B_24H)
		return decode(v, byte);
	return decode(v, byte & ~HOURS_PM & 0xFF) % 12 + (byte & HOURS_PM ? 12 : 0);
}

/* The registers' time of day in seconds; what no clock shows is cut to what one does. */
static unsigned time_of_day(const struct vrtc *v)
{
	return decode_hour(v, v->ram[HOURS]) % 24 * 3600 + decode(v, v->ram[MINUTES]) % 60 * 60 +
	       decode(v, v->ram[SECONDS]) % 60;
}

static void set_time_of_day(struct vrtc *v, unsigned seconds)
{
	v->ram[SECONDS] = encode(v, seconds % 60);
	v->ram[MINUTES] = encode(v, seconds / 60 % 60);
	v->ram[HOURS] = encode_hour(v, seconds / 3600);
}

static unsigned month_days(unsigned month, unsigned year)
{
	static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (month < 1 || month > 12)
		return 31;
	return days[month - 1] + (month == 2 && year % 4 == 0);
}

static void next_day(struct vrtc *v)
{
	unsigned week = decode(v, v->ram[DAY_OF_WEEK]), day = decode(v, v->ram[DAY]);
	unsigned month = decode(v, v->ram[MONTH]), year = decode(v, v->ram[YEAR]);

	v->ram[DAY_OF_WEEK] = encode(v, week >= 7 ? 1 : week + 1);
	if (day < month_days(month, year)) {
		v->ram[DAY] = encode(v, day + 1);
		return;
	}
	v->ram[DAY] = encode(v, 1);
	v->ram[MONTH] = encode(v, month >= 12 ? 1 : month + 1);
	if (month < 12)
		return;
	v->ram[YEAR] = encode(v, year >= 99 ? 0 : year + 1);
	if (year >= 99)
		v->ram[CENTURY] = encode(v, (decode(v, v->ram[CENTURY]) + 1) % 100);
}

static bool alarm_matches(const struct vrtc *v, enum reg alarm, uint8_t time)
{
	return (v->ram[alarm] & ALARM_ANY) == ALARM_ANY || v->ram[alarm] == time;
}

/* Updates until the alarm next matches: 1..86400, or 0 for never. */
static unsigned updates_to_alarm(const struct vrtc *v)
{
	unsigned time = time_of_day(v), step;

	for (unsigned ahead = 1; ahead <= DAY_SECONDS; ahead += step) {
		unsigned then = (time + ahead) % DAY_SECONDS;

		if (!alarm_matches(v, HOURS_ALARM, encode_hour(v, then / 3600)))
			step = 3600 - then % 3600;
		else if (!alarm_matches(v, MINUTES_ALARM, encode(v, then / 60 % 60)))
			step = 60 - then % 60;
		else if (!alarm_matches(v, SECONDS_ALARM, encode(v, then % 60)))
			step = 1;
		else
			return ahead;
	}
	return 0;
}

/* `updates` (1 or more) seconds pass for the registers. */
static void update_time(struct vrtc *v, uint64_t updates)
{
	unsigned alarm = updates_to_alarm(v);
	uint64_t time = time_of_day(v) + updates;

	v->ram[REG_C] |= C_UF;
	if (alarm && alarm <= updates)
		v->ram[REG_C] |= C_AF;
	for (uint64_t days = time / DAY_SECONDS; days; days--)
		next_day(v);
	set_time_of_day(v, (unsigned)(time % DAY_SECONDS));
}

static void drive(struct vrtc *v)
{
	/* Flags and enables have the same bits in C and B. */
	bool irq = v->ram[REG_C] & v->ram[REG_B] & (C_PF | C_AF | C_UF);

	v->ram[REG_C] = (uint8_t)((v->ram[REG_C] & ~C_IRQF) | (irq ? C_IRQF : 0));
	if (irq == v->irq)
		return;
	v->irq = irq;
	line_set(&v->output, irq);
}

static void settle(struct vrtc *v, uint64_t now)
{
	uint64_t count = crystal(v, now), period = rate_period(v);
	uint64_t updates = count / VRTC_CRYSTAL_HZ - v->counted / VRTC_CRYSTAL_HZ;

	if (period && count / period != v->counted / period)
		v->ram[REG_C] |= C_PF;
	if (updates && !(v->ram[REG_B] & B_SET))
		update_time(v, updates);
	v->counted = count;
	drive(v);
}

/* Settled: when would the interrupt line rise? While it is high nothing more can come of it. */
static void schedule(struct vrtc *v)
{
	uint64_t period = rate_period(v), count = NEVER, second = v->counted / VRTC_CRYSTAL_HZ;
	uint8_t enabled = v->ram[REG_B];

	v->next = NEVER;
	if (v->irq || !running(v))
		return;
	if ((enabled & B_PIE) && period)
		count = (v->counted / period + 1) * period;
	if ((enabled & B_UIE) && !(enabled & B_SET))
		count = MIN(count, (second + 1) * VRTC_CRYSTAL_HZ);
	if ((enabled & B_AIE) && !(enabled & B_SET)) {
		unsigned alarm = updates_to_alarm(v);

		if (alarm)
			count = MIN(count, (second + alarm) * VRTC_CRYSTAL_HZ);
	}
	if (count != NEVER)
		v->next = v->origin + rate_ticks(count - v->offset, v->hz, VRTC_CRYSTAL_HZ);
}

void vrtc_advance(struct vrtc *v, uint64_t now)
{
	if (now < v->next)
		return;
	settle(v, now);
	schedule(v);
}

static bool updating(const struct vrtc *v)
{
	return running(v) && !(v->ram[REG_B] & B_SET) &&
	       v->counted % VRTC_CRYSTAL_HZ >= VRTC_CRYSTAL_HZ - UIP_PERIODS;
}

static uint8_t data_read(struct vrtc *v)
{
	uint8_t value = v->ram[v->index];

	if (v->index == REG_A)
		return value | (updating(v) ? A_UIP : 0);
	if (v->index == REG_C) {
		v->ram[REG_C] = 0;
		drive(v);
	}
	return value;
}

uint32_t vrtc_read(void *vrtc, uint16_t port, unsigned size, uint64_t now)
{
	struct vrtc *v = vrtc;
	uint8_t value;

	(void)size;
	if (!(port & 1))
		return UINT32_MAX; /* the index cannot be read back */
	settle(v, now);
	value = data_read(v);
	schedule(v);
	return value;
}

/* The divider chain is held at 0 by all selections but the one for the crystal that is there. */
static void write_a(struct vrtc *v, uint8_t value, uint64_t now)
{
	bool ran = running(v);

	v->ram[REG_A] = value & ~A_UIP & 0xFF;
	if (ran && !running(v)) {
		v->counted = 0;
	} else if (!ran && running(v)) {
		v->origin = now;
		v->offset = v->counted = RELEASE_PHASE;
	}
}

static void data_write(struct vrtc *v, uint8_t value, uint64_t now)
{
	switch (v->index) {
	case REG_A: write_a(v, value, now); return;
	case REG_B: v->ram[REG_B] = value & B_SET ? value & ~B_UIE & 0xFF : value; return;
	case REG_C:
	case REG_D: return;
	default: v->ram[v->index] = value;
	}
}

void vrtc_write(void *vrtc, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vrtc *v = vrtc;

	(void)size;
	if (!(port & 1)) {
		v->index = value & INDEX_MASK;
		v->nmi_disabled = value & INDEX_NMI;
		return;
	}
	settle(v, now);
	data_write(v, (uint8_t)value, now);
	drive(v);
	schedule(v);
}

/* Day of the month, month and year of a day counted from 1970-01-01. */
static void set_date(struct vrtc *v, uint64_t days)
{
	unsigned year = 1970, month = 1;

	v->ram[DAY_OF_WEEK] = encode(v, (unsigned)((days + 4) % 7) + 1); /* 1 is Sunday */
	for (;; year++) {
		unsigned length = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 366 : 365;

		if (days < length || year == 9999)
			break;
		days -= length;
	}
	for (; month < 12 && days >= month_days(month, year); month++)
		days -= month_days(month, year);
	v->ram[DAY] = encode(v, (unsigned)MIN(days, 30) + 1);
	v->ram[MONTH] = encode(v, month);
	v->ram[YEAR] = encode(v, year % 100);
	v->ram[CENTURY] = encode(v, year / 100);
}

static void set_checksum(struct vrtc *v)
{
	unsigned sum = 0;

	for (unsigned i = 0x10; i < CHECKSUM; i++)
		sum += v->ram[i];
	v->ram[CHECKSUM] = (uint8_t)(sum >> 8);
	v->ram[CHECKSUM + 1] = (uint8_t)sum;
}

void vrtc_init(struct vrtc *v, uint64_t hz, uint64_t epoch, struct line irq8, uint64_t now)
{
	memset(v, 0, sizeof(*v));
	v->hz = hz;
	v->origin = now;
	v->output = irq8;
	v->ram[REG_A] = A_DIVIDER_RUNS | 6; /* 1024 Hz */
	v->ram[REG_B] = B_24H;
	v->ram[REG_D] = D_VRT;
	v->ram[EQUIPMENT] = 0x02; /* a coprocessor; no floppies, no display */
	set_time_of_day(v, (unsigned)(epoch % DAY_SECONDS));
	set_date(v, epoch / DAY_SECONDS);
	set_checksum(v);
	schedule(v);
}

static void set_size(struct vrtc *v, enum reg reg, uint64_t size, unsigned bytes)
{
	size = MIN(size, mask_bytes(bytes));
	for (unsigned i = 0; i < bytes; i++)
		v->ram[reg + i] = (uint8_t)(size >> (8 * i));
}

void vrtc_set_memory(struct vrtc *v, uint64_t low, uint64_t high)
{
	uint64_t extended = low > MIB ? (low - MIB) / KIB : 0;

	set_size(v, BASE_MEMORY, MIN(low / KIB, 640), 2);
	set_size(v, EXTENDED_MEMORY, extended, 2);
	set_size(v, EXTENDED_MEMORY_POST, extended, 2);
	set_size(v, MEMORY_ABOVE_16M, low > 16 * MIB ? (low - 16 * MIB) / (64 * KIB) : 0, 2);
	set_size(v, MEMORY_ABOVE_4G, high / (64 * KIB), 3);
	set_checksum(v);
}
