/* SPDX-License-Identifier: MIT */
/* IOAPIC and 8259 of the host. */
#include "arch/x86_64/ioapic.h"

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/paging.h"
#include "lib/bits.h"

enum { PIC1_COMMAND = 0x20, PIC1_DATA = 0x21, PIC2_COMMAND = 0xa0, PIC2_DATA = 0xa1 };

#define ICW1_INIT_ICW4	 0x11
#define ICW4_8086	 0x01
#define PIC_BASE	 0x20 /* vectors 0x20..0x2f, for spurious ones only */

#define IOAPIC_SELECT	 (0x00 / 4)
#define IOAPIC_WINDOW	 (0x10 / 4)
#define IOAPIC_VERSION	 0x01
#define IOAPIC_ENTRY	 0x10

#define ENTRY_ACTIVE_LOW BIT(13)
#define ENTRY_LEVEL	 BIT(15)

void pic_disable(void)
{
	outb(PIC1_COMMAND, ICW1_INIT_ICW4);
	outb(PIC2_COMMAND, ICW1_INIT_ICW4);
	outb(PIC1_DATA, PIC_BASE);
	outb(PIC2_DATA, PIC_BASE + 8);
	outb(PIC1_DATA, BIT(2)); /* the second chip is on input 2 */
	outb(PIC2_DATA, 2);
	outb(PIC1_DATA, ICW4_8086);
	outb(PIC2_DATA, ICW4_8086);
	outb(PIC1_DATA, 0xff);
	outb(PIC2_DATA, 0xff);
}

static uint32_t ioapic_read(volatile uint32_t *ioapic, unsigned reg)
{
	ioapic[IOAPIC_SELECT] = reg;
	return ioapic[IOAPIC_WINDOW];
}

static void ioapic_write(volatile uint32_t *ioapic, unsigned reg, uint32_t value)
{
	ioapic[IOAPIC_SELECT] = reg;
	ioapic[IOAPIC_WINDOW] = value;
}

bool ioapic_route_isa(uint8_t irq, uint8_t vector, uint32_t apic_id)
{
	struct acpi_irq input = acpi_isa_irq(irq);
	volatile uint32_t *ioapic;
	uint64_t address;
	uint32_t gsi_base, pin, entry = vector;

	/* Without interrupt remapping an entry has room for an 8-bit id only. */
	if (apic_id > 0xff || !acpi_ioapic(input.gsi, &address, &gsi_base) ||
	    !paging_map_device(address, PAGE_SIZE))
		return false;
	ioapic = (volatile uint32_t *)address;
	pin = input.gsi - gsi_base;
	if (pin > (ioapic_read(ioapic, IOAPIC_VERSION) >> 16 & 0xff))
		return false;
	if (input.level)
		entry |= ENTRY_LEVEL;
	if (input.active_low)
		entry |= ENTRY_ACTIVE_LOW;
	ioapic_write(ioapic, IOAPIC_ENTRY + 2 * pin + 1, apic_id << 24);
	ioapic_write(ioapic, IOAPIC_ENTRY + 2 * pin, entry);
	return true;
}
