/* SPDX-License-Identifier: MIT */
/*
 * What the monitor sees of the VMs and does to them: its operations, over vmx/life.h, vmx/core.h.
 */
#ifndef VMX_GOVERN_H
#define VMX_GOVERN_H

#include <stdbool.h>

#include "vm/monitor_ops.h"
#include "vm/vm.h"

/*
 * The operations; they stay. On core 0, once. `host` must stay; `end` is called when somebody
 * wants the machine to end, within a call of console_housekeeping, and may return.
 */
const struct monitor_ops *govern_ops(const struct vm_host *host, void (*end)(bool reboot));

#endif
