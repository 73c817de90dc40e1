/* SPDX-License-Identifier: MIT */
/*
 * The emulator over a guest's memory and state of any kind. It runs twice from the same state, once
 * with what it keeps of code pages and once without, and must do the same.
 */
#include <string.h>

#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "vm/emulate.h"

#define RAM_SIZE  0x8000 /* at 0, and as much at 4 GiB */
#define PML4	  0x1000
#define PDPT	  0x2000
#define PD	  0x3000
#define PT	  0x4000
#define CODE	  0x5000 /* in the first page that the tables map */
#define DEVICE	  0xFED00000ULL
#define PRESENT	  0x67 /* present, writable, user, accessed, dirty */
#define LARGE	  0x80
#define NOTES	  64
#define STEPS_MAX 12
#define GPRS	  16
#define RIGHTS_32 0xC093
#define RIGHTS_16 0x0093
#define CODE_LONG 0xA09B
#define CODE_32	  0xC09B
#define CODE_16	  0x009B
#define CPL_SHIFT 5

struct guest {
	uint8_t ram[2 * RAM_SIZE] __attribute__((aligned(4096)));
	struct guest_memory memory;
	uint64_t gpr[GPRS];
	uint64_t field[EMULATE_FIELDS];
	unsigned noted;
	uint64_t note[NOTES]; /* what the devices were asked, mixed */
	struct emulate_code code;
};

static struct guest guests[2];

static void note(struct guest *g, uint64_t value)
{
	g->note[g->noted++ % NOTES] ^= value * 0x9E3779B97F4A7C15ULL;
}

static void check_access(uint64_t gpa, unsigned size)
{
	FUZZ_REQUIRE(size == 1 || size == 2 || size == 4 || size == 8);
	FUZZ_REQUIRE(gpa % PAGE_SIZE + size <= PAGE_SIZE);
}

static uint64_t get(void *ctx, enum emulate_field field)
{
	FUZZ_REQUIRE(field < EMULATE_FIELDS);
	return ((struct guest *)ctx)->field[field];
}

static void set_rflags(void *ctx, uint64_t rflags)
{
	((struct guest *)ctx)->field[EMULATE_RFLAGS] = rflags;
}

static uint64_t mmio_read(void *ctx, uint64_t gpa, unsigned size)
{
	check_access(gpa, size);
	note(ctx, gpa ^ size);
	return gpa * 0x9E3779B97F4A7C15ULL;
}

static void mmio_write(void *ctx, uint64_t gpa, unsigned size, uint64_t value)
{
	check_access(gpa, size);
	note(ctx, gpa ^ size ^ (value & mask_bytes(size)));
}

static const struct emulate_ops ops = {get, set_rflags, mmio_read, mmio_write};

/* --- A guest --- */

/* Tables that map RAM, a device and RAM again; the input may change any entry. */
static void make_tables(struct guest *g, struct stream *in)
{
	uint64_t *pml4 = (uint64_t *)(void *)(g->ram + PML4);
	uint64_t *pdpt = (uint64_t *)(void *)(g->ram + PDPT);
	uint64_t *pd = (uint64_t *)(void *)(g->ram + PD);
	uint64_t *pt = (uint64_t *)(void *)(g->ram + PT);

	pml4[0] = pml4[511] = PDPT | PRESENT;
	pdpt[0] = PD | PRESENT;
	pdpt[1] = GUEST_HIGH_BASE | PRESENT | LARGE;
	pd[0] = PT | PRESENT;
	pd[1] = DEVICE / PAGE_SIZE_2M * PAGE_SIZE_2M | PRESENT | LARGE;
	for (unsigned i = 0; i < 8; i++)
		pt[i] = i * PAGE_SIZE | PRESENT;
	pt[8] = DEVICE | PRESENT;
	pt[9] = GUEST_HIGH_BASE | PRESENT;
	for (unsigned i = stream_byte(in) % 4; i--;) {
		unsigned at = (unsigned)stream_number(in, 2) % (CODE - PML4) / 8;

		pml4[at % 2048] ^= BIT(stream_byte(in) % 64);
	}
}

static void make_segments(struct guest *g, struct stream *in, unsigned mode, unsigned cpl)
{
	static const uint64_t code[] = {CODE_16, CODE_32, CODE_LONG};

	for (unsigned i = 0; i < SEGMENTS; i++) {
		g->field[EMULATE_LIMIT + i] = mode ? UINT32_MAX : 0xFFFF;
		g->field[EMULATE_RIGHTS + i] = (mode ? RIGHTS_32 : RIGHTS_16) | cpl << CPL_SHIFT;
		g->field[EMULATE_SELECTOR + i] = 8 * i | cpl;
	}
	g->field[EMULATE_RIGHTS + SEGMENT_CS] = code[mode] | cpl << CPL_SHIFT;
	for (unsigned i = stream_byte(in) % 4; i--;) {
		unsigned field = EMULATE_SELECTOR + stream_byte(in) % (4 * SEGMENTS);

		g->field[field] = stream_number(in, field < EMULATE_BASE ? 2 : 4);
	}
}

