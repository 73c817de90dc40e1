/* SPDX-License-Identifier: MIT */
/*
 * Who owns which page, while VMs come and go: after each step the audit finds no fault, and when
 * all VMs are gone the pool is what it was.
 */
#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "vm/audit.h"
#include "vm/vm.h"

#define ARENA (18 * MIB)
#define VMS   3
#define STEPS 24
#define HZ    1000000

static uint8_t arena[ARENA] __attribute__((aligned(0x200000)));
static struct frames pool, frames;
static uint8_t map[4096];
static uint8_t kernel[100] = {0xF4};
static uint8_t file[5000];
static struct vm vms[VMS];
static struct vm_config config[VMS];
static bool there[VMS];

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

static enum memory_type memory_type(uint64_t start, uint64_t end)
{
	FUZZ_REQUIRE(start >= (uint64_t)arena && end <= (uint64_t)arena + ARENA && start < end);
	return MEMORY_WB;
}

static void invalidate_ept(void *ctx, uint64_t eptp)
{
	FUZZ_REQUIRE(eptp == ept_pointer(&((struct vm *)ctx)->ept));
}

static void on_kick(struct vcpu *vcpu)
{
	(void)vcpu;
}

static void on_told(void)
{
}

static struct vm_host host = {.frames = &frames,
			      .pool = &pool,
			      .largest_ept_level = 2,
			      .memory_type = memory_type,
			      .invalidate_ept = invalidate_ept,
			      .kick = on_kick,
			      .console_told = on_told,
			      .hz = HZ};

static void line(void *to, const char *text)
{
	(void)to;
	if (!strstr(text, "each page has one owner"))
		fprintf(stderr, "%s\n", text);
}

static void audit(void)
{
	static struct audit book;

	FUZZ_REQUIRE(audit_map_size(&pool) <= sizeof(map));
	audit_begin(&book, &pool, map, line, NULL);
	audit_claim_free(&book, &frames);
	for (unsigned i = 0; i < VMS; i++)
		if (there[i])
			audit_claim_vm(&book, &vms[i]);
	FUZZ_REQUIRE(audit_end(&book));
}

static void create(unsigned i, struct stream *in)
{
	static const struct cpuid_policy policy = {.host = host_cpuid, .tsc_hz = HZ, .cpus = 1};
	uint8_t head = stream_byte(in), drives = stream_byte(in);
	uint64_t before = frames_total(&frames);
	struct error error = {""};

	config[i] = (struct vm_config){.name = "v",
				       .memory = 2 * MIB + (head & 0x3F) * 33 * PAGE_SIZE,
				       .cpus = 1 + (head >> 6),
				       .boot = CONFIG_BOOT_FLAT32};
	config[i].kernel = (struct config_file){kernel, sizeof(kernel), {0}};
	config[i].disks = drives & 1;
	config[i].cdroms = drives >> 1 & 1;
	config[i].disk[0] = config[i].cdrom[0] = (struct config_file){file, sizeof(file), {0}};
	if (drives & 0x40) {
		config[i].kernel.data = NULL;
		config[i].firmware = (struct config_file){file, PAGE_SIZE, {0}};
	}
	there[i] = vm_create(&vms[i], &config[i], &host, &policy, 0, &error);
	if (!there[i])
		FUZZ_REQUIRE(error.text[0] && frames_total(&frames) == before);
}

static void destroy(unsigned i)
{
	vm_destroy(&vms[i]);
	there[i] = false;
}

static uint64_t gpa_of(const struct vm *vm, struct stream *in)
{
	uint64_t choice = stream_number(in, 2);

	return choice & 0x8000 ? GUEST_HIGH_BASE - choice % 0x4000 * PAGE_SIZE
			       : choice * (vm->config->memory / 0x7000);
}

static void use(struct vm *vm, struct stream *in)
{
	uint8_t choice = stream_byte(in);
	uint64_t gpa = gpa_of(vm, in), length = stream_number(in, 2);

	switch (choice % 4) {
	case 0: vm_populate(vm, gpa); break;
	case 1: guest_memory_zero(&vm->memory, gpa, length); break;
	case 2:
		if (vm->disk[0].data)
			disk_write(&vm->disk[0], gpa % 8192, kernel, sizeof(kernel));
		break;
	case 3: ept_protect(&vm->ept, align_down(gpa, PAGE_SIZE), PAGE_SIZE, EPT_READ); break;
	}
}

static void step(struct stream *in)
{
	uint8_t choice = stream_byte(in);
	unsigned i = choice % VMS;

	if (!there[i])
		create(i, in);
	else if (choice >= 0xE0)
		destroy(i);
	else
		use(&vms[i], in);
}

void fuzz_memory(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);
	uint64_t start = (uint64_t)arena, whole;

	memset(&frames, 0, sizeof(frames));
	frames_add(&frames, start + stream_byte(&in) * PAGE_SIZE, start + ARENA);
	frames_remove(&frames, start + 5 * MIB, start + 5 * MIB + stream_byte(&in) * PAGE_SIZE);
	pool = frames;
	whole = frames_total(&frames);
	for (unsigned steps = 0; stream_more(&in) && steps < STEPS; steps++) {
		step(&in);
		audit();
	}
	for (unsigned i = 0; i < VMS; i++)
		if (there[i])
			destroy(i);
	FUZZ_REQUIRE(frames_total(&frames) == whole && frames.count == pool.count);
}
