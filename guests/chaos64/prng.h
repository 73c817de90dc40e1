/* SPDX-License-Identifier: MIT */
/* Numbers that are a function of the seed and the act's number, and of nothing else. */
#ifndef GUESTS_CHAOS64_PRNG_H
#define GUESTS_CHAOS64_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
	uint64_t state;
};

/* For the act `act` of the seed. */
struct prng prng_for(uint64_t seed, uint64_t act);
uint64_t prng_next(struct prng *p);
/* 0 to n - 1. */
unsigned prng_below(struct prng *p, unsigned n);
/* True in so many of 100. */
bool prng_chance(struct prng *p, unsigned percent);
/* A number of the kinds that matter: few bits, many, borders, anything. */
uint64_t prng_value(struct prng *p);
void prng_bytes(struct prng *p, void *to, unsigned count);

#define PRNG_PICK(p, list) ((list)[prng_below(p, sizeof(list) / sizeof((list)[0]))])

#endif
