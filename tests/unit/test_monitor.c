/* SPDX-License-Identifier: MIT */
/* The monitor's commands, before a hypervisor that the test makes up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "vm/monitor.h"

#define HZ 1000000

static struct monitor monitor;
static char out[1 << 18];
static size_t length;
static uint64_t now;
static struct monitor_vm vms[3];
static unsigned vm_count;
static uint64_t ran[3];
static char acted[64];
static int ended; /* 1: power-off, 2: reboot */
static bool audit_ok;
static unsigned audit_lines;
static uint8_t ram[8192];

static unsigned on_vms(void *ctx)
{
	assert_ptr_equal(ctx, vms);
	return vm_count;
}

static void on_vm(void *ctx, unsigned vm, struct monitor_vm *info)
{
	(void)ctx;
	assert_true(vm < vm_count);
	*info = vms[vm];
}

static bool on_vcpu(void *ctx, unsigned vm, unsigned cpu, struct monitor_vcpu *info)
{
	(void)ctx;
	assert_true(vm < vm_count);
	if (cpu >= vms[vm].cpus || vms[vm].state != MONITOR_RUNNING)
		return false;
	*info = (struct monitor_vcpu){.core = cpu + 1,
				      .state = MONITOR_VCPU_HALTED,
				      .run = ran[vm],
				      .ready = 2500,
				      .halted = 3 * HZ,
				      .exits = 77};
	return true;
}

static bool on_exit_row(void *ctx, unsigned vm, unsigned row, struct monitor_exit *info)
{
	static const struct monitor_exit rows[] = {
		{"HLT", 10, 1000, 300}, {"CPUID", 0, 0, 0}, {"I/O instruction", 3, 3001, 2000}};

	(void)ctx;
	(void)vm;
	if (row >= 3)
		return false;
	*info = rows[row];
	return true;
}

static bool on_action(void *ctx, unsigned vm, enum monitor_action action, struct error *error)
{
	static const char *const names[] = {"start", "stop", "pause", "resume", "reset"};

	(void)ctx;
	if (action == MONITOR_PAUSE && vm == 1)
		return error_set(error, "VM beta does not run");
	snprintf(acted, sizeof(acted), "%s %s", names[action], vms[vm].name);
	return true;
}

static bool on_regs(void *ctx, unsigned vm, unsigned cpu, struct monitor_regs *regs,
		    struct error *error)
{
	(void)ctx;
	if (vm == 1)
		return error_set(error, "no registers now");
	*regs = (struct monitor_regs){.rip = 0xffffffff81000000 + cpu,
				      .activity = "halted",
				      .mode = "64-bit mode",
				      .cr0 = 1,
				      .physical_bits = 39};
	regs->gpr[3] = 0x1234;
	regs->segment[MONITOR_CS].selector = 0x10;
	return true;
}

/* RAM at 1000H..2FFFH, untouched to 3FFFH, nothing else. */
static enum monitor_memory on_read(void *ctx, unsigned vm, uint64_t gpa, void *to, size_t count)
{
	(void)ctx;
	(void)vm;
	assert_true(gpa / 4096 == (gpa + count - 1) / 4096);
	if (gpa >= 0x3000 && gpa < 0x4000)
		return MONITOR_UNTOUCHED;
	if (gpa < 0x1000 || gpa >= 0x3000)
		return MONITOR_NO_RAM;
	memcpy(to, ram + gpa - 0x1000, count);
	return MONITOR_RAM;
}

static unsigned ranges;

static bool on_writes(void *ctx, unsigned vm, struct error *error)
{
	(void)ctx;
	ranges = 2;
	return vm == 0 || error_set(error, "VM beta: wants track-writes = yes");
}

static bool on_written(void *ctx, unsigned vm, uint64_t *gpa, uint64_t *bytes)
{
	(void)ctx;
	assert_int_equal(vm, 0);
	*gpa = ranges * 0x10000;
	*bytes = ranges * 0x1000;
	return ranges-- > 0;
}

static const struct pc *on_borrow(void *ctx, unsigned vm, uint64_t *at)
{
	(void)ctx;
	(void)vm;
	*at = 5;
	return NULL;
}

static void on_return(void *ctx, unsigned vm)
{
	(void)ctx;
	(void)vm;
	fail();
}

