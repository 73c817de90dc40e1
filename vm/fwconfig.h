/* SPDX-License-Identifier: MIT */
/*
 * What a firmware of the guest's own is told by the firmware-configuration device: the machine, its
 * memory map, ACPI and SMBIOS tables with the commands that put them in their places, and the
 * order in which drives are to be booted.
 */
#ifndef VM_FWCONFIG_H
#define VM_FWCONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/vfwcfg.h"
#include "vm/config.h"
#include "vm/load_linux.h"
#include "vm/memory.h"

#define FWCONFIG_TABLES	  0x4000
#define FWCONFIG_FILES	  10
#define FWCONFIG_ITEMS	  (FWCONFIG_FILES + 8 + 3 * LINUX_PARTS)
#define FWCONFIG_COMMANDS 40
#define FWCONFIG_DRIVES	  4

struct fwconfig_file {
	uint32_t size; /* big-endian, as is the key */
	uint16_t key;
	uint16_t reserved;
	char name[56];
};

struct fwconfig_e820 {
	uint64_t gpa;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

struct fwconfig {
	struct vfwcfg_item item[FWCONFIG_ITEMS];
	unsigned items;
	uint32_t files; /* big-endian; the directory follows it */
	struct fwconfig_file directory[FWCONFIG_FILES];
	unsigned used; /* entries of the directory */
	uint64_t ram;
	uint16_t cpus;
	uint64_t serial;
	struct fwconfig_e820 e820[3];
	char order[FWCONFIG_DRIVES * 48 + 32];
	struct linux_part part[LINUX_PARTS];
	uint8_t command[FWCONFIG_COMMANDS][128];
	unsigned commands;
	uint8_t rsdp[36];
	uint8_t anchor[31];
	uint8_t smbios[512];
	uint32_t fadt; /* offset in `tables` */
	uint8_t tables[FWCONFIG_TABLES];
};

/*
 * Makes *f (zeroed) for the PC of `config`, from the tables that firmware_write has put into
 * `memory`. drives: bits 0..3, disks; bits 4..7, CDs; in the order of the channels. What it shows
 * on its screen goes to COM1 as well, but for one with a VGA BIOS, or in debug mode. Refers to
 * files of `config`, which must stay; a kernel among them is started by the firmware. False: the
 * kernel cannot be (`error` says why), or the tables are not as expected.
 */
bool fwconfig_make(struct fwconfig *f, struct guest_memory *memory, const struct vm_config *config,
		   unsigned drives, struct error *error);
/* The firmware is to send its messages to port 402H. */
bool fwconfig_debug(const struct vm_config *config);
/* The power-management block is at this port now: the tables will say so. */
void fwconfig_pm_moved(struct fwconfig *f, uint16_t base);

#endif
