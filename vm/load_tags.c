/* SPDX-License-Identifier: MIT */
/* The boot information of Multiboot 2. */
#include "vm/load_tags.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "vm/image_map.h"
#include "vm/load_lists.h"
#include "vm/load_multiboot.h"

#define TAG_ALIGN     8
#define RSDP_OLD      20 /* bytes: ACPI 1.0 */
#define RSDP_NEW      36
#define RSDP_REVISION 15 /* offset */

enum tag_type {
	TAG_END,
	TAG_CMDLINE,
	TAG_LOADER,
	TAG_MODULE,
	TAG_MEMORY,
	TAG_MAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_SECTIONS = 9,
	TAG_RSDP_OLD = 14,
	TAG_RSDP_NEW = 15,
	TAG_LOAD_BASE = 21,
};

struct tag {
	uint32_t type;
	uint32_t size; /* bytes, with this head and without what aligns the next tag */
};

struct map_tag {
	uint32_t entry_size, entry_version;
	struct image_map_entry entry[IMAGE_MAP_MAX];
};

struct framebuffer_tag {
	uint64_t address;
	uint32_t pitch, width, height;
	uint8_t depth, type;
	uint16_t reserved;
};

_Static_assert(sizeof(struct image_map_entry) == 24 && offsetof(struct image_map_entry, type) == 16,
	       "Multiboot 2 map entry");
_Static_assert(offsetof(struct framebuffer_tag, depth) == 20, "Multiboot 2 framebuffer tag");

/* The list as it grows: offsets from TAGS_ADDRESS. */
struct tags {
	struct guest_memory *memory;
	uint64_t next;
	bool full; /* and nothing more of it counts */
};

static void append(struct tags *tags, const void *from, uint64_t size)
{
	if (!range_within(tags->next, size, LAYOUT_CMDLINE_END - TAGS_ADDRESS) ||
	    !guest_memory_write(tags->memory, TAGS_ADDRESS + tags->next, from, size))
		tags->full = true;
	else
		tags->next += size;
}

/* A head for `size` bytes that follow, on its alignment. */
static void open_tag(struct tags *tags, uint32_t type, uint64_t size)
{
	static const uint8_t zeros[TAG_ALIGN];
	struct tag tag = {type, (uint32_t)(sizeof(tag) + size)};

	append(tags, zeros, align_up(tags->next, TAG_ALIGN) - tags->next);
	append(tags, &tag, sizeof(tag));
}

static void add(struct tags *tags, uint32_t type, const void *body, uint64_t size)
{
	open_tag(tags, type, size);
	append(tags, body, size);
}

/* `head` and a text with its NUL. */
static void add_text(struct tags *tags, uint32_t type, const void *head, uint64_t head_size,
		     struct text text)
{
	open_tag(tags, type, head_size + text.length + 1);
	append(tags, head, head_size);
	append(tags, text.start, text.length);
	append(tags, "", 1);
}

static bool add_modules(struct tags *tags, const struct vm_config *config, struct lists *lists,
			struct error *error)
{
	for (unsigned i = 0; i < config->modules; i++) {
		const struct config_file *file = &config->module[i];
		uint32_t place[2];
		uint64_t start;

		if (!lists_put_module(lists, "module", file, &start, error))
			return false;
		place[0] = (uint32_t)start;
		place[1] = (uint32_t)(start + file->size);
		add_text(tags, TAG_MODULE, place, sizeof(place), file->cmdline);
	}
	return true;
}

static void add_map(struct tags *tags)
{
	struct map_tag tag = {.entry_size = sizeof(tag.entry[0])};
	struct image_map map;

	image_map(&map, tags->memory);
	for (unsigned i = 0; i < map.count; i++) {
		tag.entry[i].gpa = map.entry[i].gpa;
		tag.entry[i].size = map.entry[i].size;
		tag.entry[i].type = map.entry[i].type;
	}
	add(tags, TAG_MAP, &tag,
	    offsetof(struct map_tag, entry) + map.count * sizeof(tag.entry[0]));
}

static bool add_sections(struct tags *tags, const struct elf *elf, struct lists *lists,
			 struct error *error)
{
	uint32_t size = elf ? elf_sections_size(elf) : 0, head[3];
	uint64_t gpa;

	if (!size)
		return true;
	head[0] = elf->header.shnum;
	head[1] = elf->header.shentsize;
	head[2] = elf->header.shstrndx;
	open_tag(tags, TAG_SECTIONS, sizeof(head) + size);
	append(tags, head, sizeof(head));
	gpa = TAGS_ADDRESS + tags->next;
	append(tags, elf->file->data + elf->header.shoff, size);
	return tags->full ||
	       elf_sections_write(elf, tags->memory, gpa, lists_put_file, lists, error);
}

static void add_rsdp(struct tags *tags, uint64_t rsdp)
{
	uint8_t table[RSDP_NEW];

	if (!rsdp || !guest_memory_read(tags->memory, rsdp, table, sizeof(table)))
		return;
	add(tags, TAG_RSDP_OLD, table, RSDP_OLD);
	if (table[RSDP_REVISION] >= 2)
		add(tags, TAG_RSDP_NEW, table, RSDP_NEW);
}

static void add_machine(struct tags *tags, uint64_t rsdp)
{
	const struct framebuffer_tag screen = {
		SCREEN_ADDRESS,
		SCREEN_PITCH,
		SCREEN_WIDTH,
		SCREEN_HEIGHT,
		SCREEN_DEPTH,
		SCREEN_EGA_TEXT,
		0,
	};
	uint32_t memory[] = {multiboot_memory_lower(), multiboot_memory_upper(tags->memory)};

	add(tags, TAG_MEMORY, memory, sizeof(memory));
	add_map(tags);
	add(tags, TAG_FRAMEBUFFER, &screen, sizeof(screen));
	add_rsdp(tags, rsdp);
}

bool tags_write(const struct vm_config *config, const struct plan *plan, const struct elf *elf,
		bool moved, struct guest_memory *memory, uint64_t rsdp, struct error *error)
{
	struct tags tags = {memory, TAG_ALIGN, false};
	uint32_t base = (uint32_t)plan->base, head[2] = {0};
	struct lists lists;

	lists_init(&lists, memory, plan);
	add_text(&tags, TAG_CMDLINE, NULL, 0, config->kernel.cmdline);
	add_text(&tags, TAG_LOADER, NULL, 0,
		 text_from(MULTIBOOT_LOADER, sizeof(MULTIBOOT_LOADER) - 1));
	if (moved)
		add(&tags, TAG_LOAD_BASE, &base, sizeof(base));
	add_machine(&tags, rsdp);
	if (!add_sections(&tags, elf, &lists, error) || !add_modules(&tags, config, &lists, error))
		return false;
	add(&tags, TAG_END, NULL, 0);
	head[0] = (uint32_t)tags.next;
	return (!tags.full && guest_memory_write(memory, TAGS_ADDRESS, head, sizeof(head))) ||
	       error_set(error,
			 "cmdline: it, the modules' command lines and %u section headers of the "
			 "kernel make more than 64K of boot information; want less",
			 elf ? elf->header.shnum : 0);
}
