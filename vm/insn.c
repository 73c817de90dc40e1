/* SPDX-License-Identifier: MIT */
/*
 * Decoder of memory instructions: two opcode tables and one pass over the bytes.
 *
 * Sources: SDM volume 2, 'Instruction Format' (prefixes, ModR/M, SIB, REX) and 'Opcode Map'.
 */
#include "vm/insn.h"

#include <stdbool.h>

#include "lib/bits.h"

/* How the bytes after an opcode are read; prefixes are 'opcodes' that leave the pass at once. */
enum kind {
	KIND_NONE, /* not ours */
	KIND_MODRM,
	KIND_GROUP1,  /* 80..83: operation by the reg field, immediate */
	KIND_GROUP3,  /* F6, F7 */
	KIND_GROUP4,  /* FE, FF */
	KIND_GROUP8,  /* 0F BA */
	KIND_MOV_IMM, /* C6, C7 */
	KIND_MOVNTI,  /* 0F C3 */
	KIND_MOVSXD,  /* 63 */
	KIND_SREG,    /* 8C */
	KIND_OFFSET,  /* A0..A3 */
	KIND_STRING,
	KIND_REX, /* the first of the prefixes; INC and DEC of a register outside 64-bit mode */
	KIND_SEGMENT,
	KIND_OPERAND_SIZE,
	KIND_ADDRESS_SIZE,
	KIND_PREFIX, /* op holds its bit */
};

#define IS_BYTE	  0x01 /* size of the operation is 1, else by prefixes */
#define LOCKABLE  0x02 /* with a memory destination */
#define TO_REG	  0x04 /* destination is the register */
#define IMM8	  0x08
#define IMMZ	  0x10 /* 2 or 4 bytes, by operand size */
#define NOT_64	  0x20 /* #UD in 64-bit mode */
#define SOURCE_8  0x40 /* memory operand of MOVZX, MOVSX */
#define SOURCE_16 0x80

struct opcode {
	uint8_t kind;
	uint8_t op; /* enum insn_op; segment or bit of a prefix */
	uint8_t flags;
};

#define MODRM(operation, flag)              \
	{                                   \
		KIND_MODRM, operation, flag \
	}
/* The four memory forms of an arithmetic operation, at the start of its row. */
#define ARITHMETIC(operation, lock)                                      \
	[8 * (operation)] = MODRM(operation, (lock) | IS_BYTE),          \
	     [8 * (operation) + 1] = MODRM(operation, lock),             \
	     [8 * (operation) + 2] = MODRM(operation, TO_REG | IS_BYTE), \
	     [8 * (operation) + 3] = MODRM(operation, TO_REG)
#define STRING(operation)                 \
	{                                 \
		KIND_STRING, operation, 0 \
	}
#define STRING8(operation)                      \
	{                                       \
		KIND_STRING, operation, IS_BYTE \
	}
#define PREFIX(kind, value)    \
	{                      \
		kind, value, 0 \
	}

