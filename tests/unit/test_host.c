/* SPDX-License-Identifier: MIT */
/* What Socle decides about its host by pure functions: controls, MTRRs, boot options, the log. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "boot/options.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/mtrr.h"
#include "vmx/controls.h"

static uint64_t capability(uint32_t must, uint32_t may)
{
	return must | (uint64_t)may << 32;
}

static void test_control_resolver(void **state)
{
	const struct control_request request = {.required = 0x11, .wanted = 0x22};
	uint32_t value, missing;

	(void)state;
	assert_true(control_resolve(capability(0x100, 0xffff), &request, &value, &missing));
	assert_int_equal(value, 0x133);
	/* A wanted bit that may not be set is left out, a required one is named. */
	assert_true(control_resolve(capability(0x100, 0x1df), &request, &value, &missing));
	assert_int_equal(value, 0x113);
	assert_false(control_resolve(capability(0x100, 0x10f), &request, &value, &missing));
	assert_int_equal(missing, 0x10);
}

static void test_every_control_has_a_name(void **state)
{
	(void)state;
	for (unsigned word = 0; word < CONTROLS; word++) {
		uint32_t all = control_requests[word].required | control_requests[word].wanted;

		assert_int_equal(control_requests[word].required & control_requests[word].wanted,
				 0);
		for (unsigned bit = 0; bit < 32; bit++)
			if (all & BIT(bit))
				assert_string_not_equal(control_name(word, bit), "reserved");
	}
	assert_string_equal(control_name(CONTROL_PROC2, 7), "unrestricted guest");
	assert_string_equal(control_name(CONTROL_PIN, 31), "reserved");
}

static void test_wanted_controls_by_word(void **state)
{
	enum control_word word;
	uint32_t bit;

	(void)state;
	assert_true(control_parse_wanted("vpid", &word, &bit));
	assert_int_equal(word, CONTROL_PROC2);
	assert_int_equal(bit, PROC2_VPID);
	/* What is required cannot be done without. */
	assert_false(control_parse_wanted("enable EPT", &word, &bit));
	assert_false(control_parse_wanted("", &word, &bit));
}

static void test_feature_control(void **state)
{
	(void)state;
	assert_int_equal(feature_control_state(0), FEATURE_CONTROL_UNLOCKED);
	assert_int_equal(feature_control_state(4), FEATURE_CONTROL_UNLOCKED);
	assert_int_equal(feature_control_state(1), FEATURE_CONTROL_OFF);
	/* Allowed inside SMX only: VMXON from GRUB would fault. */
	assert_int_equal(feature_control_state(3), FEATURE_CONTROL_OFF);
	assert_int_equal(feature_control_state(5), FEATURE_CONTROL_ON);
	assert_int_equal(feature_control_enabled(0, false), 5);
	assert_int_equal(feature_control_enabled(0x20000, true), 0x20007);
}

static void test_mtrr_types(void **state)
{
	const uint64_t mask_1g = (BITS(38, 30)) | BIT(11), mask_2g = (BITS(38, 31)) | BIT(11);
	struct mtrr mtrr = {
		.def_type = BIT(11) | MEMORY_UC,
		.count = 3,
		.variable = {{0 | MEMORY_WB, mask_2g},
			     {GIB | MEMORY_WT, mask_1g},
			     {2 * GIB | MEMORY_WC, mask_1g & ~BIT(11)}},
	};

	(void)state;
	assert_int_equal(mtrr_type(&mtrr, MIB, 2 * MIB), MEMORY_WB);
	/* Write-through wins over write-back where both are. */
	assert_int_equal(mtrr_type(&mtrr, GIB, GIB + 2 * MIB), MEMORY_WT);
	/* A range that is not valid does not count. */
	assert_int_equal(mtrr_type(&mtrr, 2 * GIB, 2 * GIB + 4096), MEMORY_UC);
	/* Mixed ranges are uncached. */
	assert_int_equal(mtrr_type(&mtrr, GIB - 4096, GIB + 4096), MEMORY_UC);
	mtrr.variable[1].base = GIB | MEMORY_UC;
	assert_int_equal(mtrr_type(&mtrr, GIB, GIB + 4096), MEMORY_UC);
	mtrr.def_type = BIT(11) | MEMORY_WB;
	assert_int_equal(mtrr_type(&mtrr, 4 * GIB, 4 * GIB + 4096), MEMORY_WB);
	mtrr.def_type = MEMORY_WB;
	assert_int_equal(mtrr_type(&mtrr, MIB, 2 * MIB), MEMORY_UC);
}

static void test_options(void **state)
{
	struct options options;
	struct error error;

	(void)state;
	assert_true(options_parse(&options, "", &error));
	assert_int_equal(options.at_end, AT_END_WAIT);
	assert_int_equal(options.log, LOG_INFO);
	assert_true(
		options_parse(&options, "  log=debug  at-end=poweroff without=vpid,x ", &error));
	assert_int_equal(options.at_end, AT_END_POWEROFF);
	assert_int_equal(options.log, LOG_DEBUG);
	assert_true(options_without(&options, "vpid"));
	assert_true(options_without(&options, "x"));
	assert_false(options_without(&options, "vpi"));
	/* A bad word is named and costs the others nothing. */
	assert_false(options_parse(&options, "log=loud at-end=reboot", &error));
	assert_non_null(strstr(error.text, "log=loud"));
	assert_int_equal(options.at_end, AT_END_REBOOT);
	assert_false(options_parse(&options, "colour=red", &error));
	assert_non_null(strstr(error.text, "colour"));
	assert_false(options_parse(&options, "at-end", &error));
}

static char logged[2 * LOG_LINE_MAX];

static void sink(const char *text, size_t length)
{
	assert_true(length < sizeof(logged));
	memcpy(logged, text, length);
	logged[length] = '\0';
}

static void test_log(void **state)
{
	char longer[2 * LOG_LINE_MAX];

	(void)state;
	assert_true(log_add_sink(sink));
	log_info("%s %u", "word", 7);
	assert_string_equal(logged, "socle: word 7\n");
	log_debug("not at this level");
	assert_string_equal(logged, "socle: word 7\n");
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	log_error("%s", longer);
	assert_true(strlen(logged) <= LOG_LINE_MAX);
	assert_int_equal(logged[strlen(logged) - 1], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_control_resolver),
		cmocka_unit_test(test_every_control_has_a_name),
		cmocka_unit_test(test_wanted_controls_by_word),
		cmocka_unit_test(test_feature_control),
		cmocka_unit_test(test_mtrr_types),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
