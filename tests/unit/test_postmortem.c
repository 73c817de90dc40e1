/* SPDX-License-Identifier: MIT */
/* Reports of dead vCPUs: their words for errors, what cannot be read, exits that repeat. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/postmortem.h"

#define RAM 0x4000u

static char said[16384];
static uint8_t ram[RAM];
static struct monitor_regs regs;
static struct postmortem_exit exits[8];
static unsigned exits_count;
static struct symbols symbols;

static void line(const char *text)
{
	assert_true(strlen(text) < 160);
	snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n", text);
}

static enum monitor_memory read_ram(void *ctx, unsigned vm, uint64_t gpa, void *to, size_t length)
{
	(void)ctx;
	(void)vm;
	if (gpa >= 0x100000 && gpa < 0x200000)
		return MONITOR_UNTOUCHED;
	if (gpa > RAM || length > RAM - gpa)
		return MONITOR_NO_RAM;
	memcpy(to, ram + gpa, length);
	return MONITOR_RAM;
}

static bool read_exit(void *ctx, unsigned back, struct postmortem_exit *exit)
{
	(void)ctx;
	if (back >= exits_count)
		return false;
	*exit = exits[back];
	return true;
}

static void report(const struct postmortem_exception *exceptions, unsigned count, bool shutdown)
{
	const struct inspect_reader reader = {.read = read_ram};
	const struct postmortem pm = {.regs = &regs,
				      .reader = &reader,
				      .symbols = &symbols,
				      .exceptions = exceptions,
				      .exceptions_count = count,
				      .shutdown = shutdown,
				      .exit = read_exit,
				      .exits = 6,
				      .line = line};

	said[0] = '\0';
	postmortem_report(&pm);
}

static void has(const char *text)
{
	if (!strstr(said, text))
		fail_msg("no '%s' in:\n%s", text, said);
}

static void flat32(void)
{
	memset(&regs, 0, sizeof(regs));
	memset(ram, 0, sizeof(ram));
	exits_count = 0;
	regs.cr0 = 1;
	regs.segment[MONITOR_CS].rights = regs.segment[MONITOR_SS].rights = 0xC093;
}

static void test_exceptions(void **state)
{
	const struct postmortem_exception e[] = {
		{.vector = 14, .address = 0x1234, .error_code = 7, .rip = 0x99, .during = 0xFFFF},
		{.vector = 14, .address = 1, .error_code = 0x10, .during = 14},
		{.vector = 14, .address = 2, .error_code = 9, .during = 0x51},
		{.vector = 13, .error_code = 0x6B, .during = 8},
		{.vector = 11, .error_code = 0x14, .during = 3},
		{.vector = 13, .error_code = 0x18, .during = 32},
		{.vector = 13, .error_code = 0, .during = 0xFFFF, .rip = 0x77},
		{.vector = 6, .error_code = 0xFF, .during = 0xFFFF, .rip = 0x78},
	};

	(void)state;
	flat32();
	report(e, ARRAY_SIZE(e), true);
	has("  #PF at 0x1234 (a write by user mode: the page's rights forbid it) at rip 0x99\n");
	has("  #PF at 0x1 (a fetch by the kernel: the page is not present), raised by the delivery "
	    "of #PF\n");
	has("  #PF at 0x2 (a read by the kernel: a reserved bit is set in an entry), raised by the "
	    "delivery of vector 81\n");
	has("  #GP, error code 0x6b (gate 13 of the IDT), raised by the delivery of #DF\n");
	has("  #NP, error code 0x14 (selector 0x10 of the LDT), raised by the delivery of #BP\n");
	has("  #GP, error code 0x18 (selector 0x18 of the GDT), raised by the delivery of vector "
	    "32\n");
	has("  #GP, error code 0x0 at rip 0x77\n");
	has("  #UD at rip 0x78\n");
	has("  and then shutdown: a third fault\n");
	report(NULL, 0, false);
	assert_null(strstr(said, "exceptions"));
	assert_null(strstr(said, "shutdown"));
}

static void test_memory(void **state)
{
	const struct postmortem_exception fault = {
		.vector = 14, .address = 0x403123, .during = 0xFFFF};

	(void)state;
	flat32();
	regs.rip = 0x1000;
	regs.gpr[4] = 0x3FF8;
	memcpy(ram + 0x1000, "\x0f\x0b\xf4", 3);
	ram[0x0FF0] = 0xAA;
	ram[0x3FF8] = 0x21;
	report(NULL, 0, false);
	has("  before 0000000000000ff0: aa 00");
	has("  at rip 0000000000001000: 0f 0b f4 00");
	/* As far as there is RAM. */
	has("stack:\n  0000000000003ff8: 00000021 00000000\n");
	regs.gpr[4] = RAM;
	report(NULL, 0, false);
	has("stack: cannot be read\n");
	regs.gpr[4] = 0x3F00;
	ram[0x3F04] = 0x42;
	report(NULL, 0, false);
	has("  0000000000003f00: 00000000 00000042 00000000 00000000\n");
	/* Real mode: words of two bytes, segments count. */
	regs.cr0 = 0;
	regs.segment[MONITOR_SS].rights = 0x93;
	regs.segment[MONITOR_SS].base = 0x3000;
	regs.gpr[4] = 0xF02;
	report(NULL, 0, false);
	has("  0000000000003f02: 0000 0042 0000 0000\n");
	/* Page tables: a directory at 0, whose second table is at 2000H. */
	flat32();
	regs.cr0 = 0x80000001;
	ram[4] = 0x03;
	ram[5] = 0x20;
	ram[0x200C] = 0x02;
	report(&fault, 1, false);
	has("page walk of the address that faulted, 0x403123:\n");
	has("  PDE    at 0000000000000004: 0000000000002003 P R/W\n");
	has("  PTE    at 000000000000200c: 0000000000000002 R/W\n");
	has("  and no further: not mapped\n");
	has(" 0000000000000000: cannot be read\n");
	ram[0x200C] = 0x03;
	ram[0x200E] = 0x10;
	report(&fault, 1, false);
	has("  gpa 0000000000100123\n");
	has("; cr0: PE PG; cr4:; efer:\n");
}

static void test_exits(void **state)
{
	(void)state;
	flat32();
	exits_count = 8;
	for (unsigned i = 0; i < 8; i++)
		exits[i] = (struct postmortem_exit){.name = "HLT", .rip = i < 3 ? 5 : 6 + i};
	report(NULL, 0, false);
	has("exits, the last one first:\n  HLT at rip 0x5, 3 times\n  HLT at rip 0x9\n");
	has("  HLT at rip 0xb\n");
	assert_null(strstr(said, "0xc"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exceptions),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_exits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
