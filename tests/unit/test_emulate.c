/* SPDX-License-Identifier: MIT */
/*
 * The emulator against the CPU that runs the test: the same instruction is executed natively and
 * by emulate() on a guest that has the same linear addresses, one page of it a device, and
 * registers, flags and memory must come out alike. What a user program cannot do on its host
 * (faults, segments, 16- and 32-bit code) is checked by hand.
 *
 * SOCLE_SEED=N and SOCLE_ROUNDS=N in the environment choose other sequences, and longer ones.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/bits.h"
#include "vm/emulate.h"

/* Linear addresses, the same natively and in the guest: code, then four pages of data. */
#define FLAG_ZF	   BIT(6)
#define CODE	   0x10000000ULL
#define DATA	   0x10010000ULL
#define DATA_PAGES 4
#define DATA_SIZE  (DATA_PAGES * PAGE_SIZE)
#define DEVICE	   1 /* the page of DATA that is a device's */
#define GS_BASE	   0x5000ULL

/* Guest-physical addresses. */
#define RAM_SIZE     (1 * MIB)
#define PML4	     0x1000ULL
#define PDPT	     0x2000ULL
#define PD	     0x3000ULL
#define PT	     0x4000ULL
#define CODE_GPA     0x8000ULL
#define DATA_GPA     0x10000ULL
#define DEVICE_GPA   0xFED00000ULL

#define STATUS_FLAGS 0x8D5ULL

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, REGS = 16 };

struct machine {
	struct emulate e;
	struct guest_memory memory;
	uint64_t gpr[REGS];
	uint64_t field[EMULATE_FIELDS];
	unsigned asked[EMULATE_FIELDS];
	uint8_t *ram;
	uint8_t device[PAGE_SIZE];
	unsigned reads, writes;
	uint64_t last_gpa;
	unsigned last_size;
	struct emulate_code code;
	bool keeps_code;
};

static uint64_t seed;
static uint64_t rounds = 300000;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545F4914F6CDD1DULL;
}

static uint64_t get_field(void *ctx, enum emulate_field field)
{
	struct machine *m = ctx;

	m->asked[field]++;
	return m->field[field];
}

static void set_rflags(void *ctx, uint64_t rflags)
{
	((struct machine *)ctx)->field[EMULATE_RFLAGS] = rflags;
}

static void note_access(struct machine *m, uint64_t gpa, unsigned size)
{
	assert_true(size == 1 || size == 2 || size == 4 || size == 8);
	assert_true(gpa % PAGE_SIZE + size <= PAGE_SIZE);
	m->last_gpa = gpa;
	m->last_size = size;
}

static uint64_t mmio_read(void *ctx, uint64_t gpa, unsigned size)
{
	struct machine *m = ctx;
	uint64_t value = ~0ULL; /* what is above the size is not to be used */

	note_access(m, gpa, size);
	m->reads++;
	if (gpa - DEVICE_GPA < PAGE_SIZE)
		memcpy(&value, m->device + (gpa - DEVICE_GPA), size);
	return value;
}

static void mmio_write(void *ctx, uint64_t gpa, unsigned size, uint64_t value)
{
	struct machine *m = ctx;

	note_access(m, gpa, size);
	m->writes++;
	assert_true(size == 8 || value >> (8 * size) == 0);
	if (gpa - DEVICE_GPA < PAGE_SIZE)
		memcpy(m->device + (gpa - DEVICE_GPA), &value, size);
}

static const struct emulate_ops ops = {get_field, set_rflags, mmio_read, mmio_write};

static void put64(struct machine *m, uint64_t gpa, uint64_t value)
{
	memcpy(m->ram + gpa, &value, sizeof(value));
}

static uint64_t *pte(struct machine *m, uint64_t linear)
{
	return (uint64_t *)(void *)(m->ram + PT + 8 * (linear / PAGE_SIZE % 512));
}

/* 64-bit code at CPL 0, its pages and DATA mapped, everything accessed, dirty and a user's. */
static struct machine *new_machine(void)
{
	struct machine *m = calloc(1, sizeof(*m));

	m->ram = aligned_alloc(PAGE_SIZE, RAM_SIZE);
	memset(m->ram, 0, RAM_SIZE);
	m->memory.extent[0] = (struct guest_extent){.size = RAM_SIZE, .host = m->ram};
	m->memory.extents = 1;
	put64(m, PML4, PDPT | 0x67);
	put64(m, PDPT, PD | 0x67);
	put64(m, PD + 8 * (CODE >> 21), PT | 0x67);
	for (unsigned i = 0; i < 2; i++)
		*pte(m, CODE + i * PAGE_SIZE) = (CODE_GPA + i * PAGE_SIZE) | 0x67;
	for (unsigned i = 0; i < DATA_PAGES; i++)
		*pte(m, DATA + i * PAGE_SIZE) =
			(i == DEVICE ? DEVICE_GPA : DATA_GPA + i * PAGE_SIZE) | 0x67;
	m->field[EMULATE_CR0] = CR0_PG | CR0_PE | CR0_WP;
	m->field[EMULATE_CR3] = PML4;
	m->field[EMULATE_CR4] = CR4_PAE;
	m->field[EMULATE_EFER] = EFER_LMA | EFER_LME | EFER_NXE;
	m->field[EMULATE_RIP] = CODE;
	m->keeps_code = true;
	m->field[EMULATE_RFLAGS] = 2;
	for (unsigned i = 0; i < SEGMENTS; i++) {
		m->field[EMULATE_LIMIT + i] = UINT32_MAX;
		m->field[EMULATE_RIGHTS + i] = 0xC093;
	}
	m->field[EMULATE_RIGHTS + SEGMENT_CS] = 0xA09B;
	m->e = (struct emulate){
		.ops = &ops, .ctx = m, .memory = &m->memory, .gpr = m->gpr, .physical_bits = 40};
	return m;
}

static void free_machine(struct machine *m)
{
	free(m->ram);
	free(m);
}

static enum emulate_status run_code(struct machine *m, const void *code, size_t size,
				    struct emulate_result *result)
{
	memcpy(m->ram + CODE_GPA, code, size);
	memset(m->asked, 0, sizeof(m->asked));
	m->e.have = 0;
	if (m->keeps_code)
		emulate_keep_code(&m->e, &m->code);
	memset(result, 0xA5, sizeof(*result));
	return emulate(&m->e, result);
}

#define RUN(m, result, ...) \
	run_code(m, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), result)

/* What the CPU would have reported of an access to the device page. */
static void report_fault(struct machine *m, uint64_t offset, bool write)
{
	m->e.fault_valid = true;
	m->e.fault_write = write;
	m->e.fault_linear = DATA + DEVICE * PAGE_SIZE + offset;
	m->e.fault_gpa = DEVICE_GPA + offset;
}

#define DEVICE_LINEAR (DATA + DEVICE * PAGE_SIZE)

/* ---- The same instruction on the host's CPU ---- */

struct native {
	uint64_t gpr[REGS];
	uint64_t rflags;
};

