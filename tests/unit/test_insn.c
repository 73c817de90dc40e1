/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder against Zydis, over constructed and random encodings in all three
 * modes: what we decode, Zydis decodes alike; what we call undefined, Zydis refuses; and what
 * Zydis knows of the instructions that we claim, we know as well.
 *
 * SOCLE_SEED=N and SOCLE_ROUNDS=N in the environment choose other sequences, and longer ones.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "lib/bits.h"
#include "vm/insn.h"

static const ZydisMachineMode machine_mode[3] = {
	ZYDIS_MACHINE_MODE_LEGACY_16,
	ZYDIS_MACHINE_MODE_LEGACY_32,
	ZYDIS_MACHINE_MODE_LONG_64,
};
static const ZydisStackWidth stack_width[3] = {
	ZYDIS_STACK_WIDTH_16,
	ZYDIS_STACK_WIDTH_32,
	ZYDIS_STACK_WIDTH_64,
};
static ZydisDecoder decoders[3];

static uint64_t seed;
static uint64_t rounds = 9000000;
static uint64_t encodings, supported, undefined, truncated;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545F4914F6CDD1DULL >> 8;
}

/* Zydis' name for what we call `insn`; 0 for none. */
static ZydisMnemonic mnemonic(const struct insn *insn)
{
	static const ZydisMnemonic plain[INSN_OPS] = {
		[INSN_ADD] = ZYDIS_MNEMONIC_ADD,     [INSN_OR] = ZYDIS_MNEMONIC_OR,
		[INSN_ADC] = ZYDIS_MNEMONIC_ADC,     [INSN_SBB] = ZYDIS_MNEMONIC_SBB,
		[INSN_AND] = ZYDIS_MNEMONIC_AND,     [INSN_SUB] = ZYDIS_MNEMONIC_SUB,
		[INSN_XOR] = ZYDIS_MNEMONIC_XOR,     [INSN_CMP] = ZYDIS_MNEMONIC_CMP,
		[INSN_TEST] = ZYDIS_MNEMONIC_TEST,   [INSN_NOT] = ZYDIS_MNEMONIC_NOT,
		[INSN_NEG] = ZYDIS_MNEMONIC_NEG,     [INSN_INC] = ZYDIS_MNEMONIC_INC,
		[INSN_DEC] = ZYDIS_MNEMONIC_DEC,     [INSN_BT] = ZYDIS_MNEMONIC_BT,
		[INSN_BTS] = ZYDIS_MNEMONIC_BTS,     [INSN_BTR] = ZYDIS_MNEMONIC_BTR,
		[INSN_BTC] = ZYDIS_MNEMONIC_BTC,     [INSN_MOV] = ZYDIS_MNEMONIC_MOV,
		[INSN_MOVZX] = ZYDIS_MNEMONIC_MOVZX, [INSN_MOVSX] = ZYDIS_MNEMONIC_MOVSX,
		[INSN_MOVBE] = ZYDIS_MNEMONIC_MOVBE, [INSN_XCHG] = ZYDIS_MNEMONIC_XCHG,
		[INSN_XADD] = ZYDIS_MNEMONIC_XADD,   [INSN_CMPXCHG] = ZYDIS_MNEMONIC_CMPXCHG,
	};
	static const ZydisMnemonic strings[5][4] = {
		{ZYDIS_MNEMONIC_MOVSB, ZYDIS_MNEMONIC_MOVSW, ZYDIS_MNEMONIC_MOVSD,
		 ZYDIS_MNEMONIC_MOVSQ},
		{ZYDIS_MNEMONIC_CMPSB, ZYDIS_MNEMONIC_CMPSW, ZYDIS_MNEMONIC_CMPSD,
		 ZYDIS_MNEMONIC_CMPSQ},
		{ZYDIS_MNEMONIC_STOSB, ZYDIS_MNEMONIC_STOSW, ZYDIS_MNEMONIC_STOSD,
		 ZYDIS_MNEMONIC_STOSQ},
		{ZYDIS_MNEMONIC_LODSB, ZYDIS_MNEMONIC_LODSW, ZYDIS_MNEMONIC_LODSD,
		 ZYDIS_MNEMONIC_LODSQ},
		{ZYDIS_MNEMONIC_SCASB, ZYDIS_MNEMONIC_SCASW, ZYDIS_MNEMONIC_SCASD,
		 ZYDIS_MNEMONIC_SCASQ},
	};

	if (insn->form == INSN_FORM_STRING)
		return strings[insn->op - INSN_MOVS][__builtin_ctz(insn->size)];
	return plain[insn->op];
}

