/* SPDX-License-Identifier: MIT */
/* The fuzz targets over their corpus: seeds, and what a fuzzer found once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "vm/image.h"

#define FILE_MAX 0x10000

static uint8_t *read_file(const char *path, size_t *size)
{
	uint8_t *data = malloc(FILE_MAX);
	FILE *file = fopen(path, "rb");

	assert_non_null(file);
	*size = fread(data, 1, FILE_MAX, file);
	fclose(file);
	return data;
}

/* Calls `target` with each file of the folder; returns how many there were. */
static unsigned replay(const char *folder, void (*target)(const uint8_t *data, size_t size))
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned files = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char path[512];
		uint8_t *data;
		size_t size;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		data = read_file(path, &size);
		target(data, size);
		free(data);
		files++;
	}
	closedir(dir);
	return files;
}

/* One for each target, which is worth nothing without files. */
#define TEST_TARGET(name)                                                          \
	static void test_##name(void **state)                                      \
	{                                                                          \
		(void)state;                                                       \
		assert_true(replay("tests/fuzz/corpus/" #name, fuzz_##name) >= 5); \
	}
FUZZ_TARGETS(TEST_TARGET)

/* A seed that is refused at its first byte would lead a fuzzer nowhere. */
static void test_image_seeds(void **state)
{
	static const struct {
		const char *name;
		enum config_boot boot;
	} seeds[] = {
		{"mb1-elf32", CONFIG_BOOT_MULTIBOOT},
		{"mb1-elf64", CONFIG_BOOT_MULTIBOOT},
		{"mb1-addresses", CONFIG_BOOT_MULTIBOOT},
		{"mb2-elf32", CONFIG_BOOT_MULTIBOOT2},
		{"mb2-elf64", CONFIG_BOOT_MULTIBOOT2},
		{"mb2-moved64", CONFIG_BOOT_MULTIBOOT2},
		{"mb2-addresses", CONFIG_BOOT_MULTIBOOT2},
		{"pvh32", CONFIG_BOOT_PVH},
		{"pvh64", CONFIG_BOOT_PVH},
		{"linux-64", CONFIG_BOOT_LINUX},
		{"linux-32", CONFIG_BOOT_LINUX},
	};
	uint8_t *ram = calloc(4, MIB);

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(seeds); i++) {
		struct guest_memory memory = {.extent = {{0, 4 * MIB, ram}}, .extents = 1};
		struct vm_config config = {0};
		struct vcpu_start start;
		struct error error = {"none"};
		char path[512];
		uint8_t *data;
		size_t size;

		snprintf(path, sizeof(path), "tests/fuzz/corpus/image/%s.bin", seeds[i].name);
		data = read_file(path, &size);
		config.kernel.data = data + FUZZ_IMAGE_HEAD;
		config.kernel.size = size - FUZZ_IMAGE_HEAD;
		assert_int_equal(image_recognise(&config.kernel, &error), seeds[i].boot);
		if (!image_load(&config, &memory, 0, &start, &error))
			fail_msg("%s: %s", seeds[i].name, error.text);
		free(data);
	}
	free(ram);
}

int main(void)
{
#define ENTRY(name) cmocka_unit_test(test_##name),
	const struct CMUnitTest tests[] = {
		/* clang-format off */
		FUZZ_TARGETS(ENTRY)
		/* clang-format on */
		cmocka_unit_test(test_image_seeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
