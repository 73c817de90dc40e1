/* SPDX-License-Identifier: MIT */
/* The Multiboot loader, over small files made here by the offsets of the specifications. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/image.h"
#include "vm/layout.h"
#include "vm/load_multiboot.h"

#define RAM	  (4 * MIB)
#define FILE_SIZE 0x3000
#define HEADER	  0x200 /* of Multiboot, in the file */

struct fixture {
	uint8_t *ram;
	struct guest_memory memory;
	struct vm_config config;
	struct vcpu_start start;
	struct error error;
	uint8_t *image;
	size_t size;
};

static void put(uint8_t *at, unsigned offset, uint64_t value, unsigned size)
{
	memcpy(at + offset, &value, size);
}

static uint64_t get(const uint8_t *at, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, at + offset, size);
	return value;
}

static void put_header(uint8_t *image, uint32_t flags)
{
	put(image, HEADER, 0x1BADB002, 4);
	put(image, HEADER + 4, flags, 4);
	put(image, HEADER + 8, 0u - 0x1BADB002 - flags, 4);
}

/* ELF32 program header `i`; linked 0xC0000000 above its place. */
static void put_segment(uint8_t *image, unsigned i, uint32_t offset, uint32_t paddr,
			uint32_t filesz, uint32_t memsz)
{
	unsigned at = 52 + 32 * i;

	put(image, at, 1, 4);
	put(image, at + 4, offset, 4);
	put(image, at + 8, 0xC0000000 + paddr, 4);
	put(image, at + 12, paddr, 4);
	put(image, at + 16, filesz, 4);
	put(image, at + 20, memsz, 4);
	put(image, 44, i + 1, 2);
}

/* Two segments: 0x1000 bytes at 1 MiB, and 0x800 with 0x1000 of BSS at 0x180000. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t *image = malloc(FILE_SIZE);

	for (unsigned i = 0; i < FILE_SIZE; i++)
		image[i] = (uint8_t)(i * 13 + i / 256);
	memset(image, 0, HEADER + 48);
	put(image, 0, 0x464C457F, 4);
	put(image, 4, 0x010101, 3);
	put(image, 16, 2, 2);
	put(image, 18, 3, 2);
	put(image, 24, 0xC0100010, 4);
	put(image, 28, 52, 4);
	put(image, 42, 32, 2);
	put_segment(image, 0, 0x1000, 0x100000, 0x1000, 0x1000);
	put_segment(image, 1, 0x2000, 0x180000, 0x800, 0x1800);
	put_header(image, 3);
	f->image = image;
	f->size = FILE_SIZE;
	f->ram = malloc(RAM);
	memset(f->ram, 0xEE, RAM);
	f->memory.extent[0] = (struct guest_extent){.size = RAM, .host = f->ram};
	f->memory.extents = 1;
	f->config.kernel.cmdline = text_from("one two", 7);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	free(f->image);
	free(f->ram);
	free(f);
	return 0;
}

/* Loads from a copy of its very size, so that a sanitizer sees a read beyond its end. */
static bool load(struct fixture *f)
{
	uint8_t *exact = malloc(f->size);
	bool loaded;

	memcpy(exact, f->image, f->size);
	f->config.kernel.data = exact;
	f->config.kernel.size = f->size;
	loaded = image_load(&f->config, &f->memory, 0, &f->start, &f->error);
	free(exact);
	return loaded;
}

static void refused(struct fixture *f, const char *field, const char *right)
{
	assert_false(load(f));
	if (!strstr(f->error.text, field) || !strstr(f->error.text, right))
		fail_msg("'%s' should name '%s' and '%s'", f->error.text, field, right);
}

static void test_state(void **state)
{
	struct fixture *f = *state;
	const struct vcpu_start *s = &f->start;

	f->config.kernel = (struct config_file){.data = f->image, .size = FILE_SIZE};
	assert_null(multiboot_lacks(&f->config.kernel));
	assert_true(load(f));
	assert_int_equal(s->mode, START_PROTECTED32);
	assert_int_equal(s->rip, 0x100010);
	assert_int_equal(s->gpr[0], 0x2BADB002);
	assert_int_equal(s->gpr[3], LAYOUT_BOOT_PARAMS);
	assert_int_equal(s->cr0 & 0x80000001, 1);
	assert_int_equal(s->rflags & 0x20200, 0);
	assert_int_equal(s->segment[SEGMENT_CS].rights, 0xC09B);
	assert_int_equal(s->segment[SEGMENT_SS].rights, 0xC093);
	assert_int_equal(s->segment[SEGMENT_DS].limit, 0xFFFFFFFF);
}

