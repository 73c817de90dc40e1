/* SPDX-License-Identifier: MIT */
/* The machine as it was. */
#include "guests/chaos64/mend.h"

#include <stdbool.h>
#include <stdint.h>

#include "guests/chaos64/machine.h"
#include "guests/lib/apic.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/mmio.h"

#define IOAPIC	     0xFEC00000u
#define IOAPIC_DATA  0xFEC00010u
#define IOAPIC_TABLE 0x10
#define IOAPIC_PINS  24
#define PIN_TIMER    2
#define HPET	     0xFED00000u
#define HPET_CONFIG  0x10
#define HPET_TIMER   0x100
#define PIT_COMMAND  0x43
#define PIT_CHANNEL0 0x40
#define PIT_ONE_SHOT 0x30
#define DEADLINE     100 /* PIT ticks: 84 us */
#define RTC_INDEX    0x70
#define RTC_DATA     0x71
#define RTC_B	     0x0B
#define RTC_B_PLAIN  0x02
#define VECTORS	     32 /* below are exceptions */
#define XCR0_X87     1

static const uint16_t lvts[] = {APIC_LVT_TIMER, 0x330, 0x340,
				APIC_LVT_LINT0, 0x360, APIC_LVT_ERROR};

void mend_lapic(void)
{
	uint64_t base = rdmsr(APIC_BASE_MSR), good = APIC_PAGE | APIC_BASE_ON;

	if (base != good) {
		/* From x2APIC mode only by way of off. */
		wrmsr(APIC_BASE_MSR, APIC_PAGE);
		wrmsr(APIC_BASE_MSR, good);
	}
	apic_write(APIC_SVR, APIC_SVR_ON | 0xFF);
	apic_write(APIC_TPR, 0);
	for (unsigned i = 0; i < sizeof(lvts) / sizeof(lvts[0]); i++)
		apic_write(lvts[i], APIC_MASKED | 0xFE);
	apic_write(APIC_INITIAL, 0);
	apic_write(APIC_LDR, 0);
	apic_write(APIC_DFR, UINT32_MAX);
	for (unsigned i = 0; i < 8; i++)
		for (unsigned n = 0; n < 32 && apic_read(APIC_ISR + 16 * i); n++)
			apic_write(APIC_EOI, 0);
}

void mend_cpu(unsigned vector)
{
	if ((read_cr4() & CR4_OSXSAVE) && xgetbv(0) != XCR0_X87)
		xsetbv(0, XCR0_X87);
	wrmsr(MSR_EFER, EFER_LMA | EFER_LME);
	write_cr8(0);
	if (vector < VECTORS || vector > 0xff)
		return;
	outb(PIC_SLAVE, PIC_EOI);
	outb(PIC_MASTER, PIC_EOI);
	mend_lapic();
}

static void ioapic_write(unsigned index, uint32_t value)
{
	mmio_write(IOAPIC, index);
	mmio_write(IOAPIC_DATA, value);
}

void mend_board(void)
{
	pic_start(PIC_8086);
	outb(0x4D0, 0);
	outb(0x4D1, 0);
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		ioapic_write(IOAPIC_TABLE + 2 * pin, APIC_MASKED);
		ioapic_write(IOAPIC_TABLE + 2 * pin + 1, ACTOR << 24);
	}
	mmio_write(HPET + HPET_CONFIG, 0);
	for (unsigned i = 0; i < 3; i++)
		mmio_write(HPET + HPET_TIMER + 0x20 * i, 0);
	outb(RTC_INDEX, RTC_B);
	outb(RTC_DATA, RTC_B_PLAIN);
	outb(COM1_PORT + 3, 0x80);
	outb(COM1_PORT + 0, 1);
	outb(COM1_PORT + 1, 0);
	outb(COM1_PORT + 3, 3);
	outb(COM1_PORT + 1, 0);
	outb(COM1_PORT + 4, 0);
}

static bool wanted, ordered;

void mend_deadline(void)
{
	wanted = true;
}

void mend_order(void)
{
	if (!wanted)
		return;
	wanted = false;
	ordered = true;
	ioapic_write(IOAPIC_TABLE + 2 * PIN_TIMER, APIC_NMI);
	outb(PIT_COMMAND, PIT_ONE_SHOT);
	outb(PIT_CHANNEL0, DEADLINE & 0xff);
	outb(PIT_CHANNEL0, DEADLINE >> 8);
}

void mend_no_deadline(void)
{
	if (ordered)
		ioapic_write(IOAPIC_TABLE + 2 * PIN_TIMER, APIC_MASKED);
	ordered = false;
}
