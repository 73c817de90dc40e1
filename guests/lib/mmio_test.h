/* SPDX-License-Identifier: MIT */
/* Instructions on device memory: the tests that 32-bit and 64-bit code share. */
#ifndef GUESTS_LIB_MMIO_TEST_H
#define GUESTS_LIB_MMIO_TEST_H

/* `where` names the mode in the lines. The trap library is started. */
void mmio_test(const char *where);
/* What needs paging (guests/lib/paging.h) to be on. */
void mmio_test_faults(const char *where);

#endif
