/* SPDX-License-Identifier: MIT */
/*
 * One instruction, twice: on RAM full of ones, which the processor runs, and on memory that is
 * nobody's, which reads as ones and which Socle emulates. Registers, flags, faults, and the
 * accessed and dirty bits of the pages must be the same. In all modes and rings, over page ends,
 * with absent, read-only and supervisor pages, alignment checks, segments that end, single steps.
 */
#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/mend.h"
#include "guests/chaos64/pages.h"
#include "guests/lib/cpu.h"

#define CODE_FRAME   0 /* and the next: two pages of code */
#define DATA_FRAME   2 /* two pages, the operands */
#define STACK_FRAME  4
#define PAGES	     5
#define BYTES	     24
#define INT3	     0xcc
#define VECTOR_NMI   2
#define ADDRESS_SIZE 0x67
#define FLAG_AC	     (1u << 18)
#define FLAG_DF	     0x400u
#define FLAG_RF	     0x10000u
#define FLAGS_ANY    0x8d5u /* status flags */
#define MARKS	     (PTE_A | PTE_D)
#define TRAP_AC	     17
#define SEGMENT	     GDT_GARBAGE	     /* a data segment that begins at TWIN */
#define SEGMENT_CODE ((GDT_GARBAGE + 8) | 3) /* 16 bits, the same */
#define TWIN_BASE    ((uint64_t)(TWIN & 0xffffff) << 16)

enum mode { LONG, COMPAT, COMPAT_16, LEGACY_32, LEGACY_PAE, MODES };

struct plan {
	enum mode mode;
	bool user, based, compares, repeats;
	uint8_t code[BYTES];
	unsigned offset; /* of the code in its first page */
	uint64_t gpr[16], rflags;
	uint64_t entry[PAGES]; /* flags; 0: absent */
	uint64_t hole;
	uint64_t cr0, cr4;
};

struct outcome {
	uint64_t gpr[16];
	uint64_t vector, error, rip, rflags, cr2;
	uint64_t marks[2];
};

static const uint8_t one[] = {
	0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x18,
	0x19, 0x1a, 0x1b, 0x20, 0x21, 0x22, 0x23, 0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31,
	0x32, 0x33, 0x38, 0x39, 0x3a, 0x3b, 0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86,
	0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6,
	0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff,
};
static const uint8_t two[] = {
	0xa3, 0xab, 0xb0, 0xb1, 0xb3, 0xb6, 0xb7, 0xba, 0xbb, 0xbe, 0xbf, 0xc0, 0xc1, 0xc3,
};
static const uint8_t legacy_prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x64, 0x65, 0x26, 0x3e};

static bool is_64(const struct plan *t)
{
	return t->mode == LONG;
}

/* What ModR/M's reg field may be, where it is part of the opcode: the rest does not belong here. */
static uint8_t fit_reg(struct prng *p, uint8_t opcode, bool escaped, uint8_t modrm)
{
	uint8_t reg = modrm >> 3 & 7;

	if (escaped && opcode == 0xba)
		reg |= 4;
	else if (!escaped && (opcode == 0xc6 || opcode == 0xc7))
		reg = 0;
	else if (!escaped && (opcode == 0xfe || opcode == 0xff))
		reg &= 1;
	else if (!escaped && (opcode == 0xf6 || opcode == 0xf7))
		reg = (uint8_t)prng_below(p, 4);
	return (uint8_t)((modrm & 0xc7) | reg << 3);
}

