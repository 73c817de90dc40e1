/* SPDX-License-Identifier: MIT */
/*
 * A VM that looks after itself for `seconds=N`, beside others that are hostile: its memory, its
 * registers, its time, its timer's interrupts, and its share of the CPU. `share=N` is the least
 * that it must get of a core while it wants all of it, in percent; `late=N` the most by which a
 * timer's interrupt may be late, in microseconds. It sleeps for `nap=N` microseconds at a time, and
 * before each sleep it does not, for `work=N`, until its timer's interrupt.
 */
#include "guests/guard64/pace.h"
#include "guests/guard64/registers.h"
#include "guests/lib/apic.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define VECTOR	  0x71
#define MEMORY	  0x800000u /* from here on, 8 MiB have the pattern */
#define WORDS	  (0x800000u / 8)
#define PIECE	  0x2000u /* words that a round looks at */
#define BURST_US  1000u
#define GAP_TICKS 3000u /* between two readings of the TSC: it did not run */
#define GOLDEN	  0x9e3779b97f4a7c15

static uint64_t deadline, latest, stolen, wanted, last_tsc, rounds;
static unsigned wrong_memory, wrong_time, wrong_registers, timers;
static volatile unsigned fired;
static uint32_t work_us, nap_us;

static void on_timer(struct trap_frame *frame)
{
	uint64_t late = rdtsc() - deadline;

	(void)frame;
	if (late > latest)
		latest = late;
	fired++;
	apic_write(APIC_EOI, 0);
}

static uint64_t pattern(uint64_t word)
{
	return (word + 1) * GOLDEN;
}

static void fill_memory(void)
{
	volatile uint64_t *memory = (volatile uint64_t *)(uintptr_t)MEMORY;

	for (unsigned i = 0; i < WORDS; i++)
		memory[i] = pattern(i);
}

static void look_at_memory(unsigned first, unsigned count)
{
	const volatile uint64_t *memory = (const volatile uint64_t *)(uintptr_t)MEMORY;

	for (unsigned i = first; i < first + count; i++)
		wrong_memory += memory[i] != pattern(i);
}

static uint64_t look_at_tsc(void)
{
	uint64_t now = rdtsc();

	wrong_time += now < last_tsc;
	last_tsc = now;
	return now;
}

/* Wants the whole core for a while, and notes how much of that others had. */
static void burst(void)
{
	uint64_t start = look_at_tsc(), before = start, ticks = pace_ticks(BURST_US), now;

	do {
		now = look_at_tsc();
		if (now - before > GAP_TICKS)
			stolen += now - before;
		before = now;
	} while (now - start < ticks);
	wanted += now - start;
}

static void set_timer(uint32_t microseconds)
{
	deadline = rdtsc() + pace_ticks(microseconds);
	wrmsr(APIC_DEADLINE_MSR, deadline);
}

static void nap(void)
{
	if (work_us) {
		unsigned before = fired;

		set_timer(work_us);
		__asm__ volatile("sti");
		while (fired == before)
			;
		__asm__ volatile("cli");
		timers++;
	}
	set_timer(nap_us);
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
	timers++;
}

static void live(uint64_t until)
{
	while (rdtsc() < until) {
		struct moment start = pace_now();

		look_at_memory((unsigned)(rounds * PIECE % WORDS), PIECE);
		burst();
		for (unsigned i = 0; i < 4; i++) {
			registers_fill(rounds);
			nap();
			wrong_registers += registers_wrong(rounds);
		}
		wrong_registers += registers_held(rounds);
		/* The TSC against a clock of the board: both are Socle's, by different ways. */
		wrong_time += !pace_kept(start);
		rounds++;
	}
}

unsigned main(uintptr_t info)
{
	uint32_t seconds = words_number(info, "seconds", 1);
	uint32_t share = words_number(info, "share", 10);
	uint32_t late = words_number(info, "late", 20000);
	uint64_t got;

	work_us = words_number(info, "work", 0);
	nap_us = words_number(info, "nap", 5000);
	trap_init();
	pace_init();
	pic_start(PIC_8086);
	trap_set_handler(VECTOR, on_timer);
	apic_write(APIC_SVR, APIC_SVR_ON | 0xFF);
	apic_write(APIC_LVT_TIMER, APIC_DEADLINE | VECTOR);
	registers_init();
	fill_memory();
	last_tsc = rdtsc();
	guest_print("# guard begins\n");
	live(rdtsc() + pace_ticks(1000000) * seconds);
	look_at_memory(0, WORDS);
	got = 100 - stolen * 100 / wanted;
	guest_print("# guard: %u rounds, %u interrupts, late by %u us at most, %u%% of the core\n",
		    (unsigned)rounds, fired, (unsigned)(latest * 1000 / pace_ticks(1000)),
		    (unsigned)got);
	guest_check_equal(wrong_memory, 0, "words of memory");
	guest_check_equal(wrong_registers, 0, "registers");
	guest_check_equal(wrong_time, 0, "time");
	guest_check_equal(fired, timers, "each timer's interrupt came once");
	guest_check(latest <= pace_ticks(late), "and in time");
	guest_check(got >= share, "the share of the CPU");
	return guest_failures();
}
