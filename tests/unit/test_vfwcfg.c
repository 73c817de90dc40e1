/* SPDX-License-Identifier: MIT */
/* The firmware-configuration device: by ports, by requests in memory, and its items for a VM. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "devices/vfwcfg.h"
#include "lib/bits.h"
#include "vm/firmware.h"
#include "vm/fwconfig.h"

#define RAM (2 * MIB)

static uint8_t *ram;
static struct guest_memory memory;
static struct vfwcfg v;
static struct fwconfig config;
static struct vm_config vm;

static bool read_ram(void *ctx, uint64_t gpa, void *to, uint64_t length)
{
	(void)ctx;
	return guest_memory_read(&memory, gpa, to, length);
}

static bool write_ram(void *ctx, uint64_t gpa, const void *from, uint64_t length)
{
	(void)ctx;
	return from ? guest_memory_write(&memory, gpa, from, length)
		    : guest_memory_zero(&memory, gpa, length);
}

static int start(void **state)
{
	const struct vfwcfg_ops ops = {read_ram, write_ram, NULL};
	struct error error;
	uint64_t rsdp;

	(void)state;
	ram = calloc(1, RAM);
	memory = (struct guest_memory){.extent = {{0, RAM, ram}}, .extents = 1};
	memset(&config, 0, sizeof(config));
	vm = (struct vm_config){.cpus = 3};
	assert_true(firmware_write(&memory, 3, &rsdp, &error));
	assert_true(fwconfig_make(&config, &memory, &vm, 0x21, &error));
	memset(ram, 0xCC, RAM);
	vfwcfg_init(&v, config.item, config.items, &ops);
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(ram);
	return 0;
}

static void select(unsigned key)
{
	vfwcfg_write(&v, 0x510, 2, key, 0);
}

static uint64_t next(unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)vfwcfg_read(&v, 0x511, 1, 0) << 8 * i;
	return value;
}

static void test_ports(void **state)
{
	(void)state;
	assert_int_equal(next(4), 0x554D4551); /* "QEMU" is selected at first */
	assert_int_equal(next(4), 0);
	select(1);
	assert_int_equal(next(4), 3);
	select(5);
	assert_int_equal(next(2), 3);
	select(3);
	assert_int_equal(next(8), RAM);
	assert_int_equal(vfwcfg_read(&v, 0x510, 2, 0) & 0xFFFF, 0xFFFF);
	select(0);
	vfwcfg_write(&v, 0x511, 1, 'X', 0); /* items cannot be written */
	assert_int_equal(next(4), 0x554D4551);
}

static void test_selectors_out_of_range(void **state)
{
	uint8_t bytes[100];

	(void)state;
	for (unsigned key = 0x100; key < 0x8000; key += 0x111) {
		select(key);
		assert_int_equal(next(8), 0);
	}
	select(0xFFFF);
	memset(bytes, 1, sizeof(bytes));
	assert_int_equal(vfwcfg_read_block(&v, 0x511, 1, bytes, 100), 100);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(bytes[i], 0);
}

static void request(uint32_t control, uint32_t length, uint64_t address, uint64_t at)
{
	const uint32_t high = __builtin_bswap32((uint32_t)(at >> 32));
	struct {
		uint32_t control, length;
		uint64_t address;
	} block = {__builtin_bswap32(control), __builtin_bswap32(length),
		   __builtin_bswap64(address)};

	guest_memory_write(&memory, at, &block, sizeof(block));
	if (high)
		vfwcfg_dma_write(&v, 0x514, 4, high, 0);
	vfwcfg_dma_write(&v, 0x518, 4, __builtin_bswap32((uint32_t)at), 0);
}

static uint32_t status(uint64_t at)
{
	uint32_t value;

	memcpy(&value, ram + at, sizeof(value));
	return __builtin_bswap32(value);
}

