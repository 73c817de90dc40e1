/* SPDX-License-Identifier: MIT */
/* The EPT walker over injected memory, against a flat model of what is mapped. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ept/ept.h"

struct fake {
	struct ept ept;
	unsigned pages; /* out now */
	unsigned limit; /* that may be out */
	unsigned invalidations;
};

static uint64_t alloc_page(void *ctx)
{
	struct fake *fake = ctx;
	void *page;

	if (fake->pages == fake->limit)
		return 0;
	page = aligned_alloc(4096, 4096);
	assert_non_null(page);
	memset(page, 0xa5, 4096);
	fake->pages++;
	return (uint64_t)page;
}

static void free_page(void *ctx, uint64_t page)
{
	struct fake *fake = ctx;

	/* A table may go only after somebody was told to forget it. */
	assert_true(fake->invalidations > 0);
	fake->pages--;
	free((void *)page);
}

static void invalidate(void *ctx, uint64_t eptp)
{
	struct fake *fake = ctx;

	assert_int_equal(eptp, ept_pointer(&fake->ept));
	fake->invalidations++;
}

static const struct ept_ops ops = {
	.alloc_page = alloc_page, .free_page = free_page, .invalidate = invalidate};

static void start(struct fake *fake, unsigned largest_level)
{
	*fake = (struct fake){.limit = 10000};
	assert_true(ept_init(&fake->ept, largest_level, false, &ops, fake));
}

static void finish(struct fake *fake)
{
	ept_destroy(&fake->ept);
	assert_int_equal(fake->pages, 0);
}

static void test_pointer(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake, 2);
	/* Write-back, walk length 4, no dirty flags; then with them. */
	assert_int_equal(ept_pointer(&fake.ept), fake.ept.root | 6 | 3 << 3);
	fake.ept.dirty_flags = true;
	assert_int_equal(ept_pointer(&fake.ept), fake.ept.root | 6 | 3 << 3 | 1 << 6);
	finish(&fake);
}

/* The entry on the given level, as the CPU would walk to it. */
static uint64_t raw_entry(const struct fake *fake, uint64_t gpa, unsigned level)
{
	const uint64_t *table = (const uint64_t *)fake->ept.root;

	for (unsigned l = 4;; l--) {
		uint64_t entry = table[gpa >> (12 + 9 * (l - 1)) & 511];

		if (l == level)
			return entry;
		assert_int_equal(entry & 7, 7);
		assert_int_equal(entry & 1 << 7, 0);
		table = (const uint64_t *)(entry & 0xffffffffff000ULL);
	}
}

static void test_entry_format(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake, 3);
	assert_true(ept_map(&fake.ept, 0x1000, 0x12345000, 0x1000, EPT_READ | EPT_EXEC, MEMORY_UC));
	assert_int_equal(raw_entry(&fake, 0x1000, 1), 0x12345000 | 5);
	assert_true(ept_map(&fake.ept, 0x200000, 0x40000000, 0x200000, EPT_RWX, MEMORY_WB));
	assert_int_equal(raw_entry(&fake, 0x200000, 2), 0x40000000 | 7 | 6 << 3 | 1 << 7);
	assert_true(ept_map(&fake.ept, GIB, 2 * GIB, GIB, EPT_READ, MEMORY_WT));
	assert_int_equal(raw_entry(&fake, GIB, 3), 2 * GIB | 1 | 4 << 3 | 1 << 7);
	finish(&fake);
}

static void test_largest_page(void **state)
{
	struct ept_page page;
	struct fake fake;

	(void)state;
	/* 2 MiB is the largest allowed: 1 GiB becomes 512 of them in one table. */
	start(&fake, 2);
	assert_true(ept_map(&fake.ept, 0, 4 * GIB, GIB, EPT_RWX, MEMORY_WB));
	assert_int_equal(fake.ept.tables, 3);
	assert_true(ept_translate(&fake.ept, 0x12345678, &page));
	assert_int_equal(page.size, PAGE_SIZE_2M);
	assert_int_equal(page.hpa, 4 * GIB + 0x12345678);
	finish(&fake);
	/* A host address that is not aligned as the guest's forces small pages. */
	start(&fake, 3);
	assert_true(ept_map(&fake.ept, 0, 0x1000, PAGE_SIZE_2M, EPT_RWX, MEMORY_WB));
	assert_true(ept_translate(&fake.ept, 0x1fffff, &page));
	assert_int_equal(page.size, PAGE_SIZE);
	assert_int_equal(page.hpa, 0x200fff);
	finish(&fake);
}

static void test_split_keeps_the_rest(void **state)
{
	struct ept_page page;
	struct fake fake;

	(void)state;
	start(&fake, 3);
	assert_true(ept_map(&fake.ept, 0, GIB, GIB, EPT_RWX, MEMORY_WB));
	assert_int_equal(fake.invalidations, 0);
	assert_true(ept_protect(&fake.ept, 0x201000, 0x1000, EPT_READ));
	assert_true(fake.invalidations > 0);
	assert_true(ept_translate(&fake.ept, 0x201abc, &page));
	assert_int_equal(page.access, EPT_READ);
	assert_int_equal(page.size, PAGE_SIZE);
	assert_int_equal(page.hpa, GIB + 0x201abc);
	assert_true(ept_translate(&fake.ept, 0x202000, &page));
	assert_int_equal(page.access, EPT_RWX);
	assert_int_equal(page.type, MEMORY_WB);
	assert_true(ept_translate(&fake.ept, 0x400000, &page));
	assert_int_equal(page.size, PAGE_SIZE_2M);
	assert_int_equal(page.hpa, GIB + 0x400000);
	finish(&fake);
}

