/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables as a kernel finds them. ACPI specification 6.5, "ACPI Software Programming Model".
 */
#ifndef GUESTS_LIB_ACPI_H
#define GUESTS_LIB_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct __attribute__((packed)) acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
};

struct __attribute__((packed)) acpi_rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
};

struct __attribute__((packed)) acpi_address {
	uint8_t space, width, offset, access;
	uint64_t address;
};

/* As far as it is used here. */
struct __attribute__((packed)) acpi_fadt {
	struct acpi_header header;
	uint32_t facs, dsdt;
	uint8_t reserved, profile;
	uint16_t sci_irq;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer;
	uint32_t gpe0, gpe1;
	uint8_t pm1_event_length, pm1_control_length, pm2_length, pm_timer_length;
	uint8_t gpe0_length, gpe1_length, gpe1_base, cstate;
	uint16_t latency[2], flush[2];
	uint8_t duty[2], day_alarm, month_alarm, century;
	uint16_t boot_flags;
	uint8_t reserved1;
	uint32_t flags;
	struct acpi_address reset;
	uint8_t reset_value;
	uint16_t arm_flags;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
};

/* The signature `text` at each multiple of 16 in [from, to); NULL if it is nowhere. */
const void *acpi_scan(const char *text, size_t length, uintptr_t from, uintptr_t to);
/* Do the bytes add up to zero? */
bool acpi_sums(const void *table, size_t length);
/* By the EBDA and the BIOS area, with its checksums right. */
const struct acpi_rsdp *acpi_rsdp(void);
/* By the XSDT, or by the RSDT of ACPI 1.0; its checksum is the caller's to check. */
const void *acpi_table(const char *signature);
/* SLP_TYP of \_S5 as the DSDT has it; -1 if it has none. */
int acpi_s5(void);

#endif
