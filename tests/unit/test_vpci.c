/* SPDX-License-Identifier: MIT */
/* PCI configuration by ports and by memory, functions, and the chipset's interrupt routing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/vpci.h"
#include "devices/vpiix.h"
#include "lib/bits.h"
#include "lib/string.h"

static struct vpci pci;
static struct vpiix piix;
static unsigned levels; /* of interrupts 0..19 */
static uint32_t pm_base;

static void set_irq(void *ctx, unsigned irq, bool level)
{
	(void)ctx;
	assert_true(irq < 20);
	levels = (levels & ~(1U << irq)) | (unsigned)level << irq;
}

static void pm_moved(void *ctx, uint16_t base)
{
	(void)ctx;
	pm_base = base;
}

static void start(uint16_t base)
{
	const struct vpiix_ops ops = {set_irq, pm_moved, NULL};

	levels = 0;
	pm_base = ~0U;
	vpci_init(&pci);
	vpiix_init(&piix, &pci, base, &ops);
}

static void select(unsigned devfn, unsigned reg)
{
	vpci_write(&pci, 0xCF8, 4, 0x80000000 | devfn << 8 | (reg & ~3U), 0);
}

static uint32_t get(unsigned devfn, unsigned reg, unsigned size)
{
	select(devfn, reg);
	return vpci_read(&pci, (uint16_t)(0xCFC + reg % 4), size, 0) & (uint32_t)mask_bytes(size);
}

static void put(unsigned devfn, unsigned reg, unsigned size, uint32_t value)
{
	select(devfn, reg);
	vpci_write(&pci, (uint16_t)(0xCFC + reg % 4), size, value, 0);
}

static void test_address_register(void **state)
{
	(void)state;
	vpci_init(&pci);
	assert_int_equal(vpci_read(&pci, 0xCF8, 4, 0), 0);
	vpci_write(&pci, 0xCF8, 4, 0xFFFFFFFF, 0);
	assert_int_equal(vpci_read(&pci, 0xCF8, 4, 0), 0x80FFFFFC);
	vpci_write(&pci, 0xCF8, 2, 0, 0); /* only double words are for it */
	vpci_write(&pci, 0xCFA, 1, 0, 0);
	assert_int_equal(vpci_read(&pci, 0xCF8, 4, 0), 0x80FFFFFC);
	assert_int_equal(vpci_read(&pci, 0xCF8, 2, 0) & 0xFFFF, 0xFFFF);
}

static void test_an_empty_bus(void **state)
{
	(void)state;
	vpci_init(&pci);
	for (uint32_t bdf = 0; bdf < 0x10000; bdf += 3) {
		put(bdf, 0, 4, bdf);
		assert_int_equal(get(bdf, 0, 4), 0xFFFFFFFF);
	}
}

/* Debian's lspci would print these of a QEMU "pc" machine. */
static void test_what_is_there(void **state)
{
	static const struct {
		unsigned devfn;
		uint32_t id, class;
	} expected[] = {
		{0x00, 0x12378086, 0x060000},
		{0x08, 0x70008086, 0x060100},
		{0x09, 0x70108086, 0x010100},
		{0x0B, 0x71138086, 0x068000},
	};
	unsigned found = 0;

	(void)state;
	start(0x400);
	for (unsigned devfn = 0; devfn < 256; devfn++)
		found += get(devfn, 0, 4) != 0xFFFFFFFF;
	assert_int_equal(found, ARRAY_SIZE(expected));
	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_int_equal(get(expected[i].devfn, 0, 4), expected[i].id);
		assert_int_equal(get(expected[i].devfn, 8, 4) >> 8, expected[i].class);
	}
	assert_int_equal(get(0x08, 0x0E, 1), 0x80);	/* several functions */
	assert_int_equal(get(0x100, 0, 4), 0xFFFFFFFF); /* bus 1 */
	vpci_write(&pci, 0xCF8, 4, 0, 0);
	assert_int_equal(vpci_read(&pci, 0xCFC, 4, 0), 0xFFFFFFFF); /* no enable bit */
}

static void test_sizes_and_masks(void **state)
{
	(void)state;
	start(0);
	put(0, 0, 4, 0);
	assert_int_equal(get(0, 0, 4), 0x12378086); /* read-only */
	assert_int_equal(get(0, 2, 2), 0x1237);
	assert_int_equal(get(0, 1, 1), 0x80);
	put(0, 0x5A, 1, 0x33);
	put(0, 0x5E, 2, 0xAA55);
	assert_int_equal(get(0, 0x58, 4), 0x00330000);
	assert_int_equal(get(0, 0x5C, 4), 0xAA550000);
	put(0x0B, 0x40, 4, 0xFFFFFFFF);
	assert_int_equal(get(0x0B, 0x40, 4), 0x0000FFC1);
}

