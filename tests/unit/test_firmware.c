/* SPDX-License-Identifier: MIT */
/*
 * The firmware's tables as a kernel would look for them: found by their signs, checked by their
 * sums and lengths, and read field by field at the offsets that the specifications give.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/firmware.h"
#include "vm/layout.h"
#include "vm/pc.h"

static uint8_t ram[1 << 20];
static struct guest_memory memory;

static uint64_t write_tables(unsigned cpus)
{
	struct error error;
	uint64_t rsdp = 0;

	memset(ram, 0, sizeof(ram));
	memory = (struct guest_memory){.extent = {{0, sizeof(ram), ram}}, .extents = 1};
	assert_true(firmware_write(&memory, cpus, &rsdp, &error));
	return rsdp;
}

static uint64_t get(uint64_t gpa, unsigned bytes)
{
	uint64_t value = 0;

	assert_true(gpa + bytes <= sizeof(ram));
	memcpy(&value, ram + gpa, bytes);
	return value;
}

static void assert_sum(uint64_t gpa, uint64_t length)
{
	uint8_t sum = 0;

	assert_true(gpa + length <= sizeof(ram));
	for (uint64_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + ram[gpa + i]);
	assert_int_equal(sum, 0);
}

/* The one place in [from, to) at a multiple of 16 that begins with `sign`. */
static uint64_t find(const char *sign, uint64_t from, uint64_t to)
{
	uint64_t found = 0;

	for (uint64_t gpa = from; gpa < to; gpa += 16)
		if (!memcmp(ram + gpa, sign, strlen(sign))) {
			assert_int_equal(found, 0);
			found = gpa;
		}
	assert_true(found);
	return found;
}

/* The ACPI table of that signature, by the XSDT and by the RSDT alike. */
static uint64_t table(uint64_t rsdp, const char *sign)
{
	uint64_t rsdt = get(rsdp + 16, 4), xsdt = get(rsdp + 24, 8), found = 0;
	uint64_t entries = (get(xsdt + 4, 4) - 36) / 8;

	assert_int_equal((get(rsdt + 4, 4) - 36) / 4, entries);
	for (uint64_t i = 0; i < entries; i++) {
		uint64_t gpa = get(xsdt + 36 + 8 * i, 8);

		assert_int_equal(get(rsdt + 36 + 4 * i, 4), gpa);
		assert_sum(gpa, get(gpa + 4, 4));
		if (!memcmp(ram + gpa, sign, 4))
			found = gpa;
	}
	assert_true(found);
	return found;
}

static void test_root(void **state)
{
	uint64_t rsdp = write_tables(1);

	(void)state;
	assert_int_equal(rsdp, find("RSD PTR ", 0xE0000, 0x100000));
	assert_sum(rsdp, 20);
	assert_sum(rsdp, 36);
	assert_int_equal(get(rsdp + 15, 1), 2);
	assert_memory_equal(ram + get(rsdp + 16, 4), "RSDT", 4);
	assert_memory_equal(ram + get(rsdp + 24, 8), "XSDT", 4);
	assert_sum(get(rsdp + 16, 4), get(get(rsdp + 16, 4) + 4, 4));
	assert_sum(get(rsdp + 24, 8), get(get(rsdp + 24, 8) + 4, 4));
	table(rsdp, "SSDT");
}

