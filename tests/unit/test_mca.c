/* SPDX-License-Identifier: MIT */
/* What machine-check banks say: all forms of SDM volume 3, "Interpreting the MCA Error Codes". */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/mca.h"

#define UC	  (MCI_STATUS_VALID | MCI_STATUS_UNCORRECTED)
#define CE	  MCI_STATUS_VALID
#define PCC	  MCI_STATUS_CONTEXT_CORRUPT
#define OVER	  MCI_STATUS_OVERFLOW
#define TEXT_SIZE 160

static const struct {
	uint64_t status;
	const char *words;
} cases[] = {
	{CE | 0x000e, "corrected error in a cache: status"},
	{UC | 0x0014, "uncorrected error in a TLB: status"},
	{UC | 0x0090, "uncorrected error in memory, channel 0: status"},
	{UC | 0x009e, "uncorrected error in memory, channel 14: status"},
	{CE | 0x00cf, "corrected error in memory: status"}, /* scrubbing, of no known channel */
	{CE | 0x1092, "corrected error in memory, channel 2: status"}, /* filtered */
	{UC | PCC | 0x0134, "uncorrected error in a cache, CPU state lost: status"},
	{UC | 0x0281, "uncorrected error in memory, channel 1: status"},
	{UC | 0x0e0b, "uncorrected error in I/O: status"},
	{UC | PCC | 0x0e0f, "uncorrected error in a bus or interconnect, CPU state lost: status"},
	{UC | 0x0800, "uncorrected error in a bus or interconnect: status"},
	{UC | 0x0400, "uncorrected error in the CPU's inside: status"}, /* its timer */
	{UC | 0x0405, "uncorrected error in the CPU's inside: status"},
	{UC | 0x0005, "uncorrected error in the CPU's inside: status"},
	{UC | 0x0002, "uncorrected error in the CPU's microcode: status"},
	{UC | 0x0003, "uncorrected error in another chip: status"},
	{UC | 0x0001, "uncorrected error in an unknown part: status"},
	{UC, "uncorrected error in an unknown part: status"},
	{UC | 0x4000, "uncorrected error in an unknown part: status"},
	{UC | OVER | 0x0014, "uncorrected error in a TLB, not the only one: status"},
	/* What is model-specific does not change the words. */
	{UC | 0xabcd0000 | 0x0014, "uncorrected error in a TLB: status"},
};

static void test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct mca_bank bank = {.number = 1, .status = cases[i].status};
		char text[TEXT_SIZE];

		mca_describe(&bank, text, sizeof(text));
		assert_memory_equal(text, cases[i].words, strlen(cases[i].words));
	}
}

static void test_registers(void **state)
{
	const struct mca_bank bank = {.status = UC | MCI_STATUS_ADDRESS_VALID | 0x91,
				      .address = 0x123456789000,
				      .misc = 0x8c};
	char text[TEXT_SIZE];

	(void)state;
	mca_describe(&bank, text, sizeof(text));
	assert_string_equal(text, "uncorrected error in memory, channel 1: status "
				  "0xa400000000000091, address 0x123456789000, misc 0x8c");
}

/* Every code has a name, and the longest line fits. */
static void test_every_code(void **state)
{
	(void)state;
	for (uint32_t code = 0; code <= UINT16_MAX; code++) {
		const struct mca_bank bank = {
			.status = UC | PCC | OVER | 0xffffff0000 | code,
			.address = UINT64_MAX,
			.misc = UINT64_MAX,
		};
		char text[TEXT_SIZE];

		mca_describe(&bank, text, sizeof(text));
		assert_memory_equal(text + strlen(text) - 18, "0xffffffffffffffff", 18);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_every_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