/* Zydis tells MOVNTI and MOVSXD from MOV and MOVSX; for us they are the same operations. */
static ZydisMnemonic folded(ZydisMnemonic m)
{
	if (m == ZYDIS_MNEMONIC_MOVNTI)
		return ZYDIS_MNEMONIC_MOV;
	return m == ZYDIS_MNEMONIC_MOVSXD ? ZYDIS_MNEMONIC_MOVSX : m;
}

static uint8_t claimed[ZYDIS_MNEMONIC_MAX_VALUE + 1];

static void fill_claimed(void)
{
	for (unsigned op = 0; op < INSN_OPS; op++) {
		struct insn insn = {.op = (uint8_t)op, .size = 1};

		if (op < INSN_MOVS) {
			claimed[mnemonic(&insn)] = 1;
			continue;
		}
		insn.form = INSN_FORM_STRING;
		for (; insn.size <= 8; insn.size *= 2)
			claimed[mnemonic(&insn)] = 1;
	}
	claimed[ZYDIS_MNEMONIC_MOVNTI] = claimed[ZYDIS_MNEMONIC_MOVSXD] = 1;
}

struct trial {
	uint8_t bytes[15];
	size_t available;
	enum insn_mode mode;
	struct insn insn;
	enum insn_status status;
	ZyanStatus zydis_status;
	ZydisDecodedInstruction zydis;
	ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
};

static void fail_trial(const struct trial *t, const char *what)
{
	char code[64] = "";

	for (size_t i = 0; i < t->available; i++)
		sprintf(code + 3 * i, "%02x ", t->bytes[i]);
	fail_msg("%s: mode %d bytes %s: ours %d %s length %u, Zydis %x %s length %u", what,
		 16 << t->mode, code, t->status, insn_name(t->insn.op), t->insn.length,
		 t->zydis_status, ZydisMnemonicGetString(t->zydis.mnemonic), t->zydis.length);
}

