/* SPDX-License-Identifier: MIT */
/*
 * The tables by which a guest's kernel learns what its PC has: ACPI, MP and SMBIOS, and the few
 * words of the BIOS data area that kernels look at.
 *
 * They lie in LAYOUT_FIRMWARE and in the EBDA (vm/layout.h). Of these the memory map that a loader
 * gives should call LAYOUT_ACPI .. LAYOUT_ACPI_END reclaimable ACPI tables, and the EBDA and
 * LAYOUT_ACPI_END .. LAYOUT_FIRMWARE_END (FACS, MP and SMBIOS tables) reserved.
 */
#ifndef VM_FIRMWARE_H
#define VM_FIRMWARE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/layout.h"
#include "vm/memory.h"

/* Where firmware_write puts SMBIOS' entry point and structures; the RSDP is first of all. */
#define FIRMWARE_SMBIOS (LAYOUT_ACPI_END + 0x2000)
#define FIRMWARE_DMI	(LAYOUT_ACPI_END + 0x2020)

/*
 * Writes the tables for a PC (vm/pc.h) of 1 .. PC_CPUS_MAX vCPUs and says where the ACPI root
 * pointer is. False when the memory does not reach to 1 MiB.
 */
bool firmware_write(struct guest_memory *memory, unsigned cpus, uint64_t *rsdp,
		    struct error *error);

#endif
