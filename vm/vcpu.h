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

/* Why the run loop must look before it enters the guest again. */
enum vcpu_attention {
	ATTENTION_EVENT = 1 << 0, /* an event may be deliverable, or must be injected */
	ATTENTION_TIMER = 1 << 1, /* the next deadline may have moved, or the core has work */
	ATTENTION_ENTRY = 1 << 2, /* for good: something is to be done before each entry */
};

/* The same, set by other cores. */
enum vcpu_news {
	NEWS_MAIL = 1 << 0,  /* something is in the mailbox of the local APIC */
	NEWS_END = 1 << 1,   /* the VM has ended */
	NEWS_PAUSE = 1 << 2, /* the VM is being paused */
	NEWS_CLOCK = 1 << 3, /* the VM's clock was moved */
};

/* What a vCPU does when it is given a core. */
enum vcpu_activity {
	VCPU_ACTIVE,
	VCPU_HALTED,
	VCPU_WAIT_FOR_SIPI, /* after INIT, and of application processors from the beginning */
	VCPU_STARTING,	    /* a start-up IPI came: begins at startup_vector */
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
	union {
		struct {
			uint32_t
				attention; /* enum vcpu_attention; by the core that runs it alone */
			uint32_t news;	   /* enum vcpu_news; atomically, by any core */
		};
		uint64_t wanted; /* both at a glance: 0 means that the guest may go on */
	};
	unsigned id;
	struct vm *vm;
	struct vcpu_exception exception;
	unsigned nmis; /* pending; the CPU keeps at most one beside the one in service */
	enum vcpu_activity activity;
	uint8_t startup_vector;
	uint64_t xcr0;	     /* loaded while the vCPU runs */
	uint64_t tsc_adjust; /* guest's IA32_TSC_ADJUST */
	uint64_t mtrr_def_type;
	uint64_t mtrr_fixed[11];
	uint64_t mtrr_variable[16];
	uint64_t misc_enable;
	uint64_t mcg_status;
};

/* Tells the vCPU from any core; bits of enum vcpu_news. Its core must be kicked after it. */
static inline void vcpu_tell(struct vcpu *vcpu, uint32_t news)
{
	__atomic_fetch_or(&vcpu->news, news, __ATOMIC_SEQ_CST);
}

/* Takes the bits of `news` that are set; by the core that runs it. */
static inline uint32_t vcpu_take_news(struct vcpu *vcpu, uint32_t news)
{
	if (!(__atomic_load_n(&vcpu->news, __ATOMIC_RELAXED) & news))
		return 0;
	return __atomic_fetch_and(&vcpu->news, ~news, __ATOMIC_SEQ_CST) & news;
}

static inline bool vcpu_ended(const struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->news, __ATOMIC_RELAXED) & NEWS_END;
}

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