void native_run(struct native *native);
extern uint64_t native_target;
extern char native_back[];

/* Registers are swapped in full, the stack pointer too: nothing may interrupt on that stack. */
__asm__(".data\n"
	".globl native_target\n"
	"native_target: .quad 0\n"
	"native_sp: .quad 0\n"
	"native_state: .quad 0\n"
	"native_rdi: .quad 0\n"
	".text\n"
	".globl native_run\n"
	"native_run:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"mov %rsp, native_sp(%rip)\n"
	"mov %rdi, native_state(%rip)\n"
	"pushq 128(%rdi); popfq\n"
	"mov 0(%rdi), %rax; mov 8(%rdi), %rcx; mov 16(%rdi), %rdx; mov 24(%rdi), %rbx\n"
	"mov 32(%rdi), %rsp; mov 40(%rdi), %rbp; mov 48(%rdi), %rsi\n"
	"mov 64(%rdi), %r8; mov 72(%rdi), %r9; mov 80(%rdi), %r10; mov 88(%rdi), %r11\n"
	"mov 96(%rdi), %r12; mov 104(%rdi), %r13; mov 112(%rdi), %r14; mov 120(%rdi), %r15\n"
	"mov 56(%rdi), %rdi\n"
	"jmp *native_target(%rip)\n"
	".globl native_back\n"
	"native_back:\n"
	"mov %rdi, native_rdi(%rip)\n"
	"mov native_state(%rip), %rdi\n"
	"mov %rax, 0(%rdi); mov %rcx, 8(%rdi); mov %rdx, 16(%rdi); mov %rbx, 24(%rdi)\n"
	"mov %rsp, 32(%rdi); mov %rbp, 40(%rdi); mov %rsi, 48(%rdi)\n"
	"mov %r8, 64(%rdi); mov %r9, 72(%rdi); mov %r10, 80(%rdi); mov %r11, 88(%rdi)\n"
	"mov %r12, 96(%rdi); mov %r13, 104(%rdi); mov %r14, 112(%rdi); mov %r15, 120(%rdi)\n"
	"mov native_rdi(%rip), %rax; mov %rax, 56(%rdi)\n"
	"mov native_sp(%rip), %rsp\n"
	"pushfq; popq 128(%rdi)\n"
	"cld\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"ret\n");

/* One constructed instruction and the registers it needs. */
struct trial {
	uint8_t code[32];
	unsigned length;
	unsigned opcode; /* 0x100 and up: after 0F, 0x200 and up: after 0F 38 */
	bool addressed_by_rax;
	unsigned immediate; /* bytes */
	unsigned size;
	struct native before;
};

enum {
	HAS_LOCK = 1,
	IS_8 = 2,
	IMM8 = 4,
	IMMZ = 8,
	NO_66 = 16,
	STRING = 32,
	OFFSETS = 64,
	BITS_REG = 128
};

struct recipe {
	uint16_t opcode;
	int8_t reg; /* field of ModR/M, or -1 for a register */
	uint8_t flags;
	uint8_t source; /* bytes of memory where that is not the operand size */
};

static const struct recipe recipes[] = {
	{0x00, -1, HAS_LOCK | IS_8, 0},
	{0x01, -1, HAS_LOCK, 0},
	{0x02, -1, IS_8, 0},
	{0x03, -1, 0, 0},
	{0x08, -1, HAS_LOCK | IS_8, 0},
	{0x09, -1, HAS_LOCK, 0},
	{0x0A, -1, IS_8, 0},
	{0x0B, -1, 0, 0},
	{0x10, -1, HAS_LOCK | IS_8, 0},
	{0x11, -1, HAS_LOCK, 0},
	{0x12, -1, IS_8, 0},
	{0x13, -1, 0, 0},
	{0x18, -1, HAS_LOCK | IS_8, 0},
	{0x19, -1, HAS_LOCK, 0},
	{0x1A, -1, IS_8, 0},
	{0x1B, -1, 0, 0},
	{0x20, -1, HAS_LOCK | IS_8, 0},
	{0x21, -1, HAS_LOCK, 0},
	{0x22, -1, IS_8, 0},
	{0x23, -1, 0, 0},
	{0x28, -1, HAS_LOCK | IS_8, 0},
	{0x29, -1, HAS_LOCK, 0},
	{0x2A, -1, IS_8, 0},
	{0x2B, -1, 0, 0},
	{0x30, -1, HAS_LOCK | IS_8, 0},
	{0x31, -1, HAS_LOCK, 0},
	{0x32, -1, IS_8, 0},
	{0x33, -1, 0, 0},
	{0x38, -1, IS_8, 0},
	{0x39, -1, 0, 0},
	{0x3A, -1, IS_8, 0},
	{0x3B, -1, 0, 0},
	{0x63, -1, 0, 4},
	{0x80, 0, HAS_LOCK | IS_8 | IMM8, 0},
	{0x80, 2, HAS_LOCK | IS_8 | IMM8, 0},
	{0x80, 3, IS_8 | IMM8, 0},
	{0x80, 7, IS_8 | IMM8, 0},
	{0x81, 0, HAS_LOCK | IMMZ, 0},
	{0x81, 1, HAS_LOCK | IMMZ, 0},
	{0x81, 2, IMMZ, 0},
	{0x81, 4, HAS_LOCK | IMMZ, 0},
	{0x81, 5, HAS_LOCK | IMMZ, 0},
	{0x81, 7, IMMZ, 0},
	{0x83, 0, HAS_LOCK | IMM8, 0},
	{0x83, 1, HAS_LOCK | IMM8, 0},
	{0x83, 2, IMM8, 0},
	{0x83, 3, HAS_LOCK | IMM8, 0},
	{0x83, 4, HAS_LOCK | IMM8, 0},
	{0x83, 5, IMM8, 0},
	{0x83, 6, HAS_LOCK | IMM8, 0},
	{0x83, 7, IMM8, 0},
	{0x84, -1, IS_8, 0},
	{0x85, -1, 0, 0},
	{0x86, -1, HAS_LOCK | IS_8, 0},
	{0x87, -1, HAS_LOCK, 0},
	{0x88, -1, IS_8, 0},
	{0x89, -1, 0, 0},
	{0x8A, -1, IS_8, 0},
	{0x8B, -1, 0, 0},
	{0xA0, 0, IS_8 | OFFSETS, 0},
	{0xA1, 0, OFFSETS, 0},
	{0xA2, 0, IS_8 | OFFSETS, 0},
	{0xA3, 0, OFFSETS, 0},
	{0xA4, 0, STRING | IS_8, 0},
	{0xA5, 0, STRING, 0},
	{0xA6, 0, STRING | IS_8, 0},
	{0xA7, 0, STRING, 0},
	{0xAA, 0, STRING | IS_8, 0},
	{0xAB, 0, STRING, 0},
	{0xAC, 0, STRING | IS_8, 0},
	{0xAD, 0, STRING, 0},
	{0xAE, 0, STRING | IS_8, 0},
	{0xAF, 0, STRING, 0},
	{0xC6, 0, IS_8 | IMM8, 0},
	{0xC7, 0, IMMZ, 0},
	{0xF6, 0, IS_8 | IMM8, 0},
	{0xF7, 0, IMMZ, 0},
	{0xF7, 1, IMMZ, 0},
	{0xF6, 2, HAS_LOCK | IS_8, 0},
	{0xF7, 2, HAS_LOCK, 0},
	{0xF6, 3, HAS_LOCK | IS_8, 0},
	{0xF7, 3, HAS_LOCK, 0},
	{0xFE, 0, HAS_LOCK | IS_8, 0},
	{0xFE, 1, HAS_LOCK | IS_8, 0},
	{0xFF, 0, HAS_LOCK, 0},
	{0xFF, 1, HAS_LOCK, 0},
	{0x1A3, -1, BITS_REG, 0},
	{0x1AB, -1, HAS_LOCK | BITS_REG, 0},
	{0x1B3, -1, HAS_LOCK | BITS_REG, 0},
	{0x1BB, -1, HAS_LOCK | BITS_REG, 0},
	{0x1BA, 4, IMM8, 0},
	{0x1BA, 5, HAS_LOCK | IMM8, 0},
	{0x1BA, 6, HAS_LOCK | IMM8, 0},
	{0x1BA, 7, HAS_LOCK | IMM8, 0},
	{0x1B0, -1, HAS_LOCK | IS_8, 0},
	{0x1B1, -1, HAS_LOCK, 0},
	{0x1B6, -1, 0, 1},
	{0x1B7, -1, 0, 2},
	{0x1BE, -1, 0, 1},
	{0x1BF, -1, 0, 2},
	{0x1C0, -1, HAS_LOCK | IS_8, 0},
	{0x1C1, -1, HAS_LOCK, 0},
	{0x1C3, -1, NO_66, 0},
	{0x2F0, -1, 0, 0},
	{0x2F1, -1, 0, 0},
};

static unsigned below(unsigned n)
{
	return (unsigned)(next_random() >> 32) % n;
}

static void put(struct trial *t, unsigned byte)
{
	t->code[t->length++] = (uint8_t)byte;
}

static void put_number(struct trial *t, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		put(t, (uint8_t)(value >> (8 * i)));
}

/* A target whose operand lies in DATA, near a border of the device page half of the time. */
static uint64_t pick_target(void)
{
	uint64_t border = DEVICE_LINEAR + below(2) * PAGE_SIZE;

	if (below(2))
		return border - 12 + below(24);
	return DATA + 1200 + below(DATA_SIZE - 2400);
}

struct shape {
	unsigned reg;	/* field of ModR/M, with REX.R */
	unsigned base;	/* 0..15 */
	unsigned index; /* 0..15, 4 for none */
	unsigned scale;
	unsigned form; /* 0: base, 1: base + index, 2: RIP, 3: absolute, 4: index alone */
	bool a32, gs;
	int32_t displacement;
};

/* Sets the registers so that the address comes out as `target`. */
static void aim(struct trial *t, struct shape *s, uint64_t target)
{
	uint64_t *gpr = t->before.gpr;
	uint64_t junk = s->a32 ? next_random() << 32 : 0;

	t->addressed_by_rax = s->form < 2 ? s->base == RAX || (s->form && s->index == RAX)
					  : s->form == 4 && s->index == RAX;
	if (s->gs)
		target -= GS_BASE;
	s->displacement = (int32_t)next_random();
	if (s->form == 0) {
		gpr[s->base] = target - (uint64_t)s->displacement;
	} else if (s->form == 1) {
		if (s->base == s->index)
			gpr[s->index] = 0x1234;
		gpr[s->base] = target - (uint64_t)s->displacement -
			       (s->index == 4 ? 0 : gpr[s->index] << s->scale);
	} else if (s->form == 4) {
		uint64_t steps = below(4096);

		gpr[s->index] = steps + junk;
		s->displacement = (int32_t)(target - (steps << s->scale));
		return;
	} else {
		s->displacement = (int32_t)target;
		return;
	}
	gpr[s->base] = s->a32 ? (uint32_t)gpr[s->base] + junk : gpr[s->base];
}

static void put_address(struct trial *t, const struct shape *s, unsigned immediate)
{
	unsigned reg = (s->reg & 7) << 3;
	uint64_t displacement = (uint64_t)s->displacement;

	if (s->form == 0 && (s->base & 7) != 4) {
		put(t, 0x80 | reg | (s->base & 7));
	} else if (s->form == 2) {
		put(t, 0x05 | reg);
		displacement -= CODE + t->length + 4 + immediate;
	} else {
		put(t, (s->form == 0 || s->form == 1 ? 0x80 : 0x00) | reg | 4);
		put(t, s->scale << 6 | (s->form == 0 || s->form == 3 ? 4 : s->index & 7) << 3 |
			       (s->form >= 3 ? 5 : s->base & 7));
	}
	put_number(t, displacement, 4);
}

static void pick_shape(struct shape *s, const struct recipe *recipe)
{
	s->reg = recipe->reg < 0 ? below(16) : (unsigned)recipe->reg | below(2) << 3;
	s->base = below(16);
	s->index = below(16);
	s->scale = below(4);
	s->form = below(5);
	if (s->form == 4 && s->index == 4)
		s->form = 3;
	if (s->form == 1 && s->base == s->index)
		s->form = 0;
	s->a32 = below(4) == 0;
	s->gs = below(8) == 0 && !s->a32;
}

/* Keeps a bit offset from a register within some 1000 bytes of the target. */
static void tame_offset(struct trial *t, const struct shape *s, unsigned size)
{
	uint64_t offset = (uint64_t)(int64_t)((int)below(16000) - 8000);
	uint64_t mask = mask_bytes(size);
	uint64_t *reg = &t->before.gpr[s->reg];

	*reg = (*reg & ~mask) | (offset & mask);
}

static void put_prefixes(struct trial *t, const struct recipe *recipe, const struct shape *s,
			 unsigned *rex)
{
	bool wide = below(3) == 0, narrow = !(recipe->flags & NO_66) && below(3) == 0;

	*rex = (s->reg & 8 ? 4 : 0) | (wide ? 8 : 0);
	if (s->form < 2)
		*rex |= s->base & 8 ? 1 : 0;
	if ((s->form == 1 || s->form == 4) && s->index & 8)
		*rex |= 2;
	if (*rex || below(2))
		*rex |= 0x40;
	t->size = wide ? 8 : narrow ? 2 : 4;
	if (recipe->opcode == 0x63 && t->size == 2) /* its source is not the same everywhere */
		narrow = false, t->size = 4;
	if (recipe->flags & IS_8)
		t->size = 1;
	if (narrow)
		put(t, 0x66);
	if (s->a32)
		put(t, 0x67);
	if (s->gs)
		put(t, 0x65);
	if ((recipe->flags & HAS_LOCK) && below(4) == 0)
		put(t, 0xF0);
}

static void put_opcode(struct trial *t, unsigned rex, unsigned opcode)
{
	if (rex)
		put(t, rex);
	if (opcode >= 0x100)
		put(t, 0x0F);
	if (opcode >= 0x200)
		put(t, 0x38);
	put(t, opcode & 0xFF);
	t->opcode = opcode;
}

static void construct_string(struct trial *t, const struct recipe *recipe)
{
	struct shape s = {.form = 5, .a32 = below(4) == 0, .gs = false};
	uint64_t junk = s.a32 ? next_random() << 32 : 0;
	unsigned rex, repeat = below(4);
	uint64_t *gpr = t->before.gpr;

	put_prefixes(t, recipe, &s, &rex);
	if (repeat)
		put(t, repeat == 1 ? 0xF2 : 0xF3);
	put_opcode(t, rex, recipe->opcode);
	gpr[RSI] = pick_target() + junk;
	gpr[RDI] = pick_target() + junk;
	gpr[RCX] = repeat ? 1 + below(EMULATE_SLICE - 1) + junk : gpr[RCX];
	if (below(2))
		t->before.rflags |= 1 << 10;
}

static void construct(struct trial *t)
{
	const struct recipe *recipe = &recipes[below(ARRAY_SIZE(recipes))];
	struct shape s;
	unsigned rex;

	memset(t, 0, sizeof(*t));
	for (unsigned i = 0; i < REGS; i++)
		t->before.gpr[i] = next_random();
	t->before.rflags = 0x202 | (next_random() & STATUS_FLAGS);
	if (recipe->flags & STRING) {
		construct_string(t, recipe);
		return;
	}
	pick_shape(&s, recipe);
	if (recipe->flags & OFFSETS)
		s.form = 3;
	put_prefixes(t, recipe, &s, &rex);
	put_opcode(t, rex, recipe->opcode);
	t->immediate = recipe->flags & IMM8 ? 1 : recipe->flags & IMMZ ? MIN(t->size, 4u) : 0;
	if (recipe->flags & BITS_REG)
		tame_offset(t, &s, t->size);
	aim(t, &s, pick_target());
	if (recipe->flags & OFFSETS)
		put_number(t, (uint64_t)s.displacement, s.a32 ? 4 : 8);
	else
		put_address(t, &s, t->immediate);
	put_number(t, next_random(), t->immediate);
	/* An offset register that is also an address register was spoilt: leave it out. */
	if ((recipe->flags & BITS_REG) &&
	    ((s.form < 2 && s.reg == s.base) || (s.form == 1 && s.reg == s.index) ||
	     (s.form == 4 && s.reg == s.index)))
		construct(t);
}

/* CF alone is defined after a bit test. */
static uint64_t defined_flags(const struct trial *t)
{
	unsigned op = t->opcode;

	if (op == 0x1A3 || op == 0x1AB || op == 0x1B3 || op == 0x1BB || op == 0x1BA)
		return 1;
	return STATUS_FLAGS | 1 << 10;
}

static void load_data(struct machine *m)
{
	uint8_t *native = (uint8_t *)DATA;

	for (unsigned i = 0; i < DATA_SIZE; i += 8) {
		uint64_t value = below(3) ? next_random() : 0x0101010101010101ULL * below(256);

		memcpy(native + i, &value, 8);
	}
	memcpy(m->ram + DATA_GPA, native, DATA_SIZE);
	memcpy(m->device, native + DEVICE * PAGE_SIZE, PAGE_SIZE);
}

static void compare(const struct machine *m, const struct trial *t, const struct native *after)
{
	const uint8_t *native = (const uint8_t *)DATA;
	uint64_t flags = defined_flags(t);
	bool same = memcmp(m->gpr, after->gpr, sizeof(m->gpr)) == 0 &&
		    ((m->field[EMULATE_RFLAGS] ^ after->rflags) & flags) == 0;

	for (unsigned i = 0; i < DATA_PAGES; i++)
		same = same && memcmp(native + i * PAGE_SIZE,
				      i == DEVICE ? m->device : m->ram + DATA_GPA + i * PAGE_SIZE,
				      PAGE_SIZE) == 0;
	if (same)
		return;
	for (unsigned i = 0; i < t->length; i++)
		fprintf(stderr, "%02x ", t->code[i]);
	for (unsigned i = 0; i < REGS; i++)
		if (m->gpr[i] != after->gpr[i])
			fprintf(stderr, "\nregister %u: %llx, CPU %llx, before %llx", i,
				(unsigned long long)m->gpr[i], (unsigned long long)after->gpr[i],
				(unsigned long long)t->before.gpr[i]);
	fprintf(stderr, "\nflags %llx, CPU %llx, before %llx\n",
		(unsigned long long)m->field[EMULATE_RFLAGS], (unsigned long long)after->rflags,
		(unsigned long long)t->before.rflags);
	fail_msg("differs from the CPU");
}

/* cmpxchg: half of the time the comparison should succeed. */
static void help_cmpxchg(struct trial *t, const struct native *first)
{
	if ((t->opcode == 0x1B0 || t->opcode == 0x1B1) && !t->addressed_by_rax && below(2))
		t->before.gpr[RAX] = first->gpr[RAX];
}

static void run_native(const struct trial *t, struct native *state)
{
	uint8_t *code = (uint8_t *)CODE;
	uint64_t back = (uint64_t)(uintptr_t)native_back;

	memcpy(code, t->code, t->length);
	memcpy(code + t->length, "\xFF\x25\0\0\0\0", 6); /* jmp *0(%rip) */
	memcpy(code + t->length + 6, &back, 8);
	*state = t->before;
	native_run(state);
}

static void try_once(struct machine *m, struct trial *t)
{
	struct emulate_result result;
	struct native after;
	uint64_t have_fault = below(2);

	load_data(m);
	run_native(t, &after);
	memcpy((uint8_t *)DATA, m->ram + DATA_GPA, DATA_SIZE);
	memcpy((uint8_t *)DEVICE_LINEAR, m->device, PAGE_SIZE);
	help_cmpxchg(t, &after);
	run_native(t, &after);

	memcpy(m->gpr, t->before.gpr, sizeof(m->gpr));
	m->field[EMULATE_RFLAGS] = t->before.rflags;
	/* As after an exit, or as if the CPU had reported nothing of use. */
	m->e.fault_valid = false;
	if (have_fault)
		report_fault(m, below(PAGE_SIZE), below(2));
	assert_int_equal(run_code(m, t->code, t->length, &result), EMULATE_DONE);
	assert_int_equal(result.length, t->length);
	for (unsigned i = 0; i < EMULATE_FIELDS; i++)
		assert_true(m->asked[i] <= 1);
	compare(m, t, &after);
}

static void map_native(void)
{
	void *code = mmap((void *)CODE, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	void *data = mmap((void *)DATA, DATA_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	assert_ptr_equal(code, (void *)CODE);
	assert_ptr_equal(data, (void *)DATA);
	native_target = CODE;
	assert_int_equal(syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, GS_BASE), 0);
}

static void test_native(void **state)
{
	struct machine *m = new_machine();
	struct trial t;

	(void)state;
	map_native();
	m->field[EMULATE_BASE + SEGMENT_GS] = GS_BASE;
	/* Bases of the others mean nothing in 64-bit mode. */
	m->field[EMULATE_BASE + SEGMENT_DS] = 0x77777000;
	m->field[EMULATE_BASE + SEGMENT_ES] = 0x66666000;
	for (uint64_t i = 0; i < rounds; i++) {
		construct(&t);
		try_once(m, &t);
	}
	assert_true(m->reads > rounds / 10);
	assert_true(m->writes > rounds / 10);
	free_machine(m);
}

/* ---- By hand ---- */

static unsigned asked_in_all(const struct machine *m)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < EMULATE_FIELDS; i++)
		sum += m->asked[i];
	return sum;
}

