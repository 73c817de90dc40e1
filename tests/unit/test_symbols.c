/* SPDX-License-Identifier: MIT */
/* Names out of symbol tables: made by hand, this program's own, and damaged ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/symbols.h"

#define NAMES	 0x200 /* offsets in the files made here */
#define SYMBOLS	 0x300
#define SECTIONS 0x100

static const char names[] = "\0start\0inner\0label\0data\0far\0odd\033\377name\0";

/* Name, type, section, value, size. */
static const struct {
	const char *name;
	unsigned type, section;
	uint64_t value, size;
} rows[] = {
	{"", STT_NOTYPE, SHN_UNDEF, 0, 0},	   {"label", STT_NOTYPE, 1, 0x102000, 0},
	{"start", STT_FUNC, 1, 0x101000, 0x100},   {"inner", STT_FUNC, 1, 0x101000, 0x10},
	{"data", STT_OBJECT, 1, 0x102010, 4},	   {"odd", STT_FUNC, 1, 0x500000, 4},
	{"far", STT_NOTYPE, SHN_ABS, 0x101080, 0}, {"far", STT_NOTYPE, SHN_UNDEF, 0x101080, 0},
};

static uint32_t name_at(const char *name)
{
	for (uint32_t i = 1; *name && i < sizeof(names); i++)
		if (!names[i - 1] && !strncmp(names + i, name, strlen(name)))
			return i;
	return 0;
}

static size_t make_elf64(uint8_t *file, unsigned type)
{
	Elf64_Ehdr header = {.e_ident = {0x7F, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			     .e_type = ET_EXEC,
			     .e_machine = EM_X86_64,
			     .e_version = EV_CURRENT,
			     .e_shoff = SECTIONS,
			     .e_shentsize = sizeof(Elf64_Shdr),
			     .e_shnum = 3};
	Elf64_Shdr sections[3] = {
		{0},
		{.sh_type = type,
		 .sh_offset = SYMBOLS,
		 .sh_size = ARRAY_SIZE(rows) * sizeof(Elf64_Sym),
		 .sh_link = 2},
		{.sh_type = SHT_STRTAB, .sh_offset = NAMES, .sh_size = sizeof(names)},
	};

	memset(file, 0, 0x1000);
	memcpy(file, &header, sizeof(header));
	memcpy(file + SECTIONS, sections, sizeof(sections));
	memcpy(file + NAMES, names, sizeof(names));
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		Elf64_Sym symbol = {.st_name = name_at(rows[i].name),
				    .st_info = ELF64_ST_INFO(STB_GLOBAL, rows[i].type),
				    .st_shndx = (uint16_t)rows[i].section,
				    .st_value = rows[i].value,
				    .st_size = rows[i].size};

		memcpy(file + SYMBOLS + i * sizeof(symbol), &symbol, sizeof(symbol));
	}
	return SYMBOLS + sections[1].sh_size;
}

static size_t make_elf32(uint8_t *file, unsigned type)
{
	Elf32_Ehdr header = {.e_ident = {0x7F, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
			     .e_type = ET_EXEC,
			     .e_machine = EM_386,
			     .e_version = EV_CURRENT,
			     .e_shoff = SECTIONS,
			     .e_shentsize = sizeof(Elf32_Shdr),
			     .e_shnum = 3};
	Elf32_Shdr sections[3] = {
		{0},
		{.sh_type = type,
		 .sh_offset = SYMBOLS,
		 .sh_size = ARRAY_SIZE(rows) * sizeof(Elf32_Sym),
		 .sh_link = 2},
		{.sh_type = SHT_STRTAB, .sh_offset = NAMES, .sh_size = sizeof(names)},
	};

	memset(file, 0, 0x1000);
	memcpy(file, &header, sizeof(header));
	memcpy(file + SECTIONS, sections, sizeof(sections));
	memcpy(file + NAMES, names, sizeof(names));
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		Elf32_Sym symbol = {.st_name = name_at(rows[i].name),
				    .st_info = ELF32_ST_INFO(STB_GLOBAL, rows[i].type),
				    .st_shndx = (uint16_t)rows[i].section,
				    .st_value = (uint32_t)rows[i].value,
				    .st_size = (uint32_t)rows[i].size};

		memcpy(file + SYMBOLS + i * sizeof(symbol), &symbol, sizeof(symbol));
	}
	return SYMBOLS + sections[1].sh_size;
}

/* `want` is 'name+offset', or empty for none. */
static void expect(const struct symbols *s, uint64_t address, const char *want)
{
	char name[32], text[64] = "";
	uint64_t offset;

	if (symbols_find(s, address, name, sizeof(name), &offset))
		snprintf(text, sizeof(text), "%s+%llx", name, (unsigned long long)offset);
	assert_string_equal(text, want);
}

static void check_rows(const struct symbols *s)
{
	expect(s, 0x100FFF, "");
	expect(s, 0x101000, "start+0");
	expect(s, 0x10100F, "start+f");
	expect(s, 0x1010FF, "start+ff");
	expect(s, 0x101100, "");
	expect(s, 0x102000, "label+0");
	expect(s, 0x102012, "label+12"); /* data is nobody's code */
	expect(s, 0x201FFF, "label+fffff");
	expect(s, 0x202000, "");
	expect(s, 0x500001, "odd??name+1");
	expect(s, 0x500004, "");
	expect(s, ~UINT64_C(0), "");
}

static void test_elf(void **state)
{
	static const unsigned types[] = {SHT_SYMTAB, SHT_DYNSYM};
	uint8_t *file = malloc(0x1000);
	struct symbols s;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		symbols_init(&s, file, make_elf64(file, types[i]));
		check_rows(&s);
		symbols_init(&s, file, make_elf32(file, types[i]));
		check_rows(&s);
	}
	symbols_init(&s, file, make_elf64(file, SHT_PROGBITS));
	expect(&s, 0x101000, "");
	free(file);
}

