/* SPDX-License-Identifier: MIT */
/* The bzImage loader, over small images made here by the offsets of the boot protocol. */
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
#include "vm/load_linux.h"

#define RAM   (32 * MIB)
#define SETUP 1024 /* boot sector and one sector of setup */
#define CODE  0x3000
#define IMAGE (SETUP + CODE)
#define RSDP  0xE0000

struct fixture {
	uint8_t *ram;
	struct guest_memory memory;
	struct vm_config config;
	struct vcpu_start start;
	struct error error;
	uint8_t *image;
};

static void put(uint8_t *at, unsigned offset, uint64_t value, unsigned size)
{
	memcpy(at + offset, &value, size);
}

static uint64_t get(const uint8_t *at, unsigned offset, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, at + offset, size);
	return value;
}

/* A kernel of protocol 2.12 with a 64-bit entry, that wants to be at 16 MiB and needs 1 MiB. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t *image = malloc(IMAGE);

	for (unsigned i = 0; i < IMAGE; i++)
		image[i] = (uint8_t)(i * 7 + i / 256);
	memset(image + 0x1F1, 0, SETUP - 0x1F1);
	put(image, 0x1F1, 1, 1);
	put(image, 0x1F4, CODE / 16, 4);
	put(image, 0x1FE, 0xAA55, 2);
	put(image, 0x200, 0x66EB, 2); /* the header ends at 0x268 */
	put(image, 0x202, 0x53726448, 4);
	put(image, 0x206, 0x020C, 2);
	put(image, 0x211, 1, 1);
	put(image, 0x22C, 0x7FFFFFFF, 4);
	put(image, 0x230, 0x200000, 4);
	put(image, 0x234, 1, 1);
	put(image, 0x236, 1, 2);
	put(image, 0x238, 2047, 4);
	put(image, 0x250, 0xDEAD, 8); /* setup_data that is not the kernel's to say */
	put(image, 0x258, 0x1000000, 8);
	put(image, 0x260, 0x100000, 4);
	f->image = image;
	f->ram = calloc(1, RAM);
	f->memory.extent[0] = (struct guest_extent){.size = RAM, .host = f->ram};
	f->memory.extents = 1;
	f->config.kernel = (struct config_file){.data = image, .size = IMAGE};
	f->config.kernel.cmdline = text_from("console=ttyS0", 13);
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

/* The image in a block of its very size, so that a sanitizer sees a read beyond its end. */
static void resize(struct fixture *f, size_t size)
{
	uint8_t *image = malloc(size);

	memcpy(image, f->image, MIN(size, (size_t)IMAGE));
	free(f->image);
	f->image = image;
	f->config.kernel.data = image;
	f->config.kernel.size = size;
}

static bool load(struct fixture *f)
{
	return image_load(&f->config, &f->memory, RSDP, &f->start, &f->error);
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

	assert_true(load(f));
	assert_int_equal(s->mode, START_LONG64);
	assert_int_equal(s->rip, 0x1000200);
	assert_int_equal(s->gpr[6], LAYOUT_BOOT_PARAMS);
	assert_int_equal(s->rflags, 2);
	assert_int_equal(s->cr0 & 0x80000001, 0x80000001);
	assert_int_equal(s->cr4, 1 << 5);
	assert_int_equal(s->efer, 0x500);
	assert_int_equal(s->segment[SEGMENT_CS].selector, 0x10);
	assert_int_equal(s->segment[SEGMENT_CS].rights, 0xA09B);
	for (unsigned i = 0; i < SEGMENTS; i++)
		if (i != SEGMENT_CS)
			assert_int_equal(s->segment[i].selector, 0x18);
	/* What the selectors stand for in the GDT is what the CPU has. */
	assert_int_equal(get(f->ram + s->gdtr.base, 0x10, 8), 0x00AF9B000000FFFF);
	assert_int_equal(get(f->ram + s->gdtr.base, 0x18, 8), 0x00CF93000000FFFF);
	assert_true(s->gdtr.limit >= 0x1F);
}

/* Every 2 MiB of the first 4 GiB comes out where it went in. */
static void test_identity_map(void **state)
{
	struct fixture *f = *state;

	assert_true(load(f));
	for (uint64_t linear = 0; linear < 4 * GIB; linear += 2 * MIB) {
		uint64_t pml4e = get(f->ram + f->start.cr3, 0, 8);
		uint64_t pdpte = get(f->ram + (pml4e & ~0xFFFULL), (unsigned)(linear >> 30) * 8, 8);
		uint64_t pde =
			get(f->ram + (pdpte & ~0xFFFULL), (unsigned)(linear >> 21 & 511) * 8, 8);

		assert_int_equal(pml4e & 0xFFF & ~0x60ULL, 3);
		assert_int_equal(pdpte & 0xFFF & ~0x60ULL, 3);
		assert_int_equal(pde & ~0x60ULL, linear | 0x83);
	}
}

