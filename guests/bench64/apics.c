/* SPDX-License-Identifier: MIT */
/* The local APIC: its registers in memory, then as MSRs. Each case is there for both modes. */
#include "guests/bench64/bench.h"

#include "guests/lib/apic.h"
#include "guests/lib/cpu.h"
#include "guests/lib/irq.h"

#define VECTOR	     0x61
#define CPUID_X2APIC (1u << 21)

/* The same register by either mode's instruction. */
#define TIMED_READ(regs) \
	(apic_x2 ? BENCH_TIMED(regs, "rdmsr") : BENCH_TIMED(regs, "mov (%%rdi), %%eax"))
#define TIMED_WRITE(regs) \
	(apic_x2 ? BENCH_TIMED(regs, "wrmsr") : BENCH_TIMED(regs, "mov %%eax, (%%rdi)"))

static struct bench_regs at(uint32_t reg, uint32_t value)
{
	return (struct bench_regs){.a = value, .c = APIC_X2_MSR(reg), .di = APIC_PAGE + reg};
}

static const char *prepare(void)
{
	trap_set_gate(VECTOR, (uintptr_t)bench_handler);
	apic_write(APIC_SVR, APIC_SVR_ON | 0xff);
	return 0;
}

static const char *need_x2apic(void)
{
	uint64_t base = rdmsr(APIC_BASE_MSR);

	if (!(cpuid(1, 0).ecx & CPUID_X2APIC))
		return "this CPU has no x2APIC mode";
	if (!(base & APIC_BASE_X2))
		wrmsr(APIC_BASE_MSR, base | APIC_BASE_X2);
	apic_x2 = true;
	return prepare();
}

static bool run_read(int64_t *ticks)
{
	struct bench_regs r = at(APIC_VERSION, 0);

	*ticks = TIMED_READ(&r);
	return (r.a & 0xf0) == 0x10;
}

static bool run_write(int64_t *ticks)
{
	static uint8_t vector;
	struct bench_regs r = at(APIC_LVT_ERROR, APIC_MASKED | 0x80u | ++vector);

	*ticks = TIMED_WRITE(&r);
	return apic_read(APIC_LVT_ERROR) == (uint32_t)r.a;
}

static bool run_tpr(int64_t *ticks)
{
	struct bench_regs r = at(APIC_TPR, 0x40);
	bool right;

	*ticks = TIMED_WRITE(&r);
	right = apic_read(APIC_TPR) == 0x40 && read_cr8() == 4;
	apic_write(APIC_TPR, 0);
	return right;
}

/* Sends, and takes, an interrupt whose EOI is still to come. */
static bool begin_service(void)
{
	bench_handled = 0;
	apic_send_self(VECTOR);
	for (unsigned i = 0; i < 1000 && !bench_handled; i++)
		irq_window();
	return bench_handled && apic_bit(APIC_ISR, VECTOR);
}

static bool run_eoi(int64_t *ticks)
{
	struct bench_regs r = at(APIC_EOI, 0);
	bool right = begin_service();

	*ticks = TIMED_WRITE(&r);
	return right && !apic_bit(APIC_ISR, VECTOR);
}

static bool run_ipi(int64_t *ticks)
{
	struct bench_regs r = at(APIC_ICR, APIC_SELF | VECTOR);
	bool right;

	*ticks = apic_x2 ? BENCH_TO_HANDLER(&r, "wrmsr")
			 : BENCH_TO_HANDLER(&r, "mov %%eax, (%%rdi)");
	right = apic_bit(APIC_ISR, VECTOR) && !apic_bit(APIC_IRR, VECTOR);
	apic_write(APIC_EOI, 0);
	return right && !apic_bit(APIC_ISR, VECTOR);
}

static bool run_self_ipi(int64_t *ticks)
{
	struct bench_regs r = at(APIC_SELF_IPI, VECTOR);
	bool right;

	*ticks = BENCH_TO_HANDLER(&r, "wrmsr");
	right = apic_bit(APIC_ISR, VECTOR) && !apic_bit(APIC_IRR, VECTOR);
	apic_write(APIC_EOI, 0);
	return right && !apic_bit(APIC_ISR, VECTOR);
}

static const struct bench_case xapic[] = {
	{.name = "xapic-read", .prepare = prepare, .run = run_read},
	{.name = "xapic-write-lvt", .prepare = prepare, .run = run_write},
	{.name = "xapic-tpr", .prepare = prepare, .run = run_tpr},
	{.name = "xapic-eoi", .prepare = prepare, .run = run_eoi},
	{.name = "xapic-self-ipi", .prepare = prepare, .run = run_ipi},
};
BENCH_FAMILY(bench_xapic, "xapic", xapic);

static const struct bench_case x2apic[] = {
	{.name = "x2apic-read", .prepare = need_x2apic, .run = run_read},
	{.name = "x2apic-write-lvt", .prepare = need_x2apic, .run = run_write},
	{.name = "x2apic-tpr", .prepare = need_x2apic, .run = run_tpr},
	{.name = "x2apic-eoi", .prepare = need_x2apic, .run = run_eoi},
	{.name = "x2apic-icr-self", .prepare = need_x2apic, .run = run_ipi},
	{.name = "x2apic-self-ipi", .prepare = need_x2apic, .run = run_self_ipi},
};
BENCH_FAMILY(bench_x2apic, "x2apic", x2apic);
