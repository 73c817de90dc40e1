/* SPDX-License-Identifier: MIT */
/* What firmware and boot loader hand over: Multiboot2's boot information, the MADT, our options. */
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/madt.h"
#include "boot/bootinfo.h"
#include "boot/low_page.h"
#include "boot/options.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"

#define BOOT_ID 3

/* A copy of its very size: a sanitizer sees a read beyond its end. The caller frees it. */
static void *exact(const struct stream *in)
{
	size_t size = (size_t)(in->end - in->at);
	uint8_t *copy = malloc(size + !size);

	memcpy(copy, in->at, size);
	return copy;
}

static bool inside(const char *text, const uint8_t *data, size_t size)
{
	const uint8_t *at = (const uint8_t *)text;

	return at >= data && at < data + size && memchr(at, 0, (size_t)(data + size - at));
}

static void check_bootinfo(const struct bootinfo *info, const uint8_t *data, size_t size)
{
	FUZZ_REQUIRE(info->memories && info->memories <= BOOT_MEMORY_MAX);
	FUZZ_REQUIRE(info->modules <= BOOT_MODULES_MAX);
	FUZZ_REQUIRE(info->end - info->start <= size);
	FUZZ_REQUIRE(memchr(info->cmdline, 0, sizeof(info->cmdline)) != NULL);
	for (unsigned i = 0; i < info->memories; i++)
		FUZZ_REQUIRE(info->memory[i].start <= info->memory[i].end);
	for (unsigned i = 0; i < info->modules; i++) {
		FUZZ_REQUIRE(info->module[i].start <= info->module[i].end);
		FUZZ_REQUIRE(inside(info->module[i].cmdline, data, size));
	}
	FUZZ_REQUIRE(!info->have_rsdp || (info->rsdp_size >= 20 && info->rsdp_size <= 36));
}

/* No page that it finds is anybody's. */
static void check_low_page(const struct bootinfo *info, uint16_t ebda)
{
	uint64_t page = low_page_find(info, ebda);

	if (page == LOW_PAGE_NONE)
		return;
	FUZZ_REQUIRE(page && page % PAGE_SIZE == 0 && page < 0xA0000);
	for (unsigned i = 0; i < info->modules; i++)
		FUZZ_REQUIRE(info->module[i].start >= page + PAGE_SIZE ||
			     info->module[i].end <= page);
	for (unsigned i = 0; i < info->memories; i++)
		FUZZ_REQUIRE(info->memory[i].available ||
			     info->memory[i].start >= page + PAGE_SIZE ||
			     info->memory[i].end <= page);
}

void fuzz_bootinfo(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);
	uint16_t ebda = (uint16_t)stream_number(&in, 2);
	static struct bootinfo info;
	struct error error = {""};
	uint8_t *copy = exact(&in);
	size_t length = (size_t)(in.end - in.at);

	if (bootinfo_parse(&info, copy, length, 0x10000, &error)) {
		check_bootinfo(&info, copy, length);
		check_low_page(&info, ebda);
	} else {
		FUZZ_REQUIRE(error.text[0]);
	}
	free(copy);
}

void fuzz_madt(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);
	struct madt_cpus cpus;
	uint8_t *copy = exact(&in);

	madt_read_cpus(copy, size, BOOT_ID, &cpus);
	FUZZ_REQUIRE(cpus.count >= 1 && cpus.count <= MADT_CPUS_MAX && cpus.apic_id[0] == BOOT_ID);
	for (unsigned i = 0; i < cpus.count; i++)
		for (unsigned j = 0; j < i; j++)
			FUZZ_REQUIRE(cpus.apic_id[i] != cpus.apic_id[j]);
	free(copy);
}

void fuzz_options(const uint8_t *data, size_t size)
{
	struct options options;
	struct error error = {""};
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (!options_parse(&options, text, &error))
		FUZZ_REQUIRE(error.text[0]);
	FUZZ_REQUIRE(memchr(options.without, 0, sizeof(options.without)) != NULL);
	FUZZ_REQUIRE(options.cores <= CORES_MAX && options.log <= LOG_DEBUG);
	options_without(&options, "ept");
	free(text);
}
