/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables: LGDT, LIDT, LLDT, LTR with anything, and segments, gates and returns by
 * descriptors that are garbage. SDM volume 3, "Protected-Mode Memory Management", "Protection".
 */
#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/mend.h"
#include "guests/chaos64/pages.h"
#include "guests/lib/cpu.h"

#define CODE_PAGE  64
#define CODE	   (TWIN_FRAMES + CODE_PAGE * PAGE)
#define TABLE_PAGE 65
#define TABLE	   (TWIN_FRAMES + TABLE_PAGE * PAGE)
#define OPERAND	   (TABLE + 0xf00)
#define PRESENT	   (1ULL << 47)
#define BYTES	   16

/* RDI leads to a table register's value, RSI to a far pointer; AX and BX are selectors. */
static const uint8_t codes[][BYTES] = {
	{0x8e, 0xd8, 0x8e, 0xc3, 0xcc},				/* MOV DS, AX; MOV ES, BX */
	{0x8e, 0xd0, 0xcc},					/* MOV SS, AX */
	{0x0f, 0x00, 0xd0, 0xcc},				/* LLDT AX */
	{0x0f, 0x00, 0xd8, 0xcc},				/* LTR AX */
	{0x0f, 0xb2, 0x26, 0xcc},				/* LSS ESP, [RSI] */
	{0x48, 0x0f, 0xb4, 0x06, 0xcc},				/* LFS RAX, [RSI] */
	{0xff, 0x1e, 0xcc},					/* CALL FAR [RSI] */
	{0xff, 0x2e, 0xcc},					/* JMP FAR [RSI] */
	{0x50, 0x57, 0xcb, 0xcc},				/* PUSH RAX; PUSH RDI; RETF */
	{0x53, 0x56, 0x6a, 0x02, 0x50, 0x56, 0x48, 0xcf},	/* an IRETQ's frame */
	{0x0f, 0x02, 0xc8, 0x0f, 0x03, 0xd0, 0xcc},		/* LAR ECX, EAX; LSL EDX, EAX */
	{0x0f, 0x00, 0xe0, 0x0f, 0x00, 0xeb, 0xcc},		/* VERR AX; VERW BX */
	{0x0f, 0x01, 0x17, 0x8e, 0xd8, 0xcc},			/* LGDT [RDI]; MOV DS, AX */
	{0x0f, 0x01, 0x17, 0x8e, 0xe0, 0x0f, 0x00, 0xd3, 0xcc}, /* LGDT; MOV FS, AX; LLDT BX */
	{0x0f, 0x01, 0x06, 0x0f, 0x01, 0x0e, 0xcc},		/* SGDT [RSI]; SIDT [RSI] */
	{0x0f, 0x00, 0x0e, 0x0f, 0x01, 0x26, 0xcc},		/* STR [RSI]; SMSW [RSI] */
	{0x0f, 0x01, 0x36, 0xcc},				/* LMSW [RSI] */
	{0x0f, 0x01, 0xf8, 0x8e, 0xe8, 0xcc},			/* SWAPGS; MOV GS, AX */
};

static void garbage(struct prng *p, uint64_t *to)
{
	for (unsigned count = 1 + prng_below(p, 8); count; count--) {
		uint64_t d = prng_next(p);

		to[prng_below(p, 64)] = prng_chance(p, 80) ? d | PRESENT : d;
	}
}

static uint16_t selector(struct prng *p)
{
	if (prng_chance(p, 70))
		return (uint16_t)(GDT_GARBAGE + 8 * prng_below(p, 64) + prng_below(p, 8));
	return (uint16_t)prng_value(p);
}

/* A GDT of its own: what the way back needs, and garbage. */
static void make_table(struct prng *p)
{
	const uint64_t *gdt = machine_gdt();
	uint64_t *table = (uint64_t *)TABLE;
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} *operand = (void *)OPERAND;

	for (unsigned i = 0; i < 128; i++)
		table[i] = i < GDT_GARBAGE / 8 ? gdt[i] : prng_next(p);
	operand->limit = (uint16_t)(GDT_GARBAGE + prng_below(p, 0x600));
	operand->base = TABLE;
}

void act_tables(struct prng *p)
{
	bool user = prng_chance(p, 30);
	unsigned which = prng_below(p, sizeof(codes) / sizeof(codes[0]));
	struct launch start = {
		.rip = CODE,
		.cs = user ? USER_CODE64 : CODE64,
		.ss = user ? USER_DATA : DATA,
		.data = DATA,
		.rflags = 2,
		.rsp = CODE + PAGE - 64,
		.cr3 = pages_long(),
	};
	uint64_t *far = (uint64_t *)(OPERAND + 32);

	garbage(p, machine_gdt() + GDT_GARBAGE / 8);
	make_table(p);
	for (unsigned i = 0; i < BYTES; i++)
		((uint8_t *)CODE)[i] = codes[which][i];
	pages_twin(CODE_PAGE, CODE | PTE_P | PTE_W | PTE_U);
	pages_twin(TABLE_PAGE, TABLE | PTE_P | PTE_W | (user ? PTE_U : 0));
	far[0] = prng_value(p) << 32 | (uint32_t)prng_value(p);
	far[1] = selector(p);
	*(uint16_t *)(OPERAND + 36) = selector(p);
	for (unsigned i = 0; i < 16; i++)
		start.gpr[i] = prng_value(p);
	start.gpr[RAX] = selector(p);
	start.gpr[RBX] = selector(p);
	start.gpr[RDI] = OPERAND;
	start.gpr[RSI] = prng_chance(p, 80) ? OPERAND + 32 : pages_pointer(p);
	mend_deadline();
	machine_long(&start);
}
