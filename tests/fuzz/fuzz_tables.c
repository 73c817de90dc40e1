/* SPDX-License-Identifier: MIT */
/*
 * Tables for kernels and firmwares, of any description and any memory: what a reader of them finds
 * lies where it may, has its length, and sums up to zero.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "vm/firmware.h"
#include "vm/fwconfig.h"
#include "vm/pc.h"

#define RAM	    (2 * MIB)
#define PATTERN	    0xA5
#define HEADER	    36
#define HIGH_TABLES 0x7F000000u /* where the loader's script puts its files */
#define F_SEGMENT   0xF5A00u
#define NAME	    56
#define COMMAND	    128

/* Of any size, with a hole or without, and some above 4 GiB. */
static struct guest_memory make_memory(uint8_t *ram, struct stream *in)
{
	uint64_t pages = stream_number(in, 2) % (RAM / PAGE_SIZE + 1);
	uint64_t hole = stream_number(in, 2) % (RAM / PAGE_SIZE + 1);
	struct guest_memory memory = {.extents = 0};

	memset(ram, PATTERN, RAM);
	if (pages)
		memory.extent[memory.extents++] = (struct guest_extent){0, pages * PAGE_SIZE, ram};
	if (hole > pages && hole < RAM / PAGE_SIZE)
		memory.extent[memory.extents++] = (struct guest_extent){
			hole * PAGE_SIZE, RAM - hole * PAGE_SIZE, ram + hole * PAGE_SIZE};
	if (hole & 1)
		memory.extent[memory.extents++] =
			(struct guest_extent){GUEST_HIGH_BASE, PAGE_SIZE, ram};
	return memory;
}

static uint64_t number(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, at, bytes);
	return value;
}

static uint8_t sum(const uint8_t *at, uint64_t length)
{
	uint8_t value = 0;

	for (uint64_t i = 0; i < length; i++)
		value = (uint8_t)(value + at[i]);
	return value;
}

/* --- As a kernel reads them --- */

static const uint8_t *table(const uint8_t *ram, uint64_t gpa)
{
	uint64_t length;

	FUZZ_REQUIRE(gpa >= LAYOUT_ACPI && gpa <= LAYOUT_ACPI_END - HEADER);
	length = number(ram + gpa + 4, 4);
	FUZZ_REQUIRE(length >= HEADER && length <= LAYOUT_ACPI_END - gpa);
	FUZZ_REQUIRE(!sum(ram + gpa, length));
	return ram + gpa;
}

/* Each entry has its length, and there are as many processors as vCPUs. */
static void check_madt(const uint8_t *madt, unsigned cpus)
{
	uint64_t length = number(madt + 4, 4);
	unsigned found = 0;

	for (uint64_t at = 44; at < length; at += madt[at + 1]) {
		FUZZ_REQUIRE(at + 2 <= length && madt[at + 1] >= 2 && at + madt[at + 1] <= length);
		found += madt[at] == 0 || madt[at] == 9;
	}
	FUZZ_REQUIRE(found == cpus);
}

static void check_acpi(const uint8_t *ram, uint64_t rsdp, unsigned cpus)
{
	const uint8_t *rsdt, *xsdt;
	uint64_t entries;

	FUZZ_REQUIRE(rsdp >= LAYOUT_FIRMWARE && rsdp <= LAYOUT_ACPI_END - 36 && rsdp % 16 == 0);
	FUZZ_REQUIRE(!memcmp(ram + rsdp, "RSD PTR ", 8));
	FUZZ_REQUIRE(!sum(ram + rsdp, 20) && !sum(ram + rsdp, 36));
	rsdt = table(ram, number(ram + rsdp + 16, 4));
	xsdt = table(ram, number(ram + rsdp + 24, 8));
	entries = (number(xsdt + 4, 4) - HEADER) / 8;
	FUZZ_REQUIRE((number(rsdt + 4, 4) - HEADER) / 4 == entries);
	for (uint64_t i = 0; i < entries; i++) {
		uint64_t gpa = number(xsdt + HEADER + 8 * i, 8);
		const uint8_t *found = table(ram, gpa);

		FUZZ_REQUIRE(number(rsdt + HEADER + 4 * i, 4) == gpa);
		if (!memcmp(found, "APIC", 4))
			check_madt(found, cpus);
		if (!memcmp(found, "FACP", 4))
			table(ram, number(found + 40, 4));
	}
}