/* A table that ends inside a symbol, and the file with it. */
static void test_half_a_symbol(void **state)
{
	uint8_t *whole = malloc(0x1000), *file;
	size_t size = make_elf64(whole, SHT_SYMTAB) - 8;
	uint64_t table = ARRAY_SIZE(rows) * sizeof(Elf64_Sym) - 8;
	struct symbols s;

	(void)state;
	memcpy(whole + SECTIONS + sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_size), &table,
	       sizeof(table));
	file = malloc(size);
	memcpy(file, whole, size);
	symbols_init(&s, file, size);
	check_rows(&s);
	free(file);
	free(whole);
}

static void test_cut_name(void **state)
{
	uint8_t *file = malloc(0x1000);
	char name[4] = "xxx";
	uint64_t offset;
	struct symbols s;

	(void)state;
	symbols_init(&s, file, make_elf64(file, SHT_SYMTAB));
	assert_true(symbols_find(&s, 0x101001, name, sizeof(name), &offset));
	assert_string_equal(name, "sta");
	assert_true(symbols_find(&s, 0x101001, name, 1, &offset));
	assert_string_equal(name, "");
	free(file);
}

static const char map[] = "                 U missing\n"
			  "0000000000000000 A per_cpu\n"
			  "ffffffff81000000 T startup_64\n"
			  "ffffffff81000040 t local\tmodule\r\n"
			  "ffffffff81001000 D data\n"
			  "nonsense\n"
			  "00101000 W narrow\n"
			  "ffffffff81000030 T \n"
			  "f T short\n"
			  "ffffffff82000000 T last";

static void test_lines(void **state)
{
	struct symbols s;

	(void)state;
	symbols_init(&s, (const uint8_t *)map, sizeof(map) - 1);
	expect(&s, 0xFFFFFFFF80FFFFFF, "");
	expect(&s, 0xFFFFFFFF81000000, "startup_64+0");
	expect(&s, 0xFFFFFFFF8100003F, "startup_64+3f");
	expect(&s, 0xFFFFFFFF81000040, "local+0");
	expect(&s, 0xFFFFFFFF81000FFF, "local+fbf");
	expect(&s, 0xFFFFFFFF81001001, "data+1");
	expect(&s, 0xFFFFFFFF82000001, "last+1");
	expect(&s, 0xFFFFFFFF82100000, "");
	expect(&s, 0x101004, "narrow+4");
	expect(&s, 0x10, "");
}

static void test_unknown_file(void **state)
{
	uint8_t noise[4096];
	struct symbols s;

	(void)state;
	for (unsigned i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i * 7 + (i >> 8));
	symbols_init(&s, noise, sizeof(noise));
	expect(&s, 0x1000, "");
	symbols_init(&s, NULL, 0);
	expect(&s, 0x1000, "");
	symbols_init(&s, (const uint8_t *)"\177ELF", 4);
	expect(&s, 0x1000, "");
}

extern const char __executable_start[];

/* A linker's table rather than ours. */
static void test_this_program(void **state)
{
	uint64_t address =
		(uint64_t)(uintptr_t)symbols_find - (uint64_t)(uintptr_t)__executable_start;
	uint8_t *data = malloc(32 * MIB);
	FILE *file = fopen("/proc/self/exe", "rb");
	struct symbols s;

	(void)state;
	assert_non_null(file);
	symbols_init(&s, data, fread(data, 1, 32 * MIB, file));
	fclose(file);
	expect(&s, address, "symbols_find+0");
	expect(&s, address + 5, "symbols_find+5");
	free(data);
}

/* Whatever is damaged: no access outside the file, a name of printable characters or none. */
static void damage(const uint8_t *good, size_t size, unsigned *found)
{
	size_t cut = (size_t)rand() % 4 ? size : (size_t)rand() % (size + 1);
	uint8_t *file = malloc(cut + 1);
	struct symbols s;
	char name[16];
	uint64_t offset;

	memcpy(file + 1, good, cut);
	for (int i = rand() % 6; i >= 0 && cut; i--) {
		static const uint8_t values[] = {0, 1, 0x7F, 0x80, 0xFF, '\n', ' ', 0xFE};
		size_t at = (size_t)rand() % (rand() % 2 ? cut : MIN(cut, (size_t)SECTIONS + 192));

		file[1 + at] = rand() % 2 ? values[rand() % 8] : (uint8_t)rand();
	}
	symbols_init(&s, file + 1, cut);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!symbols_find(&s, rows[i].value + 1, name, sizeof(name), &offset))
			continue;
		++*found;
		assert_true(offset < SYMBOLS_REACH);
		for (const char *c = name; *c; c++)
			assert_true(*c >= ' ' && *c <= '~');
	}
	free(file);
}

static void test_damaged(void **state)
{
	uint8_t *file = malloc(0x1000);
	unsigned found = 0;

	(void)state;
	srand(1);
	for (unsigned i = 0; i < 200000; i++) {
		size_t size = i % 3 == 0   ? make_elf64(file, SHT_SYMTAB)
			      : i % 3 == 1 ? make_elf32(file, SHT_SYMTAB)
					   : sizeof(map) - 1;

		damage(i % 3 == 2 ? (const uint8_t *)map : file, size, &found);
	}
	assert_true(found > 100000);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elf),	      cmocka_unit_test(test_cut_name),
		cmocka_unit_test(test_half_a_symbol), cmocka_unit_test(test_lines),
		cmocka_unit_test(test_unknown_file),  cmocka_unit_test(test_this_program),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
