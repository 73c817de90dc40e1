/* SPDX-License-Identifier: MIT */
/* The defenses against speculative leaks that are in use: vmx/speculation.h on this machine. */
#ifndef VMX_DEFENSES_H
#define VMX_DEFENSES_H

#include <stdint.h>

#include "vmx/speculation.h"

/* Once, before the first vCPU. Says in the log what is done and what cannot be. */
void defenses_init(enum mitigations wanted);

extern uint32_t vmx_defenses;

/* Bits DEFENSE_; constant after defenses_init. */
static inline uint32_t defenses(void)
{
	return vmx_defenses;
}

#endif
