/* SPDX-License-Identifier: MIT */
/*
 * Which vCPU a core's registers hold: the VMCS that is current there, and what VM entry and exit do
 * not switch. It stays when its core idles, and is put away when another one comes.
 */
#ifndef VMX_SWITCH_H
#define VMX_SWITCH_H

#include "vmx/vmx_vcpu.h"

/* Loads `v` on this core; waits for the core that is still putting it away. */
void vmx_switch_to(struct vmx_vcpu *v);
/* Puts away what this core has loaded, if anything. */
void vmx_switch_away(void);

#endif
