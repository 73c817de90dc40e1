/* SPDX-License-Identifier: MIT */
/* The audit of the whole machine: see vm/audit.h. */
#ifndef VMX_AUDIT_RUN_H
#define VMX_AUDIT_RUN_H

#include <stdbool.h>

/*
 * Walks every VM's tables, the host's, and the free memory; each finding is a line, the last line
 * has the sums. True: all is well. On core 0, with no lock held; VMs go on meanwhile, but for first
 * touches of their memory.
 */
bool audit_run(void (*line)(void *to, const char *text), void *to);
/* The same into the log. */
bool audit_log(void);

#endif