static const struct opcode one_byte[256] = {
	ARITHMETIC(INSN_ADD, LOCKABLE),
	ARITHMETIC(INSN_OR, LOCKABLE),
	ARITHMETIC(INSN_ADC, LOCKABLE),
	ARITHMETIC(INSN_SBB, LOCKABLE),
	ARITHMETIC(INSN_AND, LOCKABLE),
	ARITHMETIC(INSN_SUB, LOCKABLE),
	ARITHMETIC(INSN_XOR, LOCKABLE),
	ARITHMETIC(INSN_CMP, 0),
	[0x26] = PREFIX(KIND_SEGMENT, SEGMENT_ES),
	[0x2E] = PREFIX(KIND_SEGMENT, SEGMENT_CS),
	[0x36] = PREFIX(KIND_SEGMENT, SEGMENT_SS),
	[0x3E] = PREFIX(KIND_SEGMENT, SEGMENT_DS),
	[0x40 ... 0x4F] = PREFIX(KIND_REX, 0),
	[0x63] = {KIND_MOVSXD, INSN_MOVSX, TO_REG},
	[0x64] = PREFIX(KIND_SEGMENT, SEGMENT_FS),
	[0x65] = PREFIX(KIND_SEGMENT, SEGMENT_GS),
	[0x66] = PREFIX(KIND_OPERAND_SIZE, 0),
	[0x67] = PREFIX(KIND_ADDRESS_SIZE, 0),
	[0x80] = {KIND_GROUP1, 0, LOCKABLE | IS_BYTE | IMM8},
	[0x81] = {KIND_GROUP1, 0, LOCKABLE | IMMZ},
	[0x82] = {KIND_GROUP1, 0, LOCKABLE | IS_BYTE | IMM8 | NOT_64},
	[0x83] = {KIND_GROUP1, 0, LOCKABLE | IMM8},
	[0x84] = MODRM(INSN_TEST, IS_BYTE),
	[0x85] = MODRM(INSN_TEST, 0),
	[0x86] = MODRM(INSN_XCHG, LOCKABLE | IS_BYTE),
	[0x87] = MODRM(INSN_XCHG, LOCKABLE),
	[0x88] = MODRM(INSN_MOV, IS_BYTE),
	[0x89] = MODRM(INSN_MOV, 0),
	[0x8A] = MODRM(INSN_MOV, TO_REG | IS_BYTE),
	[0x8B] = MODRM(INSN_MOV, TO_REG),
	[0x8C] = {KIND_SREG, INSN_MOV, 0},
	[0xA0] = {KIND_OFFSET, INSN_MOV, TO_REG | IS_BYTE},
	[0xA1] = {KIND_OFFSET, INSN_MOV, TO_REG},
	[0xA2] = {KIND_OFFSET, INSN_MOV, IS_BYTE},
	[0xA3] = {KIND_OFFSET, INSN_MOV, 0},
	[0xA4] = STRING8(INSN_MOVS),
	[0xA5] = STRING(INSN_MOVS),
	[0xA6] = STRING8(INSN_CMPS),
	[0xA7] = STRING(INSN_CMPS),
	[0xAA] = STRING8(INSN_STOS),
	[0xAB] = STRING(INSN_STOS),
	[0xAC] = STRING8(INSN_LODS),
	[0xAD] = STRING(INSN_LODS),
	[0xAE] = STRING8(INSN_SCAS),
	[0xAF] = STRING(INSN_SCAS),
	[0xC6] = {KIND_MOV_IMM, INSN_MOV, IS_BYTE | IMM8},
	[0xC7] = {KIND_MOV_IMM, INSN_MOV, IMMZ},
	[0xF0] = PREFIX(KIND_PREFIX, INSN_LOCK),
	[0xF2] = PREFIX(KIND_PREFIX, INSN_REPNE),
	[0xF3] = PREFIX(KIND_PREFIX, INSN_REP),
	[0xF6] = {KIND_GROUP3, 0, IS_BYTE},
	[0xF7] = {KIND_GROUP3, 0, 0},
	[0xFE] = {KIND_GROUP4, 0, LOCKABLE | IS_BYTE},
	[0xFF] = {KIND_GROUP4, 0, LOCKABLE},
};

static const struct opcode two_byte[256] = {
	[0xA3] = MODRM(INSN_BT, 0),
	[0xAB] = MODRM(INSN_BTS, LOCKABLE),
	[0xB0] = MODRM(INSN_CMPXCHG, LOCKABLE | IS_BYTE),
	[0xB1] = MODRM(INSN_CMPXCHG, LOCKABLE),
	[0xB3] = MODRM(INSN_BTR, LOCKABLE),
	[0xB6] = MODRM(INSN_MOVZX, TO_REG | SOURCE_8),
	[0xB7] = MODRM(INSN_MOVZX, TO_REG | SOURCE_16),
	[0xBA] = {KIND_GROUP8, 0, LOCKABLE | IMM8},
	[0xBB] = MODRM(INSN_BTC, LOCKABLE),
	[0xBE] = MODRM(INSN_MOVSX, TO_REG | SOURCE_8),
	[0xBF] = MODRM(INSN_MOVSX, TO_REG | SOURCE_16),
	[0xC0] = MODRM(INSN_XADD, LOCKABLE | IS_BYTE),
	[0xC1] = MODRM(INSN_XADD, LOCKABLE),
	[0xC3] = {KIND_MOVNTI, INSN_MOV, 0},
};

static const struct opcode movbe_load = MODRM(INSN_MOVBE, TO_REG);
static const struct opcode movbe_store = MODRM(INSN_MOVBE, 0);
static const struct opcode not_ours = {KIND_NONE, 0, 0};

