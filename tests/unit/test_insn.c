/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder against Zydis, over constructed and random encodings in all three
 * modes (tests/host/insn_oracle.h).
 *
 * SOCLE_SEED=N and SOCLE_ROUNDS=N in the environment choose other sequences, and longer ones.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "tests/host/insn_oracle.h"
#include "vm/insn.h"

static uint64_t seed;
static uint64_t rounds = 9000000;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545F4914F6CDD1DULL >> 8;
}

struct trial {
	uint8_t bytes[INSN_BYTES_MAX];
	size_t available;
	enum insn_mode mode;
};

static void check_trial(const struct trial *t)
{
	insn_oracle_check(t->bytes, t->available, t->mode);
}

/* Opcodes in which something of ours may hide; a second byte follows 0x100, a third 0x200. */
static const uint16_t opcodes[] = {
	0x00,  0x01,  0x02,  0x03,  0x08,  0x09,  0x0A,	 0x0B,	0x10,  0x11,  0x12,  0x13,
	0x18,  0x19,  0x1A,  0x1B,  0x20,  0x21,  0x22,	 0x23,	0x28,  0x29,  0x2A,  0x2B,
	0x30,  0x31,  0x32,  0x33,  0x38,  0x39,  0x3A,	 0x3B,	0x63,  0x80,  0x81,  0x82,
	0x83,  0x84,  0x85,  0x86,  0x87,  0x88,  0x89,	 0x8A,	0x8B,  0x8C,  0x8E,  0xA0,
	0xA1,  0xA2,  0xA3,  0xA4,  0xA5,  0xA6,  0xA7,	 0xAA,	0xAB,  0xAC,  0xAD,  0xAE,
	0xAF,  0xC6,  0xC7,  0xF6,  0xF7,  0xFE,  0xFF,	 0x1A3, 0x1AB, 0x1B0, 0x1B1, 0x1B3,
	0x1B6, 0x1B7, 0x1BA, 0x1BB, 0x1BE, 0x1BF, 0x1C0, 0x1C1, 0x1C3, 0x2F0, 0x2F1,
};

static const uint8_t prefix_bytes[] = {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65,
				       0x66, 0x67, 0xF0, 0xF2, 0xF3};

static size_t put_opcode(uint8_t *bytes, unsigned opcode)
{
	size_t n = 0;

	if (opcode >= 0x100)
		bytes[n++] = 0x0F;
	if (opcode >= 0x200)
		bytes[n++] = 0x38;
	bytes[n++] = (uint8_t)opcode;
	return n;
}

/* Random bytes, and before them up to eleven prefixes and an opcode. */
static void construct(struct trial *t)
{
	uint64_t dice = next_random();
	unsigned prefixes = dice % 4 ? dice / 4 % 4 : dice / 4 % 12;
	size_t n = 0;

	for (unsigned i = 0; i < 15; i += 8) {
		uint64_t noise = next_random() ^ next_random() << 32;

		memcpy(t->bytes + i, &noise, MIN(8u, 15u - i));
	}
	dice >>= 16;
	t->mode = (enum insn_mode)(dice % 3);
	dice /= 3;
	for (; n < prefixes; n++) {
		uint64_t which = next_random();

		t->bytes[n] = which % 16 == 0 ? (uint8_t)(0x40 | (which >> 8 & 15))
					      : prefix_bytes[which / 16 % sizeof(prefix_bytes)];
	}
	if (t->mode == INSN_MODE_64 && dice % 2)
		t->bytes[n++] = (uint8_t)(0x40 | (dice >> 8 & 15));
	if (dice >> 16 & 31)
		put_opcode(t->bytes + n, opcodes[next_random() % ARRAY_SIZE(opcodes)]);
	t->available = (dice >> 24 & 7) ? 15 : next_random() % 16;
}

static void test_constructed(void **state)
{
	struct trial t = {0};

	(void)state;
	for (uint64_t i = 0; i < rounds; i++) {
		construct(&t);
		check_trial(&t);
	}
	/* The test is worth nothing when it hits nothing. */
	assert_true(insn_oracle_counts.supported > rounds / 3);
	assert_true(insn_oracle_counts.undefined > rounds / 100);
	assert_true(insn_oracle_counts.truncated > rounds / 100);
}

