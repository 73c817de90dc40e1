/* SPDX-License-Identifier: MIT */
/*
 * Reader of ELF executables for x86, 32-bit and 64-bit: everything comes out in the 64-bit form.
 * The file is not trusted: each header is checked against the file's size before it is copied.
 *
 * Source: 'Tool Interface Standard ELF Specification 1.2'; 'ELF-64 Object File Format 1.5'.
 */
#ifndef VM_ELF_H
#define VM_ELF_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/config.h"
#include "vm/load_plan.h"

#define ELF_LOAD   1 /* program header types */
#define ELF_NOTE   4
#define ELF_NOBITS 8 /* section type */
#define ELF_ALLOC  2 /* section flag */

struct elf_header {
	uint8_t ident[16];
	uint16_t type;
	uint16_t machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_program {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_section {
	uint32_t name, type;
	uint64_t flags, addr, offset, size;
	uint32_t link, info;
	uint64_t addralign, entsize;
};

struct elf {
	const struct config_file *file;
	struct elf_header header;
	bool wide; /* 64-bit */
};

bool elf_recognise(const struct config_file *file);

/* False, with `error` set, for what is no executable for x86 of whole headers. */
bool elf_open(struct elf *elf, const struct config_file *file, struct error *error);

/* Number i, below phnum or shnum; false beyond the file's end. */
bool elf_program(const struct elf *elf, unsigned i, struct elf_program *program);
bool elf_section(const struct elf *elf, unsigned i, struct elf_section *section);

/* The segments, and the entry as a gpa: linked addresses and physical ones are both taken. */
bool elf_plan(const struct elf *elf, struct plan *plan, struct error *error);

/* The number (4 or 8 bytes) in the first note of this name and type. */
bool elf_note(const struct elf *elf, const char *name, uint32_t type, uint64_t *value);

/*
 * Bytes that boot information's section headers take, 0 for none; and writes them to `gpa`, with
 * the address that `place` gave to each section that no segment holds (symbols, their names).
 */
uint32_t elf_sections_size(const struct elf *elf);
bool elf_sections_write(const struct elf *elf, struct guest_memory *memory, uint64_t gpa,
			bool (*place)(void *ctx, const void *from, uint64_t size, uint64_t *to),
			void *ctx, struct error *error);

#endif
