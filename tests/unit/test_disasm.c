/* SPDX-License-Identifier: MIT */
/*
 * The disassembler against Zydis, over constructed and random encodings in all three modes
 * (tests/host/disasm_oracle.h).
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
#include "tests/host/disasm_oracle.h"
#include "vm/disasm.h"

static uint64_t seed;
static uint64_t rounds = 1000000;

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
	disasm_oracle_check(t->bytes, t->available, t->mode);
}

/* Every opcode of four maps with every ModR/M, in each mode, with one prefix of each kind. */
static void test_every_opcode(void **state)
{
	static const uint8_t before[] = {0x90, 0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x48, 0x47};
	struct trial t = {.available = 15};

	(void)state;
	for (unsigned i = 0; i < 0x400 * 256 * ARRAY_SIZE(before); i++) {
		unsigned opcode = i / 256 % 0x400, prefix = before[i / 256 / 0x400];
		size_t n = 0;

		memset(t.bytes, 0x25, sizeof(t.bytes)); /* SIB without base and index */
		if (prefix != 0x90)
			t.bytes[n++] = (uint8_t)prefix;
		if (opcode >= 0x100)
			t.bytes[n++] = 0x0F;
		if (opcode >= 0x200)
			t.bytes[n++] = opcode < 0x300 ? 0x38 : 0x3A;
		t.bytes[n++] = (uint8_t)opcode;
		t.bytes[n] = (uint8_t)i;
		for (t.mode = INSN_MODE_16; t.mode <= INSN_MODE_64; t.mode++)
			check_trial(&t);
	}
}

static void test_by_hand(void **state)
{
	static const struct {
		enum insn_mode mode;
		const char *code;
		unsigned size;
		const char *text;
	} lines[] = {
		{INSN_MODE_64, "\x48\x8B\x44\xCB\x10", 5, "mov rax, [rbx+rcx*8+0x10]"},
		{INSN_MODE_64, "\xEB\xFE", 2, "jmp 0x101000"},
		{INSN_MODE_64, "\x0F\x01\x17", 3, "lgdt [rdi]"},
		{INSN_MODE_64, "\xF3\xA4", 2, "rep movsb"},
		{INSN_MODE_64, "\x65\xF3\xA5", 3, "gs rep movsd"},
		{INSN_MODE_64, "\xF0\x0F\xB1\x0F", 4, "lock cmpxchg [rdi], ecx"},
		{INSN_MODE_64, "\x48\x83\xEC\xF8", 4, "sub rsp, -0x8"},
		{INSN_MODE_64, "\x48\x8B\x05\x09\0\0\0", 7, "mov rax, [0x101010]"},
		{INSN_MODE_64, "\xC6\x45\xFF\xFF", 4, "mov byte [rbp-0x1], 0xff"},
		{INSN_MODE_64, "\x48\xC7\xC0\xFF\xFF\xFF\xFF", 7, "mov rax, -0x1"},
		{INSN_MODE_64, "\xB8\xFF\xFF\xFF\xFF", 5, "mov eax, 0xffffffff"},
		{INSN_MODE_64, "\x6A\xFF", 2, "push -0x1"},
		{INSN_MODE_64, "\x0F\x22\xD8", 3, "mov cr3, rax"},
		{INSN_MODE_64, "\x40\x88\xE0", 3, "mov al, spl"},
		{INSN_MODE_64, "\x88\xE0", 2, "mov al, ah"},
		{INSN_MODE_64, "\x45\x88\xE0", 3, "mov r8b, r12b"},
		{INSN_MODE_64, "\x0F\x28\x47\x10", 4, "sse 0f 28 47 10 [rdi+0x10]"},
		{INSN_MODE_64, "\xD9\xE8", 2, "x87 d9 e8"},
		{INSN_MODE_64, "\xC5\xF8\x77", 3, "vex c5 f8 77"},
		{INSN_MODE_64, "\x8F\xEA\x78\x10\xC1\1\0\0\0", 9, "xop 8f ea 78 10 c1 01 00 00 00"},
		{INSN_MODE_64, "\x06", 1, ""},
		{INSN_MODE_64, "\x0F\x04", 2, ""},
		{INSN_MODE_64, "\x8D\xC0", 2, ""},
		{INSN_MODE_32, "\x06", 1, "push es"},
		{INSN_MODE_32, "\xEA\x78\x56\x34\x12\x08\x00", 7, "jmp far 0x8:0x12345678"},
		{INSN_MODE_32, "\xF7\x05\x78\x56\x34\x12\1\0\0\0", 10,
		 "test dword [0x12345678], 0x1"},
		{INSN_MODE_16, "\x26\x89\x40\xFE", 4, "mov es:[bx+si-0x2], ax"},
		{INSN_MODE_16, "\x67\x66\x8B\x04\x24", 5, "mov eax, [esp]"},
		{INSN_MODE_16, "\xE8\xFD\xEF", 3, "call 0x0"},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		char text[64] = "";
		struct outbuf out;

		outbuf_init(&out, text, sizeof(text) - 1);
		assert_int_equal(disasm((const uint8_t *)lines[i].code, lines[i].size,
					lines[i].mode, 0x101000, &out),
				 lines[i].text[0] ? lines[i].size : 0);
		assert_string_equal(text, lines[i].text);
		assert_int_equal(disasm((const uint8_t *)lines[i].code, lines[i].size - 1,
					lines[i].mode, 0x101000, &out),
				 0);
	}
}