static void write_code(struct prng *p, struct plan *t)
{
	bool escaped = prng_chance(p, 25);
	uint8_t opcode = escaped ? PRNG_PICK(p, two) : PRNG_PICK(p, one), modrm;
	bool shortened = false;
	unsigned n = 0;

	/* MOVSXD; outside 64-bit mode it is ARPL, which is not emulated. */
	if (opcode == 0x63 && !escaped && !is_64(t))
		opcode = 0x8b;

	for (unsigned i = 0; i < BYTES; i++)
		t->code[i] = INT3;
	for (unsigned count = prng_chance(p, 60) ? 0 : 1 + prng_below(p, 3); count; count--) {
		t->code[n++] = PRNG_PICK(p, legacy_prefixes);
		shortened |= t->code[n - 1] == ADDRESS_SIZE;
	}
	if (!escaped && opcode >= 0xa4 && opcode <= 0xaf && prng_chance(p, 60))
		t->code[n++] = prng_chance(p, 50) ? 0xf3 : 0xf2;
	if (is_64(t) && prng_chance(p, 60))
		t->code[n++] = (uint8_t)(0x40 + prng_below(p, 16));
	if (escaped)
		t->code[n++] = 0x0f;
	t->code[n++] = opcode;
	if (!escaped && opcode >= 0xa0 && opcode <= 0xa3) {
		uint64_t at = (t->based ? 0 : TWIN) + 2 * PAGE + prng_below(p, 2 * PAGE);

		/* 67H makes its size 4 there, and 2 in 32-bit code: INT3 follows or is in it. */
		for (unsigned i = 0; i < 8; i++)
			t->code[n++] =
				i < 4 || (is_64(t) && !shortened) ? (uint8_t)(at >> 8 * i) : INT3;
		return;
	}
	t->repeats = !escaped && opcode >= 0xa4 && opcode <= 0xaf;
	t->compares = !escaped && ((opcode & 0xfe) == 0xa6 || (opcode & 0xfe) == 0xae);
	if (t->repeats)
		return;
	modrm = (uint8_t)(prng_next(p) & (prng_chance(p, 95) ? 0x7f : 0xff));
	t->code[n++] = fit_reg(p, opcode, escaped, modrm);
	/* SIB or a displacement, wherever there is one. */
	if (modrm >> 6 == 1 || modrm >> 6 == 2)
		t->code[n++] = (uint8_t)prng_next(p);
	/* A displacement of 4 bytes that stays near; an immediate of any kind behind it. */
	if ((modrm & 0xc7) == 5 && is_64(t) && prng_chance(p, 80)) {
		uint32_t disp = 0x1000 + prng_below(p, 0x3000);

		n = n > 20 ? 20 : n;
		for (unsigned i = 0; i < 4; i++)
			t->code[n++] = (uint8_t)(disp >> 8 * i);
	}
}

/* An operand's address: at its first page's end more often than not. */
static uint64_t pointer(struct prng *p, const struct plan *t)
{
	uint64_t base = t->based ? 0 : TWIN;

	if (prng_chance(p, 50))
		return base + 3 * PAGE - prng_below(p, 12);
	return base + 2 * PAGE + prng_below(p, 2 * PAGE);
}

static void any_registers(struct prng *p, struct plan *t)
{
	for (unsigned i = 0; i < 16; i++)
		t->gpr[i] = prng_chance(p, 60) ? pointer(p, t) : prng_below(p, 9);
	t->gpr[RAX] = prng_chance(p, 30) ? prng_value(p) : t->gpr[RAX];
	t->gpr[RCX] = prng_chance(p, 80) ? prng_below(p, 24) : t->gpr[RCX];
	if (prng_chance(p, 5))
		t->gpr[prng_below(p, 16)] = prng_value(p);
	t->gpr[RSP] = TWIN + STACK_FRAME * PAGE + 0x800;
}

static uint64_t any_entry(struct prng *p, bool code)
{
	uint64_t e = PTE_P | PTE_U | (code ? 0 : PTE_W);

	if (prng_chance(p, 12))
		e &= ~(uint64_t)PTE_P;
	if (prng_chance(p, 12))
		e &= ~(uint64_t)PTE_U;
	if (prng_chance(p, 12))
		e ^= PTE_W;
	return e;
}

