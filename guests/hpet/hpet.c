/* SPDX-License-Identifier: MIT */
/* The HPET: its rate, a one-shot by level at pin 20, and timer 0 in the place of the 8254. */
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/mmio.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define HPET	  0xFED00000u
#define CONFIG	  (HPET + 0x10)
#define STATUS	  (HPET + 0x20)
#define COUNTER	  (HPET + 0xF0)
#define TIMER(n)  (HPET + 0x100 + 0x20 * (n))
#define COMPARE	  8
#define ENABLED	  0x04
#define PERIODIC  0x08
#define SET_VALUE 0x40
#define ONLY_32	  0x100
#define UNITS_MS  100000u

static volatile unsigned ticks;

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	ticks = ticks + 1;
	pic_end(0);
}

static void test_rate(void)
{
	uint32_t before;

	guest_check_equal(mmio_read(HPET + 4), 10000000, "a unit is 10 ns");
	guest_check_equal(mmio_read(HPET) & 0x9F00, 0x8200, "three timers, legacy replacement");
	mmio_write(CONFIG, 1);
	before = mmio_read(COUNTER);
	clock_wait(20000);
	before = mmio_read(COUNTER) - before;
	guest_print("# 20 ms are %u units\n", before);
	guest_check(before >= 20 * UNITS_MS && before < 21 * UNITS_MS, "which they take");
}

static void test_one_shot(void)
{
	mmio_write(TIMER(2), ONLY_32 | 2);
	mmio_write(TIMER(2) + COMPARE, mmio_read(COUNTER) + UNITS_MS);
	guest_check_equal(mmio_read(STATUS), 0, "a timer waits");
	clock_wait(1500);
	guest_check_equal(mmio_read(STATUS), 4, "and shows that it came");
	mmio_write(STATUS, 4);
	guest_check_equal(mmio_read(STATUS), 0, "until that is taken");
}

static void test_legacy(void)
{
	uint64_t start;

	trap_set_handler(IRQ_VECTOR(0), on_timer);
	pic_start(PIC_8086);
	pic_set_mask(IRQ_ONLY(0));
	mmio_write(CONFIG, 3);
	ticks = 0;
	guest_check(!irq_wait(&ticks, 1, 120000), "the 8254 is not heard");
	mmio_write(TIMER(0), ENABLED | PERIODIC | SET_VALUE | ONLY_32);
	mmio_write(TIMER(0) + COMPARE, mmio_read(COUNTER) + UNITS_MS);
	mmio_write(TIMER(0) + COMPARE, 2 * UNITS_MS);
	ticks = 0;
	start = rdtsc();
	guest_check(irq_wait(&ticks, 21, 200000), "timer 0 interrupts in its place");
	guest_check(clock_near(rdtsc() - start, 41000, 3), "each 2 ms");
	mmio_write(CONFIG, 0);
	ticks = 0;
	guest_check(irq_wait(&ticks, 1, 120000), "then the 8254 is heard again");
}

unsigned main(uintptr_t info)
{
	clock_slack = words_number(info, "slack", 0);
	trap_init();
	clock_init();
	test_rate();
	test_one_shot();
	test_legacy();
	return guest_failures();
}
