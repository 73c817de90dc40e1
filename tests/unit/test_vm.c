/* SPDX-License-Identifier: MIT */
/* Making, populating, ending and unmaking VMs, in memory of this process. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/bits.h"
#include "vm/vm.h"

#define ARENA	   (3 * GIB + 64 * MIB)
#define HZ	   1000
#define ENTRY	   0x100010
#define MEMORY	   (5 * MIB + 3 * PAGE_SIZE)
#define TAIL_START (4 * MIB)

static uint8_t *arena; /* ARENA bytes, 2 MiB aligned; only what is touched exists */
static struct frames frames;
static struct vm vm;
static struct vm_config config;
static struct vm_host host;
static struct vcpu vcpu;
static struct error error;
static uint8_t kernel[0x2000];
static uint8_t ring[256];
static struct vm_console console;
static unsigned told;
static bool drain; /* all memory goes at the first look at a memory type */
static enum memory_type type;
static uint64_t type_start, type_end;
static unsigned invalidations;

static void put(unsigned offset, uint64_t value, unsigned size)
{
	memcpy(kernel + offset, &value, size);
}

/* A Multiboot ELF of one segment of a page at 1 MiB. */
static void make_kernel(void)
{
	memset(kernel, 0x90, sizeof(kernel));
	memset(kernel, 0, 0x300);
	put(0, 0x464C457F, 4);
	put(4, 0x010101, 3);
	put(16, 2, 2);
	put(18, 3, 2);
	put(24, ENTRY, 4);
	put(28, 52, 4);
	put(42, 32, 2);
	put(44, 1, 2);
	put(52, 1, 4);
	put(56, 0x1000, 4);
	put(60, 0x100000, 4);
	put(64, 0x100000, 4);
	put(68, 0x1000, 4);
	put(72, 0x1000, 4);
	put(0x200, 0x1BADB002, 4);
	put(0x208, 0u - 0x1BADB002, 4);
}

static struct cpuid_regs host_cpuid(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	switch (leaf) {
	case 0: return (struct cpuid_regs){.eax = 1};
	case 0x80000000: return (struct cpuid_regs){.eax = 0x80000008};
	case 0x80000008: return (struct cpuid_regs){.eax = 39};
	default: return (struct cpuid_regs){0};
	}
}

static const struct cpuid_policy policy = {.host = host_cpuid, .tsc_hz = HZ, .cpus = 1};

static enum memory_type memory_type(uint64_t start, uint64_t end)
{
	type_start = start;
	type_end = end;
	if (drain)
		frames.count = 0;
	return type;
}

static unsigned kicks;

static void on_kick(struct vcpu *kicked)
{
	kicks++;
	pc_collect(&vm.pc, kicked->id);
}

static void invalidate_ept(void *ctx, uint64_t eptp)
{
	const struct vm *of = ctx;

	assert_int_equal(eptp, ept_pointer(&of->ept));
	invalidations++;
}

static void on_told(void)
{
	told++;
}

/* What the VM has said so far. */
static const char *said(void)
{
	static char text[sizeof(ring)];
	uint64_t at = 0;

	text[vm_console_peek(&console, &at, (uint8_t *)text, sizeof(text) - 1)] = '\0';
	return text;
}

/* Free memory: the first `size` bytes of the arena, which hold anything. */
static void give(uint64_t size)
{
	memset(&frames, 0, sizeof(frames));
	assert_true(frames_add(&frames, (uint64_t)arena, (uint64_t)arena + size));
}

