/* SPDX-License-Identifier: MIT */
/* The clock: time of day against libc's calendar, alarms by brute force, interrupts, CMOS bytes. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "devices/vrtc.h"

#define HZ (VRTC_CRYSTAL_HZ * 100)

static struct vrtc rtc;
static bool irq;

static void on_irq(void *ctx, unsigned pin, bool level)
{
	(void)ctx, (void)pin;
	irq = level;
}

static void out(uint8_t reg, uint8_t value, uint64_t now)
{
	vrtc_write(&rtc, 0x70, 1, reg, now);
	vrtc_write(&rtc, 0x71, 1, value, now);
}

static uint8_t in(uint8_t reg, uint64_t now)
{
	vrtc_write(&rtc, 0x70, 1, reg, now);
	return (uint8_t)vrtc_read(&rtc, 0x71, 1, now);
}

static void start(uint64_t epoch)
{
	irq = false;
	vrtc_init(&rtc, HZ, epoch, (struct line){.set = on_irq}, 0);
}

static unsigned bcd(unsigned n)
{
	return n / 10 << 4 | n % 10;
}

static void check_date(uint64_t epoch, uint64_t now)
{
	time_t t = (time_t)epoch;
	struct tm tm;

	gmtime_r(&t, &tm);
	assert_int_equal(in(0, now), bcd((unsigned)tm.tm_sec));
	assert_int_equal(in(2, now), bcd((unsigned)tm.tm_min));
	assert_int_equal(in(4, now), bcd((unsigned)tm.tm_hour));
	assert_int_equal(in(6, now), tm.tm_wday + 1);
	assert_int_equal(in(7, now), bcd((unsigned)tm.tm_mday));
	assert_int_equal(in(8, now), bcd((unsigned)tm.tm_mon + 1));
	assert_int_equal(in(9, now), bcd((unsigned)tm.tm_year % 100));
	assert_int_equal(in(0x32, now), bcd((unsigned)tm.tm_year / 100 + 19));
}

static void test_start_and_progress_follow_the_calendar(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t epoch, ahead;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		epoch = (seed >> 20) % 4102444800ULL; /* until 2100 */
		ahead = (seed >> 40) % (i % 3 ? 100000 : 40000000);
		if (epoch + ahead >= 4102444800ULL)
			continue;
		start(epoch);
		check_date(epoch, 0);
		check_date(epoch, HZ - 1);
		check_date(epoch + ahead, ahead * HZ);
		check_date(epoch + ahead, ahead * HZ + HZ - 1);
	}
}

static void test_second_by_second_over_new_year(void **state)
{
	(void)state;
	start(946684800 - 5); /* 1999-12-31 23:59:55 */
	for (unsigned s = 0; s < 100; s++)
		check_date(946684800 - 5 + s, s * HZ);
}

static void test_formats(void **state)
{
	(void)state;
	start(0);
	for (unsigned hour = 0; hour < 24; hour++) {
		uint64_t now = hour * 3600 * HZ;
		unsigned twelve = hour % 12 ? hour % 12 : 12;

		out(0x0B, 0x82, now), out(0x0B, 0x02, now);
		start(hour * 3600);
		out(0x0B, 0x80, 0); /* 12 hours, BCD: the bytes are now read so */
		out(4, (uint8_t)(bcd(twelve) | (hour >= 12 ? 0x80 : 0)), 0);
		out(2, 0x59, 0), out(0, 0x59, 0);
		out(0x0B, 0x00, 0);
		unsigned next = (hour + 1) % 24, shown = next % 12 ? next % 12 : 12;
		assert_int_equal(in(4, HZ), bcd(shown) | (next >= 12 ? 0x80 : 0));
		start(0);
		out(0x0B, 0x86, 0); /* 24 hours, binary */
		out(4, (uint8_t)hour, 0), out(2, 59, 0), out(0, 59, 0), out(7, 30, 0);
		out(0x0B, 0x06, 0);
		assert_int_equal(in(4, HZ), next);
		assert_int_equal(in(2, HZ), 0);
		assert_int_equal(in(7, HZ), next ? 30 : 31);
	}
}

