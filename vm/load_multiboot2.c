/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 2 loader: the header and its tags, and the place of a relocatable kernel. What the
 * kernel is told is made in vm/load_tags.c.
 *
 * Source: 'Multiboot2 Specification version 2.0': 'OS image format', 'I386 machine state'.
 */
#include "vm/load_multiboot2.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "vm/elf.h"
#include "vm/image_map.h"
#include "vm/image_start.h"
#include "vm/layout.h"
#include "vm/load_multiboot.h"
#include "vm/load_tags.h"

#define HEADER_MAGIC	 0xE85250D6u
#define LOADER_MAGIC	 0x36D76289u
#define SEARCH_LIMIT	 32768
#define ARCH_I386	 0
#define OPTIONAL	 1 /* flag of a tag */
#define TAG_ALIGN	 8
#define INFO_LAST	 21 /* the highest type of information that the specification has */
#define CONSOLE_NEEDED	 1
#define CONSOLE_EGA_TEXT 2

enum header_tag {
	TAG_END,
	TAG_REQUEST,
	TAG_ADDRESS,
	TAG_ENTRY,
	TAG_CONSOLE,
	TAG_FRAMEBUFFER,
	TAG_MODULE_ALIGN,
	TAG_EFI_SERVICES, /* this and the next two speak to EFI alone */
	TAG_EFI_ENTRY_32,
	TAG_EFI_ENTRY_64,
	TAG_RELOCATABLE,
};

enum preference {
	PREFER_NOTHING,
	PREFER_LOW,
	PREFER_HIGH,
};

struct header {
	uint32_t magic;
	uint32_t architecture;
	uint32_t length; /* bytes, with the tags */
	uint32_t checksum;
};

struct tag {
	uint16_t type;
	uint16_t flags;
	uint32_t size; /* bytes, with this head */
};

struct relocatable {
	uint32_t min_addr, max_addr;
	uint32_t align;
	uint32_t preference;
};

/* What the header says. */
struct wishes {
	uint64_t header_at; /* in the file */
	bool has_addresses, has_entry, has_range;
	struct multiboot_addresses addresses;
	uint32_t entry;
	struct relocatable range;
};

static bool find_header(const struct config_file *file, struct header *header, uint64_t *offset)
{
	uint64_t limit = MIN(file->size, SEARCH_LIMIT);

	for (uint64_t at = 0; range_within(at, sizeof(*header), limit); at += TAG_ALIGN) {
		memcpy(header, file->data + at, sizeof(*header));
		*offset = at;
		if (header->magic == HEADER_MAGIC &&
		    header->magic + header->architecture + header->length + header->checksum == 0)
			return true;
	}
	return false;
}

const char *multiboot2_lacks(const struct config_file *file)
{
	struct header header;
	uint64_t offset;

	return find_header(file, &header, &offset) ? NULL : "a header in its first 32768 bytes";
}

/* ---- Tags of the header ---- */

/* What a kernel must be told may be absent on this machine, but not unheard of. */
static bool read_request(const uint8_t *body, uint32_t size, struct wishes *wishes,
			 struct error *error)
{
	(void)wishes;
	for (uint32_t at = 0; at + 4 <= size; at += 4) {
		uint32_t type;

		memcpy(&type, body + at, sizeof(type));
		if (type > INFO_LAST)
			return error_set(error,
					 "kernel: Multiboot 2 header tag 1 requires information of "
					 "type %u, which is unknown",
					 type);
	}
	return true;
}

static bool read_addresses(const uint8_t *body, uint32_t size, struct wishes *wishes,
			   struct error *error)
{
	(void)size;
	(void)error;
	memcpy(&wishes->addresses, body, sizeof(wishes->addresses));
	wishes->has_addresses = true;
	/* -1: the file from its beginning. */
	if (wishes->addresses.load_addr == UINT32_MAX)
		wishes->addresses.load_addr =
			wishes->addresses.header_addr - (uint32_t)wishes->header_at;
	return true;
}

static bool read_entry(const uint8_t *body, uint32_t size, struct wishes *wishes,
		       struct error *error)
{
	(void)size;
	(void)error;
	memcpy(&wishes->entry, body, sizeof(wishes->entry));
	wishes->has_entry = true;
	return true;
}

static bool read_console(const uint8_t *body, uint32_t size, struct wishes *wishes,
			 struct error *error)
{
	(void)size;
	(void)wishes;
	if ((body[0] & (CONSOLE_NEEDED | CONSOLE_EGA_TEXT)) != CONSOLE_NEEDED)
		return true;
	return error_set(error, "kernel: Multiboot 2 header tag 4 requires a console other than "
				"EGA text, which is all there is");
}

static bool read_range(const uint8_t *body, uint32_t size, struct wishes *wishes,
		       struct error *error)
{
	uint32_t align;

	(void)size;
	memcpy(&wishes->range, body, sizeof(wishes->range));
	wishes->has_range = true;
	align = wishes->range.align;
	if (align & (align - 1))
		return error_set(error,
				 "kernel: Multiboot 2 header tag 10: alignment 0x%x; want a power "
				 "of two",
				 align);
	return true;
}

/* A framebuffer is a preference, and modules are on whole pages always. */
static const struct known {
	uint32_t size; /* of the body, at least */
	bool (*read)(const uint8_t *body, uint32_t size, struct wishes *wishes,
		     struct error *error);
} known[] = {
	[TAG_REQUEST] = {0, read_request},
	[TAG_ADDRESS] = {sizeof(struct multiboot_addresses), read_addresses},
	[TAG_ENTRY] = {4, read_entry},
	[TAG_CONSOLE] = {4, read_console},
	[TAG_RELOCATABLE] = {sizeof(struct relocatable), read_range},
};