static void faulted(enum emulate_status status, const struct emulate_result *result,
		    unsigned vector, uint32_t error_code)
{
	assert_int_equal(status, EMULATE_FAULT);
	assert_int_equal(result->vector, vector);
	assert_int_equal(result->error_code, error_code);
}

/* Protected mode without paging: linear addresses are physical ones. */
static void make_legacy(struct machine *m, uint64_t code_rights)
{
	m->field[EMULATE_CR0] = CR0_PE;
	m->field[EMULATE_EFER] = 0;
	m->field[EMULATE_CR4] = 0;
	m->field[EMULATE_RIP] = 0;
	m->field[EMULATE_BASE + SEGMENT_CS] = CODE_GPA;
	m->field[EMULATE_RIGHTS + SEGMENT_CS] = code_rights;
	m->field[EMULATE_BASE + SEGMENT_DS] = DEVICE_GPA;
}

/* The common case asks for nothing beyond what the fetch and the address need. */
static void test_lazy(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	report_fault(m, 0x10, true);
	m->gpr[RDI] = DEVICE_LINEAR;
	m->device[0x10] = 0x42;
	assert_int_equal(RUN(m, &result, 0x8B, 0x47, 0x10), EMULATE_DONE);
	assert_int_equal(result.length, 3);
	assert_int_equal(m->gpr[RAX], 0x42);
	assert_int_equal(m->reads, 1);
	assert_int_equal(m->last_gpa, DEVICE_GPA + 0x10);
	assert_int_equal(m->last_size, 4);
	assert_int_equal(m->asked[EMULATE_RFLAGS], 0);
	assert_int_equal(m->asked[EMULATE_CR0], 0);
	assert_true(asked_in_all(m) <= 6);
	/* Fields that the caller has filled in are not asked for. */
	m->e.have = 0;
	for (unsigned i = 0; i < EMULATE_FIELDS; i++) {
		m->e.value[i] = m->field[i];
		m->e.have |= BIT(i);
	}
	memset(m->asked, 0, sizeof(m->asked));
	assert_int_equal(emulate(&m->e, &result), EMULATE_DONE);
	assert_int_equal(asked_in_all(m), 0);
	free_machine(m);
}

