/* SPDX-License-Identifier: MIT */
/* Bytes for a processor to run: random ones, and such as come near to instructions that matter. */
#ifndef GUESTS_CHAOS64_CODE_H
#define GUESTS_CHAOS64_CODE_H

#include <stdbool.h>
#include <stdint.h>

#include "guests/chaos64/prng.h"

/* `calm`: without what loads descriptor tables or control registers. */
void code_make(struct prng *p, uint8_t *to, unsigned count, bool calm);

#endif