static void test_requests(void **state)
{
	(void)state;
	assert_int_equal(vfwcfg_dma_read(&v, 0x514, 4, 0), 0x554D4551);
	assert_int_equal(vfwcfg_dma_read(&v, 0x518, 4, 0), 0x47464320);
	request(0x0A, 4, 0x2000, 0x1000); /* select 0 and read */
	assert_int_equal(status(0x1000), 0);
	assert_memory_equal(ram + 0x2000, "QEMU\xCC", 5);
	request(0x02, 100, 0x2000, 0x1000); /* beyond the end: zeros */
	assert_int_equal(status(0x1000), 0);
	assert_int_equal(ram[0x2000] | ram[0x2063], 0);
	assert_int_equal(ram[0x2064], 0xCC);
	request(0x08, 0, 0, 0x1000);
	request(0x04, 2, 0, 0x1000); /* skip */
	assert_int_equal(status(0x1000), 0);
	request(0x02, 2, 0x2000, 0x1000);
	assert_memory_equal(ram + 0x2000, "MU", 2);
}

static void test_bad_requests(void **state)
{
	(void)state;
	request(0x0A, 4, RAM - 2, 0x1000); /* the end of RAM */
	assert_int_equal(status(0x1000), 1);
	request(0x0A, 4, UINT64_MAX - 1, 0x1000);
	assert_int_equal(status(0x1000), 1);
	request(0x0A, 0xFFFFFFFF, 0x2000, 0x1000);
	assert_int_equal(status(0x1000), 1);
	request(0x18, 4, 0x2000, 0x1000); /* to write */
	assert_int_equal(status(0x1000), 1);
	request(0xFFFF000A, 16, 0x2000, 0x1000); /* an item that does not exist */
	assert_int_equal(status(0x1000), 0);
	assert_int_equal(ram[0x2000] | ram[0x200F], 0);
	request(0x04, 0xFFFFFFFF, 0, 0x1000);
	assert_int_equal(status(0x1000), 0);
	/* A request block that is no RAM: nothing happens. */
	vfwcfg_dma_write(&v, 0x514, 4, 0xFFFFFFFF, 0);
	vfwcfg_dma_write(&v, 0x518, 4, 0xFFFFFFFF, 0);
	vfwcfg_dma_write(&v, 0x518, 4, __builtin_bswap32(RAM - 8), 0);
	vfwcfg_dma_write(&v, 0x518, 2, 0, 0);
	assert_int_equal(ram[RAM - 8], 0xCC);
}

/* The number and size of a file by the directory; 0: it is not there. */
static uint16_t find(const char *name, uint32_t *size)
{
	uint32_t files;
	char entry[64];

	select(0x19);
	files = __builtin_bswap32((uint32_t)next(4));
	for (uint32_t i = 0; i < files; i++) {
		for (unsigned j = 0; j < sizeof(entry); j++)
			entry[j] = (char)next(1);
		if (strcmp(entry + 8, name))
			continue;
		memcpy(size, entry, 4);
		*size = __builtin_bswap32(*size);
		return (uint16_t)((uint8_t)entry[4] << 8 | (uint8_t)entry[5]);
	}
	return 0;
}

static unsigned get(const char *name, void *to)
{
	uint32_t size = 0;
	uint16_t key = find(name, &size);

	assert_int_not_equal(key, 0);
	select(key);
	for (uint32_t i = 0; i < size; i++)
		((uint8_t *)to)[i] = (uint8_t)next(1);
	return size;
}

static void test_files(void **state)
{
	static char text[4096];
	uint32_t size;

	(void)state;
	assert_int_equal(find("etc/nothing", &size), 0);
	get("bootorder", text);
	assert_string_equal(text, "/pci@i0cf8/ide@1,1/drive@0/disk@0\n"
				  "/pci@i0cf8/ide@1,1/drive@0/disk@1\n");
	assert_int_equal(get("etc/e820", text), 40); /* RAM and PCI's registers */
	assert_int_equal(get("etc/sercon-port", text), 8);
	assert_int_equal((uint8_t)text[0] | text[1] << 8, 0x3F8);
	get("etc/smbios/smbios-anchor", text);
	assert_memory_equal(text, "_SM_", 4);
	assert_int_equal(get("etc/smbios/smbios-tables", text + 64),
			 (uint8_t)text[22] | text[23] << 8);
}

