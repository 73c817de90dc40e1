/* SPDX-License-Identifier: MIT */
/* Registers in memory: IOAPIC and HPET. */
#include "guests/bench64/bench.h"

#include "guests/lib/mmio.h"

#define IOAPIC_SELECT	0xfec00000u
#define IOAPIC_WINDOW	0xfec00010u
#define IOAPIC_VERSION	1
#define REDIRECTION_LOW 0x10
#define REDIRECT_MASKED (1u << 16)
#define HPET		0xfed00000u
#define HPET_PERIOD	(HPET + 4)
#define HPET_COMPARATOR (HPET + 0x108)
#define HPET_PERIOD_MAX 100000000u /* femtoseconds */

static const char *select_version(void)
{
	mmio_write(IOAPIC_SELECT, IOAPIC_VERSION);
	return 0;
}

static bool run_ioapic_read(int64_t *ticks)
{
	struct bench_regs r = {.di = IOAPIC_WINDOW};

	*ticks = BENCH_TIMED(&r, "mov (%%rdi), %%eax");
	/* Version 11H or 20H, 24 entries. */
	return ((uint8_t)r.a == 0x11 || (uint8_t)r.a == 0x20) && (uint8_t)(r.a >> 16) == 23;
}

static const char *select_entry(void)
{
	mmio_write(IOAPIC_SELECT, REDIRECTION_LOW + 2 * 23);
	return 0;
}

static bool run_ioapic_write(int64_t *ticks)
{
	static uint8_t vector;
	struct bench_regs r = {.di = IOAPIC_WINDOW, .a = REDIRECT_MASKED | (++vector | 0x80)};

	*ticks = BENCH_TIMED(&r, "mov %%eax, (%%rdi)");
	return mmio_read(IOAPIC_WINDOW) == (uint32_t)r.a;
}

static const char *need_hpet(void)
{
	uint32_t period = mmio_read(HPET_PERIOD);

	return !period || period > HPET_PERIOD_MAX ? "this machine has no HPET" : 0;
}

static bool run_hpet_read(int64_t *ticks)
{
	struct bench_regs r = {.di = HPET_PERIOD};

	*ticks = BENCH_TIMED(&r, "mov (%%rdi), %%eax");
	return r.a && r.a <= HPET_PERIOD_MAX;
}

static bool run_hpet_write(int64_t *ticks)
{
	static uint32_t value;
	struct bench_regs r = {.di = HPET_COMPARATOR, .a = value += 1000};

	*ticks = BENCH_TIMED(&r, "mov %%eax, (%%rdi)");
	return mmio_read(HPET_COMPARATOR) == value;
}

static const struct bench_case cases[] = {
	{.name = "mmio-read-ioapic", .prepare = select_version, .run = run_ioapic_read},
	{.name = "mmio-write-ioapic", .prepare = select_entry, .run = run_ioapic_write},
	{.name = "mmio-read-hpet", .prepare = need_hpet, .run = run_hpet_read},
	{.name = "mmio-write-hpet", .prepare = need_hpet, .run = run_hpet_write},
};
BENCH_FAMILY(bench_mmio, "mmio", cases);