static bool on_audit(void *ctx, void (*line)(void *to, const char *text), void *to)
{
	(void)ctx;
	for (unsigned i = 0; i < audit_lines; i++)
		line(to, "audit: 12 frames, each with one owner");
	return audit_ok;
}

static void on_end(void *ctx, bool reboot)
{
	(void)ctx;
	/* The answer is out before the machine ends. */
	assert_true(length > 0 && out[length - 1] == '\n');
	ended = reboot ? 2 : 1;
}

static uint64_t on_now(void *ctx)
{
	(void)ctx;
	return now;
}

static const struct monitor_ops ops = {
	.vms = on_vms,
	.vm = on_vm,
	.vcpu = on_vcpu,
	.exit = on_exit_row,
	.action = on_action,
	.regs = on_regs,
	.read = on_read,
	.writes = on_writes,
	.written = on_written,
	.pc_borrow = on_borrow,
	.pc_return = on_return,
	.audit = on_audit,
	.end = on_end,
	.now = on_now,
	.hz = HZ,
	.cores = 2,
	.version = "Socle test",
};

static void put(void *ctx, const char *text, size_t count)
{
	(void)ctx;
	assert_true(count < sizeof(out) - length);
	memcpy(out + length, text, count);
	length += count;
	out[length] = '\0';
}

static void pump(void)
{
	for (unsigned i = 0; i < 100000; i++) {
		assert_false(monitor.out.cut);
		if (!monitor_pump(&monitor, 300, put, NULL))
			return;
	}
	fail_msg("the answer has no end");
}

static int setup(void **state)
{
	(void)state;
	vms[0] = (struct monitor_vm){.name = "alpha",
				     .state = MONITOR_RUNNING,
				     .memory = 256 << 20,
				     .own_memory = 90 << 10,
				     .cpus = 2,
				     .weight = 100,
				     .pins = 5,
				     .console_bytes = 99};
	vms[1] = (struct monitor_vm){.name = "beta",
				     .state = MONITOR_ENDED,
				     .verdict = "FAIL",
				     .why = "said \"no\"\n",
				     .memory = 8 << 20,
				     .cpus = 1,
				     .restarts = 3,
				     .cap = 25};
	vms[2] = (struct monitor_vm){.name = "a/1", .state = MONITOR_RUNNING, .cpus = 1};
	vm_count = 3;
	now = 5 * HZ;
	memset(ran, 0, sizeof(ran));
	acted[0] = '\0';
	ended = 0;
	audit_ok = true;
	audit_lines = 1;
	for (unsigned i = 0; i < sizeof(ram); i++)
		ram[i] = (uint8_t)i;
	monitor_init(&monitor, &ops, vms);
	monitor_enter(&monitor);
	length = 0;
	pump();
	return 0;
}

static void keys(const char *text)
{
	for (; *text; text++)
		monitor_key(&monitor, (uint8_t)*text);
}

/* The answer to a command, without the echo and the prompt after it. */
static const char *answer(const char *command)
{
	static char text[sizeof(out)];
	const char *start;
	size_t size;

	length = 0;
	out[0] = '\0';
	keys(command);
	keys("\r");
	pump();
	start = strchr(out, '\n');
	assert_non_null(start);
	size = strlen(start + 1);
	assert_true(size >= 7);
	memcpy(text, start + 1, size - 7);
	text[size - 7] = '\0';
	assert_string_equal(start + 1 + size - 7, "socle> ");
	return text;
}

static void contains(const char *text, const char *wanted)
{
	if (!strstr(text, wanted))
		fail_msg("no '%s' in: %s", wanted, text);
}

