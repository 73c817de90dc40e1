/* SPDX-License-Identifier: MIT */
/*
 * The disassembler against Zydis: what Zydis accepts has the same length, and but for the families
 * that we only name the same text.
 */
#ifndef TESTS_HOST_DISASM_ORACLE_H
#define TESTS_HOST_DISASM_ORACLE_H

#include <stddef.h>
#include <stdint.h>

#include "vm/insn.h"

/* What the trials so far came to. */
extern struct disasm_oracle_counts {
	uint64_t encodings, accepted, compared, families, refused;
} disasm_oracle_counts;

/* Panics when the two disagree; `available`: 0 to INSN_BYTES_MAX. */
void disasm_oracle_check(const uint8_t bytes[INSN_BYTES_MAX], size_t available,
			 enum insn_mode mode);

#endif
