/* SPDX-License-Identifier: MIT */
/*
 * The clock: time of day, its formats and roll-over, and the update-ended, periodic and alarm
 * interrupts, timed with the TSC. Motorola MC146818 datasheet.
 */
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define INDEX	     0x70
#define DATA	     0x71

#define SECONDS	     0
#define SECOND_ALARM 1
#define MINUTES	     2
#define MINUTE_ALARM 3
#define HOURS	     4
#define HOUR_ALARM   5
#define WEEKDAY	     6
#define DAY	     7
#define MONTH	     8
#define YEAR	     9
#define REG_A	     10
#define REG_B	     11
#define REG_C	     12
#define REG_D	     13
#define CENTURY	     0x32
#define FREE_BYTE    0x7F

#define A_UIP	     0x80
#define A_1024HZ     0x26
#define A_8192HZ     0x23
#define B_SET	     0x80
#define B_PIE	     0x40
#define B_AIE	     0x20
#define B_UIE	     0x10
#define B_BINARY     0x04
#define B_24H	     0x02
#define C_IRQ	     0x80
#define C_PF	     0x40
#define C_AF	     0x20
#define C_UF	     0x10
#define D_VALID	     0x80
#define ALARM_ANY    0xC0
#define HOURS_PM     0x80

#define RTC_IRQ	     8
#define PERIODS	     64

static volatile unsigned interrupts;
static volatile uint8_t last_c;
static volatile uint64_t first_time, last_time;
static volatile bool deaf; /* register C is not read: the line stays up */

static uint8_t get(uint8_t reg)
{
	outb(INDEX, reg);
	return inb(DATA);
}

static void put(uint8_t reg, uint8_t value)
{
	outb(INDEX, reg);
	outb(DATA, value);
}

static void on_clock(struct trap_frame *frame)
{
	(void)frame;
	last_time = rdtsc();
	if (!interrupts)
		first_time = last_time;
	interrupts = interrupts + 1;
	if (!deaf)
		last_c = get(REG_C);
	pic_end(RTC_IRQ);
}

static void enable(uint8_t b)
{
	put(REG_B, B_24H);
	get(REG_C);
	irq_window();
	interrupts = 0;
	put(REG_B, b);
}

static unsigned from_bcd(uint8_t value)
{
	return (value >> 4) * 10u + (value & 15);
}

static bool is_bcd(uint8_t value, uint8_t low, uint8_t high)
{
	return (value & 15) < 10 && value >= low && value <= high;
}

static void test_registers(void)
{
	bool sane;

	guest_check_equal(get(REG_D), D_VALID, "register D: the time is valid");
	guest_check_equal(get(REG_B) & (B_24H | B_BINARY), B_24H, "register B: 24 hours, BCD");
	guest_check_equal(get(REG_A) & ~A_UIP, A_1024HZ, "register A: the divider runs, 1024 Hz");
	sane = is_bcd(get(SECONDS), 0, 0x59) && is_bcd(get(MINUTES), 0, 0x59) &&
	       is_bcd(get(HOURS), 0, 0x23) && is_bcd(get(WEEKDAY), 1, 7) &&
	       is_bcd(get(DAY), 1, 0x31) && is_bcd(get(MONTH), 1, 0x12) &&
	       is_bcd(get(YEAR), 0, 0x99) && is_bcd(get(CENTURY), 0x19, 0x21);
	guest_check(sane, "a date that can be");
	put(FREE_BYTE, 0x3C);
	put(FREE_BYTE - 1, 0xC3);
	guest_check_equal(get(FREE_BYTE), 0x3C, "CMOS RAM keeps a byte");
}

static void test_updates(void)
{
	unsigned before, after;

	enable(B_24H | B_UIE);
	irq_halt(&interrupts, 1);
	before = from_bcd(get(SECONDS));
	irq_halt(&interrupts, 2);
	after = from_bcd(get(SECONDS));
	put(REG_B, B_24H);
	guest_check_equal(last_c & ~C_PF, C_IRQ | C_UF, "update-ended: register C");
	guest_check(clock_near(last_time - first_time, 1000000, 1), "comes once a second");
	guest_check_equal(after, (before + 1) % 60, "and the seconds count");
	guest_check_equal(get(REG_C) & ~C_PF, 0, "reading register C cleared it");
}

/* UIP rises 244 us and the update lasts 1984 us before the second is over. */
static void test_update_in_progress(void)
{
	uint64_t limit, start, took;
	uint8_t second;
	bool fell, changed;

	put(REG_A, A_1024HZ);
	enable(B_24H | B_UIE);
	irq_halt(&interrupts, 1);
	put(REG_B, B_24H | B_PIE);
	irq_halt(&interrupts, 1020); /* the last milliseconds are polled */
	put(REG_B, B_24H);
	limit = rdtsc() + clock_ticks(1100000);
	second = get(SECONDS);
	while (!(get(REG_A) & A_UIP) && rdtsc() < limit)
		;
	start = rdtsc();
	fell = get(SECONDS) == second;
	while ((get(REG_A) & A_UIP) && rdtsc() < limit)
		;
	took = rdtsc() - start;
	changed = get(SECONDS) != second;
	guest_check(fell, "UIP rises before the update");
	guest_check(clock_near(took, 2228, 10), "and stays until it is over");
	guest_check(changed, "which it is then");
}