static void any_plan(struct prng *p, struct plan *t)
{
	static const uint32_t holes[] = {HOLE, 0xC0000000, MEMORY_END, 0xB0018000, 0xFEF00000};
	unsigned smap = cpuid(7, 0).ebx >> 20 & 1;

	t->mode = (enum mode)prng_below(p, MODES);
	if (prng_chance(p, 40))
		t->mode = LONG;
	/* There is one 16-bit code segment, the user's. */
	t->user = t->mode == COMPAT_16 || prng_chance(p, 50);
	t->based = t->mode == COMPAT_16 || (t->mode != LONG && prng_chance(p, 30));
	t->rflags = 2 | (prng_next(p) & FLAGS_ANY) | (prng_chance(p, 20) ? FLAG_DF : 0) |
		    (prng_chance(p, 25) ? FLAG_TF : 0) | (prng_chance(p, 20) ? FLAG_AC : 0) |
		    (prng_chance(p, 10) ? FLAG_RF : 0);
	t->hole = PRNG_PICK(p, holes);
	t->cr0 = (prng_chance(p, 60) ? CR0_WP : 0) | (prng_chance(p, 50) ? CR0_AM : 0);
	t->cr4 = smap && prng_chance(p, 20) ? CR4_SMAP : 0;
	for (unsigned i = 0; i < PAGES; i++)
		t->entry[i] = any_entry(p, i < DATA_FRAME);
	/* The first page of code is the one that is entered, the stack may be used. */
	t->entry[0] = PTE_P | (t->user ? PTE_U : 0);
	t->entry[1] &= t->user ? ~0ull : ~(uint64_t)PTE_U;
	t->entry[STACK_FRAME] = PTE_P | PTE_W | PTE_U;
	write_code(p, t);
	any_registers(p, t);
	t->offset = prng_chance(p, 30) ? PAGE - 1 - prng_below(p, 12) : prng_below(p, PAGE - 64);
}

/* By one instruction, which is quick. */
static void fill_ones(void *to, unsigned bytes)
{
	uint64_t count = bytes / 8;

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(~0ull) : "memory");
}

static void set_up(const struct plan *t, bool hole)
{
	uint8_t *code = (uint8_t *)(uintptr_t)(TWIN_FRAMES + t->offset);

	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t frame = TWIN_FRAMES + i * PAGE;

		if (hole && (i == DATA_FRAME || i == DATA_FRAME + 1))
			frame = t->hole + (i - DATA_FRAME) * PAGE;
		pages_twin(i, frame | t->entry[i]);
	}
	fill_ones((void *)TWIN_FRAMES, PAGES * PAGE);
	for (unsigned i = 0; i < BYTES; i++)
		code[i] = t->code[i];
}

static uint16_t data_selector(const struct plan *t)
{
	return t->based ? SEGMENT | 3 : t->user ? USER_DATA : DATA;
}

static unsigned run_long(const struct plan *t)
{
	static const uint16_t codes[][2] = {
		{CODE64, USER_CODE64}, {CODE32, USER_CODE32}, {SEGMENT_CODE, SEGMENT_CODE}};
	struct launch start = {
		.rip = t->mode == COMPAT_16 ? t->offset : TWIN + t->offset,
		.cs = codes[t->mode][t->user],
		.ss = t->user ? USER_DATA : DATA,
		.data = data_selector(t),
		.rflags = t->rflags,
		.rsp = TWIN + STACK_FRAME * PAGE + 0x800,
		.cr3 = pages_twin_long(),
	};

	for (unsigned i = 0; i < 16; i++)
		start.gpr[i] = t->gpr[i];
	write_cr0((read_cr0() & ~(uintptr_t)(CR0_WP | CR0_AM)) | t->cr0);
	write_cr4(read_cr4() | t->cr4);
	return machine_long(&start);
}

static unsigned run_legacy(const struct plan *t)
{
	bool pae = t->mode == LEGACY_PAE;
	struct tss32 *tss = machine_act_tss();
	struct launch start = {
		.cr0 = (uint32_t)(0x31 | CR0_PG | t->cr0),
		.cr4 = (uint32_t)((pae ? CR4_PAE : CR4_PSE) | t->cr4),
		.cr3 = pae ? pages_twin_pae() : pages_twin_32(),
	};

	*tss = (struct tss32){.cr3 = (uint32_t)start.cr3,
			      .eip = TWIN + t->offset,
			      .eflags = (uint32_t)t->rflags,
			      .io_map = 0xffff};
	for (unsigned i = 0; i < 8; i++)
		tss->gpr[i] = (uint32_t)t->gpr[i];
	tss->gpr[RSP] = TWIN + STACK_FRAME * PAGE + 0x800;
	for (unsigned i = 0; i < 6; i++)
		tss->segment[i] = data_selector(t);
	tss->segment[1] = t->user ? USER_CODE32 : CODE32;
	tss->segment[2] = t->user ? USER_DATA : DATA;
	return machine_legacy(&start);
}

