/* SPDX-License-Identifier: MIT */
/* Spins with interrupts off and never ends: only its host can stop it. EBX holds a mark. */
#include "guests/lib/guest.h"

#define MARK 0x50C1E51Du

unsigned main(uintptr_t info)
{
	(void)info;
	guest_print("spinning with interrupts off\n");
	__asm__ volatile("cli\n1:\tjmp 1b" : : "b"(MARK));
	return 1;
}