static void test_page_faults(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	m->gpr[RDI] = DATA;
	*pte(m, DATA) = 0;
	faulted(RUN(m, &result, 0x89, 0x07), &result, 14, 2);
	assert_int_equal(result.cr2, DATA);
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 14, 0);
	faulted(RUN(m, &result, 0x01, 0x07), &result, 14, 2); /* read and write: a write */
	m->field[EMULATE_RIGHTS + SEGMENT_SS] |= 3 << 5;
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 14, 4);
	*pte(m, DATA) = DATA_GPA | 0x63;
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 14, 5);
	*pte(m, DATA) = DATA_GPA | 0x65;
	faulted(RUN(m, &result, 0x89, 0x07), &result, 14, 7);
	assert_int_equal(RUN(m, &result, 0x8B, 0x07), EMULATE_DONE);
	/* A supervisor's write to a read-only page depends on CR0.WP. */
	m->field[EMULATE_RIGHTS + SEGMENT_SS] &= ~(uint64_t)(3 << 5);
	faulted(RUN(m, &result, 0x89, 0x07), &result, 14, 3);
	m->field[EMULATE_CR0] &= ~CR0_WP;
	assert_int_equal(RUN(m, &result, 0x89, 0x07), EMULATE_DONE);
	/* SMAP: by RFLAGS.AC. */
	m->field[EMULATE_CR4] |= CR4_SMAP;
	*pte(m, CODE) &= ~4ULL;
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 14, 1);
	m->field[EMULATE_RFLAGS] |= RFLAGS_AC;
	assert_int_equal(RUN(m, &result, 0x8B, 0x07), EMULATE_DONE);
	free_machine(m);
}

