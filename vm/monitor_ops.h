/* SPDX-License-Identifier: MIT */
/*
 * What the monitor asks of the hypervisor. The monitor knows nothing of VT-x or scheduling: it is
 * given these functions, all called on the core that runs it, with `ctx` first.
 *
 * VMs are numbered 0 .. vms - 1 in the order of their descriptions, also those that have ended.
 */
#ifndef VM_MONITOR_OPS_H
#define VM_MONITOR_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "vm/pc.h"

enum monitor_state {
	MONITOR_STARTING, /* being made, or waiting for one that it depends on */
	MONITOR_RUNNING,
	MONITOR_PAUSED,
	MONITOR_ENDED,	 /* by itself: `verdict` says how */
	MONITOR_STOPPED, /* by somebody at the monitor, or never started */
	MONITOR_REFUSED, /* its description is wrong: `why` says how */
	MONITOR_STATES
};

/* Texts stay valid until the next call of ops->vm. */
struct monitor_vm {
	const char *name;
	enum monitor_state state;
	const char *verdict; /* NULL: none yet */
	const char *why;     /* NULL or empty: nothing to say */
	uint64_t memory;     /* bytes of RAM */
	uint64_t own_memory; /* bytes that Socle itself uses for it, scroll-back apart */
	unsigned cpus;
	unsigned restarts;
	unsigned weight;
	unsigned cap;		/* percent of a core for each vCPU; 0: none */
	uint64_t pins;		/* a bit for each core; 0: any core */
	uint64_t console_bytes; /* said on its console */
};

enum monitor_vcpu_state {
	MONITOR_VCPU_RUNNING,
	MONITOR_VCPU_READY,
	MONITOR_VCPU_HALTED,
	MONITOR_VCPU_WAITING, /* for a start-up IPI */
	MONITOR_VCPU_PAUSED,
	MONITOR_VCPU_STATES
};

struct monitor_vcpu {
	unsigned core; /* where it runs, or ran last */
	enum monitor_vcpu_state state;
	uint64_t run, ready, halted; /* ticks so far */
	uint64_t exits;
};

/* Exits for one reason, of all vCPUs of a VM. */
struct monitor_exit {
	const char *name;
	uint64_t count;
	uint64_t ticks; /* in Socle, in all */
	uint64_t ticks_max;
};

struct monitor_segment {
	uint16_t selector;
	uint64_t base;
	uint32_t limit;
	uint32_t rights; /* as in a VMCS */
};

/* In the order of a VMCS. */
enum {
	MONITOR_ES,
	MONITOR_CS,
	MONITOR_SS,
	MONITOR_DS,
	MONITOR_FS,
	MONITOR_GS,
	MONITOR_LDTR,
	MONITOR_TR,
	MONITOR_SEGMENTS
};

struct monitor_regs {
	uint64_t gpr[16]; /* in the order of their numbers, with RSP */
	uint64_t rip, rflags;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer;
	uint64_t dr[4], dr6, dr7;
	struct monitor_segment segment[MONITOR_SEGMENTS];
	uint64_t gdt_base, idt_base;
	uint32_t gdt_limit, idt_limit;
	const char *activity;  /* "active", "halted", "waiting for SIPI", ... */
	const char *mode;      /* "64-bit mode", ... */
	uint64_t pdpte[4];     /* if PAE paging */
	uint8_t physical_bits; /* MAXPHYADDR of the guest */
};

enum monitor_action {
	MONITOR_START,
	MONITOR_STOP,
	MONITOR_PAUSE,
	MONITOR_RESUME,
	MONITOR_RESET,
	MONITOR_ACTIONS
};

enum monitor_memory { MONITOR_RAM, MONITOR_UNTOUCHED, MONITOR_NO_RAM };

struct monitor_ops {
	unsigned (*vms)(void *ctx);
	void (*vm)(void *ctx, unsigned vm, struct monitor_vm *info);
	/* False: the VM has no such vCPU now. */
	bool (*vcpu)(void *ctx, unsigned vm, unsigned cpu, struct monitor_vcpu *info);
	/* Row number `row`, from 0; false behind the last. Those of count 0 are not shown. */
	bool (*exit)(void *ctx, unsigned vm, unsigned row, struct monitor_exit *info);
	/* False: `error` says why not. A request that takes time is accepted with true. */
	bool (*action)(void *ctx, unsigned vm, enum monitor_action action, struct error *error);
	/* The registers of a vCPU as they are, or were at its last exit. */
	bool (*regs)(void *ctx, unsigned vm, unsigned cpu, struct monitor_regs *regs,
		     struct error *error);
	/*
	 * Reads guest memory, at most to the end of a 4 KiB page, and never populates it:
	 * MONITOR_UNTOUCHED is RAM that reads as zero (nothing is copied), MONITOR_NO_RAM also when
	 * the VM has no memory now. inspect_memory() does this for a struct guest_memory.
	 */
	enum monitor_memory (*read)(void *ctx, unsigned vm, uint64_t gpa, void *to, size_t length);
	/*
	 * Takes which pages the VM wrote since it was asked last; then their ranges, one by one.
	 * False: `error` says why not; that was the last.
	 */
	bool (*writes)(void *ctx, unsigned vm, struct error *error);
	bool (*written)(void *ctx, unsigned vm, uint64_t *gpa, uint64_t *length);
	/* The VM's devices, brought up to its time now, with its lock held; NULL: it has none. */
	const struct pc *(*pc_borrow)(void *ctx, unsigned vm, uint64_t *now);
	void (*pc_return)(void *ctx, unsigned vm);
	/* Proves who owns what; each line is a finding or a sum. False: something is wrong. */
	bool (*audit)(void *ctx, void (*line)(void *to, const char *text), void *to);
	void (*end)(void *ctx, bool reboot); /* power-off or reboot; need not return */
	uint64_t (*now)(void *ctx);	     /* host ticks */
	uint64_t hz;			     /* of those */
	unsigned cores;
	const char *version; /* "Socle 0.3 ..." */
};

#endif