static void test_segments(void **state)
{
	struct fixture *f = *state;

	assert_true(load(f));
	assert_memory_equal(f->ram + 0x100000, f->image + 0x1000, 0x1000);
	assert_memory_equal(f->ram + 0x180000, f->image + 0x2000, 0x800);
	for (unsigned i = 0; i < 0x1000; i++)
		assert_int_equal(f->ram[0x180800 + i], 0);
	assert_int_equal(f->ram[0x101000], 0xEE);
	assert_int_equal(f->ram[0x181800], 0xEE);
}

static void test_info(void **state)
{
	struct fixture *f = *state;
	const uint8_t *info = f->ram + LAYOUT_BOOT_PARAMS;
	uint64_t map, end;

	assert_true(load(f));
	assert_int_equal(get(info, 0, 4), 0x1245);
	assert_int_equal(get(info, 4, 4), 639);
	assert_int_equal(get(info, 8, 4), 3072);
	assert_string_equal((char *)f->ram + get(info, 16, 4), "one two");
	/* Xen looks for "GRUB " and no 0 after it: then no file name comes first. */
	assert_string_equal((char *)f->ram + get(info, 64, 4), "Socle (as GRUB 2)");
	assert_int_equal(get(info, 88, 8), 0xB8000);
	assert_int_equal(get(info, 96, 4), 160);
	assert_int_equal(get(info, 100, 4), 80);
	assert_int_equal(get(info, 104, 4), 25);
	assert_int_equal(get(info, 108, 2), 0x0210);
	map = get(info, 48, 4);
	end = map + get(info, 44, 4);
	assert_int_equal(end - map, 6 * 24);
	assert_int_equal(get(f->ram, map, 4), 20);
	assert_int_equal(get(f->ram, map + 4, 8), 0);
	assert_int_equal(get(f->ram, map + 12, 8), 0x9FC00);
	assert_int_equal(get(f->ram, map + 20, 4), 1);
	assert_int_equal(get(f->ram, end - 44, 8), 0x100000);
	assert_int_equal(get(f->ram, end - 36, 8), RAM - 0x100000);
	assert_int_equal(get(f->ram, end - 28, 4), 1);
	assert_int_equal(get(f->ram, end - 20, 8), 0xB0000000);
	assert_int_equal(get(f->ram, end - 4, 4), 2);
}

static void test_modules(void **state)
{
	struct fixture *f = *state;
	const uint8_t *info = f->ram + LAYOUT_BOOT_PARAMS;
	static const uint8_t a[5000] = {1, 2, 3}, b[10] = {4, 5, 6};
	uint64_t list, start[2];

	f->config.modules = 2;
	f->config.module[0] = (struct config_file){a, sizeof(a), text_from("first", 5)};
	f->config.module[1] = (struct config_file){b, sizeof(b), text_from("", 0)};
	assert_true(load(f));
	assert_int_equal(get(info, 0, 4) & 8, 8);
	assert_int_equal(get(info, 20, 4), 2);
	list = get(info, 24, 4);
	start[0] = get(f->ram, list, 4);
	start[1] = get(f->ram, list + 16, 4);
	assert_true(start[0] >= 0x181800 && start[0] % 4096 == 0 && start[1] % 4096 == 0);
	assert_int_equal(get(f->ram, list + 4, 4), start[0] + sizeof(a));
	assert_true(start[1] >= start[0] + sizeof(a));
	assert_memory_equal(f->ram + start[0], a, sizeof(a));
	assert_memory_equal(f->ram + start[1], b, sizeof(b));
	assert_string_equal((char *)f->ram + get(f->ram, list + 8, 4), "first");
	assert_string_equal((char *)f->ram + get(f->ram, list + 24, 4), "");

	f->config.module[1].size = RAM;
	refused(f, "module: 4096K", "more memory");
}

static void test_long_texts(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(0x20000);

	memset(text, 'x', 0x20000);
	f->config.kernel.cmdline = (struct text){text, 0xFFFF};
	assert_true(load(f));
	f->config.kernel.cmdline.length++;
	refused(f, "cmdline: 65536", "at most 65535");
	f->config.kernel.cmdline.length = 0;
	f->config.modules = 1;
	f->config.module[0] = (struct config_file){(uint8_t *)text, 16, {text, 0x8000}};
	refused(f, "module", "too long");
	free(text);
}

