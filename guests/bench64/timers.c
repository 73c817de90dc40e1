/* SPDX-License-Identifier: MIT */
/* The TSC-deadline timer: arming it, and how late its handler is, while the CPU works or sleeps. */
#include "guests/bench64/bench.h"

#include "guests/lib/apic.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"

#define VECTOR		   0x71
#define CPUID_TSC_DEADLINE (1u << 24)
#define FAR		   (1ULL << 40)
#define AHEAD_MIN	   20000

static int64_t arm_ticks; /* what arming takes at most */

static const char *prepare(void)
{
	if (!(cpuid(1, 0).ecx & CPUID_TSC_DEADLINE))
		return "this CPU has no TSC-deadline timer";
	apic_x2 = rdmsr(APIC_BASE_MSR) & APIC_BASE_X2;
	trap_set_gate(VECTOR, (uintptr_t)bench_handler);
	apic_write(APIC_SVR, APIC_SVR_ON | 0xff);
	apic_write(APIC_LVT_TIMER, APIC_DEADLINE | VECTOR);
	__asm__ volatile("mfence" : : : "memory");
	return 0;
}

static void end(void)
{
	wrmsr(APIC_DEADLINE_MSR, 0);
	apic_write(APIC_LVT_TIMER, APIC_MASKED | VECTOR);
}

static bool run_arm(int64_t *ticks)
{
	uint64_t deadline = rdtsc() + FAR;
	struct bench_regs r = {
		.c = APIC_DEADLINE_MSR, .a = (uint32_t)deadline, .d = deadline >> 32};

	*ticks = BENCH_TIMED(&r, "wrmsr");
	arm_ticks = *ticks > arm_ticks ? *ticks : arm_ticks;
	return rdmsr(APIC_DEADLINE_MSR) == deadline;
}

/* A deadline that is over when it is set: all the way at once. */
static bool run_past(int64_t *ticks)
{
	struct bench_regs r = {.c = APIC_DEADLINE_MSR, .a = 1};
	bool right;

	*ticks = BENCH_TO_HANDLER(&r, "wrmsr");
	right = apic_bit(APIC_ISR, VECTOR);
	apic_write(APIC_EOI, 0);
	return right && !apic_bit(APIC_ISR, VECTOR);
}

/* Ticks from a deadline to the handler; `wait` lets the CPU come there. */
static bool until_handler(void (*wait)(void), int64_t *ticks)
{
	uint64_t deadline = rdtsc() + AHEAD_MIN + 20 * (uint64_t)arm_ticks;
	bool right;

	bench_handled = 0;
	wrmsr(APIC_DEADLINE_MSR, deadline);
	right = rdtsc() < deadline && !bench_handled;
	wait();
	*ticks = (int32_t)(bench_handled_at - (uint32_t)deadline);
	right &= apic_bit(APIC_ISR, VECTOR) && *ticks >= 0;
	/* Bochs' own timer leaves the register as it was. SDM volume 3, "TSC-Deadline Mode". */
	right &= bench_host == HOST_BARE || rdmsr(APIC_DEADLINE_MSR) == 0;
	apic_write(APIC_EOI, 0);
	return right && !apic_bit(APIC_ISR, VECTOR);
}

static void spin(void)
{
	__asm__ volatile("sti\n1:\tcmpl $0, bench_handled(%%rip)\n\tje 1b\n\tcli"
			 :
			 :
			 : "cc", "memory");
}

static void halt(void)
{
	while (!bench_handled)
		__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

static bool run_expiry(int64_t *ticks)
{
	return until_handler(spin, ticks);
}

static bool run_wake(int64_t *ticks)
{
	return until_handler(halt, ticks);
}

static const struct bench_case cases[] = {
	{.name = "deadline-arm", .prepare = prepare, .run = run_arm, .end = end},
	{.name = "deadline-past-to-handler", .prepare = prepare, .run = run_past, .end = end},
	{.name = "deadline-to-handler",
	 .prepare = prepare,
	 .run = run_expiry,
	 .end = end,
	 .part = 10},
	{.name = "hlt-to-handler", .prepare = prepare, .run = run_wake, .end = end, .part = 10},
};
BENCH_FAMILY(bench_timers, "timers", cases);