#define REQUIRE(t, condition)                      \
	do {                                       \
		if (!(condition))                  \
			fail_trial(t, #condition); \
	} while (0)

static unsigned register_number(const struct trial *t, ZydisRegister reg)
{
	if (reg == ZYDIS_REGISTER_NONE)
		return INSN_REG_NONE;
	if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
		return INSN_REG_RIP;
	if (ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_GPR8) {
		if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
			return (unsigned)(reg - ZYDIS_REGISTER_AH) + 8 * 16;
		return reg < ZYDIS_REGISTER_AH ? (unsigned)(reg - ZYDIS_REGISTER_AL)
					       : (unsigned)(reg - ZYDIS_REGISTER_SPL) + 4;
	}
	REQUIRE(t, ZydisRegisterGetId(reg) >= 0);
	return (unsigned)ZydisRegisterGetId(reg);
}

/*
 * Zydis 4.0 gives R13D as a base, and no displacement, for the SIB form without base under an
 * address-size prefix with REX.B. SDM, 'Special Cases of REX Encodings': B is not decoded there.
 */
static bool zydis_errs(const struct trial *t, const ZydisDecodedOperand *operand)
{
	return operand->mem.base == ZYDIS_REGISTER_R13D && t->zydis.raw.modrm.mod == 0 &&
	       t->zydis.raw.modrm.rm == 4 && t->zydis.raw.sib.base == 5;
}

static void check_baseless(const struct trial *t)
{
	int32_t displacement;

	memcpy(&displacement, t->bytes + t->zydis.raw.sib.offset + 1, sizeof(displacement));
	REQUIRE(t, t->insn.base == INSN_REG_NONE);
	REQUIRE(t, t->insn.displacement == displacement);
}

static void check_memory(const struct trial *t, const ZydisDecodedOperand *operand)
{
	const struct insn *insn = &t->insn;
	uint64_t difference = (uint64_t)insn->displacement ^ (uint64_t)operand->mem.disp.value;

	REQUIRE(t, operand->type == ZYDIS_OPERAND_TYPE_MEMORY);
	REQUIRE(t, operand->mem.type == ZYDIS_MEMOP_TYPE_MEM);
	/* MOVSXD r16: the SDM has a source of 16 bits, Zydis of 32. */
	if (t->zydis.mnemonic == ZYDIS_MNEMONIC_MOVSXD && insn->size == 2)
		REQUIRE(t, insn->memory_size == 2);
	else
		REQUIRE(t, operand->size == 8u * insn->memory_size);
	REQUIRE(t, register_number(t, operand->mem.index) == insn->index);
	if (insn->index != INSN_REG_NONE)
		REQUIRE(t, operand->mem.scale == 1 << insn->scale);
	if (zydis_errs(t, operand)) {
		check_baseless(t);
		return;
	}
	REQUIRE(t, register_number(t, operand->mem.base) == insn->base);
	REQUIRE(t, (difference & mask_bytes(insn->address_size)) == 0);
	REQUIRE(t, operand->mem.segment - ZYDIS_REGISTER_ES == insn->segment);
}

static void check_register(const struct trial *t, const ZydisDecodedOperand *operand)
{
	REQUIRE(t, operand->type == ZYDIS_OPERAND_TYPE_REGISTER);
	REQUIRE(t, operand->size == 8u * t->insn.size);
	REQUIRE(t, register_number(t, operand->reg.value) == t->insn.reg + 16u * t->insn.high);
}

static void check_immediate(const struct trial *t, const ZydisDecodedOperand *operand)
{
	bool bit_test = t->insn.op >= INSN_BT && t->insn.op <= INSN_BTC;
	uint64_t mask = mask_bytes(bit_test ? 1 : t->insn.size);

	REQUIRE(t, operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE);
	REQUIRE(t, ((operand->imm.value.u ^ t->insn.immediate) & mask) == 0);
	if (!bit_test)
		REQUIRE(t, (int64_t)t->insn.immediate >= INT32_MIN &&
				   (int64_t)t->insn.immediate <= INT32_MAX);
}

/* Of F2 and F3 the last counts; F0 counts wherever it stands. */
static uint8_t prefixes_of(const struct trial *t)
{
	uint8_t prefixes = 0;

	for (unsigned i = 0; i < t->zydis.raw.prefix_count; i++) {
		uint8_t value = t->zydis.raw.prefixes[i].value;

		if (value == 0xF0)
			prefixes |= INSN_LOCK;
		else if (value == 0xF2)
			prefixes = (prefixes & INSN_LOCK) | INSN_REPNE;
		else if (value == 0xF3)
			prefixes = (prefixes & INSN_LOCK) | INSN_REP;
	}
	return prefixes;
}

static void check_string(const struct trial *t)
{
	bool source = t->insn.op != INSN_STOS && t->insn.op != INSN_SCAS;

	REQUIRE(t, t->zydis.operand_width == 8u * t->insn.size || t->insn.size == 1);
	for (unsigned i = 0; source && i < t->zydis.operand_count; i++) {
		const ZydisDecodedOperand *operand = &t->operand[i];

		if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY ||
		    register_number(t, operand->mem.base) != 6)
			continue;
		REQUIRE(t, operand->size == 8u * t->insn.memory_size);
		REQUIRE(t, operand->mem.segment - ZYDIS_REGISTER_ES == t->insn.segment);
		return;
	}
	REQUIRE(t, !source);
}

