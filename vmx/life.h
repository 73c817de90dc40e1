/* SPDX-License-Identifier: MIT */
/*
 * The life of the VMs, from their descriptions to their verdicts: made, started, paused, ended,
 * restarted, unmade. All of it happens on core 0, between two entries of the vCPUs there.
 */
#ifndef VMX_LIFE_H
#define VMX_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/config.h"
#include "vm/vm.h"
#include "vmx/vmx_vcpu.h"

enum life_state {
	LIFE_REFUSED, /* its description is wrong, or it could not be made */
	LIFE_WAITING, /* not started yet */
	LIFE_RUNNING,
	LIFE_PAUSED,
	LIFE_ENDED,
};

struct life {
	const struct vm_config *config;
	enum life_state state;
	struct vm *vm;			    /* while RUNNING or PAUSED */
	struct vmx_vcpu *vcpu[VM_CPUS_MAX]; /* the same; config->cpus of them */
	struct sched_group group;
	bool judged;	      /* its verdict line is out, or will be in `verdict` once it ends */
	enum verdict verdict; /* of its last run */
	char why[160];
};

struct life_config {
	const struct config *config;
	struct vm_host *host;
	bool in_turn;	   /* one after another, not all at once */
	uint64_t boot_tsc; /* of Socle's first instruction */
	/* All VMs have ended, and so many of them passed. */
	void (*all_ended)(unsigned passed, unsigned failed);
};

/* Makes and starts the VMs that are to be started. Once. */
void life_init(const struct life_config *config);

/* What is to be done for VMs that have ended, or come to their timeout; called often. */
uint64_t life_housekeeping(uint64_t now);

#endif
