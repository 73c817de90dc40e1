/* SPDX-License-Identifier: MIT */
/* The actor's descriptor tables and task states, and its ways into each mode. */
#include "guests/chaos64/machine.h"

#include <stddef.h>

#include "guests/chaos64/mend.h"
#include "guests/chaos64/pages.h"
#include "guests/lib/cpu.h"

#define GDT_ENTRIES    (GDT_GARBAGE_END / 8)
#define GATES	       256
#define TASKS	       33 /* one for all vectors from 32 on */
#define INTERRUPT_GATE 0x8e00
#define TASK_GATE      0xe500 /* DPL 3: INT n is allowed everywhere */
#define IST_FAULT      1
#define IST_NMI	       2
#define IST_DOUBLE     3
#define STACK	       2048
#define TYPE_TSS32     0x89
#define TYPE_TSS16     0x81
#define TYPE_LDT       0x82
#define IVT_SEGMENT    (LOW_PAGE >> 4)
#define CPUID_XSAVE    (1u << 26)
#define LOW_VECTOR     5 /* bytes of a stub */
#define IO_MAP_NONE    0xffff

struct gate64 {
	uint16_t offset_low, selector, type, offset_middle;
	uint32_t offset_high, reserved;
};

struct gate32 {
	uint16_t offset_low, selector, type, offset_high;
};

struct __attribute__((packed)) table {
	uint16_t limit;
	uint64_t base;
};

/* rescue.asm has this as `home`. */
struct __attribute__((packed)) home {
	uint64_t cr0, cr3, cr4, efer;
	struct table gdtr, idtr, idtr32;
	uint32_t gdt;
};

struct __attribute__((packed)) tss64 {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map;
};
_Static_assert(sizeof(struct tss64) == 104, "TSS");

extern const uint64_t rescue_gates[GATES];
extern const uint32_t rescue_tasks[TASKS];
extern const uint8_t low_begin[], low_end[], low_start[], low_gdtr[], low_vectors[];
extern uint8_t rescue_stack[4096];
void launch_call(void (*function)(void *argument), void *argument);
void launch_long(const struct launch *start);
void launch_legacy(const struct launch *start);
void launch_real(const struct launch *start);

KEPT struct home machine_home;
KEPT volatile struct landing machine_landing;
static KEPT uint64_t gdt[GDT_ENTRIES];
static KEPT struct gate64 idt64[GATES];
static KEPT struct gate32 idt32[GATES];
static KEPT struct tss64 tss64;
static KEPT struct tss32 tss_launch, tss_act, tss_rescue[TASKS];
static KEPT uint8_t stacks[IST_DOUBLE][STACK];

uint64_t *machine_gdt(void)
{
	return gdt;
}

struct tss32 *machine_act_tss(void)
{
	return &tss_act;
}

uint64_t machine_home_cr3(void)
{
	return machine_home.cr3;
}

void *machine_idt64(void)
{
	return idt64;
}

void *machine_idt32(void)
{
	return idt32;
}

static uint64_t system_descriptor(const void *base, uint32_t limit, uint64_t type)
{
	uint64_t at = (uintptr_t)base;

	return limit | (at & 0xffffff) << 16 | type << 40 | (at >> 24 & 0xff) << 56;
}

/* All but the rescuers' TSSs. */
static void fill_segments(void)
{
	static const uint64_t flat[] = {
		0,
		0x00af9b000000ffff,
		0x00cf93000000ffff,
		0x00cf9b000000ffff,
		0x00009b000000ffff | (uint64_t)LOW_PAGE << 16,
		0x000093000000ffff,
		0x00cffb000000ffff,
		0x00cff3000000ffff,
		0x00affb000000ffff,
		0x0000fb000000ffff | (uint64_t)ARENA_LOW << 16,
	};

	for (unsigned i = 0; i < sizeof(flat) / sizeof(flat[0]); i++)
		gdt[i] = flat[i];
	gdt[TSS64 / 8] = system_descriptor(&tss64, sizeof(tss64) - 1, TYPE_TSS32);
	gdt[TSS64 / 8 + 1] = 0;
	gdt[TSS_LAUNCH / 8] = system_descriptor(&tss_launch, sizeof(tss_launch) - 1, TYPE_TSS32);
	gdt[TSS_ACT / 8] = system_descriptor(&tss_act, sizeof(tss_act) - 1, TYPE_TSS32);
	gdt[LDT_ACT / 8] = system_descriptor(gdt + GDT_GARBAGE / 8, 8 * 64 - 1, TYPE_LDT);
	gdt[LDT_ACT / 8 + 1] = 0;
	gdt[ARENA_CODE16 / 8] = 0x00009b000000ffff | (uint64_t)ARENA_LOW << 16;
	gdt[ARENA_DATA16 / 8] = 0x000093000000ffff | (uint64_t)ARENA_LOW << 16;
	gdt[TSS_ACT16 / 8] = system_descriptor(&tss_act, sizeof(tss_act) - 1, TYPE_TSS16);
}