#define REX_B		   0x1
#define REX_X		   0x2
#define REX_R		   0x4
#define REX_W		   0x8

#define OPCODE_ESCAPE	   0x0F
#define OPCODE_ESCAPE_38   0x38
#define OPCODE_MOVBE_LOAD  0xF0
#define OPCODE_MOVBE_STORE 0xF1

struct decoder {
	const uint8_t *at;
	const uint8_t *end;
	enum insn_mode mode;
	bool over; /* a byte was wanted beyond the end */
	bool operand_prefix;
	bool address_prefix;
	uint8_t rex;	 /* 0 without one */
	uint8_t segment; /* override, or SEGMENTS */
	struct opcode opcode;
};

static uint8_t next8(struct decoder *d)
{
	if (d->at == d->end) {
		d->over = true;
		return 0;
	}
	return *d->at++;
}

/* `bytes` (1, 2, 4, 8) little-endian bytes, sign-extended. */
static int64_t next_signed(struct decoder *d, unsigned bytes)
{
	unsigned unused = (64 - 8 * bytes) & 63;
	uint64_t value = 0;

	if ((size_t)(d->end - d->at) < bytes) {
		d->over = true;
		return 0;
	}
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)d->at[i] << (8 * i);
	d->at += bytes;
	return (int64_t)(value << unused) >> unused;
}

/* In 64-bit mode the overrides of ES, CS, SS and DS have no effect. */
static void segment_prefix(struct decoder *d, uint8_t segment)
{
	if (d->mode != INSN_MODE_64 || segment >= SEGMENT_FS)
		d->segment = segment;
}

/* Reads up to the first byte of the opcode and returns it. A REX counts only if it comes last. */
static uint8_t read_prefixes(struct decoder *d, struct insn *insn)
{
	for (;;) {
		uint8_t byte = next8(d);
		const struct opcode *opcode = &one_byte[byte];

		d->opcode = *opcode;
		if (opcode->kind < KIND_REX || d->over)
			return byte;
		if (opcode->kind == KIND_REX) {
			if (d->mode != INSN_MODE_64)
				return byte;
			d->rex = byte;
			continue;
		}
		d->rex = 0;
		if (opcode->kind == KIND_SEGMENT)
			segment_prefix(d, opcode->op);
		else if (opcode->kind == KIND_OPERAND_SIZE)
			d->operand_prefix = true;
		else if (opcode->kind == KIND_ADDRESS_SIZE)
			d->address_prefix = true;
		else if (opcode->op == INSN_LOCK)
			insn->prefixes |= INSN_LOCK;
		else
			insn->prefixes = (insn->prefixes & INSN_LOCK) | opcode->op;
	}
}

/* F2 0F 38 F0 and F1 are CRC32, F3 is nothing. */
static void read_opcode_38(struct decoder *d, const struct insn *insn)
{
	uint8_t byte = next8(d);

	d->opcode = not_ours;
	if (insn->prefixes & (INSN_REP | INSN_REPNE))
		return;
	if (byte == OPCODE_MOVBE_LOAD)
		d->opcode = movbe_load;
	else if (byte == OPCODE_MOVBE_STORE)
		d->opcode = movbe_store;
}

static void read_opcode(struct decoder *d, struct insn *insn)
{
	if (read_prefixes(d, insn) != OPCODE_ESCAPE)
		return;
	uint8_t byte = next8(d);

	if (byte == OPCODE_ESCAPE_38)
		read_opcode_38(d, insn);
	else
		d->opcode = two_byte[byte];
}

static void set_sizes(struct decoder *d, struct insn *insn)
{
	/* By mode, then by prefix. */
	static const uint8_t operand[3][2] = {{2, 4}, {4, 2}, {4, 2}};
	static const uint8_t address[3][2] = {{2, 4}, {4, 2}, {8, 4}};

	insn->size = operand[d->mode][d->operand_prefix];
	if (d->rex & REX_W)
		insn->size = 8;
	if (d->opcode.flags & IS_BYTE)
		insn->size = 1;
	insn->memory_size = insn->size;
	if (d->opcode.flags & SOURCE_8)
		insn->memory_size = 1;
	else if (d->opcode.flags & SOURCE_16)
		insn->memory_size = 2;
	insn->address_size = address[d->mode][d->address_prefix];
}