static int setup(void **state)
{
	uint8_t *map = mmap(NULL, ARENA + PAGE_SIZE_2M, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return -1;
	*state = map;
	arena = (uint8_t *)align_up((uint64_t)map, PAGE_SIZE_2M);
	memset(arena, 0xEE, 16 * MIB);
	make_kernel();
	config = (struct vm_config){.name = "v", .memory = MEMORY, .cpus = 1};
	config.kernel.data = kernel;
	config.kernel.size = sizeof(kernel);
	host = (struct vm_host){.frames = &frames,
				.largest_ept_level = 3,
				.memory_type = memory_type,
				.invalidate_ept = invalidate_ept,
				.kick = on_kick,
				.console_told = on_told,
				.hz = HZ};
	vcpu = (struct vcpu){0};
	vm_console_init(&console, ring, sizeof(ring));
	told = 0;
	drain = false;
	type = MEMORY_WB;
	invalidations = 0;
	give(16 * MIB);
	return 0;
}

static int teardown(void **state)
{
	return munmap(*state, ARENA + PAGE_SIZE_2M);
}

static void create(void)
{
	if (!vm_create(&vm, &config, &host, &policy, 0, &error))
		fail_msg("%s", error.text);
	vm.vcpu[0] = &vcpu;
	vm.console = &console;
}

/* Refused with these words, and nothing kept. */
static void refused(const char *words)
{
	struct frames before = frames;

	assert_false(vm_create(&vm, &config, &host, &policy, 0, &error));
	if (!strstr(error.text, words))
		fail_msg("'%s' should say '%s'", error.text, words);
	assert_int_equal(frames_total(&frames), frames_total(&before));
	assert_int_equal(frames.count, before.count);
}

static void test_all_memory_comes_back(void **state)
{
	uint64_t before = frames_total(&frames);

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		create();
		assert_true(frames_total(&frames) < before - MEMORY);
		assert_true(vm_populate(&vm, TAIL_START));
		vm_destroy(&vm);
		assert_int_equal(frames_total(&frames), before);
		assert_int_equal(frames.count, 1);
	}
	assert_true(invalidations > 0);
}

static void test_loaded(void **state)
{
	uint8_t loaded[0x1000];

	(void)state;
	create();
	assert_int_equal(vm.verdict, VERDICT_NONE);
	assert_int_equal(vm.start.rip, ENTRY);
	assert_true(guest_memory_read(&vm.memory, 0x100000, loaded, sizeof(loaded)));
	assert_memory_equal(loaded, kernel + 0x1000, sizeof(loaded));
	vm_destroy(&vm);
}

static void test_too_much_memory(void **state)
{
	(void)state;
	config.memory = 64 * MIB;
	refused("memory = 64M does not fit: this machine has 1");
	give(2 * MIB);
	assert_int_equal(vm_memory_available(&host), 0);
	refused("this machine has 0M free");
	memset(&frames, 0, sizeof(frames));
	refused("this machine has 0M free");
}

/* What is said to be available is. */
static void test_all_that_is_available(void **state)
{
	uint64_t before = frames_total(&frames);

	(void)state;
	config.memory = vm_memory_available(&host);
	assert_int_equal(config.memory, 12 * MIB);
	create();
	for (uint64_t gpa = 0; gpa < config.memory; gpa += PAGE_SIZE_2M)
		assert_true(vm_populate(&vm, gpa));
	assert_int_equal(vm.verdict, VERDICT_NONE);
	vm_destroy(&vm);
	assert_int_equal(frames_total(&frames), before);
	config.memory += PAGE_SIZE;
	refused("does not fit");
}

static void test_other_refusals(void **state)
{
	(void)state;
	host.hz = UINT64_MAX;
	refused("cannot be made");
	host.hz = HZ;
	memset(kernel, 0, sizeof(kernel));
	refused("kernel");
}

/* Pieces of 2 MiB, as a machine with holes everywhere has them. */
static void make_holes(void)
{
	give(128 * MIB);
	for (uint64_t at = 0; at < 128 * MIB; at += 4 * MIB)
		assert_true(frames_remove(&frames, (uint64_t)arena + at,
					  (uint64_t)arena + at + PAGE_SIZE));
}