static void test_overlap(void **state)
{
	struct fixture *f = *state;

	put_segment(f->image, 1, 0x2000, 0x100FFF, 0x800, 0x1000);
	refused(f, "segments 0 and 1 overlap at 0x100fff", "own");
	put_segment(f->image, 1, 0x2000, 0xFF001 + 0x1000, 0x800, 0x1000);
	refused(f, "overlap", "own");
	put_segment(f->image, 1, 0x2000, 0x101000, 0x800, 0x1000);
	assert_true(load(f));
}

static void test_leaves_memory(void **state)
{
	struct fixture *f = *state;

	put_segment(f->image, 1, 0x2000, RAM - 0x1000, 0x800, 0x1000);
	assert_true(load(f));
	put_segment(f->image, 1, 0x2000, RAM - 0x1000, 0x800, 0x1001);
	refused(f, "segment 1, 0x1001 bytes at 0x3ff000, leaves memory", "below 0x400000");
	put_segment(f->image, 1, 0x2000, 0xFFFFFFFF, 0x800, 0x1000);
	refused(f, "leaves memory", "0x400000");
	put_segment(f->image, 1, 0x2000, 0x180000, 0x800, 0xFFFFFFFF);
	refused(f, "leaves memory", "0x400000");
}

/* Below 1 MiB a segment may lie where nothing else does. */
static void test_low_segments(void **state)
{
	static const struct {
		uint32_t start, size;
		const char *what;
	} bad[] = {
		{0x400, 0x100, "real-mode vectors"},
		{0x1000, 0x10, "the first GDT at 0x1000"},
		{0x7FFF, 0x800, "boot information"},
		{0x1F801, 0x800, "the command line"},
		{0x9F401, 0x800, "video memory and ACPI"},
		{0xB8000, 0x800, "ACPI tables at 0x9fc00"},
		{0xFF900, 0x800, "ACPI tables"},
	};
	struct fixture *f = *state;

	put_segment(f->image, 1, 0x2000, 0x10000, 0x800, 0x10000);
	assert_true(load(f));
	assert_memory_equal(f->ram + 0x10000, f->image + 0x2000, 0x800);
	put_segment(f->image, 1, 0x2000, 0x9F400, 0x800, 0x800);
	assert_true(load(f));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		put_segment(f->image, 1, 0x2000, bad[i].start, 0x10, bad[i].size);
		refused(f, "segment 1", bad[i].what);
		refused(f, "overlaps", "want it from 0x100000 on");
	}
}

/* Physical entry points are taken as they are. */
static void test_physical_entry(void **state)
{
	struct fixture *f = *state;

	put(f->image, 24, 0x180020, 4);
	assert_true(load(f));
	assert_int_equal(f->start.rip, 0x180020);
}

/* Section headers arrive with the place of what no segment holds: here 1, a string table. */
static void test_sections(void **state)
{
	struct fixture *f = *state;
	const uint8_t *info = f->ram + LAYOUT_BOOT_PARAMS;
	uint64_t at;

	memset(f->image + 0x2800, 0, 120);
	put(f->image, 32, 0x2800, 4);
	put(f->image, 46, 40, 2);
	put(f->image, 48, 3, 2);
	put(f->image, 50, 1, 2);
	put(f->image, 0x2800 + 40 + 4, 3, 4);
	put(f->image, 0x2800 + 40 + 16, 0x2900, 4);
	put(f->image, 0x2800 + 40 + 20, 0x80, 4);
	put(f->image, 0x2800 + 80 + 12, 0x100000, 4); /* allocated: it has its place */
	put(f->image, 0x2800 + 80 + 20, 0x80, 4);
	assert_true(load(f));
	assert_int_equal(get(info, 0, 4), 0x1265);
	assert_int_equal(get(info, 28, 4), 3);
	assert_int_equal(get(info, 32, 4), 40);
	assert_int_equal(get(info, 40, 4), 1);
	at = get(info, 36, 4);
	assert_true(at >= 0x181800);
	assert_int_equal(get(f->ram, at + 80 + 12, 4), 0x100000);
	at = get(f->ram, at + 40 + 12, 4);
	assert_true(at >= 0x181800);
	assert_memory_equal(f->ram + at, f->image + 0x2900, 0x80);
	put(f->image, 0x2800 + 40 + 20, 0x8000000, 4); /* what is not in the file stays out */
	assert_true(load(f));
	put(f->image, 32, 0x2FFF, 4);
	assert_true(load(f));
	assert_int_equal(get(info, 0, 4), 0x1245);
}

