/* SPDX-License-Identifier: MIT */
/* What a kernel does all the time, and no hypervisor should see: system calls and page faults. */
#include "guests/bench64/bench.h"

#include "guests/lib/cpu.h"
#include "guests/lib/paging.h"
#include "guests/lib/user.h"

#define MSR_STAR  0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_FMASK 0xc0000084
/* SYSCALL: 08H and 10H; SYSRET: 43H and 3BH, by what comes before USER_DATA. */
#define STAR_VALUE (0x0008ULL << 32 | (uint64_t)USER_CODE32 << 48)
#define PAGE	   5 /* of the window */
#define PAGE_AT	   (PAGING_WINDOW + PAGE * 4096u)
#define MAGIC	   0x50616765u

static const char *prepare_user(void)
{
	static bool done;

	if (!done)
		user_init();
	done = true;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	wrmsr(MSR_STAR, STAR_VALUE);
	wrmsr(MSR_LSTAR, (uintptr_t)bench_syscall);
	wrmsr(MSR_FMASK, FLAG_IF | FLAG_TF);
	return 0;
}

static void call(void *ticks)
{
	struct bench_regs r = {0};

	*(int64_t *)ticks = BENCH_TIMED(&r, "syscall");
}

static bool run_syscall(int64_t *ticks)
{
	uint32_t before = bench_called;

	return user_run(call, ticks) == TRAP_NONE && bench_called == before + 1;
}

static const char *prepare_fault(void)
{
	*(volatile uint32_t *)PAGE_AT = MAGIC;
	bench_mend.entry = bench_entry(PAGE_AT);
	bench_mend.value = *bench_mend.entry;
	trap_set_gate(TRAP_PF, (uintptr_t)bench_fault);
	return 0;
}

static bool run_fault(int64_t *ticks)
{
	struct bench_regs r = {.di = PAGE_AT};
	uint32_t before = bench_mended;

	*ticks = BENCH_BLOCK(&r, BENCH_LOAD BENCH_STORE);
	*bench_mend.entry = 0;
	invlpg((void *)PAGE_AT);
	*ticks = BENCH_BLOCK(&r, BENCH_LOAD "mov (%%rdi), %%eax" BENCH_STORE) - *ticks;
	return r.a == MAGIC && bench_mended == before + 1 && read_cr2() == PAGE_AT;
}

static void end_fault(void)
{
	trap_init();
}

static const struct bench_case cases[] = {
	{.name = "syscall-sysret", .prepare = prepare_user, .run = run_syscall},
	{.name = "page-fault", .prepare = prepare_fault, .run = run_fault, .end = end_fault},
};
BENCH_FAMILY(bench_user, "user", cases);
