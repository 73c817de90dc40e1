/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 loader.
 *
 * Sources: 'Multiboot Specification version 0.6.96': 'OS image format', 'Machine state', 'Boot
 * information format'.
 */
#include "vm/load_multiboot.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "vm/elf.h"
#include "vm/image_map.h"
#include "vm/image_start.h"
#include "vm/layout.h"
#include "vm/load_lists.h"

#define HEADER_MAGIC	 0x1BADB002u
#define LOADER_MAGIC	 0x2BADB002u
#define SEARCH_LIMIT	 8192

#define NEEDS_MASK	 0x0FFFFu /* bits that a loader must know */
#define NEEDS_KNOWN	 0x00007u /* aligned modules, memory information, video mode */
#define NEEDS_VIDEO	 0x00004u
#define HAS_ADDRESSES	 0x10000u
#define VIDEO_TEXT	 1u /* mode_type: 0 is linear graphics */
#define HEADER_SHORT	 12 /* bytes without addresses */

#define INFO_MEMORY	 0x001
#define INFO_CMDLINE	 0x004
#define INFO_MODULES	 0x008
#define INFO_SECTIONS	 0x020
#define INFO_MAP	 0x040
#define INFO_NAME	 0x200
#define INFO_FRAMEBUFFER 0x1000

struct header {
	uint32_t magic;
	uint32_t flags;
	uint32_t checksum;
	struct multiboot_addresses addresses;
	uint32_t entry_addr;
	uint32_t mode_type;
	uint32_t width, height, depth;
};

struct info {
	uint32_t flags;
	uint32_t mem_lower; /* KiB */
	uint32_t mem_upper;
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count;
	uint32_t mods_addr;
	uint32_t sections, section_size, sections_addr, sections_names;
	uint32_t mmap_length;
	uint32_t mmap_addr;
	uint32_t drives_length;
	uint32_t drives_addr;
	uint32_t config_table;
	uint32_t boot_loader_name;
	uint32_t apm_table;
	uint32_t vbe[4];
	uint64_t framebuffer_addr;
	uint32_t framebuffer_pitch, framebuffer_width, framebuffer_height;
	uint8_t framebuffer_depth, framebuffer_type;
	uint8_t colors[6];
} __attribute__((packed));

struct map_entry {
	uint32_t size; /* of what follows */
	uint64_t start;
	uint64_t length;
	uint32_t type;
} __attribute__((packed));

struct module_entry {
	uint32_t start;
	uint32_t end;
	uint32_t string;
	uint32_t reserved;
};

_Static_assert(sizeof(struct header) == 48, "Multiboot header");
_Static_assert(offsetof(struct info, mmap_length) == 44, "Multiboot information");
_Static_assert(offsetof(struct info, boot_loader_name) == 64, "Multiboot information");
_Static_assert(offsetof(struct info, framebuffer_addr) == 88, "Multiboot information");
_Static_assert(sizeof(struct info) == 116, "Multiboot information");
_Static_assert(sizeof(struct map_entry) == 24, "Multiboot map entry");

/* ---- Header ---- */

static bool find_header(const struct config_file *file, struct header *header, uint64_t *offset)
{
	uint64_t limit = MIN(file->size, SEARCH_LIMIT);

	for (uint64_t at = 0; range_within(at, HEADER_SHORT, limit); at += 4) {
		memset(header, 0, sizeof(*header));
		memcpy(header, file->data + at, HEADER_SHORT);
		if (header->magic != HEADER_MAGIC ||
		    header->magic + header->flags + header->checksum)
			continue;
		memcpy(header, file->data + at, MIN(sizeof(*header), file->size - at));
		*offset = at;
		return true;
	}
	return false;
}

const char *multiboot_lacks(const struct config_file *file)
{
	struct header header;
	uint64_t offset;

	return find_header(file, &header, &offset) ? NULL : "a header in its first 8192 bytes";
}

