/* SPDX-License-Identifier: MIT */
/*
 * The guest's page tables, against the SDM's rules said once more and the monitor's walker.
 * The input chooses mode, address, access and the flags of the entry at each level. SDM volume 3,
 * chapter 'Paging'.
 */
#define _GNU_SOURCE
#include <string.h>

#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "vm/inspect.h"
#include "vm/walk.h"

#define RAM_SIZE 0x6000
#define TABLE(n) (0x1000ULL * (n)) /* of level n; the root is that of the highest */
#define P	 0x01
#define W	 0x02
#define U	 0x04
#define A	 0x20
#define D	 0x40
#define PS	 0x80
#define NX	 BIT(63)

struct result {
	bool ok;
	uint64_t gpa;
	uint32_t code;
};

static uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));
static uint8_t expected[RAM_SIZE];
static struct guest_memory memory = {.extent = {{0, RAM_SIZE, ram}}, .extents = 1};

/* --- The rules --- */

struct rules {
	const struct walk_state *state;
	unsigned access;
	bool pae, deep; /* 8-byte entries; 4 or 5 levels of them */
	uint64_t at[5]; /* entries on the way, and what they get; UINT64_MAX: not RAM */
	unsigned count;
	uint64_t all, any; /* bits that all entries have, or one of them */
};

static uint64_t entry_at(const struct rules *r, uint64_t at)
{
	uint64_t entry = 0;
	unsigned size = r->pae ? 8 : 4;

	if (!range_within(at, size, RAM_SIZE))
		return r->pae ? UINT64_MAX : UINT32_MAX;
	memcpy(&entry, ram + at, size);
	return entry;
}

static uint64_t reserved_bits(const struct rules *r, unsigned level, bool page)
{
	unsigned top = r->state->physical_bits;
	uint64_t above = top < 52 ? BITS(51, 0) & ~(BIT(top) - 1) : 0;

	if (!r->pae) {
		if (!page || level == 1)
			return 0;
		/* A 4 MiB page: bits 20:13 are address bits 39:32. */
		return BIT(21) | (top < 40 ? BITS(20, 13) & ~((BIT(top - 32) - 1) << 13) : 0);
	}
	above |= r->deep ? 0 : BITS(62, 52);
	if (!(r->state->efer & EFER_NXE))
		above |= NX;
	if (level > 3 || (level == 3 && !r->deep))
		return above | PS;
	return page && level > 1 ? above | (BITS(12 + 9 * (level - 1) - 1, 13)) : above;
}

static uint32_t error_code(const struct rules *r, uint32_t why)
{
	bool id = (r->state->cr4 & CR4_SMEP) || (r->pae && (r->state->efer & EFER_NXE));

	return why | (r->access & (WALK_WRITE | WALK_USER)) | (id ? r->access & WALK_FETCH : 0);
}

/* 'Determination of Access Rights'. */
static bool is_allowed(const struct rules *r)
{
	bool user_page = r->all & U, fetch = r->access & WALK_FETCH, write = r->access & WALK_WRITE;

	if (fetch && (r->any & NX))
		return false;
	if (r->access & WALK_USER)
		return user_page && (!write || (r->all & W));
	if (fetch)
		return !(user_page && (r->state->cr4 & CR4_SMEP));
	if (user_page && (r->state->cr4 & CR4_SMAP) && !r->state->ac)
		return false;
	return !write || (r->all & W) || !(r->state->cr0 & CR0_WP);
}

static void set_used(const struct rules *r)
{
	for (unsigned i = 0; i < r->count; i++) {
		bool last = i + 1 == r->count;

		if (range_within(r->at[i], r->pae ? 8 : 4, RAM_SIZE))
			expected[r->at[i]] |= A | (last && (r->access & WALK_WRITE) ? D : 0);
	}
}

static struct result levels(struct rules *r, uint64_t table, unsigned level, uint64_t linear)
{
	unsigned bits = r->pae ? 9 : 10;
	uint64_t address = r->pae ? BITS(51, 12) : BITS(31, 12);