static void test_fadt(void **state)
{
	uint64_t fadt = table(write_tables(1), "FACP"), facs, dsdt;

	(void)state;
	assert_int_equal(get(fadt + 4, 4), 276);
	facs = get(fadt + 36, 4);
	dsdt = get(fadt + 40, 4);
	assert_memory_equal(ram + facs, "FACS", 4);
	assert_int_equal(facs % 64, 0);
	assert_true(facs >= LAYOUT_ACPI_END); /* not in what the guest may reclaim */
	assert_memory_equal(ram + dsdt, "DSDT", 4);
	assert_sum(dsdt, get(dsdt + 4, 4));
	assert_true(dsdt + get(dsdt + 4, 4) <= LAYOUT_ACPI_END);
	assert_int_equal(get(fadt + 140, 8), dsdt);
	assert_int_equal(get(fadt + 46, 2), 9);
	assert_int_equal(get(fadt + 48, 4), 0xB2);
	assert_int_equal(get(fadt + 52, 1), VACPI_ENABLE);
	assert_int_equal(get(fadt + 56, 4), 0x400);
	assert_int_equal(get(fadt + 64, 4), 0x404);
	assert_int_equal(get(fadt + 76, 4), 0x408);
	assert_int_equal(get(fadt + 88, 1), 4);
	assert_int_equal(get(fadt + 89, 1), 2);
	assert_int_equal(get(fadt + 91, 1), 4);
	assert_int_equal(get(fadt + 92, 1), 0);
	assert_int_equal(get(fadt + 108, 1), 0x32);
	/* Flags: offset 112; the reset register's address structure: 116. */
	assert_int_equal(get(fadt + 109, 2), 0x0003);
	assert_int_equal(get(fadt + 112, 4), 1 | 1U << 2 | 1U << 5 | 1U << 6 | 1U << 8 | 1U << 10);
	assert_int_equal(get(fadt + 116, 4), 0x01000801);
	assert_int_equal(get(fadt + 120, 8), 0xCF9);
	assert_int_equal(get(fadt + 128, 1), 6);
}

static void test_madt(void **state)
{
	(void)state;
	for (unsigned cpus = 1; cpus <= PC_CPUS_MAX; cpus++) {
		uint64_t madt = table(write_tables(cpus), "APIC"), end = madt + get(madt + 4, 4);
		unsigned lapics = 0, ioapics = 0, overrides = 0, nmis = 0;

		assert_int_equal(get(madt + 36, 4), 0xFEE00000);
		for (uint64_t at = madt + 44; at < end; at += get(at + 1, 1)) {
			assert_true(get(at + 1, 1) >= 6);
			switch (get(at, 1)) {
			case 0:
				assert_int_equal(get(at + 3, 1), lapics++);
				assert_int_equal(get(at + 4, 4), 1);
				break;
			case 1:
				ioapics++;
				assert_int_equal(get(at + 4, 4), 0xFEC00000);
				assert_int_equal(get(at + 8, 4), 0);
				break;
			case 2:
				overrides++;
				assert_true(get(at + 3, 1) == 0 ? get(at + 4, 4) == 2
								: get(at + 4, 4) == 9);
				assert_int_equal(get(at + 8, 2), get(at + 3, 1) == 9 ? 0xD : 0);
				break;
			case 4:
				nmis++;
				assert_int_equal(get(at + 5, 1), 1);
				break;
			default: fail();
			}
		}
		assert_int_equal(lapics, cpus);
		assert_int_equal(ioapics, 1);
		assert_int_equal(overrides, 2);
		assert_int_equal(nmis, 1);
	}
}

static void test_mp_table(void **state)
{
	(void)state;
	for (unsigned cpus = 1; cpus <= PC_CPUS_MAX; cpus++) {
		unsigned counts[5] = {0}, sizes[5] = {20, 8, 8, 8, 8}, entries, last = 0;
		uint64_t pointer, mp, at;

		write_tables(cpus);
		pointer = find("_MP_", 0x9FC00, 0xA0000);
		assert_sum(pointer, 16);
		mp = get(pointer + 4, 4);
		assert_memory_equal(ram + mp, "PCMP", 4);
		assert_sum(mp, get(mp + 4, 2));
		entries = (unsigned)get(mp + 34, 2);
		at = mp + 44;
		for (unsigned i = 0; i < entries; i++) {
			unsigned type = (unsigned)get(at, 1);

			assert_true(type < 5 && type >= last);
			if (type == 0)
				assert_int_equal(get(at + 3, 1), counts[0] ? 1 : 3);
			if (type == 3 && get(at + 1, 1) == 0)
				assert_int_equal(get(at + 7, 1),
						 get(at + 5, 1) ? get(at + 5, 1) : 2);
			last = type;
			counts[type]++;
			at += sizes[type];
		}
		assert_int_equal(at, mp + get(mp + 4, 2));
		assert_int_equal(counts[0], cpus);
		assert_int_equal(counts[1], 1);
		assert_int_equal(counts[2], 1);
		assert_int_equal(counts[3], 16);
		assert_int_equal(counts[4], 2);
	}
}