static void test_set_stops_updates(void **state)
{
	(void)state;
	start(0);
	out(0x0B, 0x92, 0); /* SET clears UIE */
	assert_int_equal(in(0x0B, 0), 0x82);
	assert_int_equal(in(0, 100 * HZ), 0);
	assert_int_equal(in(0x0A, HZ * 100 - 1) & 0x80, 0);
	out(0x0B, 0x02, 100 * HZ);
	assert_int_equal(in(0, 103 * HZ), 3);
}

static void test_divider_reset(void **state)
{
	(void)state;
	start(0);
	out(0x0A, 0x76, HZ / 4);
	assert_int_equal(in(0, 50 * HZ), 0);
	out(0x0A, 0x26, 50 * HZ); /* the next update is half a second away */
	assert_int_equal(in(0, 50 * HZ + HZ / 2 - 1), 0);
	assert_int_equal(in(0, 50 * HZ + HZ / 2), 1);
	assert_int_equal(in(0, 50 * HZ + HZ / 2 + HZ), 2);
}

static void test_update_in_progress(void **state)
{
	unsigned first = 0;

	(void)state;
	start(0);
	for (uint64_t t = 0; t < HZ; t += 100) {
		bool uip = in(0x0A, t) & 0x80;

		if (uip && !first)
			first = (unsigned)t;
		assert_int_equal(uip, first != 0);
	}
	assert_int_equal(in(0x0A, HZ) & 0x80, 0);
	/* 244 us + 1984 us before the update, to one period of the crystal */
	assert_in_range((HZ - first) * 1000000 / HZ, 2228 - 31, 2228 + 31);
}

static void test_update_interrupt(void **state)
{
	(void)state;
	start(0);
	assert_true(vrtc_next_event(&rtc) == UINT64_MAX);
	out(0x0B, 0x12, HZ / 2);
	assert_int_equal(vrtc_next_event(&rtc), HZ);
	vrtc_advance(&rtc, HZ - 1);
	assert_false(irq);
	vrtc_advance(&rtc, HZ);
	assert_true(irq);
	assert_true(vrtc_next_event(&rtc) == UINT64_MAX);
	assert_int_equal(in(0x0C, HZ + 5) & 0xB0, 0x90);
	assert_false(irq);
	assert_int_equal(in(0x0C, HZ + 5), 0);
	assert_int_equal(vrtc_next_event(&rtc), 2 * HZ);
}

static void test_flags_are_set_without_enables(void **state)
{
	(void)state;
	start(0);
	out(1, 3, 0), out(3, 0, 0), out(5, 0, 0);
	assert_int_equal(in(0x0C, 2 * HZ) & 0xF0, 0x50);
	assert_int_equal(in(0x0C, 3 * HZ) & 0xF0, 0x70);
	assert_false(irq);
	in(0x0C, 5 * HZ);
	assert_int_equal(in(0x0C, 6 * HZ) & 0xF0, 0x50);
	out(0x0B, 0x12, 8 * HZ); /* enabling a set flag interrupts at once */
	assert_true(irq);
}

static void test_every_periodic_rate(void **state)
{
	static const unsigned hertz[] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
					 256, 128, 64,	32,   16,   8,	  4,	2};

	(void)state;
	for (unsigned rate = 0; rate < 16; rate++) {
		start(0);
		out(0x0A, (uint8_t)(0x20 | rate), 0);
		out(0x0B, 0x42, 0);
		if (!rate)
			assert_true(vrtc_next_event(&rtc) == UINT64_MAX);
		for (uint64_t i = 1; rate && i < 1000; i++) {
			uint64_t at = vrtc_next_event(&rtc);

			assert_int_equal(at, i * HZ / hertz[rate]);
			vrtc_advance(&rtc, at);
			assert_true(irq);
			in(0x0C, at);
		}
	}
}

static bool alarm_due(uint8_t alarm, unsigned value)
{
	return (alarm & 0xC0) == 0xC0 || alarm == bcd(value);
}

