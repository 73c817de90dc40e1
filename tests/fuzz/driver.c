/* SPDX-License-Identifier: MIT */
/* libFuzzer's way into the target that FUZZ names. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FUZZ(data, size);
	return 0;
}
