/* SPDX-License-Identifier: MIT */
/*
 * The firmware tables read as a kernel reads them, and ACPI's fixed hardware: the PM timer's rate
 * against two other clocks, PM1, ACPI mode and the SCI. Power-off is in guests/ends.
 */
#include "guests/lib/acpi.h"

#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"

#define FLAG_TIMER_32 (1u << 8)
#define FLAG_RESET    (1u << 10)
#define PM1_TIMER     1
#define PM1_POWER     0x100
#define CONTROL_SCI   1
#define SLP_EN	      (1u << 13)
#define MADT_LAPIC    0
#define MADT_IOAPIC   1
#define MADT_OVERRIDE 2
#define MP_CPU	      0
#define MP_BUS	      1
#define MP_IOAPIC     2
#define MP_IRQ	      3
#define MP_CPU_LENGTH 20u
#define MP_LENGTH     8u
#define PIT_CONTROL   0x43
#define PIT_COUNTER2  0x42
#define PORT61	      0x61

static const struct acpi_fadt *fadt;

static void test_roots(void)
{
	const struct acpi_rsdp *rsdp = acpi_rsdp();
	const struct acpi_header *rsdt, *xsdt;

	if (!guest_check(rsdp != NULL, "the RSDP is found, both checksums right"))
		return;
	guest_check_equal(rsdp->revision, 2, "revision 2");
	rsdt = (const struct acpi_header *)(uintptr_t)rsdp->rsdt;
	xsdt = (const struct acpi_header *)(uintptr_t)rsdp->xsdt;
	guest_check(acpi_sums(rsdt, rsdt->length), "the RSDT's checksum");
	guest_check(acpi_sums(xsdt, xsdt->length), "the XSDT's checksum");
	guest_check_equal((rsdt->length - sizeof(*rsdt)) / 4, (xsdt->length - sizeof(*xsdt)) / 8,
			  "as many tables in both");
}

static void test_fadt(void)
{
	const struct acpi_header *dsdt;

	fadt = acpi_table("FACP");
	if (!guest_check(fadt && acpi_sums(fadt, fadt->header.length), "the FADT's checksum"))
		return;
	dsdt = (const struct acpi_header *)(uintptr_t)fadt->x_dsdt;
	guest_check(acpi_sums(dsdt, dsdt->length), "the DSDT's checksum");
	guest_check_equal(fadt->dsdt, fadt->x_dsdt, "both pointers to it");
	guest_check_equal(*(const uint32_t *)(uintptr_t)fadt->facs, 0x53434146, "a FACS");
	guest_check_equal(fadt->facs % 64, 0, "aligned to 64 bytes");
	guest_check_equal(fadt->flags & (FLAG_TIMER_32 | FLAG_RESET), FLAG_TIMER_32 | FLAG_RESET,
			  "a PM timer of 32 bits, a reset register");
	guest_check(acpi_s5() >= 0 && acpi_s5() < 8, "the DSDT has \\_S5");
}

static void test_madt(void)
{
	const struct acpi_header *madt = acpi_table("APIC");
	unsigned lapics = 0, ioapics = 0, timer = 0;

	if (!guest_check(madt && acpi_sums(madt, madt->length), "the MADT's checksum"))
		return;
	for (const uint8_t *at = (const uint8_t *)madt + sizeof(*madt) + 8;
	     at < (const uint8_t *)madt + madt->length && at[1]; at += at[1]) {
		lapics += at[0] == MADT_LAPIC && at[4] & 1;
		ioapics += at[0] == MADT_IOAPIC && *(const uint32_t *)(at + 4) == 0xFEC00000;
		timer += at[0] == MADT_OVERRIDE && at[3] == 0 && at[4] == 2;
	}
	guest_check_equal(lapics, 1, "one local APIC");
	guest_check_equal(ioapics, 1, "one IOAPIC");
	guest_check_equal(timer, 1, "IRQ0 is on pin 2");
}

static const uint8_t *mp_pointer(void)
{
	const uint8_t *mp = acpi_scan("_MP_", 4, 0x9FC00, 0xA0000);

	return mp ? mp : acpi_scan("_MP_", 4, 0xF0000, 0x100000);
}

static void test_mp(void)
{
	const uint8_t *mp = mp_pointer(), *table, *at;
	unsigned count[5] = {0}, entries;

	if (!guest_check(mp && acpi_sums(mp, 16), "the MP pointer and its checksum"))
		return;
	table = (const uint8_t *)(uintptr_t) * (const uint32_t *)(mp + 4);
	if (!guest_check(acpi_sums(table, *(const uint16_t *)(table + 4)), "the MP table's"))
		return;
	entries = *(const uint16_t *)(table + 34);
	at = table + 44;
	for (unsigned i = 0; i < entries && *at < 5; i++) {
		count[*at]++;
		at += *at == MP_CPU ? MP_CPU_LENGTH : MP_LENGTH;
	}
	guest_check_equal((uint32_t)(at - table), *(const uint16_t *)(table + 4),
			  "its entries fill it");
	guest_check_equal(count[MP_CPU] << 8 | count[MP_BUS] << 4 | count[MP_IOAPIC], 0x111,
			  "one CPU, one bus, one IOAPIC");
	guest_check(count[MP_IRQ] >= 15, "the ISA interrupts");
}

/* Against the 8254, which has another divider to the same base. */
static void test_timer(void)
{
	uint32_t first, second, last = inl((uint16_t)fadt->pm_timer), backward = 0;

	for (unsigned i = 0; i < 1000; i++) {
		uint32_t now = inl((uint16_t)fadt->pm_timer);

		backward += now - last > CLOCK_PM_HZ;
		last = now;
	}
	outb(PORT61, 1);
	outb(PIT_CONTROL, 0xB0);
	outb(PIT_COUNTER2, 0x9C);
	outb(PIT_COUNTER2, 0x2E);
	first = inl((uint16_t)fadt->pm_timer);
	while (!(inb(PORT61) & 0x20))
		;
	second = inl((uint16_t)fadt->pm_timer);
	guest_check_equal(backward, 0, "the PM timer never goes back");
	guest_check(second - first > 35780 && second - first < 35950,
		    "and has three counts for one of the 8254");
}

static void test_pm1(void)
{
	uint16_t status = (uint16_t)fadt->pm1a_event, enable = (uint16_t)(fadt->pm1a_event + 2);
	uint16_t control = (uint16_t)fadt->pm1a_control;

	outb((uint16_t)fadt->smi_command, fadt->acpi_disable);
	guest_check_equal(inw(control) & CONTROL_SCI, 0, "ACPI mode is left");
	outb((uint16_t)fadt->smi_command, fadt->acpi_enable);
	guest_check_equal(inw(control) & CONTROL_SCI, CONTROL_SCI, "and entered");
	outw(enable, PM1_POWER | PM1_TIMER);
	guest_check_equal(inw(enable), PM1_POWER | PM1_TIMER, "PM1 enable reads back");
	outw(enable, 0);
	outw(status, 0xFFFF);
	guest_check_equal(inw(status), 0, "PM1 status is cleared by ones");
	outw(control, CONTROL_SCI | SLP_EN);
	guest_check_equal(inw(control) & SLP_EN, 0, "SLP_EN for S0 does nothing and reads 0");
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	test_roots();
	test_fadt();
	test_madt();
	test_mp();
	if (fadt) {
		test_timer();
		test_pm1();
	}
	return guest_failures();
}
