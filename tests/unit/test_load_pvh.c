/* SPDX-License-Identifier: MIT */
/* The loaders of PVH kernels and of flat images, over small files made here. */
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

#define RAM	  (4 * MIB)
#define FILE_SIZE 0x2000
#define NOTE	  0x200 /* in the file */

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

static uint64_t get(const uint8_t *at, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, at + offset, size);
	return value;
}

/* Two notes, of which the second is Xen's of type 18. */
static void put_notes(uint8_t *image, uint64_t entry, unsigned size)
{
	static const uint32_t first[] = {3, 5, 3, 0x00004E47, 1, 2},
			      second[] = {4, 8, 18, 0x006E6558};

	memcpy(image + NOTE, first, sizeof(first));
	memcpy(image + NOTE + 24, second, sizeof(second));
	put(image, NOTE + 28, size, 4);
	put(image, NOTE + 40, entry, size);
}

/* ELF64: 0x1000 bytes at 1 MiB, linked high, entered by the note at 0x100040. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t *image = malloc(FILE_SIZE);
	static const uint64_t load[] = {0x700000001, 0x1000, 0xFFFFFFFF80100000, 0x100000, 0x1000,
					0x2000,	     4096};
	static const uint64_t note[] = {0x400000004, NOTE, 0, 0, 48, 48, 4};

	for (unsigned i = 0; i < FILE_SIZE; i++)
		image[i] = (uint8_t)(i * 13 + i / 256);
	memset(image, 0, 0x300);
	put(image, 0, 0x010102464C457F, 7);
	put(image, 16, 0x003E0002, 4);
	put(image, 24, 0xFFFFFFFF80100000, 8);
	put(image, 32, 64, 8);
	put(image, 54, 0x00020038, 4);
	memcpy(image + 64, load, sizeof(load));
	memcpy(image + 120, note, sizeof(note));
	put_notes(image, 0x100040, 8);
	f->image = image;
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

static bool load_size(struct fixture *f, size_t size)
{
	uint8_t *exact = malloc(size);
	bool loaded;

	memcpy(exact, f->image, size);
	f->config.kernel.data = exact;
	f->config.kernel.size = size;
	loaded = image_load(&f->config, &f->memory, 0xE0000, &f->start, &f->error);
	free(exact);
	return loaded;
}

static void refused(struct fixture *f, const char *words)
{
	assert_false(load_size(f, FILE_SIZE));
	if (!strstr(f->error.text, words))
		fail_msg("'%s' should say '%s'", f->error.text, words);
}

static void test_pvh(void **state)
{
	struct fixture *f = *state;
	const uint8_t *info = f->ram;
	uint64_t map;

	assert_true(load_size(f, FILE_SIZE));
	assert_int_equal(f->start.mode, START_PROTECTED32);
	assert_int_equal(f->start.rip, 0x100040);
	assert_int_equal(f->start.cr0 & 0x80000001, 1);
	assert_memory_equal(f->ram + 0x100000, f->image + 0x1000, 0x1000);
	assert_int_equal(f->ram[0x101FFF], 0);
	info += f->start.gpr[3];
	assert_int_equal(get(info, 0, 4), 0x336EC578);
	assert_int_equal(get(info, 4, 4), 1);
	assert_int_equal(get(info, 8, 8), 0);
	assert_int_equal(get(info, 16, 8), 0);
	assert_string_equal((char *)f->ram + get(info, 24, 8), "one two");
	assert_int_equal(get(info, 32, 8), 0xE0000);
	map = get(info, 40, 8);
	assert_int_equal(get(info, 48, 4), 6);
	assert_int_equal(get(f->ram, map + 8, 8), 0x9FC00);
	assert_int_equal(get(f->ram, map + 16, 8), 1);
	assert_int_equal(get(f->ram, map + 96, 8), 0x100000);
	assert_int_equal(get(f->ram, map + 104, 8), RAM - 0x100000);
}

static void test_pvh_modules(void **state)
{
	struct fixture *f = *state;
	static const uint8_t a[5000] = {1, 2, 3}, b[10] = {4, 5, 6};
	const uint8_t *list, *info;

	f->config.initrd = (struct config_file){a, sizeof(a), {0}};
	f->config.modules = 1;
	f->config.module[0] = (struct config_file){b, sizeof(b), text_from("words", 5)};
	assert_true(load_size(f, FILE_SIZE));
	info = f->ram + f->start.gpr[3];
	assert_int_equal(get(info, 12, 4), 2);
	list = f->ram + get(info, 16, 8);
	assert_int_equal(get(list, 0, 8), 0x102000);
	assert_int_equal(get(list, 8, 8), sizeof(a));
	assert_int_equal(get(list, 16, 8), 0);
	assert_memory_equal(f->ram + 0x102000, a, sizeof(a));
	assert_memory_equal(f->ram + get(list, 32, 8), b, sizeof(b));
	assert_int_equal(get(list, 40, 8), sizeof(b));
	assert_string_equal((char *)f->ram + get(list, 48, 8), "words");
	f->config.initrd.size = RAM;
	refused(f, "initrd: 4096K do not fit");
}

static void test_pvh_notes(void **state)
{
	struct fixture *f = *state;

	put_notes(f->image, 0x100080, 4);
	assert_true(load_size(f, FILE_SIZE));
	assert_int_equal(f->start.rip, 0x100080);
	put_notes(f->image, 0x300000, 4);
	refused(f, "entry point 0x300000");
	put(f->image, NOTE + 24 + 8, 17, 4);
	refused(f, "PVH: Xen's note 18");
	f->config.boot = CONFIG_BOOT_PVH;
	refused(f, "want a PVH kernel");
	put_notes(f->image, 0x100080, 4);
	put(f->image, NOTE + 24, 0xFFFFFFFF, 4);
	refused(f, "Xen's note 18");
	put(f->image, NOTE, 0xFFFFFFFF, 4);
	refused(f, "Xen's note 18");
	put_notes(f->image, 0x100080, 4);
	put(f->image, 120 + 32, UINT64_MAX, 8);
	refused(f, "Xen's note 18");
}

static void test_pvh_noise(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 7;
	uint8_t whole[0x300];

	f->config.boot = CONFIG_BOOT_PVH;
	memcpy(whole, f->image, sizeof(whole));
	for (unsigned round = 0; round < 20000; round++) {
		for (unsigned i = 0; i < 2; i++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			f->image[(seed >> 63 ? 0 : NOTE) + (seed >> 48) % (seed >> 63 ? 176 : 48)] =
				(uint8_t)(seed >> 40);
		}
		load_size(f, seed >> 33 & 3 ? FILE_SIZE : (seed >> 20) % FILE_SIZE + 1);
		memcpy(f->image, whole, sizeof(whole));
	}
}

static void test_flat(void **state)
{
	struct fixture *f = *state;
	const struct start_segment *code = &f->start.segment[SEGMENT_CS];

	f->config.kernel.cmdline.length = 0;
	f->config.boot = CONFIG_BOOT_FLAT32;
	assert_true(load_size(f, FILE_SIZE));
	assert_memory_equal(f->ram + MIB, f->image, FILE_SIZE);
	assert_int_equal(f->start.rip, MIB);
	assert_int_equal(f->start.mode, START_PROTECTED32);
	f->config.boot = CONFIG_BOOT_FLAT64;
	f->config.load = 0x200000;
	f->config.entry = 0x200100;
	assert_true(load_size(f, FILE_SIZE));
	assert_int_equal(f->start.rip, 0x200100);
	assert_int_equal(f->start.mode, START_LONG64);
	assert_memory_equal(f->ram + 0x200000, f->image, FILE_SIZE);
	f->config.boot = CONFIG_BOOT_FLAT16;
	f->config.load = 0x12000;
	f->config.entry = 0x12340;
	assert_true(load_size(f, FILE_SIZE));
	assert_int_equal(f->start.mode, START_REAL16);
	assert_int_equal(f->start.rip, 0x2340);
	assert_int_equal(code->selector, 0x1000);
	assert_int_equal(code->base, 0x10000);
	assert_int_equal(code->limit, 0xFFFF);
	assert_int_equal(code->rights, 0x9B);
	assert_int_equal(f->start.segment[SEGMENT_SS].base, 0);
	assert_int_equal(f->start.cr0 & 0x80000001, 0);
	assert_int_equal(f->start.idtr.limit, 0x3FF);
	f->config.load = f->config.entry = 0;
	assert_true(load_size(f, 512));
	assert_int_equal(f->start.rip, 0x7C00);
	assert_int_equal(code->selector, 0);
}

static void test_flat_bad(void **state)
{
	struct fixture *f = *state;

	f->config.boot = CONFIG_BOOT_FLAT32;
	refused(f, "cmdline: a flat image gets none");
	f->config.kernel.cmdline.length = 0;
	f->config.modules = 1;
	refused(f, "module: a flat image gets none");
	f->config.modules = 0;
	f->config.load = RAM - FILE_SIZE + 1;
	refused(f, "leaves memory; want it below 0x400000");
	f->config.load = 0xFFFFFFFF;
	refused(f, "leaves memory");
	f->config.load = 0xD000;
	refused(f, "the first stack");
	f->config.boot = CONFIG_BOOT_FLAT64;
	f->config.load = 0x2000;
	assert_true(load_size(f, 0x1000));
	f->config.load = 0x7000;
	refused(f, "the first page tables");
	f->config.boot = CONFIG_BOOT_FLAT16;
	assert_true(load_size(f, FILE_SIZE));
	f->config.load = 0x800;
	refused(f, "BIOS data");
	f->config.load = MIB;
	refused(f, "entry=0x100000: real mode ends");
	f->config.entry = 0x8000;
	refused(f, "lies in no segment");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pvh),	      TEST(test_pvh_modules), TEST(test_pvh_notes),
		TEST(test_pvh_noise), TEST(test_flat),	      TEST(test_flat_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
