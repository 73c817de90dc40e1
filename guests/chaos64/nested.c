/* SPDX-License-Identifier: MIT */
/*
 * Exceptions in the delivery of exceptions: gates that are absent, of wrong types, beyond the
 * limit, with selectors that lead nowhere. SDM volume 3, "Interrupt 8 - Double Fault Exception".
 */
#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/mend.h"
#include "guests/chaos64/pages.h"
#include "guests/lib/cpu.h"

#define CODE_PAGE 64
#define CODE	  (TWIN_FRAMES + CODE_PAGE * PAGE)
#define GATE	  16
#define DE	  0
#define DF	  8
#define NO_VECTOR 0xff
#define EXT	  1u
#define IDT_ERROR 2u

static KEPT uint8_t idt[256 * GATE];

struct __attribute__((packed)) table {
	uint16_t limit;
	uint64_t base;
};

/* What raises a vector, of the kinds that the table of double faults knows. */
struct cause {
	uint8_t vector;
	bool contributory, page_fault, software;
	uint8_t bytes[6];
};

static const struct cause causes[] = {
	{DE, true, false, false, {0x31, 0xc9, 0xf7, 0xf1, 0xcc}}, /* XOR ECX, ECX; DIV ECX */
	{TRAP_UD, false, false, false, {0x0f, 0x0b, 0xcc}},	  /* UD2 */
	{TRAP_GP, true, false, false, {0x0f, 0x33, 0xcc}},	  /* RDPMC */
	{TRAP_PF, false, true, false, {0x8a, 0x07, 0xcc}},	  /* MOV AL, [RDI] */
	{1, false, false, false, {0xf1, 0x90, 0xcc}},		  /* INT1 */
	{0x55, false, false, true, {0xcd, 0x55, 0xcc}},		  /* INT 55H */
	{3, false, false, true, {0xcc, 0x90}},			  /* INT3 */
};

static void write_cause(const struct cause *cause)
{
	for (unsigned i = 0; i < sizeof(cause->bytes); i++)
		((uint8_t *)CODE)[i] = cause->bytes[i];
}

static void load(uint16_t limit)
{
	const struct table idtr = {limit, (uintptr_t)idt};

	__asm__ volatile("lidt %0" : : "m"(idtr));
}

/* Breaks a vector's gate; the exception that its use raises, and whether the error code is 0. */
static unsigned break_gate(struct prng *p, unsigned vector, unsigned *selector)
{
	uint16_t *gate = (uint16_t *)(idt + GATE * vector);

	*selector = NO_VECTOR;
	switch (prng_below(p, 4)) {
	case 0: /* absent */ gate[2] &= 0x7fff; return TRAP_NP;
	case 1: /* a task gate, which long mode has not */ gate[2] = 0x8500; return TRAP_GP;
	case 2: /* a call gate */ gate[2] = 0x8c00; return TRAP_GP;
	default: /* a selector of data */
		gate[1] = DATA;
		*selector = DATA;
		return TRAP_GP;
	}
}

static void expect_nested(struct prng *p)
{
	const struct cause *cause = &PRNG_PICK(p, causes);
	unsigned selector, second, want, error;
	struct launch start = {
		.rip = CODE,
		.cs = CODE64,
		.ss = DATA,
		.data = DATA,
		.rflags = 2,
		.rsp = FRAMES + 0x1000,
		.cr3 = pages_long(),
	};

	for (unsigned i = 0; i < 256; i++)
		machine_gate(idt, i);
	second = break_gate(p, cause->vector, &selector);
	write_cause(cause);
	pages_twin(CODE_PAGE, CODE | PTE_P | PTE_U);
	pages_twin(CODE_PAGE + 1, 0);
	start.gpr[RDI] = CODE + PAGE;
	/* The second fault's own gate is the same broken one. */
	want = cause->contributory || cause->page_fault || cause->vector == second ? DF : second;
	error = selector != NO_VECTOR ? selector : cause->vector * 8u + IDT_ERROR;
	error |= cause->software ? 0 : EXT;
	load(sizeof(idt) - 1);
	if (!chaos_expect(machine_long(&start), want, "a broken gate", cause->vector))
		return;
	chaos_expect(machine_landing.error, want == DF ? 0 : error, "its error code",
		     cause->vector);
	chaos_expect(machine_landing.rip, CODE + (cause->vector == DE ? 2 : 0), "its RIP",
		     cause->vector);
}

/* Any gate may be anything but those of #DF, NMI, and the three that a way back needs. */
static void any_nested(struct prng *p)
{
	const struct cause *cause = &PRNG_PICK(p, causes);
	struct launch start = {
		.rip = CODE,
		.cs = prng_chance(p, 50) ? CODE64 : USER_CODE64,
		.ss = DATA,
		.data = USER_DATA,
		.rflags =
			2 | (prng_chance(p, 20) ? FLAG_TF : 0) | (prng_chance(p, 30) ? FLAG_IF : 0),
		.rsp = pages_pointer(p),
		.cr3 = pages_long(),
	};

	if (start.cs == USER_CODE64)
		start.ss = USER_DATA;
	for (unsigned i = 0; i < 256; i++)
		machine_gate(idt, i);
	for (unsigned count = prng_below(p, 6); count; count--) {
		unsigned vector = prng_below(p, 32);

		if (vector != DF && vector != 2 && vector != 18)
			prng_bytes(p, idt + GATE * vector + 2 + prng_below(p, 6),
				   1 + prng_below(p, 8));
	}
	write_cause(cause);
	pages_twin(CODE_PAGE, CODE | PTE_P | PTE_U);
	pages_twin(CODE_PAGE + 1, 0);
	start.gpr[RDI] = prng_chance(p, 50) ? CODE + PAGE : pages_pointer(p);
	mend_deadline();
	load(prng_chance(p, 80) ? sizeof(idt) - 1 : (uint16_t)(GATE * 21 - 1));
	machine_long(&start);
}

void act_nested(struct prng *p)
{
	if (prng_chance(p, 10))
		any_nested(p);
	else
		expect_nested(p);
}
