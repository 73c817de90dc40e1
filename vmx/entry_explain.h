/* SPDX-License-Identifier: MIT */
/* Why a VM entry is refused, in words: the rules that the current VMCS breaks. */
#ifndef VMX_ENTRY_EXPLAIN_H
#define VMX_ENTRY_EXPLAIN_H

#include "vmx/entry_check.h"
#include "vmx/vmx_vcpu.h"

/* What the checks depend on, of this CPU. */
void entry_read_cpu(struct entry_cpu *cpu);
/* All fields of the current VMCS. */
void entry_read_fields(struct entry_state *state);

/* Prints each broken rule with its fields, at error level. False: none is broken. */
bool entry_explain(struct vmx_vcpu *v);

/* Wrong on purpose, for tests: a field of that group. */
enum entry_spoil { SPOIL_NONE, SPOIL_CONTROLS, SPOIL_HOST, SPOIL_GUEST };
/* The boot options: check before each entry; spoil each entry. Before the first vCPU. */
void entry_set_options(bool always, enum entry_spoil spoil);
/* Whether entry_prepare is wanted: by ATTENTION_ENTRY, from the vCPU's creation. */
bool entry_wants_attention(void);
/* Does what the options say, right before an entry. False: a rule is broken; it has been said. */
bool entry_prepare(struct vmx_vcpu *v);

#endif