static void test_zero_page(void **state)
{
	struct fixture *f = *state;
	const uint8_t *page = f->ram + LAYOUT_BOOT_PARAMS;

	assert_true(load(f));
	assert_int_equal(get(page, 0x202, 4), 0x53726448);
	assert_int_equal(get(page, 0x206, 2), 0x020C);
	assert_int_equal(get(page, 0x210, 1), 0xFF);
	assert_int_equal(get(page, 0x228, 4), LAYOUT_CMDLINE);
	assert_string_equal((char *)f->ram + LAYOUT_CMDLINE, "console=ttyS0");
	assert_int_equal(get(page, 0x250, 8), 0);
	assert_int_equal(get(page, 0x260, 4), 0x100000);
	assert_int_equal(get(page, 0x070, 8), RSDP);
	assert_int_equal(get(page, 0x218, 4), 0);
	assert_memory_equal(f->ram + 0x1000000, f->image + SETUP, CODE);
	/* What was in the boot sector before the header stays there. */
	for (unsigned i = 0x12; i < 0x70; i++)
		assert_int_equal(page[i], 0);
	/* struct screen_info: VGA text of 80 x 25, characters of 16 lines, cursor at 0, 0. */
	assert_int_equal(get(page, 0x00, 2), 0);
	assert_int_equal(get(page, 0x06, 2), 80 << 8 | 3);
	assert_int_equal(get(page, 0x0A, 2), 3);
	assert_int_equal(get(page, 0x0E, 2), 1 << 8 | 25);
	assert_int_equal(get(page, 0x10, 2), 16);
}

static void test_e820(void **state)
{
	static const uint64_t want[][3] = {{0, 0x9FC00, 1},
					   {0x9FC00, 0x400, 2},
					   {0xE0000, 0x10000, 3},
					   {0xF0000, 0x10000, 2},
					   {0x100000, 0x7FF00000, 1},
					   {0xB0000000, 0x100000, 2},
					   {0x100000000, 0x40000000, 1}};
	struct fixture *f = *state;
	const uint8_t *page = f->ram + LAYOUT_BOOT_PARAMS;
	uint8_t *more = malloc(1);

	/* Extents of which only the first is really there: nothing else is written. */
	f->memory.extent[1] = (struct guest_extent){RAM, 0x80000000 - RAM, more};
	f->memory.extent[2] = (struct guest_extent){0x100000000, 0x40000000, more};
	f->memory.extents = 3;
	assert_true(load(f));
	assert_int_equal(get(page, 0x1E8, 1), 7);
	for (unsigned i = 0; i < 7; i++) {
		assert_int_equal(get(page, 0x2D0 + 20 * i, 8), want[i][0]);
		assert_int_equal(get(page, 0x2D0 + 20 * i + 8, 8), want[i][1]);
		assert_int_equal(get(page, 0x2D0 + 20 * i + 16, 4), want[i][2]);
	}
	free(more);
}

static void test_initrd(void **state)
{
	struct fixture *f = *state;
	static uint8_t initrd[5000];
	const uint8_t *page = f->ram + LAYOUT_BOOT_PARAMS;
	uint64_t at;

	memset(initrd, 0x5A, sizeof(initrd));
	f->config.initrd = (struct config_file){.data = initrd, .size = sizeof(initrd)};
	assert_true(load(f));
	at = get(page, 0x218, 4);
	assert_int_equal(get(page, 0x21C, 4), sizeof(initrd));
	assert_int_equal(at % 4096, 0);
	assert_true(at + sizeof(initrd) <= RAM && at >= 0x1100000);
	assert_memory_equal(f->ram + at, initrd, sizeof(initrd));

	put(f->image, 0x22C, 0x17FFFFF, 4); /* not above 24 MiB */
	assert_true(load(f));
	assert_true(get(page, 0x218, 4) + sizeof(initrd) <= 0x1800000);
	put(f->image, 0x22C, 0x1100FFF, 4); /* one page after the kernel */
	refused(f, "initrd", "smaller");
	f->config.initrd.size = 4096;
	assert_true(load(f));
	f->config.initrd.size = 4097;
	refused(f, "initrd", "smaller");
}

