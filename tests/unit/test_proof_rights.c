/* SPDX-License-Identifier: MIT */
/*
 * Segment checks of the emulator, by exhaustion: all access rights that a VMCS can hold, with
 * offsets around all limits that matter, against the SDM's tables said once more. SDM volume 3,
 * 'Segment Descriptors' ('Code- and Data-Segment Descriptor Types'), 'Limit Checking', 'Type
 * Checking'.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lib/bits.h"
#include "vm/emulate.h"

#define RIGHTS	 0x20000u /* all values: 16 bits, and bit 16 for unusable */
#define RAM_SIZE 0x10000

static uint8_t ram[RAM_SIZE];
static struct guest_memory memory = {.extent = {{0, RAM_SIZE, ram}}, .extents = 1};
static uint64_t field[EMULATE_FIELDS];
static uint64_t gpr[16];

static uint64_t get(void *ctx, enum emulate_field which)
{
	(void)ctx;
	return field[which];
}

static void set_rflags(void *ctx, uint64_t rflags)
{
	(void)ctx, (void)rflags;
	fail();
}

static uint64_t mmio_read(void *ctx, uint64_t gpa, unsigned size)
{
	(void)ctx, (void)gpa, (void)size;
	return 0;
}

static void mmio_write(void *ctx, uint64_t gpa, unsigned size, uint64_t value)
{
	(void)ctx, (void)gpa, (void)size, (void)value;
}

static const struct emulate_ops ops = {get, set_rflags, mmio_read, mmio_write};

struct access {
	uint64_t offset;
	uint64_t limit;
	unsigned size;
	bool write;
};

/* --- The SDM's tables --- */

/* Table 'Code- and Data-Segment Types': by bits 11:8 of the descriptor's second word. */
static const struct {
	bool read, write, down;
} types[16] = {
	{true, false, false},  {true, false, false},  /* data, read-only */
	{true, true, false},   {true, true, false},   /* data, read/write */
	{true, false, true},   {true, false, true},   /* data, read-only, expand-down */
	{true, true, true},    {true, true, true},    /* data, read/write, expand-down */
	{false, false, false}, {false, false, false}, /* code, execute-only */
	{true, false, false},  {true, false, false},  /* code, execute/read */
	{false, false, false}, {false, false, false}, /* code, execute-only, conforming */
	{true, false, false},  {true, false, false},  /* code, execute/read, conforming */
};

/* Each byte of the access lies in the segment, one by one. */
static bool inside(const struct access *a, unsigned type, bool big)
{
	for (unsigned i = 0; i < a->size; i++) {
		uint64_t at = a->offset + i;

		if (types[type].down ? at <= a->limit || at > (big ? 0xFFFFFFFF : 0xFFFF)
				     : at > a->limit)
			return false;
	}
	return true;
}

static bool allowed(const struct access *a, uint32_t rights, bool protected)
{
	unsigned type = rights & 0xF;
	bool unusable = rights >> 16 & 1, big = rights >> 14 & 1;

	if (protected && (unusable || !(a->write ? types[type].write : types[type].read)))
		return false;
	return inside(a, type, big);
}

/* --- The emulator --- */

static enum emulate_status span(const struct access *a, enum insn_segment segment,
				struct emulate_result *result)
{
	struct emulate e = {.ops = &ops, .memory = &memory, .gpr = gpr, .physical_bits = 36};
	struct emulate_span got;

	memset(result, 0, sizeof(*result));
	return emulate_span(&e, segment, a->offset, a->size, a->write ? WALK_WRITE : 0, &got,
			    result);
}

static void check(const struct access *a, enum insn_segment segment, uint32_t rights,
		  bool protected)
{
	struct emulate_result result;
	enum emulate_status status;
	bool right = allowed(a, rights, protected);

	field[EMULATE_CR0] = protected ? CR0_PE : 0;
	field[EMULATE_RIGHTS + segment] = rights;
	field[EMULATE_LIMIT + segment] = a->limit;
	status = span(a, segment, &result);
	if (status != (right ? EMULATE_DONE : EMULATE_FAULT))
		fail_msg("rights %05x limit %lx offset %lx size %u %s: %d", rights,
			 (unsigned long)a->limit, (unsigned long)a->offset, a->size,
			 a->write ? "write" : "read", status);
	if (right)
		return;
	assert_int_equal(result.vector, segment == SEGMENT_SS ? VECTOR_SS : VECTOR_GP);
	assert_int_equal(result.error_code, 0);
}

static void test_all_rights(void **state)
{
	static const uint64_t limits[] = {0xFFE, 0xFFFF};

	(void)state;
	field[EMULATE_RIGHTS + SEGMENT_CS] = 0xC09B;
	field[EMULATE_RFLAGS] = RFLAGS_FIXED;
	for (uint32_t rights = 0; rights < RIGHTS; rights++) {
		for (unsigned i = 0; i < 16; i++) {
			const struct access a = {
				.limit = limits[i & 1],
				.size = i & 2 ? 4 : 1,
				.write = i & 4,
				/* The last byte inside, or the first one outside. */
				.offset = limits[i & 1] + (i & 8 ? 1 : 0),
			};

			check(&a, rights & 0x40 ? SEGMENT_SS : SEGMENT_DS, rights, true);
		}
	}
}

/* Every offset about every limit, for each type and default size. */
static void test_all_limits(void **state)
{
	static const uint64_t near[] = {0, 0xFFFF, 0xFFFFFFFF};

	(void)state;
	field[EMULATE_RIGHTS + SEGMENT_CS] = 0xC09B;
	for (unsigned kind = 0; kind < 64; kind++) {
		uint32_t rights = (kind & 15) | 0x90 | (kind & 16 ? 0x4000u : 0);

		for (unsigned i = 0; i < 3 * 3 * 13 * 13 * 2; i++) {
			uint64_t limit = near[i % 3] + i / 9 % 13 - 6;
			uint64_t offset = near[i / 3 % 3] + i / 117 % 13 - 6;

			for (unsigned size = 1; size <= 8; size *= 2) {
				const struct access a = {(uint32_t)offset, (uint32_t)limit, size,
							 i / 1521};

				/* Real mode has no types but for the direction of the limit. */
				check(&a, SEGMENT_DS, rights, !(kind & 32));
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_rights),
		cmocka_unit_test(test_all_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
