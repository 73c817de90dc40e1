/* SPDX-License-Identifier: MIT */
/* Which CPU needs which defense: by what Intel's tables say of its generation. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "boot/options.h"
#include "vmx/speculation.h"

#define RTM	     (1u << 11)
#define MD_CLEAR     (1u << 10)
#define IBRS_IBPB    (1u << 26)
#define L1D_FLUSH    (1u << 28)
#define MICROCODE    (MD_CLEAR | IBRS_IBPB | L1D_FLUSH)
#define CASCADE_LAKE 0x2bu /* RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, MDS_NO */
#define TAA_NO	     (1u << 8)
#define MMIO_DATA_NO (7u << 13)
#define FB_CLEAR     (1u << 17)

static const struct {
	const char *name;
	struct speculation_cpu cpu;
	struct speculation decided;
} cases[] = {
	{"Skylake, first microcode", {RTM, 0, 0}, {0, OPEN_L1TF | OPEN_MDS | OPEN_BRANCHES}},
	{"Skylake, last microcode",
	 {RTM, MICROCODE, 0},
	 {DEFENSE_IBRS | DEFENSE_L1D_FLUSH | DEFENSE_VERW | DEFENSE_IBPB, 0}},
	{"Skylake, microcode of 2018",
	 {RTM, IBRS_IBPB | L1D_FLUSH, 0},
	 {DEFENSE_IBRS | DEFENSE_L1D_FLUSH | DEFENSE_IBPB, OPEN_MDS}},
	{"Cascade Lake: TSX leaks",
	 {RTM, MICROCODE, CASCADE_LAKE},
	 {DEFENSE_IBRS_ALWAYS | DEFENSE_VERW | DEFENSE_IBPB, 0}},
	{"Cascade Lake, TSX off",
	 {0, MICROCODE, CASCADE_LAKE},
	 {DEFENSE_IBRS_ALWAYS | DEFENSE_IBPB, 0}},
	{"Ice Lake: stale data of MMIO",
	 {RTM, MICROCODE, CASCADE_LAKE | TAA_NO | FB_CLEAR},
	 {DEFENSE_IBRS_ALWAYS | DEFENSE_VERW | DEFENSE_IBPB, 0}},
	{"Sapphire Rapids",
	 {RTM, MICROCODE, CASCADE_LAKE | TAA_NO | MMIO_DATA_NO | FB_CLEAR},
	 {DEFENSE_IBRS_ALWAYS | DEFENSE_IBPB, 0}},
	{"nested: the hypervisor outside flushes",
	 {0, MICROCODE, 8},
	 {DEFENSE_IBRS | DEFENSE_VERW | DEFENSE_IBPB, 0}},
};

static void test_generations(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct speculation decided = speculation_decide(&cases[i].cpu);

		if (decided.defenses != cases[i].decided.defenses ||
		    decided.open != cases[i].decided.open)
			fail_msg("%s: defenses %x, open %x", cases[i].name, decided.defenses,
				 decided.open);
	}
}

static void test_names(void **state)
{
	char text[80];

	(void)state;
	speculation_name_open(OPEN_L1TF | OPEN_MDS | OPEN_BRANCHES, text, sizeof(text));
	assert_string_equal(text, "L1TF, MDS, branch targets");
	speculation_name_defenses(0x1f, text, sizeof(text));
	assert_string_equal(text,
			    "IBRS at exits, L1D flush, VERW, IBRS for ever, IBPB between VMs");
	speculation_name_defenses(0, text, sizeof(text));
	assert_string_equal(text, "");
}

static void test_option(void **state)
{
	struct options options;
	struct error error;

	(void)state;
	assert_true(options_parse(&options, "log=info", &error));
	assert_int_equal(options.mitigations, MITIGATIONS_AUTO);
	assert_true(options_parse(&options, "mitigations=off", &error));
	assert_int_equal(options.mitigations, MITIGATIONS_OFF);
	assert_true(options_parse(&options, "mitigations=on at-end=reboot fault=tsc", &error));
	assert_int_equal(options.mitigations, MITIGATIONS_ON);
	assert_int_equal(options.at_end, AT_END_REBOOT);
	assert_int_equal(options.fault, FAULT_TSC);
	assert_false(options_parse(&options, "mitigations=yes", &error));
	assert_string_equal(error.text, "boot option mitigations=yes: want one of: auto off on");
	assert_false(options_parse(&options, "fault=", &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
