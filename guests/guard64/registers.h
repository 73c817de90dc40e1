/* SPDX-License-Identifier: MIT */
/* All that a CPU has for itself, filled with a pattern and compared. */
#ifndef GUESTS_GUARD64_REGISTERS_H
#define GUESTS_GUARD64_REGISTERS_H

#include <stdint.h>

void registers_init(void);
/* x87, vector and debug registers, MSRs, CR2, XCR0. */
void registers_fill(uint64_t round);
/* How many are not as they were filled. */
unsigned registers_wrong(uint64_t round);
/* Holds a pattern in all general registers and flags for thousands of instructions. */
unsigned registers_held(uint64_t round);

#endif
