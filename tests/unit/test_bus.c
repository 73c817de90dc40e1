/* SPDX-License-Identifier: MIT */
/* The port and MMIO maps: who answers, and how wide and straddling accesses are split. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "devices/bus.h"

struct log {
	unsigned reads, writes;
	uint64_t at, value;
	unsigned size;
};

static struct bus bus;
static struct log narrow, wide, memory;

static uint32_t port_read(void *dev, uint16_t port, unsigned size, uint64_t now)
{
	struct log *log = dev;

	(void)now;
	log->reads++;
	log->at = port;
	log->size = size;
	return 0xA0B0C000U | (port & 0xFF);
}

static void port_write(void *dev, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct log *log = dev;

	(void)now;
	log->writes++;
	log->at = port;
	log->size = size;
	log->value = log->value << 8 | (value & 0xFF);
	if (size == 4)
		log->value = value;
}

static uint64_t mem_read(void *dev, uint64_t offset, unsigned size, uint64_t now)
{
	struct log *log = dev;

	(void)now;
	log->reads++;
	log->size = size;
	return 0x1122334455667700 | offset;
}

static void mem_write(void *dev, uint64_t offset, unsigned size, uint64_t value, uint64_t now)
{
	struct log *log = dev;

	(void)now;
	log->writes++;
	log->at = offset;
	log->size = size;
	log->value = value;
}

static void start(void)
{
	const struct port_range ranges[] = {
		{0x20, 0x21, 1, port_read, port_write, &narrow, NULL},
		{0x4FE, 0x510, 4, port_read, port_write, &wide, NULL},
		{0xFFFC, 0xFFFF, 4, port_read, port_write, &wide, NULL},
	};
	const struct mmio_region region = {0x1000, 0x10, mem_read, mem_write, &memory};

	memset(&narrow, 0, sizeof(narrow)), memset(&wide, 0, sizeof(wide));
	memset(&memory, 0, sizeof(memory));
	bus_init(&bus);
	for (unsigned i = 0; i < 3; i++)
		assert_true(bus_add_ports(&bus, &ranges[i]));
	assert_true(bus_add_mmio(&bus, &region));
}

static void test_nobody(void **state)
{
	(void)state;
	start();
	assert_int_equal(bus_port_read(&bus, 0x100, 1, 0), 0xFF);
	assert_int_equal(bus_port_read(&bus, 0x100, 2, 0), 0xFFFF);
	assert_int_equal(bus_port_read(&bus, 0x5000, 4, 0), 0xFFFFFFFF);
	assert_int_equal(bus_port_read(&bus, 0, 1, 0), 0xFF);
	bus_port_write(&bus, 0, 4, 0, 0);
	assert_true(bus_mmio_read(&bus, 0x2000, 8, 0) == UINT64_MAX);
	assert_int_equal(bus_mmio_read(&bus, 0x2000, 1, 0), 0xFF);
	bus_mmio_write(&bus, 0x2000, 8, 0, 0);
}

static void test_result_has_no_more_than_size(void **state)
{
	(void)state;
	start();
	assert_int_equal(bus_port_read(&bus, 0x4FE, 1, 0), 0xFE);
	assert_int_equal(bus_port_read(&bus, 0x4FE, 2, 0), 0xC0FE);
	assert_int_equal(bus_port_read(&bus, 0x4FE, 4, 0), 0xA0B0C0FE);
	assert_int_equal(wide.reads, 3);
	assert_int_equal(bus_mmio_read(&bus, 0x1000, 2, 0), 0x7700);
}

static void test_wide_access_to_a_narrow_device(void **state)
{
	(void)state;
	start();
	assert_int_equal(bus_port_read(&bus, 0x20, 2, 0), 0x2120);
	assert_int_equal(narrow.reads, 2);
	assert_int_equal(bus_port_read(&bus, 0x20, 4, 0), 0xFFFF2120);
	bus_port_write(&bus, 0x1F, 4, 0x44332211, 0);
	assert_int_equal(narrow.writes, 2);
	assert_int_equal(narrow.value, 0x2233);
	assert_int_equal(narrow.size, 1);
}

static void test_straddling(void **state)
{
	(void)state;
	start();
	assert_int_equal(bus_port_read(&bus, 0x4FD, 2, 0), 0xFEFF);
	assert_int_equal(bus_port_read(&bus, 0x510, 2, 0), 0xFF10);
	assert_int_equal(bus_port_read(&bus, 0xFFFE, 4, 0), 0xFFFFFFFE);
	bus_port_write(&bus, 0xFFFF, 4, 0x44332211, 0);
	assert_int_equal(wide.value, 0x11);
	assert_true(bus_mmio_read(&bus, 0x100E, 4, 0) == 0xFFFF0F0E);
	bus_mmio_write(&bus, 0xFFF, 2, 0xBBAA, 0);
	assert_int_equal(memory.writes, 1);
	assert_int_equal(memory.at, 0);
	assert_int_equal(memory.value, 0xBB);
	assert_true(bus_mmio_read(&bus, UINT64_MAX, 8, 0) == UINT64_MAX);
}

static void test_overlaps_and_full_maps(void **state)
{
	struct port_range range = {0x21, 0x30, 1, port_read, port_write, &narrow, NULL};
	struct mmio_region region = {0x100F, 1, mem_read, mem_write, &memory};
	unsigned added = 0;

	(void)state;
	start();
	assert_false(bus_add_ports(&bus, &range));
	range.first = 0x10, range.last = 0x20;
	assert_false(bus_add_ports(&bus, &range));
	range.first = 0x31, range.last = 0x30;
	assert_false(bus_add_ports(&bus, &range));
	for (range.first = 0x600; added < 100; range.first++, added++) {
		range.last = range.first;
		if (!bus_add_ports(&bus, &range))
			break;
	}
	assert_int_equal(added, PORT_RANGES_MAX - 1 - 3);
	assert_false(bus_add_mmio(&bus, &region));
	region.base = 0xF00, region.size = 0x101;
	assert_false(bus_add_mmio(&bus, &region));
	region.size = 0;
	assert_false(bus_add_mmio(&bus, &region));
	region.base = UINT64_MAX, region.size = 2;
	assert_false(bus_add_mmio(&bus, &region));
	region.size = 1;
	assert_true(bus_add_mmio(&bus, &region));
	for (added = 0, region.base = 0x10000; bus_add_mmio(&bus, &region); region.base++)
		added++;
	assert_int_equal(added, MMIO_REGIONS_MAX - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_result_has_no_more_than_size),
		cmocka_unit_test(test_wide_access_to_a_narrow_device),
		cmocka_unit_test(test_straddling),
		cmocka_unit_test(test_overlaps_and_full_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
