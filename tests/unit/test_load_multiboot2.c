/* SPDX-License-Identifier: MIT */
/* The Multiboot 2 loader, over small files made here by the offsets of the specification. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/image.h"
#include "vm/layout.h"

#define RAM	  (8 * MIB)
#define FILE_SIZE 0x3000
#define HEADER	  0x200 /* in the file */
#define RSDP	  0xE0000
#define TAGS	  0x20000

struct fixture {
	uint8_t *ram;
	struct guest_memory memory;
	struct vm_config config;
	struct vcpu_start start;
	struct error error;
	uint8_t *image;
	unsigned tag; /* where the header's next tag goes */
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

/* A header of no tags. */
static void start_header(struct fixture *f)
{
	memset(f->image + HEADER, 0xFF, 0x100);
	f->tag = HEADER + 16;
}

/* `words` 32-bit words after the tag's head. */
static void put_tag(struct fixture *f, unsigned type, unsigned flags, unsigned words, ...)
{
	va_list args;

	put(f->image, f->tag, type, 2);
	put(f->image, f->tag + 2, flags, 2);
	put(f->image, f->tag + 4, 8 + 4 * words, 4);
	va_start(args, words);
	for (unsigned i = 0; i < words; i++)
		put(f->image, f->tag + 8 + 4 * i, va_arg(args, uint32_t), 4);
	va_end(args);
	f->tag += (unsigned)align_up(8 + 4 * words, 8);
}

static void seal_header(struct fixture *f, unsigned length)
{
	put(f->image, HEADER, 0xE85250D6, 4);
	put(f->image, HEADER + 4, 0, 4);
	put(f->image, HEADER + 8, length, 4);
	put(f->image, HEADER + 12, 0u - 0xE85250D6 - length, 4);
}

static void end_header(struct fixture *f)
{
	put_tag(f, 0, 0, 0);
	seal_header(f, f->tag - HEADER);
}

/* ELF32: 0x1000 bytes at 2 MiB, and 0x800 with 0x1000 of BSS at 0x280000, 0xC0000000 higher. */
static int setup(void **state)
{
	static const uint32_t segments[2][8] = {
		{1, 0x1000, 0xC0200000, 0x200000, 0x1000, 0x1000, 7, 4096},
		{1, 0x2000, 0xC0280000, 0x280000, 0x800, 0x1800, 7, 4096},
	};
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t *image = malloc(FILE_SIZE);

	for (unsigned i = 0; i < FILE_SIZE; i++)
		image[i] = (uint8_t)(i * 13 + i / 256);
	memset(image, 0, HEADER);
	put(image, 0, 0x464C457F, 4);
	put(image, 4, 0x010101, 3);
	put(image, 16, 0x00030002, 4);
	put(image, 24, 0xC0200010, 4);
	put(image, 28, 52, 4);
	put(image, 42, 0x00020020, 4);
	memcpy(image + 52, segments, sizeof(segments));
	f->image = image;
	f->ram = malloc(RAM);
	memset(f->ram, 0xEE, RAM);
	memcpy(f->ram + RSDP, "RSD PTR 0123456\2", 16);
	f->memory.extent[0] = (struct guest_extent){.size = RAM, .host = f->ram};
	f->memory.extents = 1;
	f->config.kernel.cmdline = text_from("one two", 7);
	start_header(f);
	end_header(f);
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
static bool load_size(struct fixture *f, size_t size)
{
	uint8_t *exact = malloc(size);
	bool loaded;

	memcpy(exact, f->image, size);
	f->config.kernel.data = exact;
	f->config.kernel.size = size;
	loaded = image_load(&f->config, &f->memory, RSDP, &f->start, &f->error);
	free(exact);
	return loaded;
}

static bool load(struct fixture *f)
{
	return load_size(f, FILE_SIZE);
}

static void refused(struct fixture *f, const char *words)
{
	assert_false(load(f));
	if (!strstr(f->error.text, words))
		fail_msg("'%s' should say '%s'", f->error.text, words);
}

/* The body of the nth tag of information of this type, NULL without; *size of it. */
static const uint8_t *info(struct fixture *f, unsigned type, unsigned n, uint64_t *size)
{
	const uint8_t *tags = f->ram + f->start.gpr[3];
	uint64_t at = 8, total = get(tags, 0, 4);

	assert_int_equal(f->start.gpr[3] % 8, 0);
	for (;;) {
		assert_true(at + 8 <= total);
		*size = get(tags, at + 4, 4) - 8;
		assert_true(*size <= total - at - 8);
		if (get(tags, at, 4) == type && !n--)
			return tags + at + 8;
		if (!get(tags, at, 4)) {
			assert_int_equal(at + 8, total);
			assert_int_equal(*size, 0);
			return NULL;
		}
		at = align_up(at + 8 + *size, 8);
	}
}

static void test_state(void **state)
{
	struct fixture *f = *state;

	assert_true(load(f));
	assert_int_equal(f->start.mode, START_PROTECTED32);
	assert_int_equal(f->start.rip, 0x200010);
	assert_int_equal(f->start.gpr[0], 0x36D76289);
	assert_int_equal(f->start.cr0 & 0x80000001, 1);
	assert_int_equal(f->start.rflags & 0x20200, 0);
	assert_memory_equal(f->ram + 0x200000, f->image + 0x1000, 0x1000);
	assert_memory_equal(f->ram + 0x280000, f->image + 0x2000, 0x800);
	assert_int_equal(f->ram[0x280800], 0);
	assert_int_equal(f->ram[0x2817FF], 0);
}

static void test_info(void **state)
{
	struct fixture *f = *state;
	const uint8_t *tag;
	uint64_t size;

	assert_true(load(f));
	assert_string_equal((const char *)info(f, 1, 0, &size), "one two");
	assert_int_equal(size, 8);
	assert_string_equal((const char *)info(f, 2, 0, &size), "Socle (as GRUB 2)");
	tag = info(f, 4, 0, &size);
	assert_int_equal(size, 8);
	assert_int_equal(get(tag, 0, 4), 639);
	assert_int_equal(get(tag, 4, 4), 7168);
	tag = info(f, 6, 0, &size);
	assert_int_equal(size, 8 + 6 * 24);
	assert_int_equal(get(tag, 0, 4), 24);
	assert_int_equal(get(tag, 4, 4), 0);
	assert_int_equal(get(tag, 8 + 8, 8), 0x9FC00);
	assert_int_equal(get(tag, 8 + 16, 4), 1);
	assert_int_equal(get(tag, 8 + 96, 8), 0x100000);
	assert_int_equal(get(tag, 8 + 96 + 8, 8), RAM - MIB);
	assert_int_equal(get(tag, 8 + 96 + 20, 4), 0);
	tag = info(f, 8, 0, &size);
	assert_int_equal(size, 24);
	assert_int_equal(get(tag, 0, 8), 0xB8000);
	assert_int_equal(get(tag, 8, 4), 160);
	assert_int_equal(get(tag, 12, 4), 80);
	assert_int_equal(get(tag, 16, 4), 25);
	assert_int_equal(get(tag, 20, 4), 0x0210);
	assert_memory_equal(info(f, 14, 0, &size), f->ram + RSDP, 20);
	assert_int_equal(size, 20);
	assert_memory_equal(info(f, 15, 0, &size), f->ram + RSDP, 36);
	assert_int_equal(size, 36);
	for (unsigned type = 3; type < 40; type++)
		if (type != 4 && type != 6 && type != 8 && type != 14 && type != 15)
			assert_null(info(f, type, 0, &size));
}

static void test_modules(void **state)
{
	struct fixture *f = *state;
	static const uint8_t a[5000] = {1, 2, 3}, b[10] = {4, 5, 6};
	const uint8_t *tag[2];
	uint64_t size;

	f->config.modules = 2;
	f->config.module[0] = (struct config_file){a, sizeof(a), text_from("first one", 9)};
	f->config.module[1] = (struct config_file){b, sizeof(b), text_from("", 0)};
	assert_true(load(f));
	tag[0] = info(f, 3, 0, &size);
	assert_int_equal(size, 8 + 10);
	assert_string_equal((const char *)tag[0] + 8, "first one");
	tag[1] = info(f, 3, 1, &size);
	assert_int_equal(size, 8 + 1);
	assert_int_equal(get(tag[0], 4, 4) - get(tag[0], 0, 4), sizeof(a));
	assert_int_equal(get(tag[1], 4, 4) - get(tag[1], 0, 4), sizeof(b));
	assert_int_equal(get(tag[0], 0, 4) % 4096, 0);
	assert_int_equal(get(tag[1], 0, 4) % 4096, 0);
	assert_true(get(tag[0], 0, 4) >= 0x281800);
	assert_true(get(tag[1], 0, 4) >= get(tag[0], 4, 4));
	assert_memory_equal(f->ram + get(tag[0], 0, 4), a, sizeof(a));
	assert_memory_equal(f->ram + get(tag[1], 0, 4), b, sizeof(b));
	f->config.module[0].size = RAM;
	refused(f, "module: 8192K do not fit");
}

/* A kernel at the top of memory leaves the room below it. */
static void test_room_below(void **state)
{
	struct fixture *f = *state;
	static const uint8_t a[5000];
	uint64_t size;

	f->config.modules = 1;
	f->config.module[0] = (struct config_file){a, sizeof(a), {0}};
	start_header(f);
	put_tag(f, 10, 0, 4, 0u, ~0u, 4096u, 2u);
	end_header(f);
	assert_true(load(f));
	assert_int_equal(get(info(f, 3, 0, &size), 0, 4), MIB);
}

/* Of 40 tags, each required one that the specification has not is refused, by its number. */
static void test_unknown_tags(void **state)
{
	struct fixture *f = *state;
	char words[80];

	for (unsigned type = 1; type < 40; type++) {
		start_header(f);
		put_tag(f, type, 1, 0);
		end_header(f);
		if (type > 10)
			assert_true(load(f));
		start_header(f);
		put_tag(f, type, 0, 6, 0u, 0u, 0u, 0u, 0u, 0u);
		end_header(f);
		if (type <= 10)
			continue;
		snprintf(words, sizeof(words), "Multiboot 2 header tag %u is required and unknown",
			 type);
		refused(f, words);
	}
}

static void test_requests(void **state)
{
	struct fixture *f = *state;

	start_header(f);
	put_tag(f, 1, 0, 5, 1u, 3u, 5u, 20u, 21u);
	put_tag(f, 6, 0, 0);
	put_tag(f, 5, 0, 3, 1024u, 768u, 32u);
	put_tag(f, 7, 0, 0);
	put_tag(f, 8, 0, 1, 0x12345678u);
	put_tag(f, 9, 0, 1, 0x12345678u);
	end_header(f);
	assert_true(load(f));
	assert_int_equal(f->start.rip, 0x200010);
	start_header(f);
	put_tag(f, 1, 1, 1, 22u);
	end_header(f);
	assert_true(load(f));
	start_header(f);
	put_tag(f, 1, 0, 2, 4u, 22u);
	end_header(f);
	refused(f, "tag 1 requires information of type 22");
}

static void test_console(void **state)
{
	struct fixture *f = *state;

	for (unsigned flags = 0; flags < 4; flags++) {
		start_header(f);
		put_tag(f, 4, 0, 1, flags);
		end_header(f);
		if (flags == 1)
			refused(f, "tag 4 requires a console other than EGA text");
		else
			assert_true(load(f));
	}
}

static void test_entry(void **state)
{
	struct fixture *f = *state;

	start_header(f);
	put_tag(f, 3, 0, 1, 0x280010u);
	end_header(f);
	assert_true(load(f));
	assert_int_equal(f->start.rip, 0x280010);
	start_header(f);
	put_tag(f, 3, 0, 1, 0x290000u);
	end_header(f);
	refused(f, "entry point 0x290000 lies in no segment");
}

static void test_addresses(void **state)
{
	struct fixture *f = *state;

	memset(f->image, 0, HEADER);
	start_header(f);
	put_tag(f, 2, 0, 4, 0x300100u, 0x300000u, 0x301000u, 0x302000u);
	end_header(f);
	refused(f, "want an entry address (tag 3)");
	put_tag(f, 2, 0, 0);
	f->tag -= 16;
	put_tag(f, 3, 0, 1, 0x300080u);
	end_header(f);
	assert_true(load(f));
	assert_int_equal(f->start.rip, 0x300080);
	assert_memory_equal(f->ram + 0x300000, f->image + HEADER - 0x100, 0x1000);
	assert_int_equal(f->ram[0x301000], 0);
	assert_int_equal(f->ram[0x301FFF], 0);
	assert_int_equal(f->ram[0x302000], 0xEE);
	/* -1: the file from its beginning; 0: to its end. */
	put(f->image, HEADER + 16 + 12, UINT32_MAX, 4);
	put(f->image, HEADER + 16 + 16, 0, 4);
	assert_true(load(f));
	assert_memory_equal(f->ram + 0x300100 - HEADER, f->image, FILE_SIZE);
}

static uint64_t base_for(struct fixture *f, uint32_t min, uint32_t max, uint32_t align,
			 uint32_t preference)
{
	uint64_t size;

	start_header(f);
	put_tag(f, 10, 0, 4, min, max, align, preference);
	end_header(f);
	if (!load(f))
		return 0;
	return get(info(f, 21, 0, &size), 0, 4);
}

static void test_relocatable(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(base_for(f, 0, ~0u, 4096, 0), 0x200000);
	assert_int_equal(base_for(f, 0, ~0u, 0x400000, 0), 0x400000);
	assert_int_equal(base_for(f, 0, ~0u, 4096, 1), 0x100000);
	assert_int_equal(base_for(f, 0x234567, ~0u, 0x10000, 1), 0x240000);
	assert_int_equal(f->start.rip, 0x240010);
	assert_memory_equal(f->ram + 0x240000, f->image + 0x1000, 0x1000);
	assert_memory_equal(f->ram + 0x2C0000, f->image + 0x2000, 0x800);
	assert_int_equal(base_for(f, 0, ~0u, 4096, 2), RAM - 0x82000);
	assert_int_equal(base_for(f, 0, 0x3FFFFF, 4096, 2), 0x400000 - 0x82000);
	assert_int_equal(base_for(f, 0, ~0u, 0, 2), RAM - 0x81800);
	assert_int_equal(base_for(f, RAM - 0x81000, ~0u, 4096, 1), 0);
	refused(f, "tag 10: 0x81800 bytes do not fit");
	assert_int_equal(base_for(f, 0, 0x80000, 4096, 0), 0);
	assert_int_equal(base_for(f, 0, ~0u, 3, 0), 0);
	refused(f, "tag 10: alignment 0x3; want a power of two");
	assert_int_equal(base_for(f, ~0u, ~0u, 0x80000000, 1), 0);
	/* Segments that wrap have no extent. */
	put(f->image, 52 + 12, 0xFFFFFFFF, 4);
	assert_int_equal(base_for(f, 0, ~0u, 4096, 1), 0);
}

static void test_sections(void **state)
{
	struct fixture *f = *state;
	const uint8_t *tag;
	uint64_t size, at;

	memset(f->image + 0x2800, 0, 80);
	put(f->image, 32, 0x2800, 4);
	put(f->image, 46, 40, 2);
	put(f->image, 48, 2, 2);
	put(f->image, 50, 1, 2);
	put(f->image, 0x2800 + 40 + 4, 3, 4);
	put(f->image, 0x2800 + 40 + 16, 0x2900, 4);
	put(f->image, 0x2800 + 40 + 20, 0x80, 4);
	assert_true(load(f));
	tag = info(f, 9, 0, &size);
	assert_int_equal(size, 12 + 80);
	assert_int_equal(get(tag, 0, 4), 2);
	assert_int_equal(get(tag, 4, 4), 40);
	assert_int_equal(get(tag, 8, 4), 1);
	at = get(tag, 12 + 40 + 12, 4);
	assert_true(at >= 0x281800 && at < RAM);
	assert_memory_equal(f->ram + at, f->image + 0x2900, 0x80);
}

static void test_too_much(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(0x10000);

	memset(text, 'x', 0x10000);
	f->config.kernel.cmdline = (struct text){text, 0xF000};
	assert_true(load(f));
	f->config.kernel.cmdline.length = 0xFFF0;
	refused(f, "cmdline: ");
	refused(f, "more than 64K");
	free(text);
}

static void test_bad_header(void **state)
{
	struct fixture *f = *state;

	start_header(f);
	put_tag(f, 6, 0, 0);
	seal_header(f, f->tag - HEADER);
	refused(f, "no end tag");
	end_header(f);
	put(f->image, HEADER + 16 + 4, 7, 4);
	refused(f, "tag 6 has 7 bytes");
	put(f->image, HEADER + 16 + 4, 0xFFFFFFF9, 4);
	refused(f, "tag 6 has 4294967289 bytes");
	start_header(f);
	put_tag(f, 10, 0, 3, 0u, 0u, 0u);
	end_header(f);
	refused(f, "tag 10 has 20 bytes; want 24");
	seal_header(f, 0xFFFF0000);
	refused(f, "header of 4294901760 bytes at 0x200");
	put(f->image, HEADER + 4, 4, 4);
	put(f->image, HEADER + 12, 0u - 0xE85250D6 - 4 - 0xFFFF0000, 4);
	refused(f, "architecture 4");
	start_header(f);
	end_header(f);
	put(f->image, 0, 0, 4);
	refused(f, "no ELF");
	f->config.initrd = (struct config_file){.data = f->image, .size = 10};
	refused(f, "initrd: a Multiboot kernel has none");
}

/* Random damage never makes the loader read or write where it should not. */
static void test_noise(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 7;
	uint8_t *whole = malloc(FILE_SIZE);

	f->config.boot = CONFIG_BOOT_MULTIBOOT2;
	put(f->image, 32, 0x2800, 4);
	put(f->image, 46, 0x00020028, 4);
	start_header(f);
	put_tag(f, 2, 0, 4, 0x300100u, 0x300000u, 0x301000u, 0x302000u);
	put_tag(f, 3, 0, 1, 0x300080u);
	put_tag(f, 10, 0, 4, 0u, ~0u, 4096u, 1u);
	put_tag(f, 1, 0, 3, 1u, 2u, 3u);
	end_header(f);
	memcpy(whole, f->image, FILE_SIZE);
	for (unsigned round = 0; round < 20000; round++) {
		for (unsigned i = 0; i < 2; i++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			f->image[(seed >> 63 ? 0 : HEADER + 16) + (seed >> 48) % 116] =
				(uint8_t)(seed >> 40);
		}
		load_size(f, seed >> 33 & 3 ? FILE_SIZE : (seed >> 20) % FILE_SIZE + 1);
		memcpy(f->image, whole, HEADER + 0x100);
	}
	free(whole);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_state),	TEST(test_info),	 TEST(test_modules),
		TEST(test_room_below),	TEST(test_unknown_tags), TEST(test_requests),
		TEST(test_console),	TEST(test_entry),	 TEST(test_addresses),
		TEST(test_relocatable), TEST(test_sections),	 TEST(test_too_much),
		TEST(test_bad_header),	TEST(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