/* Both pages are checked before either is touched; CR2 is where the second begins. */
static void test_straddling_fault(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	m->gpr[RDI] = DEVICE_LINEAR + PAGE_SIZE - 2;
	m->gpr[RAX] = 0x11223344;
	*pte(m, DEVICE_LINEAR + PAGE_SIZE) = 0;
	report_fault(m, PAGE_SIZE - 2, true);
	faulted(RUN(m, &result, 0x89, 0x07), &result, 14, 2);
	assert_int_equal(result.cr2, DEVICE_LINEAR + PAGE_SIZE);
	assert_int_equal(m->writes, 0);
	*pte(m, DEVICE_LINEAR + PAGE_SIZE) = DATA_GPA | 0x67;
	assert_int_equal(RUN(m, &result, 0x89, 0x07), EMULATE_DONE);
	assert_int_equal(m->device[PAGE_SIZE - 1], 0x33);
	assert_int_equal(m->ram[DATA_GPA], 0x22);
	assert_int_equal(m->ram[DATA_GPA + 1], 0x11);
	free_machine(m);
}

static void test_canonical(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	m->gpr[RDI] = m->gpr[RSP] = m->gpr[RBP] = 0x800000000000ULL;
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 13, 0);
	faulted(RUN(m, &result, 0x8B, 0x04, 0x24), &result, 12, 0);
	faulted(RUN(m, &result, 0x8B, 0x45, 0x00), &result, 12, 0);
	faulted(RUN(m, &result, 0x65, 0x8B, 0x45, 0x00), &result, 13, 0);
	m->gpr[RDI] = 0x7FFFFFFFFFFEULL;
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 13, 0);
	m->gpr[RDI] = 0xFFFF7FFFFFFFFFFFULL;
	faulted(RUN(m, &result, 0x8A, 0x07), &result, 13, 0);
	m->gpr[RDI] = 0xFFFF800000000000ULL;
	faulted(RUN(m, &result, 0x8A, 0x07), &result, 14, 0);
	free_machine(m);
}

static void test_alignment_check(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	m->gpr[RDI] = DATA + 2;
	m->field[EMULATE_RIGHTS + SEGMENT_SS] |= 3 << 5;
	m->field[EMULATE_CR0] |= CR0_AM;
	assert_int_equal(RUN(m, &result, 0x8B, 0x07), EMULATE_DONE);
	m->field[EMULATE_RFLAGS] |= RFLAGS_AC;
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 17, 0);
	assert_int_equal(RUN(m, &result, 0x66, 0x8B, 0x07), EMULATE_DONE);
	free_machine(m);
}

