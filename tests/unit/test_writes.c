/* SPDX-License-Identifier: MIT */
/* Pages that a VM has written, over real page tables in the test's memory. */
#include "vm/writes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define RAM (64 * MIB)

static unsigned invalidated;

static uint64_t alloc_page(void *ctx)
{
	(void)ctx;
	return (uint64_t)aligned_alloc(PAGE_SIZE, PAGE_SIZE);
}

static void free_page(void *ctx, uint64_t page)
{
	(void)ctx;
	free((void *)page);
}

static void invalidate(void *ctx, uint64_t eptp)
{
	(void)ctx;
	(void)eptp;
	invalidated++;
}

static const struct ept_ops ops = {alloc_page, free_page, invalidate};

struct fixture {
	struct ept ept;
	struct writes writes;
	void *room;
};

static void begin(struct fixture *f, enum writes_how how, unsigned cpus)
{
	uint64_t access = how == WRITES_PROTECT ? EPT_READ | EPT_EXEC : EPT_RWX;

	f->room = aligned_alloc(PAGE_SIZE, writes_bytes(RAM, cpus));
	writes_init(&f->writes, how, f->room, RAM, cpus);
	assert_true(ept_init(&f->ept, 1, how != WRITES_PROTECT, &ops, NULL));
	assert_true(ept_map(&f->ept, 0, 0, RAM, access, MEMORY_WB));
}

static void end(struct fixture *f)
{
	ept_destroy(&f->ept);
	free(f->room);
}

static void expect_range(struct fixture *f, uint64_t gpa, uint64_t length)
{
	uint64_t got_gpa, got_length;

	assert_true(writes_next(&f->writes, &got_gpa, &got_length));
	assert_int_equal(got_gpa, gpa);
	assert_int_equal(got_length, length);
}

static void expect_end(struct fixture *f)
{
	uint64_t gpa, length;

	assert_false(writes_next(&f->writes, &gpa, &length));
}

static void take(struct fixture *f)
{
	writes_take(&f->writes, &f->ept);
}

static struct ept_page page_at(struct fixture *f, uint64_t gpa)
{
	struct ept_page page;

	assert_true(ept_translate(&f->ept, gpa, &page));
	return page;
}

/* What the CPU does by itself where it has flags. */
static void cpu_writes(struct fixture *f, uint64_t gpa)
{
	ept_adjust(&f->ept, gpa, 0, EPT_DIRTY);
}

static void test_ranges(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, WRITES_LOG, 2);
	writes_note(&f.writes, 0xfff);
	for (uint64_t gpa = 5 * MIB - PAGE_SIZE; gpa < 5 * MIB + 0x9000; gpa += PAGE_SIZE)
		writes_note(&f.writes, gpa);
	writes_note(&f.writes, RAM - 1);
	writes_note(&f.writes, 1ULL << 50);
	take(&f);
	expect_range(&f, 0, PAGE_SIZE);
	expect_range(&f, 5 * MIB - PAGE_SIZE, 0xa000);
	expect_range(&f, RAM - PAGE_SIZE, PAGE_SIZE);
	expect_end(&f);
	take(&f);
	expect_end(&f);
	end(&f);
}

static void test_log(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, WRITES_LOG, 2);
	assert_ptr_equal(writes_log(&f.writes, 1), writes_log(&f.writes, 0) + PAGE_SIZE / 8);
	assert_true((uint8_t *)writes_log(&f.writes, 2) <=
		    (uint8_t *)f.room + writes_bytes(RAM, 2));
	cpu_writes(&f, 3 * MIB);
	cpu_writes(&f, 4 * MIB);
	writes_note(&f.writes, 3 * MIB);
	take(&f);
	/* The other one's entry is in a log that nobody has read yet. */
	assert_false(page_at(&f, 3 * MIB).dirty);
	assert_true(page_at(&f, 4 * MIB).dirty);
	expect_range(&f, 3 * MIB, PAGE_SIZE);
	expect_end(&f);
	end(&f);
}

static void test_flags(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, WRITES_FLAGS, 1);
	assert_null(writes_log(&f.writes, 0));
	cpu_writes(&f, 3 * MIB);
	take(&f);
	assert_false(page_at(&f, 3 * MIB).dirty);
	assert_int_equal(page_at(&f, 3 * MIB).access, EPT_RWX);
	expect_range(&f, 3 * MIB, PAGE_SIZE);
	expect_end(&f);
	end(&f);
}

static void test_protect(void **state)
{
	struct fixture f;
	unsigned before;

	(void)state;
	begin(&f, WRITES_PROTECT, 1);
	before = invalidated;
	ept_adjust(&f.ept, 3 * MIB, 0, EPT_WRITE);
	writes_note(&f.writes, 3 * MIB);
	assert_int_equal(page_at(&f, 3 * MIB).access, EPT_RWX);
	assert_int_equal(page_at(&f, 3 * MIB + PAGE_SIZE).access, EPT_READ | EPT_EXEC);
	take(&f);
	assert_int_equal(page_at(&f, 3 * MIB).access, EPT_READ | EPT_EXEC);
	assert_int_equal(invalidated, before);
	expect_range(&f, 3 * MIB, PAGE_SIZE);
	expect_end(&f);
	ept_adjust(&f.ept, 1ULL << 50, EPT_WRITE, 0);
	ept_adjust(&f.ept, RAM, 0, EPT_WRITE);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_protect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
