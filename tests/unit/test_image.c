/* SPDX-License-Identifier: MIT */
/* What a kernel file is taken for, and the memory map that guests are told. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/bios_data.h"
#include "vm/image.h"
#include "vm/image_map.h"

static void put(uint8_t *at, unsigned offset, uint32_t value)
{
	memcpy(at + offset, &value, sizeof(value));
}

/* From a copy of its very size, so that a sanitizer sees a read beyond its end. */
static enum config_boot kind_of(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);
	struct config_file file = {.data = exact, .size = size};
	enum config_boot kind;
	struct error error;

	memcpy(exact, data, size);
	kind = image_recognise(&file, &error);
	free(exact);
	return kind;
}

static void refused(const uint8_t *data, size_t size, const char *words)
{
	struct guest_memory memory = {0};
	struct vm_config config = {.kernel = {.data = data, .size = size}};
	struct vcpu_start start;
	struct error error;

	assert_false(image_load(&config, &memory, 0, &start, &error));
	if (!strstr(error.text, words))
		fail_msg("'%s' should say '%s'", error.text, words);
}

/* One line that names each format and what it lacks, whole. */
static void test_unknown(void **state)
{
	uint8_t data[40000] = {0};

	(void)state;
	for (size_t size = 0; size < 600; size++)
		assert_int_equal(kind_of(data, size), CONFIG_BOOT_AUTO);
	assert_int_equal(kind_of(data, sizeof(data)), CONFIG_BOOT_AUTO);
	refused(data, sizeof(data), "kernel: ");
	refused(data, sizeof(data), "Linux: lacks 'HdrS' at 0x202;");
	refused(data, sizeof(data), "Multiboot 1: a header in its first 8192 bytes;");
	refused(data, sizeof(data), "Multiboot 2: a header in its first 32768 bytes;");
	refused(data, sizeof(data), "PVH: an ELF header for x86;");
	refused(data, 1, "want one of these, or boot=flat32");
	refused((const uint8_t *)"#!/bin/sh\n", 10, "want one of these, or boot=flat32");
}

static void test_named(void **state)
{
	uint8_t data[40000] = {0};

	(void)state;
	memcpy(data,
	       "\x7f"
	       "ELF\1\1\1",
	       7);
	put(data, 16, 0x00030002);
	assert_int_equal(kind_of(data, sizeof(data)), CONFIG_BOOT_AUTO);
	refused(data, sizeof(data), "PVH: Xen's note 18;");
	put(data, 32768 - 16, 0xE85250D6);
	put(data, 32768 - 8, 16);
	put(data, 32768 - 4, 0u - 0xE85250D6 - 16);
	assert_int_equal(kind_of(data, sizeof(data)), CONFIG_BOOT_MULTIBOOT2);
	put(data, 32768 - 8, 17);
	assert_int_equal(kind_of(data, sizeof(data)), CONFIG_BOOT_AUTO);
	put(data, 8192 - 12, 0x1BADB002);
	put(data, 8192 - 4, 0u - 0x1BADB002);
	assert_int_equal(kind_of(data, sizeof(data)), CONFIG_BOOT_MULTIBOOT);
	put(data, 510, 0xAA550000 >> 16);
	put(data, 0x202, 0x53726448);
	assert_int_equal(kind_of(data, sizeof(data)), CONFIG_BOOT_LINUX);
}

/* Vectors lead to the ROM area: services set the caller's carry flag, interrupts return. */
static void test_bios_data(void **state)
{
	uint8_t *ram = calloc(1, MIB);
	struct guest_memory memory = {.extent = {{0, MIB, ram}}, .extents = 1};

	(void)state;
	assert_true(bios_data_write(&memory));
	for (unsigned i = 0; i < 256; i++) {
		uint16_t offset, segment;
		bool irq = i < 0x10 || (i >= 0x70 && i < 0x78);

		memcpy(&offset, ram + 4 * i, 2);
		memcpy(&segment, ram + 4 * i + 2, 2);
		assert_int_equal(segment, 0xF000);
		if (irq)
			assert_int_equal(ram[0xF0000 + offset], 0xCF);
		else
			assert_memory_equal(ram + 0xF0000 + offset,
					    "\x55\x89\xE5\x80\x4E\x06\x01\x5D\xCF", 9);
	}
	assert_memory_equal(ram + 0x40E, "\xC0\x9F", 2);
	assert_memory_equal(ram + 0x413, "\x7F\x02", 2);
	assert_memory_equal(ram + 0x449, "\x03\x50\x00\x00\x10", 5);
	memory.extent[0].size = 640 * KIB;
	assert_false(bios_data_write(&memory));
	free(ram);
}

static struct guest_memory memory_of(const struct guest_extent *extents, unsigned count)
{
	struct guest_memory memory = {.extents = count};

	memcpy(memory.extent, extents, count * sizeof(*extents));
	return memory;
}

static void test_map(void **state)
{
	const struct guest_extent extents[] = {{0, 2 * MIB, NULL},
					       {2 * MIB, 6 * MIB, NULL},
					       {10 * MIB, MIB, NULL},
					       {GUEST_HIGH_BASE, GIB, NULL}};
	struct guest_memory memory = memory_of(extents, 4);
	struct image_map map;

	(void)state;
	image_map(&map, &memory);
	assert_int_equal(map.count, 8);
	/* Extents that touch are one piece of RAM, others are not. */
	assert_int_equal(map.entry[4].gpa, MIB);
	assert_int_equal(map.entry[4].size, 7 * MIB);
	assert_int_equal(map.entry[5].gpa, 10 * MIB);
	assert_int_equal(map.entry[6].gpa, 0xB0000000); /* PCI's registers */
	assert_int_equal(map.entry[6].size, MIB);
	assert_int_equal(map.entry[6].type, MAP_RESERVED);
	assert_int_equal(map.entry[7].gpa, GUEST_HIGH_BASE);
	assert_int_equal(map.entry[7].type, MAP_RAM);
	for (unsigned i = 1; i < map.count; i++)
		assert_true(map.entry[i - 1].gpa + map.entry[i - 1].size <= map.entry[i].gpa);
	assert_int_equal(image_ram_end(&memory), 8 * MIB);
}

static void test_map_full(void **state)
{
	struct guest_memory memory = {.extents = GUEST_EXTENTS_MAX};
	struct image_map map;

	(void)state;
	for (unsigned i = 0; i < GUEST_EXTENTS_MAX; i++)
		memory.extent[i] = (struct guest_extent){i * 2 * MIB, MIB, NULL};
	memory.extent[0].size = MIB + 4096;
	image_map(&map, &memory);
	assert_int_equal(map.count, GUEST_EXTENTS_MAX + 5);
	assert_int_equal(map.entry[map.count - 2].gpa, 30 * MIB);
}

static void test_ram_end(void **state)
{
	const struct guest_extent whole[] = {{0, GUEST_LOW_MAX, NULL},
					     {GUEST_HIGH_BASE, GIB, NULL}};
	const struct guest_extent low[] = {{0, 512 * KIB, NULL}};
	struct guest_memory memory = memory_of(whole, 2);

	(void)state;
	assert_int_equal(image_ram_end(&memory), GUEST_LOW_MAX);
	memory = memory_of(low, 1);
	assert_int_equal(image_ram_end(&memory), MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown), cmocka_unit_test(test_named),
		cmocka_unit_test(test_map),	cmocka_unit_test(test_map_full),
		cmocka_unit_test(test_ram_end), cmocka_unit_test(test_bios_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