/* A VGA BIOS is there, and then the serial line shows no screen. */
static void test_vgabios(void **state)
{
	static const uint8_t rom[512] = {0x55, 0xAA, 1};
	uint8_t read[512];
	uint32_t size;
	uint64_t rsdp;

	(void)state;
	memset(&config, 0, sizeof(config));
	vm.vgabios = (struct config_file){.data = rom, .size = sizeof(rom)};
	assert_true(firmware_write(&memory, 3, &rsdp, &(struct error){0}));
	assert_true(fwconfig_make(&config, &memory, &vm, 0, &(struct error){0}));
	vfwcfg_init(&v, config.item, config.items, &v.ops);
	assert_int_equal(get("vgaroms/vgabios.bin", read), 512);
	assert_memory_equal(read, rom, 512);
	assert_int_equal(find("etc/sercon-port", &size), 0);
}

/* A bzImage of 2.6: two sectors before `code` bytes of its own. */
static struct config_file bzimage(uint8_t *file, uint32_t code)
{
	memset(file, 0x5A, 1024 + code);
	memset(file + 0x1F1, 0, 0x260 - 0x1F1);
	file[0x1F1] = 1;
	memcpy(file + 0x1F4, (uint32_t[]){code / 16}, 4);
	memcpy(file + 0x1FE,
	       "\x55\xAA\xEB\x5E"
	       "HdrS\x06\x02",
	       10);
	file[0x211] = 1;
	memcpy(file + 0x22C, (uint32_t[]){0x17FFFF}, 4); /* its initrd below that */
	memcpy(file + 0x238, (uint32_t[]){100}, 4);
	return (struct config_file){.data = file, .size = 1024 + code, .cmdline = {"one two", 7}};
}

static uint32_t number(unsigned key)
{
	select(key);
	return (uint32_t)next(4);
}

/* What follows the code, for UEFI, which wants to have the file as it was. */
#define SIGNATURE 20

/* With a kernel: its parts and their places, and the ROM that gets them, booted first. */
static void test_kernel(void **state)
{
	static uint8_t file[1024 + 4096 + SIGNATURE], initrd[100], read[4096];
	uint8_t total = 0;
	struct error error;
	uint64_t rsdp;

	(void)state;
	memset(&config, 0, sizeof(config));
	memory.extent[0].size = RAM;
	assert_true(firmware_write(&memory, 3, &rsdp, &error));
	vm.kernel = bzimage(file, 4096);
	vm.kernel.size += SIGNATURE;
	memset(file + 1024 + 4096, 0x77, SIGNATURE);
	vm.initrd = (struct config_file){.data = initrd, .size = sizeof(initrd)};
	assert_false(fwconfig_make(&config, &memory, &vm, 0, &error)); /* 2 MiB are too little */
	assert_non_null(strstr(error.text, "does not fit"));
	memset(&config, 0, sizeof(config));
	free(ram);
	ram = calloc(1, 2 * RAM);
	memory.extent[0] = (struct guest_extent){0, 2 * RAM, ram};
	assert_true(firmware_write(&memory, 3, &rsdp, &error));
	assert_true(fwconfig_make(&config, &memory, &vm, 0x01, &error));
	vfwcfg_init(&v, config.item, config.items, &v.ops);
	assert_int_equal(number(0x07), 0x100000);
	assert_int_equal(number(0x08), 4096 + SIGNATURE);
	select(0x11);
	for (unsigned i = 0; i < 4096 + SIGNATURE; i++)
		assert_int_equal(next(1), file[1024 + i]);
	assert_int_equal(number(0x0A), 0x17F000);
	assert_int_equal(number(0x0B), 100);
	assert_int_equal(number(0x14), 8);
	assert_int_equal(number(0x17), 1024);
	select(0x15);
	assert_int_equal(next(8), 0x006F777420656E6F); /* "one two" and a NUL */
	select(0x18);
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(next(1), file[i]);
	assert_int_equal(get("genroms/kernel.rom", read), 512);
	for (unsigned i = 0; i < 512; i++)
		total = (uint8_t)(total + read[i]);
	assert_int_equal(total, 0);
	assert_memory_equal(read, "\x55\xAA\x01", 3);
	get("bootorder", read);
	assert_string_equal((char *)read, "/rom@genroms/kernel.rom\n"
					  "/pci@i0cf8/ide@1,1/drive@0/disk@0\n");
	vm.kernel.cmdline.length = 101; /* more than it takes */
	memset(&config, 0, sizeof(config));
	assert_false(fwconfig_make(&config, &memory, &vm, 0, &error));
	assert_non_null(strstr(error.text, "cmdline"));
}