/* Every opcode of three maps with every ModR/M, in each mode, with one prefix of each kind. */
static void test_every_opcode(void **state)
{
	static const uint8_t before[] = {0x90, 0x66, 0x67, 0xF0, 0xF3, 0x48, 0x44};
	struct trial t = {.available = 15};

	(void)state;
	for (unsigned i = 0; i < 0x300 * 256 * ARRAY_SIZE(before); i++) {
		unsigned opcode = i / 256 % 0x300, prefix = before[i / 256 / 0x300];
		size_t n = 0;

		memset(t.bytes, 0x25, sizeof(t.bytes)); /* SIB without base and index */
		if (prefix != 0x90)
			t.bytes[n++] = (uint8_t)prefix;
		n += put_opcode(t.bytes + n, opcode);
		t.bytes[n] = (uint8_t)i;
		for (t.mode = INSN_MODE_16; t.mode <= INSN_MODE_64; t.mode++)
			check_trial(&t);
	}
}

static void test_random_bytes(void **state)
{
	struct trial t = {.available = 15};

	(void)state;
	for (uint64_t i = 0; i < rounds / 6; i++) {
		uint64_t noise[2] = {next_random() ^ next_random() << 32,
				     next_random() ^ next_random() << 32};

		memcpy(t.bytes, noise, sizeof(t.bytes));
		t.mode = (enum insn_mode)(i % 3);
		check_trial(&t);
	}
}

/* The order of the reg fields and of the SDM's tables, said once more by hand. */
static void test_by_hand(void **state)
{
	static const uint8_t load[] = {0x42, 0x8B, 0x44, 0x23, 0xF0}; /* mov -16(%rbx,%r12), %eax */
	struct insn insn;

	(void)state;
	assert_int_equal(insn_decode(&insn, load, sizeof(load), INSN_MODE_64), INSN_OK);
	assert_int_equal(insn.op, INSN_MOV);
	assert_int_equal(insn.form, INSN_FORM_REG_MEM);
	assert_int_equal(insn.length, 5);
	assert_int_equal(insn.size, 4);
	assert_int_equal(insn.reg, 0);
	assert_int_equal(insn.base, 3);
	assert_int_equal(insn.index, 12);
	assert_int_equal(insn.displacement, -16);
	assert_int_equal(insn_decode(&insn, load, 4, INSN_MODE_64), INSN_TRUNCATED);
	assert_int_equal(insn_decode(&insn, load, 0, INSN_MODE_64), INSN_TRUNCATED);
}

static void test_length_limit(void **state)
{
	uint8_t bytes[20];
	struct insn insn;

	(void)state;
	memset(bytes, 0x66, sizeof(bytes));
	assert_int_equal(insn_decode(&insn, bytes, sizeof(bytes), INSN_MODE_32), INSN_TOO_LONG);
	bytes[13] = 0x8B;
	bytes[14] = 0x00;
	assert_int_equal(insn_decode(&insn, bytes, sizeof(bytes), INSN_MODE_32), INSN_OK);
	assert_int_equal(insn.length, 15);
	bytes[14] = 0x40; /* a displacement makes sixteen */
	assert_int_equal(insn_decode(&insn, bytes, sizeof(bytes), INSN_MODE_32), INSN_TOO_LONG);
}

static int setup(void **state)
{
	const char *text = getenv("SOCLE_SEED");

	(void)state;
	seed = text ? strtoull(text, NULL, 0) | 1 : 0x9E3779B97F4A7C15ULL;
	text = getenv("SOCLE_ROUNDS");
	rounds = text ? strtoull(text, NULL, 0) : rounds;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	print_message("# %llu encodings, %llu decoded, %llu undefined, %llu truncated\n",
		      (unsigned long long)insn_oracle_counts.encodings,
		      (unsigned long long)insn_oracle_counts.supported,
		      (unsigned long long)insn_oracle_counts.undefined,
		      (unsigned long long)insn_oracle_counts.truncated);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),	     cmocka_unit_test(test_length_limit),
		cmocka_unit_test(test_constructed),  cmocka_unit_test(test_every_opcode),
		cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
