/* SPDX-License-Identifier: MIT */
/*
 * A TSC with a rate of its own (`mhz=N` on the command line, as the description has it): whichever
 * way it is read, and beside the other clocks of the PC.
 */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"
#include "guests/lib/user.h"
#include "guests/lib/words.h"

#define MSR_TSC	       0x10
#define MSR_TSC_ADJUST 0x3b
#define MSR_TSC_AUX    0xc0000103
#define LEAF_RDTSCP    0x80000001
#define EDX_RDTSCP     (1u << 27)
#define LEAF_RATES     0x40000010 /* kHz of the TSC in EAX, of the local APIC's timer in EBX */
#define CR4_TSD	       (1u << 2)
#define VECTOR	       0x61
#define ROUNDS	       1000
#define WAIT_US	       200000u
#define SHORT_US       10000u
#define ELSEWHERE      0x123456789abcULL
#define NEAR_US	       20000u

static volatile unsigned wakes;
static volatile uint64_t woke;
static bool has_rdtscp;

static uint64_t rdtscp(uint32_t *aux)
{
	uint32_t low, high;

	__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(*aux));
	return (uint64_t)high << 32 | low;
}

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	woke = rdtsc();
	wakes = wakes + 1;
	apic_write(APIC_EOI, 0);
}

static void test_rate(uint32_t mhz)
{
	uint32_t first = inl(CLOCK_PM_TIMER), ticks, khz;
	uint64_t start = rdtsc(), took;

	guest_check_equal(cpuid(LEAF_RATES, 0).eax, mhz * 1000, "CPUID tells the rate, in kHz");
	while (inl(CLOCK_PM_TIMER) - first < CLOCK_PM_HZ / (1000000 / WAIT_US))
		;
	took = rdtsc() - start;
	ticks = inl(CLOCK_PM_TIMER) - first;
	khz = (uint32_t)(took * CLOCK_PM_HZ / ticks / 1000);
	guest_print("# %u kHz by the PM timer\n", khz);
	guest_check(khz > mhz * 999 && khz < mhz * 1001, "and it is that by the PM timer");
}

/* Whoever is asked, no answer is before the one before. */
static void test_order(void)
{
	uint64_t last = rdtsc(), now;
	unsigned falls = 0, others = 0;
	uint32_t aux = 7;

	wrmsr(MSR_TSC_AUX, 7);
	for (unsigned i = 0; i < ROUNDS; i++) {
		now = i % 3 == 0		 ? rdtsc()
		      : i % 3 == 1 && has_rdtscp ? rdtscp(&aux)
						 : rdmsr(MSR_TSC);
		falls += now < last;
		others += aux != 7;
		last = now;
	}
	guest_check_equal(falls, 0, "RDTSC, RDTSCP and RDMSR never go back");
	guest_check_equal(others, 0, "RDTSCP gives TSC_AUX");
}

static void test_writes(void)
{
	uint64_t before = rdtsc(), moved;

	wrmsr(MSR_TSC, ELSEWHERE);
	moved = rdtsc();
	guest_check(moved - ELSEWHERE < clock_ticks(NEAR_US), "WRMSR moves what RDTSC reads");
	guest_check(rdmsr(MSR_TSC_ADJUST) - (ELSEWHERE - before) + clock_ticks(NEAR_US) <
			    2 * clock_ticks(NEAR_US),
		    "and TSC_ADJUST by as much");
	wrmsr(MSR_TSC_ADJUST, 0);
	guest_check(rdtsc() - before < 3 * clock_ticks(NEAR_US), "0 there is where it was");
}

static void test_timers(void)
{
	uint32_t apic_khz = cpuid(LEAF_RATES, 0).ebx;
	uint64_t start, deadline;

	trap_set_handler(VECTOR, on_timer);
	apic_write(APIC_SVR, APIC_SVR_ON | 0xFF);
	apic_write(APIC_LVT_TIMER, APIC_DEADLINE | VECTOR);
	wakes = 0;
	deadline = rdtsc() + clock_ticks(SHORT_US);
	msr_write(APIC_DEADLINE_MSR, deadline);
	irq_halt(&wakes, 1);
	guest_check(woke >= deadline, "a deadline does not fire before its time");
	guest_check(woke - deadline < clock_ticks(SHORT_US) / 5, "nor long after it");
	wakes = 0;
	apic_write(APIC_LVT_TIMER, VECTOR);
	apic_write(APIC_DIVIDE, 0xB);
	start = rdtsc();
	apic_write(APIC_INITIAL, apic_khz / 1000 * SHORT_US);
	irq_halt(&wakes, 1);
	guest_check(clock_near(woke - start, SHORT_US, 5), "the APIC's timer agrees with the TSC");
}

static void read_tsc(void *argument)
{
	*(volatile uint64_t *)argument = rdtsc();
}

static void read_tscp(void *argument)
{
	uint32_t aux;

	*(volatile uint64_t *)argument = rdtscp(&aux);
}

/* The fault comes before the exit, if there is one. */
static void test_user(void)
{
	static uint64_t value;

	user_init();
	guest_check_equal(user_run(read_tsc, &value), TRAP_NONE, "CPL 3 may read it");
	guest_check(value && rdtsc() - value < clock_ticks(NEAR_US), "and reads the same");
	write_cr4(read_cr4() | CR4_TSD);
	guest_check_equal(user_run(read_tsc, &value), TRAP_GP, "but not with CR4.TSD: RDTSC");
	if (has_rdtscp)
		guest_check_equal(user_run(read_tscp, &value), TRAP_GP, "and RDTSCP");
	write_cr4(read_cr4() & ~(uintptr_t)CR4_TSD);
}

unsigned main(uintptr_t info)
{
	uint32_t mhz = words_number(info, "mhz", 0);

	trap_init();
	clock_init();
	pic_set_mask(IRQ_ALL_MASKED);
	has_rdtscp = cpuid(LEAF_RDTSCP, 0).edx & EDX_RDTSCP;
	if (mhz)
		test_rate(mhz);
	test_order();
	test_writes();
	test_timers();
	test_user();
	return guest_failures();
}