static uint8_t sum(const uint8_t *from, uint32_t length)
{
	uint8_t total = 0;

	while (length--)
		total = (uint8_t)(total + *from++);
	return total;
}

#define TABLES_AT 0x7F000000U
#define RSDP_AT	  0xF5000U

/* Does what the commands say, as a firmware would, and looks at the tables then. */
static void test_table_loader(void **state)
{
	static uint8_t tables[0x4000], rsdp[36], commands[40 * 128];
	unsigned size, count = 0;
	uint32_t xsdt, fadt = 0, dsdt, word;

	(void)state;
	fwconfig_pm_moved(&config, 0x600);
	get("etc/acpi/tables", tables);
	assert_int_equal(get("etc/acpi/rsdp", rsdp), 36);
	size = get("etc/table-loader", commands);
	for (uint8_t *c = commands; c < commands + size; c += 128) {
		bool in_rsdp = !strcmp((char *)c + 4, "etc/acpi/rsdp");
		uint8_t *file = in_rsdp ? rsdp : tables;
		uint32_t at, first, length;
		uint64_t value = 0;

		memcpy(&word, c, 4);
		if (word == 2) {
			memcpy(&at, c + 116, 4);
			memcpy(&value, file + at, c[120]);
			assert_true(value < sizeof(tables));
			value += TABLES_AT;
			memcpy(file + at, &value, c[120]);
		} else if (word == 3) {
			memcpy(&at, c + 60, 4), memcpy(&first, c + 64, 4);
			memcpy(&length, c + 68, 4);
			assert_int_equal(file[at], 0); /* some add to it, some write it */
			file[at] = (uint8_t)-sum(file + first, length);
		} else {
			assert_int_equal(word, 1);
		}
	}
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	memcpy(&xsdt, rsdp + 24, 4);
	xsdt -= TABLES_AT;
	assert_memory_equal(tables + xsdt, "XSDT", 4);
	memcpy(&size, tables + xsdt + 4, 4);
	for (uint32_t at = xsdt + 36; at < xsdt + size; at += 8, count++) {
		uint32_t table, length;

		memcpy(&table, tables + at, 4);
		table -= TABLES_AT;
		memcpy(&length, tables + table + 4, 4);
		assert_int_equal(sum(tables + table, length), 0);
		if (!memcmp(tables + table, "FACP", 4))
			fadt = table;
	}
	assert_true(count >= 4);
	memcpy(&dsdt, tables + fadt + 40, 4);
	assert_memory_equal(tables + dsdt - TABLES_AT, "DSDT", 4);
	memcpy(&dsdt, tables + fadt + 140, 4);
	assert_memory_equal(tables + dsdt - TABLES_AT, "DSDT", 4);
	memcpy(&word, tables + fadt + 36, 4);
	assert_memory_equal(tables + word - TABLES_AT, "FACS", 4);
	memcpy(&word, tables + fadt + 76, 4);
	assert_int_equal(word, 0x608);
	memcpy(&word, tables + fadt + 172 + 4, 4);
	assert_int_equal(word, 0x604);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ports, start, end),
		cmocka_unit_test_setup_teardown(test_selectors_out_of_range, start, end),
		cmocka_unit_test_setup_teardown(test_requests, start, end),
		cmocka_unit_test_setup_teardown(test_bad_requests, start, end),
		cmocka_unit_test_setup_teardown(test_files, start, end),
		cmocka_unit_test_setup_teardown(test_vgabios, start, end),
		cmocka_unit_test_setup_teardown(test_kernel, start, end),
		cmocka_unit_test_setup_teardown(test_table_loader, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
