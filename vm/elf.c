/* SPDX-License-Identifier: MIT */
/* Reader of ELF executables for x86. */
#include "vm/elf.h"

#include "lib/bits.h"
#include "lib/string.h"

#define MAGIC	       "\177ELF"
#define CLASS	       4 /* offsets in the file */
#define DATA	       5
#define CLASS_32       1
#define CLASS_64       2
#define LITTLE	       1
#define TYPE_EXEC      2
#define TYPE_DYN       3
#define MACHINE_386    3
#define MACHINE_X86_64 62

struct header32 {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version, entry, phoff, shoff, flags;
	uint16_t sizes[6]; /* ehsize to shstrndx */
};

struct program32 {
	uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct section32 {
	uint32_t name, type, flags, addr, offset, size, link, info, addralign, entsize;
};

struct note {
	uint32_t name_size, value_size, type;
};

_Static_assert(sizeof(struct header32) == 52 && sizeof(struct elf_header) == 64, "ELF header");
_Static_assert(sizeof(struct program32) == 32 && sizeof(struct elf_program) == 56, "ELF segment");
_Static_assert(sizeof(struct section32) == 40 && sizeof(struct elf_section) == 64, "ELF section");

/* Copies what lies wholly in the file. */
static bool copy(const struct config_file *file, uint64_t offset, void *to, size_t size)
{
	if (!range_within(offset, size, file->size))
		return false;
	memcpy(to, file->data + offset, size);
	return true;
}

bool elf_recognise(const struct config_file *file)
{
	return file->size >= 4 && !memcmp(file->data, MAGIC, 4);
}

static bool read_header(struct elf *elf)
{
	struct header32 narrow;

	elf->wide = elf->file->size > CLASS && elf->file->data[CLASS] == CLASS_64;
	if (elf->wide)
		return copy(elf->file, 0, &elf->header, sizeof(elf->header));
	if (!copy(elf->file, 0, &narrow, sizeof(narrow)))
		return false;
	/* Alike but for the width of three numbers in the middle. */
	memcpy(&elf->header, &narrow, offsetof(struct header32, entry));
	elf->header.entry = narrow.entry;
	elf->header.phoff = narrow.phoff;
	elf->header.shoff = narrow.shoff;
	elf->header.flags = narrow.flags;
	memcpy(&elf->header.ehsize, narrow.sizes, sizeof(narrow.sizes));
	return true;
}

bool elf_open(struct elf *elf, const struct config_file *file, struct error *error)
{
	const struct elf_header *header = &elf->header;
	unsigned program, section;

	elf->file = file;
	if (!read_header(elf))
		return error_set(error, "kernel: truncated ELF file: %llu bytes",
				 (unsigned long long)file->size);
	program = elf->wide ? sizeof(struct elf_program) : sizeof(struct program32);
	section = elf->wide ? sizeof(struct elf_section) : sizeof(struct section32);
	if ((header->type != TYPE_EXEC && header->type != TYPE_DYN) ||
	    (header->machine != MACHINE_386 && header->machine != MACHINE_X86_64) ||
	    header->ident[DATA] != LITTLE || (!elf->wide && header->ident[CLASS] != CLASS_32))
		return error_set(error,
				 "kernel: ELF type %u for machine %u; want an executable "
				 "for x86",
				 header->type, header->machine);
	if (header->phnum && header->phentsize < program)
		return error_set(error, "kernel: ELF program headers of %u bytes; want %u",
				 header->phentsize, program);
	/* Sections are a courtesy: without good headers there are none. */
	if (header->shentsize != section)
		elf->header.shnum = 0;
	return true;
}

bool elf_program(const struct elf *elf, unsigned i, struct elf_program *program)
{
	uint64_t at = elf->header.phoff + (uint64_t)i * elf->header.phentsize;
	struct program32 narrow;

	if (elf->wide)
		return copy(elf->file, at, program, sizeof(*program));
	if (!copy(elf->file, at, &narrow, sizeof(narrow)))
		return false;
	*program = (struct elf_program){narrow.type,  narrow.flags,  narrow.offset, narrow.vaddr,
					narrow.paddr, narrow.filesz, narrow.memsz,  narrow.align};
	return true;
}

bool elf_section(const struct elf *elf, unsigned i, struct elf_section *section)
{
	uint64_t at = elf->header.shoff + (uint64_t)i * elf->header.shentsize;
	struct section32 n;

	if (elf->wide)
		return copy(elf->file, at, section, sizeof(*section));
	if (!copy(elf->file, at, &n, sizeof(n)))
		return false;
	*section = (struct elf_section){n.name, n.type, n.flags, n.addr,      n.offset,
					n.size, n.link, n.info,	 n.addralign, n.entsize};
	return true;
}

/* The entry point is a linked address; the CPU starts without paging, at its physical one. */
static uint64_t physical_entry(const struct plan *plan, uint64_t entry)
{
	for (unsigned i = 0; i < plan->segments; i++) {
		const struct plan_segment *segment = &plan->segment[i];

		if (entry - segment->linked < segment->size)
			return entry - segment->linked + segment->gpa;
	}
	return entry;
}

bool elf_plan(const struct elf *elf, struct plan *plan, struct error *error)
{
	for (unsigned i = 0; i < elf->header.phnum; i++) {
		struct elf_program program;
		struct plan_segment segment;

		if (!elf_program(elf, i, &program))
			return error_set(error,
					 "kernel: truncated ELF file: its program headers lie "
					 "beyond its %llu bytes",
					 (unsigned long long)elf->file->size);
		if (program.type != ELF_LOAD)
			continue;
		segment = (struct plan_segment){program.offset, program.filesz, program.paddr,
						program.memsz, program.vaddr};
		if (!plan_add(plan, &segment, elf->file->size, error))
			return false;
	}
	plan->entry = physical_entry(plan, elf->header.entry);
	return true;
}

/* Notes are of the 4-byte alignment that all tools use; sizes are of 32 bits, so sums fit. */
static bool find_note(const struct config_file *file, uint64_t at, uint64_t end, const char *name,
		      uint32_t type, uint64_t *value)
{
	struct note note;

	while (range_within(at, sizeof(note), end) && copy(file, at, &note, sizeof(note))) {
		uint64_t name_at = at + sizeof(note);
		uint64_t value_at = name_at + align_up(note.name_size, 4);
		char found[8] = {0};

		*value = 0;
		if (note.type == type && note.name_size == strlen(name) + 1 &&
		    note.name_size <= sizeof(found) &&
		    (note.value_size == 4 || note.value_size == 8) &&
		    copy(file, name_at, found, note.name_size) && !strcmp(found, name) &&
		    copy(file, value_at, value, note.value_size))
			return true;
		at = value_at + align_up(note.value_size, 4);
	}
	return false;
}

bool elf_note(const struct elf *elf, const char *name, uint32_t type, uint64_t *value)
{
	for (unsigned i = 0; i < elf->header.phnum; i++) {
		struct elf_program program;

		if (elf_program(elf, i, &program) && program.type == ELF_NOTE &&
		    range_within(program.offset, program.filesz, elf->file->size) &&
		    find_note(elf->file, program.offset, program.offset + program.filesz, name,
			      type, value))
			return true;
	}
	return false;
}

uint32_t elf_sections_size(const struct elf *elf)
{
	uint64_t size = (uint64_t)elf->header.shnum * elf->header.shentsize;

	return range_within(elf->header.shoff, size, elf->file->size) ? (uint32_t)size : 0;
}

bool elf_sections_write(const struct elf *elf, struct guest_memory *memory, uint64_t gpa,
			bool (*place)(void *ctx, const void *from, uint64_t size, uint64_t *to),
			void *ctx, struct error *error)
{
	unsigned addr_at =
		elf->wide ? offsetof(struct elf_section, addr) : offsetof(struct section32, addr);
	unsigned addr_size = elf->wide ? 8 : 4;

	for (unsigned i = 0; i < elf->header.shnum; i++) {
		uint64_t at = (uint64_t)i * elf->header.shentsize;
		struct elf_section section = {0};

		if (!elf_section(elf, i, &section) ||
		    !guest_memory_write(memory, gpa + at, elf->file->data + elf->header.shoff + at,
					elf->header.shentsize))
			return error_set(error, "kernel: no room for its section headers");
		if (section.addr || section.type == ELF_NOBITS || section.flags & ELF_ALLOC ||
		    !section.size || !range_within(section.offset, section.size, elf->file->size))
			continue;
		if (!place(ctx, elf->file->data + section.offset, section.size, &section.addr) ||
		    !guest_memory_write(memory, gpa + at + addr_at, &section.addr, addr_size))
			return error_set(error,
					 "kernel: no room for section %u of %lluK; want more "
					 "memory, or a stripped kernel",
					 i, (unsigned long long)(section.size / KIB));
	}
	return true;
}
