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
	LIFE_REFUSED, /* its description is wrong, or it could not be made: `why` */
	LIFE_IDLE,    /* not started: autostart=no */
	LIFE_WAITING, /* will be started: in turn, or after what it depends on */
	LIFE_RUNNING,
	LIFE_PAUSED,
	LIFE_CRASHED, /* on-crash=pause: its vCPUs have stopped for good, its memory is there */
	LIFE_ENDED,
};

/* The most restarts a minute that a description may ask for. */
#define LIFE_RESTARTS_MAX 60

struct life {
	const struct vm_config *config;
	enum life_state state;
	struct vm *vm;			    /* while RUNNING, PAUSED or CRASHED */
	struct vm_console *console;	    /* the same */
	struct vmx_vcpu *vcpu[VM_CPUS_MAX]; /* the same; config->cpus of them */
	struct sched_group group;
	bool started;	      /* once, at least */
	bool again;	      /* it is being ended to be started anew */
	bool stopped;	      /* it is being ended by somebody: not to be started anew */
	bool judged;	      /* `verdict` and `why` are those of its last run */
	enum verdict verdict; /* VERDICT_NONE before */
	char why[256];
	bool frozen;	    /* while PAUSED: no vCPU runs any more, the clock stands ... */
	uint64_t frozen_at; /* ... since this TSC */
	uint64_t ended;	    /* TSC at which its end was seen; 0: it runs */
	unsigned passes;    /* so far, for life_config.repeat */
	unsigned restarts;  /* in all */
	uint64_t restart_at[LIFE_RESTARTS_MAX]; /* TSC of the last ones, by restarts % MAX */
};

enum life_action { LIFE_START, LIFE_STOP, LIFE_PAUSE, LIFE_RESUME, LIFE_RESET };

struct life_config {
	const struct config *config;
	struct vm_host *host;
	bool in_turn;	   /* one after another, not all at once */
	unsigned repeat;   /* who passes starts again until it has run so often; 0: once */
	uint64_t boot_tsc; /* of Socle's first instruction */
	/* Nothing runs or will start by itself any more; so many passed. Need not return. */
	void (*all_ended)(unsigned passed, unsigned failed);
};

/* Makes and starts the VMs that are to be started. Once. */
void life_init(const struct life_config *config);

const struct vm_host *life_host(void);

/* The VMs in the order of their descriptions. */
unsigned life_count(void);
const struct life *life_get(unsigned number);

/*
 * For somebody at the monitor. False: `error` says why not. True: it is done, or will be soon.
 * Only between two entries on core 0.
 */
bool life_act(unsigned number, enum life_action action, struct error *error);

/* Bytes that Socle itself uses for the VM: all but its RAM and its console's scroll-back. */
uint64_t life_own_memory(const struct life *l);

/* A vCPU has left its core for good, or a VM wants to be looked after. From any core. */
void life_look(void);

/* What is to be done for VMs that have ended, or come to their timeout; called often. */
uint64_t life_housekeeping(uint64_t now);

#endif