static void test_fetch(void **state)
{
	static const uint8_t load[] = {0x8B, 0x87, 0, 0, 0, 0}; /* mov 0(%rdi), %eax */
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	m->gpr[RDI] = DATA;
	m->field[EMULATE_RIP] = CODE + PAGE_SIZE - 3;
	memcpy(m->ram + CODE_GPA + PAGE_SIZE - 3, load, sizeof(load));
	m->e.have = 0;
	assert_int_equal(emulate(&m->e, &result), EMULATE_DONE);
	assert_int_equal(result.length, 6);
	*pte(m, CODE + PAGE_SIZE) = 0;
	m->e.have = 0;
	faulted(emulate(&m->e, &result), &result, 14, 0x10);
	assert_int_equal(result.cr2, CODE + PAGE_SIZE);
	/* One that ends with the page needs no other. */
	m->field[EMULATE_RIP] = CODE + PAGE_SIZE - 6;
	memcpy(m->ram + CODE_GPA + PAGE_SIZE - 6, load, sizeof(load));
	m->e.have = 0;
	assert_int_equal(emulate(&m->e, &result), EMULATE_DONE);
	free_machine(m);
}

/* A code page that was found before is walked again when anything on the way has changed. */
static void test_known_code(void **state)
{
	static const uint8_t load[] = {0x8B, 0x07}, other[] = {0x8B, 0x0F};
	struct machine *m = new_machine();
	struct emulate_result result;
	uint64_t *pml4e = (uint64_t *)(void *)(m->ram + PML4);

	(void)state;
	m->gpr[RDI] = DATA;
	memcpy(m->ram + CODE_GPA + PAGE_SIZE, other, sizeof(other));
	assert_int_equal(RUN(m, &result, 0x8B, 0x07), EMULATE_DONE);
	assert_int_equal(m->code.record.count, 4);
	assert_int_equal(run_code(m, load, 2, &result), EMULATE_DONE);
	/* The page's own entry. */
	*pte(m, CODE) = (CODE_GPA + PAGE_SIZE) | 0x67;
	assert_int_equal(run_code(m, load, 2, &result), EMULATE_DONE);
	assert_memory_equal(result.code, other, 2);
	/* An entry above it, its rights, and the control registers. */
	*pml4e &= ~1ULL;
	faulted(run_code(m, load, 2, &result), &result, 14, 0x10);
	*pml4e |= 1;
	assert_int_equal(run_code(m, load, 2, &result), EMULATE_DONE);
	*pml4e |= BIT(63);
	faulted(run_code(m, load, 2, &result), &result, 14, 0x11);
	*pml4e &= ~BIT(63);
	assert_int_equal(run_code(m, load, 2, &result), EMULATE_DONE);
	m->field[EMULATE_CR4] |= CR4_SMEP;
	faulted(run_code(m, load, 2, &result), &result, 14, 0x11);
	m->field[EMULATE_CR4] &= ~CR4_SMEP;
	assert_int_equal(run_code(m, load, 2, &result), EMULATE_DONE);
	*pte(m, CODE) &= ~4ULL;
	assert_int_equal(run_code(m, load, 2, &result), EMULATE_DONE);
	m->field[EMULATE_RIGHTS + SEGMENT_SS] |= 3 << 5;
	faulted(run_code(m, load, 2, &result), &result, 14, 0x15);
	m->field[EMULATE_RIGHTS + SEGMENT_SS] &= ~(uint64_t)(3 << 5);
	m->field[EMULATE_CR3] = 0xC000;
	faulted(run_code(m, load, 2, &result), &result, 14, 0x10);
	m->field[EMULATE_CR3] = PML4;
	/* Without a place to keep it nothing is kept. */
	m->keeps_code = false;
	memset(&m->code, 0, sizeof(m->code));
	assert_int_equal(run_code(m, load, 2, &result), EMULATE_DONE);
	assert_int_equal(m->code.record.count, 0);
	free_machine(m);
}

/* The same bytes mean the same only in the same mode, and with the same last byte. */
static void test_known_insn(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	m->gpr[RDI] = DATA;
	m->gpr[RBX] = DATA_GPA;
	for (unsigned i = 0; i < 3; i++) {
		m->gpr[RAX] = ~0ULL;
		assert_int_equal(RUN(m, &result, 0x8B, 0x07), EMULATE_DONE);
		assert_int_equal(m->gpr[RAX], 0);
		assert_int_equal(result.length, 2);
	}
	/* Fifteen bytes: an offset of 8 of them and prefixes. */
	for (unsigned i = 0; i < 2; i++) {
		put64(m, DATA_GPA + 8 * i, 0x1111 * (i + 1));
		assert_int_equal(RUN(m, &result, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x8B, 0x04,
				     0x25, (uint8_t)(8 * i), 0, DATA >> 16 & 0xFF, DATA >> 24),
				 EMULATE_DONE);
		assert_int_equal(m->gpr[RAX], 0x1111 * (i + 1));
	}
	RUN(m, &result, 0x8B, 0x07); /* in 16-bit code: mov (%bx), %ax */
	make_legacy(m, 0x9B);
	m->field[EMULATE_BASE + SEGMENT_DS] = DATA_GPA;
	m->gpr[RBX] = 8;
	m->gpr[RAX] = ~0ULL;
	assert_int_equal(RUN(m, &result, 0x8B, 0x07), EMULATE_DONE);
	assert_int_equal(m->gpr[RAX], 0xFFFFFFFFFFFF2222);
	free_machine(m);
}

static void test_refused(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	m->gpr[RDI] = DATA;
	faulted(RUN(m, &result, 0xF0, 0x89, 0x07), &result, 6, 0);
	faulted(RUN(m, &result, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		    0x66, 0x66, 0x66, 0x8B, 0x07),
		&result, 13, 0);
	assert_int_equal(RUN(m, &result, 0x0F, 0x28, 0x07), EMULATE_UNSUPPORTED);
	assert_int_equal(result.code_length, 15);
	assert_memory_equal(result.code, "\x0F\x28\x07", 3);
	*pte(m, CODE) = DEVICE_GPA | 0x67;
	assert_int_equal(RUN(m, &result, 0x8B, 0x07), EMULATE_UNSUPPORTED);
	assert_int_equal(result.code_length, 0);
	free_machine(m);
}

/* What the CPU reported goes to the device even where there is RAM: a page protected by EPT. */
static void test_protected_ram(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	m->gpr[RDI] = DATA;
	m->e.fault_valid = m->e.fault_write = true;
	m->e.fault_linear = DATA;
	m->e.fault_gpa = DATA_GPA;
	assert_int_equal(RUN(m, &result, 0x89, 0x07), EMULATE_DONE);
	assert_int_equal(m->writes, 1);
	assert_int_equal(m->last_gpa, DATA_GPA);
	/* The same page by another linear address. */
	*pte(m, DATA + 2 * PAGE_SIZE) = DATA_GPA | 0x67;
	m->gpr[RDI] = DATA + 2 * PAGE_SIZE + 8;
	assert_int_equal(RUN(m, &result, 0x89, 0x07), EMULATE_DONE);
	assert_int_equal(m->writes, 2);
	assert_int_equal(m->last_gpa, DATA_GPA + 8);
	free_machine(m);
}

