/* SPDX-License-Identifier: MIT */
/*
 * What an exit costs in a VM of 16 MiB, and beside others (guests/bench64 times far more things):
 * each case runs many rounds between two readings of the TSC, the loop's own cost is taken off, and
 * each checks that the answer was right.
 *
 * `after=N` sleeps until the VM's TSC is N million ticks, then `sets=N` measures all cases so often
 * and prints the mean of the middle ones: so several VMs are seen at the same time.
 */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define ROUNDS	      1000u
#define MILLION	      1000000u
#define VECTOR_TIMER  0x71
#define MSR_APIC_BASE 0x1b
#define APIC_ENABLED  (1u << 11)
#define PORT_NOBODY   0x2e8
#define PORT_PM_TIMER 0x608
#define IOAPIC_WINDOW 0xFEC00010
#define LAPIC_VERSION 0xFEE00030
#define LAPIC_TPR     0xFEE00080

static uint32_t cpuid_max(void)
{
	uint32_t eax = 0, ecx = 0;

	__asm__ volatile("cpuid" : "+a"(eax), "+c"(ecx) : : "ebx", "edx");
	return eax;
}

static bool run_nothing(void)
{
	return true;
}

static bool run_cpuid(void)
{
	return cpuid_max() >= 1;
}

static bool run_vmcall(void)
{
	uint32_t eax = 0xffff;

	__asm__ volatile("vmcall" : "+a"(eax));
	return eax == (uint32_t)-1000;
}

static bool run_rdmsr(void)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_APIC_BASE));
	return low & APIC_ENABLED;
}

static bool run_cr0(void)
{
	uint32_t cr0;

	__asm__ volatile("mov %%cr0, %0\n\tor $8, %0\n\tmov %0, %%cr0\n\tclts" : "=r"(cr0));
	return cr0 & 8;
}

static bool run_in_nobody(void)
{
	return inb(PORT_NOBODY) == 0xff;
}

static bool run_in_pm_timer(void)
{
	static uint32_t last;
	uint32_t now = inl(PORT_PM_TIMER);
	bool ok = now != last || last == 0;

	last = now;
	return ok || now;
}

static bool run_ioapic(void)
{
	return *(volatile uint32_t *)IOAPIC_WINDOW != 0xffffffff;
}

static bool run_lapic(void)
{
	return (*(volatile uint32_t *)LAPIC_VERSION & 0xf0) == 0x10;
}

static const struct {
	const char *name;
	bool (*run)(void);
} cases[] = {
	{"nothing", run_nothing},	  {"cpuid", run_cpuid},	       {"vmcall", run_vmcall},
	{"rdmsr-apic-base", run_rdmsr},	  {"cr0-ts", run_cr0},	       {"in-nobody", run_in_nobody},
	{"in-pm-timer", run_in_pm_timer}, {"mmio-ioapic", run_ioapic}, {"mmio-lapic", run_lapic},
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

/* Ticks of ROUNDS calls; the first call, which may touch fresh memory, is not counted. */
static uint64_t measure(bool (*run)(void), bool *right)
{
	uint64_t start;

	*right = run();
	start = rdtsc();
	for (unsigned i = 0; i < ROUNDS; i++)
		*right &= run();
	return rdtsc() - start;
}

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	apic_write(APIC_EOI, 0);
}

static void sleep_until(uint64_t tsc)
{
	trap_set_handler(VECTOR_TIMER, on_timer);
	pic_start(PIC_8086);
	apic_write(APIC_SVR, APIC_SVR_ON | 0xFF);
	apic_write(APIC_LVT_TIMER, APIC_DEADLINE | VECTOR_TIMER);
	msr_write(APIC_DEADLINE_MSR, tsc);
	while (rdtsc() < tsc)
		__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
	apic_write(APIC_LVT_TIMER, APIC_MASKED | VECTOR_TIMER);
}

/* Adds one set of measurements to the sums, from which the loop's own cost is taken off. */
static void measure_all(uint64_t *sums, bool *right)
{
	uint64_t empty = 0;

	for (unsigned i = 0; i < CASES; i++) {
		bool good;
		uint64_t ticks = measure(cases[i].run, &good);

		if (i == 0)
			empty = ticks;
		sums[i] += ticks - empty;
		right[i] &= good;
	}
}

unsigned main(uintptr_t info)
{
	uint32_t after = words_number(info, "after", 0), sets = words_number(info, "sets", 1);
	uint64_t sums[CASES] = {0}, edges[CASES] = {0};
	bool right[CASES];

	for (unsigned i = 0; i < CASES; i++)
		right[i] = true;
	trap_init();
	/* The IOAPIC's version register, for reads of its window. */
	*(volatile uint32_t *)(IOAPIC_WINDOW - 0x10) = 1;
	if (after)
		sleep_until((uint64_t)after * MILLION);
	for (unsigned set = 0; set < sets; set++)
		measure_all(sets > 2 && (set == 0 || set == sets - 1) ? edges : sums, right);
	if (sets > 2)
		sets -= 2;
	for (unsigned i = 0; i < CASES; i++) {
		if (i)
			guest_print("bench %s %u\n", cases[i].name,
				    (unsigned)clock_divide(sums[i], ROUNDS * sets));
		guest_check(right[i], cases[i].name);
	}
	return guest_failures();
}
