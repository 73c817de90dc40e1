/* SPDX-License-Identifier: MIT */
/*
 * The guest's paging: each rule by hand, in each mode, and the rights of a page exhaustively
 * against the SDM's rules said once more.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/walk.h"

#define RAM    (64 * KIB)
#define TOP    0x1000ULL /* the tables, from the root down */
#define LINEAR 0xFFFFFF8042345678ULL

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80 };
#define NX BIT(63)

struct fixture {
	struct guest_memory memory;
	struct walk_state state;
	uint8_t *ram;
	uint64_t gpa;
	uint32_t error;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->ram = aligned_alloc(4096, RAM);
	memset(f->ram, 0, RAM);
	f->memory.extent[0] = (struct guest_extent){.size = RAM, .host = f->ram};
	f->memory.extents = 1;
	f->state.cr0 = CR0_PE | CR0_PG | CR0_WP;
	f->state.cr3 = TOP;
	f->state.physical_bits = 40;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	free(f->ram);
	free(f);
	return 0;
}

static uint64_t *entry(struct fixture *f, unsigned level, uint64_t linear)
{
	unsigned top = f->state.cr4 & CR4_LA57 ? 5 : 4;

	return (uint64_t *)(void *)(f->ram + TOP + 0x1000 * (top - level) +
				    8 * (linear >> (12 + 9 * (level - 1)) & 511));
}

/* 64-bit tables for `linear` down to `leaf` (1: 4 KiB page), each entry with `bits`. */
static void map_long(struct fixture *f, uint64_t linear, unsigned leaf, uint64_t gpa, uint64_t bits)
{
	unsigned top = f->state.cr4 & CR4_LA57 ? 5 : 4;

	f->state.cr4 |= CR4_PAE;
	f->state.efer |= EFER_LMA | EFER_LME;
	for (unsigned level = top; level > leaf; level--)
		*entry(f, level, linear) = (TOP + 0x1000 * (top - level + 1)) | bits;
	*entry(f, leaf, linear) = gpa | bits | (leaf > 1 ? PS : 0);
}

static bool go(struct fixture *f, uint64_t linear, unsigned access)
{
	f->gpa = f->error = 0xAAAA;
	return walk(&f->state, &f->memory, linear, access, &f->gpa, &f->error);
}

static void faults(struct fixture *f, uint64_t linear, unsigned access, uint32_t error)
{
	assert_false(go(f, linear, access));
	assert_int_equal(f->error, error);
}

static void test_off(void **state)
{
	struct fixture *f = *state;

	f->state.cr0 = CR0_PE;
	assert_true(go(f, 0x12345678, WALK_WRITE | WALK_USER));
	assert_int_equal(f->gpa, 0x12345678);
}

static void test_long_sizes(void **state)
{
	static const struct {
		unsigned leaf;
		uint64_t gpa, want;
	} sizes[] = {{1, 0xFED00000, 0xFED00678},
		     {2, 0xFEC00000, 0xFED45678},
		     {3, 0x40000000, 0x42345678}};
	struct fixture *f = *state;

	/* With and without A, which decides between the two walkers. */
	for (unsigned la57 = 0; la57 < 2; la57++)
		for (unsigned i = 0; i < 6; i++) {
			memset(f->ram, 0, RAM);
			f->state.cr4 = la57 ? CR4_LA57 : 0;
			map_long(f, LINEAR, sizes[i / 2].leaf, sizes[i / 2].gpa,
				 P | W | (i % 2 ? A | D : 0));
			assert_true(go(f, LINEAR, 0));
			assert_int_equal(f->gpa, sizes[i / 2].want);
			*entry(f, 3, LINEAR) &= ~(uint64_t)P;
			faults(f, LINEAR, WALK_WRITE, WALK_WRITE);
		}
}

/* PAT (bit 12 of a large page, bit 7 of a small one) is not part of the address. */
static void test_pat(void **state)
{
	struct fixture *f = *state;

	map_long(f, LINEAR, 2, 0x40000000, P | W | A | D);
	*entry(f, 2, LINEAR) |= BIT(12);
	assert_true(go(f, LINEAR, 0));
	assert_int_equal(f->gpa, 0x40145678);
	map_long(f, LINEAR, 1, 0x7000, P | W | A | D);
	*entry(f, 1, LINEAR) |= PS;
	assert_true(go(f, LINEAR, 0));
	assert_int_equal(f->gpa, 0x7678);
}

