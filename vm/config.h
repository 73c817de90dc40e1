/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of the virtual machines, from the command lines of the boot loader's modules:
 *
 *     ROLE VM [key=value...] [-- guest command line]
 *
 * ROLE is kernel, initrd, module, disk, cdrom, firmware, vgabios or symbols. What is wrong with
 * one VM is kept with that VM, and costs the others nothing. The text is not trusted: it may lack
 * its NUL or hold anything.
 */
#ifndef VM_CONFIG_H
#define VM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/parse.h"

#define CONFIG_VMS_MAX	      64
#define CONFIG_NAME_MAX	      31	    /* characters */
#define CONFIG_MODULES_MAX    16	    /* of one VM, beside kernel and initrd */
#define CONFIG_FIRMWARE_MAX   (16ULL << 20) /* bytes */
#define CONFIG_ROM_MAX	      (64ULL << 10) /* bytes */
#define CONFIG_DRIVES_MAX     4		    /* of one VM, disks and CDs */
#define CONFIG_COMPLAINTS_MAX 16
#define CONFIG_CPUS_MAX	      32
#define CONFIG_MEMORY_DEFAULT (256ULL << 20)
#define CONFIG_MEMORY_MIN     (2ULL << 20)
#define CONFIG_TIMEOUT_MAX    86400 /* seconds */
#define CONFIG_TSC_MHZ_MAX    8000
#define CONFIG_EXPECT_MAX     120 /* characters */
#define CONFIG_CORES_MAX      64  /* that pin= can name */
#define CONFIG_WEIGHT_MAX     10000
#define CONFIG_WEIGHT_DEFAULT 100
#define CONFIG_RESTARTS_MAX   60 /* a minute */
#define CONFIG_RESTARTS	      5	 /* the default */

/* A file that the boot loader put in memory; `text` is its command line. */
struct config_module {
	const char *text; /* at most text_max bytes, ended by a NUL or by text_max */
	size_t text_max;
	const uint8_t *data;
	uint64_t size; /* bytes */
};

struct config_file {
	const uint8_t *data; /* NULL: there is none */
	uint64_t size;
	struct text cmdline; /* what follows `--` */
};

enum config_boot {
	CONFIG_BOOT_AUTO, /* recognised by content */
	CONFIG_BOOT_LINUX,
	CONFIG_BOOT_MULTIBOOT,
	CONFIG_BOOT_MULTIBOOT2,
	CONFIG_BOOT_PVH,
	CONFIG_BOOT_FLAT16, /* a flat image, entered in this mode */
	CONFIG_BOOT_FLAT32,
	CONFIG_BOOT_FLAT64,
};

/* What becomes of a VM that ended by its own fault. */
enum config_on_crash {
	CONFIG_ON_CRASH_STOP,
	CONFIG_ON_CRASH_RESTART,
	CONFIG_ON_CRASH_PAUSE,
};

struct vm_config {
	char name[CONFIG_NAME_MAX + 1];
	bool refused; /* then error says why, and the VM must not start */
	struct error error;
	uint64_t memory; /* bytes, a multiple of 4096 */
	unsigned cpus;
	unsigned timeout; /* seconds without progress that make a HANG; 0: never */
	unsigned limit;	  /* seconds that it may run; 0: for ever */
	unsigned tsc_mhz; /* of its TSC; 0: as the host's */
	char expect[CONFIG_EXPECT_MAX + 1]; /* the expression that makes a PASS; empty: none */
	uint64_t pass_code;		    /* that makes a PASS at the debug-exit port */
	enum config_boot boot;
	uint64_t load;	 /* gpa, of a flat image; 0: where its mode has it */
	uint64_t entry;	 /* gpa; 0: its first byte */
	uint64_t pin;	 /* mask of the cores that it may use; 0: all */
	unsigned weight; /* its share of the cores against the other VMs' */
	unsigned cap;	 /* percent of one core, at most 100 * cpus; 0: none */
	enum config_on_crash on_crash;
	bool restart_on_end; /* when it ends by itself with another verdict than CRASH or HANG */
	unsigned restarts;   /* a minute at most */
	bool autostart;
	bool track_writes;	  /* vm/writes.h */
	bool com2_log;		  /* lines of COM2 go to Socle's log */
	bool console_vga;	  /* its console is screen and keyboard, not COM1 */
	int depends;		  /* index of the VM that must have started before; -1: none */
	struct text depends_name; /* its name as written */
	struct config_file kernel;
	struct config_file initrd;
	struct config_file firmware; /* of its own; then there is no kernel */
	struct config_file vgabios;  /* an option ROM for it */
	struct config_file
		symbols; /* names of the kernel's addresses, for the report of its death */
	struct config_file module[CONFIG_MODULES_MAX];
	unsigned modules;
	struct config_file disk[CONFIG_DRIVES_MAX];
	unsigned disks;
	struct config_file cdrom[CONFIG_DRIVES_MAX];
	unsigned cdroms; /* disks and these are CONFIG_DRIVES_MAX at most */
};

struct config {
	struct vm_config vm[CONFIG_VMS_MAX]; /* in the order of their first line */
	unsigned vms;
	/* What could not be laid to any VM: one line each; the last one stands for all others. */
	struct error complaint[CONFIG_COMPLAINTS_MAX];
	unsigned complaints;
};

/*
 * Reads `count` modules' lines. memory_max: bytes that one VM can get at most. cores: of this
 * machine, numbered from 0. The texts and data are referred to, not copied: they must stay. The
 * result is big: no place for a stack. Among those that are not refused, `depends` makes no circle
 * and leads to no refused one.
 */
void config_parse(struct config *config, const struct config_module *module, unsigned count,
		  uint64_t memory_max, unsigned cores);

#endif
