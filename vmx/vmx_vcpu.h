/* SPDX-License-Identifier: MIT */
/* A vCPU on VT-x: what embeds struct vcpu, and the words that handlers of exits share. */
#ifndef VMX_VMX_VCPU_H
#define VMX_VMX_VCPU_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/timer.h"
#include "vm/emulate.h"
#include "vm/sched.h"
#include "vm/vcpu.h"
#include "vm/vm.h"
#include "vmx/recorder.h"

#define EXIT_REASONS	70
#define NO_CORE		(-1)

#define ACTIVITY_ACTIVE 0 /* GUEST_ACTIVITY */

/* An event whose delivery an exit interrupted, in the format of the VM-entry fields. */
struct vmx_event {
	uint32_t info;
	uint32_t error_code;
	uint32_t length;
};

/* MSRs that the guest has in the CPU and that entry and exit do not switch. */
struct vmx_msrs {
	uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux, spec_ctrl;
	uint64_t spec_ctrl_shown; /* as the guest wrote it, where the CPU has more set */
};

/* What entry and exit leave in the CPU's registers; switched when the core takes another vCPU. */
struct vmx_state {
	void *fpu; /* fpu_area_size() bytes */
	struct vmx_msrs msrs;
	uint64_t dr[4];
	uint64_t dr6;
	uint64_t cr2;
};

/* Exits for one reason, and the ticks from them to the next entry. */
struct vmx_exits {
	uint64_t count;
	uint64_t ticks;
	uint64_t max;
};

/* See vmx/replay.h. */
struct vmx_replay {
	bool on;
	uint64_t until;		   /* host TSC */
	unsigned first;		   /* of recorder.exception */
	struct vmx_event injected; /* at the last entry that injected something, and where */
	uint64_t injected_rip;
};

struct vmx_vcpu {
	struct vcpu vcpu;  /* first: entry.asm saves registers there */
	uint64_t host_rsp; /* of the loop that entered the guest */
	bool launched;
	bool asleep;	     /* counted in vm->asleep */
	bool has_timer;	     /* the VMX-preemption timer keeps the deadline */
	uint8_t timer_shift; /* it counts TSC ticks >> this */
	uint32_t exit_start; /* low half of the TSC at the last exit */
	uint64_t deadline;   /* host TSC at which the loop must look at its timers */
	uint64_t vmcs;	     /* physical */
	uint16_t vpid;
	uint32_t proc_controls;	   /* as in the VMCS: windows open and close */
	uint32_t proc2_controls;   /* without what the mode of its local APIC switches off */
	uint32_t tpr_threshold;	   /* as in the VMCS */
	bool virtual_interrupts;   /* the CPU delivers them: vmx/virtual_apic.h */
	uint16_t interrupt_status; /* the same, while an event is chosen */
	uint8_t eoi_watched;	   /* vector whose EOI exits as another waits for it, 0 for none */
	uint64_t ept_pointer;
	uint64_t cr4_allowed;
	uint64_t xcr0_allowed;
	/* Of the MSRs whose reads exit and are those of a variable: the last one, for entry.asm. */
	struct {
		uint32_t number;
		const uint64_t *value;
	} msr_read;
	struct emulate_code code;	      /* what the emulator keeps of the last instruction */
	struct vmx_event interrupted;	      /* valid bit in info */
	struct vmx_exits exits[EXIT_REASONS]; /* by reason */
	struct recorder recorder;
	bool stopped; /* it is the one for which the VM ended */
	struct vmx_replay replay;
	uint64_t left; /* TSC of the last exit that came back to the loop */

	struct vmx_state state; /* while not loaded */
	int loaded_on;		/* the core whose registers hold it, or NO_CORE; atomic */
	int last_core;		/* whose host state is in the VMCS, or NO_CORE */
	int running_on;		/* the core that is in vmx_vcpu_run for it, or NO_CORE; atomic */
	struct sched_entity entity; /* the scheduler's */
	struct timer wake;	    /* while it has no core: its local APIC's timer */
	uint64_t wake_at;	    /* when that is due: host TSC, UINT64_MAX for never */
};

/* What follows a handler. */
enum exit_action {
	EXIT_RESUME,  /* enter the guest again where it is */
	EXIT_ADVANCE, /* move RIP past the instruction first */
	EXIT_STOP,    /* the VM has ended; vm_end was called */
};

/*
 * Makes vCPU `id` of the VM: the first one in the VM's start state, the others waiting for a
 * start-up IPI. False: no memory or the CPU refuses; nothing is left. `v` is zeroed by the caller.
 */
bool vmx_vcpu_create(struct vmx_vcpu *v, struct vm *vm, unsigned id, struct error *error);
/* It is loaded on no core. */
void vmx_vcpu_destroy(struct vmx_vcpu *v);

/* Bytes that each vCPU takes beside the struct. */
uint64_t vmx_vcpu_own_memory(void);

/* A start-up IPI: real mode at `vector` * 4 KiB, all else as after INIT. It is loaded here. */
void vmx_vcpu_startup(struct vmx_vcpu *v, uint8_t vector);

/* The part of the VMCS that says where exits land: that of this core. It is loaded here. */
void vmx_vcpu_write_core(struct vmx_vcpu *v);

/* Says whose the pages are that all vCPUs share. */
struct audit;
void vmx_vcpu_claim_shared(struct audit *audit);

/* For vm_host.apic_access_page. */
uint64_t vmx_apic_access_page(void);

/* Pages that all vCPUs share: bitmaps. Once, before the first vCPU. False: no memory. */
bool vmx_vcpu_init_shared(struct frames *frames);

/* The VM's clock now, in ticks. */
uint64_t vmx_now(const struct vmx_vcpu *v);
/* Empties the log of pages written, of a vCPU that is loaded here and has one. */
void vmx_read_write_log(struct vmx_vcpu *v);
/* The VM clock's tick in host TSC. */
uint64_t vmx_host_tsc(const struct vmx_vcpu *v, uint64_t ticks);

/* Raises an exception in the guest; a third fault ends the VM. Always EXIT_RESUME or EXIT_STOP. */
enum exit_action vmx_raise(struct vmx_vcpu *v, uint8_t vector, uint32_t error_code);

/* Gives the guest an exception that the CPU raised: its RFLAGS are as they should be. */
enum exit_action vmx_reflect(struct vmx_vcpu *v, uint8_t vector, uint32_t error_code);

static inline enum exit_action vmx_raise_gp(struct vmx_vcpu *v)
{
	return vmx_raise(v, VECTOR_GP, 0);
}

#endif
