/* SPDX-License-Identifier: MIT */
/* Instructions that a hypervisor sees, or might. */
#include "guests/bench64/bench.h"

#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/paging.h"

/* GenuineIntel */
#define VENDOR_EBX   0x756e6547
#define VENDOR_EDX   0x49656e69
#define VENDOR_ECX   0x6c65746e
#define CPUID_XSAVE  (1u << 26)
#define NO_SUCH_CALL 0xffff
#define ENOSYS	     1000
#define XCR0_X87     1
#define XCR0_SSE     3

static bool run_cpuid(int64_t *ticks)
{
	struct bench_regs r = {.a = 0};

	*ticks = BENCH_TIMED(&r, "cpuid");
	return r.a >= 7 && r.a < 256 && r.b == VENDOR_EBX && r.d == VENDOR_EDX && r.c == VENDOR_ECX;
}

static const char *need_hypervisor(void)
{
	return bench_host == HOST_BARE ? "nobody is there to answer" : 0;
}

static bool run_vmcall(int64_t *ticks)
{
	struct bench_regs r = {.a = NO_SUCH_CALL};

	*ticks = BENCH_TIMED(&r, "vmcall");
	return r.a == (uint64_t)-ENOSYS;
}

static bool run_rdtsc(int64_t *ticks)
{
	struct bench_regs r = {0};
	uint64_t before = rdtsc(), value;

	*ticks = BENCH_TIMED(&r, "rdtsc");
	value = (uint32_t)r.a | r.d << 32;
	return value > before && value < rdtsc();
}

static const char *need_xsave(void)
{
	if (!(cpuid(1, 0).ecx & CPUID_XSAVE))
		return "this CPU has no XSAVE";
	write_cr4(read_cr4() | CR4_OSXSAVE);
	return 0;
}

static bool run_xsetbv(int64_t *ticks)
{
	uint64_t other = xgetbv(0) == XCR0_X87 ? XCR0_SSE : XCR0_X87;
	struct bench_regs r = {.a = other};

	*ticks = BENCH_TIMED(&r, "xsetbv");
	return xgetbv(0) == other;
}

/* The page leads elsewhere when, and only when, INVLPG has been. */
static bool run_invlpg(int64_t *ticks)
{
	volatile uint32_t *page = (uint32_t *)PAGING_WINDOW, *other = page + 1024;
	struct bench_regs r = {.di = PAGING_WINDOW};
	uint64_t *entry = bench_entry(PAGING_WINDOW), before = *entry;
	bool right;

	page[0] = 1;
	other[0] = 2;
	*entry = before + 4096;
	*ticks = BENCH_TIMED(&r, "invlpg (%%rdi)");
	right = page[0] == 2;
	*entry = before;
	invlpg(page);
	return right && page[0] == 1;
}

static const struct bench_case cases[] = {
	{.name = "cpuid", .run = run_cpuid},
	{.name = "vmcall", .prepare = need_hypervisor, .run = run_vmcall},
	{.name = "rdtsc", .run = run_rdtsc},
	{.name = "xsetbv", .prepare = need_xsave, .run = run_xsetbv},
	{.name = "invlpg", .run = run_invlpg},
};
BENCH_FAMILY(bench_instructions, "instructions", cases);
