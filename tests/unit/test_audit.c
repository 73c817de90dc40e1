/* SPDX-License-Identifier: MIT */
/* The audit: books that are right, and each way in which they can be wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vm/audit.h"

#define POOL  (16 * MIB)
#define TOUCH (4 * MIB) /* where the VM's RAM is in the pool */

static uint8_t *arena;
static struct frames pool, frames;
static uint8_t *map;
static struct vm_config config = {.name = "v"};
static struct vm vm;
static struct audit audit;
static char said[4096];

static void line(void *to, const char *text)
{
	(void)to;
	strncat(said, text, sizeof(said) - strlen(said) - 2);
	strcat(said, "\n");
}

static uint64_t alloc_page(void *ctx)
{
	return frames_alloc(ctx, PAGE_SIZE, PAGE_SIZE, UINT64_MAX);
}

static void free_page(void *ctx, uint64_t page)
{
	frames_free(ctx, page, PAGE_SIZE);
}

static void invalidate(void *ctx, uint64_t eptp)
{
	(void)ctx, (void)eptp;
}

static const struct ept_ops ops = {alloc_page, free_page, invalidate};

/* A VM of 4 MiB whose first 2 MiB have been touched. */
static int setup(void **state)
{
	uint64_t start;

	(void)state;
	said[0] = '\0';
	arena = aligned_alloc(PAGE_SIZE_2M, POOL);
	start = (uint64_t)arena;
	memset(&pool, 0, sizeof(pool));
	frames_add(&pool, start, start + POOL);
	frames = pool;
	map = malloc(audit_map_size(&pool));
	memset(&vm, 0, sizeof(vm));
	vm.config = &config;
	assert_true(ept_init(&vm.ept, 2, true, &ops, &frames));
	assert_true(frames_remove(&frames, start + TOUCH, start + TOUCH + 4 * MIB));
	vm.memory.extents = 1;
	vm.memory.extent[0] =
		(struct guest_extent){.gpa = 0, .size = 4 * MIB, .host = arena + TOUCH};
	vm.memory.populated = (uint8_t *)alloc_page(&frames);
	vm.cpus = 1;
	vm.apic_page[0] = (uint8_t *)alloc_page(&frames);
	assert_true(ept_map(&vm.ept, 0, start + TOUCH, 2 * MIB, EPT_RWX, MEMORY_WB));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(arena);
	free(map);
	return 0;
}

static bool run(void)
{
	audit_begin(&audit, &pool, map, line, NULL);
	audit_claim_free(&audit, &frames);
	audit_claim_vm(&audit, &vm);
	return audit_end(&audit);
}

static void finds(const char *words)
{
	assert_false(run());
	if (!strstr(said, words))
		fail_msg("'%s' should say '%s'", said, words);
}

static void test_right(void **state)
{
	(void)state;
	if (!run())
		fail_msg("%s", said);
	/* Four levels of tables but the last, the map of touched blocks, a local APIC. */
	assert_int_equal(audit.bytes[AUDIT_SOCLE], 5 * PAGE_SIZE);
	assert_int_equal(audit.bytes[AUDIT_VM], 4 * MIB);
	assert_int_equal(audit.bytes[AUDIT_FREE] + 5 * PAGE_SIZE + 4 * MIB, POOL);
	assert_non_null(strstr(said, "each page has one owner, 0 findings"));
}

static void test_lost(void **state)
{
	(void)state;
	alloc_page(&frames);
	alloc_page(&frames);
	finds("2 pages from");
	assert_int_equal(audit.findings, 1);
}

static void test_twice(void **state)
{
	(void)state;
	frames_free(&frames, (uint64_t)vm.apic_page[0], PAGE_SIZE);
	finds("somebody else's too");
}

static void test_ram_of_another(void **state)
{
	(void)state;
	vm.memory.extent[0].host -= 2 * MIB;
	finds("VM v at");
}

static void test_maps_what_is_not_its_own(void **state)
{
	(void)state;
	assert_true(
		ept_map(&vm.ept, 2 * MIB, (uint64_t)arena + 12 * MIB, 2 * MIB, EPT_RWX, MEMORY_WB));
	finds("which is not its RAM there");
}

static void test_maps_its_own_in_the_wrong_place(void **state)
{
	(void)state;
	assert_true(
		ept_map(&vm.ept, 2 * MIB, (uint64_t)arena + TOUCH, 2 * MIB, EPT_RWX, MEMORY_WB));
	finds("maps 0x200000");
}

static void test_maps_beyond_its_end(void **state)
{
	(void)state;
	vm.memory.extent[0].size = MIB;
	finds("which is not its RAM there");
}

static void test_outside(void **state)
{
	(void)state;
	audit_begin(&audit, &pool, map, line, NULL);
	audit_claim(&audit, (uint64_t)arena - PAGE_SIZE, PAGE_SIZE, AUDIT_SOCLE, "something");
	audit_claim(&audit, (uint64_t)arena + POOL - 1, 2, AUDIT_SOCLE, "something");
	assert_int_equal(audit.findings, 2);
	assert_non_null(strstr(said, "something at"));
	assert_non_null(strstr(said, "never was in the pool"));
}

/* One fault of many pages does not fill the console. */
static void test_many_findings(void **state)
{
	unsigned lines = 0;

	(void)state;
	audit_begin(&audit, &pool, map, line, NULL);
	for (unsigned i = 0; i < 2; i++)
		audit_claim(&audit, (uint64_t)arena, MIB, AUDIT_SOCLE, "x");
	assert_int_equal(audit.findings, MIB / PAGE_SIZE);
	for (const char *at = said; *at; at++)
		lines += *at == '\n';
	assert_int_equal(lines, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_right, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ram_of_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_maps_what_is_not_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_maps_its_own_in_the_wrong_place, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_maps_beyond_its_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_findings, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
