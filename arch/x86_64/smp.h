/* SPDX-License-Identifier: MIT */
/*
 * The cores of the machine: found by ACPI's MADT, started by INIT-SIPI-SIPI, and what one core asks
 * of another. Cores have dense ids, 0 is the boot CPU. A core is in the host with interrupts off
 * but while it idles in HLT; so another core's request is answered when it idles, at a VM exit, or
 * while it waits in smp_call itself. Intel SDM volume 3, "Multiple-Processor Management".
 */
#ifndef ARCH_X86_64_SMP_H
#define ARCH_X86_64_SMP_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86_64/pcpu.h"
#include "lib/frames.h"

#define TRAMPOLINE_NONE UINT64_MAX

struct smp_config {
	uint64_t trampoline; /* a page of RAM below 1 MiB that nobody uses, or TRAMPOLINE_NONE */
	uint64_t hz;	     /* of the TSC */
	unsigned limit;	     /* use so many cores at most; 0: all */
	bool without_tsc_adjust;
	/* For tests: */
	unsigned dead;	   /* the core that gets no startup IPI; 0: none */
	bool late;	   /* it gets one when it has been given up */
	bool mtrr_error;   /* cores come with MTRRs off */
	int64_t tsc_error; /* added to the TSC of each core but the boot CPU */
};

/*
 * Starts the other cores and parks them. Each that does not come up is named in the log and left
 * out for good. Returns how many cores there are now, this one included. Once, on the boot CPU,
 * when its APIC and clock run.
 */
unsigned smp_start(struct frames *frames, const struct smp_config *config);

/* How many cores are up, and the one of that id, 0 to pcpu_count() - 1. */
unsigned pcpu_count(void);
struct pcpu *pcpu_of(unsigned id);

/*
 * The struct of a core that was awaited in vain, number 0 to PCPU_MAX - 1; NULL: that one is none.
 * It keeps its memory for good, as the core may arrive yet.
 */
const struct pcpu *smp_left_out(unsigned number);

/* Has each parked core call `entry`, which does not return. Once. */
void smp_run_others(void (*entry)(struct pcpu *self));

/* Makes core `id` leave HLT or its guest. Cheap; nothing else happens there. */
void smp_kick(unsigned id);

/*
 * Runs fn(arg) on core `id` with interrupts off and returns when it has run; on this core itself it
 * is called at once. `fn` calls none of these functions. Cores may call each other at the same
 * time. Not from an interrupt handler or NMI, and with no lock held that `fn` or any other core's
 * `fn` takes.
 */
void smp_call(unsigned id, void (*fn)(void *arg), void *arg);
/* The same on all cores at once, this one included. */
void smp_call_all(void (*fn)(void *arg), void *arg);
/* Runs what other cores want of this one: for whoever waits with interrupts off for long. */
void smp_serve_calls(void);

/*
 * Looks at the next core's heartbeat, which that core counts up at least every 10 ms while it is
 * not idle. One that stands still for 5 s gets an NMI and reports where it is; once, until it moves
 * again. Each core's loop calls this about once a second; `now` is the TSC. With one core there is
 * nobody to look.
 */
void smp_watchdog(uint64_t now);

/* An NMI came to this core, there. Takes no lock and prints nothing. */
struct trap_frame;
void smp_nmi(const struct trap_frame *frame);

/* Logs the first one that no other core sent to this one. */
void smp_report_nmis(void);

/* For panic: all other cores halt for good. Returns when they have, or after a while. */
void smp_stop_others(void);

#endif
