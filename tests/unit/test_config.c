/* SPDX-License-Identifier: MIT */
/* Module command lines: what is right becomes a VM, what is wrong becomes one line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/config.h"

#define MEMORY_MAX (1 * GIB)

static struct config config;
static const uint8_t file[16];

/* Each line is copied to a block of its very size, without a NUL. */
static void parse_lines(const char *const *lines, unsigned count)
{
	static struct config_module module[64];
	static char *copy[64];

	for (unsigned i = 0; i < count; i++) {
		size_t length = strlen(lines[i]);

		free(copy[i]);
		copy[i] = malloc(length ? length : 1);
		memcpy(copy[i], lines[i], length);
		module[i] = (struct config_module){copy[i], length, file, sizeof(file)};
	}
	config_parse(&config, module, count, MEMORY_MAX);
}

#define PARSE(...)                                      \
	parse_lines((const char *const[]){__VA_ARGS__}, \
		    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void expect_words(const char *text, const char *a, const char *b)
{
	if (!strstr(text, a) || !strstr(text, b) || strchr(text, '\n'))
		fail_msg("'%s' should name '%s' and '%s'", text, a, b);
}

/* One line is refused with these words, and the other VM is not touched. */
static void refused(const char *line, const char *field, const char *right)
{
	PARSE("kernel good memory=8M", line);
	assert_int_equal(config.vms, 2);
	assert_false(config.vm[0].refused);
	assert_int_equal(config.vm[0].memory, 8 * MIB);
	assert_true(config.vm[1].refused);
	assert_string_equal(config.vm[1].name, "bad");
	expect_words(config.vm[1].error.text, field, right);
	assert_int_equal(config.complaints, 0);
}

static void complained(const char *line, const char *field, const char *right)
{
	PARSE("kernel good", line);
	assert_int_equal(config.vms, 1);
	assert_false(config.vm[0].refused);
	assert_int_equal(config.complaints, 1);
	expect_words(config.complaint[0].text, field, right);
}

static void test_full(void **state)
{
	struct vm_config *vm = &config.vm[0];

	(void)state;
	PARSE("kernel linux memory=64M cpus=1 boot=linux timeout=30 --  console=ttyS0 a -- b ",
	      "initrd linux", "kernel other_1-x", "module other_1-x -- arguments",
	      "module other_1-x");
	assert_int_equal(config.vms, 2);
	assert_int_equal(config.complaints, 0);
	assert_false(vm->refused);
	assert_string_equal(vm->name, "linux");
	assert_int_equal(vm->memory, 64 * MIB);
	assert_int_equal(vm->cpus, 1);
	assert_int_equal(vm->boot, CONFIG_BOOT_LINUX);
	assert_int_equal(vm->timeout, 30);
	assert_ptr_equal(vm->kernel.data, file);
	assert_ptr_equal(vm->initrd.data, file);
	assert_int_equal(vm->initrd.size, sizeof(file));
	assert_true(text_equals(vm->kernel.cmdline, "console=ttyS0 a -- b "));

	vm++;
	assert_false(vm->refused);
	assert_string_equal(vm->name, "other_1-x");
	assert_int_equal(vm->memory, CONFIG_MEMORY_DEFAULT);
	assert_int_equal(vm->timeout, 0);
	assert_int_equal(vm->boot, CONFIG_BOOT_AUTO);
	assert_null(vm->initrd.data);
	assert_int_equal(vm->modules, 2);
	assert_true(text_equals(vm->module[0].cmdline, "arguments"));
	assert_true(text_equals(vm->module[1].cmdline, ""));
}

static void test_memory(void **state)
{
	(void)state;
	refused("kernel bad memory=0", "memory=0", "2M or more");
	refused("kernel bad memory=0M", "memory=0M", "2M or more");
	refused("kernel bad memory=1024G", "memory=1024G", "1024M or less");
	refused("kernel bad memory=99999999999999999999G", "memory=", "such as 256M");
	refused("kernel bad memory=lots", "memory=lots", "such as 256M");
	refused("kernel bad memory=", "memory=", "such as 256M");
	refused("kernel bad memory=4194305", "memory=4194305", "multiple of 4K");
	PARSE("kernel vm memory=1024M");
	assert_false(config.vm[0].refused);
}

static void test_default_memory(void **state)
{
	struct config_module module = {"kernel small", 12, file, sizeof(file)};

	(void)state;
	config_parse(&config, &module, 1, 100 * MIB);
	assert_true(config.vm[0].refused);
	expect_words(config.vm[0].error.text, "memory", "memory=100M or less");
}

static void test_numbers(void **state)
{
	(void)state;
	refused("kernel bad cpus=0", "cpus=0", "1 to 1");
	refused("kernel bad cpus=two", "cpus=two", "1 to 1");
	refused("kernel bad cpus=2", "cpus=2", "1 to 1");
	refused("kernel bad timeout=0", "timeout=0", "1 to 86400");
	refused("kernel bad timeout=5s", "timeout=5s", "1 to 86400");
	refused("kernel bad timeout=86401", "timeout=86401", "1 to 86400");
	refused("kernel bad boot=pvh", "boot=pvh", "linux or multiboot");
}

static void test_keys(void **state)
{
	(void)state;
	refused("kernel bad memroy=4M", "'memroy'", "memory, cpus, timeout or boot");
	refused("kernel bad memory=4M memory=8M", "memory", "once");
	refused("kernel bad quiet", "'quiet'", "' -- '");
	refused("kernel bad =4M", "unknown key ''", "memory");
	refused("module bad memory=4M", "'memory'", "kernel's line");
	refused("kernel bad a=\x1b[31m\x7f", "'a'", "want");
}

static void test_roles(void **state)
{
	(void)state;
	refused("kernle bad", "'kernle'", "kernel, initrd, module or disk");
	refused("disk bad", "disk", "no disk");
	refused("initrd bad", "kernel", "'kernel bad'");
	complained("", "module 2", "kernel, initrd");
	complained("kernel", "module 2", "VM name");
	complained("kernel -x", "module 2: VM name '-x'", "letters");
	complained("kernel a.b", "'a.b'", "letters");
	complained("kernel abcdefghijklmnopqrstuvwxyz012345", "'abc", "1 to 31");
}

static void test_twice(void **state)
{
	(void)state;
	PARSE("kernel good", "kernel same", "kernel same", "initrd two", "kernel two",
	      "initrd two");
	assert_int_equal(config.vms, 3);
	assert_false(config.vm[0].refused);
	assert_true(config.vm[1].refused);
	expect_words(config.vm[1].error.text, "kernel", "name of its own");
	assert_true(config.vm[2].refused);
	expect_words(config.vm[2].error.text, "initrd", "want one");
}

static void test_first_error_stays(void **state)
{
	(void)state;
	PARSE("kernel vm cpus=9 memory=0");
	expect_words(config.vm[0].error.text, "cpus=9", "want");
}

static void test_empty_files(void **state)
{
	const struct config_module module[] = {
		{"kernel a", 8, file, 0}, {"kernel b", 8, file, 1}, {"initrd b", 8, file, 0}};

	(void)state;
	config_parse(&config, module, 3, MEMORY_MAX);
	expect_words(config.vm[0].error.text, "kernel", "bzImage");
	expect_words(config.vm[1].error.text, "initrd", "cpio");
}

static void test_none(void **state)
{
	(void)state;
	config_parse(&config, NULL, 0, MEMORY_MAX);
	assert_int_equal(config.vms, 0);
	assert_int_equal(config.complaints, 1);
	expect_words(config.complaint[0].text, "no module", "module2 FILE kernel NAME");
}

static void test_too_many(void **state)
{
	char text[40][20];
	const char *lines[40];

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		sprintf(text[i], "kernel vm%u", i);
		lines[i] = text[i];
	}
	parse_lines(lines, 40);
	assert_int_equal(config.vms, CONFIG_VMS_MAX);
	for (unsigned i = 0; i < config.vms; i++)
		assert_false(config.vm[i].refused);
	assert_int_equal(config.complaints, CONFIG_COMPLAINTS_MAX);
	expect_words(config.complaint[0].text, "'vm16'", "16 or fewer");
	expect_words(config.complaint[CONFIG_COMPLAINTS_MAX - 1].text, "more than", "refused");

	for (unsigned i = 0; i < 40; i++)
		lines[i] = i ? "module bad" : "kernel bad";
	parse_lines(lines, 40);
	assert_true(config.vm[0].refused);
	expect_words(config.vm[0].error.text, "module", "16 or fewer");
}

