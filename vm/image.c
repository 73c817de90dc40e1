/* SPDX-License-Identifier: MIT */
/* A guest's kernel: recognised and given to its loader. */
#include "vm/image.h"

#include "lib/bits.h"
#include "vm/bios_data.h"
#include "vm/load_flat.h"
#include "vm/load_linux.h"
#include "vm/load_multiboot.h"
#include "vm/load_multiboot2.h"
#include "vm/load_pvh.h"

/* In the order in which they are tried; those without `lacks` only where boot= names them. */
static const struct format {
	enum config_boot boot;
	const char *(*lacks)(const struct config_file *file);
	bool (*load)(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
		     struct vcpu_start *start, struct error *error);
} formats[] = {
	{CONFIG_BOOT_LINUX, linux_lacks, linux_load},
	{CONFIG_BOOT_MULTIBOOT, multiboot_lacks, multiboot_load},
	{CONFIG_BOOT_MULTIBOOT2, multiboot2_lacks, multiboot2_load},
	{CONFIG_BOOT_PVH, pvh_lacks, pvh_load},
	{CONFIG_BOOT_FLAT16, NULL, flat_load},
	{CONFIG_BOOT_FLAT32, NULL, flat_load},
	{CONFIG_BOOT_FLAT64, NULL, flat_load},
};

enum config_boot image_recognise(const struct config_file *file, struct error *error)
{
	const char *lack[4];

	for (unsigned i = 0; i < ARRAY_SIZE(lack); i++) {
		lack[i] = formats[i].lacks(file);
		if (!lack[i])
			return formats[i].boot;
	}
	error_set(error,
		  "kernel: no known format. Linux: lacks %s; Multiboot 1: %s; Multiboot 2: %s; "
		  "PVH: %s; want one of these, or boot=flat32",
		  lack[0], lack[1], lack[2], lack[3]);
	return CONFIG_BOOT_AUTO;
}

bool image_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
		struct vcpu_start *start, struct error *error)
{
	enum config_boot boot = config->boot;

	if (boot == CONFIG_BOOT_AUTO)
		boot = image_recognise(&config->kernel, error);
	if (boot != CONFIG_BOOT_AUTO && !bios_data_write(memory))
		return error_set(error, "memory: no RAM below 1 MiB; want 2M or more");
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].boot == boot)
			return formats[i].load(config, memory, rsdp, start, error);
	return false;
}
