/* SPDX-License-Identifier: MIT */
/* PCI configuration ports in front of an empty bus. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/vpci.h"

static void test_address_register(void **state)
{
	struct vpci pci;

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

static void test_every_function_is_absent(void **state)
{
	struct vpci pci;

	(void)state;
	vpci_init(&pci);
	for (uint32_t bdf = 0; bdf < 0x10000; bdf += 3) {
		vpci_write(&pci, 0xCF8, 4, 0x80000000 | bdf << 8, 0);
		vpci_write(&pci, 0xCFC, 4, bdf, 0);
		assert_int_equal(vpci_read(&pci, 0xCFC, 4, 0), 0xFFFFFFFF);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_register),
		cmocka_unit_test(test_every_function_is_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
