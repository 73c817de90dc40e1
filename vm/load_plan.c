/* SPDX-License-Identifier: MIT */
/* What of a kernel's file goes where. */
#include "vm/load_plan.h"

#include "lib/bits.h"
#include "vm/image_map.h"
#include "vm/layout.h"

#define ALWAYS 0x100u /* beside enum plan_use */

static const struct reserved {
	unsigned uses;
	uint32_t start, end;
	const char *what;
} reserved[] = {
	{ALWAYS, LAYOUT_IVT, LAYOUT_GDT, "real-mode vectors and BIOS data"},
	{PLAN_GDT, LAYOUT_GDT, LAYOUT_BOOT_PARAMS, "the first GDT"},
	{PLAN_INFO, LAYOUT_BOOT_PARAMS, LAYOUT_BOOT_LISTS_END, "the boot information"},
	{PLAN_TABLES, LAYOUT_PAGE_TABLES, LAYOUT_PAGE_TABLES_END, "the first page tables"},
	{PLAN_STACK, LAYOUT_PAGE_TABLES_END, LAYOUT_STACK_TOP, "the first stack"},
	{PLAN_CMDLINE, LAYOUT_CMDLINE, LAYOUT_CMDLINE_END, "the command line"},
	{ALWAYS, LAYOUT_EBDA, LAYOUT_KERNEL, "BIOS data, video memory and ACPI tables"},
};

bool plan_add(struct plan *plan, const struct plan_segment *segment, uint64_t file_size,
	      struct error *error)
{
	if (!segment->size)
		return true;
	if (plan->segments == PLAN_SEGMENTS_MAX)
		return error_set(error, "kernel: too many ELF segments; want %u or fewer",
				 PLAN_SEGMENTS_MAX);
	if (!range_within(segment->offset, segment->file_size, file_size))
		return error_set(error,
				 "kernel: truncated: segment %u needs the file's bytes 0x%llx to "
				 "0x%llx, it has 0x%llx",
				 plan->segments, (unsigned long long)segment->offset,
				 (unsigned long long)(segment->offset + segment->file_size),
				 (unsigned long long)file_size);
	if (segment->file_size > segment->size)
		return error_set(error,
				 "kernel: segment %u has more bytes in the file than in memory",
				 plan->segments);
	plan->segment[plan->segments++] = *segment;
	return true;
}

void plan_measure(struct plan *plan)
{
	plan->base = UINT64_MAX;
	plan->end = 0;
	for (unsigned i = 0; i < plan->segments; i++) {
		const struct plan_segment *segment = &plan->segment[i];
		uint64_t end = segment->gpa + segment->size;

		plan->base = MIN(plan->base, segment->gpa);
		plan->end = MAX(plan->end, end < segment->gpa ? UINT64_MAX : end);
	}
}

void plan_move(struct plan *plan, uint64_t distance)
{
	for (unsigned i = 0; i < plan->segments; i++)
		plan->segment[i].gpa += distance;
	plan->entry += distance;
	plan_measure(plan);
}

static bool meets(const struct plan_segment *segment, uint64_t start, uint64_t end)
{
	return segment->gpa < end && start < segment->gpa + segment->size;
}

static bool check_segment(const struct plan *plan, unsigned i, unsigned uses, uint64_t ram_end,
			  struct error *error)
{
	const struct plan_segment *segment = &plan->segment[i];

	if (!range_within(segment->gpa, segment->size, ram_end))
		return error_set(error,
				 "kernel: segment %u, 0x%llx bytes at 0x%llx, leaves memory; want "
				 "it below 0x%llx",
				 i, (unsigned long long)segment->size,
				 (unsigned long long)segment->gpa, (unsigned long long)ram_end);
	for (unsigned j = 0; j < ARRAY_SIZE(reserved); j++)
		if (reserved[j].uses & uses && meets(segment, reserved[j].start, reserved[j].end))
			return error_set(
				error,
				"kernel: segment %u, 0x%llx bytes at 0x%llx, overlaps %s at "
				"0x%x to 0x%x; want it from 0x%x on",
				i, (unsigned long long)segment->size,
				(unsigned long long)segment->gpa, reserved[j].what,
				reserved[j].start, reserved[j].end, LAYOUT_KERNEL);
	for (unsigned j = 0; j < i; j++) {
		const struct plan_segment *other = &plan->segment[j];

		if (meets(segment, other->gpa, other->gpa + other->size))
			return error_set(error,
					 "kernel: segments %u and %u overlap at 0x%llx; want each "
					 "in a place of its own",
					 j, i, (unsigned long long)MAX(segment->gpa, other->gpa));
	}
	return true;
}

static bool check(const struct plan *plan, unsigned uses, uint64_t ram_end, struct error *error)
{
	bool entered = false;

	for (unsigned i = 0; i < plan->segments; i++) {
		if (!check_segment(plan, i, uses, ram_end, error))
			return false;
		entered |= plan->entry - plan->segment[i].gpa < plan->segment[i].size;
	}
	return entered || error_set(error, "kernel: entry point 0x%llx lies in no segment",
				    (unsigned long long)plan->entry);
}

bool plan_write(struct plan *plan, const struct config_file *file, unsigned uses,
		struct guest_memory *memory, struct error *error)
{
	if (!check(plan, uses | ALWAYS, image_ram_end(memory), error))
		return false;
	for (unsigned i = 0; i < plan->segments; i++) {
		const struct plan_segment *segment = &plan->segment[i];

		if (!guest_memory_write(memory, segment->gpa, file->data + segment->offset,
					segment->file_size) ||
		    !guest_memory_zero(memory, segment->gpa + segment->file_size,
				       segment->size - segment->file_size))
			return error_set(error, "kernel: segment %u at 0x%llx is not RAM", i,
					 (unsigned long long)segment->gpa);
	}
	plan_measure(plan);
	return true;
}