bool multiboot_plan(struct plan *plan, const struct config_file *file,
		    const struct multiboot_addresses *addresses, uint64_t offset,
		    struct error *error)
{
	uint32_t load = addresses->load_addr, load_end = addresses->load_end_addr;
	uint64_t back = (uint64_t)addresses->header_addr - load;
	struct plan_segment segment = {.gpa = load, .linked = load};

	if (addresses->header_addr < load || back > offset || (load_end && load_end < load))
		return error_set(error,
				 "kernel: Multiboot header addresses 0x%x, 0x%x, 0x%x do not fit "
				 "its place in the file",
				 addresses->header_addr, load, load_end);
	segment.offset = offset - back;
	segment.file_size = load_end ? load_end - load : file->size - segment.offset;
	segment.size = segment.file_size;
	if (addresses->bss_end_addr > load)
		segment.size = MAX(segment.size, (uint64_t)addresses->bss_end_addr - load);
	return plan_add(plan, &segment, file->size, error);
}

static bool read_kernel(struct plan *plan, struct elf *elf, const struct config_file *file,
			struct error *error)
{
	struct header header;
	uint64_t offset;

	if (!find_header(file, &header, &offset))
		return error_set(error, "kernel: no Multiboot header in the first %u bytes",
				 SEARCH_LIMIT);
	if (header.flags & NEEDS_MASK & ~NEEDS_KNOWN)
		return error_set(error,
				 "kernel: Multiboot flags 0x%x ask for more than aligned modules, "
				 "memory information and a video mode",
				 header.flags);
	if (header.flags & NEEDS_VIDEO && header.mode_type > VIDEO_TEXT)
		return error_set(error,
				 "kernel: Multiboot video mode type %u; want 0 for graphics or 1 "
				 "for text",
				 header.mode_type);
	if (header.flags & HAS_ADDRESSES) {
		plan->entry = header.entry_addr;
		return multiboot_plan(plan, file, &header.addresses, offset, error);
	}
	if (!elf_recognise(file))
		return error_set(error, "kernel: a Multiboot header without addresses in a file "
					"that is no ELF");
	return elf_open(elf, file, error) && elf_plan(elf, plan, error);
}

/* ---- Boot information ---- */

uint32_t multiboot_memory_lower(void)
{
	return LAYOUT_EBDA / KIB;
}

uint32_t multiboot_memory_upper(const struct guest_memory *memory)
{
	return (uint32_t)((image_ram_end(memory) - LAYOUT_KERNEL) / KIB);
}

static bool put_map(struct info *info, struct lists *lists, struct error *error)
{
	struct map_entry entries[IMAGE_MAP_MAX];
	struct image_map map;

	image_map(&map, lists->memory);
	for (unsigned i = 0; i < map.count; i++)
		entries[i] = (struct map_entry){
			.size = sizeof(entries[i]) - sizeof(entries[i].size),
			.start = map.entry[i].gpa,
			.length = map.entry[i].size,
			.type = map.entry[i].type,
		};
	info->flags |= INFO_MAP | INFO_MEMORY;
	info->mmap_length = (uint32_t)(map.count * sizeof(entries[0]));
	info->mmap_addr = lists_put(lists, entries, info->mmap_length);
	info->mem_lower = multiboot_memory_lower();
	info->mem_upper = multiboot_memory_upper(lists->memory);
	return info->mmap_addr ||
	       error_set(error, "memory: no RAM at 0x%x for boot information", LAYOUT_BOOT_LISTS);
}

static bool put_module(const struct config_file *file, struct lists *lists,
		       struct module_entry *entry, struct error *error)
{
	uint64_t start;

	if (!lists_put_module(lists, "module", file, &start, error))
		return false;
	*entry = (struct module_entry){
		.start = (uint32_t)start,
		.end = (uint32_t)(start + file->size),
		.string = lists_put_text(lists, file->cmdline),
	};
	return entry->string ||
	       error_set(error,
			 "module: the command line of %zu characters is too long; want all "
			 "of them within %u bytes",
			 file->cmdline.length, LAYOUT_BOOT_LISTS_END - LAYOUT_BOOT_LISTS - 2048);
}