static void test_memory_mapped(void **state)
{
	(void)state;
	start(0x400);
	assert_int_equal(vpci_ecam_read(&pci, 0x9 << 12, 4, 0), 0x70108086);
	assert_int_equal(vpci_ecam_read(&pci, 0x9 << 12, 8, 0) >> 32 & 7, 1);
	vpci_ecam_write(&pci, 0x9 << 12 | 0x42, 2, 0x8012, 0);
	assert_int_equal(get(0x09, 0x42, 2), 0x8012);
	assert_true(vpci_ecam_read(&pci, 0x100, 4, 0) == UINT64_MAX); /* no extended space */
	assert_true(vpci_ecam_read(&pci, 0xFE, 4, 0) == UINT64_MAX);
	vpci_ecam_write(&pci, 0xFFC, 4, 1, 0);
	assert_true(vpci_ecam_read(&pci, 0x1F << 15, 4, 0) == UINT64_MAX);
}

/* A BAR is what its writable bits make it: 4 KiB of memory here. */
static void test_bar_sizing(void **state)
{
	static const struct vpci_register map[] = {
		{0x10, 0x10, 0x00, 0}, {0x11, 0x11, 0x00, 0xF0}, {0x12, 0x13, 0x00, 0xFF}};
	struct vpci_function f = {.devfn = VPCI_DEVFN(3, 0), .map = map, .registers = 3};
	struct vpci_function same = f;

	(void)state;
	start(0x400);
	assert_true(vpci_add(&pci, &f));
	assert_false(vpci_add(&pci, &same));
	put(0x18, 0x10, 4, 0xFFFFFFFF);
	assert_int_equal(get(0x18, 0x10, 4), 0xFFFFF000);
	put(0x18, 0x10, 4, 0xC0001234);
	assert_int_equal(get(0x18, 0x10, 4), 0xC0001000);
}

static void test_power_management_moves(void **state)
{
	(void)state;
	start(0x400);
	assert_int_equal(pm_base, 0x400);
	assert_int_equal(get(0x0B, 0x40, 4), 0x401);
	start(0);
	put(0x0B, 0x40, 4, 0x0601);
	assert_int_equal(pm_base, 0); /* not enabled yet */
	put(0x0B, 0x80, 1, 1);
	assert_int_equal(pm_base, 0x600);
	put(0x0B, 0x41, 1, 0xB0);
	assert_int_equal(pm_base, 0xB000);
	put(0x0B, 0x80, 1, 0);
	assert_int_equal(pm_base, 0);
}

static void test_interrupts(void **state)
{
	struct line a, b;

	(void)state;
	start(0x400);
	a = vpiix_intx(&piix, 1, 0); /* PIRQA */
	b = vpiix_intx(&piix, 3, 3); /* 3 + 3 - 1 = 5: PIRQB, the same ISA interrupt */
	line_set(&a, true);
	assert_int_equal(levels, 1 << 16 | 1 << 10);
	line_set(&b, true);
	assert_int_equal(levels, 1 << 16 | 1 << 17 | 1 << 10);
	line_set(&a, false);
	assert_int_equal(levels, 1 << 17 | 1 << 10);
	put(0x08, 0x60, 4, 0x80800580); /* PIRQB to IRQ5, the others nowhere */
	assert_int_equal(levels, 1 << 17 | 1 << 5);
	put(0x08, 0x61, 1, 0x80);
	assert_int_equal(levels, 1 << 17);
	line_set(&b, false);
	assert_int_equal(levels, 0);
}

/* Two devices on one PIRQ: it falls when both have let go. */
static void test_shared_interrupt(void **state)
{
	struct line a, b;

	(void)state;
	start(0x400);
	a = vpiix_intx(&piix, 1, 0);
	b = vpiix_intx(&piix, 5, 0);
	line_set(&a, true);
	line_set(&b, true);
	line_set(&a, false);
	assert_int_equal(levels, 1 << 16 | 1 << 10);
	line_set(&b, false);
	assert_int_equal(levels, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_register),
		cmocka_unit_test(test_an_empty_bus),
		cmocka_unit_test(test_what_is_there),
		cmocka_unit_test(test_sizes_and_masks),
		cmocka_unit_test(test_memory_mapped),
		cmocka_unit_test(test_bar_sizing),
		cmocka_unit_test(test_power_management_moves),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_shared_interrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