static void test_wrong_words(void **state)
{
	(void)state;
	assert_string_equal(answer(""), "");
	assert_string_equal(answer("  "), "");
	assert_string_equal(answer("frobnicate"),
			    "'frobnicate' is no command; 'help' lists them\r\n");
	assert_string_equal(answer("puase alpha"),
			    "'puase' is no command; did you mean pause?\r\n");
	assert_string_equal(answer("sta"), "'sta' is no command; did you mean start, stats?\r\n");
	assert_string_equal(answer("vm"), "usage: vm NAME\r\n");
	assert_string_equal(answer("vms alpha"), "usage: vms\r\n");
	assert_string_equal(answer("mem alpha"), "usage: mem NAME GPA [LEN]\r\n");
	assert_string_equal(answer("mem alpha 0 1 2"), "usage: mem NAME GPA [LEN]\r\n");
	assert_string_equal(answer("stop gamma"), "no VM is named 'gamma'; 'vms' lists them\r\n");
	assert_string_equal(answer("regs alpha/2"), "VM alpha has vCPUs 0 to 1\r\n");
	contains(answer("regs alpha/x"), "is no vCPU: want NAME/NUMBER");
	contains(answer("mem alpha 0x"), "is no address");
	contains(answer("mem alpha 11112222333344445"), "is no address");
	contains(answer("mem alpha 0 4097"), "want 1 to 4096 bytes");
	contains(answer("mem alpha 0 0"), "want 1 to 4096 bytes");
	contains(answer("log loud"), "want error, warn, info or debug");
	contains(answer("a b c d e f g h i j k l"), "'a' is no command");
	contains(answer("help nothing"), "no command");
	assert_string_equal(answer("--json"),
			    "{\"done\":\"--json\",\"ok\":false,\"error\":\"'--json' is no command; "
			    "'help' lists them\"}\r\n");
}

static void test_help(void **state)
{
	const char *text = answer("help");

	(void)state;
	for (const char *const *name =
		     (const char *const[]){"help",   "vms",    "vm",	"start",   "stop",
					   "pause",  "resume", "reset", "console", "stats",
					   "top",    "regs",   "mem",	"walk",	   "devices",
					   "irqs",   "log",    "audit", "version", "poweroff",
					   "reboot", "writes", NULL};
	     *name; name++)
		contains(text, *name);
	assert_string_equal(answer("help vm"), "usage: vm NAME\r\nall about one VM\r\n");
}

static void test_vms(void **state)
{
	const char *text = answer("vms");

	(void)state;
	contains(text, " 1  alpha            running      2      256M        0  -");
	contains(text, " 2  beta             ended        1        8M        3  FAIL");
	text = answer("vms --json");
	contains(text, "{\"vm\":\"alpha\",\"number\":1,\"state\":\"running\",\"verdict\":null,"
		       "\"why\":\"\",\"memory\":268435456,\"own_memory\":92160,\"cpus\":2,"
		       "\"restarts\":0,\"weight\":100,\"cap\":0,\"pins\":[0,2],"
		       "\"console_bytes\":99}\r\n");
	contains(text, "\"why\":\"said \\\"no\\\"\\u000a\"");
	contains(text, "\r\n{\"done\":\"vms\",\"ok\":true}\r\n");
	vm_count = 0;
	assert_string_equal(answer("vms --json"), "{\"done\":\"vms\",\"ok\":true}\r\n");
	contains(answer("vms"), "NAME");
}

static void test_vm(void **state)
{
	const char *text = answer("vm alpha");

	(void)state;
	contains(text, "VM alpha, number 1: running\r\n");
	contains(text, "262144K, and 90K of Socle's own");
	contains(text, "2 on 0 2, weight 100, cap none");
	contains(text, "alpha/1   core 2   halted");
	contains(text, "ready 0.002 s  halted 3.000 s  exits 77");
	contains(answer("vm beta"), "1 on any core, weight 0, cap 25%");
	contains(answer("--json vm alpha"), "{\"vm\":\"alpha\",\"vcpu\":1,\"core\":2,");
}

static void test_actions(void **state)
{
	(void)state;
	assert_string_equal(answer("start alpha"), "");
	assert_string_equal(acted, "start alpha");
	answer("stop beta");
	assert_string_equal(acted, "stop beta");
	answer("resume beta");
	assert_string_equal(acted, "resume beta");
	answer("reset alpha");
	assert_string_equal(acted, "reset alpha");
	assert_string_equal(answer("pause beta"), "VM beta does not run\r\n");
	assert_string_equal(
		answer("pause beta --json"),
		"{\"done\":\"pause\",\"ok\":false,\"error\":\"VM beta does not run\"}\r\n");
	assert_string_equal(acted, "reset alpha");
	assert_string_equal(answer("pause alpha --json"), "{\"done\":\"pause\",\"ok\":true}\r\n");
	assert_string_equal(acted, "pause alpha");
}

