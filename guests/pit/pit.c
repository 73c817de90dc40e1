/* SPDX-License-Identifier: MIT */
/*
 * The 8254 and port 61H: the modes' outputs, periods measured with the TSC, latches, read-back,
 * BCD, and the gate of channel 2. Intel 8254 datasheet.
 */
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define COUNTER(n)	   (uint16_t)(0x40 + (n))
#define CONTROL		   0x43
#define PORT61		   0x61
#define GATE2		   0x01
#define REFRESH		   0x10
#define OUT2		   0x20

#define WORD(n, mode)	   (uint8_t)((n) << 6 | 0x30 | (mode) << 1)
#define WORD_LOW(n, mode)  (uint8_t)((n) << 6 | 0x10 | (mode) << 1)
#define WORD_BCD	   0x01
#define LATCH(n)	   (uint8_t)((n) << 6)
#define READBACK_STATUS(n) (uint8_t)(0xE0 | 2 << (n))
#define READBACK_BOTH(n)   (uint8_t)(0xC0 | 2 << (n))
#define STATUS_OUT	   0x80
#define STATUS_NULL	   0x40

#define PIT_IRQ		   0
/* 1193182 Hz: 10 ms and 1 ms. */
#define COUNT_10MS 11932
#define COUNT_1MS  1193
#define PERIODS	   20

static volatile unsigned interrupts;
static volatile uint64_t times[PERIODS + 2];

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	if (interrupts < PERIODS + 2)
		times[interrupts] = rdtsc();
	interrupts = interrupts + 1;
	pic_end(PIT_IRQ);
}

static void set(unsigned n, uint8_t word, uint16_t count)
{
	outb(CONTROL, word);
	outb(COUNTER(n), (uint8_t)count);
	outb(COUNTER(n), (uint8_t)(count >> 8));
}

static uint16_t count(unsigned n)
{
	uint8_t low = inb(COUNTER(n));

	return (uint16_t)(inb(COUNTER(n)) << 8 | low);
}

static uint8_t status(unsigned n)
{
	outb(CONTROL, READBACK_STATUS(n));
	return inb(COUNTER(n));
}

/* The timer's edges from now on only. */
static void quiet(void)
{
	outb(CONTROL, WORD(0, 0));
	irq_window();
	interrupts = 0;
}

static void test_periodic(unsigned mode, const char *mean, const char *each)
{
	unsigned off = 0;

	quiet();
	set(0, WORD(0, mode), COUNT_10MS);
	irq_halt(&interrupts, PERIODS + 1);
	guest_check(clock_near(times[PERIODS] - times[0], PERIODS * 10000, 1), mean);
	for (unsigned i = 0; i < PERIODS; i++)
		off += !clock_near(times[i + 1] - times[i], 10000, 3);
	guest_check_equal(off, 0, each);
}

static void test_one_shot(unsigned mode, const char *at, const char *once)
{
	uint64_t start;

	quiet();
	/* In mode 4 the output rises with the control word: an edge, but not the one we want. */
	outb(CONTROL, WORD(0, mode));
	irq_window();
	interrupts = 0;
	outb(COUNTER(0), (uint8_t)COUNT_10MS);
	outb(COUNTER(0), COUNT_10MS >> 8);
	start = rdtsc();
	irq_halt(&interrupts, 1);
	guest_check(clock_near(times[0] - start, 10000, 3), at);
	guest_check(!irq_wait(&interrupts, 2, 15000), once);
}

static void test_status(void)
{
	uint8_t before, during, after;
	uint8_t latched;
	uint16_t value;

	outb(PORT61, GATE2);
	outb(CONTROL, WORD(2, 0));
	before = status(2);
	set(2, WORD(2, 0), COUNT_1MS);
	clock_wait(100);
	during = status(2);
	clock_wait(1200);
	after = status(2);
	guest_check_equal(before, STATUS_NULL | WORD(0, 0), "status: no count yet, output low");
	guest_check_equal(during, WORD(0, 0), "then counting");
	guest_check_equal(after, STATUS_OUT | WORD(0, 0), "then the output is high");
	set(2, WORD(2, 2), COUNT_10MS);
	clock_wait(1000);
	outb(CONTROL, READBACK_BOTH(2));
	latched = inb(COUNTER(2));
	value = count(2);
	guest_check_equal(latched, STATUS_OUT | WORD(0, 2), "read-back gives the status first");
	/* Loaded by the first clock pulse, it goes down from the second on. */
	guest_check(value > COUNT_10MS - 2000 && value <= COUNT_10MS - (COUNT_1MS - 1),
		    "and the latched count next");
}

