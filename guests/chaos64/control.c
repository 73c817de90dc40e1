/* SPDX-License-Identifier: MIT */
/*
 * Control registers, EFER and XCR0 with any bits, judged by the SDM's rules for 64-bit mode.
 * SDM volume 3, "Control Registers", "Extended Control Registers"; volume 2, "MOV", "XSETBV".
 */
#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/pages.h"
#include "guests/lib/cpu.h"

#define EFER_KNOWN (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define CR4_LOW	   0x7ffu /* VME to OSXMMEXCPT: all that every one of these CPUs has */
#define HIGH	   0xffffffff00000000

struct write {
	unsigned which;
	uint64_t value;
};

static void write_it(void *argument)
{
	const struct write *w = argument;

	switch (w->which) {
	case 0: write_cr0(w->value); break;
	case 3: write_cr3(w->value); break;
	case 4: write_cr4(w->value); break;
	case 6: write_dr6(w->value); break;
	case 7: write_dr7(w->value); break;
	case 8: write_cr8(w->value); break;
	default: wrmsr(MSR_EFER, w->value); break;
	}
}

static void expect(unsigned which, uint64_t value, bool legal, const char *what)
{
	struct write w = {which, value};

	chaos_expect(machine_call(write_it, &w), legal ? END_RETURNED : TRAP_GP, what, value);
}

static void any_cr0(struct prng *p)
{
	uint64_t value = prng_chance(p, 50) ? prng_value(p)
					    : read_cr0() ^ 1ULL << prng_below(p, 32) ^
						      1ULL << prng_below(p, 32);
	bool legal = !(value & HIGH) && (value & CR0_PE) && (value & CR0_PG) &&
		     (!(value & CR0_NW) || (value & CR0_CD));

	expect(0, value, legal, "MOV to CR0");
}

static uint64_t cr4_allowed(void)
{
	struct cpuid one = cpuid(1, 0), seven = cpuid(7, 0);
	uint64_t bits = CR4_LOW;

	bits |= one.ecx & 1u << 26 ? CR4_OSXSAVE : 0;
	bits |= one.ecx & 1u << 17 ? CR4_PCIDE : 0;
	bits |= seven.ebx & 1u << 0 ? CR4_FSGSBASE : 0;
	bits |= seven.ebx & 1u << 7 ? CR4_SMEP : 0;
	bits |= seven.ebx & 1u << 20 ? CR4_SMAP : 0;
	bits |= seven.ecx & 1u << 2 ? CR4_UMIP : 0;
	bits |= seven.ecx & 1u << 3 ? CR4_PKE : 0;
	return bits;
}

static void any_cr4(struct prng *p)
{
	uint64_t value = prng_chance(p, 30) ? prng_value(p)
					    : read_cr4() ^ 1ULL << prng_below(p, 24) ^
						      1ULL << prng_below(p, 24);
	bool legal = !(value & ~cr4_allowed()) && (value & CR4_PAE);

	if (cpuid(7, 0).edx & 1u << 20) /* CET, which is not judged here */
		return;
	expect(4, value, legal, "MOV to CR4");
}

static void any_cr3(struct prng *p)
{
	uint64_t bits = cpuid(0x80000008, 0).eax & 0xff;
	uint64_t value = pages_long() | (prng_next(p) & 0x18);
	bool legal = prng_chance(p, 50);

	if (!legal)
		value |= 1ULL << (bits + prng_below(p, 64 - (unsigned)bits));
	expect(3, value, legal, "MOV to CR3");
}

static void any_efer(struct prng *p)
{
	uint64_t now = rdmsr(MSR_EFER);
	uint64_t value = prng_chance(p, 30)
				 ? prng_value(p)
				 : now ^ 1ULL << prng_below(p, 12) ^ 1ULL << prng_below(p, 12);
	/* LMA cannot be written, LME not while paging is on. */
	bool legal = !(value & ~(uint64_t)EFER_KNOWN) && (value & EFER_LME);

	/* Whether the processor ignores LMA or refuses it is its own. */
	if (!(value & EFER_LMA))
		return;
	expect(9, value, legal, "WRMSR of EFER");
}

static void run_xsetbv(void *argument)
{
	const struct write *w = argument;

	xsetbv(w->which, w->value);
}

static void any_xcr0(struct prng *p)
{
	static const uint64_t some[] = {0, 1,	 2,    3,    4,	   5,	 6,
					7, 0xe7, 0x27, 0x47, 0xe3, 0x1f, 0x207};
	struct cpuid d = cpuid(0xd, 0);
	struct write w = {.which = prng_chance(p, 90) ? 0 : (unsigned)prng_value(p)};
	uint64_t allowed = d.eax | (uint64_t)d.edx << 32;
	bool legal;

	if (!(read_cr4() & CR4_OSXSAVE))
		return;
	w.value = prng_chance(p, 70) ? PRNG_PICK(p, some) : prng_value(p);
	if (prng_chance(p, 10))
		w.value |= 1ULL << prng_below(p, 64);
	legal = !w.which && !(w.value & ~allowed) && (w.value & 1) &&
		(!(w.value & 4) || (w.value & 2)) &&
		(!(w.value & 0xe0) || ((w.value & 0xe4) == 0xe4)) &&
		(!(w.value & 0x18) || (w.value & 0x18) == 0x18);
	chaos_expect(machine_call(run_xsetbv, &w), legal ? END_RETURNED : TRAP_GP, "XSETBV",
		     w.value);
	if (legal)
		chaos_expect(xgetbv(0), w.value, "XGETBV after it", w.value);
}

static void any_dr(struct prng *p)
{
	unsigned which = 6 + prng_below(p, 2);
	uint64_t value = prng_value(p);

	/* Breakpoints would be met where nobody waits for them. */
	if (which == 7)
		value &= ~0xffull;
	if (which == 7 && (value & 1u << 13))
		return;
	expect(which, value, !(value & HIGH), "MOV to DR6 or DR7");
}

static void any_cr8(struct prng *p)
{
	uint64_t value = prng_chance(p, 50) ? prng_below(p, 16) : prng_value(p);

	expect(8, value, value < 16, "MOV to CR8");
}

void act_control(struct prng *p)
{
	static void (*const acts[])(struct prng *) = {
		any_cr0, any_cr4, any_cr3, any_efer, any_xcr0, any_dr, any_cr8,
	};

	/* What a legal one changes the landing puts right, XCR0 and EFER mend_cpu. */
	for (unsigned count = 1 + prng_below(p, 40); count; count--)
		PRNG_PICK(p, acts)(p);
}