	for (;; level--) {
		unsigned shift = 12 + bits * (level - 1);
		uint64_t offset = BIT(shift) - 1;
		uint64_t at = table + (linear >> shift & (BIT(bits) - 1)) * (r->pae ? 8 : 4);
		uint64_t entry = entry_at(r, at);
		bool large = level > 1 && level <= (r->deep ? 3 : 2) && (entry & PS) &&
			     (r->pae || (r->state->cr4 & CR4_PSE));
		bool page = level == 1 || large;
		uint64_t base = entry & address & ~offset;

		if (!(entry & P))
			return (struct result){.code = error_code(r, 0)};
		if (entry & reserved_bits(r, level, page))
			return (struct result){.code = error_code(r, PF_PRESENT | PF_RESERVED)};
		r->at[r->count++] = at;
		r->all &= entry;
		r->any |= entry;
		if (!page) {
			table = entry & address;
			continue;
		}
		if (!r->pae && large)
			base |= bits_get(entry, 20, 13) << 32;
		if (!is_allowed(r))
			return (struct result){.code = error_code(r, PF_PRESENT)};
		set_used(r);
		return (struct result){.ok = true, .gpa = base | (linear & offset)};
	}
}

static struct result by_the_rules(const struct walk_state *state, uint64_t linear, unsigned access)
{
	struct rules r = {.state = state,
			  .access = access,
			  .pae = state->cr4 & CR4_PAE,
			  .deep = state->efer & EFER_LMA,
			  .all = UINT64_MAX};
	uint64_t low = (uint32_t)linear;

	memcpy(expected, ram, RAM_SIZE);
	if (!(state->cr0 & CR0_PG))
		return (struct result){.ok = true, .gpa = r.deep ? linear : low};
	if (r.deep)
		return levels(&r, state->cr3 & BITS(51, 12), state->cr4 & CR4_LA57 ? 5 : 4, linear);
	if (!r.pae)
		return levels(&r, state->cr3 & BITS(31, 12), 2, low);
	if (!(state->pdpte[low >> 30] & P))
		return (struct result){.code = error_code(&r, 0)};
	return levels(&r, state->pdpte[low >> 30] & BITS(51, 12), 2, low & (BIT(30) - 1));
}

/* --- The monitor's walker --- */

static enum monitor_memory read_ram(void *ctx, unsigned vm, uint64_t gpa, void *to, size_t length)
{
	(void)ctx, (void)vm;
	return inspect_memory(&memory, gpa, to, length);
}

static void ask_monitor(const struct walk_state *state, uint64_t linear, uint64_t gpa)
{
	const struct inspect_reader reader = {read_ram, NULL, 0};
	struct monitor_regs regs = {.cr0 = state->cr0,
				    .cr3 = state->cr3,
				    .cr4 = state->cr4,
				    .efer = state->efer,
				    .physical_bits = state->physical_bits};
	static char text[INSPECT_PART_MAX];
	struct outbuf out;
	uint64_t seen = ~gpa;

	memcpy(regs.pdpte, state->pdpte, sizeof(regs.pdpte));
	outbuf_init(&out, text, sizeof(text));
	if (inspect_walk(&regs, &reader, linear, false, &out, &seen))
		FUZZ_REQUIRE(seen == gpa);
	else /* to a CPU what is not there is all ones */
		FUZZ_REQUIRE(memmem(text, out.length, "no RAM there", 12) != NULL);
}

/* --- The input --- */

static void put(uint64_t at, uint64_t value, unsigned size)
{
	memcpy(ram + at, &value, size);
}

