/* SPDX-License-Identifier: MIT */
/* Multiboot2 specification 2.0, 'Boot information'. */
#include "guests/boots/boots.h"
#include "guests/lib/guest.h"

#define TYPES_MAX   22
#define AREAS_MAX   16
#define MODULES_MAX 16

struct tag {
	uint32_t type, size;
	uint32_t word[];
};

static const struct tag *tags[TYPES_MAX];
static const struct tag *modules[MODULES_MAX];
static unsigned module_count;

static void check_list(uintptr_t address)
{
	const uint32_t *head = (const uint32_t *)address;
	uintptr_t at = address + 8, end = address + head[0];
	const struct tag *tag;
	bool once = true;

	guest_check(address % 8 == 0 && head[1] == 0, "the list is on 8 bytes");
	for (;; at += (tag->size + 7) & ~7u) {
		tag = (const struct tag *)at;
		if (at + 8 > end || tag->size < 8 || at + tag->size > end)
			break;
		if (tag->type == 3 && module_count < MODULES_MAX)
			modules[module_count++] = tag;
		else if (tag->type < TYPES_MAX) {
			once = once && !tags[tag->type];
			tags[tag->type] = tag;
		}
		if (!tag->type)
			break;
	}
	guest_check(at + 8 == end && tag->type == 0 && tag->size == 8, "it ends with its end tag");
	guest_check(once, "each tag is there once");
}

static void check_areas(const struct tag *tag)
{
	const uint8_t *at = (const uint8_t *)(tag->word + 2);
	unsigned count = tag->word[0] ? (tag->size - 16) / tag->word[0] : 0;
	struct area area[AREAS_MAX] = {0};

	guest_check(tag->word[0] == 24 && tag->word[1] == 0, "map entries of version 0");
	for (unsigned i = 0; i < count && i < AREAS_MAX; i++, at += tag->word[0]) {
		const uint32_t *entry = (const uint32_t *)at;

		area[i] = (struct area){entry[0] | (uint64_t)entry[1] << 32,
					entry[2] | (uint64_t)entry[3] << 32, entry[4]};
	}
	check_map(area, count);
	guest_check_equal(tags[4]->word[0], area[0].size / 1024, "lower memory as the map has it");
	for (unsigned i = 0; i < count; i++)
		if (area[i].start == 0x100000)
			guest_check_equal(tags[4]->word[1], area[i].size / 1024,
					  "and upper memory");
}

/*
 * GRUB, started by a BIOS, adds what that says of VBE, APM and the disk, and where it put the
 * kernel; of the root pointers it has the one of the BIOS's revision.
 */
static void check_origin(void)
{
	if (boots_number("bios=")) {
		guest_check(tags[5] && tags[10] && tags[21] && tags[21]->word[0] == 0x100000,
			    "a disk, APM and the load address");
		return;
	}
	guest_check(!tags[5] && !tags[7] && !tags[10] && !tags[16] && !tags[21],
		    "no tags of a disk, VBE, APM, network or a load address");
	guest_check(tags[14] && tags[15], "root pointers of both versions");
}

void check_multiboot2(uintptr_t info)
{
	guest_print("# Multiboot 2\n");
	check_list(info);
	if (!guest_check(tags[1] && tags[2] && tags[4] && tags[6] && tags[8] &&
				 (tags[14] || tags[15]),
			 "the tags of a BIOS boot"))
		return;
	guest_check(!tags[11] && !tags[12] && !tags[17] && !tags[18] && !tags[19] && !tags[20],
		    "no tags of EFI");
	check_cmdline((const char *)tags[1]->word);
	guest_print("# boot loader: %s\n", (const char *)tags[2]->word);
	check_origin();
	check_areas(tags[6]);
	check_modules_count(module_count);
	if (tags[9])
		check_sections(tags[9]->word[0], tags[9]->word[1],
			       (const uint8_t *)(tags[9]->word + 3), tags[9]->word[2]);
	else
		guest_print("# no sections\n");
	for (unsigned i = 0; i < module_count; i++)
		check_module(modules[i]->word[0], modules[i]->word[1] - modules[i]->word[0],
			     (const char *)(modules[i]->word + 2));
	check_screen(tags[8]->word);
	if (tags[14])
		check_rsdp(tags[14]->word, false);
	if (tags[15])
		check_rsdp(tags[15]->word, true);
}
