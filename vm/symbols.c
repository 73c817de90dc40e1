/* SPDX-License-Identifier: MIT */
/* Nearest symbols, by a linear scan: a report asks a few times, and then the guest is gone. */
#include "vm/symbols.h"

#include "lib/bits.h"
#include "lib/error.h"
#include "lib/string.h"
#include "vm/config.h"
#include "vm/elf.h"

#define SECTION_SYMTAB 2
#define SECTION_DYNSYM 11
#define TYPE_MASK      0xF
#define TYPE_NONE      0
#define TYPE_FUNCTION  2
#define SECTION_NONE   0

struct symbol64 {
	uint32_t name;
	uint8_t info, other;
	uint16_t section;
	uint64_t value, size;
};

struct symbol32 {
	uint32_t name, value, size;
	uint8_t info, other;
	uint16_t section;
};

_Static_assert(sizeof(struct symbol64) == 24 && sizeof(struct symbol32) == 16, "Symbol Table");

#define SECTION_RESERVED 0xFF00 /* and above: absolute numbers, common blocks */
#define ADDRESS_DIGITS	 8	/* lines: no fewer */

struct symbol {
	uint64_t value, size;
	const uint8_t *name;
	uint64_t room; /* bytes of file from the name on; 0: it has none, or is of no use */
};

static bool section_bytes(const struct elf *elf, const struct elf_section *section,
			  const uint8_t **data, uint64_t *size)
{
	if (section->type == ELF_NOBITS ||
	    !range_within(section->offset, section->size, elf->file->size))
		return false;
	*data = elf->file->data + section->offset;
	*size = section->size;
	return true;
}

static bool use_section(struct symbols *s, const struct elf *elf, uint32_t type)
{
	for (unsigned i = 0; i < elf->header.shnum; i++) {
		struct elf_section table, names;

		if (elf_section(elf, i, &table) && table.type == type &&
		    elf_section(elf, table.link, &names) &&
		    section_bytes(elf, &names, &s->names, &s->names_size) &&
		    section_bytes(elf, &table, &s->table, &s->table_size))
			return true;
	}
	return false;
}

void symbols_init(struct symbols *s, const uint8_t *data, uint64_t size)
{
	struct config_file file = {.data = data, .size = size};
	struct elf elf;
	struct error error;

	*s = (struct symbols){.table = data, .table_size = size};
	if (!elf_recognise(&file)) {
		s->text = true;
		return;
	}
	if (elf_open(&elf, &file, &error)) {
		s->wide = elf.wide;
		if (use_section(s, &elf, SECTION_SYMTAB) || use_section(s, &elf, SECTION_DYNSYM))
			return;
	}
	s->table_size = 0;
}

/* The symbol at `at`, which has room; returns where the next one is. */
static uint64_t read_elf(const struct symbols *s, uint64_t at, struct symbol *symbol)
{
	struct symbol64 wide;
	struct symbol32 narrow;

	if (s->wide) {
		memcpy(&wide, s->table + at, sizeof(wide));
	} else {
		memcpy(&narrow, s->table + at, sizeof(narrow));
		wide = (struct symbol64){narrow.name,	 narrow.info,  narrow.other,
					 narrow.section, narrow.value, narrow.size};
	}
	symbol->value = wide.value;
	symbol->size = wide.size;
	symbol->room = 0;
	if (((wide.info & TYPE_MASK) == TYPE_NONE || (wide.info & TYPE_MASK) == TYPE_FUNCTION) &&
	    wide.section != SECTION_NONE && wide.section < SECTION_RESERVED &&
	    wide.name < s->names_size) {
		symbol->name = s->names + wide.name;
		symbol->room = s->names_size - wide.name;
	}
	return at + (s->wide ? sizeof(wide) : sizeof(narrow));
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As read_elf, of a line 'address letter name'; absolute numbers (A) are no addresses. */
static uint64_t read_line(const struct symbols *s, uint64_t at, struct symbol *symbol)
{
	uint64_t end = at, digits = at;

	*symbol = (struct symbol){0};
	while (end < s->table_size && s->table[end] != '\n')
		end++;
	for (; digits < end && digit(s->table[digits]) >= 0; digits++)
		symbol->value = symbol->value << 4 | (unsigned)digit(s->table[digits]);
	if (digits - at >= ADDRESS_DIGITS && digits - at <= 2 * ADDRESS_DIGITS &&
	    end - digits > 3 && s->table[digits] == ' ' && s->table[digits + 2] == ' ' &&
	    (s->table[digits + 1] | 0x20) != 'a') {
		symbol->name = s->table + digits + 3;
		symbol->room = end - digits - 3;
	}
	return end + 1;
}

static void copy_name(char *to, size_t size, const struct symbol *symbol, bool text)
{
	size_t n = 0;

	for (; n + 1 < size && n < symbol->room; n++) {
		uint8_t c = symbol->name[n];

		if (c == '\0' || (text && c <= ' '))
			break;
		to[n] = c < ' ' || c > '~' ? '?' : (char)c;
	}
	to[n] = '\0';
}

bool symbols_find(const struct symbols *s, uint64_t address, char *name, size_t name_size,
		  uint64_t *offset)
{
	struct symbol best = {0}, symbol;
	uint64_t entry = s->text ? 1 : s->wide ? sizeof(struct symbol64) : sizeof(struct symbol32);

	for (uint64_t at = 0; at < s->table_size && s->table_size - at >= entry;) {
		at = s->text ? read_line(s, at, &symbol) : read_elf(s, at, &symbol);
		if (!symbol.room || *symbol.name == '\0' || symbol.value > address ||
		    (best.room && symbol.value < best.value))
			continue;
		if (!best.room || symbol.value > best.value || symbol.size > best.size)
			best = symbol;
	}
	*offset = address - best.value;
	if (!best.room || *offset >= (best.size ? best.size : SYMBOLS_REACH) ||
	    *offset >= SYMBOLS_REACH)
		return false;
	copy_name(name, name_size, &best, s->text);
	return true;
}