static void test_accessed_dirty(void **state)
{
	struct fixture *f = *state;

	for (unsigned leaf = 1; leaf <= 3; leaf++) {
		memset(f->ram, 0, RAM);
		map_long(f, LINEAR, leaf, 0, P | W);
		assert_true(go(f, LINEAR, 0));
		for (unsigned level = leaf; level <= 4; level++)
			assert_int_equal(*entry(f, level, LINEAR) & (A | D), A);
		assert_true(go(f, LINEAR, WALK_WRITE));
		for (unsigned level = leaf; level <= 4; level++)
			assert_int_equal(*entry(f, level, LINEAR) & (A | D),
					 level == leaf ? A | D : A);
	}
}

/* A refused access marks nothing dirty. */
static void test_fault_marks_nothing(void **state)
{
	struct fixture *f = *state;

	map_long(f, LINEAR, 1, 0, P | U);
	faults(f, LINEAR, WALK_WRITE | WALK_USER, PF_PRESENT | WALK_WRITE | WALK_USER);
	assert_int_equal(*entry(f, 1, LINEAR) & D, 0);
}

static void test_not_present(void **state)
{
	struct fixture *f = *state;

	for (unsigned level = 1; level <= 4; level++) {
		map_long(f, LINEAR, 1, 0x7000, P | W | U | A | D);
		assert_true(go(f, LINEAR, WALK_USER));
		*entry(f, level, LINEAR) = ~(uint64_t)P;
		faults(f, LINEAR, 0, 0);
		faults(f, LINEAR, WALK_WRITE | WALK_USER, WALK_WRITE | WALK_USER);
		faults(f, LINEAR, WALK_FETCH, 0);
		f->state.efer |= EFER_NXE;
		faults(f, LINEAR, WALK_FETCH, WALK_FETCH);
		f->state.efer &= ~EFER_NXE;
		f->state.cr4 |= CR4_SMEP;
		faults(f, LINEAR, WALK_FETCH, WALK_FETCH);
		f->state.cr4 &= ~CR4_SMEP;
	}
}

static void test_long_reserved(void **state)
{
	struct fixture *f = *state;
	const uint32_t reserved = PF_PRESENT | PF_RESERVED;

	for (unsigned level = 1; level <= 4; level++) {
		map_long(f, LINEAR, 1, 0x7000, P | W | A | D);
		*entry(f, level, LINEAR) |= BIT(40);
		faults(f, LINEAR, 0, reserved);
		f->state.physical_bits = 41;
		assert_int_equal(go(f, LINEAR, 0), level == 1);
		f->state.physical_bits = 40;
		*entry(f, level, LINEAR) ^= BIT(40) | NX;
		faults(f, LINEAR, 0, reserved);
		f->state.efer |= EFER_NXE;
		assert_true(go(f, LINEAR, 0));
		f->state.efer &= ~EFER_NXE;
		*entry(f, level, LINEAR) ^= NX | BITS(62, 52); /* ignored */
		assert_true(go(f, LINEAR, 0));
	}
	map_long(f, LINEAR, 1, 0x7000, P | W | A | D);
	*entry(f, 4, LINEAR) |= PS;
	faults(f, LINEAR, WALK_WRITE, reserved | WALK_WRITE);
	map_long(f, LINEAR, 2, 0x40002000, P | A);
	*entry(f, 4, LINEAR) = (TOP + 0x1000) | P | A;
	*entry(f, 3, LINEAR) = (TOP + 0x2000) | P | A;
	faults(f, LINEAR, 0, reserved);
	map_long(f, LINEAR, 3, 0x20000000, P | A);
	*entry(f, 4, LINEAR) = (TOP + 0x1000) | P | A;
	faults(f, LINEAR, 0, reserved);
}

/* The SDM's 'Determination of Access Rights', in its own order. */
static bool may(const struct walk_state *s, unsigned access, bool u, bool w, bool nx)
{
	bool user = access & WALK_USER;

	if (access & WALK_FETCH) {
		if (user)
			return u && !nx;
		return !nx && !(u && (s->cr4 & CR4_SMEP));
	}
	if (user)
		return u && (w || !(access & WALK_WRITE));
	if (u && (s->cr4 & CR4_SMAP) && !s->ac)
		return false;
	return !(access & WALK_WRITE) || w || !(s->cr0 & CR0_WP);
}

