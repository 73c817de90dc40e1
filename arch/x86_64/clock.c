/* SPDX-License-Identifier: MIT */
/*
 * TSC frequency: from CPUID where the CPU says it, else measured against the ACPI PM timer, else
 * against the 8254. Intel SDM volume 3, "Determining the Processor Base Frequency".
 */
#include "arch/x86_64/clock.h"

#include <stdbool.h>
#include <stddef.h>

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/cpu.h"
#include "lib/bits.h"
#include "lib/log.h"

#define PM_TIMER_HZ   3579545
#define PM_TIMER_MASK 0xffffff
#define PIT_HZ	      1193182
#define MEASURE_HZ    100 /* over 10 ms */
#define MEASURE_LIMIT 1000000

enum { PIT_CHANNEL2 = 0x42, PIT_COMMAND = 0x43, PORT_61 = 0x61 };
#define PIT_CHANNEL2_MODE0 0xb0 /* both bytes, interrupt on terminal count */
#define PORT_61_GATE2	   BIT(0)
#define PORT_61_SPEAKER	   BIT(1)
#define PORT_61_OUT2	   BIT(5)

static uint64_t hz_from_cpuid(void)
{
	struct cpuid ratio;

	if (cpuid(0, 0).eax < 0x15)
		return 0;
	ratio = cpuid(0x15, 0);
	if (!ratio.eax || !ratio.ebx || !ratio.ecx)
		return 0;
	return (uint64_t)ratio.ecx * ratio.ebx / ratio.eax;
}

/* 0 when the timer does not count. */
static uint64_t hz_from_pm_timer(void)
{
	const uint32_t wait = PM_TIMER_HZ / MEASURE_HZ;
	uint16_t port = acpi_pm_timer();
	uint32_t start, passed = 0;
	uint64_t tsc;

	if (!port)
		return 0;
	start = inl(port);
	tsc = rdtsc();
	for (unsigned i = 0; passed < wait; i++) {
		if (i == MEASURE_LIMIT)
			return 0;
		passed = (inl(port) - start) & PM_TIMER_MASK;
	}
	return (rdtsc() - tsc) * PM_TIMER_HZ / passed;
}

static uint64_t hz_from_pit(void)
{
	const uint32_t count = PIT_HZ / MEASURE_HZ;
	uint8_t port61 = inb(PORT_61);
	uint64_t tsc;

	outb(PORT_61, (uint8_t)((port61 & ~PORT_61_SPEAKER) | PORT_61_GATE2));
	outb(PIT_COMMAND, PIT_CHANNEL2_MODE0);
	outb(PIT_CHANNEL2, count & 0xff);
	outb(PIT_CHANNEL2, count >> 8);
	tsc = rdtsc();
	for (unsigned i = 0; !(inb(PORT_61) & PORT_61_OUT2); i++)
		if (i == MEASURE_LIMIT)
			return 0;
	tsc = rdtsc() - tsc;
	outb(PORT_61, port61);
	return tsc * PIT_HZ / count;
}

uint64_t clock_init(void)
{
	uint64_t tsc_hz;
	static const struct {
		const char *name;
		uint64_t (*hz)(void);
	} sources[] = {
		{"CPUID leaf 15h", hz_from_cpuid},
		{"the ACPI PM timer", hz_from_pm_timer},
		{"the 8254 timer", hz_from_pit},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(sources); i++) {
		tsc_hz = sources[i].hz();
		if (tsc_hz) {
			log_info("clock: TSC runs at %lu kHz by %s", tsc_hz / 1000,
				 sources[i].name);
			return tsc_hz;
		}
	}
	tsc_hz = GIB;
	log_warn("clock: no timer answers (CPUID 15h, PM timer, 8254): TSC taken as %lu kHz",
		 tsc_hz / 1000);
	return tsc_hz;
}

enum {
	CMOS_INDEX = 0x70,
	CMOS_DATA = 0x71,
	RTC_SECONDS = 0,
	RTC_MINUTES = 2,
	RTC_HOURS = 4,
	RTC_DAY = 7,
	RTC_MONTH = 8,
	RTC_YEAR = 9,
	RTC_A = 10,
	RTC_B = 11,
	RTC_FIELDS = 6,
};
#define RTC_A_UPDATING BIT(7)
#define RTC_B_24H      BIT(1)
#define RTC_B_BINARY   BIT(2)
#define HOURS_PM       0x80

static uint8_t cmos_read(uint8_t index)
{
	outb(CMOS_INDEX, index);
	return inb(CMOS_DATA);
}

static void read_time(uint8_t field[RTC_FIELDS])
{
	static const uint8_t index[RTC_FIELDS] = {RTC_SECONDS, RTC_MINUTES, RTC_HOURS,
						  RTC_DAY,     RTC_MONTH,   RTC_YEAR};

	for (unsigned i = 0; i < MEASURE_LIMIT && (cmos_read(RTC_A) & RTC_A_UPDATING); i++)
		cpu_pause();
	for (unsigned i = 0; i < RTC_FIELDS; i++)
		field[i] = cmos_read(index[i]);
}

/* Days from 1970-01-01 to the given date of the Gregorian calendar, years from 1970 on. */
static uint64_t days_from_date(unsigned year, unsigned month, unsigned day)
{
	static const uint16_t before_month[12] = {0,   31,  59,	 90,  120, 151,
						  181, 212, 243, 273, 304, 334};
	unsigned leaps = (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
	unsigned leaps_1970 = 1969 / 4 - 1969 / 100 + 1969 / 400;
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return (year - 1970) * 365ULL + leaps - leaps_1970 + before_month[month - 1] +
	       (leap && month > 2) + day - 1;
}

uint64_t clock_epoch(void)
{
	uint8_t field[RTC_FIELDS], b;
	bool pm;

	read_time(field);
	b = cmos_read(RTC_B);
	pm = !(b & RTC_B_24H) && (field[2] & HOURS_PM);
	field[2] &= (uint8_t) ~(b & RTC_B_24H ? 0 : HOURS_PM);
	if (!(b & RTC_B_BINARY))
		for (unsigned i = 0; i < RTC_FIELDS; i++)
			field[i] = (uint8_t)((field[i] >> 4) * 10 + (field[i] & 15));
	if (!(b & RTC_B_24H))
		field[2] = (uint8_t)(field[2] % 12 + (pm ? 12 : 0));
	if (field[3] < 1 || field[3] > 31 || field[4] < 1 || field[4] > 12)
		return 0;
	return ((days_from_date(2000u + field[5], field[4], field[3]) * 24 + field[2]) * 60 +
		field[1]) *
		       60 +
	       field[0];
}
