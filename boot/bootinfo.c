/* SPDX-License-Identifier: MIT */
/*
 * The parser of the Multiboot2 boot information. Plain C over a byte buffer, so that the host can
 * test it with anything that a broken loader might hand over.
 */
#include "boot/bootinfo.h"

#include "lib/bits.h"
#include "lib/string.h"

enum {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MODULE = 3,
	TAG_MEMORY_MAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_ACPI_OLD = 14,
	TAG_ACPI_NEW = 15,
};

#define TAG_ALIGN	  8
#define MEMORY_AVAILABLE  1
#define FRAMEBUFFER_RGB	  1
#define FRAMEBUFFER_EGA	  2
#define RSDP_SIZE_ACPI1	  20
#define MEMORY_ENTRY_SIZE 24

struct info_header {
	uint32_t total_size;
	uint32_t reserved;
};

struct tag {
	uint32_t type;
	uint32_t size;
};

struct module_tag {
	uint32_t start;
	uint32_t end;
};

struct memory_map_tag {
	uint32_t entry_size;
	uint32_t entry_version;
};

struct memory_entry {
	uint64_t base;
	uint64_t length;
	uint32_t type;
	uint32_t reserved;
};

struct framebuffer_tag {
	uint64_t address;
	uint32_t pitch;
	uint32_t width;
	uint32_t height;
	uint8_t depth;
	uint8_t type;
	uint16_t reserved;
};

struct framebuffer_colours {
	uint8_t red_shift, red_size, green_shift, green_size, blue_shift, blue_size;
};

_Static_assert(sizeof(struct memory_entry) == MEMORY_ENTRY_SIZE, "Multiboot2 memory map entry");
_Static_assert(sizeof(struct framebuffer_tag) == 24, "Multiboot2 framebuffer tag");

/* A tag's payload: what follows its header. */
struct payload {
	uint8_t *data;
	size_t size;
	uint64_t offset; /* of the tag, for messages */
};

static bool is_terminated(const char *text, size_t size)
{
	return strnlen(text, size) < size;
}

/*
 * GRUB puts a backslash before each backslash and quote of a word, and double quotes around a word
 * that has a blank in it. This is the inverse.
 */
static void unquote(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (*from == '"')
			continue;
		if (*from == '\\' && from[1])
			from++;
		*to++ = *from;
	}
	*to = '\0';
}

static bool parse_cmdline(struct bootinfo *info, const struct payload *p, struct error *error)
{
	char *text = (char *)p->data;

	if (!is_terminated(text, p->size))
		return error_set(error, "command line tag at offset %lu has no terminating zero",
				 p->offset);
	unquote(text);
	if (strlen(text) >= sizeof(info->cmdline))
		return error_set(error, "command line has %lu characters, at most %u are taken",
				 strlen(text), BOOT_CMDLINE_MAX - 1);
	memcpy(info->cmdline, text, strlen(text) + 1);
	return true;
}

static bool parse_module(struct bootinfo *info, const struct payload *p, struct error *error)
{
	char *text = (char *)p->data + sizeof(struct module_tag);
	struct module_tag tag;

	if (p->size <= sizeof(tag) || !is_terminated(text, p->size - sizeof(tag)))
		return error_set(error, "module tag at offset %lu has no terminated command line",
				 p->offset);
	memcpy(&tag, p->data, sizeof(tag));
	if (tag.end < tag.start)
		return error_set(error, "module '%.40s' ends (0x%x) before it starts (0x%x)", text,
				 tag.end, tag.start);
	unquote(text);
	if (info->modules == BOOT_MODULES_MAX)
		return error_set(error, "more than %u modules", BOOT_MODULES_MAX);
	info->module[info->modules++] =
		(struct boot_module){.start = tag.start, .end = tag.end, .cmdline = text};
	return true;
}

static bool parse_memory_map(struct bootinfo *info, const struct payload *p, struct error *error)
{
	struct memory_map_tag tag;

	if (p->size < sizeof(tag))
		return error_set(error, "memory map tag at offset %lu is cut short", p->offset);
	memcpy(&tag, p->data, sizeof(tag));
	if (tag.entry_size < MEMORY_ENTRY_SIZE || tag.entry_size % TAG_ALIGN)
		return error_set(error, "memory map entries have %u bytes, %u or more are right",
				 tag.entry_size, MEMORY_ENTRY_SIZE);
	for (size_t at = sizeof(tag); range_within(at, tag.entry_size, p->size);
	     at += tag.entry_size) {
		struct memory_entry entry;

		memcpy(&entry, p->data + at, sizeof(entry));
		if (entry.length > UINT64_MAX - entry.base)
			return error_set(error, "memory map entry at 0x%lx wraps around",
					 entry.base);
		if (info->memories == BOOT_MEMORY_MAX)
			return error_set(error, "more than %u memory map entries", BOOT_MEMORY_MAX);
		info->memory[info->memories++] =
			(struct boot_memory){.start = entry.base,
					     .end = entry.base + entry.length,
					     .available = entry.type == MEMORY_AVAILABLE};
	}
	return true;
}