/* SDM 'Addressing-Mode Encoding of ModR/M and SIB Bytes', table of 16-bit forms. */
static void read_address16(struct decoder *d, struct insn *insn, unsigned mod, unsigned rm)
{
	enum { BX = 3, BP = 5, SI = 6, DI = 7 };
	static const uint8_t base[8] = {BX, BX, BP, BP, SI, DI, BP, BX};
	static const uint8_t index[8] = {
		SI, DI, SI, DI, INSN_REG_NONE, INSN_REG_NONE, INSN_REG_NONE, INSN_REG_NONE};

	insn->base = base[rm];
	insn->index = index[rm];
	if (mod == 0 && rm == 6) {
		insn->base = INSN_REG_NONE;
		mod = 2;
	}
	if (mod)
		insn->displacement = next_signed(d, mod);
	insn->segment = insn->base == BP ? SEGMENT_SS : SEGMENT_DS;
}

/* Base 5 without displacement is no base but 4 bytes of displacement, whatever REX.B says. */
static void read_sib(struct decoder *d, struct insn *insn, unsigned *mod)
{
	uint8_t sib = next8(d);
	uint8_t index = (sib >> 3 & 7) | (d->rex & REX_X ? 8 : 0);

	insn->scale = sib >> 6;
	insn->index = index == 4 ? INSN_REG_NONE : index;
	insn->base = (sib & 7) | (d->rex & REX_B ? 8 : 0);
	if ((sib & 7) == 5 && *mod == 0) {
		insn->base = INSN_REG_NONE;
		*mod = 2;
	}
}

static void read_address(struct decoder *d, struct insn *insn, unsigned mod, unsigned rm)
{
	enum { SP = 4, BP = 5 };

	insn->index = INSN_REG_NONE;
	insn->base = (uint8_t)(rm | (d->rex & REX_B ? 8 : 0));
	if (rm == 4) {
		read_sib(d, insn, &mod);
	} else if (rm == 5 && mod == 0) {
		insn->base = d->mode == INSN_MODE_64 ? INSN_REG_RIP : INSN_REG_NONE;
		mod = 2;
	}
	if (mod)
		insn->displacement = next_signed(d, mod == 1 ? 1 : 4);
	insn->segment = insn->base == SP || insn->base == BP ? SEGMENT_SS : SEGMENT_DS;
}

/* Without REX the byte registers 4..7 are AH, CH, DH, BH. */
static void set_register(struct decoder *d, struct insn *insn, unsigned reg)
{
	insn->reg = (uint8_t)(reg | (d->rex & REX_R ? 8 : 0));
	if (insn->size == 1 && !d->rex && reg >= 4) {
		insn->reg -= 4;
		insn->high = 8;
	}
}

static enum insn_status by_register(struct insn *insn, unsigned reg)
{
	static const uint8_t group3[4] = {INSN_TEST, INSN_TEST, INSN_NOT, INSN_NEG};

	if (reg >= ARRAY_SIZE(group3))
		return INSN_UNSUPPORTED; /* MUL, DIV */
	insn->op = group3[reg];
	insn->form = reg < 2 ? INSN_FORM_MEM_IMM : INSN_FORM_MEM;
	return INSN_OK;
}

/* Operation and form where the reg field of ModR/M says them. */
static enum insn_status set_group(struct decoder *d, struct insn *insn, unsigned reg)
{
	insn->form = INSN_FORM_MEM_IMM;
	switch (d->opcode.kind) {
	case KIND_GROUP1: insn->op = (uint8_t)(INSN_ADD + reg); return INSN_OK;
	case KIND_GROUP3:
		/* TEST has an immediate and cannot be locked, NOT and NEG are the reverse. */
		d->opcode.flags |= reg >= 2 ? LOCKABLE : insn->size == 1 ? IMM8 : IMMZ;
		return by_register(insn, reg);
	case KIND_GROUP4:
		insn->op = (uint8_t)(INSN_INC + reg);
		insn->form = INSN_FORM_MEM;
		if (reg < 2)
			return INSN_OK;
		return insn->size == 1 || reg == 7 ? INSN_UNDEFINED : INSN_UNSUPPORTED;
	case KIND_GROUP8:
		insn->op = (uint8_t)(INSN_BT + reg - 4);
		return reg < 4 ? INSN_UNDEFINED : INSN_OK;
	default: /* C6, C7 */ return reg ? INSN_UNDEFINED : INSN_OK;
	}
}

