/* SPDX-License-Identifier: MIT */
/* MSRs that a hypervisor emulates, and one that nobody has. */
#include "guests/bench64/bench.h"

#include "guests/lib/apic.h"
#include "guests/lib/cpu.h"

#define MSR_MTRR_BASE7 0x20e
#define MSR_NOBODYS    0x12345678
#define WRITE_BACK     6

static bool run_rdmsr(int64_t *ticks)
{
	struct bench_regs r = {.c = APIC_BASE_MSR};

	*ticks = BENCH_TIMED(&r, "rdmsr");
	return ((uint32_t)r.a & ~0xfffu) == APIC_PAGE && (r.a & APIC_BASE_ON) && !(r.d);
}

static bool run_wrmsr(int64_t *ticks)
{
	static uint32_t base;
	struct bench_regs r = {.c = MSR_MTRR_BASE7, .a = (base += 4096) | WRITE_BACK};

	*ticks = BENCH_TIMED(&r, "wrmsr");
	return rdmsr(MSR_MTRR_BASE7) == (base | WRITE_BACK);
}

static void end_wrmsr(void)
{
	wrmsr(MSR_MTRR_BASE7, 0);
}

static const char *need_fault(void)
{
	uint64_t value;

	if (try_rdmsr(MSR_NOBODYS, &value) != TRAP_GP || try_wrmsr(MSR_NOBODYS, 0) != TRAP_GP)
		return "unknown MSRs do not fault on this machine";
	trap_set_gate(TRAP_GP, (uintptr_t)bench_skip);
	return 0;
}

static bool run_rdmsr_unknown(int64_t *ticks)
{
	struct bench_regs r = {.c = MSR_NOBODYS, .a = 0x5a5a, .d = 0xa5a5};
	uint32_t before = bench_skipped;

	*ticks = BENCH_TIMED(&r, "rdmsr");
	return bench_skipped == before + 1 && r.a == 0x5a5a && r.d == 0xa5a5;
}

static bool run_wrmsr_unknown(int64_t *ticks)
{
	struct bench_regs r = {.c = MSR_NOBODYS};
	uint32_t before = bench_skipped;

	*ticks = BENCH_TIMED(&r, "wrmsr");
	return bench_skipped == before + 1;
}

static void end_fault(void)
{
	trap_init();
}

static const struct bench_case cases[] = {
	{.name = "rdmsr", .run = run_rdmsr},
	{.name = "wrmsr", .run = run_wrmsr, .end = end_wrmsr},
	{.name = "rdmsr-unknown",
	 .prepare = need_fault,
	 .run = run_rdmsr_unknown,
	 .end = end_fault},
	{.name = "wrmsr-unknown",
	 .prepare = need_fault,
	 .run = run_wrmsr_unknown,
	 .end = end_fault},
};
BENCH_FAMILY(bench_msrs, "msrs", cases);
