/* SPDX-License-Identifier: MIT */
/*
 * One instruction after another, decoded and disassembled, against Zydis. Of each record of 16
 * bytes the first chooses the mode and how many of the others there are.
 */
#include <string.h>

#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "tests/host/disasm_oracle.h"
#include "tests/host/insn_oracle.h"

void fuzz_insn(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);

	while (stream_more(&in)) {
		uint8_t head = stream_byte(&in), bytes[INSN_BYTES_MAX] = {0};
		size_t available = MIN((size_t)(in.end - in.at), (size_t)INSN_BYTES_MAX);
		enum insn_mode mode = (enum insn_mode)(head % 3);

		memcpy(bytes, in.at, available);
		in.at += available;
		if (head & 0x80)
			available = MIN(available, (size_t)(head >> 3 & 0xF));
		insn_oracle_check(bytes, available, mode);
		disasm_oracle_check(bytes, available, mode);
	}
}