static void test_stats(void **state)
{
	const char *text = answer("stats alpha");

	(void)state;
	contains(text, "HLT                                    10        100        300\r\n");
	contains(text, "I/O instruction                         3       1000       2000\r\n");
	assert_null(strstr(text, "CPUID"));
	assert_null(strstr(text, "beta"));
	text = answer("stats --json");
	contains(text, "{\"vm\":\"alpha\",\"vcpu\":0,\"core\":1,\"state\":\"halted\",\"run\":0,"
		       "\"ready\":2500,\"halted\":3000000,\"exits\":77,\"hz\":1000000}\r\n");
	contains(text, "{\"vm\":\"beta\",\"exit\":\"HLT\",\"count\":10,\"ticks\":1000,"
		       "\"mean\":100,\"max\":300}\r\n");
	contains(text, "{\"vm\":\"a/1\",\"exit\":\"I/O instruction\"");
	contains(text, "{\"done\":\"stats\",\"ok\":true}");
}

static void test_regs(void **state)
{
	const char *text = answer("regs alpha/1");

	(void)state;
	contains(text, "64-bit mode, halted\r\nrip  ffffffff81000001 ");
	contains(text, "rbx 0000000000001234");
	contains(text, "cs   0010 base");
	contains(answer("regs alpha"), "rip  ffffffff81000000 ");
	/* A name with a slash of its own. */
	contains(answer("regs a/1"), "rip  ffffffff81000000 ");
	assert_string_equal(answer("regs beta"), "no registers now\r\n");
	text = answer("regs alpha --json");
	contains(text, "\"rip\":\"0xffffffff81000000\"");
	contains(text, "\"cs\":\"0x10\"");
}

static void test_writes(void **state)
{
	(void)state;
	assert_string_equal(answer("writes alpha"),
			    "0000000000020000..0000000000021fff         8K\r\n"
			    "0000000000010000..0000000000010fff         4K\r\n"
			    "12K written\r\n");
	contains(answer("--json writes alpha"), "{\"gpa\":131072,\"bytes\":8192}");
	contains(answer("writes beta"), "VM beta: wants track-writes = yes");
	assert_string_equal(answer("writes"), "usage: writes NAME\r\n");
}

static void test_mem(void **state)
{
	const char *text = answer("mem alpha 1041 10");

	(void)state;
	assert_string_equal(text, "0000000000001040     41 42 43 44 45 46 47 48 49 4a              "
				  "    ABCDEFGHIJ\r\n");
	text = answer("mem alpha 0x2ff0 4096");
	contains(text, "0000000000002ff0  f0 f1");
	contains(text, "0000000000003000  untouched from here: reads as zero\r\n");
	assert_null(strstr(text, "3010"));
	contains(answer("mem alpha ffffffffffffffff"), "no RAM from here\r\n");
	text = answer("mem alpha 1000 20 --json");
	assert_string_equal(text, "{\"gpa\":\"0x1000\",\"kind\":\"ram\",\"bytes\":"
				  "\"000102030405060708090a0b0c0d0e0f\"}\r\n"
				  "{\"gpa\":\"0x1010\",\"kind\":\"ram\",\"bytes\":\"10111213\"}\r\n"
				  "{\"done\":\"mem\",\"ok\":true}\r\n");
	/* The most that there is, in pieces. */
	text = answer("mem alpha 1000 4096");
	contains(text, "0000000000001ff0  f0 f1");
	assert_int_equal(strlen(text), 256 * strlen("0000000000001000  00 01 02 03 04 05 06 07 08 "
						    "09 0a 0b 0c 0d 0e 0f  ................\r\n"));
}

static void test_devices(void **state)
{
	(void)state;
	assert_string_equal(answer("devices alpha"), "it has no devices now\r\n");
	contains(answer("irqs alpha --json"), "\"ok\":false");
}

static void test_walk(void **state)
{
	(void)state;
	/* Paging is off. */
	assert_string_equal(answer("walk alpha 1234"), "gpa   0000000000001234\r\n");
	contains(answer("walk alpha 1234 --json"), "{\"gva\":\"0x1234\",\"gpa\":\"0x1234\"}");
}

