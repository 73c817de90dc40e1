/* SPDX-License-Identifier: MIT */
/* What boot protocols put into a guest's memory beside its kernel. */
#include "vm/load_lists.h"

#include "lib/bits.h"
#include "vm/image_map.h"
#include "vm/layout.h"

void lists_init(struct lists *lists, struct guest_memory *memory, const struct plan *plan)
{
	*lists = (struct lists){
		.memory = memory,
		.next = LAYOUT_BOOT_LISTS,
		.room = {{MAX(plan->end, LAYOUT_KERNEL), image_ram_end(memory)},
			 {LAYOUT_KERNEL, plan->base}},
	};
}

uint32_t lists_put(struct lists *lists, const void *from, uint64_t length)
{
	uint64_t gpa = align_up(lists->next, 8);

	if (!range_within(gpa, length, LAYOUT_BOOT_LISTS_END) ||
	    !guest_memory_write(lists->memory, gpa, from, length))
		return 0;
	lists->next = gpa + length;
	return (uint32_t)gpa;
}

uint32_t lists_put_text(struct lists *lists, struct text text)
{
	uint32_t gpa = lists_put(lists, text.start, text.length);

	if (!gpa || lists->next == LAYOUT_BOOT_LISTS_END ||
	    !guest_memory_zero(lists->memory, lists->next, 1))
		return 0;
	lists->next++;
	return gpa;
}

bool lists_put_file(void *ctx, const void *from, uint64_t size, uint64_t *gpa)
{
	struct lists *lists = ctx;

	for (unsigned i = 0; i < ARRAY_SIZE(lists->room); i++) {
		uint64_t start = align_up(lists->room[i].next, PAGE_SIZE);

		if (!range_within(start, size, lists->room[i].end))
			continue;
		lists->room[i].next = start + size;
		*gpa = start;
		return guest_memory_write(lists->memory, start, from, size);
	}
	return false;
}

bool lists_put_module(struct lists *lists, const char *what, const struct config_file *file,
		      uint64_t *gpa, struct error *error)
{
	return lists_put_file(lists, file->data, file->size, gpa) ||
	       error_set(error,
			 "%s: %lluK do not fit between 0x%llx and 0x%llx; want more memory or "
			 "a smaller %s",
			 what, (unsigned long long)(file->size / KIB),
			 (unsigned long long)align_up(lists->room[0].next, PAGE_SIZE),
			 (unsigned long long)lists->room[0].end, what);
}

bool lists_put_cmdline(struct lists *lists, struct text cmdline, struct error *error)
{
	uint64_t limit = LAYOUT_CMDLINE_END - LAYOUT_CMDLINE - 1;

	if (cmdline.length > limit)
		return error_set(error, "cmdline: %zu characters; want at most %llu",
				 cmdline.length, (unsigned long long)limit);
	return (guest_memory_write(lists->memory, LAYOUT_CMDLINE, cmdline.start, cmdline.length) &&
		guest_memory_zero(lists->memory, LAYOUT_CMDLINE + cmdline.length, 1)) ||
	       error_set(error, "cmdline: no RAM at 0x%x for it", LAYOUT_CMDLINE);
}
