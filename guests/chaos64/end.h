/* SPDX-License-Identifier: MIT */
/* Ways for a machine to end. */
#ifndef GUESTS_CHAOS64_END_H
#define GUESTS_CHAOS64_END_H

#include <stdint.h>

/* Comes back for every second seed; the others reset the machine, switch it off, shut the processor
 * down, or wait for ever. On CPU 0. */
void end_by_seed(uint32_t seed);

#endif
