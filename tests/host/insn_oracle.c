/* SPDX-License-Identifier: MIT */
/* The instruction decoder against Zydis. */
#include "tests/host/insn_oracle.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "lib/bits.h"
#include "lib/panic.h"

struct insn_oracle_counts insn_oracle_counts;

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
	panic("%s: mode %d bytes %s: ours %u %s length %u, Zydis %x %s length %u", what,
	      16 << t->mode, code, (unsigned)t->status, insn_name(t->insn.op), t->insn.length,
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
	/* Up to the end of an array, so that a sanitizer sees a read beyond. */
	static uint8_t room[INSN_BYTES_MAX];
	uint8_t *code = room + sizeof(room) - t->available;
	bool valid;

	insn_oracle_counts.encodings++;
	memcpy(code, t->bytes, t->available);
	t->status = insn_decode(&t->insn, code, t->available, t->mode);
	t->zydis_status = ZydisDecoderDecodeFull(&decoders[t->mode], t->bytes, t->available,
						 &t->zydis, t->operand);
	valid = ZYAN_SUCCESS(t->zydis_status);
	switch (t->status) {
	case INSN_OK:
		insn_oracle_counts.supported++;
		REQUIRE(t, valid);
		REQUIRE(t, t->insn.length == t->zydis.length);
		REQUIRE(t, mnemonic(&t->insn) == folded(t->zydis.mnemonic));
		REQUIRE(t, t->zydis.address_width == 8u * t->insn.address_size);
		REQUIRE(t, prefixes_of(t) == t->insn.prefixes);
		check_operands(t);
		break;
	case INSN_UNDEFINED:
		insn_oracle_counts.undefined++;
		REQUIRE(t, !valid);
		break;
	case INSN_TRUNCATED:
		insn_oracle_counts.truncated++;
		REQUIRE(t, !valid && t->available < 15);
		break;
	case INSN_TOO_LONG: REQUIRE(t, !valid && t->available == 15); break;
	case INSN_UNSUPPORTED:
		if (valid && claimed[t->zydis.mnemonic] && has_memory(t))
			REQUIRE(t, left_out(t));
		break;
	}
}

static void setup(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	fill_claimed();
	for (unsigned i = 0; i < 3; i++)
		ZydisDecoderInit(&decoders[i], machine_mode[i], stack_width[i]);
}

void insn_oracle_check(const uint8_t bytes[INSN_BYTES_MAX], size_t available, enum insn_mode mode)
{
	struct trial t = {.available = available, .mode = mode};

	setup();
	memcpy(t.bytes, bytes, available);
	check_trial(&t);
}
