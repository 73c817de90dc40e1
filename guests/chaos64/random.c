/* SPDX-License-Identifier: MIT */
/*
 * Random bytes in every mode and ring, over page ends and on pages that change under them. What
 * comes of it is not judged: the machine goes on, or this VM ends.
 */
#include "guests/chaos64/chaos.h"
#include "guests/chaos64/code.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/mend.h"
#include "guests/chaos64/pages.h"
#include "guests/lib/cpu.h"

#define BYTES	   48
#define FLAGS_USED 0x3f0fd5u /* TF with them; IF, DF, IOPL, NT, RF, AC too */
#define FLAG_IOPL  0x3000u
#define ARENA_SIZE (LOW_PAGE - ARENA_LOW)

static uint8_t bytes[BYTES];

static void write_bytes(struct prng *p, uint8_t *to, unsigned most)
{
	/* Tables and modes that the code loads itself mostly leave no way back. */
	code_make(p, bytes, BYTES, !prng_chance(p, 4));
	for (unsigned i = 0; i < BYTES && i < most; i++)
		to[i] = bytes[i];
}

static uint32_t any_flags(struct prng *p)
{
	uint32_t flags = 2 | ((uint32_t)prng_next(p) & FLAGS_USED);

	if (prng_chance(p, 75))
		flags &= ~FLAG_TF;
	if (prng_chance(p, 90))
		flags &= ~FLAG_NT;
	return flags & ~FLAG_VM;
}

/* Two pages of code in the window; the second one is mapped by chance. */
static uint64_t place_code(struct prng *p, unsigned *frame)
{
	unsigned page = prng_below(p, WINDOW_PAGES - 1);
	unsigned offset =
		prng_chance(p, 40) ? PAGE - 1 - prng_below(p, 20) : prng_below(p, PAGE - BYTES);

	*frame = page;
	write_bytes(p, (uint8_t *)(uintptr_t)(FRAMES + page * PAGE + offset),
		    PAGE - offset + BYTES);
	return WINDOW + page * PAGE + offset;
}

static void any_registers(struct prng *p, uint64_t gpr[16])
{
	for (unsigned i = 0; i < 16; i++)
		gpr[i] = prng_chance(p, 60) ? pages_pointer(p) : prng_value(p);
	if (prng_chance(p, 70))
		gpr[RCX] = prng_below(p, 64);
}

static void run_long(struct prng *p, uint16_t code, uint16_t user_code)
{
	bool user = prng_chance(p, 50);
	unsigned page;
	struct launch start = {
		.cs = user ? user_code : code,
		.ss = user ? USER_DATA : DATA,
		.data = USER_DATA,
		.rflags = any_flags(p),
		.rsp = pages_pointer(p),
		.cr3 = pages_long(),
	};

	start.rip = place_code(p, &page);
	pages_code(page);
	if (code == CODE16)
		start.rip &= 0xffff;
	any_registers(p, start.gpr);
	mend_deadline();
	machine_long(&start);
}

void act_code64(struct prng *p)
{
	run_long(p, CODE64, USER_CODE64);
}

/* 16-bit code there has its base in the low megabyte. */
void act_compat(struct prng *p)
{
	if (prng_chance(p, 70)) {
		run_long(p, CODE32, USER_CODE32);
		return;
	}
	write_bytes(p, (uint8_t *)(uintptr_t)(ARENA_LOW + prng_below(p, 0xff00)), BYTES);
	struct launch start = {
		.rip = prng_below(p, 0xffff),
		.cs = USER_CODE16,
		.ss = USER_DATA,
		.data = USER_DATA,
		.rflags = any_flags(p),
		.rsp = pages_pointer(p),
		.cr3 = pages_long(),
	};

	any_registers(p, start.gpr);
	write_bytes(p, (uint8_t *)(uintptr_t)(ARENA_LOW + start.rip), BYTES);
	mend_deadline();
	machine_long(&start);
}

enum legacy { FLAT, PAGED_32, PAGED_PAE };

static struct launch legacy_start(struct prng *p, enum legacy kind)
{
	struct launch start = {.cr0 = 0x31, .cr4 = (uint32_t)(prng_next(p) & 0x60f)};

	if (prng_chance(p, 50))
		start.cr4 |= CR4_PGE;
	if (kind == FLAT)
		return start;
	start.cr0 |= CR0_PG | (prng_chance(p, 95) ? CR0_WP : 0);
	start.cr4 |= kind == PAGED_PAE ? CR4_PAE : CR4_PSE;
	start.cr3 = kind == PAGED_PAE ? pages_safe_pae() : pages_32();
	return start;
}

