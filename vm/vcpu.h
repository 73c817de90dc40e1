/* SPDX-License-Identifier: MIT */
/*
 * A virtual CPU as everything but VT-x sees it. vmx/ embeds it in its own struct; the registers
 * come first because the entry code addresses them.
 */
#ifndef VM_VCPU_H
#define VM_VCPU_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/x86.h"
#include "vm/vcpu_start.h"

struct vm;

/* Why the run loop must look before it enters the guest again; bits of vcpu.attention. */
enum {
	ATTENTION_EVENT = 1 << 0, /* an event may be deliverable, or must be injected */
	ATTENTION_TIMER = 1 << 1, /* the next deadline may have moved */
	ATTENTION_END = 1 << 2,	  /* the VM has ended */
};

/* An exception to be injected, as the handler of an exit found it. */
struct vcpu_exception {
	bool pending;
	bool has_error_code;
	uint8_t vector;
	uint32_t error_code;
};

struct vcpu {
	/* RAX..R15 in the order of their numbers. RSP's slot is unused: it lives in the VMCS. */
	uint64_t gpr[GPR_COUNT];
	uint32_t attention;
	unsigned id;
	struct vm *vm;
	struct vcpu_exception exception;
	unsigned nmis; /* pending; the CPU keeps at most one beside the one in service */
	bool halted;
	uint64_t xcr0;	     /* loaded while the vCPU runs */
	uint64_t tsc_adjust; /* guest's IA32_TSC_ADJUST */
	uint64_t mtrr_def_type;
	uint64_t mtrr_fixed[11];
	uint64_t mtrr_variable[16];
	uint64_t misc_enable;
	uint64_t mcg_status;
};

/*
 * Raises an exception in the guest at the next entry. A second one before the first is delivered
 * becomes #DF, or a shutdown (false), by the rules of SDM volume 3, "Double Fault Exception".
 */
bool vcpu_raise(struct vcpu *vcpu, uint8_t vector, bool has_error_code, uint32_t error_code);

/* What two exceptions, one during the delivery of the other, make together. */
enum vcpu_combination { VCPU_DELIVER_SECOND, VCPU_DOUBLE_FAULT, VCPU_SHUTDOWN };
enum vcpu_combination vcpu_combine(uint8_t first, uint8_t second);

/* Whether the exception pushes an error code in protected mode. */
bool vcpu_has_error_code(uint8_t vector);

#endif
