/* SPDX-License-Identifier: MIT */
/*
 * What is typed at the monitor, before a hypervisor of three VMs. Its answers end, no part of them
 * is cut, and an object of JSON is one.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "vm/inspect.h"
#include "vm/monitor.h"

#define HZ	 1000000
#define VMS	 3
#define PUMPS	 20000
#define OUT_SIZE 0x10000

static struct monitor monitor;
static struct pc pc;
static uint8_t page[VLAPIC_PAGE_SIZE];
static char out[OUT_SIZE];
static size_t length;
static uint64_t now;
static bool borrowed;

static unsigned on_vms(void *ctx)
{
	(void)ctx;
	return VMS;
}

static void on_vm(void *ctx, unsigned vm, struct monitor_vm *info)
{
	static const struct monitor_vm vms[VMS] = {
		{.name = "alpha",
		 .state = MONITOR_RUNNING,
		 .memory = 256 * MIB,
		 .cpus = 2,
		 .pins = 5},
		{.name = "b",
		 .state = MONITOR_ENDED,
		 .verdict = "FAIL",
		 .why = "it said \"no\"\n\t\x80"},
		{.name = "c/1", .state = MONITOR_PAUSED, .cpus = 1, .restarts = 3, .cap = 25},
	};

	(void)ctx;
	FUZZ_REQUIRE(vm < VMS);
	*info = vms[vm];
}

static bool on_vcpu(void *ctx, unsigned vm, unsigned cpu, struct monitor_vcpu *info)
{
	(void)ctx;
	FUZZ_REQUIRE(vm < VMS);
	if (vm == 1 || cpu > 1 - vm / 2)
		return false;
	*info = (struct monitor_vcpu){cpu, MONITOR_VCPU_HALTED, now / 2, now / 8, now / 4, 77};
	return true;
}

static bool on_exit_row(void *ctx, unsigned vm, unsigned row, struct monitor_exit *info)
{
	(void)ctx;
	FUZZ_REQUIRE(vm < VMS);
	*info = (struct monitor_exit){"CPUID", row, row * 1000, UINT64_MAX};
	return row < 3;
}

static bool on_action(void *ctx, unsigned vm, enum monitor_action action, struct error *error)
{
	(void)ctx;
	FUZZ_REQUIRE(vm < VMS && action < MONITOR_ACTIONS);
	return vm != 1 || error_set(error, "VM \"b\" has ended");
}

static bool on_regs(void *ctx, unsigned vm, unsigned cpu, struct monitor_regs *regs,
		    struct error *error)
{
	(void)ctx;
	FUZZ_REQUIRE(vm < VMS);
	if (vm == 1)
		return error_set(error, "no registers now");
	*regs = (struct monitor_regs){.rip = UINT64_MAX - cpu,
				      .activity = "halted",
				      .mode = "64-bit mode",
				      .cr0 = vm ? BIT(31) | 1 : 1,
				      .cr3 = 0x1000,
				      .cr4 = BIT(5),
				      .efer = BIT(10),
				      .physical_bits = 39};
	return true;
}

/* RAM whose words point into it, to 16000H; then some that nobody touched. */
static bool on_writes(void *ctx, unsigned vm, struct error *error)
{
	(void)ctx;
	return vm % 2 || error_set(error, "VM %u: wants track-writes = yes", vm);
}

static bool on_written(void *ctx, unsigned vm, uint64_t *gpa, uint64_t *bytes)
{
	static uint64_t calls;

	(void)ctx;
	*gpa = ++calls << (vm + 12);
	*bytes = *gpa;
	return calls % 50;
}

static enum monitor_memory on_read(void *ctx, unsigned vm, uint64_t gpa, void *to, size_t count)
{
	(void)ctx;
	FUZZ_REQUIRE(vm < VMS && count && gpa % 4096 + count <= 4096);
	if (gpa >= 0x20000)
		return MONITOR_NO_RAM;
	if (gpa >= 0x16000)
		return MONITOR_UNTOUCHED;
	for (size_t i = 0; i < count; i++)
		((uint8_t *)to)[i] = (uint8_t)(0x1267ULL >> (gpa + i) % 8 * 8);
	return MONITOR_RAM;
}

static const struct pc *on_borrow(void *ctx, unsigned vm, uint64_t *at)
{
	(void)ctx;
	FUZZ_REQUIRE(vm < VMS && !borrowed);
	if (vm == 1)
		return NULL;
	borrowed = true;
	*at = now;
	return &pc;
}

static void on_return(void *ctx, unsigned vm)
{
	(void)ctx, (void)vm;
	FUZZ_REQUIRE(borrowed);
	borrowed = false;
}

