/* SPDX-License-Identifier: MIT */
/* Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014), SplitMix64. */
#include "guests/chaos64/prng.h"

#define GAMMA 0x9e3779b97f4a7c15

static uint64_t mixed(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

struct prng prng_for(uint64_t seed, uint64_t act)
{
	return (struct prng){mixed(mixed(seed + GAMMA) + act * GAMMA)};
}

uint64_t prng_next(struct prng *p)
{
	p->state += GAMMA;
	return mixed(p->state);
}

unsigned prng_below(struct prng *p, unsigned n)
{
	return (unsigned)((prng_next(p) >> 32) * n >> 32);
}

bool prng_chance(struct prng *p, unsigned percent)
{
	return prng_below(p, 100) < percent;
}

uint64_t prng_value(struct prng *p)
{
	uint64_t any = prng_next(p);

	switch (prng_below(p, 8)) {
	case 0: return any & 0xff;
	case 1: return any & 0xffff;
	case 2: return any & 0xffffffff;
	case 3: return 1ULL << (any & 63);
	case 4: return ~(1ULL << (any & 63));
	case 5: return (1ULL << (any & 63)) - (any >> 6 & 3);
	case 6: return 0 - (any & 0xff);
	default: return any;
	}
}

void prng_bytes(struct prng *p, void *to, unsigned count)
{
	uint8_t *byte = to;

	for (unsigned i = 0; i < count; i++)
		byte[i] = (uint8_t)(prng_next(p) >> 24);
}
