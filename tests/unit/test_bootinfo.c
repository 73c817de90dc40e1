/* SPDX-License-Identifier: MIT */
/* The Multiboot2 boot-information parser, on sound and on malformed tag lists. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "boot/bootinfo.h"

static struct bootinfo info;
static struct error error;
static uint8_t list[4096];
static uint32_t used;

static void put(const void *data, size_t size)
{
	memcpy(list + used, data, size);
	used += (uint32_t)size;
}

static void put32(uint32_t value)
{
	put(&value, sizeof(value));
}

static void put64(uint64_t value)
{
	put(&value, sizeof(value));
}

static void begin(void)
{
	memset(list, 0, sizeof(list));
	used = 8;
}

static void align(void)
{
	used = (used + 7) & ~7u;
}

static void tag_string(uint32_t type, const char *text)
{
	put32(type);
	put32((uint32_t)(8 + strlen(text) + 1));
	put(text, strlen(text) + 1);
	align();
}

static void tag_module(uint32_t start, uint32_t end, const char *text)
{
	put32(3);
	put32((uint32_t)(16 + strlen(text) + 1));
	put32(start);
	put32(end);
	put(text, strlen(text) + 1);
	align();
}

static void tag_memory(uint64_t base, uint64_t length, uint32_t type)
{
	put32(6);
	put32(16 + 24);
	put32(24);
	put32(0);
	put64(base);
	put64(length);
	put32(type);
	put32(0);
}

static void end(void)
{
	put32(0);
	put32(8);
	memcpy(list, &used, sizeof(used));
}

/* The exact bytes on the heap, so that a read beyond them is seen by the sanitizer. */
static bool parse_bytes(size_t limit)
{
	static uint8_t *exact;
	bool ok;

	free(exact);
	exact = malloc(limit ? limit : 1);
	memcpy(exact, list, limit);
	error.text[0] = '\0';
	ok = bootinfo_parse(&info, exact, limit, 0x10000, &error);
	assert_true(ok || error.text[0]);
	return ok;
}

static void test_sound_list(void **state)
{
	(void)state;
	begin();
	tag_string(1, "log=debug at-end=poweroff");
	tag_module(0x200000, 0x300000, "kernel a memory=16M -- quiet");
	tag_memory(0x100000, 0x40000000, 1);
	end();
	assert_true(parse_bytes(used));
	assert_string_equal(info.cmdline, "log=debug at-end=poweroff");
	assert_int_equal(info.modules, 1);
	assert_int_equal(info.module[0].start, 0x200000);
	assert_int_equal(info.module[0].end, 0x300000);
	assert_string_equal(info.module[0].cmdline, "kernel a memory=16M -- quiet");
	assert_int_equal(info.memories, 1);
	assert_true(info.memory[0].available);
	assert_int_equal(info.memory[0].end, 0x40100000);
	assert_int_equal(info.start, 0x10000);
	assert_int_equal(info.end, 0x10000 + used);
}

static void test_grubs_quotes_are_undone(void **state)
{
	(void)state;
	begin();
	tag_string(1, "\"a b\" c\\\\d");
	tag_module(0, 1, "kernel x -- \"say \\\"hi\\\" \\'y\\'\" z\\");
	tag_memory(0, 0x1000, 1);
	end();
	assert_true(parse_bytes(used));
	assert_string_equal(info.cmdline, "a b c\\d");
	assert_string_equal(info.module[0].cmdline, "kernel x -- say \"hi\" 'y' z\\");
}

