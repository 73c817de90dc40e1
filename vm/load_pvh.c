/* SPDX-License-Identifier: MIT */
/* PVH loader. */
#include "vm/load_pvh.h"

#include "lib/bits.h"
#include "vm/elf.h"
#include "vm/image_map.h"
#include "vm/image_start.h"
#include "vm/layout.h"
#include "vm/load_lists.h"

#define NOTE_NAME	  "Xen"
#define NOTE_PHYS32_ENTRY 18
#define START_MAGIC	  0x336EC578u

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t modules;
	uint64_t module_list;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t map;
	uint32_t map_entries;
	uint32_t reserved;
};

struct module_entry {
	uint64_t start;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct map_entry {
	uint64_t start;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

_Static_assert(sizeof(struct start_info) == 56, "hvm_start_info, version 1");
_Static_assert(sizeof(struct module_entry) == 32, "hvm_modlist_entry");
_Static_assert(sizeof(struct map_entry) == 24, "hvm_memmap_table_entry");

const char *pvh_lacks(const struct config_file *file)
{
	struct error error;
	struct elf elf;
	uint64_t entry;

	if (!elf_recognise(file) || !elf_open(&elf, file, &error))
		return "an ELF header for x86";
	return elf_note(&elf, NOTE_NAME, NOTE_PHYS32_ENTRY, &entry) ? NULL : "Xen's note 18";
}

static bool put_map(struct start_info *info, struct lists *lists)
{
	struct map_entry entries[IMAGE_MAP_MAX];
	struct image_map map;

	image_map(&map, lists->memory);
	for (unsigned i = 0; i < map.count; i++)
		entries[i] = (struct map_entry){map.entry[i].gpa, map.entry[i].size,
						map.entry[i].type, 0};
	info->map_entries = map.count;
	info->map = lists_put(lists, entries, map.count * sizeof(entries[0]));
	return info->map;
}

static bool put_module(const char *what, const struct config_file *file, struct lists *lists,
		       struct module_entry *entry, struct error *error)
{
	*entry = (struct module_entry){.size = file->size};
	if (!lists_put_module(lists, what, file, &entry->start, error))
		return false;
	if (!file->cmdline.length)
		return true;
	entry->cmdline = lists_put_text(lists, file->cmdline);
	return entry->cmdline ||
	       error_set(error, "%s: the command line of %zu characters is too long", what,
			 file->cmdline.length);
}

static bool put_modules(const struct vm_config *config, struct start_info *info,
			struct lists *lists, struct error *error)
{
	struct module_entry entries[CONFIG_MODULES_MAX + 1];
	unsigned count = 0;

	if (config->initrd.data &&
	    !put_module("initrd", &config->initrd, lists, &entries[count++], error))
		return false;
	for (unsigned i = 0; i < config->modules; i++)
		if (!put_module("module", &config->module[i], lists, &entries[count++], error))
			return false;
	if (!count)
		return true;
	info->modules = count;
	info->module_list = lists_put(lists, entries, count * sizeof(entries[0]));
	return info->module_list ||
	       error_set(error, "module: no room for the list of %u modules", count);
}

static bool put_info(const struct vm_config *config, const struct plan *plan,
		     struct guest_memory *memory, uint64_t rsdp, struct error *error)
{
	struct start_info info = {
		.magic = START_MAGIC,
		.version = 1,
		.cmdline = LAYOUT_CMDLINE,
		.rsdp = rsdp,
	};
	struct lists lists;

	lists_init(&lists, memory, plan);
	if (!put_modules(config, &info, &lists, error) ||
	    !lists_put_cmdline(&lists, config->kernel.cmdline, error))
		return false;
	return (put_map(&info, &lists) &&
		guest_memory_write(memory, LAYOUT_BOOT_PARAMS, &info, sizeof(info))) ||
	       error_set(error, "memory: no RAM at 0x%x for boot information", LAYOUT_BOOT_PARAMS);
}

bool pvh_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
	      struct vcpu_start *start, struct error *error)
{
	enum { RBX = 3 };
	const char *lack = pvh_lacks(&config->kernel);
	struct plan plan = {0};
	struct elf elf;

	if (lack)
		return error_set(error, "kernel: it lacks %s; want a PVH kernel", lack);
	if (!elf_open(&elf, &config->kernel, error) || !elf_plan(&elf, &plan, error))
		return false;
	elf_note(&elf, NOTE_NAME, NOTE_PHYS32_ENTRY, &plan.entry);
	if (!plan_write(&plan, &config->kernel, PLAN_GDT | PLAN_INFO | PLAN_CMDLINE, memory,
			error) ||
	    !put_info(config, &plan, memory, rsdp, error) ||
	    !start_protected32(start, memory, plan.entry, error))
		return false;
	start->gpr[RBX] = LAYOUT_BOOT_PARAMS;
	return true;
}