static void test_periodic(uint8_t rate, uint32_t us, const char *what)
{
	put(REG_A, rate);
	enable(B_24H | B_PIE);
	irq_halt(&interrupts, PERIODS + 1);
	put(REG_B, B_24H);
	guest_check(clock_near(last_time - first_time, us, 2), what);
	put(REG_A, A_1024HZ);
}

static void test_silence(void)
{
	unsigned held;

	deaf = true;
	enable(B_24H | B_PIE);
	irq_wait(&interrupts, 2, 5000);
	held = interrupts;
	deaf = false;
	get(REG_C);
	irq_wait(&interrupts, held + 1, 5000);
	put(REG_B, B_24H);
	guest_check_equal(held, 1, "no second interrupt before register C is read");
	guest_check(interrupts > held, "and one after that");
	guest_check_equal(last_c & (C_IRQ | C_PF), C_IRQ | C_PF, "periodic: register C");
}

static void set_time(uint8_t b, uint8_t hours, uint8_t minutes, uint8_t seconds)
{
	put(REG_B, b | B_SET);
	put(SECONDS, seconds);
	put(MINUTES, minutes);
	put(HOURS, hours);
}

static void test_alarm(void)
{
	set_time(B_24H, 0x12, 0x34, 0x55);
	put(SECOND_ALARM, 0x57);
	put(MINUTE_ALARM, ALARM_ANY);
	put(HOUR_ALARM, 0x12);
	enable(B_24H | B_AIE);
	irq_halt(&interrupts, 1);
	put(REG_B, B_24H);
	guest_check_equal(last_c & (C_IRQ | C_AF), C_IRQ | C_AF, "alarm: register C");
	guest_check_equal(get(SECONDS), 0x57, "at its second");
	put(SECOND_ALARM, ALARM_ANY);
	put(MINUTE_ALARM, 0x59);
	enable(B_24H | B_AIE | B_PIE);
	irq_halt(&interrupts, 1100);
	put(REG_B, B_24H);
	guest_check_equal(last_c & C_AF, 0, "not in another minute");
}

static void one_update(uint8_t b)
{
	put(REG_B, b);
	get(REG_C);
	irq_window();
	interrupts = 0;
	put(REG_B, b | B_UIE);
	irq_halt(&interrupts, 1);
	put(REG_B, b | B_SET);
}

static uint32_t time_now(void)
{
	return (uint32_t)(get(HOURS) << 16 | get(MINUTES) << 8 | get(SECONDS));
}

static uint32_t date_now(void)
{
	return (uint32_t)(get(CENTURY) << 24 | get(YEAR) << 16 | get(MONTH) << 8 | get(DAY));
}

static void set_date(uint8_t century, uint8_t year, uint8_t month, uint8_t day)
{
	put(CENTURY, century);
	put(YEAR, year);
	put(MONTH, month);
	put(DAY, day);
	put(WEEKDAY, 7);
}

static void test_rollover(void)
{
	set_time(B_24H, 0x23, 0x59, 0x59);
	set_date(0x19, 0x99, 0x12, 0x31);
	one_update(B_24H);
	guest_check_equal(time_now(), 0, "midnight in BCD");
	guest_check_equal(date_now(), 0x20000101, "the century turns");
	guest_check_equal(get(WEEKDAY), 1, "and the week");
	set_time(B_24H | B_BINARY, 23, 59, 59);
	set_date(20, 24, 2, 28);
	one_update(B_24H | B_BINARY);
	guest_check_equal(date_now(), 20u << 24 | 24 << 16 | 2 << 8 | 29, "a leap day in binary");
	set_time(0, 0x11, 0x59, 0x59);
	one_update(0);
	guest_check_equal(time_now(), (0x12u | HOURS_PM) << 16, "noon on a clock of 12 hours");
}

static void test_set(void)
{
	uint32_t before, after;

	set_time(B_24H, 0x01, 0x02, 0x03);
	before = time_now();
	enable(B_24H | B_SET | B_PIE);
	irq_halt(&interrupts, 1100);
	after = time_now();
	put(REG_B, B_24H);
	guest_check_equal(before, 0x010203, "the time is what was set");
	guest_check_equal(after, before, "and stands while SET is 1");
}

unsigned main(uintptr_t info)
{
	clock_slack = words_number(info, "slack", 0);
	trap_init();
	trap_set_handler(IRQ_VECTOR(RTC_IRQ), on_clock);
	clock_init();
	pic_start(PIC_8086);
	pic_set_mask(IRQ_ONLY(RTC_IRQ));
	test_registers();
	test_updates();
	test_update_in_progress();
	test_periodic(A_1024HZ, PERIODS * 976, "1024 Hz");
	test_periodic(A_8192HZ, PERIODS * 122, "8192 Hz");
	test_silence();
	test_alarm();
	test_rollover();
	test_set();
	return guest_failures();
}
