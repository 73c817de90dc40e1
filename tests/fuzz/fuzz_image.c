/* SPDX-License-Identifier: MIT */
/* Any kernel, in a small guest. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "tests/fuzz/stream.h"
#include "vm/image.h"
#include "vm/load_linux.h"

#define RAM	  (4 * MIB)
#define RSDP	  0xE0000
#define BOOTS	  (CONFIG_BOOT_FLAT64 + 1)
#define FILE_SIZE 5000

/* One piece of RAM, or two with a hole at 3 MiB, and some above 4 GiB. */
static void make_memory(struct guest_memory *memory, uint8_t *ram, uint8_t kind)
{
	*memory = (struct guest_memory){.extent = {{0, RAM, ram}}, .extents = 1};
	if (kind & 1) {
		memory->extent[0].size = 3 * MIB;
		memory->extent[1] = (struct guest_extent){GUEST_HIGH_BASE, MIB, ram + 3 * MIB};
		memory->extents = 2;
	}
	if (kind & 2)
		memory->extent[0].size = MIB;
}

static void make_config(struct vm_config *config, const uint8_t *head, const uint8_t *file)
{
	static const char data[] = "setup-data=9";
	static char words[70000];

	memset(words, 'w', sizeof(words));
	config->boot = (enum config_boot)(head[0] % BOOTS);
	config->kernel.cmdline = (struct text){words, (head[2] >> 4) * 4600u};
	config->modules = head[2] & 3;
	for (unsigned i = 0; i < config->modules; i++)
		config->module[i] = (struct config_file){file, FILE_SIZE, {words, i * 20}};
	if (head[2] & 8)
		for (unsigned i = 0; i < config->modules; i++)
			config->module[i].cmdline = (struct text){data, sizeof(data) - 1};
	if (head[2] & 4)
		config->initrd = (struct config_file){file, FILE_SIZE, {0}};
	if (config->boot >= CONFIG_BOOT_FLAT16) {
		config->load = (uint64_t)(head[3] & 0x3F) * 0x7C00;
		config->entry = (uint64_t)(head[3] >> 6) * 0x10000;
	}
}

/* The same for a firmware's boot: each part is the file's, and has its place below the end. */
static void split(const struct vm_config *config, const struct guest_memory *memory)
{
	const uint8_t *data = config->kernel.data;
	struct linux_part part[LINUX_PARTS];
	struct error error = {""};

	if (!linux_split(config, memory, part, &error)) {
		FUZZ_REQUIRE(error.text[0]);
		return;
	}
	FUZZ_REQUIRE(part[LINUX_SETUP].data == data);
	FUZZ_REQUIRE(part[LINUX_CODE].data == data + part[LINUX_SETUP].size);
	FUZZ_REQUIRE(part[LINUX_CODE].size <= config->kernel.size - part[LINUX_SETUP].size);
	FUZZ_REQUIRE(part[LINUX_INITRD].gpa + part[LINUX_INITRD].size < MAX(RAM, 3 * MIB));
	FUZZ_REQUIRE(part[LINUX_INITRD].gpa >= part[LINUX_CODE].gpa + part[LINUX_CODE].size);
}

void fuzz_image(const uint8_t *data, size_t size)
{
	static uint8_t *ram, *file;
	struct guest_memory memory;
	struct vm_config config = {0};
	struct vcpu_start start;
	struct error error;
	uint8_t *exact;

	if (size <= FUZZ_IMAGE_HEAD)
		return;
	if (!ram) {
		ram = calloc(1, RAM);
		file = calloc(1, FILE_SIZE);
	}
	make_memory(&memory, ram, data[1]);
	make_config(&config, data, file);
	/* A copy of its very size: a sanitizer sees a read beyond its end. */
	config.kernel.size = size - FUZZ_IMAGE_HEAD;
	exact = malloc(config.kernel.size);
	memcpy(exact, data + FUZZ_IMAGE_HEAD, config.kernel.size);
	config.kernel.data = exact;
	error.text[0] = '\0';
	if (!image_load(&config, &memory, RSDP, &start, &error))
		FUZZ_REQUIRE(error.text[0]); /* a refusal has its words */
	split(&config, &memory);
	free(exact);
}
