/* SPDX-License-Identifier: MIT */
/*
 * Exceptions of a vCPU, against the tables of SDM volume 3, "Interrupt and Exception Handling":
 * exceptions and interrupts, classes, and conditions for generating a double fault.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/vcpu.h"

/*
 * The class of each vector as the SDM lists them: B benign, C contributory, P page fault, D the
 * double fault itself. Reserved vectors are in no class and combine with nothing.
 *
 *                               0       8       16      24
 */
static const char classes[33] = "CBBBBBBBDBCCCCPBBBBBPCBBBBBBBBBB";

/* Rows: the first one's class; columns: the second's, of B, C, P. */
static enum vcpu_combination by_table(char first, char second)
{
	static const struct {
		char first;
		enum vcpu_combination benign, contributory, page_fault;
	} rows[] = {
		{'B', VCPU_DELIVER_SECOND, VCPU_DELIVER_SECOND, VCPU_DELIVER_SECOND},
		{'C', VCPU_DELIVER_SECOND, VCPU_DOUBLE_FAULT, VCPU_DELIVER_SECOND},
		{'P', VCPU_DELIVER_SECOND, VCPU_DOUBLE_FAULT, VCPU_DOUBLE_FAULT},
		{'D', VCPU_DELIVER_SECOND, VCPU_SHUTDOWN, VCPU_SHUTDOWN},
	};
	unsigned i = 0;

	while (rows[i].first != first)
		i++;
	switch (second) {
	case 'C': return rows[i].contributory;
	case 'P': return rows[i].page_fault;
	default: return rows[i].benign;
	}
}

static void test_all_combinations(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 32; first++) {
		for (unsigned second = 0; second < 32; second++) {
			enum vcpu_combination got = vcpu_combine((uint8_t)first, (uint8_t)second);

			/* The table has no column for #DF: no instruction raises one. */
			if (classes[second] == 'D')
				continue;
			if (got != by_table(classes[first], classes[second]))
				fail_msg("%u, then %u: %d", first, second, got);
		}
	}
	/* A second double fault is never delivered. */
	assert_int_equal(vcpu_combine(8, 8), VCPU_SHUTDOWN);
}

/* Interrupts and INT n are benign whatever their number. */
static void test_higher_vectors_are_benign(void **state)
{
	(void)state;
	for (unsigned vector = 32; vector < 256; vector++)
		for (unsigned other = 0; other < 32; other++) {
			assert_int_equal(vcpu_combine((uint8_t)vector, (uint8_t)other),
					 VCPU_DELIVER_SECOND);
			assert_int_equal(vcpu_combine((uint8_t)other, (uint8_t)vector),
					 VCPU_DELIVER_SECOND);
		}
}

/* #DF, #TS, #NP, #SS, #GP, #PF, #AC and #CP. */
static void test_error_codes(void **state)
{
	static const uint8_t with_code[] = {8, 10, 11, 12, 13, 14, 17, 21};

	(void)state;
	for (unsigned vector = 0; vector < 256; vector++)
		assert_int_equal(vcpu_has_error_code((uint8_t)vector),
				 memchr(with_code, (int)vector, sizeof(with_code)) != NULL);
}

static void pending(const struct vcpu *vcpu, uint8_t vector, bool has_code, uint32_t code)
{
	assert_true(vcpu->exception.pending);
	assert_int_equal(vcpu->exception.vector, vector);
	assert_int_equal(vcpu->exception.has_error_code, has_code);
	assert_int_equal(vcpu->exception.error_code, code);
	assert_true(vcpu->attention & ATTENTION_EVENT);
}

static void test_raise(void **state)
{
	struct vcpu vcpu = {.attention = ATTENTION_TIMER};

	(void)state;
	assert_true(vcpu_raise(&vcpu, 6, false, 0));
	pending(&vcpu, 6, false, 0);
	assert_int_equal(vcpu.attention, ATTENTION_TIMER | ATTENTION_EVENT);
	vcpu = (struct vcpu){0};
	assert_true(vcpu_raise(&vcpu, 13, true, 0x1234));
	pending(&vcpu, 13, true, 0x1234);
	/* One that was delivered is forgotten: no double fault of it. */
	vcpu.exception.pending = false;
	assert_true(vcpu_raise(&vcpu, 13, true, 8));
	pending(&vcpu, 13, true, 8);
}

static void test_raise_twice(void **state)
{
	struct vcpu vcpu = {0};

	(void)state;
	/* The second takes the place of the first, its error code too. */
	assert_true(vcpu_raise(&vcpu, 13, true, 0x1234));
	assert_true(vcpu_raise(&vcpu, 14, true, 2));
	pending(&vcpu, 14, true, 2);
	assert_true(vcpu_raise(&vcpu, 1, false, 0));
	pending(&vcpu, 1, false, 0);
	/* A double fault has the error code 0 whatever the two had. */
	assert_true(vcpu_raise(&vcpu, 0, false, 0));
	assert_true(vcpu_raise(&vcpu, 10, true, 0x50));
	pending(&vcpu, 8, true, 0);
	vcpu = (struct vcpu){0};
	assert_true(vcpu_raise(&vcpu, 10, true, 0x50));
	assert_true(vcpu_raise(&vcpu, 0, false, 0));
	pending(&vcpu, 8, true, 0);
	/* A benign one lets even a double fault go. */
	assert_true(vcpu_raise(&vcpu, 3, false, 0));
	pending(&vcpu, 3, false, 0);
}

static void test_triple_fault(void **state)
{
	struct vcpu vcpu = {0};

	(void)state;
	assert_true(vcpu_raise(&vcpu, 14, true, 2));
	assert_true(vcpu_raise(&vcpu, 14, true, 2));
	pending(&vcpu, 8, true, 0);
	assert_false(vcpu_raise(&vcpu, 14, true, 2));
	vcpu = (struct vcpu){0};
	assert_true(vcpu_raise(&vcpu, 8, true, 0));
	assert_false(vcpu_raise(&vcpu, 11, true, 0x18));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_combinations),
		cmocka_unit_test(test_higher_vectors_are_benign),
		cmocka_unit_test(test_error_codes),
		cmocka_unit_test(test_raise),
		cmocka_unit_test(test_raise_twice),
		cmocka_unit_test(test_triple_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
