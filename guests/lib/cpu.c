/* SPDX-License-Identifier: MIT */
/* Accesses that may fault. */
#include "guests/lib/cpu.h"

struct access {
	uint32_t index;
	uint64_t value;
};

static void run_rdmsr(void *argument)
{
	struct access *a = argument;

	a->value = rdmsr(a->index);
}

static void run_wrmsr(void *argument)
{
	const struct access *a = argument;

	wrmsr(a->index, a->value);
}

static void run_xsetbv(void *argument)
{
	const struct access *a = argument;

	xsetbv(a->index, a->value);
}

static void run_write_cr(void *argument)
{
	const struct access *a = argument;

	switch (a->index) {
	case 0: write_cr0((uintptr_t)a->value); break;
	case 3: write_cr3((uintptr_t)a->value); break;
	case 4: write_cr4((uintptr_t)a->value); break;
#ifdef __x86_64__
	case 8: write_cr8(a->value); break;
#endif
	default: break;
	}
}

static void run_read(void *argument)
{
	(void)*(volatile uint8_t *)argument;
}

static void run_write(void *argument)
{
	*(volatile uint8_t *)argument = 0;
}

unsigned try_rdmsr(uint32_t msr, uint64_t *value)
{
	struct access a = {.index = msr};
	unsigned vector = trap_run(run_rdmsr, &a);

	*value = a.value;
	return vector;
}

unsigned try_wrmsr(uint32_t msr, uint64_t value)
{
	struct access a = {.index = msr, .value = value};

	return trap_run(run_wrmsr, &a);
}

unsigned try_xsetbv(uint32_t index, uint64_t value)
{
	struct access a = {.index = index, .value = value};

	return trap_run(run_xsetbv, &a);
}

unsigned try_write_cr(unsigned n, uintptr_t value)
{
	struct access a = {.index = n, .value = value};

	return trap_run(run_write_cr, &a);
}

unsigned try_read(uintptr_t address)
{
	return trap_run(run_read, (void *)address);
}

unsigned try_write(uintptr_t address)
{
	return trap_run(run_write, (void *)address);
}