static void test_log(void **state)
{
	const char *text;

	(void)state;
	log_error("something \"bad\"");
	text = answer("log");
	contains(text, "socle: something \"bad\"\r\n");
	contains(answer("log --json"),
		 "{\"level\":\"error\",\"text\":\"socle: something \\\"bad\\\"\"}\r\n");
	answer("log warn");
	assert_int_equal(log_get_level(), LOG_WARN);
	answer("log info");
	assert_int_equal(log_get_level(), LOG_INFO);
}

static void test_audit(void **state)
{
	(void)state;
	assert_string_equal(answer("audit"), "audit: 12 frames, each with one owner\r\n");
	audit_ok = false;
	contains(answer("audit --json"), "\"ok\":false,\"error\":\"audit: the ownership rule");
	/* More lines than there is room for. */
	audit_lines = 5000;
	contains(answer("audit"), "more lines did not fit");
}

static void test_version(void **state)
{
	(void)state;
	assert_string_equal(answer("version"), "Socle test, 2 cores, 1 MHz, up 5.000 s\r\n");
}

static void test_end(void **state)
{
	(void)state;
	assert_string_equal(answer("reboot --json"), "{\"done\":\"reboot\",\"ok\":true}\r\n");
	assert_int_equal(ended, 2);
	assert_string_equal(answer("poweroff"), "powering off\r\n");
	assert_int_equal(ended, 1);
}

static void test_console(void **state)
{
	unsigned vm;

	(void)state;
	keys("console beta\r");
	pump();
	assert_int_equal(monitor_take_wish(&monitor, &vm), MONITOR_SHOW_VM);
	assert_int_equal(vm, 1);
	assert_int_equal(monitor_take_wish(&monitor, &vm), MONITOR_STAY);
	pump();
	keys("console all\r");
	pump();
	assert_int_equal(monitor_take_wish(&monitor, &vm), MONITOR_SHOW_ALL);
	pump();
	keys("\x04");
	/* Only when all is out. */
	assert_int_equal(monitor_take_wish(&monitor, &vm), MONITOR_STAY);
	pump();
	assert_int_equal(monitor_take_wish(&monitor, &vm), MONITOR_LEAVE);
}

static void test_top(void **state)
{
	(void)state;
	keys("top\r");
	length = 0;
	pump();
	contains(out, "\x1b[2J\x1b[HSocle up 5.000 s, 2 cores, 3 VMs");
	assert_int_equal(monitor_next_event(&monitor), now + HZ);
	monitor_tick(&monitor, now + HZ - 1);
	length = 0;
	out[0] = '\0';
	pump();
	assert_int_equal(length, 0);
	/* Half a core for each of its two vCPUs, and a quarter; the largest share first. */
	now += HZ;
	ran[0] = HZ / 4;
	ran[2] = HZ * 6 / 10;
	monitor_tick(&monitor, now);
	pump();
	assert_null(strstr(out, "\x1b[2J"));
	contains(out, "a/1              running      1   60.0");
	contains(out, "alpha            running      2   50.0");
	assert_true(strstr(out, "a/1 ") < strstr(out, "alpha "));
	assert_true(strstr(out, "alpha ") < strstr(out, "beta "));
	keys("x");
	length = 0;
	pump();
	assert_string_equal(out, "\r\nsocle> ");
	assert_true(monitor_next_event(&monitor) == UINT64_MAX);
	/* A VM that was started anew has not run less than nothing. */
	keys("top\r");
	pump();
	now += HZ;
	ran[2] = HZ / 10;
	length = 0;
	monitor_tick(&monitor, now);
	pump();
	contains(out, "a/1              running      1   10.0");
}

static void test_top_json(void **state)
{
	(void)state;
	keys("top --json\r");
	length = 0;
	out[0] = '\0';
	pump();
	assert_null(strstr(out, "{"));
	now += HZ;
	ran[0] = HZ / 10;
	monitor_tick(&monitor, now);
	pump();
	contains(out, "{\"vm\":\"alpha\",\"state\":\"running\",\"permille\":200,\"run\":200000,");
	contains(out, "{\"done\":\"top\",\"ok\":true}\r\nsocle> ");
}

