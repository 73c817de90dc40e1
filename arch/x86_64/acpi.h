/* SPDX-License-Identifier: MIT */
/*
 * What Socle needs of the machine's ACPI tables: interrupt controllers, power-off and reset. Tables
 * are firmware's word: lengths and checksums are verified before anything in them is used.
 * ACPI specification, "ACPI Software Programming Model".
 */
#ifndef ARCH_X86_64_ACPI_H
#define ARCH_X86_64_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acpi_table {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	uint32_t creator_id;
	uint32_t creator_revision;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_table) == 36, "ACPI description header");

/* Takes a copy of the RSDP (20 or 36 bytes). False when it or the root table is not sound. */
bool acpi_init(const uint8_t *rsdp, size_t size);
/* The first table of that signature, mapped and verified, or NULL. */
const struct acpi_table *acpi_find(const char *signature);

/* An IOAPIC input and how it is triggered. */
struct acpi_irq {
	uint32_t gsi;
	bool level;
	bool active_low;
};

/* Where ISA interrupt `irq` arrives: the MADT's override, or identity, edge, active high. */
struct acpi_irq acpi_isa_irq(uint8_t irq);
/* The IOAPIC that has `gsi`: its physical address and first GSI. False when there is none. */
bool acpi_ioapic(uint32_t gsi, uint64_t *address, uint32_t *gsi_base);

/* The MADT as bytes, header included; NULL when there is none. */
const void *acpi_madt(size_t *size);

/* PM timer's port, 0 when there is none. It counts at 3.579545 MHz, 24 bits at least. */
uint16_t acpi_pm_timer(void);

/* Each returns only when the machine did not obey. */
void acpi_poweroff(void);
void acpi_reboot(void);

#endif
