/* SPDX-License-Identifier: MIT */
/* The entry from start.asm. */
#ifndef BOOT_KMAIN_H
#define BOOT_KMAIN_H

#include <stdint.h>

/* `boot_information` is the physical address of Multiboot2's tag list. */
_Noreturn void kmain(uint32_t boot_information);

#endif
