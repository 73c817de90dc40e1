/* SPDX-License-Identifier: MIT */
/* Access to a VM's RAM: nothing outside it, and nothing before it was populated. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/memory.h"

/* Two extents that touch but lie apart on the host, and one above 4 GiB. */
struct fixture {
	struct guest_memory memory;
	uint8_t *host[3];
	uint8_t bitmap[1024];
	uint64_t populated[8];
	unsigned calls;
	bool refuse;
};

#define SPLIT 0x3000ULL
#define LOW   0x5000ULL
#define HIGH  0x2000ULL

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->host[0] = calloc(1, SPLIT);
	f->host[1] = calloc(1, LOW - SPLIT);
	f->host[2] = calloc(1, HIGH);
	f->memory.extent[0] = (struct guest_extent){0, SPLIT, f->host[0]};
	f->memory.extent[1] = (struct guest_extent){SPLIT, LOW - SPLIT, f->host[1]};
	f->memory.extent[2] = (struct guest_extent){GUEST_HIGH_BASE, HIGH, f->host[2]};
	f->memory.extents = 3;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 3; i++)
		free(f->host[i]);
	free(f);
	return 0;
}

static void test_sizes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(guest_memory_low(&f->memory), LOW);
	assert_int_equal(guest_memory_high(&f->memory), HIGH);
}

static void test_map(void **state)
{
	struct guest_memory *m = &((struct fixture *)*state)->memory;
	struct fixture *f = *state;

	assert_ptr_equal(guest_memory_map(m, 0x10, 16), f->host[0] + 0x10);
	assert_ptr_equal(guest_memory_map(m, SPLIT, 1), f->host[1]);
	assert_ptr_equal(guest_memory_map(m, GUEST_HIGH_BASE + HIGH - 8, 8), f->host[2] + HIGH - 8);
	assert_null(guest_memory_map(m, SPLIT - 1, 2));
	assert_null(guest_memory_map(m, LOW - 1, 2));
	assert_null(guest_memory_map(m, LOW, 1));
	assert_null(guest_memory_map(m, GUEST_HIGH_BASE + HIGH, 1));
	assert_null(guest_memory_map(m, UINT64_MAX, 1));
	assert_null(guest_memory_map(m, 8, UINT64_MAX));
}

/* The inline form gives the same answers. */
static void test_piece(void **state)
{
	struct guest_memory *m = &((struct fixture *)*state)->memory;
	static const uint64_t at[] = {0,
				      8,
				      SPLIT - 8,
				      SPLIT,
				      LOW - 8,
				      LOW,
				      0x6000,
				      GUEST_HIGH_BASE - 8,
				      GUEST_HIGH_BASE,
				      GUEST_HIGH_BASE + HIGH - 8,
				      GUEST_HIGH_BASE + HIGH,
				      UINT64_MAX - 7};

	for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
		for (unsigned size = 1; size <= 16; size++)
			assert_ptr_equal(guest_memory_piece(m, at[i], size),
					 guest_memory_map(m, at[i], size));
}

static void test_copies(void **state)
{
	struct guest_memory *m = &((struct fixture *)*state)->memory;
	struct fixture *f = *state;
	uint8_t bytes[16], back[16];

	for (unsigned i = 0; i < 16; i++)
		bytes[i] = (uint8_t)(i + 1);
	assert_true(guest_memory_write(m, SPLIT - 5, bytes, 16));
	assert_memory_equal(f->host[0] + SPLIT - 5, bytes, 5);
	assert_memory_equal(f->host[1], bytes + 5, 11);
	assert_true(guest_memory_read(m, SPLIT - 5, back, 16));
	assert_memory_equal(bytes, back, 16);
	assert_true(guest_memory_zero(m, SPLIT - 2, 4));
	assert_int_equal(f->host[0][SPLIT - 3], 3);
	assert_int_equal(f->host[0][SPLIT - 1] | f->host[1][0] | f->host[1][1], 0);
	assert_int_equal(f->host[1][2], 8);
}

static void test_beyond(void **state)
{
	struct guest_memory *m = &((struct fixture *)*state)->memory;
	uint8_t bytes[16] = {0};

	assert_false(guest_memory_read(m, LOW - 8, bytes, 16));
	assert_false(guest_memory_write(m, LOW - 8, bytes, 16));
	assert_false(guest_memory_zero(m, LOW - 8, 16));
	assert_false(guest_memory_read(m, UINT64_MAX - 3, bytes, 16));
	assert_false(guest_memory_write(m, GUEST_HIGH_BASE - 1, bytes, 2));
	assert_true(guest_memory_read(m, LOW, bytes, 0));
}

static bool populate(void *ctx, uint64_t gpa)
{
	struct fixture *f = ctx;
	uint64_t block = gpa / PAGE_SIZE_2M;

	f->populated[f->calls++ % 8] = gpa;
	if (f->refuse)
		return false;
	f->bitmap[block / 8] |= (uint8_t)(1 << block % 8);
	return true;
}

static void test_populates(void **state)
{
	struct fixture *f = *state;
	struct guest_memory *m = &f->memory;
	uint8_t *big = malloc(8 * MIB);

	m->extent[2] = (struct guest_extent){GUEST_HIGH_BASE, 8 * MIB, big};
	m->populate = populate;
	m->ctx = f;
	m->populated = f->bitmap;
	assert_non_null(guest_memory_map(m, GUEST_HIGH_BASE + 2 * MIB - 1, 2));
	assert_int_equal(f->calls, 2);
	assert_int_equal(f->populated[0], GUEST_HIGH_BASE + 2 * MIB - 1);
	assert_int_equal(f->populated[1], GUEST_HIGH_BASE + 2 * MIB);
	assert_non_null(guest_memory_piece(m, GUEST_HIGH_BASE + 8, 8));
	assert_int_equal(f->calls, 2);
	assert_non_null(guest_memory_piece(m, GUEST_HIGH_BASE + 4 * MIB, 8));
	assert_int_equal(f->calls, 3);
	assert_non_null(guest_memory_map(m, GUEST_HIGH_BASE + 6 * MIB, 0));
	assert_int_equal(f->calls, 3);
	assert_null(guest_memory_map(m, GUEST_HIGH_BASE + 8 * MIB, 1));
	assert_int_equal(f->calls, 3);
	f->refuse = true;
	assert_null(guest_memory_piece(m, GUEST_HIGH_BASE + 6 * MIB, 8));
	assert_null(guest_memory_map(m, GUEST_HIGH_BASE + 6 * MIB, 8));
	assert_false(guest_memory_zero(m, GUEST_HIGH_BASE + 6 * MIB, 8));
	free(big);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sizes),  TEST(test_map),    TEST(test_piece),
		TEST(test_copies), TEST(test_beyond), TEST(test_populates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