static enum insn_status set_operands(struct decoder *d, struct insn *insn, unsigned reg)
{
	switch (d->opcode.kind) {
	case KIND_MOVSXD:
		if (d->mode != INSN_MODE_64)
			return INSN_UNSUPPORTED; /* ARPL */
		insn->memory_size = insn->size == 2 ? 2 : 4;
		break;
	case KIND_MOVNTI:
		if (d->operand_prefix || (insn->prefixes & (INSN_REP | INSN_REPNE)))
			return INSN_UNDEFINED;
		insn->size = d->rex & REX_W ? 8 : 4;
		insn->memory_size = insn->size;
		break;
	case KIND_SREG:
		insn->reg = (uint8_t)reg;
		insn->form = INSN_FORM_MEM_SREG;
		insn->size = 2;
		insn->memory_size = 2;
		return reg < SEGMENTS ? INSN_OK : INSN_UNDEFINED;
	case KIND_MODRM: break;
	default: return set_group(d, insn, reg);
	}
	set_register(d, insn, reg);
	insn->form = d->opcode.flags & TO_REG ? INSN_FORM_REG_MEM : INSN_FORM_MEM_REG;
	return INSN_OK;
}

static enum insn_status check_lock(const struct decoder *d, const struct insn *insn)
{
	if (!(insn->prefixes & INSN_LOCK))
		return INSN_OK;
	if (!(d->opcode.flags & LOCKABLE) || insn->op == INSN_CMP || insn->op == INSN_BT)
		return INSN_UNDEFINED;
	return INSN_OK;
}

static void read_immediate(struct decoder *d, struct insn *insn)
{
	if (d->opcode.flags & IMM8)
		insn->immediate = (uint64_t)next_signed(d, 1);
	else if (d->opcode.flags & IMMZ)
		insn->immediate = (uint64_t)next_signed(d, insn->size == 2 ? 2 : 4);
}

static enum insn_status decode_modrm(struct decoder *d, struct insn *insn)
{
	uint8_t modrm = next8(d);
	unsigned mod = modrm >> 6, rm = modrm & 7;
	enum insn_status status;

	if (mod == 3)
		return insn->prefixes & INSN_LOCK ? INSN_UNDEFINED : INSN_UNSUPPORTED;
	status = set_operands(d, insn, modrm >> 3 & 7);
	if (status != INSN_OK)
		return status;
	if (insn->address_size == 2)
		read_address16(d, insn, mod, rm);
	else
		read_address(d, insn, mod, rm);
	read_immediate(d, insn);
	return check_lock(d, insn);
}

static enum insn_status decode_offset(struct decoder *d, struct insn *insn)
{
	insn->base = INSN_REG_NONE;
	insn->index = INSN_REG_NONE;
	insn->segment = SEGMENT_DS;
	insn->form = d->opcode.flags & TO_REG ? INSN_FORM_REG_MEM : INSN_FORM_MEM_REG;
	insn->displacement = next_signed(d, insn->address_size);
	return check_lock(d, insn);
}

static enum insn_status decode_string(struct decoder *d, struct insn *insn)
{
	insn->form = INSN_FORM_STRING;
	insn->base = INSN_REG_NONE;
	insn->index = INSN_REG_NONE;
	insn->segment = SEGMENT_DS;
	return check_lock(d, insn);
}

static enum insn_status decode(struct decoder *d, struct insn *insn)
{
	read_opcode(d, insn);
	if (d->over || d->opcode.kind == KIND_NONE || d->opcode.kind >= KIND_REX)
		return INSN_UNSUPPORTED;
	if ((d->opcode.flags & NOT_64) && d->mode == INSN_MODE_64)
		return INSN_UNDEFINED;
	insn->op = d->opcode.op;
	set_sizes(d, insn);
	if (d->opcode.kind == KIND_OFFSET)
		return decode_offset(d, insn);
	if (d->opcode.kind == KIND_STRING)
		return decode_string(d, insn);
	return decode_modrm(d, insn);
}

/*
 * The common case in few instructions: at most a REX before a one-byte opcode with ModR/M, 32- or
 * 64-bit addresses of base and displacement. False for anything else, with nothing done.
 */
