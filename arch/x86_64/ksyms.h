/* SPDX-License-Identifier: MIT */
/* Names of Socle's own functions, for backtraces. The table comes from tools/ksyms. */
#ifndef ARCH_X86_64_KSYMS_H
#define ARCH_X86_64_KSYMS_H

#include <stdbool.h>
#include <stdint.h>

#define KSYMS_NAME_MAX 63 /* characters; what is longer is cut */

/*
 * The function that holds `address`, and how far inside it that is (bytes). False when the address
 * lies before all functions or the table is empty.
 */
bool ksyms_find(uint64_t address, char name[KSYMS_NAME_MAX + 1], uint64_t *offset);

#endif
