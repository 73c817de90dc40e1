/* SPDX-License-Identifier: MIT */
/* CPL 3. */
#include "guests/lib/user.h"

#include "guests/lib/cpu.h"

#define DATA	     0x10
#define IO_MAP	     104
#define PORTS	     65536
#define STACK	     4096
#define PAGE_PRESENT 1u
#define PAGE_USER    4u
#define PAGE_LARGE   0x80u
/* INT3 at CPL 3, whose gate has DPL 0: #GP with the gate's index. */
#define END_ERROR (3 << 3 | 2)

/* Both formats; offset 4 holds the stack pointer for CPL 0, 102 the bitmap's place. */
static struct __attribute__((packed)) {
	uint32_t reserved;
	uintptr_t sp0;
#ifdef __x86_64__
	uint8_t skipped[90];
#else
	uint32_t ss0;
	uint8_t skipped[90];
#endif
	uint16_t io_map;
	uint8_t bitmap[PORTS / 8 + 1];
} tss __attribute__((aligned(16)));
_Static_assert(__builtin_offsetof(__typeof__(tss), bitmap) == IO_MAP, "TSS");

static uint64_t gdt[11] __attribute__((aligned(8)));
static uint8_t kernel_stack[STACK] __attribute__((aligned(16)));
static uint8_t user_stack[STACK] __attribute__((aligned(16)));

struct call {
	void (*function)(void *);
	void *argument;
};

/* user.asm: to CPL 3; does not come back but by an exception. */
void user_enter(void (*function)(void *), void *argument, uintptr_t stack);

#ifdef __x86_64__
static void allow_pages(uint64_t *table, unsigned level)
{
	for (unsigned i = 0; i < 512; i++) {
		if (!(table[i] & PAGE_PRESENT))
			continue;
		table[i] |= PAGE_USER;
		if (level > 1 && !(table[i] & PAGE_LARGE))
			allow_pages((uint64_t *)(table[i] & 0xffffffffff000), level - 1);
	}
}
#endif

void user_init(void)
{
	const uint64_t base = (uintptr_t)&tss, limit = sizeof(tss) - 1;
	struct __attribute__((packed)) {
		uint16_t limit;
		uintptr_t base;
	} gdtr = {sizeof(gdt) - 1, (uintptr_t)gdt};

	gdt[1] = 0x00af9b000000ffff;
	gdt[2] = 0x00cf93000000ffff;
	gdt[3] = 0x00cf9b000000ffff;
	gdt[4] = 0x00009b000000ffff;
	gdt[5] = 0x000093000000ffff;
	gdt[6] = 0x00cffb000000ffff;
	gdt[7] = 0x00cff3000000ffff;
	gdt[8] = 0x00affb000000ffff;
	gdt[9] = limit | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56;
	gdt[10] = base >> 32;
	tss.sp0 = (uintptr_t)kernel_stack + STACK;
#ifndef __x86_64__
	tss.ss0 = DATA;
#endif
	tss.io_map = IO_MAP;
	for (unsigned i = 0; i < sizeof(tss.bitmap); i++)
		tss.bitmap[i] = 0xff;
	__asm__ volatile("lgdt %0\n\tltr %w1" : : "m"(gdtr), "r"(USER_TSS) : "memory");
#ifdef __x86_64__
	allow_pages((uint64_t *)read_cr3(), 4);
	write_cr3(read_cr3());
#endif
}

static void enter(void *argument)
{
	const struct call *call = argument;

	user_enter(call->function, call->argument, (uintptr_t)user_stack + STACK);
}

unsigned user_run(void (*function)(void *argument), void *argument)
{
	struct call call = {function, argument};
	unsigned vector = trap_run(enter, &call);

#ifndef __x86_64__
	__asm__ volatile("mov %0, %%ds\n\tmov %0, %%es\n\tmov %0, %%fs\n\tmov %0, %%gs"
			 :
			 : "r"(DATA));
#endif
	if (vector == TRAP_GP && trap_last.error == END_ERROR)
		vector = trap_last.vector = TRAP_NONE;
	return vector;
}

void user_allow_port(uint16_t port, bool allow)
{
	uint8_t bit = (uint8_t)(1u << port % 8);

	if (allow)
		tss.bitmap[port / 8] &= (uint8_t)~bit;
	else
		tss.bitmap[port / 8] |= bit;
}
