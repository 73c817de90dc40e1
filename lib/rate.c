/* SPDX-License-Identifier: MIT */
/* One multiplication and one division of 128 by 64 bits, for which C has no word. */
#include "lib/rate.h"

uint64_t rate_scale(uint64_t a, uint64_t b, uint64_t c, uint64_t divisor)
{
	unsigned __int128 product = (unsigned __int128)a * b + c;
	uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;

	if (high >= divisor)
		return UINT64_MAX;
	__asm__("divq %2" : "+a"(low), "+d"(high) : "r"(divisor) : "cc");
	return low;
}
