/* SPDX-License-Identifier: MIT */
/* Local APIC of the host. */
#include "arch/x86_64/lapic.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/traps.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/x86.h"

enum {
	APIC_ID = 0x02,
	APIC_TPR = 0x08,
	APIC_EOI = 0x0b,
	APIC_SVR = 0x0f,
	APIC_LVT_CMCI = 0x2f,
	APIC_ICR_LOW = 0x30,
	APIC_ICR_HIGH = 0x31,
	APIC_LVT_TIMER = 0x32,
	APIC_LVT_LINT0 = 0x35,
	APIC_LVT_LINT1 = 0x36,
	APIC_LVT_ERROR = 0x37,
	APIC_TIMER_INITIAL = 0x38,
	APIC_TIMER_CURRENT = 0x39,
	APIC_TIMER_DIVIDE = 0x3e,
};

#define SVR_ENABLE		 BIT(8)
#define LVT_MASKED		 BIT(16)
#define LVT_TSC_DEADLINE	 BIT(18)
#define LVT_NMI			 (4 << 8)
#define ICR_NMI			 (4 << 8)
#define ICR_INIT		 (5 << 8)
#define ICR_STARTUP		 (6 << 8)
#define ICR_PENDING		 BIT(12)
#define ICR_ASSERT		 BIT(14)
#define PENDING_MAX		 1000000 /* reads of a busy ICR before it is written anyway */
#define XAPIC_ID_MAX		 0xfe
#define DIVIDE_BY_1		 0x0b
#define CPUID_1_ECX_X2APIC	 BIT(21)
#define CPUID_1_ECX_TSC_DEADLINE BIT(24)
#define CALIBRATION_HZ		 100 /* measure over 10 ms */

static struct {
	bool x2apic;
	bool tsc_deadline;
	volatile uint32_t *page;
	uint64_t tsc_hz;
	uint64_t timer_hz;
} lapic;

static uint32_t reg_read(unsigned reg)
{
	if (lapic.x2apic)
		return (uint32_t)rdmsr(MSR_X2APIC_FIRST + reg);
	return lapic.page[reg * 4];
}

static void reg_write(unsigned reg, uint32_t value)
{
	if (lapic.x2apic)
		wrmsr(MSR_X2APIC_FIRST + reg, value);
	else
		lapic.page[reg * 4] = value;
}

bool lapic_choose(bool allow_x2apic)
{
	uint64_t page = rdmsr(MSR_APIC_BASE) & BITS(51, 12);

	lapic.x2apic = allow_x2apic && (cpuid(1, 0).ecx & CPUID_1_ECX_X2APIC);
	lapic.page = (volatile uint32_t *)page;
	log_debug("local APIC: %s mode", lapic.x2apic ? "x2APIC" : "xAPIC");
	return lapic.x2apic || paging_map_device(page, PAGE_SIZE);
}

/* From 'disabled' the only way to x2APIC leads through xAPIC mode, and the way back is that one. */
static void set_mode(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	if ((base & APIC_BASE_X2APIC) && !lapic.x2apic) {
		base &= ~(APIC_BASE_X2APIC | APIC_BASE_ENABLE);
		wrmsr(MSR_APIC_BASE, base);
	}
	base |= APIC_BASE_ENABLE;
	wrmsr(MSR_APIC_BASE, base);
	if (lapic.x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
}

void lapic_init(void)
{
	set_mode();
	reg_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	reg_write(APIC_LVT_LINT0, LVT_MASKED);
	reg_write(APIC_LVT_ERROR, LVT_MASKED);
	reg_write(APIC_TPR, 0);
	reg_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	/* Only now: while the APIC is software-disabled, mask bits cannot be cleared. */
	reg_write(APIC_LVT_LINT1, LVT_NMI);
}

uint32_t lapic_id(void)
{
	return lapic.x2apic ? reg_read(APIC_ID) : reg_read(APIC_ID) >> 24;
}

void lapic_eoi(void)
{
	reg_write(APIC_EOI, 0);
}

bool lapic_reaches(uint32_t apic_id)
{
	return lapic.x2apic || apic_id <= XAPIC_ID_MAX;
}

static void wait_until_sent(void)
{
	for (unsigned i = 0; i < PENDING_MAX && (reg_read(APIC_ICR_LOW) & ICR_PENDING); i++)
		cpu_pause();
}

/* An NMI handler that sends would come between the xAPIC's two halves: ours sends nothing. */
static void send(uint32_t apic_id, uint32_t command)
{
	if (lapic.x2apic) {
		/* SDM, "MSR Access in x2APIC Mode": the write is not ordered behind stores. */
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_X2APIC_FIRST + APIC_ICR_LOW, (uint64_t)apic_id << 32 | command);
		return;
	}
	wait_until_sent();
	reg_write(APIC_ICR_HIGH, apic_id << 24);
	reg_write(APIC_ICR_LOW, command);
}

