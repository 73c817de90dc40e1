/* SPDX-License-Identifier: MIT */
/* The VGA: text memory that costs no exits, registers, and the retrace. */
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"

#define CELLS	      2000
#define ROUNDS	      10
#define TICKS_OF_EXIT 500 /* more than that, there and back, is any exit */

static volatile uint16_t *const cell = (volatile uint16_t *)0xB8000;

static void test_memory(void)
{
	uint64_t start, ticks;
	unsigned wrong = 0;

	guest_check_equal(cell[0], 0x0720, "the screen is blank at first");
	start = rdtsc();
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < CELLS; i++)
			cell[i] = (uint16_t)(0x1E00 | ((i + round) & 0x7F));
	ticks = rdtsc() - start;
	guest_print("# %u cells written, at most %u exits: %u ticks\n", CELLS * ROUNDS,
		    (unsigned)ticks / (CELLS * ROUNDS) / TICKS_OF_EXIT, (unsigned)ticks);
	guest_check(ticks < (uint64_t)CELLS * ROUNDS * 30,
		    "writing to the screen exits not at all");
	for (unsigned i = 0; i < CELLS; i++)
		wrong += cell[i] != (0x1E00 | ((i + ROUNDS - 1) & 0x7F));
	guest_check_equal(wrong, 0, "and reads back");
	for (unsigned i = 0; i < CELLS; i++)
		cell[i] = 0x0720;
}

static void crtc(uint8_t index, uint8_t value)
{
	outw(0x3D4, (uint16_t)(value << 8 | index));
}

static uint8_t crtc_read(uint8_t index)
{
	outb(0x3D4, index);
	return inb(0x3D5);
}

static void test_registers(void)
{
	crtc(0x0E, 0x07);
	crtc(0x0F, 0xCF);
	guest_check_equal(crtc_read(0x0E) << 8 | crtc_read(0x0F), 0x7CF, "the cursor's place");
	guest_check_equal(inb(0x3CC) & 1, 1, "the CRTC is at 3D4H");
	guest_check_equal(inb(0x3B4), 0xFF, "and not at 3B4H");
	inb(0x3DA);
	outb(0x3C0, 0x30);
	guest_check_equal(inb(0x3C1) & 1, 0, "the attribute controller makes text");
	outb(0x3CE, 6);
	guest_check_equal(inb(0x3CF), 0x0E, "so does the graphics controller, at B8000H");
}

static void wait_retrace(void)
{
	while (inb(0x3DA) & 8)
		;
	while (!(inb(0x3DA) & 8))
		;
}

static void test_retrace(void)
{
	uint64_t start;

	wait_retrace();
	start = rdtsc();
	for (unsigned i = 0; i < 8; i++)
		wait_retrace();
	guest_check(clock_near(rdtsc() - start, 114145, 2), "it retraces 70 times a second");
}

unsigned main(uintptr_t info)
{
	(void)info;
	clock_init();
	test_memory();
	test_registers();
	test_retrace();
	return guest_failures();
}