/* A screen that we cannot use is no error: the serial line is enough. */
static bool parse_framebuffer(struct bootinfo *info, const struct payload *p, struct error *error)
{
	struct boot_framebuffer *fb = &info->framebuffer;
	struct framebuffer_colours colours;
	struct framebuffer_tag tag;

	if (p->size < sizeof(tag))
		return error_set(error, "framebuffer tag at offset %lu is cut short", p->offset);
	memcpy(&tag, p->data, sizeof(tag));
	*fb = (struct boot_framebuffer){.address = tag.address,
					.pitch = tag.pitch,
					.width = tag.width,
					.height = tag.height,
					.depth = tag.depth};
	if (tag.type == FRAMEBUFFER_EGA) {
		fb->kind = BOOT_SCREEN_TEXT;
		return true;
	}
	if (tag.type != FRAMEBUFFER_RGB)
		return true;
	if (p->size < sizeof(tag) + sizeof(colours))
		return error_set(error, "framebuffer tag at offset %lu has no colours", p->offset);
	memcpy(&colours, p->data + sizeof(tag), sizeof(colours));
	fb->red_shift = colours.red_shift;
	fb->red_size = colours.red_size;
	fb->green_shift = colours.green_shift;
	fb->green_size = colours.green_size;
	fb->blue_shift = colours.blue_shift;
	fb->blue_size = colours.blue_size;
	fb->kind = BOOT_SCREEN_RGB;
	return true;
}

/* GRUB gives the old and the new RSDP where both are there: the new one counts. */
static bool parse_rsdp(struct bootinfo *info, const struct payload *p, struct error *error)
{
	if (p->size < RSDP_SIZE_ACPI1)
		return error_set(error, "ACPI tag at offset %lu has %lu bytes, an RSDP has %u",
				 p->offset, p->size, RSDP_SIZE_ACPI1);
	if (info->have_rsdp && info->rsdp_size >= p->size)
		return true;
	info->have_rsdp = true;
	info->rsdp_size = (uint8_t)MIN(p->size, sizeof(info->rsdp));
	memcpy(info->rsdp, p->data, info->rsdp_size);
	return true;
}

static bool parse_tag(struct bootinfo *info, uint32_t type, const struct payload *payload,
		      struct error *error)
{
	switch (type) {
	case TAG_CMDLINE: return parse_cmdline(info, payload, error);
	case TAG_MODULE: return parse_module(info, payload, error);
	case TAG_MEMORY_MAP: return parse_memory_map(info, payload, error);
	case TAG_FRAMEBUFFER: return parse_framebuffer(info, payload, error);
	case TAG_ACPI_OLD:
	case TAG_ACPI_NEW: return parse_rsdp(info, payload, error);
	default: return true;
	}
}

static bool parse_tags(struct bootinfo *info, uint8_t *data, size_t total, struct error *error)
{
	size_t at = sizeof(struct info_header);
	struct tag tag;

	for (;; at += align_up(tag.size, TAG_ALIGN)) {
		if (!range_within(at, sizeof(tag), total))
			return error_set(error, "tag list has no end tag within its %lu bytes",
					 total);
		memcpy(&tag, data + at, sizeof(tag));
		if (tag.type == TAG_END)
			return true;
		if (tag.size < sizeof(tag) || !range_within(at, tag.size, total))
			return error_set(error,
					 "tag %u at offset %lu claims %u bytes of a list of %lu",
					 tag.type, at, tag.size, total);
		struct payload payload = {.data = data + at + sizeof(tag),
					  .size = tag.size - sizeof(tag),
					  .offset = at};

		if (!parse_tag(info, tag.type, &payload, error))
			return false;
	}
}

bool bootinfo_parse(struct bootinfo *info, void *data, size_t limit, uint64_t start,
		    struct error *error)
{
	struct info_header header;

	memset(info, 0, sizeof(*info));
	if (limit < sizeof(header))
		return error_set(error, "boot information has no room for its header");
	memcpy(&header, data, sizeof(header));
	if (header.total_size < sizeof(header) + sizeof(struct tag) || header.total_size > limit)
		return error_set(error,
				 "boot information claims %u bytes, between %lu and %lu are right",
				 header.total_size, sizeof(header) + sizeof(struct tag), limit);
	info->start = start;
	info->end = start + header.total_size;
	if (!parse_tags(info, data, header.total_size, error))
		return false;
	if (!info->memories)
		return error_set(error, "boot information has no memory map (tag %u)",
				 TAG_MEMORY_MAP);
	return true;
}
