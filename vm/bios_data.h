/* SPDX-License-Identifier: MIT */
/*
 * What is left in low memory of a PC whose BIOS has started a boot loader: interrupt vectors, which
 * lead to code that refuses every call, and BIOS data. Kernels that call the BIOS (Xen for disks
 * and video modes) go on without it; those that look for the EBDA or the text screen find them.
 *
 * Sources: IBM 'PC AT Technical Reference', 'BIOS data area'; SDM volume 3, '8086 Emulation'.
 */
#ifndef VM_BIOS_DATA_H
#define VM_BIOS_DATA_H

#include <stdbool.h>

#include "vm/memory.h"

/* False where that memory is no RAM. */
bool bios_data_write(struct guest_memory *memory);

#endif
