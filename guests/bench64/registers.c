/* SPDX-License-Identifier: MIT */
/* Control registers. */
#include "guests/bench64/bench.h"

#include "guests/lib/cpu.h"
#include "guests/lib/paging.h"

#define ENTRIES	      512
#define PAGE	      4096u
#define RW	      3u
#define ENTRY_ADDRESS 0xffffffffff000u

static bool run_cr0(int64_t *ticks)
{
	struct bench_regs r = {.a = read_cr0() ^ CR0_TS};
	bool right;

	*ticks = BENCH_TIMED(&r, "mov %%rax, %%cr0");
	right = read_cr0() == r.a;
	__asm__ volatile("clts");
	return right && !(read_cr0() & CR0_TS);
}

static bool run_clts(int64_t *ticks)
{
	struct bench_regs r = {0};

	write_cr0(read_cr0() | CR0_TS);
	*ticks = BENCH_TIMED(&r, "clts");
	return !(read_cr0() & CR0_TS);
}

static bool run_cr4(int64_t *ticks)
{
	struct bench_regs r = {.a = read_cr4() ^ CR4_PGE};

	*ticks = BENCH_TIMED(&r, "mov %%rax, %%cr4");
	return read_cr4() == r.a;
}

static void end_cr4(void)
{
	write_cr4(read_cr4() & ~(uintptr_t)CR4_PGE);
}

static bool run_cr8(int64_t *ticks)
{
	struct bench_regs r = {.a = (read_cr8() + 1) & 15};
	bool right;

	*ticks = BENCH_TIMED(&r, "mov %%rax, %%cr8");
	right = read_cr8() == r.a;
	write_cr8(0);
	return right;
}

static bool run_cr8_read(int64_t *ticks)
{
	struct bench_regs r = {0};

	write_cr8(5);
	*ticks = BENCH_TIMED(&r, "mov %%cr8, %%rax");
	write_cr8(0);
	return r.a == 5;
}

static bool run_cr3(int64_t *ticks)
{
	struct bench_regs r = {.a = read_cr3()};

	*ticks = BENCH_TIMED(&r, "mov %%rax, %%cr3");
	return read_cr3() == r.a;
}

/* A second address space, whose first page of the window is the second one's frame. */
static uint64_t pml4[ENTRIES] __attribute__((aligned(4096)));
static uint64_t pdpt[ENTRIES] __attribute__((aligned(4096)));
static uint64_t pd[ENTRIES] __attribute__((aligned(4096)));
static uint64_t pt[ENTRIES] __attribute__((aligned(4096)));

static const char *prepare_switch(void)
{
	uint64_t *tables[] = {pml4, pdpt, pd, pt};
	const uint64_t *from = (const uint64_t *)read_cr3();

	for (unsigned level = 0; level < 4; level++) {
		unsigned index = PAGING_WINDOW >> (39 - 9 * level) & (ENTRIES - 1);

		for (unsigned i = 0; i < ENTRIES; i++)
			tables[level][i] = from[i];
		from = (const uint64_t *)(from[index] & ENTRY_ADDRESS);
		if (level < 3)
			tables[level][index] = (uintptr_t)tables[level + 1] | RW;
	}
	pt[0] += PAGE;
	*(volatile uint32_t *)PAGING_WINDOW = 1;
	*(volatile uint32_t *)(PAGING_WINDOW + PAGE) = 2;
	return 0;
}

/* There, a look at a page, back, and another look. */
static bool run_switch(int64_t *ticks)
{
	struct bench_regs r = {
		.a = (uintptr_t)pml4, .b = read_cr3(), .di = PAGING_WINDOW, .c = 0, .d = 0};

	*ticks = BENCH_TIMED(&r, "mov %%rax, %%cr3\n\tmov (%%rdi), %%ecx\n\t"
				 "mov %%rbx, %%cr3\n\tmov (%%rdi), %%edx");
	return r.c == 2 && r.d == 1 && read_cr3() == r.b;
}

static const struct bench_case cases[] = {
	{.name = "cr0-ts", .run = run_cr0},
	{.name = "clts", .run = run_clts},
	{.name = "cr4-pge", .run = run_cr4, .end = end_cr4},
	{.name = "cr8-write", .run = run_cr8},
	{.name = "cr8-read", .run = run_cr8_read},
	{.name = "cr3-reload", .run = run_cr3},
	{.name = "cr3-switch-and-back", .prepare = prepare_switch, .run = run_switch},
};
BENCH_FAMILY(bench_registers, "registers", cases);
