/* SPDX-License-Identifier: MIT */
/*
 * Decoder of the instructions that read or write memory, as far as a guest uses them on device
 * registers. Pure: bytes in, a description out, no state of the CPU but the code's default size.
 *
 * Sources: SDM volume 2, chapters 'Instruction Format', 'Instruction Set Reference' and the
 * appendix 'Opcode Map'.
 *
 * Left out, on purpose: what loads a segment register or transfers control from memory (MOV to
 * Sreg, LDS.., PUSH, POP, CALL, JMP through memory), shifts and rotates, MUL/DIV, CMPXCHG8B/16B,
 * x87, SSE and everything VEX or EVEX encoded. On a device register these have no sane use; they
 * decode as INSN_UNSUPPORTED and the VM ends with the code bytes shown.
 */
#ifndef VM_INSN_H
#define VM_INSN_H

#include <stddef.h>
#include <stdint.h>

#define INSN_BYTES_MAX 15

/* The default operand and address size of the code segment (CS.L, CS.D). */
enum insn_mode {
	INSN_MODE_16,
	INSN_MODE_32,
	INSN_MODE_64,
};

enum insn_status {
	INSN_OK,
	INSN_TRUNCATED,	  /* the bytes given end before the instruction does */
	INSN_UNDEFINED,	  /* the CPU raises #UD */
	INSN_TOO_LONG,	  /* more than 15 bytes: the CPU raises #GP(0) */
	INSN_UNSUPPORTED, /* something else, with or without memory; it may be invalid */
};

/* The first eight are in the order of their opcodes and of the reg field of 80..83. */
enum insn_op {
	INSN_ADD,
	INSN_OR,
	INSN_ADC,
	INSN_SBB,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_CMP,
	INSN_TEST,
	INSN_NOT,
	INSN_NEG,
	INSN_INC,
	INSN_DEC,
	INSN_BT, /* BT, BTS, BTR, BTC in the order of the reg field of 0F BA */
	INSN_BTS,
	INSN_BTR,
	INSN_BTC,
	INSN_MOV, /* MOVNTI and MOV from a segment register (INSN_FORM_MEM_SREG) as well */
	INSN_MOVZX,
	INSN_MOVSX, /* MOVSXD as well */
	INSN_MOVBE,
	INSN_XCHG,
	INSN_XADD,
	INSN_CMPXCHG,
	INSN_MOVS,
	INSN_CMPS,
	INSN_STOS,
	INSN_LODS,
	INSN_SCAS,
	INSN_OPS,
};

/* Where the operands are; the first named is the destination. */
enum insn_form {
	INSN_FORM_MEM_REG,
	INSN_FORM_REG_MEM,
	INSN_FORM_MEM_IMM,
	INSN_FORM_MEM,
	INSN_FORM_MEM_SREG,
	INSN_FORM_STRING, /* operands are implied by the operation */
};

/* Segment registers by their number in instructions and in the VMCS. */
enum insn_segment {
	SEGMENT_ES,
	SEGMENT_CS,
	SEGMENT_SS,
	SEGMENT_DS,
	SEGMENT_FS,
	SEGMENT_GS,
	SEGMENTS,
};

/* Beside 0..15 for RAX..R15 in base and index. */
#define INSN_REG_NONE 16
#define INSN_REG_RIP  17 /* base only: the address of the next instruction */

/* struct insn.prefixes; of F2 and F3 the last one counts. */
#define INSN_LOCK  0x01
#define INSN_REPNE 0x02 /* F2 */
#define INSN_REP   0x04 /* F3 */

struct insn {
	uint8_t op;   /* enum insn_op */
	uint8_t form; /* enum insn_form */
	uint8_t length;
	uint8_t prefixes;
	uint8_t size;	      /* of the operation and the register operand: 1, 2, 4 or 8 bytes */
	uint8_t memory_size;  /* of the access; less than size for MOVZX and MOVSX only */
	uint8_t address_size; /* 2, 4 or 8 bytes */
	uint8_t segment;      /* of the memory operand, after override; source of a string */
	uint8_t base;
	uint8_t index;
	uint8_t scale; /* shift of the index: 0..3 */
	uint8_t reg;   /* 0..15, or the segment register */
	uint8_t high;  /* 8 when reg 0..3 means AH, CH, DH, BH, else 0: a shift count in bits */
	int64_t displacement;
	uint64_t immediate; /* sign-extended to 64 bits */
};

/*
 * Decodes the instruction at bytes[0]; `available` (0 and up) is how many bytes may be read, of
 * which no more than INSN_BYTES_MAX are. `insn` is meaningful only for INSN_OK.
 */
enum insn_status insn_decode(struct insn *insn, const uint8_t *bytes, size_t available,
			     enum insn_mode mode);

/* The mnemonic in lower case, for messages and tests. */
const char *insn_name(enum insn_op op);

#endif