static bool on_audit(void *ctx, void (*line)(void *to, const char *text), void *to)
{
	(void)ctx;
	line(to, "audit: 12 frames, each with \"one\" owner");
	return now & 1;
}

static void on_end(void *ctx, bool reboot)
{
	(void)ctx, (void)reboot;
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
	.version = "Socle",
};

/* --- JSON: RFC 8259, as far as the monitor's objects go --- */

static const char *json_value(const char *at);

static const char *json_text(const char *at)
{
	for (at++; *at != '"'; at++) {
		FUZZ_REQUIRE(*at >= ' ' && *at < 0x7F);
		if (*at == '\\')
			at++;
	}
	return at + 1;
}

static const char *json_list(const char *at, char end, bool keys)
{
	at++;
	while (*at != end) {
		if (keys) {
			FUZZ_REQUIRE(*at == '"');
			at = json_text(at);
			FUZZ_REQUIRE(*at++ == ':');
		}
		at = json_value(at);
		FUZZ_REQUIRE(*at == ',' || *at == end);
		if (*at == ',') {
			at++;
			FUZZ_REQUIRE(*at != end);
		}
	}
	return at + 1;
}

static const char *json_value(const char *at)
{
	static const char *const words[] = {"null", "true", "false"};

	if (*at == '{')
		return json_list(at, '}', true);
	if (*at == '[')
		return json_list(at, ']', false);
	if (*at == '"')
		return json_text(at);
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (strncmp(at, words[i], strlen(words[i])) == 0)
			return at + strlen(words[i]);
	FUZZ_REQUIRE(*at >= '0' && *at <= '9');
	while (*at >= '0' && *at <= '9')
		at++;
	return at;
}

/* Lines of the answer that begin an object. */
static void check_json(void)
{
	for (const char *at = out; (at = strstr(at, "\n{")); at++)
		FUZZ_REQUIRE(strncmp(json_value(at + 1), "\r\n", 2) == 0);
}

static void put(void *ctx, const char *text, size_t count)
{
	(void)ctx;
	FUZZ_REQUIRE(count <= MONITOR_OUT);
	if (count >= sizeof(out) - length)
		length = 0; /* what is at the end of a long answer */
	memcpy(out + length, text, count);
	length += count;
	out[length] = '\0';
}

static void pump(size_t room)
{
	for (unsigned i = 0; monitor_pump(&monitor, room, put, NULL); i++) {
		FUZZ_REQUIRE(!monitor.out.cut && !borrowed);
		FUZZ_REQUIRE(i < PUMPS);
	}
	FUZZ_REQUIRE(!monitor.out.cut && !borrowed);
}

static void on_cpu(void *ctx, unsigned cpu)
{
	(void)ctx, (void)cpu;
}

static void begin(void)
{
	static const struct pc_ops none = {.changed = on_cpu, .kick = on_cpu};
	struct pc_config config = {.hz = HZ, .cpus = 1, .physical_bits = 39, .ops = &none};
	char line[LOG_LINE_MAX + 1];
	uint64_t lost;

	memset(page, 0, sizeof(page));
	config.apic_page[0] = page;
	FUZZ_REQUIRE(pc_init(&pc, &config));
	now = 5 * HZ;
	length = 0;
	out[0] = '\0';
	borrowed = false;
	log_set_queued(true);
	/* Once: the log is the process's, and the answer with it would grow from run to run. */
	if (!log_end())
		log_warn("a line of the \"log\"");
	while (log_take(line, &lost))
		;
	monitor_init(&monitor, &ops, NULL);
	monitor_enter(&monitor);
}

/* Bytes above 7FH are commands to the test. */
void fuzz_monitor(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, MIN(size, (size_t)2000));
	unsigned vm;

	begin();
	while (stream_more(&in)) {
		uint8_t byte = stream_byte(&in);

		if (byte < 0x80) {
			monitor_key(&monitor, byte);
			if (byte == '\r' || byte == '\n')
				pump(0x1000);
			continue;
		}
		switch (byte % 4) {
		case 0:
			now += HZ * (byte >> 2);
			monitor_tick(&monitor, now);
			break;
		case 1: monitor_pump(&monitor, byte >> 2, put, NULL); break;
		case 2:
			if (!monitor_between_lines(&monitor))
				break;
			monitor_hide(&monitor);
			monitor_show(&monitor);
			break;
		case 3:
			FUZZ_REQUIRE(monitor_take_wish(&monitor, &vm) != MONITOR_SHOW_VM ||
				     vm < VMS);
			break;
		}
	}
	pump(0x1000);
	monitor_leave(&monitor);
	check_json();
}
