/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of the virtual machines, from the command lines of the boot loader's modules:
 *
 *     ROLE VM [key=value...] [-- guest command line]
 *
 * ROLE is kernel, initrd, module or disk. What is wrong with one VM is kept with that VM, and
 * costs the others nothing. The text is not trusted: it may lack its NUL or hold anything.
 */
#ifndef VM_CONFIG_H
#define VM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/parse.h"

#define CONFIG_VMS_MAX	      16
#define CONFIG_NAME_MAX	      31 /* characters */
#define CONFIG_MODULES_MAX    16 /* of one VM, beside kernel and initrd */
#define CONFIG_COMPLAINTS_MAX 16
#define CONFIG_CPUS_MAX	      1
#define CONFIG_MEMORY_DEFAULT (256ULL << 20)
#define CONFIG_MEMORY_MIN     (2ULL << 20)
#define CONFIG_TIMEOUT_MAX    86400 /* seconds */

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
};

struct vm_config {
	char name[CONFIG_NAME_MAX + 1];
	bool refused; /* then error says why, and the VM must not start */
	struct error error;
	uint64_t memory; /* bytes, a multiple of 4096 */
	unsigned cpus;
	unsigned timeout; /* seconds without progress that make a HANG; 0: never */
	enum config_boot boot;
	struct config_file kernel;
	struct config_file initrd;
	struct config_file module[CONFIG_MODULES_MAX];
	unsigned modules;
};

struct config {
	struct vm_config vm[CONFIG_VMS_MAX]; /* in the order of their first line */
	unsigned vms;
	/* What could not be laid to any VM: one line each; the last one stands for all others. */
	struct error complaint[CONFIG_COMPLAINTS_MAX];
	unsigned complaints;
};

/*
 * Reads `count` modules' lines. memory_max: bytes that one VM can get at most. The texts and
 * data are referred to, not copied: they must stay. The result is big: no place for a stack.
 */
void config_parse(struct config *config, const struct config_module *module, unsigned count,
		  uint64_t memory_max);

#endif
