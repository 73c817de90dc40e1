/* SPDX-License-Identifier: MIT */
/* What Socle decides about its host by pure functions: controls, MTRRs, options, CPUs, the log. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/madt.h"
#include "arch/x86_64/tsc_bounds.h"
#include "boot/low_page.h"
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

static void test_virtual_interrupts_are_all_or_none(void **state)
{
	const uint32_t set = PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_INTERRUPTS;
	const uint32_t parts[] = {PROC2_X2APIC, PROC2_APIC_REGISTERS, PROC2_INTERRUPTS};

	(void)state;
	assert_int_equal(control_usable(PROC_TPR_SHADOW, set | PROC2_EPT), set | PROC2_EPT);
	assert_int_equal(control_usable(PROC_HLT, set | PROC2_EPT), PROC2_EPT);
	/* The APIC-access page has use with all of them only. */
	assert_int_equal(control_usable(PROC_TPR_SHADOW, set | PROC2_APIC_ACCESSES),
			 set | PROC2_APIC_ACCESSES);
	assert_int_equal(control_usable(PROC_TPR_SHADOW, PROC2_APIC_ACCESSES | PROC2_EPT),
			 PROC2_EPT);
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
		assert_int_equal(control_usable(PROC_TPR_SHADOW, (set & ~parts[i]) | PROC2_EPT),
				 PROC2_EPT);
}

static void test_tsc_of_its_own_rate(void **state)
{
	(void)state;
	assert_true(control_tsc_rate(capability(0, PROC_RDTSC), 0));
	assert_true(control_tsc_rate(capability(0, PROC_HLT), PROC2_TSC_SCALING | PROC2_EPT));
	assert_false(control_tsc_rate(capability(PROC_RDTSC, PROC_HLT), PROC2_EPT));
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
	assert_true(options_parse(&options, "fault=entry-guest", &error));
	assert_int_equal(options.fault, FAULT_ENTRY_GUEST);
	assert_false(options.check_entries);
	assert_true(options_parse(&options, "entrycheck=always vms=in-turn", &error));
	assert_true(options.check_entries);
	assert_true(options.in_turn);
	assert_false(options_parse(&options, "entrycheck=never", &error));
	assert_false(options.check_entries);
}

static void test_options_of_cores(void **state)
{
	static const char *const bad[] = {"cores=0",   "cores=33",   "cores=-1",
					  "cores=two", "cores",	     "cores=2x",
					  "fault=",    "fault=none", "fault=hang"};
	struct options options;
	struct error error;

	(void)state;
	assert_true(options_parse(&options, "log=info", &error));
	assert_int_equal(options.cores, 0);
	assert_int_equal(options.fault, FAULT_NONE);
	assert_true(options_parse(&options, "cores=32 fault=tsc", &error));
	assert_int_equal(options.cores, 32);
	assert_int_equal(options.fault, FAULT_TSC);
	assert_true(options_parse(&options, "fault=dead-ap", &error));
	assert_int_equal(options.fault, FAULT_DEAD);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(options_parse(&options, bad[i], &error));
		assert_non_null(strstr(error.text, bad[i]));
		assert_int_equal(options.cores, 0);
		assert_int_equal(options.fault, FAULT_NONE);
	}
}

#define MADT_HEADER 44

/* A MADT that is built entry by entry; exactly as long as it is, so that a read past it is seen. */
static uint8_t *madt;
static size_t madt_size;
static unsigned warnings;

static void madt_begin(void)
{
	free(madt);
	madt = calloc(1, MADT_HEADER);
	madt_size = MADT_HEADER;
	assert_non_null(madt);
}

static void madt_add(const void *entry, size_t size)
{
	madt = realloc(madt, madt_size + size);
	assert_non_null(madt);
	memcpy(madt + madt_size, entry, size);
	madt_size += size;
}

static void madt_add_xapic(uint8_t id, uint8_t flags)
{
	madt_add((const uint8_t[]){0, 8, 77, id, flags, 0, 0, 0}, 8);
}