static void test_bad_segments(void **state)
{
	struct fixture *f = *state;

	put_segment(f->image, 1, 0x2000, 0x180000, 0x1001, 0x1800);
	refused(f, "truncated: segment 1", "it has 0x3000");
	put_segment(f->image, 1, 0xFFFFFFFF, 0x180000, 0x10, 0x1800);
	refused(f, "truncated", "0x3000");
	put_segment(f->image, 1, 0x2000, 0x180000, 0x800, 0x7FF);
	refused(f, "segment 1", "more bytes in the file");
	put_segment(f->image, 1, 0x2000, 0x180000, 0x800, 0x1800);
	put(f->image, 24, 0xC0101000, 4);
	refused(f, "entry point", "no segment");
	put(f->image, 44, 0, 2);
	refused(f, "entry point", "no segment");
}

static void test_too_many_segments(void **state)
{
	struct fixture *f = *state;

	memmove(f->image + 0x1800, f->image + HEADER, 12);
	memset(f->image + HEADER, 0, 12);
	for (unsigned i = 0; i < 33; i++)
		put_segment(f->image, i, 0x2000, 0x100000 + i * 0x1000, 0x10, 0x1000);
	refused(f, "too many", "32 or fewer");
}

static void test_truncated(void **state)
{
	struct fixture *f = *state;

	f->size = 0x2400;
	refused(f, "truncated", "0x2400");
	f->size = HEADER + 12;
	refused(f, "truncated", "segment 0");
	put(f->image, 28, HEADER, 4);
	refused(f, "truncated", "program headers");
	put(f->image, 28, 0xFFFFFFF0, 4);
	refused(f, "truncated", "program headers");
	memmove(f->image + 8, f->image + HEADER, 12);
	f->size = 40;
	refused(f, "truncated", "40 bytes");
	f->size = 4;
	refused(f, "kernel", "lacks");
}

/* The sum that makes a header a header; and where it may be. */
static void test_header(void **state)
{
	struct fixture *f = *state;

	put(f->image, HEADER + 8, 0, 4);
	refused(f, "Multiboot 1", "header");
	memset(f->image + HEADER, 0, 12);
	put(f->image, 8192 - 12, 0x1BADB002, 4);
	put(f->image, 8192 - 8, 0, 4);
	put(f->image, 8192 - 4, 0u - 0x1BADB002, 4);
	f->config.kernel = (struct config_file){.data = f->image, .size = f->size};
	assert_null(multiboot_lacks(&f->config.kernel));
	memmove(f->image + 8192 - 8, f->image + 8192 - 12, 12);
	assert_non_null(multiboot_lacks(&f->config.kernel));
	put_header(f->image, 8);
	refused(f, "flags 0x8", "memory information");
	put_header(f->image, 0x8003);
	refused(f, "flags 0x8003", "memory information");
}

static void test_other_elf(void **state)
{
	struct fixture *f = *state;

	put(f->image, 18, 40, 2);
	refused(f, "machine 40", "x86");
	put(f->image, 18, 3, 2);
	put(f->image, 16, 1, 2);
	refused(f, "ELF type 1", "executable");
	put(f->image, 16, 2, 2);
	put(f->image, 42, 31, 2);
	refused(f, "program headers of 31", "32");
	put(f->image, 42, 32, 2);
	put(f->image, 5, 2, 1);
	refused(f, "ELF", "x86");
	put(f->image, 0, 0, 4);
	refused(f, "no ELF", "Multiboot");
	put_header(f->image, 3);
	memset(f->image + HEADER, 0, 12);
	refused(f, "kernel", "no known format");
}

/* Text or graphics may be asked for; what there is is told anyway. */
static void test_video(void **state)
{
	struct fixture *f = *state;

	put_header(f->image, 4);
	for (unsigned type = 0; type < 2; type++) {
		put(f->image, HEADER + 32, type, 4);
		assert_true(load(f));
		assert_int_equal(f->ram[LAYOUT_BOOT_PARAMS + 109], 2);
	}
	put(f->image, HEADER + 32, 2, 4);
	refused(f, "video mode type 2", "1 for text");
}