static void test_framebuffers(void **state)
{
	const uint8_t rgb[] = {16, 8, 8, 8, 0, 8};

	(void)state;
	begin();
	tag_memory(0, 0x1000, 1);
	put32(8);
	put32(8 + 24 + 6);
	put64(0xfd000000);
	put32(3200);
	put32(800);
	put32(600);
	put(&(uint8_t){32}, 1);
	put(&(uint8_t){1}, 1);
	put(&(uint16_t){0}, 2);
	put(rgb, sizeof(rgb));
	align();
	end();
	assert_true(parse_bytes(used));
	assert_int_equal(info.framebuffer.kind, BOOT_SCREEN_RGB);
	assert_int_equal(info.framebuffer.address, 0xfd000000);
	assert_int_equal(info.framebuffer.red_shift, 16);
	assert_int_equal(info.framebuffer.blue_size, 8);
	/* Type 2 is EGA text; an unknown type is no screen at all. */
	list[8 + 40 + 8 + 21] = 2;
	assert_true(parse_bytes(used));
	assert_int_equal(info.framebuffer.kind, BOOT_SCREEN_TEXT);
	list[8 + 40 + 8 + 21] = 9;
	assert_true(parse_bytes(used));
	assert_int_equal(info.framebuffer.kind, BOOT_SCREEN_NONE);
}

static void test_newer_rsdp_wins(void **state)
{
	uint8_t old[20], new[36];

	(void)state;
	memset(old, 1, sizeof(old));
	memset(new, 2, sizeof(new));
	begin();
	tag_memory(0, 0x1000, 1);
	put32(15);
	put32(8 + sizeof(new));
	put(new, sizeof(new));
	align();
	put32(14);
	put32(8 + sizeof(old));
	put(old, sizeof(old));
	align();
	end();
	assert_true(parse_bytes(used));
	assert_true(info.have_rsdp);
	assert_int_equal(info.rsdp_size, 36);
	assert_int_equal(info.rsdp[0], 2);
}

static void test_every_truncation_is_refused(void **state)
{
	(void)state;
	begin();
	tag_string(1, "x");
	tag_module(1, 2, "kernel a");
	tag_memory(0, 0x1000, 1);
	end();
	for (size_t n = 0; n < used; n++) {
		uint32_t total = (uint32_t)n;

		/* Cut by who hands over fewer bytes, and by a header that says so. */
		assert_false(parse_bytes(n));
		memcpy(list, &total, sizeof(total));
		assert_false(parse_bytes(used));
		memcpy(list, &used, sizeof(used));
	}
}

static void test_bad_tags_are_named(void **state)
{
	(void)state;
	begin();
	put32(1);
	put32(7);
	end();
	assert_false(parse_bytes(used));
	assert_non_null(strstr(error.text, "claims 7 bytes"));
	begin();
	put32(1);
	put32(100000);
	end();
	assert_false(parse_bytes(used));
	begin();
	tag_module(0x2000, 0x1000, "kernel a");
	end();
	assert_false(parse_bytes(used));
	assert_non_null(strstr(error.text, "kernel a"));
	begin();
	put32(1);
	put32(8 + 4);
	put("abcd", 4);
	align();
	end();
	assert_false(parse_bytes(used));
	assert_non_null(strstr(error.text, "terminating zero"));
	begin();
	tag_memory(UINT64_MAX - 10, 0x1000, 1);
	end();
	assert_false(parse_bytes(used));
	assert_non_null(strstr(error.text, "wraps"));
	begin();
	tag_string(1, "no memory map");
	end();
	assert_false(parse_bytes(used));
	assert_non_null(strstr(error.text, "memory map"));
}

static void test_too_many_modules(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 150; i++)
		tag_module(0, 0, "");
	tag_memory(0, 0x1000, 1);
	end();
	assert_true(parse_bytes(used));
	assert_int_equal(info.modules, 150);
}

static void test_random_lists(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		begin();
		tag_string(1, "log=debug");
		tag_module(1, 2, "kernel a");
		tag_memory(0, 0x1000, 1);
		end();
		for (unsigned i = 0; i < 3; i++) {
			seed = seed * 1664525 + 1013904223;
			list[(seed >> 8) % used] = (uint8_t)(seed >> 24);
		}
		parse_bytes(used);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound_list),
		cmocka_unit_test(test_grubs_quotes_are_undone),
		cmocka_unit_test(test_framebuffers),
		cmocka_unit_test(test_newer_rsdp_wins),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_bad_tags_are_named),
		cmocka_unit_test(test_too_many_modules),
		cmocka_unit_test(test_random_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