static void test_extents(void **state)
{
	uint64_t before, gpa = 0;

	(void)state;
	make_holes();
	before = frames_total(&frames);
	create();
	assert_int_equal(vm.memory.extents, 3);
	for (unsigned i = 0; i < 3; i++) {
		const struct guest_extent *extent = &vm.memory.extent[i];

		assert_int_equal(extent->gpa, gpa);
		assert_true(is_aligned((uint64_t)extent->host, PAGE_SIZE_2M));
		gpa += extent->size;
	}
	assert_int_equal(gpa, MEMORY);
	vm_destroy(&vm);
	assert_int_equal(frames_total(&frames), before);
	config.memory = 32 * MIB;
	create();
	assert_int_equal(vm.memory.extents, 16);
	vm_destroy(&vm);
	config.memory = 32 * MIB + PAGE_SIZE;
	refused("too many pieces");
}

static void test_high_memory(void **state)
{
	struct ept_page page;
	uint64_t before;

	(void)state;
	give(ARENA);
	before = frames_total(&frames);
	config.memory = 2 * GIB + MEMORY;
	create();
	assert_int_equal(guest_memory_low(&vm.memory), 2 * GIB);
	assert_int_equal(guest_memory_high(&vm.memory), MEMORY);
	assert_false(vm_populate(&vm, 2 * GIB));
	assert_false(vm_populate(&vm, 4 * GIB - 1));
	assert_true(vm_populate(&vm, 4 * GIB + 123));
	assert_true(ept_translate(&vm.ept, 4 * GIB, &page));
	assert_int_equal(page.hpa, (uint64_t)vm.memory.extent[1].host);
	assert_true(vm_populate(&vm, 4 * GIB + MEMORY - 1));
	assert_false(vm_populate(&vm, 4 * GIB + MEMORY));
	vm_destroy(&vm);
	assert_int_equal(frames_total(&frames), before);
}

static void check_zero(uint64_t hpa, uint64_t size)
{
	const uint8_t *bytes = (const uint8_t *)hpa;

	for (uint64_t i = 0; i < size; i++)
		if (bytes[i])
			fail_msg("byte %lu is not zero", i);
}

static void test_populate(void **state)
{
	uint8_t *block;
	struct ept_page page;

	(void)state;
	create();
	block = vm.memory.extent[0].host + PAGE_SIZE_2M;
	/* The loader had no need of the second block. */
	assert_false(ept_translate(&vm.ept, PAGE_SIZE_2M, &page));
	assert_int_equal(block[0], 0xEE);
	type = MEMORY_WT;
	assert_true(vm_populate(&vm, PAGE_SIZE_2M + 0x12345));
	assert_int_equal(type_start, (uint64_t)block);
	assert_int_equal(type_end, (uint64_t)block + PAGE_SIZE_2M);
	assert_true(ept_translate(&vm.ept, 2 * PAGE_SIZE_2M - 1, &page));
	assert_int_equal(page.size, PAGE_SIZE_2M);
	assert_int_equal(page.access, EPT_RWX);
	assert_int_equal(page.type, MEMORY_WT);
	assert_int_equal(page.hpa, (uint64_t)block + PAGE_SIZE_2M - 1);
	check_zero((uint64_t)block, PAGE_SIZE_2M);
	/* Once only: the guest's data stay. */
	block[7] = 1;
	assert_true(vm_populate(&vm, PAGE_SIZE_2M));
	assert_int_equal(block[7], 1);
	vm_destroy(&vm);
}