/* A report of a read does not vouch for a write: the page may be read-only. */
static void test_read_report(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	m->gpr[RDI] = DEVICE_LINEAR;
	report_fault(m, 0, false);
	*pte(m, DEVICE_LINEAR) = DEVICE_GPA | 0x65;
	assert_int_equal(RUN(m, &result, 0x8B, 0x07), EMULATE_DONE);
	faulted(RUN(m, &result, 0x09, 0x07), &result, 14, 3);
	assert_int_equal(m->reads, 1);
	assert_int_equal(m->writes, 0);
	free_machine(m);
}

static void test_rep_slices(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;
	unsigned calls = 1;

	(void)state;
	m->gpr[RDI] = DEVICE_LINEAR;
	m->gpr[RCX] = 1000;
	m->gpr[RAX] = 0x5A5A5A5A;
	report_fault(m, 0, true);
	for (;; calls++) {
		enum emulate_status status = RUN(m, &result, 0xF3, 0xAB);

		assert_int_equal(m->gpr[RDI], DEVICE_LINEAR + 4 * (1000 - m->gpr[RCX]));
		assert_int_equal(m->writes, 1000 - m->gpr[RCX]);
		if (status == EMULATE_DONE)
			break;
		assert_int_equal(status, EMULATE_AGAIN);
		assert_true(m->gpr[RCX] > 0 && m->gpr[RCX] < 1000);
	}
	assert_int_equal(m->gpr[RCX], 0);
	assert_true(calls >= 1000 / 256);
	/* No count, no access. */
	assert_int_equal(RUN(m, &result, 0xF3, 0xAB), EMULATE_DONE);
	assert_int_equal(m->writes, 1000);
	free_machine(m);
}

/* A single step ends after each iteration but the last, with the flags of that one. */
static void test_rep_steps(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	m->field[EMULATE_RFLAGS] |= RFLAGS_TF | FLAG_ZF;
	m->gpr[RDI] = DEVICE_LINEAR;
	m->gpr[RCX] = 3;
	m->gpr[RAX] = 0;
	memset(m->device, 0x55, sizeof(m->device));
	report_fault(m, 0, false);
	for (unsigned left = 2; left > 0; left--) {
		assert_int_equal(RUN(m, &result, 0xF2, 0xAF), EMULATE_AGAIN);
		assert_int_equal(m->gpr[RCX], left);
		assert_false(m->field[EMULATE_RFLAGS] & FLAG_ZF);
	}
	assert_int_equal(RUN(m, &result, 0xF2, 0xAF), EMULATE_DONE);
	assert_int_equal(m->gpr[RCX], 0);
	free_machine(m);
}

/* A fault in the middle keeps what was done, and the flags of before. */
static void test_rep_fault(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	m->gpr[RSI] = DEVICE_LINEAR;
	m->gpr[RDI] = DATA + 3 * PAGE_SIZE - 10;
	m->gpr[RCX] = 64;
	*pte(m, DATA + 3 * PAGE_SIZE) = 0;
	memset(m->device, 0x77, PAGE_SIZE);
	report_fault(m, 0, false);
	faulted(RUN(m, &result, 0xF3, 0xA4), &result, 14, 2);
	assert_int_equal(result.cr2, DATA + 3 * PAGE_SIZE);
	assert_int_equal(m->gpr[RCX], 54);
	assert_int_equal(m->gpr[RSI], DEVICE_LINEAR + 10);
	assert_int_equal(m->gpr[RDI], DATA + 3 * PAGE_SIZE);
	assert_int_equal(m->reads, 10); /* the eleventh byte was not taken from the device */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(m->ram[DATA_GPA + 3 * PAGE_SIZE - 10 + i], 0x77);
	m->gpr[RDI] -= 10;
	m->gpr[RSI] -= 10;
	m->field[EMULATE_RFLAGS] = 2 | 0x91;
	faulted(RUN(m, &result, 0xF3, 0xA6), &result, 14, 0);
	assert_int_equal(m->gpr[RCX], 44);
	assert_int_equal(m->field[EMULATE_RFLAGS], 2 | 0x91);
	free_machine(m);
}

static void test_segments32(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;
	uint64_t *ds = &m->field[EMULATE_RIGHTS + SEGMENT_DS];

	(void)state;
	make_legacy(m, 0xC09B);
	m->gpr[RDI] = 0x20;
	m->field[EMULATE_LIMIT + SEGMENT_DS] = 0x23;
	assert_int_equal(RUN(m, &result, 0x89, 0x07), EMULATE_DONE);
	assert_int_equal(m->last_gpa, DEVICE_GPA + 0x20);
	m->gpr[RDI] = 0x21;
	faulted(RUN(m, &result, 0x89, 0x07), &result, 13, 0);
	m->gpr[RDI] = 0;
	*ds = 0xC091; /* read-only */
	assert_int_equal(RUN(m, &result, 0x8B, 0x07), EMULATE_DONE);
	faulted(RUN(m, &result, 0x89, 0x07), &result, 13, 0);
	*ds = 0xC099; /* code that is only executed */
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 13, 0);
	*ds = 0xC09B;
	assert_int_equal(RUN(m, &result, 0x8B, 0x07), EMULATE_DONE);
	faulted(RUN(m, &result, 0x89, 0x07), &result, 13, 0);
	*ds = 0x10000; /* null */
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 13, 0);
	m->field[EMULATE_LIMIT + SEGMENT_SS] = 0xFFF;
	m->gpr[RBP] = 0xFFE;
	faulted(RUN(m, &result, 0x8B, 0x45, 0x00), &result, 12, 0);
	faulted(RUN(m, &result, 0x36, 0x8B, 0x45, 0x00), &result, 12, 0);
	free_machine(m);
}

static void test_expand_down(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	make_legacy(m, 0xC09B);
	m->field[EMULATE_RIGHTS + SEGMENT_DS] = 0xC097;
	m->field[EMULATE_LIMIT + SEGMENT_DS] = 0xFFF;
	m->gpr[RDI] = 0xFFF;
	faulted(RUN(m, &result, 0x8A, 0x07), &result, 13, 0);
	m->gpr[RDI] = 0x1000;
	assert_int_equal(RUN(m, &result, 0x8B, 0x07), EMULATE_DONE);
	m->gpr[RDI] = 0xFFFFFFFE;
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 13, 0);
	m->field[EMULATE_RIGHTS + SEGMENT_DS] = 0x8097;
	m->gpr[RDI] = 0xFFFE;
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 13, 0);
	assert_int_equal(RUN(m, &result, 0x66, 0x8B, 0x07), EMULATE_DONE);
	free_machine(m);
}

