/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder against Zydis: what we decode, Zydis decodes alike; what we call
 * undefined, Zydis refuses; and what Zydis knows of the instructions that we claim, we know as
 * well.
 */
#ifndef TESTS_HOST_INSN_ORACLE_H
#define TESTS_HOST_INSN_ORACLE_H

#include <stddef.h>
#include <stdint.h>

#include "vm/insn.h"

/* What the trials so far came to. */
extern struct insn_oracle_counts {
	uint64_t encodings, supported, undefined, truncated;
} insn_oracle_counts;

/* Panics when the two disagree; `available`: 0 to INSN_BYTES_MAX. */
void insn_oracle_check(const uint8_t bytes[INSN_BYTES_MAX], size_t available, enum insn_mode mode);

#endif
