/* SPDX-License-Identifier: MIT */
/* A virtual machine: its memory, its PC, its vCPUs, its end. */
#ifndef VM_VM_H
#define VM_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "ept/ept.h"
#include "lib/error.h"
#include "lib/frames.h"
#include "lib/spinlock.h"
#include "lib/timer.h"
#include "vm/config.h"
#include "vm/cpuid.h"
#include "vm/disk.h"
#include "vm/fwconfig.h"
#include "vm/memory.h"
#include "vm/pc.h"
#include "vm/regex.h"
#include "vm/vcpu.h"
#include "vm/vmclock.h"
#include "vm/vmconsole.h"
#include "vm/writes.h"

#define VM_CPUS_MAX 32
_Static_assert(VM_CPUS_MAX >= CONFIG_CPUS_MAX, "what descriptions may ask for");

enum verdict {
	VERDICT_NONE,
	VERDICT_PASS,
	VERDICT_FAIL,
	VERDICT_CRASH,
	VERDICT_HANG,
	VERDICT_STOPPED
};

/* What a guest could make Socle say without end is said once. */
enum vm_remark { REMARK_SMI = 1 << 0, REMARK_STARTUP = 1 << 1, REMARK_DELIVERY = 1 << 2 };

/* What a VM needs of the machine it runs on; one for all VMs. */
struct vm_host {
	struct frames *frames;
	const struct frames *pool; /* what `frames` had in the beginning, for the audit */
	unsigned largest_ept_level;
	bool ept_dirty_flags;
	bool write_logs; /* the CPU logs which pages a guest writes; with dirty flags */
	/* The memory type of host memory [start, end), by the MTRRs. */
	enum memory_type (*memory_type)(uint64_t start, uint64_t end);
	void (*invalidate_ept)(void *ctx, uint64_t eptp);
	/*
	 * A page at which EPT shows the CPU that an access is to the local APIC (SDM volume 3,
	 * "Virtualizing Memory-Mapped APIC Accesses"), for all VMs; 0: there is none.
	 */
	uint64_t apic_access_page;
	/* vCPU has news: its core must look soon. From any core. */
	void (*kick)(struct vcpu *vcpu);
	/* A VM has said something that somebody wants to see. From any core. */
	void (*console_told)(void);
	uint64_t hz;	/* of the TSC */
	uint64_t epoch; /* time of day at boot */
	uint64_t boot_tsc;
};

struct vm {
	const struct vm_config *config;
	const struct vm_host *host;
	struct spinlock memory_lock; /* of `memory` and `ept`, which grow on first touch */
	struct guest_memory memory;
	struct ept ept;
	struct writes writes; /* its map is behind memory_lock, or atomic */
	struct pc pc;
	struct cpuid_table cpuid;
	char com2[100]; /* a line of COM2, so far */
	unsigned com2_length;
	struct vm_console *console; /* set by who makes the vCPUs */
	struct regex expect;	    /* of what the console shows; without positions: none */
	bool shown;		    /* it has */
	struct vm_clock clock;
	struct timer timer; /* for what the devices of the board want to do next */
	struct spinlock timer_lock;
	uint64_t timer_at; /* VM tick for which it is set, UINT64_MAX: not; atomic */
	unsigned cpus;
	struct vcpu *vcpu[VM_CPUS_MAX]; /* set by who makes the vCPUs */
	struct vcpu_start start;
	uint8_t *apic_page[VM_CPUS_MAX];
	struct disk disk[PC_DRIVES_MAX]; /* those without data are no drives */
	uint8_t *ata_buffer[PC_ATA_CHANNELS];
	struct fwconfig *fwconfig; /* pages of its own; NULL: it has no firmware */
	bool apic_access; /* host->apic_access_page is mapped where local APICs are; atomic */
	struct spinlock end_lock; /* of the two that follow */
	enum verdict verdict;
	char why[224];
	bool paused;		 /* its vCPUs wait, its clock stands; atomic */
	unsigned asleep;	 /* vCPUs that only INIT or an NMI could wake; atomic */
	uint32_t said;		 /* enum vm_remark: what is told once */
	bool progressed;	 /* since the last look */
	uint64_t progress;	 /* VM ticks at the last look that found progress */
	uint64_t progress_check; /* VM ticks of the next look */
};

/*
 * Makes the VM that `config` asks for: memory, PC, CPUID, and its kernel loaded. On false, `error`
 * says why and nothing is left. `tsc` is the host's TSC now. The config and host outlive the VM.
 * `policy` is what the host's CPU offers to guests; its tsc_hz is the VM's own.
 */
bool vm_create(struct vm *vm, const struct vm_config *config, const struct vm_host *host,
	       const struct cpuid_policy *policy, uint64_t tsc, struct error *error);
/* Gives back all memory. The vCPUs must have left it. */
void vm_destroy(struct vm *vm);

/*
 * The guest has written to RAM that is protected against it until then, so that its writes are
 * known: it may from now on.
 */
void vm_allow_write(struct vm *vm, uint64_t gpa);

/* Bytes of its map of touched blocks. */
uint64_t vm_populated_bytes(const struct vm *vm);
/* Bytes of what vm/writes.h needs, from writes.live on; 0: nothing. */
uint64_t vm_writes_bytes(const struct vm *vm);
/* Bytes that Socle has taken for it beside the RAM and struct vm itself. */
uint64_t vm_own_memory(const struct vm *vm);

/* Bytes of memory that a VM could be given now. */
uint64_t vm_memory_available(const struct vm_host *host);

/*
 * The EPT violation path: true when gpa is RAM, which then is mapped (zeroed when seen first);
 * false when it is not RAM. Out of memory for tables ends the VM and returns true.
 */
bool vm_populate(struct vm *vm, uint64_t gpa);

/*
 * A local APIC is no longer where the page is mapped, in xAPIC mode: to that vCPU it would be
 * memory. So the VM has to do without it from now on. The caller holds no lock.
 */
void vm_drop_apic_access(struct vm *vm);

/* Ends the VM; the first verdict stays. Every vCPU stops before its next entry. From any core. */
void vm_end(struct vm *vm, enum verdict verdict, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
const char *verdict_name(enum verdict verdict);

/*
 * Its console shows a byte: of its devices, or of who reads its screen, with the PC's lock held.
 * True: the console's reader is to be told.
 */
bool vm_say(struct vm *vm, uint8_t byte);

/*
 * The verdict is final: its vCPUs have left it, and its console has shown all. What it should have
 * shown is a PASS, though the VM ended otherwise before anybody read its screen; what it did not
 * show turns a PASS into a FAIL, and is named.
 */
void vm_judge(struct vm *vm);

/*
 * Ends the VM as HANG when the description's timeout has passed since its last progress, or its
 * limit since its start.
 */
void vm_check_progress(struct vm *vm, uint64_t now);
/* The tick at which that check is due, UINT64_MAX for never. */
uint64_t vm_progress_deadline(const struct vm *vm);

#endif