static void test_type_ahead_and_cancel(void **state)
{
	(void)state;
	length = 0;
	keys("version\rversion\rmem alpha 1000 4096\r");
	pump();
	contains(out, "socle> version\r\nSocle test");
	contains(out, "socle> mem alpha 1000 4096\r\n0000000000001000");
	length = 0;
	keys("mem alpha 1000 4096\r");
	while (monitor.run.command == NULL)
		monitor_pump(&monitor, 300, put, NULL);
	monitor_pump(&monitor, 300, put, NULL);
	keys("\x03");
	pump();
	contains(out, "cancelled\r\nsocle> ");
	assert_null(strstr(out, "0000000000001ff0"));
}

static void test_completion(void **state)
{
	(void)state;
	length = 0;
	keys("ver\t");
	pump();
	assert_string_equal(monitor.edit.line, "version ");
	keys("\x15vm be\t");
	assert_string_equal(monitor.edit.line, "vm beta ");
	keys("\x15regs alpha/\t1");
	assert_string_equal(monitor.edit.line, "regs alpha/1");
	keys("\x15log w\t");
	assert_string_equal(monitor.edit.line, "log warn ");
	keys("\x15help aud\t");
	assert_string_equal(monitor.edit.line, "help audit ");
	keys("\x15vms --\t");
	assert_string_equal(monitor.edit.line, "vms --json ");
	keys("\x15nothing a\t");
	assert_string_equal(monitor.edit.line, "nothing a");
	keys("\x15walk alpha 1\t");
	assert_string_equal(monitor.edit.line, "walk alpha 1");
}

static void test_leaving(void **state)
{
	(void)state;
	keys("mem alpha 1000 4096\r");
	monitor_leave(&monitor);
	length = 0;
	out[0] = '\0';
	keys("vms\r");
	pump();
	assert_int_equal(length, 0);
	monitor_enter(&monitor);
	pump();
	assert_string_equal(out, "socle> ");
}

static void test_random(void **state)
{
	static const char *const words[] = {
		"help",	   "vms",     "vm",    "start", "stop",	 "pause", "resume",
		"reset",   "console", "stats", "top",	"regs",	 "mem",	  "walk",
		"devices", "irqs",    "log",   "audit", "alpha", "beta",  "alpha/1",
		"--json",  "0",	      "1000",  "4096",	"all",	 "debug", "ffffffffffffffff",
		"a/1/9",   "/",	      "\t\t",  "\x1b[A"};
	unsigned vm;

	(void)state;
	srand(3);
	for (unsigned round = 0; round < 4000; round++) {
		for (unsigned i = 1 + (unsigned)rand() % 5; i; i--) {
			keys(words[(size_t)rand() % (sizeof(words) / sizeof(words[0]))]);
			keys(" ");
			if (rand() % 20 == 0)
				monitor_key(&monitor, (uint8_t)rand());
		}
		keys(rand() % 8 ? "\r" : "\x03");
		for (unsigned i = (unsigned)rand() % 200; i; i--)
			monitor_pump(&monitor, (size_t)rand() % 400, put, NULL);
		now += HZ / 3;
		monitor_tick(&monitor, now);
		monitor_take_wish(&monitor, &vm);
		if (length > sizeof(out) / 2)
			length = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_wrong_words, setup),
		cmocka_unit_test_setup(test_help, setup),
		cmocka_unit_test_setup(test_vms, setup),
		cmocka_unit_test_setup(test_vm, setup),
		cmocka_unit_test_setup(test_actions, setup),
		cmocka_unit_test_setup(test_stats, setup),
		cmocka_unit_test_setup(test_regs, setup),
		cmocka_unit_test_setup(test_mem, setup),
		cmocka_unit_test_setup(test_writes, setup),
		cmocka_unit_test_setup(test_devices, setup),
		cmocka_unit_test_setup(test_walk, setup),
		cmocka_unit_test_setup(test_log, setup),
		cmocka_unit_test_setup(test_audit, setup),
		cmocka_unit_test_setup(test_version, setup),
		cmocka_unit_test_setup(test_end, setup),
		cmocka_unit_test_setup(test_console, setup),
		cmocka_unit_test_setup(test_top, setup),
		cmocka_unit_test_setup(test_top_json, setup),
		cmocka_unit_test_setup(test_type_ahead_and_cancel, setup),
		cmocka_unit_test_setup(test_completion, setup),
		cmocka_unit_test_setup(test_leaving, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
