/* SPDX-License-Identifier: MIT */
/* The table of functions: addresses at the edges, names of nested pairs, one that is too long. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "arch/x86_64/ksyms.h"

extern const uint32_t ksyms_count, ksyms_first;
extern const uint16_t ksyms_sizes[];
extern const uint8_t ksyms_pairs[256][2], ksyms_names[];

/* 1 is "ab", 2 is "abc", 3 is "abcabc", 4 is four of these. */
const uint32_t ksyms_count = 4;
const uint32_t ksyms_first = 0x1000;
const uint16_t ksyms_sizes[] = {0x10, 0xFFFF, 4};
const uint8_t ksyms_pairs[256][2] = {
	[1] = {'a', 'b'}, [2] = {1, 'c'}, [3] = {2, 2}, [4] = {5, 5}, [5] = {3, 3}};
const uint8_t ksyms_names[] = {'x', 1, 0, 'y', 3, 'z', 0, 'q', 0, 4, 4, 4, 4, 4, 4, 0};

static void check(uint64_t address, const char *name, uint64_t offset)
{
	char found[KSYMS_NAME_MAX + 1];
	uint64_t at;

	assert_true(ksyms_find(address, found, &at));
	assert_string_equal(found, name);
	assert_int_equal(at, offset);
}

static void test_edges(void **state)
{
	char name[KSYMS_NAME_MAX + 1];
	uint64_t offset;

	(void)state;
	assert_false(ksyms_find(0xFFF, name, &offset));
	check(0x1000, "xab", 0);
	check(0x100F, "xab", 0xF);
	check(0x1010, "yabcabcz", 0);
	check(0x1010 + 0xFFFE, "yabcabcz", 0xFFFE);
	check(0x1010 + 0xFFFF, "q", 0);
}

static void test_last_and_long(void **state)
{
	char name[KSYMS_NAME_MAX + 1];
	uint64_t offset;

	(void)state;
	assert_true(ksyms_find(0x1010 + 0xFFFF + 4 + 100, name, &offset));
	assert_int_equal(offset, 100);
	assert_int_equal(strlen(name), KSYMS_NAME_MAX);
	assert_memory_equal(name, "abcabcabc", 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_last_and_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
