/* SPDX-License-Identifier: MIT */
/*
 * A triple fault, done once more. The CPU says of it only that it came, with all registers as they
 * were before the first fault (SDM volume 3, "Information for VM Exits During Event Delivery" has
 * nothing for it). So the guest goes on where it stands, with every exception an exit: the same
 * faults come again, and are recorded. What was injected right there is injected again.
 */
#ifndef VMX_REPLAY_H
#define VMX_REPLAY_H

#include "vmx/vmx_vcpu.h"

/* After a triple fault: true: the guest may go on. False: it has been replayed already. */
bool replay_begin(struct vmx_vcpu *v);

/* The replay has come to its end, or nowhere: the VM ends. */
void replay_end(struct vmx_vcpu *v);

/* An event is injected at the next entry. */
void replay_note_injected(struct vmx_vcpu *v, const struct vmx_event *event);

#endif