static bool put_modules(const struct vm_config *config, struct info *info, struct lists *lists,
			struct error *error)
{
	struct module_entry entries[CONFIG_MODULES_MAX];

	if (!config->modules)
		return true;
	for (unsigned i = 0; i < config->modules; i++)
		if (!put_module(&config->module[i], lists, &entries[i], error))
			return false;
	info->flags |= INFO_MODULES;
	info->mods_count = config->modules;
	info->mods_addr = lists_put(lists, entries, config->modules * sizeof(entries[0]));
	return info->mods_addr ||
	       error_set(error, "module: no room for the list of %u modules", config->modules);
}

/* The headers go where the files go: there may be many. */
static bool put_sections(const struct elf *elf, struct info *info, struct lists *lists,
			 struct error *error)
{
	uint32_t size = elf->file ? elf_sections_size(elf) : 0;
	uint64_t gpa;

	if (!size)
		return true;
	if (!lists_put_file(lists, elf->file->data + elf->header.shoff, size, &gpa))
		return error_set(error, "kernel: no room for its section headers; want more "
					"memory");
	info->flags |= INFO_SECTIONS;
	info->sections = elf->header.shnum;
	info->section_size = elf->header.shentsize;
	info->sections_addr = (uint32_t)gpa;
	info->sections_names = elf->header.shstrndx;
	return elf_sections_write(elf, lists->memory, gpa, lists_put_file, lists, error);
}

static bool put_info(const struct vm_config *config, const struct plan *plan, const struct elf *elf,
		     struct guest_memory *memory, struct error *error)
{
	struct info info = {
		.flags = INFO_NAME | INFO_CMDLINE | INFO_FRAMEBUFFER,
		.cmdline = LAYOUT_CMDLINE,
		.framebuffer_addr = SCREEN_ADDRESS,
		.framebuffer_pitch = SCREEN_PITCH,
		.framebuffer_width = SCREEN_WIDTH,
		.framebuffer_height = SCREEN_HEIGHT,
		.framebuffer_depth = SCREEN_DEPTH,
		.framebuffer_type = SCREEN_EGA_TEXT,
	};
	struct lists lists;

	lists_init(&lists, memory, plan);
	info.boot_loader_name =
		lists_put_text(&lists, text_from(MULTIBOOT_LOADER, sizeof(MULTIBOOT_LOADER) - 1));
	if (!put_map(&info, &lists, error) || !put_sections(elf, &info, &lists, error) ||
	    !put_modules(config, &info, &lists, error) ||
	    !lists_put_cmdline(&lists, config->kernel.cmdline, error))
		return false;
	return guest_memory_write(memory, LAYOUT_BOOT_PARAMS, &info, sizeof(info)) ||
	       error_set(error, "memory: no RAM at 0x%x for boot information", LAYOUT_BOOT_PARAMS);
}

bool multiboot_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
		    struct vcpu_start *start, struct error *error)
{
	enum { RAX = 0, RBX = 3 };
	struct plan plan = {0};
	struct elf elf = {0};

	(void)rsdp;
	if (config->initrd.data)
		return error_set(error, "initrd: a Multiboot kernel has none; want module instead");
	if (!read_kernel(&plan, &elf, &config->kernel, error) ||
	    !plan_write(&plan, &config->kernel, PLAN_GDT | PLAN_INFO | PLAN_CMDLINE, memory,
			error) ||
	    !put_info(config, &plan, &elf, memory, error) ||
	    !start_protected32(start, memory, plan.entry, error))
		return false;
	start->gpr[RAX] = LOADER_MAGIC;
	start->gpr[RBX] = LAYOUT_BOOT_PARAMS;
	return true;
}