/* The CPU takes no more than 15 bytes. */
static void test_length_limit(void **state)
{
	uint8_t bytes[20];
	char text[64];
	struct outbuf out;

	(void)state;
	outbuf_init(&out, text, sizeof(text));
	memset(bytes, 0x66, sizeof(bytes));
	assert_int_equal(disasm(bytes, sizeof(bytes), INSN_MODE_32, 0, &out), 0);
	bytes[14] = 0x90;
	assert_int_equal(disasm(bytes, sizeof(bytes), INSN_MODE_32, 0, &out), 15);
	bytes[14] = 0xB0; /* an immediate makes sixteen */
	assert_int_equal(disasm(bytes, sizeof(bytes), INSN_MODE_32, 0, &out), 0);
}

static const uint8_t prefix_bytes[] = {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65,
				       0x66, 0x67, 0xF0, 0xF2, 0xF3};

/* Random bytes, and before them up to eleven prefixes, a REX, an escape. */
static void construct(struct trial *t)
{
	static const uint8_t escapes[] = {0xC4, 0xC5, 0x62, 0x8F};
	uint64_t dice = next_random();
	unsigned prefixes = dice % 4 ? dice / 4 % 3 : dice / 4 % 12;
	size_t n = 0;

	for (unsigned i = 0; i < 15; i++)
		t->bytes[i] = (uint8_t)next_random();
	dice >>= 16;
	t->mode = (enum insn_mode)(dice % 3);
	dice /= 3;
	for (; n < prefixes; n++)
		t->bytes[n] = prefix_bytes[next_random() % sizeof(prefix_bytes)];
	if (t->mode == INSN_MODE_64 && dice % 2)
		t->bytes[n++] = (uint8_t)(0x40 | (dice >> 8 & 15));
	if (dice >> 16 & 1)
		t->bytes[n++] = 0x0F;
	else if ((dice >> 17 & 3) == 0)
		t->bytes[n++] = escapes[dice >> 19 & 3];
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
	assert_true(disasm_oracle_counts.compared > rounds / 5);
	assert_true(disasm_oracle_counts.families > rounds / 20);
	assert_true(disasm_oracle_counts.refused > rounds / 20);
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
	print_message("# %llu encodings, %llu instructions, %llu compared as text, %llu families\n",
		      (unsigned long long)disasm_oracle_counts.encodings,
		      (unsigned long long)disasm_oracle_counts.accepted,
		      (unsigned long long)disasm_oracle_counts.compared,
		      (unsigned long long)disasm_oracle_counts.families);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_length_limit),
		cmocka_unit_test(test_every_opcode),
		cmocka_unit_test(test_constructed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
