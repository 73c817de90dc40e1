/* SPDX-License-Identifier: MIT */
/*
 * The local APIC: any register, any LVT entry, IPIs of all kinds, and its modes. SDM volume 3,
 * "Advanced Programmable Interrupt Controller", "x2APIC State Transitions".
 */
#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/mend.h"
#include "guests/chaos64/pages.h"
#include "guests/lib/apic.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"

#define REGISTERS    64
#define BASE_BSP     (1u << 8)
#define BASE_DEFINED (0xfffff000u | APIC_BASE_ON | APIC_BASE_X2 | BASE_BSP)
#define DELIVERY     0x700u
#define DEST_MODE    APIC_LOGICAL
#define SHORTHAND    (3u << 18)

struct access {
	uint32_t msr;
	uint64_t value;
};

static void write_it(void *argument)
{
	const struct access *a = argument;

	wrmsr(a->msr, a->value);
}

static void read_it(void *argument)
{
	struct access *a = argument;

	a->value = rdmsr(a->msr);
}

/* An INIT ends the VM if the other CPU gets it. */
static uint32_t any_icr(struct prng *p)
{
	uint32_t icr = (uint32_t)prng_next(p);

	if ((icr & DELIVERY) == APIC_INIT)
		icr = (icr & ~(DELIVERY | SHORTHAND)) | APIC_SELF;
	return icr;
}

/* Waits for what comes, a moment, with interrupts on. */
static void let_in(void *argument)
{
	(void)argument;
	__asm__ volatile("sti\n\tnop\n\tpause\n\tpause\n\tcli" : : : "memory");
}

static void write_registers(struct prng *p)
{
	for (unsigned count = 8 + prng_below(p, 60); count; count--) {
		uint32_t reg = 16 * prng_below(p, REGISTERS);
		uint32_t value = (uint32_t)prng_value(p);

		if (reg == APIC_ICR_HIGH || reg == APIC_INITIAL)
			apic_write(reg, value);
		else if (reg != APIC_ICR)
			apic_write(reg, value);
		else
			apic_write(reg, any_icr(p));
		(void)apic_read(reg);
		if (prng_chance(p, 20))
			machine_call(let_in, 0);
	}
}

static void send_some(struct prng *p)
{
	for (unsigned count = 1 + prng_below(p, 24); count; count--) {
		static const uint32_t destinations[] = {0, 1, 2, 0xff, 0x10, 3};

		apic_write(APIC_ICR_HIGH, PRNG_PICK(p, destinations) << 24);
		apic_write(APIC_ICR, any_icr(p));
		machine_call(let_in, 0);
	}
}

static void run_timer(struct prng *p)
{
	static const uint32_t modes[] = {0, APIC_PERIODIC, APIC_DEADLINE, 3u << 17};
	uint32_t mode = PRNG_PICK(p, modes);

	apic_write(APIC_DIVIDE, (uint32_t)prng_next(p));
	apic_write(APIC_LVT_TIMER, mode | (uint32_t)(prng_next(p) & 0xff));
	apic_write(APIC_INITIAL, (uint32_t)prng_value(p));
	wrmsr(APIC_DEADLINE_MSR, rdtsc() + prng_below(p, 2000));
	machine_call(let_in, 0);
	(void)apic_read(APIC_CURRENT);
}

/* IA32_APIC_BASE by the table of state transitions; and x2APIC's MSRs in either mode. */
static bool is_legal_base(uint64_t old, uint64_t value)
{
	uint64_t bits = cpuid(0x80000008, 0).eax & 0xff;
	bool on = value & APIC_BASE_ON, x2 = value & APIC_BASE_X2;
	bool was_on = old & APIC_BASE_ON, was_x2 = old & APIC_BASE_X2;

	if (value >> bits || (value & 0xfff & ~(uint64_t)BASE_DEFINED) || (x2 && !on))
		return false;
	return !(was_x2 && on && !x2) && !(!was_on && on && x2);
}

static void change_mode(struct prng *p)
{
	for (unsigned count = 1 + prng_below(p, 6); count; count--) {
		struct access a = {.msr = APIC_BASE_MSR};
		uint64_t old = rdmsr(APIC_BASE_MSR);

		a.value = (old & ~(uint64_t)(APIC_BASE_ON | APIC_BASE_X2)) |
			  (uint64_t)prng_below(p, 4) << 10;
		if (prng_chance(p, 10))
			a.value ^= 1ULL << prng_below(p, 64);
		/* Whether BSP can be written is the processor's own. */
		if ((a.value ^ old) & BASE_BSP)
			continue;
		chaos_expect(machine_call(write_it, &a),
			     is_legal_base(old, a.value) ? END_RETURNED : TRAP_GP,
			     "WRMSR of IA32_APIC_BASE", a.value);
	}
}

static void use_x2apic(struct prng *p)
{
	bool x2 = rdmsr(APIC_BASE_MSR) & APIC_BASE_X2;

	for (unsigned count = 8 + prng_below(p, 80); count; count--) {
		struct access a = {.msr = 0x800 + prng_below(p, REGISTERS + 16),
				   .value = prng_value(p)};
		bool write = prng_chance(p, 50);
		unsigned vector;

		if (a.msr == APIC_X2_MSR(APIC_ICR))
			a.value = (a.value & ~0xffffffffull) | any_icr(p);
		vector = machine_call(write ? write_it : read_it, &a);
		if (!x2)
			chaos_expect(vector, TRAP_GP, "an x2APIC MSR out of that mode", a.msr);
		else if (vector != END_RETURNED && vector < 32 && vector != 2)
			chaos_expect(vector, TRAP_GP, "an x2APIC MSR", a.msr);
		if (prng_chance(p, 20))
			machine_call(let_in, 0);
	}
}

void act_lapic(struct prng *p)
{
	switch (prng_below(p, 5)) {
	case 0: write_registers(p); break;
	case 1: send_some(p); break;
	case 2: run_timer(p); break;
	case 3: change_mode(p); break;
	default:
		if (prng_chance(p, 70))
			wrmsr(APIC_BASE_MSR, APIC_PAGE | APIC_BASE_ON | APIC_BASE_X2);
		use_x2apic(p);
		break;
	}
	mend_lapic();
}
