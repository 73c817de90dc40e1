/* SPDX-License-Identifier: MIT */
/* The CPU states in which boot protocols hand over. */
#include "vm/image_start.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "lib/x86.h"
#include "vm/layout.h"

#define FLAT_LIMIT     0xFFFFFFFFu
#define REAL_LIMIT     0xFFFF
#define TSS_LIMIT      0x67
#define REAL_IDT_LIMIT 0x3FF /* 256 vectors of 4 bytes */

/* Segment descriptors: base 0, limit 4 GiB, present, accessed. */
#define DESCRIPTOR_CODE64 0x00AF9B000000FFFFULL
#define DESCRIPTOR_CODE32 0x00CF9B000000FFFFULL
#define DESCRIPTOR_DATA	  0x00CF93000000FFFFULL

#define ENTRY_TABLE	  0x03ULL /* present, writable */
#define ENTRY_2M	  0x83ULL
#define ENTRIES		  512u
#define DIRECTORIES	  4u /* of 1 GiB each */

_Static_assert(LAYOUT_PAGE_TABLES + (2 + DIRECTORIES) * PAGE_SIZE == LAYOUT_PAGE_TABLES_END,
	       "PML4, PDPT and directories");

static bool write64(struct guest_memory *memory, uint64_t gpa, uint64_t value)
{
	return guest_memory_write(memory, gpa, &value, sizeof(value));
}

static bool write_page_tables(struct guest_memory *memory)
{
	uint64_t pdpt = LAYOUT_PAGE_TABLES + PAGE_SIZE, directory = pdpt + PAGE_SIZE;

	if (!guest_memory_zero(memory, LAYOUT_PAGE_TABLES,
			       LAYOUT_PAGE_TABLES_END - LAYOUT_PAGE_TABLES) ||
	    !write64(memory, LAYOUT_PAGE_TABLES, pdpt | ENTRY_TABLE))
		return false;
	for (uint64_t i = 0; i < DIRECTORIES; i++)
		if (!write64(memory, pdpt + 8 * i, (directory + i * PAGE_SIZE) | ENTRY_TABLE))
			return false;
	for (uint64_t i = 0; i < DIRECTORIES * ENTRIES; i++)
		if (!write64(memory, directory + 8 * i, i * PAGE_SIZE_2M | ENTRY_2M))
			return false;
	return true;
}

static bool write_gdt(struct guest_memory *memory, uint64_t code)
{
	uint64_t gdt[] = {
		[START_CODE_SELECTOR / 8] = code,
		[START_DATA_SELECTOR / 8] = DESCRIPTOR_DATA,
	};

	return guest_memory_write(memory, LAYOUT_GDT, gdt, sizeof(gdt));
}

static void set_flat(struct vcpu_start *start, uint64_t rip, uint32_t code_rights)
{
	memset(start, 0, sizeof(*start));
	start->rip = rip;
	start->rflags = RFLAGS_FIXED;
	start->gpr[4] = LAYOUT_STACK_TOP;
	for (unsigned i = 0; i < SEGMENTS; i++)
		start->segment[i] = (struct start_segment){
			.selector = START_DATA_SELECTOR,
			.limit = FLAT_LIMIT,
			.rights = RIGHTS_DATA32,
		};
	start->segment[SEGMENT_CS].selector = START_CODE_SELECTOR;
	start->segment[SEGMENT_CS].rights = code_rights;
	start->ldtr.rights = RIGHTS_UNUSABLE;
	start->tr.rights = RIGHTS_TSS_BUSY;
	start->tr.limit = TSS_LIMIT;
	start->gdtr.base = LAYOUT_GDT;
	start->gdtr.limit = START_DATA_SELECTOR + 7;
}

bool start_protected32(struct vcpu_start *start, struct guest_memory *memory, uint64_t rip,
		       struct error *error)
{
	if (!write_gdt(memory, DESCRIPTOR_CODE32))
		return error_set(error, "memory: no room for start-up tables; want 2M or more");
	set_flat(start, rip, RIGHTS_CODE32);
	start->mode = START_PROTECTED32;
	start->cr0 = CR0_PE | CR0_ET;
	return true;
}

bool start_long64(struct vcpu_start *start, struct guest_memory *memory, uint64_t rip,
		  struct error *error)
{
	if (!write_gdt(memory, DESCRIPTOR_CODE64) || !write_page_tables(memory))
		return error_set(error, "memory: no room for start-up tables; want 2M or more");
	set_flat(start, rip, RIGHTS_CODE64);
	start->mode = START_LONG64;
	start->cr0 = CR0_PE | CR0_ET | CR0_PG;
	start->cr3 = LAYOUT_PAGE_TABLES;
	start->cr4 = CR4_PAE;
	start->efer = EFER_LME | EFER_LMA;
	return true;
}

void start_real16(struct vcpu_start *start, uint64_t rip)
{
	struct start_segment *code = &start->segment[SEGMENT_CS];

	set_flat(start, rip & 0xFFFF, RIGHTS_CODE16);
	for (unsigned i = 0; i < SEGMENTS; i++)
		start->segment[i] =
			(struct start_segment){.limit = 0xFFFF, .rights = RIGHTS_DATA16};
	code->rights = RIGHTS_CODE16;
	code->base = rip & ~UINT64_C(0xFFFF);
	code->selector = (uint16_t)(code->base >> 4);
	start->gpr[4] = LAYOUT_GDT;
	start->mode = START_REAL16;
	start->cr0 = CR0_ET;
	start->gdtr = (struct start_table){0};
	start->idtr.limit = REAL_IDT_LIMIT;
}

void start_reset(struct vcpu_start *start, uint32_t signature)
{
	const struct start_segment data = {.limit = REAL_LIMIT, .rights = RIGHTS_DATA16};

	*start = (struct vcpu_start){
		.mode = START_REAL16,
		.rip = 0xFFF0,
		.rflags = RFLAGS_FIXED,
		.gpr[2] = signature,
		.cr0 = CR0_ET | CR0_NW | CR0_CD,
		.ldtr = {.limit = REAL_LIMIT, .rights = RIGHTS_LDT},
		.tr = {.limit = REAL_LIMIT, .rights = RIGHTS_TSS_BUSY},
		.gdtr.limit = REAL_LIMIT,
		.idtr.limit = REAL_LIMIT,
	};
	for (unsigned i = 0; i < SEGMENTS; i++)
		start->segment[i] = data;
	start->segment[SEGMENT_CS] = (struct start_segment){
		.selector = 0xF000,
		.base = 0xFFFF0000,
		.limit = REAL_LIMIT,
		.rights = RIGHTS_CODE16,
	};
}