/* Nothing but the places of tables, the BIOS data area and the text screen was written. */
static void check_rest(const uint8_t *ram)
{
	static const struct {
		uint32_t start, end;
	} others[] = {{0, 0x400},
		      {0x500, LAYOUT_EBDA},
		      {LAYOUT_LOW_END, 0xB8000},
		      {0xC0000, LAYOUT_FIRMWARE},
		      {LAYOUT_FIRMWARE_END, RAM}};

	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		const uint8_t *start = ram + others[i].start;

		FUZZ_REQUIRE(start[0] == PATTERN);
		FUZZ_REQUIRE(!memcmp(start, start + 1, others[i].end - others[i].start - 1));
	}
}

void fuzz_firmware(const uint8_t *data, size_t size)
{
	static uint8_t ram[RAM];
	struct stream in = stream_from(data, size);
	unsigned cpus = stream_byte(&in) % (PC_CPUS_MAX + 2);
	struct guest_memory memory = make_memory(ram, &in);
	struct error error = {""};
	uint64_t rsdp = 0;

	if (!firmware_write(&memory, cpus, &rsdp, &error)) {
		FUZZ_REQUIRE(error.text[0]);
		FUZZ_REQUIRE(!cpus || cpus > PC_CPUS_MAX || memory.extents != 1 ||
			     memory.extent[0].gpa || memory.extent[0].size < MIB);
	} else {
		FUZZ_REQUIRE(cpus && cpus <= PC_CPUS_MAX);
		check_acpi(ram, rsdp, cpus);
	}
	check_rest(ram);
}

/* --- As a firmware reads them --- */

struct file {
	uint8_t *data;
	uint64_t size, gpa;
};

static const struct fwconfig_file *find(const struct fwconfig *f, const uint8_t *name)
{
	FUZZ_REQUIRE(memchr(name, 0, NAME));
	for (unsigned i = 0; i < f->used; i++)
		if (!strcmp(f->directory[i].name, (const char *)name))
			return &f->directory[i];
	panic("fuzz: no such file: %s", (const char *)name);
}

static const struct vfwcfg_item *item_of(const struct fwconfig *f, uint16_t key)
{
	const struct vfwcfg_item *found = NULL;

	for (unsigned i = 0; i < f->items; i++)
		if (f->item[i].key == key) {
			FUZZ_REQUIRE(!found);
			found = &f->item[i];
		}
	FUZZ_REQUIRE(found);
	return found;
}

/* Each key once; each file within its item. */
static void check_items(const struct fwconfig *f)
{
	FUZZ_REQUIRE(f->items <= FWCONFIG_ITEMS && f->used <= FWCONFIG_FILES);
	FUZZ_REQUIRE(f->files == __builtin_bswap32(f->used));
	for (unsigned i = 0; i < f->items; i++) {
		FUZZ_REQUIRE(item_of(f, f->item[i].key) == &f->item[i]);
		if (f->item[i].data && f->item[i].size)
			sum(f->item[i].data, f->item[i].size);
	}
	for (unsigned i = 0; i < f->used; i++) {
		uint16_t key = __builtin_bswap16(f->directory[i].key);
		const struct vfwcfg_item *item = item_of(f, key);

		FUZZ_REQUIRE(find(f, (const uint8_t *)f->directory[i].name) == &f->directory[i]);
		FUZZ_REQUIRE(item->size == __builtin_bswap32(f->directory[i].size) ||
			     !strncmp(f->directory[i].name, "genroms/", 8));
	}
}

static struct file *open_file(const struct fwconfig *f, struct file *file, const uint8_t *name)
{
	const struct fwconfig_file *entry = find(f, name);

	return &file[entry - f->directory];
}

/* The table loader's commands, as its readers carry them out. */
static void load_tables(const struct fwconfig *f, struct file *file)
{
	for (unsigned i = 0; i < f->commands; i++) {
		const uint8_t *command = f->command[i], *rest = command + 4 + NAME;
		struct file *to = open_file(f, file, command + 4), *from;
		uint64_t at, start, length;

		switch (number(command, 4)) {
		case 1:
			FUZZ_REQUIRE(!to->gpa && (rest[4] == 1 || rest[4] == 2));
			to->gpa = rest[4] == 1 ? HIGH_TABLES : F_SEGMENT;
			FUZZ_REQUIRE(to->gpa % number(rest, 4) == 0);
			break;
		case 2:
			from = open_file(f, file, rest);
			at = number(rest + NAME, 4);
			length = rest[NAME + 4];
			FUZZ_REQUIRE(from->gpa && at + length <= to->size);
			FUZZ_REQUIRE(number(to->data + at, (unsigned)length) < from->size);
			start = number(to->data + at, (unsigned)length) + from->gpa;
			memcpy(to->data + at, &start, length);
			break;
		case 3:
			at = number(rest, 4);
			start = number(rest + 4, 4);
			length = number(rest + 8, 4);
			FUZZ_REQUIRE(at < to->size && start + length <= to->size && !to->data[at]);
			to->data[at] = (uint8_t)-sum(to->data + start, length);
			break;
		default: panic("fuzz: command %lu", number(command, 4));
		}
	}
}