static void test_populate_tail(void **state)
{
	struct ept_page page;
	uint8_t *tail;

	(void)state;
	create();
	tail = vm.memory.extent[0].host + TAIL_START;
	assert_true(vm_populate(&vm, MEMORY - 1));
	for (uint64_t gpa = TAIL_START; gpa < MEMORY; gpa += PAGE_SIZE) {
		assert_true(ept_translate(&vm.ept, gpa, &page));
		assert_int_equal(page.size, PAGE_SIZE);
		assert_int_equal(page.hpa, (uint64_t)tail + gpa - TAIL_START);
	}
	check_zero((uint64_t)tail, MEMORY - TAIL_START);
	/* What follows is another's. */
	assert_false(ept_translate(&vm.ept, MEMORY, &page));
	assert_false(vm_populate(&vm, MEMORY));
	assert_false(vm_populate(&vm, UINT64_MAX));
	assert_int_equal(tail[MEMORY - TAIL_START], 0xEE);
	vm_destroy(&vm);
}

/* Socle's own first touch is one as well. */
static void test_populate_by_access(void **state)
{
	struct ept_page page;
	uint8_t byte = 1;

	(void)state;
	create();
	assert_true(guest_memory_read(&vm.memory, TAIL_START + 5, &byte, 1));
	assert_int_equal(byte, 0);
	assert_true(ept_translate(&vm.ept, TAIL_START, &page));
	vm_destroy(&vm);
}

static void test_no_memory_for_tables(void **state)
{
	struct frames all;

	(void)state;
	host.largest_ept_level = 1;
	create();
	all = frames;
	frames.count = 0;
	assert_true(vm_populate(&vm, PAGE_SIZE_2M));
	assert_int_equal(vm.verdict, VERDICT_CRASH);
	assert_non_null(strstr(vm.why, "page tables"));
	frames = all;
	vm_destroy(&vm);
	drain = true;
	assert_false(vm_create(&vm, &config, &host, &policy, 0, &error));
	assert_non_null(strstr(error.text, "page tables"));
}

static void test_first_verdict_wins(void **state)
{
	(void)state;
	create();
	vm_end(&vm, VERDICT_FAIL, "%s %u", "first", 1);
	assert_int_equal(vcpu.news, NEWS_END);
	assert_true(kicks);
	vm_end(&vm, VERDICT_PASS, "second");
	assert_int_equal(vm.verdict, VERDICT_FAIL);
	assert_string_equal(vm.why, "first 1");
	assert_string_equal(verdict_name(vm.verdict), "FAIL");
	assert_string_equal(verdict_name(VERDICT_STOPPED), "STOPPED");
	vm_destroy(&vm);
}

/* A guest's write to a port, in a VM of its own, and how that ended. */
static void port_ends(uint16_t port, unsigned size, uint32_t value, enum verdict verdict,
		      const char *why)
{
	create();
	vcpu.wanted = 0;
	pc_port_write(&vm.pc, port, size, value, 0);
	assert_int_equal(vm.verdict, verdict);
	assert_string_equal(vm.why, why);
	assert_int_equal(vcpu_ended(&vcpu), verdict != VERDICT_NONE);
	vm_destroy(&vm);
}

static void test_ends_by_ports(void **state)
{
	(void)state;
	port_ends(0xF4, 4, 0, VERDICT_PASS, "0 written to the debug-exit port");
	port_ends(0xF4, 4, 26, VERDICT_FAIL, "26 (0x1a) written to the debug-exit port");
	port_ends(0xF4, 1, 1, VERDICT_FAIL, "1 (0x1) written to the debug-exit port");
	port_ends(0x404, 2, 1 << 13, VERDICT_PASS, "powered off by ACPI");
	port_ends(0x404, 2, 5 << 10 | 1 << 13, VERDICT_NONE, "");
	port_ends(0xCF9, 1, 6, VERDICT_STOPPED, "the guest asked for a reset");
	port_ends(0x64, 1, 0xFE, VERDICT_STOPPED, "the guest asked for a reset");
	port_ends(0x80, 1, 1, VERDICT_NONE, "");
}

