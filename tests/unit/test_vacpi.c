/* SPDX-License-Identifier: MIT */
/* ACPI fixed hardware: PM timer, events and the SCI, sleep, SMI commands, the reset register. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/vacpi.h"

#define HZ (VACPI_PM_TIMER_HZ * 2) /* two ticks a count */

static struct vacpi acpi;
static bool sci;
static unsigned offs, resets;

static void on_sci(void *ctx, unsigned pin, bool level)
{
	(void)ctx, (void)pin;
	sci = level;
}

static void on_off(void *ctx)
{
	(void)ctx;
	offs++;
}

static void on_reset(void *ctx)
{
	(void)ctx;
	resets++;
}

static void start(uint64_t now)
{
	const struct vacpi_ops ops = {on_off, on_reset, NULL};

	sci = false, offs = resets = 0;
	vacpi_init(&acpi, HZ, &ops, (struct line){.set = on_sci}, now);
}

static uint32_t in(unsigned offset, unsigned size, uint64_t now)
{
	return vacpi_read(&acpi, (uint16_t)(0x400 + offset), size, now) & ~0U >> (32 - 8 * size);
}

static void out(unsigned offset, unsigned size, uint32_t value, uint64_t now)
{
	vacpi_write(&acpi, (uint16_t)(0x400 + offset), size, value, now);
}

static void test_pm_timer(void **state)
{
	(void)state;
	start(0);
	assert_int_equal(in(8, 4, 0x12345678ULL * 2 + 1), 0x12345678);
	assert_int_equal(in(8, 4, 0x112345678ULL * 2), 0x12345678);
	assert_int_equal(in(9, 1, 0x12345678ULL * 2), 0x56);
	assert_int_equal(in(10, 2, 0x12345678ULL * 2), 0x1234);
	out(8, 4, 0, 0);
	assert_int_equal(in(8, 4, 100), 50);
}

static void test_timer_status_at_each_change_of_the_top_bit(void **state)
{
	const uint64_t half = (1ULL << 31) * 2;

	(void)state;
	start(0);
	vacpi_smi_write(&acpi, 0xB2, 1, VACPI_ENABLE, 0);
	assert_int_equal(in(0, 2, half - 1) & 1, 0);
	assert_int_equal(in(0, 2, half) & 1, 1);
	assert_false(sci);
	out(0, 2, 1, half);
	assert_int_equal(in(0, 2, half + 5) & 1, 0);
	out(2, 2, 1, half + 5);
	assert_int_equal(vacpi_next_event(&acpi), 2 * half);
	vacpi_advance(&acpi, 2 * half - 1);
	assert_false(sci);
	vacpi_advance(&acpi, 2 * half);
	assert_true(sci);
	assert_true(vacpi_next_event(&acpi) == UINT64_MAX);
	out(0, 2, 1, 2 * half + 1);
	assert_false(sci);
	assert_int_equal(vacpi_next_event(&acpi), 3 * half);
}

static void test_sci_needs_enable_and_acpi_mode(void **state)
{
	(void)state;
	start(0);
	vacpi_power_button(&acpi);
	assert_int_equal(in(0, 2, 0), 0x100);
	out(2, 2, 0xFFFF, 0);
	assert_int_equal(in(2, 2, 0), 0x0721);
	assert_false(sci);
	assert_int_equal(in(4, 2, 0), 0);
	vacpi_smi_write(&acpi, 0xB2, 1, VACPI_ENABLE, 0);
	assert_int_equal(in(4, 2, 0), 1);
	assert_true(sci);
	out(2, 2, 0, 0);
	assert_false(sci);
	out(3, 1, 0x01, 0); /* by bytes as well */
	assert_true(sci);
	out(0, 1, 0xFF, 0); /* not that byte */
	assert_true(sci);
	out(1, 1, 0x01, 0);
	assert_false(sci);
	vacpi_power_button(&acpi);
	assert_int_equal(in(0, 4, 0), 0x01000100);
	vacpi_smi_write(&acpi, 0xB2, 1, VACPI_DISABLE, 0);
	assert_int_equal(in(4, 2, 0), 0);
	assert_false(sci);
	assert_int_equal(vacpi_smi_read(&acpi, 0xB2, 1, 0), VACPI_DISABLE);
	vacpi_smi_write(&acpi, 0xB3, 1, 0x77, 0);
	assert_int_equal(vacpi_smi_read(&acpi, 0xB3, 1, 0), 0x77);
}

static void test_sleep(void **state)
{
	(void)state;
	start(0);
	for (unsigned type = 0; type < 8; type++) {
		out(4, 2, type << 10, 0);
		assert_int_equal(offs, 0);
		assert_int_equal(in(4, 2, 0), type << 10);
	}
	for (unsigned type = 1; type < 8; type++)
		out(4, 2, 0x2000 | type << 10, 0);
	assert_int_equal(offs, 0);
	out(4, 2, 0x2000, 0); /* PIIX4: type 0 is soft off */
	assert_int_equal(offs, 1);
	assert_int_equal(in(4, 2, 0) & 0x2000, 0); /* SLP_EN reads as zero */
	out(5, 1, 0x20, 0);
	assert_int_equal(offs, 2);
}

static void test_reset_register(void **state)
{
	(void)state;
	start(0);
	vacpi_reset_write(&acpi, 0xCF9, 1, 0xFF & ~0x04, 0);
	assert_int_equal(vacpi_reset_read(&acpi, 0xCF9, 1, 0), 0x0A);
	assert_int_equal(resets, 0);
	vacpi_reset_write(&acpi, 0xCF9, 1, VACPI_RESET_VALUE, 0);
	assert_int_equal(resets, 1);
}

static void test_flags_are_independent(void **state)
{
	const uint64_t half = (1ULL << 31) * 2;

	(void)state;
	start(0);
	out(4, 2, 0x1402, 0);
	vacpi_smi_write(&acpi, 0xB2, 1, VACPI_ENABLE, 0);
	assert_int_equal(in(4, 2, 0), 0x1403);
	out(4, 1, 0x00, 0); /* a byte leaves the other alone, and SCI_EN */
	assert_int_equal(in(4, 2, 0), 0x1401);
	vacpi_power_button(&acpi);
	assert_int_equal(in(0, 2, half), 0x101);
	vacpi_power_button(&acpi);
	out(0, 2, 0x100, half);
	assert_int_equal(in(0, 2, half), 0x001);
	start(half + 10); /* switched on late: nothing has changed yet */
	assert_int_equal(in(0, 2, half + 20), 0);
	assert_true(vacpi_next_event(&acpi) == UINT64_MAX);
	vacpi_smi_write(&acpi, 0xB2, 1, VACPI_ENABLE, 2 * half);
	out(2, 2, 0x001, 2 * half + 2);
	assert_true(sci);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pm_timer),
		cmocka_unit_test(test_timer_status_at_each_change_of_the_top_bit),
		cmocka_unit_test(test_sci_needs_enable_and_acpi_mode),
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_reset_register),
		cmocka_unit_test(test_flags_are_independent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
