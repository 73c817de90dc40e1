/* SPDX-License-Identifier: MIT */
/* Xen's public header 'arch-x86/hvm/start_info.h'. */
#include "guests/boots/boots.h"
#include "guests/lib/guest.h"

#define AREAS_MAX 16

struct start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, cmdline, rsdp, map;
	uint32_t map_entries, reserved;
};

struct module {
	uint64_t start, size, cmdline, reserved;
};

struct entry {
	uint64_t start, size;
	uint32_t type, reserved;
};

void check_pvh(uintptr_t address)
{
	const struct start_info *info = (const struct start_info *)address;
	const struct module *module = (const struct module *)(uintptr_t)info->module_list;
	const struct entry *entry = (const struct entry *)(uintptr_t)info->map;
	struct area area[AREAS_MAX] = {0};

	guest_print("# PVH\n");
	guest_check_equal(info->version, 1, "version 1");
	guest_check_equal(info->flags, 0, "no flags");
	check_cmdline((const char *)(uintptr_t)info->cmdline);
	for (unsigned i = 0; i < info->map_entries && i < AREAS_MAX; i++)
		area[i] = (struct area){entry[i].start, entry[i].size, entry[i].type};
	check_map(area, info->map_entries);
	check_modules_count(info->modules);
	for (unsigned i = 0; i < info->modules; i++)
		check_module(module[i].start, module[i].size,
			     (const char *)(uintptr_t)module[i].cmdline);
	check_rsdp((const void *)(uintptr_t)info->rsdp, true);
}