static void test_smbios(void **state)
{
	uint64_t entry, at, end;
	unsigned structures = 0, processors = 0;

	(void)state;
	write_tables(3);
	entry = find("_SM_", 0xF0000, 0x100000);
	assert_sum(entry, get(entry + 5, 1));
	assert_memory_equal(ram + entry + 16, "_DMI_", 5);
	assert_sum(entry + 16, 15);
	at = get(entry + 24, 4);
	end = at + get(entry + 22, 2);
	for (; at < end; structures++) {
		if (get(at, 1) == 4) {
			processors++;
			assert_int_equal(get(at + 1, 1), 0x2A);
			/* Cores, those enabled, threads. */
			assert_int_equal(get(at + 0x23, 3), 0x030303);
		}
		at += get(at + 1, 1);
		while (get(at, 2))
			at++;
		at += 2;
	}
	assert_int_equal(at, end);
	assert_int_equal(structures, get(entry + 28, 2));
	assert_int_equal(processors, 1);
}

static void test_bios_data(void **state)
{
	(void)state;
	write_tables(1);
	assert_int_equal(get(0x400, 2), 0x3F8);
	assert_int_equal(get(0x40E, 2) << 4, LAYOUT_EBDA);
	assert_int_equal(get(0x413, 2) * 1024, LAYOUT_EBDA);
	assert_int_equal(get(LAYOUT_EBDA, 1), 1);
	/* Mode 3: 80 columns, CRTC at 3D4H, 25 rows of 16 lines, a blank screen. */
	assert_int_equal(get(0x449, 1), 3);
	assert_int_equal(get(0x44A, 2), 80);
	assert_int_equal(get(0x463, 2), 0x3D4);
	assert_int_equal(get(0x484, 1), 24);
	assert_int_equal(get(0x485, 2), 16);
	for (uint64_t gpa = 0xB8000; gpa < 0xB8000 + 4000; gpa += 2)
		assert_int_equal(get(gpa, 2), 0x0720);
}

static void test_too_little_memory(void **state)
{
	struct error error = {""};
	uint64_t rsdp;

	(void)state;
	write_tables(1);
	memory.extent[0].size = 0xF0800;
	assert_false(firmware_write(&memory, 1, &rsdp, &error));
	assert_true(strstr(error.text, "memory"));
	memory.extent[0].size = sizeof(ram);
	assert_false(firmware_write(&memory, 0, &rsdp, &error));
	assert_false(firmware_write(&memory, PC_CPUS_MAX + 1, &rsdp, &error));
}

/* ACPICA reads the AML, where it is installed: the disassembly names every processor. */
static void test_acpica_understands_the_aml(void **state)
{
	char line[256], dir[] = "/tmp/socle-aml-XXXXXX", command[256];
	unsigned cpus = 0;
	uint64_t ssdt;
	FILE *file;

	(void)state;
	if (system("iasl -v >/dev/null 2>&1"))
		skip();
	ssdt = table(write_tables(PC_CPUS_MAX), "SSDT");
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "%s/ssdt.aml", dir);
	file = fopen(command, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(ram + ssdt, 1, get(ssdt + 4, 4), file), get(ssdt + 4, 4));
	fclose(file);
	snprintf(command, sizeof(command),
		 "iasl -p %s/ssdt -d %s/ssdt.aml >/dev/null 2>&1 && "
		 "cat %s/ssdt.dsl",
		 dir, dir, dir);
	file = popen(command, "r");
	while (fgets(line, sizeof(line), file))
		cpus += strstr(line, "\"ACPI0007\"") != NULL;
	assert_int_equal(pclose(file), 0);
	assert_int_equal(cpus, PC_CPUS_MAX);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_fadt),
		cmocka_unit_test(test_madt),
		cmocka_unit_test(test_mp_table),
		cmocka_unit_test(test_smbios),
		cmocka_unit_test(test_bios_data),
		cmocka_unit_test(test_too_little_memory),
		cmocka_unit_test(test_acpica_understands_the_aml),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