/* Whatever the bytes are: no read beyond them, no line break in what will be printed. */
static void test_noise(void **state)
{
	static const char *const words[] = {"kernel", "initrd", "module",  "disk",  " ",   " -- ",
					    "vm",     "bad",	"memory=", "cpus=", "16M", "=",
					    "\n",     "\x1b",	"-",	   "0"};
	uint64_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		char text[3][256];
		const char *lines[3] = {text[0], text[1], text[2]};

		for (unsigned i = 0; i < 3; i++) {
			text[i][0] = '\0';
			for (unsigned n = 0; n < 12; n++) {
				seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
				strcat(text[i], words[seed >> 60]);
			}
		}
		parse_lines(lines, 3);
		for (unsigned i = 0; i < config.vms; i++)
			assert_null(strpbrk(config.vm[i].error.text, "\n\x1b"));
		for (unsigned i = 0; i < config.complaints; i++)
			assert_null(strpbrk(config.complaint[i].text, "\n\x1b"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),	       cmocka_unit_test(test_memory),
		cmocka_unit_test(test_default_memory), cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_keys),	       cmocka_unit_test(test_roles),
		cmocka_unit_test(test_twice),	       cmocka_unit_test(test_first_error_stays),
		cmocka_unit_test(test_empty_files),    cmocka_unit_test(test_none),
		cmocka_unit_test(test_too_many),       cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
