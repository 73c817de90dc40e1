/* SPDX-License-Identifier: MIT */
/*
 * Task switches of all kinds between tasks that are sound, and such that are not. SDM volume 3,
 * "Task Management".
 */
#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/mend.h"
#include "guests/chaos64/pages.h"
#include "guests/lib/cpu.h"

#define CODE_PAGE 64
#define CODE	  (TWIN_FRAMES + CODE_PAGE * PAGE)
#define OTHER_TSS (CODE + 0x800)
#define TSS_BYTES 104u
#define VECTOR	  0x40
#define CALL_FAR  0x9a
#define JMP_FAR	  0xea
#define INT_N	  0xcd
#define IRET	  0xcf

static struct launch mode(struct prng *p)
{
	switch (prng_below(p, 3)) {
	case 0: return (struct launch){.cr0 = 0x31};
	case 1:
		return (struct launch){
			.cr0 = 0x31 | CR0_PG, .cr4 = CR4_PSE, .cr3 = pages_twin_32()};
	default:
		return (struct launch){
			.cr0 = 0x31 | CR0_PG, .cr4 = CR4_PAE, .cr3 = pages_twin_pae()};
	}
}

/* A TSS descriptor of either size, here and there with a wrong limit, type or place. */
static uint64_t descriptor(struct prng *p)
{
	uint64_t base = prng_chance(p, 85) ? OTHER_TSS : (uint32_t)pages_pointer(p);
	uint64_t type = prng_chance(p, 80) ? 0x89 : 0x81, limit = TSS_BYTES - 1;

	if (prng_chance(p, 10))
		limit = prng_below(p, 0x200);
	if (prng_chance(p, 15))
		type = prng_next(p) & 0xff;
	return limit | (base & 0xffffff) << 16 | type << 40 | (base >> 24) << 56;
}

static void fill(struct prng *p, struct tss32 *tss, uint32_t cr3)
{
	*tss = (struct tss32){.cr3 = cr3, .eip = CODE + 32, .eflags = 2, .io_map = 0xffff};
	for (unsigned i = 0; i < 8; i++)
		tss->gpr[i] = (uint32_t)prng_value(p);
	tss->gpr[RSP] = CODE + 0x700;
	for (unsigned i = 0; i < 6; i++)
		tss->segment[i] = i == 1 ? CODE32 : DATA;
	if (prng_chance(p, 30))
		tss->segment[prng_below(p, 6)] = (uint32_t)prng_value(p) & 0xffff;
	if (prng_chance(p, 10))
		tss->eflags |= (uint32_t)prng_next(p) & 0x3f7fd5;
	/* A tree of pages that has no way back. */
	if (pages_is_wild() && prng_chance(p, 10))
		tss->cr3 = (uint32_t)prng_value(p);
	if (prng_chance(p, 10))
		tss->ldt = (uint32_t)(prng_chance(p, 50) ? LDT_ACT : prng_value(p));
	tss->trap = prng_chance(p, 10);
	tss->link = TSS_ACT;
}

static void write_switch(struct prng *p, uint16_t selector)
{
	static const uint8_t kinds[] = {CALL_FAR, JMP_FAR, INT_N, IRET};
	uint8_t *at = (uint8_t *)CODE, kind = PRNG_PICK(p, kinds);

	*at++ = kind;
	if (kind == INT_N) {
		*at++ = VECTOR;
	} else if (kind != IRET) {
		*(uint32_t *)at = (uint32_t)prng_next(p);
		*(uint16_t *)(at + 4) = selector;
		at += 6;
	}
	*at++ = 0xcc;
	/* The other task comes back, by IRET or as it likes. */
	at = (uint8_t *)CODE + 32;
	*at++ = prng_chance(p, 50) ? IRET : 0xcc;
	*at = 0xcc;
}

void act_tasks(struct prng *p)
{
	struct tss32 *tss = machine_act_tss();
	uint16_t selector = GDT_GARBAGE;
	struct launch start = mode(p);
	uint16_t *gate = (uint16_t *)machine_idt32() + 4 * VECTOR;
	uint16_t before = gate[1];

	pages_twin(CODE_PAGE, CODE | PTE_P | PTE_W | PTE_U);
	machine_gdt()[selector / 8] = descriptor(p);
	fill(p, (struct tss32 *)OTHER_TSS, (uint32_t)start.cr3);
	fill(p, tss, (uint32_t)start.cr3);
	*tss = (struct tss32){.cr3 = (uint32_t)start.cr3, .eip = CODE, .eflags = 2};
	tss->gpr[RSP] = CODE + 0x780;
	for (unsigned i = 0; i < 6; i++)
		tss->segment[i] = i == 1 ? CODE32 : DATA;
	if (prng_chance(p, 15)) {
		tss->eflags |= FLAG_NT;
		tss->link = selector;
	}
	write_switch(p, prng_chance(p, 90) ? selector : (uint16_t)prng_value(p));
	gate[1] = selector;
	mend_deadline();
	machine_legacy(&start);
	gate[1] = before;
}