static void test_interrupt_commands(void **state)
{
	(void)state;
	create();
	/* One NMI is being taken and one waits: a third is lost. */
	for (unsigned i = 0; i < 3; i++)
		pc_mmio_write(&vm.pc, 0, 0xFEE00300, 4, 0x4400, 0);
	assert_int_equal(vcpu.nmis, 2);
	assert_true(vcpu.attention & ATTENTION_EVENT);
	pc_mmio_write(&vm.pc, 0, 0xFEE00300, 4, 0x4600, 0);
	assert_int_equal(vm.verdict, VERDICT_NONE);
	pc_mmio_write(&vm.pc, 0, 0xFEE00300, 4, 0x4500, 0);
	assert_int_equal(vm.verdict, VERDICT_STOPPED);
	vm_destroy(&vm);
}

static void test_console(void **state)
{
	(void)state;
	create();
	pc_port_write(&vm.pc, 0xE9, 1, 'x', 0);
	pc_port_write(&vm.pc, 0x3F8, 1, 'y', 0);
	assert_string_equal(said(), "xy");
	assert_int_equal(told, 0);
	/* Somebody looks: told of once, until he has looked. */
	vm_console_watch(&console, true);
	pc_port_write(&vm.pc, 0x3F8, 1, 'z', 0);
	pc_port_write(&vm.pc, 0x3F8, 1, '!', 0);
	assert_string_equal(said(), "xyz!");
	assert_int_equal(told, 1);
	vm_destroy(&vm);
}

/* While somebody looks the transmitter waits for room, and nothing is lost. */
static void test_console_waits(void **state)
{
	(void)state;
	create();
	vm_console_watch(&console, true);
	for (unsigned i = 0; i < sizeof(ring) + 5; i++)
		pc_port_write(&vm.pc, 0x3F8, 1, 'a' + i % 26, 0);
	assert_int_equal(vm_console_bytes(&console), sizeof(ring) - 1);
	assert_int_equal(pc_port_read(&vm.pc, 0x3FD, 1, 0) & 0x20, 0);
	assert_true(vm_console_take(&console, sizeof(ring) - 1));
	pc_tx_ready(&vm.pc, 0);
	assert_int_equal(pc_port_read(&vm.pc, 0x3FD, 1, 0) & 0x20, 0x20);
	vm_destroy(&vm);
}

/* Lets the VM run to `end`, with a look whenever one is due; the tick of its end or 0. */
static uint64_t run_to(uint64_t end)
{
	while (vm.verdict == VERDICT_NONE && vm_progress_deadline(&vm) <= end) {
		uint64_t now = vm_progress_deadline(&vm);

		vm_check_progress(&vm, now);
		if (vm.verdict != VERDICT_NONE)
			return now;
		assert_true(vm_progress_deadline(&vm) > now);
	}
	return 0;
}

static void test_hang(void **state)
{
	(void)state;
	config.timeout = 8;
	create();
	assert_int_equal(run_to(100 * HZ), 8 * HZ);
	assert_int_equal(vm.verdict, VERDICT_HANG);
	assert_string_equal(vm.why, "nothing on its console for 8 s");
	vm_destroy(&vm);
}

/* Not before the timeout after the last byte, and at most a quarter of it later. */
static void test_hang_after_output(void **state)
{
	(void)state;
	config.timeout = 8;
	for (uint64_t last = 0; last < 30 * HZ; last += 500) {
		uint64_t ended;

		create();
		for (uint64_t at = 0; at <= last; at += 500) {
			assert_int_equal(run_to(at), 0);
			pc_port_write(&vm.pc, at % HZ ? 0xE9 : 0x3F8, 1, '.', at);
			pc_advance(&vm.pc, at);
		}
		ended = run_to(100 * HZ);
		assert_int_equal(vm.verdict, VERDICT_HANG);
		if (ended < last + 8 * HZ || ended > last + 10 * HZ)
			fail_msg("last byte at %lu, HANG at %lu", last, ended);
		vm_destroy(&vm);
	}
}

static void say(const char *text)
{
	for (; *text; text++)
		pc_port_write(&vm.pc, 0xE9, 1, (uint8_t)*text, 0);
}