static void test_replace_frees_tables(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake, 2);
	assert_true(ept_map(&fake.ept, 0x3000, 0x7000, 0x1000, EPT_RWX, MEMORY_WB));
	assert_int_equal(fake.ept.tables, 4);
	assert_true(ept_map(&fake.ept, 0, PAGE_SIZE_2M, PAGE_SIZE_2M, EPT_RWX, MEMORY_WB));
	assert_int_equal(fake.ept.tables, 3);
	assert_int_equal(fake.pages, 3);
	finish(&fake);
}

static void test_bad_arguments(void **state)
{
	struct ept_page page;
	struct fake fake;

	(void)state;
	start(&fake, 3);
	assert_false(ept_map(&fake.ept, 0x800, 0, 0x1000, EPT_RWX, MEMORY_WB));
	assert_false(ept_map(&fake.ept, 0, 0x800, 0x1000, EPT_RWX, MEMORY_WB));
	assert_false(ept_map(&fake.ept, 0, 0, 0x800, EPT_RWX, MEMORY_WB));
	assert_false(ept_map(&fake.ept, 0, 0, 0x1000, EPT_WRITE, MEMORY_WB));
	assert_false(ept_map(&fake.ept, 0, 0, 0x1000, 0, MEMORY_WB));
	assert_false(ept_map(&fake.ept, BIT(48) - 0x1000, 0, 0x2000, EPT_RWX, MEMORY_WB));
	assert_false(ept_protect(&fake.ept, 0, 0x1000, EPT_WRITE | EPT_EXEC));
	assert_false(ept_unmap(&fake.ept, BIT(48), 0x1000));
	assert_false(ept_translate(&fake.ept, BIT(48), &page));
	assert_false(ept_translate(&fake.ept, 0, &page));
	assert_int_equal(fake.ept.tables, 1);
	finish(&fake);
}

static void test_out_of_memory(void **state)
{
	struct ept_page page;
	struct fake fake;

	(void)state;
	start(&fake, 2);
	fake.limit = 3;
	assert_false(ept_map(&fake.ept, 0, 0, 0x1000, EPT_RWX, MEMORY_WB));
	assert_false(ept_translate(&fake.ept, 0, &page));
	fake.limit = 4;
	assert_true(ept_map(&fake.ept, 0, 0, 0x1000, EPT_RWX, MEMORY_WB));
	finish(&fake);
	start(&fake, 2);
	assert_true(ept_map(&fake.ept, 0, 0, PAGE_SIZE_2M, EPT_RWX, MEMORY_WB));
	fake.limit = fake.pages;
	assert_false(ept_protect(&fake.ept, 0x1000, 0x1000, EPT_READ));
	/* The large page must still be whole. */
	assert_true(ept_translate(&fake.ept, 0x1000, &page));
	assert_int_equal(page.access, EPT_RWX);
	finish(&fake);
}

/* Random operations against an array that says for each 4 KiB page what it should be. */
#define MODEL_PAGES 4096
#define MODEL_STEPS 3000

struct model_page {
	uint64_t hpa, access;
};

static uint64_t random_state = 88172645463325252ULL;

static uint64_t random_number(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

static void compare(const struct fake *fake, const struct model_page *model)
{
	for (uint64_t i = 0; i < MODEL_PAGES; i++) {
		struct ept_page page;

		if (!ept_translate(&fake->ept, i * 4096, &page)) {
			assert_int_equal(model[i].access, 0);
			continue;
		}
		assert_int_equal(page.access, model[i].access);
		assert_int_equal(page.hpa, model[i].hpa);
	}
}

static void step(struct fake *fake, struct model_page *model)
{
	static const uint64_t accesses[] = {1, 3, 4, 5, 7};
	uint64_t align = random_number(3) ? 1 : 512;
	uint64_t first = random_number(MODEL_PAGES) / align * align;
	uint64_t wish = random_number(3) ? random_number(40) + 1 : random_number(8) * 512;
	uint64_t count = MIN(wish, MODEL_PAGES - first);
	uint64_t hpa = random_number(1 << 20) / align * align * 4096;
	uint64_t access = accesses[random_number(5)], operation = random_number(3);

	if (operation == 0)
		assert_true(
			ept_map(&fake->ept, first * 4096, hpa, count * 4096, access, MEMORY_WB));
	else if (operation == 1)
		assert_true(ept_unmap(&fake->ept, first * 4096, count * 4096));
	else
		assert_true(ept_protect(&fake->ept, first * 4096, count * 4096, access));
	for (uint64_t i = first; i < first + count; i++) {
		if (operation == 0)
			model[i] = (struct model_page){hpa + (i - first) * 4096, access};
		else if (operation == 1)
			model[i] = (struct model_page){0};
		else if (model[i].access)
			model[i].access = access;
	}
}

static void test_against_model(void **state)
{
	static struct model_page model[MODEL_PAGES];
	struct fake fake;

	(void)state;
	start(&fake, 2);
	for (unsigned i = 0; i < MODEL_STEPS; i++) {
		step(&fake, model);
		if (i % 50 == 0)
			compare(&fake, model);
	}
	compare(&fake, model);
	finish(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pointer),
		cmocka_unit_test(test_entry_format),
		cmocka_unit_test(test_largest_page),
		cmocka_unit_test(test_split_keeps_the_rest),
		cmocka_unit_test(test_replace_frees_tables),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