static void test_latch(void)
{
	uint16_t first, second, moving;

	outb(PORT61, GATE2);
	set(2, WORD(2, 2), 0);
	clock_wait(100);
	outb(CONTROL, LATCH(2));
	clock_wait(1000);
	first = count(2);
	moving = count(2);
	outb(CONTROL, LATCH(2));
	clock_wait(500);
	outb(CONTROL, LATCH(2));
	second = count(2);
	guest_check((uint16_t)-first < 2 * COUNT_1MS / 5, "a latched count stays");
	guest_check(first - moving >= COUNT_1MS, "after it is read the count is seen to move on");
	guest_check(moving - second < COUNT_1MS / 4, "a second latch does not replace the first");
	outb(CONTROL, WORD_LOW(2, 2));
	outb(COUNTER(2), 10);
	clock_wait(50);
	first = 0;
	for (unsigned i = 0; i < 100; i++)
		first |= inb(COUNTER(2)) > 10;
	guest_check_equal(first, 0, "LSB only: a count of one byte");
}

static void test_bcd(void)
{
	uint16_t value, wrong = 0;

	outb(PORT61, GATE2);
	set(2, WORD(2, 2) | WORD_BCD, 0x1000);
	for (unsigned i = 0; i < 50; i++) {
		clock_wait(13);
		outb(CONTROL, LATCH(2));
		value = count(2);
		wrong += (value & 15) > 9 || (value >> 4 & 15) > 9 || (value >> 8 & 15) > 9 ||
			 value > 0x1000;
	}
	guest_check_equal(wrong, 0, "BCD counts have decimal digits");
}

static uint64_t wait_out2(uint8_t level)
{
	uint64_t start = rdtsc(), limit = clock_ticks(50000);

	while ((inb(PORT61) & OUT2) != level && rdtsc() - start < limit)
		;
	return rdtsc() - start;
}

static void test_count_down(void)
{
	uint64_t took;
	uint8_t low;

	outb(PORT61, GATE2);
	set(2, WORD(2, 0), COUNT_10MS);
	took = wait_out2(OUT2);
	set(2, WORD(2, 0), COUNT_10MS);
	low = inb(PORT61) & OUT2;
	guest_check(clock_near(took, 10000, 3), "OUT2 rises when the count is over");
	guest_check_equal(low, 0, "a new one takes it down");
}

static void test_gate(void)
{
	uint16_t held, later;
	uint64_t took;
	uint8_t port;

	outb(PORT61, GATE2);
	set(2, WORD(2, 0), COUNT_10MS);
	clock_wait(1000);
	outb(PORT61, 0);
	outb(CONTROL, LATCH(2));
	held = count(2);
	clock_wait(1000);
	outb(CONTROL, LATCH(2));
	later = count(2);
	port = inb(PORT61);
	outb(PORT61, GATE2);
	took = wait_out2(OUT2);
	guest_check_equal(later, held, "a low gate stops mode 0");
	guest_check(held < COUNT_10MS - 1000, "where it was");
	guest_check_equal(port & (GATE2 | 2), 0, "port 61H reads its outputs back");
	guest_check(clock_near(took, 9000, 3), "a high gate lets it go on");
}

static void test_trigger(void)
{
	uint8_t before, pulse;
	uint64_t took;

	outb(PORT61, 0);
	set(2, WORD(2, 1), COUNT_1MS);
	clock_wait(2000);
	before = inb(PORT61) & OUT2;
	outb(PORT61, GATE2);
	clock_wait(10);
	pulse = inb(PORT61) & OUT2;
	took = wait_out2(OUT2);
	guest_check_equal(before, OUT2, "mode 1 waits for the gate");
	guest_check_equal(pulse, 0, "whose rise begins the pulse");
	guest_check(clock_near(took, 990, 5), "which lasts for the count");
}

static void test_square(void)
{
	uint64_t low, high;

	outb(PORT61, GATE2);
	set(2, WORD(2, 3), COUNT_10MS);
	wait_out2(0);
	low = wait_out2(OUT2);
	high = wait_out2(0);
	guest_check(clock_near(low, 5000, 3), "mode 3 is low for half its count");
	guest_check(clock_near(high, 5000, 3), "and high for the other half");
}

static void test_refresh(void)
{
	uint64_t start = rdtsc(), limit = clock_ticks(3020);
	unsigned changes = 0;
	uint8_t last = inb(PORT61) & REFRESH;

	while (rdtsc() - start < limit) {
		uint8_t now = inb(PORT61) & REFRESH;

		changes += now != last;
		last = now;
	}
	guest_check(changes > 190 && changes < 210, "the refresh bit toggles every 15 us");
}

unsigned main(uintptr_t info)
{
	clock_slack = words_number(info, "slack", 0);
	trap_init();
	trap_set_handler(IRQ_VECTOR(PIT_IRQ), on_timer);
	clock_init();
	pic_start(PIC_8086);
	pic_set_mask(IRQ_ONLY(PIT_IRQ));
	test_periodic(2, "mode 2: 20 periods of 10 ms", "each of them");
	test_periodic(3, "mode 3: 20 periods of 10 ms", "each of these");
	test_one_shot(0, "mode 0 interrupts at its count", "and once");
	test_one_shot(4, "mode 4 interrupts at its count", "and once as well");
	quiet();
	test_status();
	test_latch();
	test_bcd();
	test_count_down();
	test_gate();
	test_trigger();
	test_square();
	/* Its half periods are shorter than what any slack allows. */
	if (!clock_slack)
		test_refresh();
	return guest_failures();
}
