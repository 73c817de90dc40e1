/* SPDX-License-Identifier: MIT */
/* The report of a VM that died: its vCPU that did it in full, the others in a line each. */
#ifndef VMX_AUTOPSY_H
#define VMX_AUTOPSY_H

#include "vmx/life.h"

/* Before anything of the VM is given back; its vCPUs are on no core any more. On core 0. */
void autopsy(const struct life *l);

#endif