static void test_elf64(void **state)
{
	struct fixture *f = *state;
	uint8_t *image = f->image;

	memset(image, 0, HEADER);
	put(image, 0, 0x464C457F, 4);
	put(image, 4, 0x010102, 3);
	put(image, 16, 2, 2);
	put(image, 18, 62, 2);
	put(image, 24, 0xFFFFFFFF80000020, 8);
	put(image, 32, 64, 8);
	put(image, 54, 56, 2);
	put(image, 56, 1, 2);
	put(image, 64, 1, 4);
	put(image, 72, 0x1000, 8);
	put(image, 80, 0xFFFFFFFF80000000, 8);
	put(image, 88, 0x120000, 8);
	put(image, 96, 0x1000, 8);
	put(image, 104, 0x2000, 8);
	assert_true(load(f));
	assert_int_equal(f->start.rip, 0x120020);
	assert_memory_equal(f->ram + 0x120000, image + 0x1000, 0x1000);
	assert_int_equal(f->ram[0x121000], 0);
	put(image, 72, 0xFFFFFFFFFFFFFF00, 8);
	refused(f, "truncated", "0x3000");
	put(image, 72, 0x1000, 8);
	put(image, 88, 0xFFFFFFFFFFFFF000, 8);
	refused(f, "leaves memory", "0x400000");
	put(image, 32, 0xFFFFFFFFFFFFFFF0, 8);
	refused(f, "truncated", "program headers");
}

/* A flat file: the header says where it goes. */
static void test_addresses(void **state)
{
	struct fixture *f = *state;
	uint8_t *image = f->image;

	memset(image, 0, HEADER);
	put_header(image, 0x10003);
	put(image, HEADER + 12, 0x200000 + HEADER - 0x100,
	    4); /* the file's first 0x100 are not loaded */
	put(image, HEADER + 16, 0x200000, 4);
	put(image, HEADER + 20, 0x201000, 4);
	put(image, HEADER + 24, 0x203000, 4);
	put(image, HEADER + 28, 0x200080, 4);
	assert_true(load(f));
	assert_int_equal(f->start.rip, 0x200080);
	assert_memory_equal(f->ram + 0x200000, image + 0x100, 0x1000);
	for (unsigned i = 0; i < 0x2000; i++)
		assert_int_equal(f->ram[0x201000 + i], 0);
	put(image, HEADER + 20, 0, 4); /* to the end of the file */
	assert_true(load(f));
	assert_memory_equal(f->ram + 0x200000, image + 0x100, FILE_SIZE - 0x100);
	put(image, HEADER + 20, 0x2FFFFF, 4);
	refused(f, "truncated", "0x3000");
	put(image, HEADER + 12, 0x200000 + HEADER + 4, 4);
	refused(f, "addresses", "place in the file");
	put(image, HEADER + 12, 0x1FFFFF, 4);
	refused(f, "addresses", "place in the file");
}

static void test_initrd(void **state)
{
	struct fixture *f = *state;

	f->config.initrd.data = f->image;
	f->config.initrd.size = 10;
	refused(f, "initrd", "module");
}

/* Random damage never makes the loader read or write where it should not. */
static void test_noise(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 7;

	for (unsigned round = 0; round < 20000; round++) {
		uint8_t head[HEADER + 32];

		memcpy(head, f->image, sizeof(head));
		for (unsigned i = 0; i < 2; i++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			f->image[(seed >> 48) % 116] = (uint8_t)(seed >> 40);
		}
		f->size = seed >> 33 & 3 ? FILE_SIZE : (seed >> 20) % FILE_SIZE + 1;
		load(f);
		memcpy(f->image, head, sizeof(head));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_state),	  TEST(test_segments),	   TEST(test_info),
		TEST(test_modules),	  TEST(test_long_texts),   TEST(test_overlap),
		TEST(test_leaves_memory), TEST(test_bad_segments), TEST(test_too_many_segments),
		TEST(test_truncated),	  TEST(test_header),	   TEST(test_other_elf),
		TEST(test_elf64),	  TEST(test_addresses),	   TEST(test_initrd),
		TEST(test_noise),	  TEST(test_low_segments), TEST(test_physical_entry),
		TEST(test_sections),	  TEST(test_video),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
