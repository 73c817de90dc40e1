/* SPDX-License-Identifier: MIT */
/* REP INS and OUTS: over the ends of pages, into devices' pages, with any flags and addresses. */
#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/mend.h"
#include "guests/chaos64/pages.h"
#include "guests/chaos64/ports.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"

#define CODE_PAGE  64
#define CODE	   (TWIN_FRAMES + CODE_PAGE * PAGE)
#define FIRST_PAGE 66
#define FIRST	   (TWIN_FRAMES + FIRST_PAGE * PAGE)
#define FLAG_DF	   0x400u
#define ERROR_W	   2u
#define NOBODYS	   0xC000

/* Prefixes, opcode, INT3; how long without that. */
static unsigned write_code(struct prng *p, bool in, unsigned size, bool rep, unsigned address_size)
{
	uint8_t *at = (uint8_t *)CODE;

	if (size == 2)
		*at++ = 0x66;
	if (address_size == 4)
		*at++ = 0x67;
	if (rep)
		*at++ = prng_chance(p, 80) ? 0xf3 : 0xf2;
	*at++ = (uint8_t)((in ? 0x6c : 0x6e) + (size > 1));
	*at++ = 0xcc;
	return (unsigned)((uintptr_t)at - CODE - 1);
}

static struct launch start_at(uint64_t rip)
{
	struct launch start = {
		.rip = rip,
		.cs = CODE64,
		.ss = DATA,
		.data = DATA,
		.rflags = 2,
		.rsp = FRAMES + 0x1000,
		.cr3 = pages_long(),
	};

	pages_twin(CODE_PAGE, CODE | PTE_P | PTE_W | PTE_U);
	return start;
}

/*
 * REP INS from nobody's port over the end of a page: what comes is ones, and where the second page
 * is absent the instruction stops there.
 */
static void ins_over_page(struct prng *p)
{
	unsigned size = 1u << prng_below(p, 3), count = 2 + prng_below(p, 600);
	unsigned before = 1 + prng_below(p, count - 1), length = write_code(p, true, size, true, 8);
	uint64_t first = FIRST + PAGE - before * size;
	bool present = prng_chance(p, 40);
	struct launch start = start_at(CODE);

	pages_twin(FIRST_PAGE, FIRST | PTE_P | PTE_W);
	pages_twin(FIRST_PAGE + 1, present ? (HOLE & 0xfffff000) | PTE_P | PTE_W : 0);
	for (unsigned i = 0; i < before * size; i++)
		((uint8_t *)first)[i] = (uint8_t)i;
	if (before * size > PAGE)
		return;
	start.gpr[RCX] = count;
	start.gpr[RDX] = NOBODYS + 8 * prng_below(p, 0x700);
	start.gpr[RDI] = first;
	if (!chaos_expect(machine_long(&start), present ? 3 : TRAP_PF, "REP INS over a page's end",
			  size))
		return;
	chaos_expect(machine_landing.gpr[RCX], present ? 0 : count - before, "its RCX", count);
	chaos_expect(machine_landing.gpr[RDI],
		     present ? first + (uint64_t)count * size : FIRST + PAGE, "its RDI", count);
	chaos_expect(machine_landing.rip, present ? CODE + length + 1 : CODE, "its RIP", count);
	if (!present) {
		chaos_expect(machine_landing.cr2, FIRST + PAGE, "its CR2", count);
		chaos_expect(machine_landing.error, ERROR_W, "its error code", count);
	}
	for (unsigned i = 0; i < before * size; i++)
		if (((volatile uint8_t *)first)[i] != 0xff) {
			chaos_expect(((volatile uint8_t *)first)[i], 0xff, "a byte of it", i);
			break;
		}
}

/* OUTS to nobody's port from ones and from a page that is nobody's; the end is all that shows. */
static void outs_over_page(struct prng *p)
{
	unsigned size = 1u << prng_below(p, 3), count = 1 + prng_below(p, 300);
	bool backwards = prng_chance(p, 30);
	struct launch start = start_at(CODE);
	uint64_t from = FIRST + PAGE - size * prng_below(p, count + 1), step = size;

	write_code(p, false, size, true, 8);
	if (backwards) {
		start.rflags |= FLAG_DF;
		step = 0 - step;
		from = FIRST + PAGE + size * prng_below(p, count);
	}
	pages_twin(FIRST_PAGE, FIRST | PTE_P);
	pages_twin(FIRST_PAGE + 1, (prng_chance(p, 50) ? HOLE : 0xB0020000) | PTE_P);
	if (count * size > PAGE / 2)
		return;
	start.gpr[RCX] = count;
	start.gpr[RDX] = NOBODYS + 8 * prng_below(p, 0x700);
	start.gpr[RSI] = from;
	if (!chaos_expect(machine_long(&start), 3, "REP OUTS over a page's end", size))
		return;
	chaos_expect(machine_landing.gpr[RCX], 0, "its RCX", count);
	chaos_expect(machine_landing.gpr[RSI], from + count * step, "its RSI", count);
}

/* Whatever it does: devices' ports and pages, all address sizes, counts that no memory has. */
static void any_string(struct prng *p)
{
	bool in = prng_chance(p, 60);
	unsigned size = 1u << prng_below(p, 3);
	struct launch start;
	uint16_t port = ports_pick(p);

	pages_wild(true);
	start = start_at(CODE);

	write_code(p, in, size, prng_chance(p, 80), prng_chance(p, 25) ? 4 : 8);
	if (!in && ports_spared(port, size, (uint32_t)~0u))
		return;
	start.rflags |= prng_chance(p, 20) ? FLAG_DF : 0;
	start.gpr[RCX] = prng_chance(p, 90) ? prng_below(p, 3000) : prng_value(p);
	start.gpr[RDX] = port;
	start.gpr[RDI] = pages_pointer(p);
	start.gpr[RSI] = pages_pointer(p);
	mend_deadline();
	machine_long(&start);
	mend_board();
}

void act_strings(struct prng *p)
{
	switch (prng_below(p, 8)) {
	case 0: any_string(p); break;
	case 1:
	case 2:
	case 3: outs_over_page(p); break;
	default: ins_over_page(p); break;
	}
}
