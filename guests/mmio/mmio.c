/* SPDX-License-Identifier: MIT */
/* Instructions on device memory in 32-bit code: without paging, with two levels, and with PAE. */
#include "guests/lib/guest.h"
#include "guests/lib/mmio_test.h"
#include "guests/lib/paging.h"
#include "guests/lib/trap.h"

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	mmio_test("no paging");
	paging_start(PAGING_32);
	mmio_test("32-bit paging");
	mmio_test_faults("32-bit paging");
	paging_start(PAGING_PAE);
	mmio_test("PAE paging");
	mmio_test_faults("PAE paging");
	return guest_failures();
}