/* A rescuer's task, not busy. */
static void fill_task(unsigned i, uint32_t cr3)
{
	struct tss32 *tss = &tss_rescue[i];

	gdt[TSS_RESCUE / 8 + i] = system_descriptor(tss, sizeof(*tss) - 1, TYPE_TSS32);
	tss->cr3 = cr3;
	tss->eip = rescue_tasks[i];
	tss->eflags = 2;
	tss->gpr[RSP] = (uint32_t)(uintptr_t)rescue_stack + STACK;
	for (unsigned s = 0; s < 6; s++)
		tss->segment[s] = s == 1 ? CODE32 : DATA;
	tss->io_map = IO_MAP_NONE;
}

void machine_gate(void *idt, unsigned vector)
{
	uint64_t code = rescue_gates[vector];
	unsigned ist = vector == 2 ? IST_NMI : vector == 8 ? IST_DOUBLE : IST_FAULT;

	((struct gate64 *)idt)[vector] = (struct gate64){
		.offset_low = (uint16_t)code,
		.selector = CODE64,
		.type = (uint16_t)(INTERRUPT_GATE | ist),
		.offset_middle = (uint16_t)(code >> 16),
		.offset_high = (uint32_t)(code >> 32),
	};
}

static void fill_idts(void)
{
	for (unsigned i = 0; i < GATES; i++) {
		machine_gate(idt64, i);
		idt32[i] = (struct gate32){
			.selector = (uint16_t)(TSS_RESCUE + 8 * (i < TASKS ? i : TASKS - 1)),
			.type = TASK_GATE};
	}
}

void machine_mend_low(void)
{
	volatile uint32_t *vectors = (volatile uint32_t *)0;
	uint8_t *to = (uint8_t *)(uintptr_t)LOW_PAGE;
	struct __attribute__((packed)) {
		uint16_t limit;
		uint32_t base;
	} *gdtr = (void *)(to + (low_gdtr - low_begin));

	__asm__("" : "+r"(vectors)); /* address 0 is one here */
	__builtin_memcpy(to, low_begin, (size_t)(low_end - low_begin));
	gdtr->limit = sizeof(gdt) - 1;
	gdtr->base = (uint32_t)(uintptr_t)gdt;
	for (unsigned i = 0; i < GATES; i++)
		vectors[i] =
			IVT_SEGMENT << 16 | (uint32_t)(low_vectors - low_begin + LOW_VECTOR * i);
}

void machine_mend(void)
{
	fill_segments();
	fill_idts();
	for (unsigned i = 0; i < TASKS; i++)
		fill_task(i, tss_rescue[i].cr3);
}

void machine_init(void)
{
	machine_home.cr0 = read_cr0() | CR0_WP;
	machine_home.cr3 = read_cr3();
	machine_home.cr4 = read_cr4() | (cpuid(1, 0).ecx & CPUID_XSAVE ? CR4_OSXSAVE : 0);
	machine_home.efer = rdmsr(MSR_EFER);
	machine_home.gdtr = (struct table){sizeof(gdt) - 1, (uintptr_t)gdt};
	machine_home.idtr = (struct table){sizeof(idt64) - 1, (uintptr_t)idt64};
	machine_home.idtr32 = (struct table){sizeof(idt32) - 1, (uintptr_t)idt32};
	machine_home.gdt = (uint32_t)(uintptr_t)gdt;
	for (unsigned i = 0; i < IST_DOUBLE; i++)
		tss64.ist[i] = (uintptr_t)stacks[i] + STACK;
	for (unsigned i = 0; i < 3; i++)
		tss64.rsp[i] = (uintptr_t)stacks[0] + STACK;
	tss64.io_map = IO_MAP_NONE;
	machine_mend();
	machine_mend_low();
}

unsigned machine_call(void (*function)(void *argument), void *argument)
{
	launch_call(function, argument);
	return (unsigned)machine_landing.vector;
}

unsigned machine_long(const struct launch *start)
{
	mend_order();
	launch_long(start);
	return (unsigned)machine_landing.vector;
}

unsigned machine_legacy(const struct launch *start)
{
	uint32_t cr3 = (uint32_t)(start->cr4 & CR4_PAE ? pages_safe_pae() : start->cr3);

	fill_segments();
	/* What an NMI cut off has left its task's state there, too. */
	for (unsigned i = 0; i < TASKS; i++)
		fill_task(i, cr3);
	mend_order();
	launch_legacy(start);
	return (unsigned)machine_landing.vector;
}

unsigned machine_real(const struct real_start *real)
{
	const struct launch start = {.cr4 = 0};

	machine_mend_low();
	*(struct real_start *)(uintptr_t)(LOW_PAGE + (low_start - low_begin)) = *real;
	mend_order();
	launch_real(&start);
	return (unsigned)machine_landing.vector;
}