static void madt_add_x2apic(uint32_t id, uint8_t flags)
{
	madt_add((const uint8_t[]){9, 16, 0, 0, (uint8_t)id, (uint8_t)(id >> 8),
				   (uint8_t)(id >> 16), (uint8_t)(id >> 24), flags, 0, 0, 0, 0, 0,
				   0, 0},
		 16);
}

static void count_warning(const char *text, size_t length)
{
	(void)text;
	(void)length;
	warnings++;
}

/* The log has no way to take a sink off, so this comes after the log's own test. */
static int count_warnings(void **state)
{
	(void)state;
	return log_add_sink(count_warning) ? 0 : -1;
}

static struct madt_cpus madt_end(uint32_t boot_id)
{
	struct madt_cpus cpus;

	warnings = 0;
	madt_read_cpus(madt, madt_size, boot_id, &cpus);
	return cpus;
}

static void test_madt_lists_cpus(void **state)
{
	struct madt_cpus cpus;

	(void)state;
	madt_begin();
	madt_add_xapic(2, 1);
	madt_add((const uint8_t[]){1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0}, 12); /* an IOAPIC */
	madt_add_xapic(4, 1); /* the boot CPU */
	madt_add_xapic(6, 0); /* unusable */
	madt_add_xapic(8, 2); /* may come later */
	madt_add_xapic(10, 3);
	madt_add_xapic(255, 1); /* addresses all */
	madt_add_x2apic(0x12345, 1);
	madt_add_x2apic(UINT32_MAX, 1);
	cpus = madt_end(4);
	assert_int_equal(cpus.count, 4);
	assert_int_equal(cpus.apic_id[0], 4);
	assert_int_equal(cpus.apic_id[1], 2);
	assert_int_equal(cpus.apic_id[2], 10);
	assert_int_equal(cpus.apic_id[3], 0x12345);
	assert_int_equal(cpus.offline, 1);
	assert_int_equal(cpus.unusable, 1);
	assert_int_equal(cpus.duplicates, 0);
	assert_int_equal(warnings, 0);
}

static void test_madt_of_a_liar(void **state)
{
	struct madt_cpus cpus;

	(void)state;
	madt_begin();
	for (unsigned i = 0; i < 40; i++)
		madt_add_xapic((uint8_t)(i + 1), 1);
	for (unsigned i = 0; i < 1000; i++)
		madt_add_xapic(3, 1);
	madt_add_x2apic(0, 1);
	madt_add_xapic(0, 1);
	cpus = madt_end(0);
	/* The boot CPU has its place although it is listed last; listed twice is once too often. */
	assert_int_equal(cpus.count, MADT_CPUS_MAX);
	assert_int_equal(cpus.apic_id[0], 0);
	assert_int_equal(cpus.apic_id[31], 31);
	assert_int_equal(cpus.beyond, 9);
	assert_int_equal(cpus.duplicates, 1001);
	/* Each is named, but not a thousand times. */
	assert_in_range(warnings, 16, 20);
}

static void test_madt_damaged(void **state)
{
	static const uint8_t bad[][4] = {{0, 0},   {0, 1},	 {0, 9},
					 {9, 255}, {0, 4, 1, 9}, {9, 4, 1, 9}};
	struct madt_cpus cpus;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		madt_begin();
		madt_add_xapic(0, 1);
		madt_add_xapic(1, 1);
		madt_add(bad[i], sizeof(bad[i]));
		cpus = madt_end(0);
		assert_true(cpus.damaged);
		assert_int_equal(cpus.count, 2);
		assert_int_equal(warnings, 1);
	}
	/* Cut off at each byte: never read past the end. */
	for (size_t size = 0; size < madt_size; size++) {
		uint8_t *cut = malloc(size ? size : 1);

		assert_non_null(cut);
		memcpy(cut, madt, size);
		madt_read_cpus(cut, size, 0, &cpus);
		assert_true(cpus.count <= 2);
		free(cut);
	}
	free(madt);
	madt = NULL;
}

