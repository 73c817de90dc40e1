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
#define CORES	   4

static struct config config;
static const uint8_t file[16];

/* Each line is copied to a block of its very size, without a NUL. */
static void parse_lines(const char *const *lines, unsigned count)
{
	static struct config_module module[100];
	static char *copy[100];

	for (unsigned i = 0; i < count; i++) {
		size_t length = strlen(lines[i]);

		free(copy[i]);
		copy[i] = malloc(length ? length : 1);
		memcpy(copy[i], lines[i], length);
		module[i] = (struct config_module){copy[i], length, file, sizeof(file)};
	}
	config_parse(&config, module, count, MEMORY_MAX, CORES);
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

static void test_verdict_keys(void **state)
{
	char line[200] = "kernel long expect=";
	struct vm_config *vm = &config.vm[0];

	(void)state;
	PARSE("kernel a expect=^all%20%5cd%25=%22%7e$ pass-code=0x10 on-end=restart limit=9",
	      "kernel b on-end=stop pass-code=4294967295");
	assert_string_equal(vm->expect, "^all \\d%=\"~$");
	assert_int_equal(vm->pass_code, 16);
	assert_true(vm->restart_on_end);
	assert_int_equal(vm->limit, 9);
	assert_string_equal(vm[1].expect, "");
	assert_int_equal(vm[1].pass_code, 0xFFFFFFFF);
	assert_false(vm[1].restart_on_end);
	assert_int_equal(vm[1].limit, 0);
	memset(line + strlen(line), 'x', CONFIG_EXPECT_MAX);
	PARSE(line);
	assert_false(vm->refused);
	assert_int_equal(strlen(vm->expect), CONFIG_EXPECT_MAX);
	strcat(line, "x");
	PARSE(line);
	assert_true(vm->refused);
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
	config_parse(&config, &module, 1, 100 * MIB, 1);
	assert_true(config.vm[0].refused);
	expect_words(config.vm[0].error.text, "memory", "memory=100M or less");
}

static void test_numbers(void **state)
{
	(void)state;
	refused("kernel bad cpus=0", "cpus=0", "want a number from 1 to ");
	refused("kernel bad cpus=two", "cpus=two", "1 to ");
	refused("kernel bad cpus=33", "cpus=33", "1 to ");
	refused("kernel bad weight=0", "weight=0", "1 to 10000");
	refused("kernel bad weight=10001", "weight=10001", "1 to 10000");
	refused("kernel bad weight=-1", "weight=-1", "1 to 10000");
	refused("kernel bad weight=", "weight=", "1 to 10000");
	refused("kernel bad restarts=0", "restarts=0", "1 to 60");
	refused("kernel bad restarts=61", "restarts=61", "minute, from 1 to 60");
	refused("kernel bad on-crash=explode", "on-crash=explode", "stop, restart or pause");
	refused("kernel bad autostart=1", "autostart=1", "yes or no");
	refused("kernel bad console=tty", "console=tty", "vga or serial");
	refused("kernel bad limit=0", "limit=0", "want seconds, from 1 to 86400");
	refused("kernel bad pass-code=x", "pass-code=x", "at most 0xffffffff");
	refused("kernel bad pass-code=0x100000000", "pass-code=", "at most 0xffffffff");
	refused("kernel bad on-end=pause", "on-end=pause", "want restart or stop");
	refused("kernel bad expect=", "expect=", "1 to 120 characters");
	refused("kernel bad expect=a%2", "expect=", "like %20");
	refused("kernel bad expect=a%", "expect=", "like %20");
	refused("kernel bad expect=%zz", "expect=", "like %20");
	refused("kernel bad expect=%00", "expect=", "like %20");
	refused("kernel bad expect=%7f", "expect=", "like %20");
	refused("kernel bad timeout=0", "timeout=0", "want seconds, from 1 to 86400");
	refused("kernel bad timeout=5s", "timeout=5s", "1 to 86400");
	refused("kernel bad timeout=86401", "timeout=86401", "1 to 86400");
	refused("kernel bad track-writes=1", "track-writes=1", "want yes or no");
	refused("kernel bad tsc-mhz=0", "tsc-mhz=0", "1 to 8000");
	refused("kernel bad tsc-mhz=8001", "tsc-mhz=8001", "1 to 8000");
	refused("kernel bad boot=grub", "boot=grub", "linux, multiboot, multiboot2, pvh, flat16");
	refused("kernel bad load=0x1000", "load: belongs to flat", "boot=flat16");
	refused("kernel bad boot=pvh entry=1M", "entry: belongs to flat", "boot=flat16");
	refused("kernel bad boot=flat32 load=0", "load=0", "below 4G");
	refused("kernel bad boot=flat32 load=4G", "load=4G", "below 4G");
	refused("kernel bad boot=flat32 entry=x", "entry=x", "such as 0x100000");
}

static void test_keys(void **state)
{
	(void)state;
	refused("kernel bad memroy=4M", "'memroy'", "memory, cpus, boot, load, entry, pin, ");
	refused("kernel bad memory=4M memory=8M", "memory", "once");
	refused("kernel bad quiet", "'quiet'", "' -- '");
	refused("kernel bad =4M", "unknown key ''", "memory");
	refused("module bad memory=4M", "'memory'", "kernel's line");
	refused("kernel bad a=\x1b[31m\x7f", "'a'", "want");
}

static void test_scheduling(void **state)
{
	const struct vm_config *vm = config.vm;

	(void)state;
	PARSE("kernel a", "kernel b pin=1,3 weight=10000 cap=25%",
	      "kernel c cap=100 pin=0 weight=1", "kernel d pin=2,2,0,1,3");
	for (unsigned i = 0; i < 4; i++)
		assert_false(vm[i].refused);
	assert_int_equal(vm[0].pin, 0);
	assert_int_equal(vm[0].weight, 100);
	assert_int_equal(vm[0].cap, 0);
	assert_int_equal(vm[1].pin, BIT(1) | BIT(3));
	assert_int_equal(vm[1].weight, 10000);
	assert_int_equal(vm[1].cap, 25);
	assert_int_equal(vm[2].pin, BIT(0));
	assert_int_equal(vm[2].weight, 1);
	assert_int_equal(vm[2].cap, 100);
	assert_int_equal(vm[3].pin, 0xf);

	refused("kernel bad cap=0", "cap=0", "from 1%");
	refused("kernel bad cap=%", "cap=%", "from 1%");
	refused("kernel bad cap=", "cap=", "from 1%");
	refused("kernel bad cap=25%%", "cap=25%%", "from 1%");
	refused("kernel bad cap=4294967297", "cap=4294967297", "from 1%");
	refused("kernel bad cap=101", "cap=101", "100%");
	refused("kernel bad cap=101% cpus=1", "cap=101%", "100%");
}

static void test_pin(void **state)
{
	static const struct config_module module = {"kernel vm pin=0,7", 17, file, sizeof(file)};

	(void)state;
	refused("kernel bad pin=7", "pin=7:", "this machine has cores 0 to 3");
	refused("kernel bad pin=0,4,1", "pin=4:", "cores 0 to 3");
	refused("kernel bad pin=64", "pin=64", "cores 0 to 3");
	refused("kernel bad pin=4294967296", "pin=4294967296", "such as 1,2");
	refused("kernel bad pin=", "pin=", "such as 1,2");
	refused("kernel bad pin=1,", "pin=1,", "such as 1,2");
	refused("kernel bad pin=,1", "pin=,1", "such as 1,2");
	refused("kernel bad pin=1,,2", "pin=1,,2", "such as 1,2");
	refused("kernel bad pin=all", "pin=all", "such as 1,2");
	refused("kernel bad pin=-1", "pin=-1", "such as 1,2");

	config_parse(&config, &module, 1, MEMORY_MAX, 1);
	assert_true(config.vm[0].refused);
	expect_words(config.vm[0].error.text, "pin=7", "only core 0");
	config_parse(&config, &module, 1, MEMORY_MAX, 8);
	assert_false(config.vm[0].refused);
	assert_int_equal(config.vm[0].pin, 0x81);
	/* More cores than a mask has bits. */
	PARSE("kernel vm pin=70");
	assert_true(config.vm[0].refused);
}

static void test_life(void **state)
{
	const struct vm_config *vm = config.vm;

	(void)state;
	PARSE("kernel a", "kernel b on-crash=restart restarts=60 autostart=no",
	      "kernel c on-crash=pause autostart=yes console=vga",
	      "kernel d on-crash=stop console=serial");
	for (unsigned i = 0; i < 4; i++)
		assert_false(vm[i].refused);
	assert_int_equal(vm[0].on_crash, CONFIG_ON_CRASH_STOP);
	assert_int_equal(vm[0].restarts, 5);
	assert_true(vm[0].autostart);
	assert_int_equal(vm[0].depends, -1);
	assert_int_equal(vm[1].on_crash, CONFIG_ON_CRASH_RESTART);
	assert_int_equal(vm[1].restarts, 60);
	assert_false(vm[1].autostart);
	assert_int_equal(vm[2].on_crash, CONFIG_ON_CRASH_PAUSE);
	assert_true(vm[2].autostart && vm[2].console_vga);
	assert_false(vm[1].console_vga || vm[3].console_vga);
	assert_int_equal(vm[3].on_crash, CONFIG_ON_CRASH_STOP);
}

static void test_depends(void **state)
{
	const struct vm_config *vm = config.vm;

	(void)state;
	/* The order of the lines does not matter. */
	PARSE("kernel web depends=db", "kernel cron depends=web", "kernel db",
	      "kernel mail depends=db");
	for (unsigned i = 0; i < 4; i++)
		assert_false(vm[i].refused);
	assert_int_equal(vm[0].depends, 2);
	assert_int_equal(vm[1].depends, 0);
	assert_int_equal(vm[2].depends, -1);
	assert_int_equal(vm[3].depends, 2);

	refused("kernel bad depends=", "depends=", "name of a VM");
	refused("kernel bad depends=nobody", "depends=nobody", "no VM of this name");
	refused("kernel bad depends=goo", "depends=goo", "no VM of this name");
	refused("kernel bad depends=bad", "depends=bad", "itself");
}

static void test_circle(void **state)
{
	const struct vm_config *vm = config.vm;

	(void)state;
	PARSE("kernel a depends=b", "kernel b depends=c", "kernel c depends=a", "kernel good",
	      "kernel outside depends=a", "kernel fine depends=good", "kernel far depends=outside");
	for (unsigned i = 0; i < 3; i++) {
		assert_true(vm[i].refused);
		expect_words(vm[i].error.text, "depends=", "circle of 3 VMs");
	}
	expect_words(vm[0].error.text, "depends=b", "circle");
	assert_false(vm[3].refused);
	assert_true(vm[4].refused);
	expect_words(vm[4].error.text, "depends=a: that VM is refused", "circle");
	assert_false(vm[5].refused);
	assert_true(vm[6].refused);
	expect_words(vm[6].error.text, "depends=outside: that VM is refused", "depends=a");

	PARSE("kernel a depends=b", "kernel b depends=a");
	expect_words(vm[0].error.text, "depends=b", "circle of 2 VMs");
	expect_words(vm[1].error.text, "depends=a", "circle of 2 VMs");
}

/* Who waits for a refused one is refused with the same reason, in whatever order they stand. */
static void test_depends_on_refused(void **state)
{
	const struct vm_config *vm = config.vm;

	(void)state;
	PARSE("kernel a depends=b", "kernel b depends=c", "kernel c memory=0", "kernel good");
	for (unsigned i = 0; i < 3; i++)
		assert_true(vm[i].refused);
	expect_words(vm[0].error.text, "depends=b: that VM is refused", "depends=c");
	expect_words(vm[1].error.text, "depends=c: that VM is refused", "memory=0");
	assert_false(vm[3].refused);
	PARSE("kernel a depends=b", "initrd b");
	expect_words(vm[0].error.text, "depends=b", "kernel: there is none");
}

/* A chain of all VMs, and a circle of all. */
static void test_long_chain(void **state)
{
	char text[64][40];
	const char *lines[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		sprintf(text[i], i < 63 ? "kernel vm%u depends=vm%u" : "kernel vm%u", i, i + 1);
		lines[i] = text[i];
	}
	parse_lines(lines, 64);
	assert_int_equal(config.vms, 64);
	for (unsigned i = 0; i < 64; i++) {
		assert_false(config.vm[i].refused);
		assert_int_equal(config.vm[i].depends, i < 63 ? (int)i + 1 : -1);
	}
	strcpy(text[63], "kernel vm63 depends=vm0");
	parse_lines(lines, 64);
	for (unsigned i = 0; i < 64; i++)
		expect_words(config.vm[i].error.text, "depends=", "circle of 64 VMs");
}

static void test_roles(void **state)
{
	(void)state;
	refused("kernle bad", "'kernle'",
		"kernel, initrd, module, disk, cdrom, firmware, vgabios or symbols");
	refused("disk bad size=3", "disk", "'size' does not belong here");
	refused("initrd bad", "kernel", "'kernel bad'");
	complained("", "module 2", "kernel, initrd");
	complained("kernel", "module 2", "VM name");
	complained("kernel -x", "module 2: VM name '-x'", "letters");
	complained("kernel a.b", "'a.b'", "letters");
	complained("kernel abcdefghijklmnopqrstuvwxyz012345", "'abc", "1 to 31");
}

/* A firmware is there instead of a kernel, and its line has the keys. */
static void test_firmware(void **state)
{
	(void)state;
	PARSE("firmware good memory=16M cpus=2 -- debug");
	assert_false(config.vm[0].refused);
	assert_int_equal(config.vm[0].cpus, 2);
	assert_true(text_equals(config.vm[0].firmware.cmdline, "debug"));
	PARSE("firmware good", "kernel good boot=linux cpus=3 -- words", "initrd good");
	assert_false(config.vm[0].refused);
	assert_int_equal(config.vm[0].cpus, 3);
	PARSE("firmware bad", "kernel bad boot=pvh");
	assert_true(config.vm[0].refused);
	expect_words(config.vm[0].error.text, "firmware:", "want no boot");
	PARSE("firmware bad", "initrd bad");
	expect_words(config.vm[0].error.text, "firmware:", "initrd");
	PARSE("firmware bad", "firmware bad");
	expect_words(config.vm[0].error.text, "firmware:", "two VMs");
	PARSE("kernel bad", "symbols bad", "symbols bad");
	expect_words(config.vm[0].error.text, "symbols:", "want it once");
	PARSE("kernel bad", "vgabios bad");
	expect_words(config.vm[0].error.text, "vgabios:", "want firmware");
	PARSE("firmware bad", "vgabios bad", "vgabios bad");
	expect_words(config.vm[0].error.text, "vgabios:", "want it once");
}

/* Four drives of both kinds together. */
static void test_drives(void **state)
{
	(void)state;
	PARSE("kernel good", "disk good", "cdrom good", "disk good", "cdrom good");
	assert_false(config.vm[0].refused);
	assert_int_equal(config.vm[0].disks, 2);
	assert_int_equal(config.vm[0].cdroms, 2);
	PARSE("kernel bad", "disk bad", "cdrom bad", "disk bad", "cdrom bad", "cdrom bad");
	assert_true(config.vm[0].refused);
	expect_words(config.vm[0].error.text, "cdrom: too many", "want 4 drives");
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
	PARSE("kernel vm cpus=99 memory=0");
	expect_words(config.vm[0].error.text, "cpus=99", "want");
}

static void test_empty_files(void **state)
{
	const struct config_module module[] = {
		{"kernel a", 8, file, 0}, {"kernel b", 8, file, 1}, {"initrd b", 8, file, 0}};

	(void)state;
	config_parse(&config, module, 3, MEMORY_MAX, CORES);
	expect_words(config.vm[0].error.text, "kernel", "bzImage");
	expect_words(config.vm[1].error.text, "initrd", "cpio");
}

static void test_none(void **state)
{
	(void)state;
	config_parse(&config, NULL, 0, MEMORY_MAX, CORES);
	assert_int_equal(config.vms, 0);
	assert_int_equal(config.complaints, 1);
	expect_words(config.complaint[0].text, "no module", "module2 FILE kernel NAME");
}

static void test_too_many(void **state)
{
	char text[90][20];
	const char *lines[90];

	(void)state;
	for (unsigned i = 0; i < 90; i++) {
		sprintf(text[i], "kernel vm%u", i);
		lines[i] = text[i];
	}
	parse_lines(lines, 90);
	assert_int_equal(config.vms, 64);
	for (unsigned i = 0; i < config.vms; i++)
		assert_false(config.vm[i].refused);
	assert_int_equal(config.complaints, CONFIG_COMPLAINTS_MAX);
	expect_words(config.complaint[0].text, "'vm64'", "64 or fewer");
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
	static const char *const words[] = {
		"kernel",  "initrd", "module",	 "disk",    " ",  " -- ", "vm",	       "bad",
		"memory=", "cpus=",  "16M",	 "=",	    "\n", "\x1b", "-",	       "0",
		"pin=",	   "cap=",   "depends=", "weight=", ",",  "%",	  "on-crash=", "7"};
	uint64_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		char text[3][256];
		const char *lines[3] = {text[0], text[1], text[2]};

		for (unsigned i = 0; i < 3; i++) {
			text[i][0] = '\0';
			for (unsigned n = 0; n < 12; n++) {
				seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
				strcat(text[i], words[(seed >> 33) % ARRAY_SIZE(words)]);
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
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_verdict_keys),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_default_memory),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_scheduling),
		cmocka_unit_test(test_pin),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_depends),
		cmocka_unit_test(test_circle),
		cmocka_unit_test(test_depends_on_refused),
		cmocka_unit_test(test_long_chain),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_drives),
		cmocka_unit_test(test_firmware),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_first_error_stays),
		cmocka_unit_test(test_empty_files),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
