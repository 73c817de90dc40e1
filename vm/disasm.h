/* SPDX-License-Identifier: MIT */
/*
 * Disassembler for the lines of a report: one instruction in the syntax of Intel's manuals. Pure:
 * bytes in, text out.
 *
 * Instructions of the one-byte map and of the 0F map that work on integers or on the system come
 * out in full. Of x87, SSE, VEX, EVEX and XOP only the length is known, so that what follows stays
 * in step: their lines show the family, the opcode's bytes, and what lies in memory.
 *
 * Sources: SDM volume 2, chapters 'Instruction Format', 'Instruction Set Reference' and the
 * appendix 'Opcode Map'; AMD64 APM volume 6, 'XOP Instruction Format'.
 */
#ifndef VM_DISASM_H
#define VM_DISASM_H

#include <stddef.h>
#include <stdint.h>

#include "vm/insn.h"
#include "vm/outbuf.h"

/*
 * Appends the instruction at code[0], of which `size` bytes (0 and up) may be read, to `out`, and
 * returns its length: 1..15. Returns 0, with nothing appended, when the bytes end too early or are
 * no instruction that it knows. `address` is the instruction's own, for branches and RIP-relative
 * operands. It does not check all that makes the CPU raise #UD (LOCK where it may not be, say).
 */
unsigned disasm(const uint8_t *code, size_t size, enum insn_mode mode, uint64_t address,
		struct outbuf *out);

#endif
