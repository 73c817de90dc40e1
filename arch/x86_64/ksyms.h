/* SPDX-License-Identifier: MIT */
/* Names of Socle's own functions, for backtraces. The table comes from tools/ksyms. */
#ifndef ARCH_X86_64_KSYMS_H
#define ARCH_X86_64_KSYMS_H

#include <stdint.h>

/*
 * The function that holds `address`, and how far inside it that is (bytes); NULL when the address
 * lies before all functions or the table is empty. The name lives as long as the image.
 */
const char *ksyms_find(uint64_t address, uint64_t *offset);

#endif