static void make_state(struct guest *g, struct stream *in)
{
	uint8_t head = stream_byte(in);
	unsigned mode = head % 3, cpl = head & 0x10 ? 3 : 0;
	bool paging = mode == INSN_MODE_64 || (head & 0x40);

	g->field[EMULATE_CR0] = (head & 0x20 ? CR0_WP : 0) | CR0_ET;
	g->field[EMULATE_RFLAGS] =
		RFLAGS_FIXED | (stream_byte(in) & 0xD5) | (head & 0x80 ? RFLAGS_DF : 0);
	if (mode != INSN_MODE_16 || (head & 8))
		g->field[EMULATE_CR0] |= CR0_PE;
	if (paging)
		g->field[EMULATE_CR0] |= CR0_PG | CR0_PE;
	g->field[EMULATE_CR3] = PML4;
	g->field[EMULATE_CR4] = paging ? stream_number(in, 3) & (CR4_PAE | CR4_PSE | CR4_SMEP |
								 CR4_SMAP | CR4_LA57 | CR4_PGE)
				       : 0;
	if (mode == INSN_MODE_64) {
		g->field[EMULATE_CR4] |= CR4_PAE;
		g->field[EMULATE_CR4] &= ~CR4_LA57;
		g->field[EMULATE_EFER] = EFER_LME | EFER_LMA | (head & 4 ? EFER_NXE : 0);
	}
	if (g->field[EMULATE_CR0] & CR0_PG)
		for (unsigned i = 0; i < 4; i++)
			g->field[EMULATE_PDPTE + i] = (PD + i * PAGE_SIZE) | 1;
	if (!(g->field[EMULATE_CR0] & CR0_PE))
		cpl = 0;
	make_segments(g, in, mode, cpl);
	for (unsigned i = 0; i < GPRS; i++) {
		uint8_t choice = stream_byte(in);
		static const uint64_t places[] = {
			0x8000, 0x8FFC, 0x6FFF, 0x200000, 0x9000, 0x40000000, 0xFFFFFF8000005000,
			3};

		g->gpr[i] = places[choice % ARRAY_SIZE(places)] + (choice >> 3);
	}
	g->field[EMULATE_RIP] = CODE + (head & 0x10 ? 0xFF8 : 0);
}

static void make(struct guest *g, struct stream *in)
{
	memset(g, 0, sizeof(*g));
	g->memory.extent[0] = (struct guest_extent){0, RAM_SIZE, g->ram};
	g->memory.extent[1] = (struct guest_extent){GUEST_HIGH_BASE, RAM_SIZE, g->ram + RAM_SIZE};
	g->memory.extents = 2;
	make_tables(g, in);
	make_state(g, in);
	for (unsigned i = 0; i < 64; i++)
		g->ram[CODE + 0xFF8 * (g->field[EMULATE_RIP] != CODE) + i] = stream_byte(in);
}

/* --- The emulator --- */

static enum emulate_status run(struct guest *g, bool keep, uint8_t fault, struct emulate_result *r)
{
	struct emulate e = {.ops = &ops,
			    .ctx = g,
			    .memory = &g->memory,
			    .gpr = g->gpr,
			    .fault_valid = fault & 1,
			    .fault_write = fault & 2,
			    .fault_linear = 0x8000 + (fault >> 2),
			    .fault_gpa = DEVICE + (fault >> 2),
			    .physical_bits = 40};

	memset(r, 0, sizeof(*r));
	if (keep)
		emulate_keep_code(&e, &g->code);
	return emulate(&e, r);
}

static void check_result(enum emulate_status status, const struct emulate_result *r)
{
	switch (status) {
	case EMULATE_DONE:
		FUZZ_REQUIRE(r->length >= 1 && r->length <= INSN_BYTES_MAX);
		FUZZ_REQUIRE(r->code_length >= r->length);
		break;
	case EMULATE_FAULT:
		FUZZ_REQUIRE(r->vector == VECTOR_UD || r->vector == VECTOR_SS ||
			     r->vector == VECTOR_GP || r->vector == VECTOR_PF ||
			     r->vector == VECTOR_AC);
		FUZZ_REQUIRE(r->vector == VECTOR_PF || (r->error_code & 0xFFFF0000) == 0);
		break;
	case EMULATE_AGAIN:
	case EMULATE_UNSUPPORTED: break;
	}
	FUZZ_REQUIRE(r->code_length <= INSN_BYTES_MAX);
}

void fuzz_emulate(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);
	struct guest *a = &guests[0], *b = &guests[1];
	uint8_t fault = stream_byte(&in);

	make(a, &in);
	*b = *a;
	b->memory.extent[0].host = b->ram;
	b->memory.extent[1].host = b->ram + RAM_SIZE;
	for (unsigned steps = 0; steps < STEPS_MAX; steps++) {
		struct emulate_result r, s;
		enum emulate_status status = run(a, true, fault, &r);

		FUZZ_REQUIRE(status == run(b, false, fault, &s));
		FUZZ_REQUIRE(memcmp(&r, &s, sizeof(r)) == 0);
		FUZZ_REQUIRE(memcmp(a->gpr, b->gpr, sizeof(a->gpr)) == 0);
		FUZZ_REQUIRE(memcmp(a->field, b->field, sizeof(a->field)) == 0);
		FUZZ_REQUIRE(a->noted == b->noted && !memcmp(a->note, b->note, sizeof(a->note)));
		check_result(status, &r);
		if (status == EMULATE_FAULT || status == EMULATE_UNSUPPORTED)
			break;
		if (status == EMULATE_DONE) {
			a->field[EMULATE_RIP] += r.length;
			b->field[EMULATE_RIP] += r.length;
		}
	}
	FUZZ_REQUIRE(memcmp(a->ram, b->ram, sizeof(a->ram)) == 0);
}