static void check_rights(struct fixture *f, unsigned access, bool u, bool w, bool nx)
{
	uint32_t error = PF_PRESENT | access;

	if (!(f->state.efer & EFER_NXE) && !(f->state.cr4 & CR4_SMEP))
		error &= ~(uint32_t)WALK_FETCH;
	if (may(&f->state, access, u, w, nx))
		assert_true(go(f, LINEAR, access));
	else
		faults(f, LINEAR, access, error);
}

/* All rights in each of two levels, all accesses, all control bits, both walkers. */
static void test_rights(void **state)
{
	static const unsigned accesses[] = {0,
					    WALK_WRITE,
					    WALK_FETCH,
					    WALK_USER,
					    WALK_USER | WALK_WRITE,
					    WALK_USER | WALK_FETCH};
	struct fixture *f = *state;

	for (unsigned i = 0; i < 1 << 12; i++) {
		uint64_t upper = P | (i & 1 ? W : 0) | (i & 2 ? U : 0) | (i & 4 ? NX : 0);
		uint64_t lower = P | (i & 8 ? W : 0) | (i & 16 ? U : 0) | (i & 32 ? NX : 0);
		uint64_t used = i & 64 ? A | D : 0;

		f->state.cr0 = CR0_PG | CR0_PE | (i & 128 ? CR0_WP : 0);
		f->state.cr4 = (i & 256 ? CR4_SMEP : 0) | (i & 512 ? CR4_SMAP : 0);
		f->state.ac = i & 1024;
		f->state.efer = i & 2048 ? EFER_NXE : 0;
		if (!f->state.efer)
			upper &= ~NX, lower &= ~NX;
		for (unsigned k = 0; k < ARRAY_SIZE(accesses); k++) {
			map_long(f, LINEAR, 1, 0x7000, P | W | U | used);
			*entry(f, 3, LINEAR) = (TOP + 0x2000) | upper | used;
			*entry(f, 1, LINEAR) = 0x7000 | lower | used;
			check_rights(f, accesses[k], upper & lower & U, upper & lower & W,
				     (upper | lower) & NX);
		}
	}
}

static void test_tables_outside(void **state)
{
	struct fixture *f = *state;

	map_long(f, LINEAR, 1, 0x7000, P | W | A | D);
	f->state.cr3 = 0x1000000;
	faults(f, LINEAR, 0, PF_PRESENT | PF_RESERVED);
	f->state.cr3 = TOP;
	*entry(f, 2, LINEAR) = 0xFED00000 | P | W | A;
	faults(f, LINEAR, 0, PF_PRESENT | PF_RESERVED);
}

/* ---- PAE ---- */

static uint64_t *word(struct fixture *f, uint64_t gpa)
{
	return (uint64_t *)(void *)(f->ram + gpa);
}

#define PD    0x2000ULL
#define PT    0x3000ULL
#define LOW32 0xC0A03123U /* PDPTE 3, PDE 5, PTE 3 */

static void map_pae(struct fixture *f)
{
	f->state.cr4 = CR4_PAE;
	f->state.pdpte[3] = PD | P;
	*word(f, PD + 8 * 5) = PT | P | W | U;
	*word(f, PT + 8 * 3) = 0x8FED00000ULL | P | W | U;
}

static void test_pae(void **state)
{
	struct fixture *f = *state;

	map_pae(f);
	assert_true(go(f, 0xFFFFFFFF00000000ULL | LOW32, WALK_WRITE | WALK_USER));
	assert_int_equal(f->gpa, 0x8FED00123ULL);
	assert_int_equal(*word(f, PD + 8 * 5) & (A | D), A);
	assert_int_equal(*word(f, PT + 8 * 3) & (A | D), A | D);
	faults(f, 0x123, 0, 0); /* PDPTE 0 is not there */
	*word(f, PD + 8 * 5) = 0x800000000ULL | P | W | PS;
	assert_true(go(f, LOW32, WALK_WRITE));
	assert_int_equal(f->gpa, 0x800003123ULL);
	faults(f, LOW32, WALK_USER, PF_PRESENT | WALK_USER);
}