static void test_initrd_too_big(void **state)
{
	struct fixture *f = *state;

	f->config.initrd = (struct config_file){.data = f->image, .size = 16 * MIB};
	refused(f, "initrd: 16384K", "more memory");
	f->config.initrd.size = UINT64_MAX;
	refused(f, "initrd", "more memory");
}

/* Too big for what lies below 4 GiB: above, if the kernel takes it there. */
static void test_initrd_above(void **state)
{
	struct fixture *f = *state;
	const uint8_t *page = f->ram + LAYOUT_BOOT_PARAMS;
	const uint64_t size = RAM - 4096;
	uint8_t *high = calloc(1, RAM), *initrd = malloc(size);

	memset(initrd, 0x5A, size);
	f->config.initrd = (struct config_file){.data = initrd, .size = size};
	f->memory.extent[1] = (struct guest_extent){GUEST_HIGH_BASE, RAM, high};
	f->memory.extents = 2;
	put(f->image, 0x236, 1, 2);
	refused(f, "initrd", "more memory");
	put(f->image, 0x236, 3, 2);
	assert_true(load(f));
	assert_int_equal(get(page, 0x218, 4), 4096);
	assert_int_equal(get(page, 0x0C0, 4), 1);
	assert_int_equal(get(page, 0x21C, 4), size);
	assert_int_equal(get(page, 0x0C4, 4), 0);
	assert_int_equal(high[4095], 0);
	assert_memory_equal(high + 4096, initrd, size);
	f->config.initrd.size = RAM + 1;
	refused(f, "initrd", "more memory");
	f->config.initrd.size = 4096;
	assert_true(load(f));
	assert_int_equal(get(page, 0x0C0, 4), 0);
	free(initrd);
	free(high);
}

static void test_setup_data(void **state)
{
	struct fixture *f = *state;
	static const uint8_t a[5000] = {1, 2, 3}, b[10] = {4, 5, 6};
	const uint8_t *page = f->ram + LAYOUT_BOOT_PARAMS;
	uint64_t first, second;

	put(f->image, 0x250, 0x1234, 8); /* what the file has there is nothing */
	f->config.initrd = (struct config_file){.data = a, .size = sizeof(a)};
	f->config.modules = 2;
	f->config.module[0] = (struct config_file){a, sizeof(a), text_from("setup-data=9", 12)};
	f->config.module[1] = (struct config_file){b, sizeof(b), text_from("setup-data=0x10", 15)};
	assert_true(load(f));
	first = get(page, 0x250, 8);
	second = get(f->ram, first, 8);
	assert_int_equal(get(f->ram, first + 8, 4), 9);
	assert_int_equal(get(f->ram, first + 12, 4), sizeof(a));
	assert_memory_equal(f->ram + first + 16, a, sizeof(a));
	assert_int_equal(get(f->ram, second, 8), 0);
	assert_int_equal(get(f->ram, second + 8, 4), 16);
	assert_memory_equal(f->ram + second + 16, b, sizeof(b));
	assert_true(first >= 0x1100000 && first + 16 + sizeof(a) <= second);
	assert_true(second + 16 + sizeof(b) <= get(page, 0x218, 4));
	f->config.module[1].cmdline = text_from("words", 5);
	refused(f, "module: Linux takes setup-data=TYPE", "initrd instead");
	f->config.module[1].cmdline = text_from("setup-data=x", 12);
	refused(f, "module", "setup-data=TYPE");
	f->config.module[1] = f->config.module[0];
	f->config.module[1].size = RAM;
	refused(f, "module", "no room for setup data");
}

static void test_cmdline(void **state)
{
	struct fixture *f = *state;
	char text[2100];

	memset(text, 'x', sizeof(text));
	f->config.kernel.cmdline = (struct text){text, 2047};
	assert_true(load(f));
	assert_int_equal(strlen((char *)f->ram + LAYOUT_CMDLINE), 2047);
	f->config.kernel.cmdline.length = 2048;
	refused(f, "cmdline: 2048", "at most the 2047");
}

static void test_relocates(void **state)
{
	struct fixture *f = *state;

	f->memory.extent[0].size = 8 * MIB;
	assert_true(load(f));
	assert_int_equal(f->start.rip, 0x200200);
	assert_memory_equal(f->ram + 0x200000, f->image + SETUP, CODE);
	put(f->image, 0x234, 0, 1);
	refused(f, "memory", "memory=18M or more");
}

static void test_too_little_memory(void **state)
{
	struct fixture *f = *state;

	f->memory.extent[0].size = 2 * MIB + 0xFF000;
	refused(f, "memory", "memory=4M or more");
	f->memory.extent[0].size = 3 * MIB;
	assert_true(load(f));
}