static void test_low_page(void **state)
{
	static struct bootinfo info;

	(void)state;
	info = (struct bootinfo){
		.start = 0x98000,
		.end = 0x98001,
		.memories = 1,
		.memory = {{.start = 0, .end = 0x9fc00, .available = true}},
	};
	/* The last whole page of the map, then the one below the EBDA. */
	assert_int_equal(low_page_find(&info, 0), 0x9e000);
	assert_int_equal(low_page_find(&info, 0x9d80), 0x9c000);
	/* What cannot be an EBDA's segment is none. */
	assert_int_equal(low_page_find(&info, 0x1000), 0x9e000);
	assert_int_equal(low_page_find(&info, 0xffff), 0x9e000);
	/* Neither boot information nor a module. */
	assert_int_equal(low_page_find(&info, 0x9900), 0x97000);
	info.modules = 1;
	info.module[0] = (struct boot_module){.start = 0x96fff, .end = 0x97001};
	assert_int_equal(low_page_find(&info, 0x9900), 0x95000);
	/* What is reserved in one entry is not free in another. */
	info.memories = 2;
	info.memory[1] = (struct boot_memory){.start = 0x2800, .end = 0x9fc00};
	assert_int_equal(low_page_find(&info, 0), 0x1000);
	info.memory[1].start = 0x1fff;
	assert_int_equal(low_page_find(&info, 0), LOW_PAGE_NONE);
	/* Above video memory nothing starts. */
	info.memories = 1;
	info.memory[0] = (struct boot_memory){.start = 0xa0000, .end = GIB, .available = true};
	assert_int_equal(low_page_find(&info, 0), LOW_PAGE_NONE);
}

static void test_tsc_bounds(void **state)
{
	struct tsc_bounds bounds = TSC_BOUNDS_NONE;

	(void)state;
	/* Between sending at 100 and the answer at 120 the other read 110: no difference shows. */
	tsc_bounds_add(&bounds, 100, 110, 120);
	assert_true(tsc_bounds_agree(&bounds));
	assert_int_equal(bounds.least, -10);
	assert_int_equal(bounds.most, 10);
	/* A slow round trip says less, and spoils nothing. */
	tsc_bounds_add(&bounds, 1000, 1010, 5000);
	assert_int_equal(bounds.least, -10);
	/* A quick one says more: the other is 3 to 7 ahead. */
	tsc_bounds_add(&bounds, 6000, 6007, 6004);
	assert_false(tsc_bounds_agree(&bounds));
	assert_int_equal(tsc_bounds_middle(&bounds), 5);
	/* Behind, by much. */
	bounds = (struct tsc_bounds)TSC_BOUNDS_NONE;
	tsc_bounds_add(&bounds, UINT64_C(1) << 40, 10, (UINT64_C(1) << 40) + 20);
	assert_false(tsc_bounds_agree(&bounds));
	assert_int_equal(tsc_bounds_middle(&bounds), 0 - (INT64_C(1) << 40));
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
	log_set_level(LOG_INFO);
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
		cmocka_unit_test(test_virtual_interrupts_are_all_or_none),
		cmocka_unit_test(test_tsc_of_its_own_rate),
		cmocka_unit_test(test_every_control_has_a_name),
		cmocka_unit_test(test_wanted_controls_by_word),
		cmocka_unit_test(test_feature_control),
		cmocka_unit_test(test_mtrr_types),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_options_of_cores),
		cmocka_unit_test(test_low_page),
		cmocka_unit_test(test_tsc_bounds),
		cmocka_unit_test(test_log),
		cmocka_unit_test_setup(test_madt_lists_cpus, count_warnings),
		cmocka_unit_test(test_madt_of_a_liar),
		cmocka_unit_test(test_madt_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
