/* SPDX-License-Identifier: MIT */
/* The smallest test: a guest starts, prints, and ends with PASS. */
#include "guests/lib/guest.h"

unsigned main(uintptr_t info)
{
	guest_check(info != 0, "hello");
	return guest_failures();
}