static bool read_tag(const struct tag *tag, const uint8_t *body, struct wishes *wishes,
		     struct error *error)
{
	uint32_t size = tag->size - sizeof(*tag);

	if (tag->type > TAG_RELOCATABLE)
		return tag->flags & OPTIONAL ||
		       error_set(error, "kernel: Multiboot 2 header tag %u is required and unknown",
				 tag->type);
	if (!known[tag->type].read)
		return true;
	if (size < known[tag->type].size)
		return error_set(error, "kernel: Multiboot 2 header tag %u has %u bytes; want %u",
				 tag->type, tag->size,
				 (unsigned)(known[tag->type].size + sizeof(*tag)));
	/* An optional wish that cannot be met is none. */
	return known[tag->type].read(body, size, wishes, error) ||
	       (tag->flags & OPTIONAL && tag->type != TAG_RELOCATABLE);
}

static bool read_header(struct wishes *wishes, const struct config_file *file, struct error *error)
{
	struct header header;
	struct tag tag;
	uint64_t at, end;

	if (!find_header(file, &header, &wishes->header_at))
		return error_set(error, "kernel: no Multiboot 2 header in the first %u bytes",
				 SEARCH_LIMIT);
	if (header.architecture != ARCH_I386)
		return error_set(error, "kernel: Multiboot 2 header for architecture %u; want 0",
				 header.architecture);
	if (!range_within(wishes->header_at, header.length, MIN(file->size, SEARCH_LIMIT)))
		return error_set(error,
				 "kernel: Multiboot 2 header of %u bytes at 0x%llx; want all of it "
				 "in the file's first %u bytes",
				 header.length, (unsigned long long)wishes->header_at,
				 SEARCH_LIMIT);
	end = wishes->header_at + header.length;
	for (at = wishes->header_at + sizeof(header); range_within(at, sizeof(tag), end);
	     at += align_up(tag.size, TAG_ALIGN)) {
		memcpy(&tag, file->data + at, sizeof(tag));
		if (tag.size < sizeof(tag) || !range_within(at, tag.size, end))
			return error_set(error,
					 "kernel: Multiboot 2 header tag %u has %u bytes; want 8 "
					 "or more, within the header",
					 tag.type, tag.size);
		if (tag.type == TAG_END)
			return true;
		if (!read_tag(&tag, file->data + at + sizeof(tag), wishes, error))
			return false;
	}
	return error_set(error, "kernel: the Multiboot 2 header has no end tag");
}

/* ---- Where it goes ---- */

/* Within its range and its alignment, `size` bytes of RAM above 1 MiB. */
static bool choose_base(const struct plan *plan, const struct relocatable *range,
			const struct guest_memory *memory, uint64_t *base)
{
	uint64_t size = plan->end - plan->base, align = MAX(range->align, 1);
	uint64_t low = align_up(MAX(range->min_addr, LAYOUT_KERNEL), align);
	uint64_t end = MIN(image_ram_end(memory), (uint64_t)range->max_addr + 1);

	*base = plan->base;
	if (range->preference == PREFER_NOTHING && *base >= low && is_aligned(*base, align) &&
	    range_within(*base, size, end))
		return true;
	if (size > end || align_down(end - size, align) < low)
		return false;
	*base = range->preference == PREFER_HIGH ? align_down(end - size, align) : low;
	return true;
}

static bool relocate(struct plan *plan, const struct relocatable *range,
		     const struct guest_memory *memory, struct error *error)
{
	uint64_t base;

	plan_measure(plan);
	if (plan->end < plan->base || !choose_base(plan, range, memory, &base))
		return error_set(error,
				 "kernel: Multiboot 2 header tag 10: 0x%llx bytes do not fit "
				 "between 0x%x and 0x%x; want more memory",
				 (unsigned long long)(plan->end - plan->base), range->min_addr,
				 range->max_addr);
	plan_move(plan, base - plan->base);
	return true;
}

static bool read_kernel(struct plan *plan, struct elf *elf, struct wishes *wishes,
			const struct config_file *file, struct error *error)
{
	if (!read_header(wishes, file, error))
		return false;
	if (wishes->has_addresses && !wishes->has_entry)
		return error_set(error, "kernel: Multiboot 2 header tag 2 gives addresses; want an "
					"entry address (tag 3) too");
	if (!wishes->has_addresses && !elf_recognise(file))
		return error_set(error, "kernel: a Multiboot 2 header without addresses in a file "
					"that is no ELF");
	if (!(wishes->has_addresses
		      ? multiboot_plan(plan, file, &wishes->addresses, wishes->header_at, error)
		      : elf_open(elf, file, error) && elf_plan(elf, plan, error)))
		return false;
	if (wishes->has_entry)
		plan->entry = wishes->entry;
	return true;
}

bool multiboot2_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
		     struct vcpu_start *start, struct error *error)
{
	enum { RAX = 0, RBX = 3 };
	struct wishes wishes = {0};
	struct plan plan = {0};
	struct elf elf = {0};

	if (config->initrd.data)
		return error_set(error, "initrd: a Multiboot kernel has none; want module instead");
	if (!read_kernel(&plan, &elf, &wishes, &config->kernel, error) ||
	    (wishes.has_range && !relocate(&plan, &wishes.range, memory, error)) ||
	    !plan_write(&plan, &config->kernel, PLAN_GDT | PLAN_CMDLINE, memory, error) ||
	    !tags_write(config, &plan, elf.file ? &elf : NULL, wishes.has_range, memory, rsdp,
			error) ||
	    !start_protected32(start, memory, plan.entry, error))
		return false;
	start->gpr[RAX] = LOADER_MAGIC;
	start->gpr[RBX] = TAGS_ADDRESS;
	return true;
}