static void test_alarm_against_brute_force(void **state)
{
	uint64_t seed = 9;

	(void)state;
	for (unsigned i = 0; i < 600; i++) {
		uint8_t alarm[3];
		unsigned now, wait = 0;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		now = (unsigned)(seed >> 20) % 86400;
		alarm[0] = (uint8_t)(seed >> 40 & 3 ? bcd((seed >> 42) % 60) : 0xC5);
		alarm[1] = (uint8_t)(seed >> 48 & 1 ? bcd((seed >> 49) % 60) : 0xFF);
		alarm[2] = (uint8_t)(seed >> 56 & 1 ? bcd((seed >> 57) % 26) : 0xC0);
		start(now);
		out(1, alarm[0], 0), out(3, alarm[1], 0), out(5, alarm[2], 0);
		out(0x0B, 0x22, 0);
		for (unsigned s = 1; s <= 86400 && !wait; s++) {
			unsigned t = (now + s) % 86400;

			if (alarm_due(alarm[0], t % 60) && alarm_due(alarm[1], t / 60 % 60) &&
			    alarm_due(alarm[2], t / 3600))
				wait = s;
		}
		assert_true(vrtc_next_event(&rtc) == (wait ? wait * HZ : UINT64_MAX));
		if (!wait)
			continue;
		vrtc_advance(&rtc, wait * HZ);
		assert_true(irq);
		assert_int_equal(in(0x0C, wait * HZ) & 0xA0, 0xA0);
	}
}

static void test_ports_and_ram(void **state)
{
	(void)state;
	start(0);
	assert_int_equal(in(0x0D, 0), 0x80);
	out(0x0D, 0, 0);
	assert_int_equal(in(0x0D, 0), 0x80);
	out(0x0F, 0x0A, 0), out(0x7F, 0x77, 0);
	assert_int_equal(in(0x0F, 0), 0x0A);
	assert_int_equal(in(0xFF, 0), 0x77); /* bit 7 is the NMI mask */
	assert_true(rtc.nmi_disabled);
	in(0x7F, 0);
	assert_false(rtc.nmi_disabled);
	assert_int_equal(vrtc_read(&rtc, 0x70, 1, 0) & 0xFF, 0xFF);
}

static unsigned bytes(uint8_t reg, unsigned n)
{
	unsigned value = 0;

	for (unsigned i = 0; i < n; i++)
		value |= (unsigned)in((uint8_t)(reg + i), 0) << 8 * i;
	return value;
}

static void test_memory_sizes(void **state)
{
	unsigned sum = 0;

	(void)state;
	start(0);
	vrtc_set_memory(&rtc, 256ULL << 20, 0);
	assert_int_equal(bytes(0x15, 2), 640);
	assert_int_equal(bytes(0x17, 2), 0xFFFF);
	assert_int_equal(bytes(0x30, 2), 0xFFFF);
	assert_int_equal(bytes(0x34, 2), (256 - 16) * 16);
	assert_int_equal(bytes(0x5B, 3), 0);
	vrtc_set_memory(&rtc, 0xC0000000, 5ULL << 30);
	assert_int_equal(bytes(0x34, 2), (3072 - 16) * 16);
	assert_int_equal(bytes(0x5B, 3), 5 * 1024 * 16);
	vrtc_set_memory(&rtc, 8 << 20, 0);
	assert_int_equal(bytes(0x17, 2), 7 * 1024);
	assert_int_equal(bytes(0x34, 2), 0);
	for (unsigned i = 0x10; i < 0x2E; i++)
		sum += in((uint8_t)i, 0);
	assert_int_equal(in(0x2E, 0) << 8 | in(0x2F, 0), sum);
}

static void test_any_traffic_is_survived(void **state)
{
	uint64_t seed = 2, now = 0;

	(void)state;
	start(1700000000);
	for (unsigned i = 0; i < 300000; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		now += seed >> 60 ? seed >> 50 : seed >> 30;
		if (seed & 0x10000)
			out(seed >> 20 & (i & 1 ? 15 : 127), (uint8_t)(seed >> 30), now);
		else
			in(seed >> 20 & 127, now);
		vrtc_advance(&rtc, now);
		assert_true(vrtc_next_event(&rtc) > now);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_and_progress_follow_the_calendar),
		cmocka_unit_test(test_second_by_second_over_new_year),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_set_stops_updates),
		cmocka_unit_test(test_divider_reset),
		cmocka_unit_test(test_update_in_progress),
		cmocka_unit_test(test_update_interrupt),
		cmocka_unit_test(test_flags_are_set_without_enables),
		cmocka_unit_test(test_every_periodic_rate),
		cmocka_unit_test(test_alarm_against_brute_force),
		cmocka_unit_test(test_ports_and_ram),
		cmocka_unit_test(test_memory_sizes),
		cmocka_unit_test(test_any_traffic_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
