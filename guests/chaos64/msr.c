/* SPDX-License-Identifier: MIT */
/*
 * RDMSR and WRMSR over the architectural ranges and beyond: what no processor of this CPUID has
 * raises #GP. SDM volume 4, "Architectural MSRs".
 */
#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/mend.h"
#include "guests/lib/apic.h"
#include "guests/lib/cpu.h"

#define IN(msr, first, last) ((msr) >= (first) && (msr) <= (last))
#define CANONICAL_BITS	     48
#define MSR_DEBUGCTL	     0x1D9
#define MSR_PAT		     0x277

struct access {
	uint32_t msr;
	uint64_t value;
};

static void read_it(void *argument)
{
	struct access *a = argument;

	a->value = rdmsr(a->msr);
}

/* What is in it then comes back; the way home changes some. */
static void write_it(void *argument)
{
	struct access *a = argument;

	wrmsr(a->msr, a->value);
	a->value = rdmsr(a->msr);
}

/* There may be such an MSR, by the SDM or by what Socle says it keeps. */
static bool may_exist(uint32_t msr)
{
	return msr == 0x10 || msr == 0x17 || msr == 0x1B || msr == 0x3B || msr == 0x48 ||
	       msr == 0x49 || msr == 0x8B || msr == 0xFE || msr == 0x10A || msr == 0x79 ||
	       IN(msr, 0x174, 0x17A) || msr == 0x1A0 || msr == MSR_DEBUGCTL ||
	       IN(msr, 0x200, 0x20F) || msr == 0x250 || msr == 0x258 || msr == 0x259 ||
	       IN(msr, 0x268, 0x26F) || msr == MSR_PAT || msr == 0x2FF || msr == 0x6E0 ||
	       IN(msr, 0xC0000080, 0xC0000084) || IN(msr, 0xC0000100, 0xC0000103);
}

static uint32_t pick(struct prng *p)
{
	switch (prng_below(p, 8)) {
	case 0: return (uint32_t)prng_next(p);
	case 1: return 0xC0000000 + prng_below(p, 0x2000);
	case 2: return 0xC0000080 + prng_below(p, 8);
	case 3: return 0xC0000100 + prng_below(p, 8);
	case 4: return 0x800 + prng_below(p, 0x100);
	case 5: return 0x40000000 + prng_below(p, 0x200);
	case 6: return 0x174 + prng_below(p, 3);
	default: return prng_below(p, 0x2000);
	}
}

static bool is_canonical(uint64_t value)
{
	int64_t top = (int64_t)value >> (CANONICAL_BITS - 1);

	return top == 0 || top == -1;
}

static bool is_pat(uint64_t value)
{
	for (unsigned i = 0; i < 8; i++, value >>= 8)
		if ((value & 0xff) > 7 || (value & 0xff) == 2 || (value & 0xff) == 3)
			return false;
	return true;
}

/* Those whose rule is simple: whether the value is one for them. */
static bool has_rule(uint32_t msr, uint64_t value, bool *legal, uint64_t *kept)
{
	*kept = value;
	if (IN(msr, 0xC0000082, 0xC0000083) || IN(msr, 0xC0000100, 0xC0000102) || msr == 0x175 ||
	    msr == 0x176) {
		*legal = is_canonical(value);
		return true;
	}
	if (msr == 0xC0000081) {
		*legal = true;
		return true;
	}
	if (msr == MSR_PAT) {
		*legal = is_pat(value);
		return true;
	}
	return false;
}

static void write_one(uint32_t msr, uint64_t value)
{
	struct access a = {msr, value};
	unsigned vector = machine_call(write_it, &a);
	uint64_t kept;
	bool legal;

	if (!may_exist(msr)) {
		chaos_expect(vector, TRAP_GP, "WRMSR of an unknown MSR", msr);
	} else if (has_rule(msr, value, &legal, &kept)) {
		if (chaos_expect(vector, legal ? END_RETURNED : TRAP_GP, "WRMSR", msr) && legal)
			chaos_expect(a.value, kept, "what RDMSR finds", msr);
	} else if (vector != END_RETURNED) {
		chaos_expect(vector, TRAP_GP, "WRMSR", msr);
	}
}

static void read_one(uint32_t msr)
{
	struct access a = {.msr = msr};
	unsigned vector = machine_call(read_it, &a);

	if (!may_exist(msr))
		chaos_expect(vector, TRAP_GP, "RDMSR of an unknown MSR", msr);
	else if (vector != END_RETURNED)
		chaos_expect(vector, TRAP_GP, "RDMSR", msr);
}

void act_msr(struct prng *p)
{
	for (unsigned count = 8 + prng_below(p, 300); count; count--) {
		uint32_t msr = pick(p);
		uint64_t value = prng_value(p);

		/* EFER and the local APIC's are for acts of their own. */
		if (prng_chance(p, 50))
			read_one(msr);
		else if (msr != MSR_EFER && msr != APIC_BASE_MSR)
			write_one(msr, value);
	}
	wrmsr(MSR_DEBUGCTL, 0);
}