static void test_expect(void **state)
{
	(void)state;
	strcpy(config.expect, "all \\d+ ok$");
	create();
	say("all ok\nnot all 12 ok");
	assert_int_equal(vm.verdict, VERDICT_NONE);
	say("\r");
	assert_int_equal(vm.verdict, VERDICT_PASS);
	vm_judge(&vm);
	assert_int_equal(vm.verdict, VERDICT_PASS);
	assert_string_equal(vm.why, "its console shows 'all \\d+ ok$'");
	vm_destroy(&vm);
}

/* What its console shows after its end still counts: that is how screens are read. */
static void test_expect_at_last(void **state)
{
	(void)state;
	for (unsigned shows = 0; shows < 2; shows++) {
		strcpy(config.expect, "ok");
		create();
		pc_port_write(&vm.pc, 0xF4, 1, 7, 0);
		assert_int_equal(vm.verdict, VERDICT_FAIL);
		for (const char *text = shows ? "ok" : "no"; *text; text++)
			vm_say(&vm, (uint8_t)*text);
		vm_judge(&vm);
		assert_int_equal(vm.verdict, shows ? VERDICT_PASS : VERDICT_FAIL);
		assert_string_equal(vm.why,
				    shows ? "its console shows 'ok'"
					  : "7 (0x7) written to the debug-exit port, and never "
					    "'ok' on its console");
		vm_destroy(&vm);
	}
}

static void test_expect_refused(void **state)
{
	(void)state;
	strcpy(config.expect, "a(");
	give(16 * MIB);
	assert_false(vm_create(&vm, &config, &host, &policy, 0, &error));
	assert_string_equal(error.text, "expect = a(: at 2: '(' without ')'");
}

static void test_pass_code(void **state)
{
	(void)state;
	config.pass_code = 0x31;
	create();
	pc_port_write(&vm.pc, 0xF4, 1, 0x31, 0);
	assert_int_equal(vm.verdict, VERDICT_PASS);
	vm_destroy(&vm);
}

/* At the second, though it speaks all the time. */
static void test_limit(void **state)
{
	(void)state;
	config.limit = 3;
	config.timeout = 1;
	create();
	for (uint64_t at = 0; at < 3 * HZ; at += HZ / 8) {
		pc_port_write(&vm.pc, 0xE9, 1, '.', at);
		vm_check_progress(&vm, at);
		assert_int_equal(vm.verdict, VERDICT_NONE);
		assert_true(vm_progress_deadline(&vm) <= 3 * HZ);
	}
	vm_check_progress(&vm, 3 * HZ);
	assert_int_equal(vm.verdict, VERDICT_HANG);
	assert_string_equal(vm.why, "still runs after its limit of 3 s");
	vm_destroy(&vm);
}

static void test_no_timeout(void **state)
{
	(void)state;
	create();
	assert_int_equal(vm_progress_deadline(&vm), UINT64_MAX);
	vm_check_progress(&vm, UINT64_MAX - 1);
	assert_int_equal(vm.verdict, VERDICT_NONE);
	vm_destroy(&vm);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_memory_comes_back),
		TEST(test_loaded),
		TEST(test_too_much_memory),
		TEST(test_all_that_is_available),
		TEST(test_other_refusals),
		TEST(test_extents),
		TEST(test_high_memory),
		TEST(test_populate),
		TEST(test_populate_tail),
		TEST(test_populate_by_access),
		TEST(test_no_memory_for_tables),
		TEST(test_first_verdict_wins),
		TEST(test_ends_by_ports),
		TEST(test_interrupt_commands),
		TEST(test_console),
		TEST(test_console_waits),
		TEST(test_hang),
		TEST(test_hang_after_output),
		TEST(test_no_timeout),
		TEST(test_expect),
		TEST(test_expect_at_last),
		TEST(test_expect_refused),
		TEST(test_pass_code),
		TEST(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