/* The tables as they lie now in the guest: the root leads to each, and each sums up to zero. */
static void check_loaded(const struct file *tables, const struct file *rsdp)
{
	uint64_t xsdt = number(rsdp->data + 24, 8) - tables->gpa;

	FUZZ_REQUIRE(!sum(rsdp->data, 20) && !sum(rsdp->data, 36));
	FUZZ_REQUIRE(xsdt + HEADER <= tables->size && !memcmp(tables->data + xsdt, "XSDT", 4));
	for (uint64_t i = HEADER; i < number(tables->data + xsdt + 4, 4); i += 8) {
		uint64_t at = number(tables->data + xsdt + i, 8) - tables->gpa;

		FUZZ_REQUIRE(at + HEADER <= tables->size);
		FUZZ_REQUIRE(number(tables->data + at + 4, 4) <= tables->size - at);
		FUZZ_REQUIRE(!sum(tables->data + at, number(tables->data + at + 4, 4)));
	}
}

static void check_tables(const struct fwconfig *f)
{
	static uint8_t copy[FWCONFIG_FILES][FWCONFIG_TABLES];
	struct file file[FWCONFIG_FILES] = {{NULL, 0, 0}};

	for (unsigned i = 0; i < f->used; i++) {
		uint16_t key = __builtin_bswap16(f->directory[i].key);
		const struct vfwcfg_item *item = item_of(f, key);

		file[i].data = copy[i];
		file[i].size = MIN(item->size, (uint32_t)FWCONFIG_TABLES);
		memcpy(copy[i], item->data, file[i].size);
	}
	load_tables(f, file);
	check_loaded(open_file(f, file, (const uint8_t *)"etc/acpi/tables"),
		     open_file(f, file, (const uint8_t *)"etc/acpi/rsdp"));
}

static void check_map(const struct fwconfig *f, const struct guest_memory *memory)
{
	unsigned count = guest_memory_high(memory) ? 3 : 2;
	uint64_t ram = 0;

	for (unsigned i = 0; i < count; i++) {
		FUZZ_REQUIRE(!i || f->e820[i].gpa >= f->e820[i - 1].gpa + f->e820[i - 1].size);
		ram += f->e820[i].type == 1 ? f->e820[i].size : 0;
	}
	FUZZ_REQUIRE(ram == f->ram);
	FUZZ_REQUIRE(memchr(f->order, 0, sizeof(f->order)));
}

/* Its files are of their very size, so that a sanitizer sees a read beyond their ends. */
static void make_config(struct vm_config *config, struct stream *in, uint8_t *file, size_t size)
{
	static const char words[] = "debug";
	uint8_t what = stream_byte(in);

	config->cpus = 1 + what % PC_CPUS_MAX;
	if (what & 0x20)
		config->vgabios = (struct config_file){file, size, {0}};
	if (what & 0x40)
		config->kernel = (struct config_file){file, size, {words, what % 6}};
	if (what & 0x80)
		config->firmware.cmdline = (struct text){words, 5};
}

void fuzz_fwconfig(const uint8_t *data, size_t size)
{
	static uint8_t ram[RAM];
	static struct fwconfig f;
	struct stream in = stream_from(data, size);
	struct guest_memory memory = make_memory(ram, &in);
	unsigned drives = stream_byte(&in);
	uint16_t moved = (uint16_t)stream_number(&in, 2);
	struct vm_config config = {.cpus = 1};
	struct error error = {""};
	uint8_t what = stream_byte(&in);
	size_t length = (size_t)(in.end - in.at);
	uint8_t *file = malloc(length + !length);
	struct stream choice = stream_from(&what, 1);
	uint64_t rsdp;

	memcpy(file, in.at, length);
	make_config(&config, &choice, file, length);
	memset(&f, 0, sizeof(f));
	if (firmware_write(&memory, config.cpus, &rsdp, &error)) {
		if (fwconfig_make(&f, &memory, &config, drives, &error)) {
			check_items(&f);
			check_tables(&f);
			check_map(&f, &memory);
			fwconfig_pm_moved(&f, moved);
			check_tables(&f);
		} else {
			/* Without words only where a hole goes through the tables. */
			FUZZ_REQUIRE(error.text[0] || memory.extent[0].size < MIB);
		}
	}
	free(file);
}