static void test_code_limit(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	make_legacy(m, 0xC09B);
	m->field[EMULATE_LIMIT + SEGMENT_CS] = 1;
	assert_int_equal(RUN(m, &result, 0x8B, 0x07), EMULATE_DONE);
	m->field[EMULATE_LIMIT + SEGMENT_CS] = 0;
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 13, 0);
	m->field[EMULATE_RIP] = 1;
	faulted(RUN(m, &result, 0x8B, 0x07), &result, 13, 0);
	free_machine(m);
}

/* CS.L without EFER.LMA is 32- or 16-bit code by CS.D. */
static void test_modes(void **state)
{
	struct machine *m = new_machine();

	(void)state;
	m->e.have = 0;
	assert_int_equal(emulate_mode(&m->e), INSN_MODE_64);
	make_legacy(m, 0xA09B);
	m->e.have = 0;
	assert_int_equal(emulate_mode(&m->e), INSN_MODE_16);
	make_legacy(m, 0xE09B);
	m->e.have = 0;
	assert_int_equal(emulate_mode(&m->e), INSN_MODE_32);
	assert_int_equal(emulate_cpl(&m->e), 0);
	free_machine(m);
}

static void test_real_mode(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	make_legacy(m, 0x9B);
	m->field[EMULATE_CR0] = 0;
	m->field[EMULATE_BASE + SEGMENT_DS] = DATA_GPA;
	for (unsigned i = 0; i < SEGMENTS; i++)
		m->field[EMULATE_LIMIT + i] = 0xFFFF;
	m->ram[DATA_GPA + 0x1233] = 0x99;
	m->gpr[RBX] = 0xABCD0000F234;
	m->gpr[RSI] = 0x1FFF;
	m->gpr[RAX] = 0x1122334455667788;
	assert_int_equal(RUN(m, &result, 0x8A, 0x00), EMULATE_DONE); /* mov (%bx,%si), %al */
	assert_int_equal(result.length, 2);
	assert_int_equal(m->gpr[RAX], 0x1122334455667799);
	/* Code may be written where protection is off; a word at the limit may not be read. */
	assert_int_equal(RUN(m, &result, 0x2E, 0x88, 0x00), EMULATE_DONE);
	m->gpr[RBX] = 0xFFFF;
	m->gpr[RSI] = 0;
	assert_int_equal(RUN(m, &result, 0x8A, 0x00), EMULATE_DONE);
	faulted(RUN(m, &result, 0x8B, 0x00), &result, 13, 0);
	m->gpr[RBP] = 0xFFFF;
	faulted(RUN(m, &result, 0x8B, 0x02), &result, 12, 0);
	/* REP STOSW counts in CX and moves DI alone. */
	m->field[EMULATE_BASE + SEGMENT_ES] = DATA_GPA;
	m->gpr[RCX] = 0x70002;
	m->gpr[RDI] = 0x8000FFFC;
	assert_int_equal(RUN(m, &result, 0xF3, 0xAB), EMULATE_DONE);
	assert_int_equal(m->gpr[RCX], 0x70000);
	assert_int_equal(m->gpr[RDI], 0x80000000);
	free_machine(m);
}

/* PAE paging uses the PDPTEs that the CPU holds, 32-bit paging none. */
static void test_legacy_paging(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	make_legacy(m, 0xC09B);
	m->field[EMULATE_CR0] |= CR0_PG;
	m->field[EMULATE_CR4] = CR4_PAE;
	m->field[EMULATE_PDPTE] = PD | 1;
	m->field[EMULATE_BASE + SEGMENT_CS] = CODE;
	m->field[EMULATE_BASE + SEGMENT_DS] = DEVICE_LINEAR;
	m->gpr[RDI] = 8;
	assert_int_equal(RUN(m, &result, 0x89, 0x07), EMULATE_DONE);
	assert_int_equal(m->last_gpa, DEVICE_GPA + 8);
	m->field[EMULATE_PDPTE] = 0;
	faulted(RUN(m, &result, 0x89, 0x07), &result, 14, 0);
	assert_int_equal(result.cr2, CODE);

	m->field[EMULATE_CR4] = 0;
	m->field[EMULATE_CR3] = PML4;
	memset(m->ram + PML4, 0, 0x3000);
	((uint32_t *)(void *)(m->ram + PML4))[CODE >> 22] = PDPT | 0x67;
	((uint32_t *)(void *)(m->ram + PDPT))[CODE >> 12 & 1023] = CODE_GPA | 0x67;
	((uint32_t *)(void *)(m->ram + PDPT))[DEVICE_LINEAR >> 12 & 1023] =
		(uint32_t)DEVICE_GPA | 0x67;
	assert_int_equal(RUN(m, &result, 0x89, 0x07), EMULATE_DONE);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(m->asked[EMULATE_PDPTE + i], 0);
	free_machine(m);
}

static void test_store_selector(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;

	(void)state;
	m->gpr[RDI] = DEVICE_LINEAR;
	m->field[EMULATE_SELECTOR + SEGMENT_FS] = 0x1234;
	m->device[2] = 0xEE;
	assert_int_equal(RUN(m, &result, 0x8C, 0x27), EMULATE_DONE); /* mov %fs, (%rdi) */
	assert_int_equal(m->last_size, 2);
	assert_memory_equal(m->device, "\x34\x12\xEE", 3);
	free_machine(m);
}

/* What handlers of INS and OUTS use. */
static void test_spans(void **state)
{
	struct machine *m = new_machine();
	struct emulate_result result;
	struct emulate_span span;

	(void)state;
	assert_int_equal(
		emulate_span(&m->e, SEGMENT_ES, DATA + 0xFFE, 4, WALK_WRITE, &span, &result),
		EMULATE_DONE);
	emulate_write(&m->e, &span, 0x44332211);
	assert_int_equal(emulate_read(&m->e, &span), 0x44332211);
	assert_int_equal(m->ram[DATA_GPA + 0xFFF], 0x22);
	assert_int_equal(m->device[0], 0x33);
	*pte(m, DATA) = 0;
	m->e.have = 0;
	faulted(emulate_span(&m->e, SEGMENT_DS, DATA, 1, 0, &span, &result), &result, 14, 0);
	free_machine(m);
}

static int setup(void **state)
{
	const char *text = getenv("SOCLE_SEED");

	(void)state;
	seed = text ? strtoull(text, NULL, 0) | 1 : 0x9E3779B97F4A7C15ULL;
	text = getenv("SOCLE_ROUNDS");
	rounds = text ? strtoull(text, NULL, 0) : rounds;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lazy),
		cmocka_unit_test(test_page_faults),
		cmocka_unit_test(test_straddling_fault),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_alignment_check),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_known_code),
		cmocka_unit_test(test_known_insn),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_protected_ram),
		cmocka_unit_test(test_read_report),
		cmocka_unit_test(test_rep_slices),
		cmocka_unit_test(test_rep_steps),
		cmocka_unit_test(test_rep_fault),
		cmocka_unit_test(test_segments32),
		cmocka_unit_test(test_expand_down),
		cmocka_unit_test(test_code_limit),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_real_mode),
		cmocka_unit_test(test_legacy_paging),
		cmocka_unit_test(test_store_selector),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_native),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
