/* SPDX-License-Identifier: MIT */
/*
 * More output than the way to the console can hold at once: the transmitter makes the guest wait,
 * and nothing is lost.
 */
#include "guests/lib/guest.h"

#define LINES 350u

unsigned main(uintptr_t info)
{
	(void)info;
	for (unsigned i = 0; i < LINES; i++)
		guest_print("# line %u, and it is not the last one of this flood\n", i);
	guest_check(true, "all is said");
	return guest_failures();
}