/* The entry of `level` for `linear`: the next table, with flags and a bit of the input's choice. */
static void make_entry(struct stream *in, unsigned level, uint64_t linear, bool wide)
{
	unsigned bits = wide ? 9 : 10, size = wide ? 8 : 4;
	uint64_t index = linear >> (12 + bits * (level - 1)) & (BIT(bits) - 1);
	uint8_t flags = stream_byte(in), change = stream_byte(in);
	uint64_t entry =
		(level > 1 && !(flags & PS) ? TABLE(level - 1) : 0) | (flags ^ (P | W | U));

	if (change & 0x80)
		entry ^= BIT(change & 0x3F);
	put(TABLE(level) + index * size, entry, size);
}

static void make_state(struct stream *in, struct walk_state *state)
{
	uint8_t head = stream_byte(in), features = stream_byte(in);

	*state = (struct walk_state){
		.cr0 = CR0_PE | (head & 8 ? CR0_WP : 0) | ((head & 0x12) == 0x10 ? 0 : CR0_PG),
		.cr4 = (features & 1 ? CR4_SMEP : 0) | (features & 2 ? CR4_SMAP : 0) |
		       (features & 4 ? CR4_PSE : 0),
		.ac = features & 8,
		.physical_bits = (uint8_t)(32 + (features >> 4) * 20 / 15),
	};
	if (head & 3)
		state->cr4 |= CR4_PAE;
	if (head & 2) {
		state->efer = EFER_LMA | EFER_LME;
		state->cr4 |= head & 1 ? CR4_LA57 : 0;
	}
	state->efer |= head & 4 ? EFER_NXE : 0;
	state->cr3 = TABLE(head & 2 ? (head & 1 ? 5 : 4) : 2);
	for (unsigned i = 0; i < 4; i++)
		state->pdpte[i] = TABLE(2) | (i != 2 ? P : 0);
}

/* After a fault nothing has changed but accessed bits. */
static void check_accessed(void)
{
	for (unsigned i = 0; i < RAM_SIZE; i += 4) {
		uint32_t before, after;

		memcpy(&before, expected + i, sizeof(before));
		memcpy(&after, ram + i, sizeof(after));
		FUZZ_REQUIRE(((before ^ after) & ~(uint32_t)A) == 0);
	}
}

void fuzz_walk(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);
	struct walk_state state;
	struct walk_record record = {0};
	struct result right, got = {0};
	unsigned access, top;
	uint64_t linear, again = 0;
	uint32_t second = 0;

	make_state(&in, &state);
	access = stream_byte(&in) & (WALK_WRITE | WALK_USER | WALK_FETCH);
	if (access & WALK_FETCH)
		access &= ~(unsigned)WALK_WRITE;
	linear = stream_number(&in, 8);
	if (state.efer & EFER_LMA) /* canonical */
		linear = state.cr4 & CR4_LA57 ? (uint64_t)((int64_t)(linear << 7) >> 7)
					      : (uint64_t)((int64_t)(linear << 16) >> 16);
	memset(ram, 0, sizeof(ram));
	top = (unsigned)(state.cr3 / TABLE(1));
	for (unsigned level = top; level >= 1; level--)
		make_entry(&in, level,
			   (state.efer & EFER_LMA)
				   ? linear
				   : (uint32_t)linear &
					     (state.cr4 & CR4_PAE ? BIT(30) - 1 : UINT32_MAX),
			   state.cr4 & CR4_PAE);

	right = by_the_rules(&state, linear, access);
	got.ok = walk_recorded(&state, &memory, linear, access, &got.gpa, &got.code, &record);
	FUZZ_REQUIRE(got.ok == right.ok);
	if (!got.ok) {
		FUZZ_REQUIRE(got.code == right.code);
		check_accessed();
		return;
	}
	FUZZ_REQUIRE(got.gpa == right.gpa);
	FUZZ_REQUIRE(memcmp(ram, expected, RAM_SIZE) == 0);
	FUZZ_REQUIRE(walk(&state, &memory, linear, access, &again, &second) && again == got.gpa);
	walk_recorded(&state, &memory, linear, access, &again, &second, &record);
	FUZZ_REQUIRE(!record.count || walk_unchanged(&record));
	ask_monitor(&state, linear, got.gpa);
}
