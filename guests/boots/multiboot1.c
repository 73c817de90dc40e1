/* SPDX-License-Identifier: MIT */
/* Multiboot specification 0.6.96, 'Boot information format'. */
#include "guests/boots/boots.h"
#include "guests/lib/guest.h"

#define HAS_MEMORY	0x001u
#define HAS_CMDLINE	0x004u
#define HAS_MODULES	0x008u
#define HAS_SECTIONS	0x020u
#define HAS_MAP		0x040u
#define HAS_NAME	0x200u
#define HAS_FRAMEBUFFER 0x1000u
#define HAS_SYMBOLS	0x030u
#define AREAS_MAX	16

struct info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	uint32_t sections, section_size, sections_addr, sections_names;
	uint32_t mmap_length, mmap_addr, drives[2], config, name, apm, vbe[4];
	uint32_t framebuffer[7];
};

struct module {
	uint32_t start, end, text, reserved;
};

static void check_areas(const struct info *info)
{
	struct area area[AREAS_MAX] = {0};
	unsigned count = 0;

	for (uint32_t at = info->mmap_addr; at < info->mmap_addr + info->mmap_length;) {
		const uint32_t *entry = (const uint32_t *)(uintptr_t)at;

		if (count < AREAS_MAX)
			area[count] = (struct area){entry[1] | (uint64_t)entry[2] << 32,
						    entry[3] | (uint64_t)entry[4] << 32, entry[5]};
		count++;
		at += entry[0] + 4;
	}
	check_map(area, count);
	guest_check_equal(info->mem_lower, area[0].size / 1024, "lower memory as the map has it");
	for (unsigned i = 0; i < count; i++)
		if (area[i].start == 0x100000)
			guest_check_equal(info->mem_upper, area[i].size / 1024, "and upper memory");
}

void check_multiboot1(uintptr_t address)
{
	const struct info *info = (const struct info *)address;
	const struct module *module = (const struct module *)(uintptr_t)info->mods_addr;
	uint32_t want = HAS_MEMORY | HAS_CMDLINE | HAS_MAP | HAS_NAME | HAS_FRAMEBUFFER;

	guest_print("# Multiboot 1, flags 0x%x\n", info->flags);
	guest_check_equal(info->flags & ~(HAS_MODULES | HAS_SYMBOLS), want, "flags");
	check_cmdline((const char *)(uintptr_t)info->cmdline);
	guest_print("# boot loader: %s\n", (const char *)(uintptr_t)info->name);
	check_areas(info);
	check_modules_count(info->flags & HAS_MODULES ? info->mods_count : 0);
	/* Symbols come first of what lies after the kernel. */
	if (info->flags & HAS_SECTIONS)
		check_sections(info->sections, info->section_size,
			       (const uint8_t *)(uintptr_t)info->sections_addr,
			       info->sections_names);
	else
		guest_print("# no sections\n");
	for (unsigned i = 0; info->flags & HAS_MODULES && i < info->mods_count; i++)
		check_module(module[i].start, module[i].end - module[i].start,
			     (const char *)(uintptr_t)module[i].text);
	check_screen(info->framebuffer);
}
