/* SPDX-License-Identifier: MIT */
/* Several CPUs. */
#ifdef __x86_64__
#include "guests/lib/smp.h"

#include <stddef.h>

#include "guests/lib/acpi.h"
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"

#define FLAGS_IF      (1u << 9)
#define PAGE_SHIFT    12
#define MADT_LAPIC    0
#define MADT_ENTRIES  8
#define LAPIC_ENABLED 1
#define INIT_US	      1000
#define STARTUP_US    200
#define PATIENCE_US   1000000

/* What the trampoline loads: the boot CPU's. */
struct __attribute__((packed)) state {
	uint32_t cr0, cr3, cr4, efer;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr;
};

extern const uint8_t smp_trampoline[], smp_trampoline_entry[], smp_trampoline_state[],
	smp_trampoline_end[];
_Noreturn void smp_main(unsigned cpu);

struct work {
	void (*volatile function)(void *argument);
	void *volatile argument;
	volatile unsigned starts;
} __attribute__((aligned(64)));

unsigned smp_cpus = 1;
bool smp_let_in;
static struct work works[SMP_MAX];
static struct {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed)) idtr;
static volatile unsigned arrived, generation;

unsigned smp_listed(void)
{
	const struct acpi_header *madt = acpi_table("APIC");
	unsigned count = 0;

	if (!madt)
		return 0;
	for (const uint8_t *at = (const uint8_t *)madt + sizeof(*madt) + MADT_ENTRIES;
	     at < (const uint8_t *)madt + madt->length && at[1]; at += at[1])
		count += at[0] == MADT_LAPIC && (at[4] & LAPIC_ENABLED);
	return count;
}

static uintptr_t place(uint8_t page, const uint8_t *label)
{
	return ((uintptr_t)page << PAGE_SHIFT) + (uintptr_t)(label - smp_trampoline);
}

const struct smp_entry *smp_entry(uint8_t page)
{
	return (const struct smp_entry *)place(page, smp_trampoline_entry);
}

void smp_install(uint8_t page)
{
	struct state *state = (struct state *)place(page, smp_trampoline_state);
	uint8_t *to = (uint8_t *)place(page, smp_trampoline);

	for (const uint8_t *from = smp_trampoline; from < smp_trampoline_end;)
		*to++ = *from++;
	state->cr0 = (uint32_t)read_cr0();
	state->cr3 = (uint32_t)read_cr3();
	state->cr4 = (uint32_t)read_cr4();
	state->efer = (uint32_t)rdmsr(MSR_EFER);
	__asm__ volatile("sgdt %0\n\tsidt %1" : "=m"(state->gdtr), "=m"(idtr) : : "memory");
}

unsigned smp_id(void)
{
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);

	if (sp < SMP_STACKS || sp >= SMP_STACKS + (SMP_MAX + 1) * SMP_STACK_SIZE)
		return 0;
	return (unsigned)((sp - SMP_STACKS) / SMP_STACK_SIZE);
}

static void on_wake(struct trap_frame *frame)
{
	(void)frame;
	apic_write(APIC_EOI, 0);
}

_Noreturn void smp_main(unsigned cpu)
{
	struct work *work = &works[cpu];

	__asm__ volatile("lidt %0" : : "m"(idtr));
	if (apic_x2)
		msr_write(APIC_BASE_MSR, msr_read(APIC_BASE_MSR) | APIC_BASE_X2);
	apic_write(APIC_SVR, APIC_SVR_ON | 0xFF);
	work->function = NULL;
	smp_add(&work->starts, 1);
	for (;;) {
		if (work->function) {
			work->function(work->argument);
			__atomic_store_n(&work->function, NULL, __ATOMIC_SEQ_CST);
		} else {
			__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
		}
	}
}

void smp_open(void)
{
	uintptr_t flags;

	__asm__ volatile("pushf\n\tpop %0" : "=r"(flags) : : "memory");
	if (!(flags & FLAGS_IF))
		__asm__ volatile("sti\n\tcli" : : : "memory");
}

unsigned smp_starts(unsigned cpu)
{
	return works[cpu].starts;
}

bool smp_until(const volatile unsigned *value, unsigned want)
{
	uint64_t start = rdtsc(), ticks = clock_ticks(PATIENCE_US);

	while (*value < want) {
		if (rdtsc() - start > ticks)
			return false;
		smp_pause();
	}
	return true;
}

void smp_init(unsigned cpu)
{
	apic_ipi(APIC_INIT | APIC_ASSERT, cpu);
	clock_wait(INIT_US);
}

bool smp_begin(unsigned cpu, uint8_t page)
{
	unsigned before = works[cpu].starts;

	apic_ipi(APIC_STARTUP | APIC_ASSERT | page, cpu);
	clock_wait(STARTUP_US);
	apic_ipi(APIC_STARTUP | APIC_ASSERT | page, cpu);
	return smp_until(&works[cpu].starts, before + 1);
}

unsigned smp_start(void)
{
	unsigned listed = smp_listed();

	smp_cpus = 1;
	trap_set_handler(SMP_VECTOR, on_wake);
	apic_write(APIC_SVR, APIC_SVR_ON | 0xFF);
	smp_install(SMP_PAGE);
	for (unsigned cpu = 1; cpu < listed && cpu < SMP_MAX; cpu++) {
		smp_init(cpu);
		smp_cpus += smp_begin(cpu, SMP_PAGE);
	}
	return smp_cpus;
}

void smp_call(unsigned cpu, void (*function)(void *argument), void *argument)
{
	works[cpu].argument = argument;
	__atomic_store_n(&works[cpu].function, function, __ATOMIC_SEQ_CST);
	apic_ipi(SMP_VECTOR, cpu);
}

bool smp_wait(unsigned cpu)
{
	uint64_t start = rdtsc(), ticks = clock_ticks(PATIENCE_US) * 4;

	while (works[cpu].function) {
		if (rdtsc() - start > ticks)
			return false;
		smp_pause();
	}
	return true;
}

bool smp_all(void (*function)(void *argument), void *argument)
{
	bool ended = true;

	for (unsigned cpu = 1; cpu < smp_cpus; cpu++)
		smp_call(cpu, function, argument);
	function(argument);
	for (unsigned cpu = 1; cpu < smp_cpus; cpu++)
		ended &= smp_wait(cpu);
	return ended;
}

static void let_in(void *argument)
{
	(void)argument;
	irq_window();
}

void smp_settle(void)
{
	smp_all(let_in, NULL);
}

void smp_meet(void)
{
	unsigned mine = generation;

	if (smp_add(&arrived, 1) == smp_cpus) {
		arrived = 0;
		smp_add(&generation, 1);
	}
	while (generation == mine)
		smp_pause();
}
#endif