static struct outcome run(const struct plan *t, bool hole)
{
	bool legacy = t->mode >= LEGACY_32;
	const struct tss32 *tss = machine_act_tss();
	struct outcome o = {0};

	set_up(t, hole);
	machine_gdt()[SEGMENT / 8] = 0x0040f30000002fff | TWIN_BASE;
	machine_gdt()[SEGMENT_CODE / 8] = 0x0000fb000000ffff | TWIN_BASE;
	o.vector = legacy ? run_legacy(t) : run_long(t);
	for (unsigned i = 0; i < (legacy ? 8 : 16); i++)
		o.gpr[i] = legacy ? tss->gpr[i] : machine_landing.gpr[i];
	o.rip = legacy ? tss->eip : machine_landing.rip;
	o.rflags = legacy ? tss->eflags : machine_landing.rflags;
	o.error = (o.vector >= 10 && o.vector <= 14) || o.vector == 17
			  ? (uint32_t)machine_landing.error
			  : 0;
	o.cr2 = o.vector == TRAP_PF ? machine_landing.cr2 : 0;
	for (unsigned i = 0; i < 2; i++)
		o.marks[i] = (t->mode == LEGACY_32 ? pages_twin_entry32(DATA_FRAME + i)
						   : pages_twin_entry(DATA_FRAME + i)) &
			     MARKS;
	return o;
}

static uint64_t summary(const struct plan *t)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < 8; i++)
		bytes = bytes << 8 | t->code[i];
	return bytes;
}

/*
 * RF is set in what a single step of REP pushes, and status flags are those of before when a
 * repeated CMPS or SCAS faults: the processor that this is compared with may not know (Bochs).
 */
static uint64_t flags_that_count(const struct plan *t, const struct outcome *ram)
{
	uint64_t flags = ~0ull;

	if (ram->vector == TRAP_DB || (ram->vector == TRAP_AC && t->repeats))
		flags &= ~(uint64_t)FLAG_RF;
	if (t->compares && ram->rip == (t->mode == COMPAT_16 ? 0 : TWIN) + t->offset)
		flags &= ~(uint64_t)FLAGS_ANY;
	return flags;
}

/* Ended by what has nothing to do with it. */
static bool is_cut(const struct outcome *o)
{
	return o->vector == END_RESTARTED || o->vector == VECTOR_NMI;
}

static bool same(const struct plan *t, const struct outcome *ram, const struct outcome *hole)
{
	static const char *const names[] = {
		"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
		"R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15",
	};
	uint64_t code = summary(t), flags = flags_that_count(t, ram);
	bool good;

	if (is_cut(ram) || is_cut(hole))
		return true;
	good = chaos_expect(hole->vector, ram->vector, "the vector on nobody's memory", code);

	for (unsigned i = 0; good && i < 16; i++)
		good &= chaos_expect(hole->gpr[i], ram->gpr[i], names[i], code);
	good = good && chaos_expect(hole->rip, ram->rip, "RIP", code);
	good = good && chaos_expect(hole->rflags & flags, ram->rflags & flags, "RFLAGS", code);
	good = good && chaos_expect(hole->error, ram->error, "the error code", code);
	good = good && chaos_expect(hole->cr2, ram->cr2, "CR2", code);
	for (unsigned i = 0; i < 2; i++)
		good = good && chaos_expect(hole->marks[i], ram->marks[i], "A and D", code);
	return good;
}

void act_twin(struct prng *p)
{
	for (unsigned count = 4; count; count--) {
		struct outcome ram, hole;
		struct plan t;

		any_plan(p, &t);
		ram = run(&t, false);
		hole = run(&t, true);
		if (!same(&t, &ram, &hole)) {
			chaos_note("mode, user", t.mode, t.user);
			chaos_note("RFLAGS, entry of the first page", t.rflags,
				   t.entry[DATA_FRAME]);
			chaos_note("entry of the second page, of the code's",
				   t.entry[DATA_FRAME + 1], t.entry[1]);
			chaos_note("CR0, CR4", t.cr0, t.cr4);
			chaos_note("vector, CR2", ram.vector, ram.cr2);
			chaos_note("offset of the code, where it is nobody's", t.offset, t.hole);
		}
	}
}