void lapic_send_irq(uint32_t apic_id, uint8_t vector)
{
	send(apic_id, ICR_ASSERT | vector);
}

void lapic_send_nmi(uint32_t apic_id)
{
	send(apic_id, ICR_ASSERT | ICR_NMI);
}

void lapic_send_init(uint32_t apic_id)
{
	send(apic_id, ICR_ASSERT | ICR_INIT);
	if (!lapic.x2apic)
		wait_until_sent();
}

void lapic_send_startup(uint32_t apic_id, uint64_t page)
{
	send(apic_id, ICR_ASSERT | ICR_STARTUP | (uint32_t)(page / PAGE_SIZE));
	if (!lapic.x2apic)
		wait_until_sent();
}

static uint64_t measure_timer(void)
{
	uint64_t start, ticks = lapic.tsc_hz / CALIBRATION_HZ;

	reg_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	reg_write(APIC_TIMER_INITIAL, UINT32_MAX);
	start = rdtsc();
	while (rdtsc() - start < ticks)
		cpu_pause();
	ticks = UINT32_MAX - reg_read(APIC_TIMER_CURRENT);
	reg_write(APIC_TIMER_INITIAL, 0);
	return ticks * CALIBRATION_HZ;
}

void lapic_timer_init(uint64_t tsc_hz, bool allow_tsc_deadline)
{
	lapic.tsc_hz = tsc_hz;
	lapic.tsc_deadline = allow_tsc_deadline && (cpuid(1, 0).ecx & CPUID_1_ECX_TSC_DEADLINE);
	if (!lapic.tsc_deadline)
		lapic.timer_hz = measure_timer();
	lapic_timer_init_other();
}

void lapic_timer_init_other(void)
{
	reg_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	reg_write(APIC_LVT_TIMER, VECTOR_TIMER | (lapic.tsc_deadline ? LVT_TSC_DEADLINE : 0));
	/* SDM, "TSC-Deadline Mode": in xAPIC mode the LVT write must be ordered before the MSR. */
	__asm__ volatile("mfence" : : : "memory");
}

void lapic_timer_arm(uint64_t deadline)
{
	uint64_t now, ticks, count;

	if (lapic.tsc_deadline) {
		wrmsr(MSR_TSC_DEADLINE, deadline == UINT64_MAX ? 0 : MAX(deadline, 1));
		return;
	}
	if (deadline == UINT64_MAX) {
		reg_write(APIC_TIMER_INITIAL, 0);
		return;
	}
	now = rdtsc();
	ticks = deadline > now ? deadline - now : 0;
	/* At most a second, which keeps the product in 64 bits; whoever waits longer arms again. */
	ticks = MIN(ticks, lapic.tsc_hz);
	count = ticks * lapic.timer_hz / lapic.tsc_hz;
	reg_write(APIC_TIMER_INITIAL, (uint32_t)MIN(MAX(count, 1), UINT32_MAX));
}