static void test_32bit(void **state)
{
	struct fixture *f = *state;

	put(f->image, 0x236, 0, 2);
	assert_true(load(f));
	assert_int_equal(f->start.mode, START_PROTECTED32);
	assert_int_equal(f->start.rip, 0x1000000);
	assert_int_equal(f->start.cr0 & 0x80000001, 1);
	assert_int_equal(f->start.gpr[6], LAYOUT_BOOT_PARAMS);
	assert_int_equal(f->start.gpr[3] | f->start.gpr[5] | f->start.gpr[7], 0);
	assert_int_equal(f->start.segment[SEGMENT_CS].rights, 0xC09B);
	assert_int_equal(get(f->ram + f->start.gdtr.base, 0x10, 8), 0x00CF9B000000FFFF);
}

static void test_truncated(void **state)
{
	struct fixture *f = *state;

	/* The size is in paragraphs, of which the file may leave the last unfinished. */
	resize(f, IMAGE - 15);
	assert_true(load(f));
	assert_memory_equal(f->ram + 0x1000000, f->image + SETUP, CODE - 15);
	for (size_t size = IMAGE - 16; size > 0x206; size -= size > 1100 ? 611 : 13) {
		resize(f, size);
		refused(f, "truncated", "bzImage");
	}
	resize(f, 0x205);
	refused(f, "kernel", "no known format");
}

static void test_odd_headers(void **state)
{
	struct fixture *f = *state;

	put(f->image, 0x206, 0x0205, 2);
	refused(f, "2.05", "2.06");
	put(f->image, 0x206, 0x020C, 2);
	put(f->image, 0x211, 0, 1);
	refused(f, "too old", "bzImage");
	put(f->image, 0x211, 1, 1);
	put(f->image, 0x1F4, 0xFFFFFFFF, 4);
	refused(f, "truncated", "promises");
	put(f->image, 0x1F4, 0, 4);
	refused(f, "truncated", "promises");
	put(f->image, 0x1F4, CODE / 16, 4);
	put(f->image, 0x258, UINT64_MAX - 5, 8);
	put(f->image, 0x230, 3, 4); /* no power of two */
	assert_true(load(f));
	put(f->image, 0x260, UINT32_MAX, 4);
	refused(f, "memory", "memory=");
}

static void test_boot_key(void **state)
{
	struct fixture *f = *state;

	f->config.boot = CONFIG_BOOT_MULTIBOOT;
	refused(f, "kernel", "Multiboot header");
	f->config.boot = CONFIG_BOOT_LINUX;
	assert_true(load(f));
	put(f->image, 0x202, 0, 4);
	refused(f, "boot=linux", "bzImage");
}

/* Debian's kernel, where there is one to be had. */
static void test_real(void **state)
{
	struct fixture *f = *state;
	const char *path = getenv("SOCLE_VMLINUZ");
	FILE *file = fopen(path ? path : "build/debian/vmlinuz", "rb");
	uint8_t *image;
	long size;

	if (!file)
		skip();
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	image = malloc((size_t)size);
	assert_int_equal(fread(image, 1, (size_t)size, file), size);
	fclose(file);
	f->config.kernel.data = image;
	f->config.kernel.size = (uint64_t)size;
	refused(f, "memory", "more");
	f->ram = realloc(f->ram, 128 * MIB);
	f->memory.extent[0] = (struct guest_extent){.size = 128 * MIB, .host = f->ram};
	assert_true(load(f));
	assert_int_equal(f->start.mode, START_LONG64);
	free(image);
}

/* Random damage to the header never writes or reads where it should not. */
static void test_noise(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 7;

	f->config.initrd = (struct config_file){.data = f->image, .size = 4096};
	for (unsigned round = 0; round < 3000; round++) {
		uint8_t header[0x80];

		memcpy(header, f->image + 0x1F1, sizeof(header));
		for (unsigned i = 0; i < 3; i++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			f->image[0x1F1 + (seed >> 57) % sizeof(header)] = (uint8_t)(seed >> 40);
		}
		load(f);
		memcpy(f->image + 0x1F1, header, sizeof(header));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_state),	 TEST(test_identity_map), TEST(test_zero_page),
		TEST(test_e820),	 TEST(test_initrd),	  TEST(test_initrd_too_big),
		TEST(test_cmdline),	 TEST(test_relocates),	  TEST(test_too_little_memory),
		TEST(test_32bit),	 TEST(test_truncated),	  TEST(test_odd_headers),
		TEST(test_boot_key),	 TEST(test_real),	  TEST(test_noise),
		TEST(test_initrd_above), TEST(test_setup_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
