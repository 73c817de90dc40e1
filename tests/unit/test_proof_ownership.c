/* SPDX-License-Identifier: MIT */
/*
 * Who owns a page, by exhaustion: every sequence of steps of two small VMs over pools of a few
 * pages. At each point each page is free, of one VM, or a table, and of one of these only; no
 * table leads to what is another's; and when both VMs are gone every page has come back, once.
 * Memory runs out in every place where it can.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/audit.h"

#define VMS   2
#define PAGES 26 /* more than both VMs can use */
#define STEPS 5
#define FAR   (2 * MIB) /* the second page of RAM needs a table of its own */

enum step { BEGIN, TOUCH_NEAR, TOUCH_FAR, PROTECT, DROP_ACCESS, END, KINDS };

static uint8_t *arena;
static uint64_t pool_pages;
static struct frames pool, frames;
static uint8_t map[PAGE_SIZE];
static struct vm_config config = {.name = "v"};
static struct vm vm[VMS];
static bool there[VMS];
static char said[512];
static unsigned long checked;

static enum memory_type memory_type(uint64_t start, uint64_t end)
{
	(void)start, (void)end;
	return MEMORY_WB;
}

static void invalidate_ept(void *ctx, uint64_t eptp)
{
	assert_int_equal(eptp, ept_pointer(&((struct vm *)ctx)->ept));
}

static struct vm_host host = {.frames = &frames,
			      .pool = &pool,
			      .largest_ept_level = 1,
			      .memory_type = memory_type,
			      .invalidate_ept = invalidate_ept};

static uint64_t alloc_page(void *ctx)
{
	uint64_t page = frames_alloc(ctx ? &frames : NULL, PAGE_SIZE, PAGE_SIZE, UINT64_MAX);

	return page == FRAMES_NONE ? 0 : page;
}

static void free_page(void *ctx, uint64_t page)
{
	(void)ctx;
	frames_free(&frames, page, PAGE_SIZE);
}

static const struct ept_ops ops = {alloc_page, free_page, invalidate_ept};

static void line(void *to, const char *text)
{
	(void)to;
	if (strlen(said) + strlen(text) + 2 < sizeof(said))
		strcat(strcat(said, text), "\n");
}

static bool audit(void)
{
	static struct audit book;

	said[0] = '\0';
	audit_begin(&book, &pool, map, line, NULL);
	audit_claim_free(&book, &frames);
	for (unsigned i = 0; i < VMS; i++)
		if (there[i])
			audit_claim_vm(&book, &vm[i]);
	checked++;
	return audit_end(&book);
}

/* As vm_create() does, with RAM of one page at 0 and one at FAR; all or nothing. */
static void begin(unsigned i)
{
	struct vm *v = &vm[i];
	uint64_t page[4];
	unsigned got = 0;

	memset(v, 0, sizeof(*v));
	v->config = &config;
	v->host = &host;
	v->cpus = 1;
	if (!ept_init(&v->ept, 1, false, &ops, v))
		return;
	while (got < ARRAY_SIZE(page) && (page[got] = alloc_page(v)))
		got++;
	there[i] = got == ARRAY_SIZE(page) &&
		   ept_map(&v->ept, VLAPIC_BASE_DEFAULT, (uint64_t)arena - PAGE_SIZE, PAGE_SIZE,
			   EPT_READ | EPT_WRITE, MEMORY_WB);
	if (!there[i]) {
		ept_destroy(&v->ept);
		while (got)
			free_page(v, page[--got]);
		return;
	}
	v->memory.extent[0] = (struct guest_extent){0, PAGE_SIZE, (uint8_t *)page[0]};
	v->memory.extent[1] = (struct guest_extent){FAR, PAGE_SIZE, (uint8_t *)page[1]};
	v->memory.extents = 2;
	v->memory.populated = memset((void *)page[2], 0, PAGE_SIZE);
	v->apic_page[0] = (uint8_t *)page[3];
	v->apic_access = true;
}

static void act(unsigned i, enum step step)
{
	struct vm *v = &vm[i];

	switch (step) {
	case BEGIN: begin(i); break;
	case TOUCH_NEAR: assert_true(vm_populate(v, 0x10)); break;
	case TOUCH_FAR: assert_true(vm_populate(v, FAR)); break;
	case PROTECT: ept_protect(&v->ept, 0, PAGE_SIZE, EPT_READ); break;
	case DROP_ACCESS: vm_drop_apic_access(v); break;
	case END:
		vm_destroy(v);
		there[i] = false;
		break;
	case KINDS: break;
	}
}

/* False: the sequence is not one: what is not there does nothing, what is begins not again. */
static bool run(unsigned long sequence)
{
	memset(there, 0, sizeof(there));
	frames = pool;
	for (unsigned n = 0; n < STEPS; n++, sequence /= VMS * KINDS) {
		unsigned i = sequence % VMS;
		enum step step = (enum step)(sequence / VMS % KINDS);

		if ((step == BEGIN) == there[i])
			return false;
		act(i, step);
		if (!audit())
			fail_msg("step %u, pool of %lu: %s", n, (unsigned long)pool_pages, said);
	}
	for (unsigned i = 0; i < VMS; i++)
		if (there[i])
			act(i, END);
	assert_int_equal(frames_total(&frames), frames_total(&pool));
	assert_int_equal(frames.count, 1);
	return true;
}

static void test_every_sequence(void **state)
{
	static const uint64_t pools[] = {8, 12, 14, 18, PAGES};
	unsigned long sequences = 0, count = 1;

	(void)state;
	for (unsigned n = 0; n < STEPS; n++)
		count *= VMS * KINDS;
	for (unsigned i = 0; i < ARRAY_SIZE(pools); i++) {
		pool_pages = pools[i];
		memset(&pool, 0, sizeof(pool));
		frames_add(&pool, (uint64_t)arena, (uint64_t)arena + pool_pages * PAGE_SIZE);
		host.apic_access_page = (uint64_t)arena - PAGE_SIZE;
		for (unsigned long s = 0; s < count; s++)
			sequences += run(s);
	}
	print_message("# %lu sequences, %lu states\n", sequences, checked);
	assert_true(sequences > 10000);
}

static int setup(void **state)
{
	uint8_t *memory = aligned_alloc(PAGE_SIZE, (PAGES + 1) * PAGE_SIZE);

	*state = memory;
	arena = memory + PAGE_SIZE;
	return memory ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_sequence),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