static void check_operands(const struct trial *t)
{
	switch ((enum insn_form)t->insn.form) {
	case INSN_FORM_MEM_REG:
		check_memory(t, &t->operand[0]);
		check_register(t, &t->operand[1]);
		break;
	case INSN_FORM_REG_MEM:
		check_register(t, &t->operand[0]);
		check_memory(t, &t->operand[1]);
		break;
	case INSN_FORM_MEM_IMM:
		check_memory(t, &t->operand[0]);
		check_immediate(t, &t->operand[1]);
		break;
	case INSN_FORM_MEM: check_memory(t, &t->operand[0]); break;
	case INSN_FORM_MEM_SREG:
		check_memory(t, &t->operand[0]);
		REQUIRE(t, t->operand[1].reg.value - ZYDIS_REGISTER_ES == t->insn.reg);
		break;
	case INSN_FORM_STRING: check_string(t); break;
	}
}

static bool has_memory(const struct trial *t)
{
	for (unsigned i = 0; i < t->zydis.operand_count; i++)
		if (t->operand[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    t->operand[i].mem.type == ZYDIS_MEMOP_TYPE_MEM)
			return true;
	return false;
}

static bool is_class(const ZydisDecodedOperand *operand, ZydisRegisterClass class)
{
	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       ZydisRegisterGetClass(operand->reg.value) == class;
}

/* What we leave out of a mnemonic that we claim: MOV to a segment register, SSE's MOVSD, CMPSD. */
static bool left_out(const struct trial *t)
{
	return is_class(&t->operand[0], ZYDIS_REGCLASS_SEGMENT) ||
	       is_class(&t->operand[0], ZYDIS_REGCLASS_XMM) ||
	       is_class(&t->operand[1], ZYDIS_REGCLASS_XMM);
}

static void check_trial(struct trial *t)
{
	bool valid;

	encodings++;
	t->status = insn_decode(&t->insn, t->bytes, t->available, t->mode);
	t->zydis_status = ZydisDecoderDecodeFull(&decoders[t->mode], t->bytes, t->available,
						 &t->zydis, t->operand);
	valid = ZYAN_SUCCESS(t->zydis_status);
	switch (t->status) {
	case INSN_OK:
		supported++;
		REQUIRE(t, valid);
		REQUIRE(t, t->insn.length == t->zydis.length);
		REQUIRE(t, mnemonic(&t->insn) == folded(t->zydis.mnemonic));
		REQUIRE(t, t->zydis.address_width == 8u * t->insn.address_size);
		REQUIRE(t, prefixes_of(t) == t->insn.prefixes);
		check_operands(t);
		break;
	case INSN_UNDEFINED:
		undefined++;
		REQUIRE(t, !valid);
		break;
	case INSN_TRUNCATED:
		truncated++;
		REQUIRE(t, !valid && t->available < 15);
		break;
	case INSN_TOO_LONG: REQUIRE(t, !valid && t->available == 15); break;
	case INSN_UNSUPPORTED:
		if (valid && claimed[t->zydis.mnemonic] && has_memory(t))
			REQUIRE(t, left_out(t));
		break;
	}
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
	assert_true(supported > rounds / 3);
	assert_true(undefined > rounds / 100);
	assert_true(truncated > rounds / 100);
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
	fill_claimed();
	for (unsigned i = 0; i < 3; i++)
		ZydisDecoderInit(&decoders[i], machine_mode[i], stack_width[i]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	print_message("# %llu encodings, %llu decoded, %llu undefined, %llu truncated\n",
		      (unsigned long long)encodings, (unsigned long long)supported,
		      (unsigned long long)undefined, (unsigned long long)truncated);
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