static void test_pae_reserved(void **state)
{
	struct fixture *f = *state;

	for (unsigned bit = 40; bit < 64; bit++) {
		map_pae(f);
		*word(f, PT + 8 * 3) |= BIT(bit);
		faults(f, LOW32, 0, PF_PRESENT | PF_RESERVED);
	}
	map_pae(f);
	f->state.efer = EFER_NXE;
	*word(f, PD + 8 * 5) |= NX;
	assert_true(go(f, LOW32, 0));
	faults(f, LOW32, WALK_FETCH, PF_PRESENT | WALK_FETCH);
}

/* ---- 32-bit ---- */

static uint32_t *word32(struct fixture *f, uint64_t gpa)
{
	return (uint32_t *)(void *)(f->ram + gpa);
}

#define PDE_AT (TOP + 4 * (LOW32 >> 22))
#define PTE_AT (PT + 4 * (LOW32 >> 12 & 1023))

static void map_narrow(struct fixture *f)
{
	*word32(f, PDE_AT) = PT | P | W | U;
	*word32(f, PTE_AT) = 0xFED00000 | P | W | U;
}

static void test_32bit(void **state)
{
	struct fixture *f = *state;

	map_narrow(f);
	assert_true(go(f, LOW32, 0));
	assert_int_equal(f->gpa, 0xFED00123);
	assert_int_equal(*word32(f, PDE_AT) & (A | D), A);
	assert_int_equal(*word32(f, PTE_AT) & (A | D), A);
	assert_true(go(f, LOW32, WALK_USER | WALK_WRITE));
	assert_int_equal(*word32(f, PDE_AT) & (A | D), A);
	assert_int_equal(*word32(f, PTE_AT) & (A | D), A | D);
	*word32(f, PTE_AT) &= ~(uint32_t)W;
	faults(f, LOW32, WALK_WRITE, PF_PRESENT | WALK_WRITE);
	f->state.cr0 &= ~CR0_WP;
	assert_true(go(f, LOW32, WALK_WRITE));
	*word32(f, PDE_AT) &= ~(uint32_t)U;
	faults(f, LOW32, WALK_USER, PF_PRESENT | WALK_USER);
	*word32(f, PTE_AT) = 0;
	faults(f, LOW32, WALK_USER, WALK_USER);
	*word32(f, PDE_AT) = 0;
	faults(f, LOW32, WALK_WRITE, WALK_WRITE);
}

static void test_large32(void **state)
{
	struct fixture *f = *state;

	*word32(f, PDE_AT) = 0x40000000 | P | W | PS | 0xA5 << 13;
	assert_true(go(f, LOW32, 0)); /* without PSE it is a table, outside RAM: all ones */
	assert_int_equal(f->gpa, 0xFFFFF123);
	f->state.cr4 = CR4_PSE;
	assert_true(go(f, LOW32, WALK_WRITE));
	assert_int_equal(f->gpa, 0xA540000000ULL + (LOW32 & 0x3FFFFF));
	assert_int_equal(*word32(f, PDE_AT) & (A | D), A | D);
	faults(f, LOW32, WALK_USER, PF_PRESENT | WALK_USER);
	*word32(f, PDE_AT) |= BIT(21);
	faults(f, LOW32, 0, PF_PRESENT | PF_RESERVED);
	*word32(f, PDE_AT) = 0x40000000 | P | PS | 1 << 17;
	f->state.physical_bits = 36;
	faults(f, LOW32, 0, PF_PRESENT | PF_RESERVED);
	*word32(f, PDE_AT) = 0x40000000 | P | PS | 1 << 16;
	assert_true(go(f, LOW32, 0));
	assert_int_equal(f->gpa, 0x840000000ULL + (LOW32 & 0x3FFFFF));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_off),
		TEST(test_long_sizes),
		TEST(test_pat),
		TEST(test_accessed_dirty),
		TEST(test_fault_marks_nothing),
		TEST(test_not_present),
		TEST(test_long_reserved),
		TEST(test_rights),
		TEST(test_tables_outside),
		TEST(test_pae),
		TEST(test_pae_reserved),
		TEST(test_32bit),
		TEST(test_large32),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
