/* SPDX-License-Identifier: MIT */
/*
 * MTRRs and PAT must be the same on all CPUs; firmware does not always see to it. Intel SDM
 * volume 3, "Memory Type Range Registers", "MTRR Considerations in MP Systems".
 */
#ifndef ARCH_X86_64_MEMORY_TYPES_H
#define ARCH_X86_64_MEMORY_TYPES_H

#include <stdbool.h>

/* On the boot CPU: keeps what it has. */
void memory_types_save(void);
/* On another CPU: sets what differs there, *changed. False: it does not keep what was set. */
bool memory_types_match(bool *changed);

#endif