static void set_segments(struct tss32 *tss, uint32_t code, uint32_t stack, uint32_t data)
{
	for (unsigned i = 0; i < 6; i++)
		tss->segment[i] = i == 1 ? code : i == 2 ? stack : data;
}

static void fill_tss(struct prng *p, struct tss32 *tss, const struct launch *start)
{
	for (unsigned i = 0; i < 8; i++)
		tss->gpr[i] = (uint32_t)pages_pointer(p);
	if (prng_chance(p, 70))
		tss->gpr[RCX] = prng_below(p, 64);
	tss->cr3 = (uint32_t)(start->cr3);
	tss->eflags = any_flags(p);
	tss->ldt = prng_chance(p, 80) ? 0 : LDT_ACT;
	tss->trap = prng_chance(p, 5);
	tss->io_map = 0xffff;
	for (unsigned i = 0; i < 3; i++) {
		tss->stacks[2 * i] = FRAMES + 0x8000;
		tss->stacks[2 * i + 1] = DATA;
	}
}

void act_legacy(struct prng *p)
{
	/* Without paging nothing keeps devices away. */
	struct launch start = legacy_start(
		p, (enum legacy)(pages_is_wild() ? prng_below(p, 3) : 1 + prng_below(p, 2)));
	struct tss32 *tss = machine_act_tss();
	uint32_t offset = prng_below(p, 0xff00);
	unsigned page;

	fill_tss(p, tss, &start);
	switch (prng_below(p, 5)) {
	case 0: set_segments(tss, CODE32, DATA, DATA); break;
	case 1: set_segments(tss, USER_CODE32, USER_DATA, USER_DATA); break;
	case 2: set_segments(tss, ARENA_CODE16, ARENA_DATA16, ARENA_DATA16); break;
	case 3: set_segments(tss, USER_CODE16, USER_DATA, USER_DATA); break;
	default:
		tss->eflags |= FLAG_VM;
		set_segments(tss, ARENA_LOW >> 4, 0x2000, 0xA000);
		if (prng_chance(p, 40))
			tss->eflags &= ~FLAG_IOPL;
		break;
	}
	if ((tss->eflags & FLAG_VM) || tss->segment[1] == ARENA_CODE16 ||
	    tss->segment[1] == USER_CODE16) {
		tss->eip = offset;
		write_bytes(p, (uint8_t *)(uintptr_t)(ARENA_LOW + offset), BYTES);
	} else {
		tss->eip = (uint32_t)place_code(p, &page);
		pages_code(page);
	}
	mend_deadline();
	machine_legacy(&start);
}

void act_real(struct prng *p)
{
	uint16_t segment = (uint16_t)(ARENA_LOW / 16 + prng_below(p, 0x3000));
	struct real_start real = {
		.eax = (uint32_t)prng_value(p),
		.ecx = prng_below(p, 100),
		.edx = (uint32_t)prng_value(p),
		.ebx = (uint32_t)prng_value(p),
		.ebp = (uint32_t)prng_value(p),
		.esi = (uint32_t)prng_value(p),
		.edi = (uint32_t)prng_value(p),
		.esp = 0x100 + 2 * prng_below(p, 0x7f00),
		.ip = (uint16_t)prng_below(p, 0xff00),
		.cs = segment,
		.ds = prng_chance(p, 30) ? 0xA000 : segment,
		.es = prng_chance(p, 30) ? 0xB800 : 0x2000,
		.ss = 0x5000,
		.fs = (uint16_t)(prng_next(p) & 0x3fff),
		.gs = 0xFFFF,
	};

	if (prng_chance(p, 5))
		real.ip = (uint16_t)(0xffff - prng_below(p, 16));
	write_bytes(p, (uint8_t *)(uintptr_t)(16u * real.cs + real.ip), BYTES);
	mend_deadline();
	machine_real(&real);
}

/* HLT with interrupts off: only the NMI ends it. With them on it may be anything. */
void act_halt(struct prng *p)
{
	unsigned page;
	struct launch start = {
		.cs = CODE64,
		.ss = DATA,
		.data = DATA,
		.rflags = 2 | (prng_chance(p, 40) ? FLAG_IF : 0),
		.rsp = FRAMES + 0x1000,
		.cr3 = pages_long(),
	};

	start.rip = place_code(p, &page);
	pages_code(page);
	((uint8_t *)(uintptr_t)start.rip)[0] = 0xf4;
	mend_deadline();
	machine_long(&start);
}