static bool decode_common(struct insn *insn, const uint8_t *bytes, size_t available,
			  enum insn_mode mode)
{
	enum { BP = 5, LONGEST = 7 };
	const uint8_t *at = bytes;
	const struct opcode *opcode;
	unsigned rex = 0, mod, rm, reg;
	uint8_t size = 4;

	if (available < LONGEST || mode == INSN_MODE_16)
		return false;
	if (mode == INSN_MODE_64 && (*at & 0xF0) == 0x40)
		rex = *at++;
	opcode = &one_byte[*at++];
	mod = *at >> 6;
	reg = (*at >> 3 & 7) | (rex & REX_R) << 1;
	rm = *at++ & 7;
	if (opcode->kind != KIND_MODRM || mod == 3 || rm == 4 || (mod == 0 && rm == BP))
		return false;
	if (rex & REX_W)
		size = 8;
	if (opcode->flags & IS_BYTE)
		size = 1;
	*insn = (struct insn){0};
	insn->op = opcode->op;
	insn->form = opcode->flags & TO_REG ? INSN_FORM_REG_MEM : INSN_FORM_MEM_REG;
	insn->size = size;
	insn->memory_size = size;
	insn->address_size = mode == INSN_MODE_64 ? 8 : 4;
	insn->base = (uint8_t)(rm | (rex & REX_B) << 3);
	insn->index = INSN_REG_NONE;
	insn->reg = (uint8_t)reg;
	insn->segment = insn->base == BP ? SEGMENT_SS : SEGMENT_DS;
	if (size == 1 && !rex && reg >= 4) {
		insn->reg = (uint8_t)(reg - 4);
		insn->high = 8;
	}
	if (mod == 1) {
		insn->displacement = *at < 0x80 ? *at : *at - 0x100;
		at++;
	} else if (mod == 2) {
		int32_t displacement;

		__builtin_memcpy(&displacement, at, sizeof(displacement));
		insn->displacement = displacement;
		at += sizeof(displacement);
	}
	insn->length = (uint8_t)(at - bytes);
	return true;
}

static __attribute__((noinline)) enum insn_status
decode_any(struct insn *insn, const uint8_t *bytes, size_t available, enum insn_mode mode)
{
	struct decoder d = {
		.at = bytes,
		.end = bytes + MIN(available, INSN_BYTES_MAX),
		.mode = mode,
		.segment = SEGMENTS,
	};
	enum insn_status status;

	*insn = (struct insn){0};
	status = decode(&d, insn);
	if (d.over)
		return available < INSN_BYTES_MAX ? INSN_TRUNCATED : INSN_TOO_LONG;
	insn->length = (uint8_t)(d.at - bytes);
	if (d.segment != SEGMENTS)
		insn->segment = d.segment;
	return status;
}

enum insn_status insn_decode(struct insn *insn, const uint8_t *bytes, size_t available,
			     enum insn_mode mode)
{
	if (decode_common(insn, bytes, available, mode))
		return INSN_OK;
	return decode_any(insn, bytes, available, mode);
}

const char *insn_name(enum insn_op op)
{
	static const char *const names[INSN_OPS] = {
		[INSN_ADD] = "add",	[INSN_OR] = "or",	[INSN_ADC] = "adc",
		[INSN_SBB] = "sbb",	[INSN_AND] = "and",	[INSN_SUB] = "sub",
		[INSN_XOR] = "xor",	[INSN_CMP] = "cmp",	[INSN_TEST] = "test",
		[INSN_NOT] = "not",	[INSN_NEG] = "neg",	[INSN_INC] = "inc",
		[INSN_DEC] = "dec",	[INSN_BT] = "bt",	[INSN_BTS] = "bts",
		[INSN_BTR] = "btr",	[INSN_BTC] = "btc",	[INSN_MOV] = "mov",
		[INSN_MOVZX] = "movzx", [INSN_MOVSX] = "movsx", [INSN_MOVBE] = "movbe",
		[INSN_XCHG] = "xchg",	[INSN_XADD] = "xadd",	[INSN_CMPXCHG] = "cmpxchg",
		[INSN_MOVS] = "movs",	[INSN_CMPS] = "cmps",	[INSN_STOS] = "stos",
		[INSN_LODS] = "lods",	[INSN_SCAS] = "scas",
	};

	return (unsigned)op < INSN_OPS ? names[op] : "?";
}
