/* SPDX-License-Identifier: MIT */
/* Faults on purpose: takes the place of boot/fault.c. */
#include "boot/fault.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/smp.h"
#include "boot/machine.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/x86.h"
#include "tests/faults/faults.h"
#include "vmx/vmcs.h"

#define CULPRIT	     1 /* the core at fault */
#define HANG_SECONDS 7
#define RUN_SECONDS  8
#define LOOKS_PER_S  8
#define PANIC_WAIT   1 /* seconds that the others give a panic to stop them */
#define CALLS	     200

const char fault_words[] = FAULT_WORDS "hang\0panic-ap\0panic-all\0calls\0nmis\0mc\0mc-exit\0"
				       "mc-entry\0stack\0cr\0smash\0vmread\0";
_Static_assert(FAULT_VMREAD - FAULT_HANG == 11, "the words' order");

static enum fault fault;
static uint64_t begin;
static unsigned calls_run[PCPU_MAX], all_done;

static bool before(unsigned seconds)
{
	return rdtsc() - begin < seconds * machine_host()->hz;
}

/*
 * Not inlined, calling nothing, and with a frame that a leaf would not get, so that it and its
 * caller are the first two in the backtrace.
 */
static __attribute__((noinline)) void hang(uint64_t end)
{
	__asm__ volatile("" : : "r"(__builtin_frame_address(0)));
	while (rdtsc() < end)
		cpu_pause();
}

/* What a core's loop does for the watchdog, and nothing else. */
static void live(struct pcpu *self, unsigned seconds)
{
	uint64_t hz = machine_host()->hz, looked = rdtsc();

	while (before(seconds)) {
		self->heartbeat++;
		smp_serve_calls();
		lapic_timer_arm(rdtsc() + hz / LOOKS_PER_S);
		irq_enable_and_halt();
		if (rdtsc() - looked < hz)
			continue;
		looked += hz;
		smp_watchdog(looked);
	}
}

static void count_call(void *arg)
{
	unsigned *counter = arg;

	/* Only the core that it is for ever writes it. */
	if (counter == &calls_run[pcpu_self()->id])
		++*counter;
}

/* Every core calls every core, all at the same time. */
static void call_all(void)
{
	for (unsigned i = 0; i < CALLS; i++)
		for (unsigned id = 0; id < pcpu_count(); id++)
			smp_call(id, count_call, &calls_run[id]);
	__atomic_fetch_add(&all_done, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&all_done, __ATOMIC_ACQUIRE) < pcpu_count())
		smp_serve_calls();
}

static void add_one(void *arg)
{
	__atomic_fetch_add((unsigned *)arg, 1, __ATOMIC_ACQ_REL);
}

static void report_calls(void)
{
	unsigned sum = 0;

	for (unsigned id = 0; id < pcpu_count(); id++)
		sum += calls_run[id];
	log_info("fault=calls: %u of %u calls ran where they should", sum,
		 CALLS * pcpu_count() * pcpu_count());
	sum = 0;
	smp_call_all(add_one, &sum);
	log_info("fault=calls: a call to all ran on %u of %u cores", sum, pcpu_count());
}

static void act(struct pcpu *self)
{
	switch (fault) {
	case FAULT_HANG:
		if (self->id == CULPRIT)
			hang(begin + HANG_SECONDS * machine_host()->hz);
		live(self, RUN_SECONDS);
		break;
	case FAULT_PANIC_ALL: panic("on purpose: fault=panic-all");
	case FAULT_PANIC:
		if (self->id == CULPRIT)
			panic("on purpose: fault=panic-ap");
		live(self, PANIC_WAIT);
		log_error("fault=panic-ap: CPU %u still runs", self->id);
		break;
	case FAULT_CALLS: call_all(); break;
	default: break;
	}
}

static void other_core(struct pcpu *self)
{
	act(self);
	self->idle = true;
	for (;;)
		irq_enable_and_halt();
}

void fault_run(const struct options *options)
{
	fault = options->fault;
	if (fault < FAULT_HANG)
		return;
	if (pcpu_count() <= CULPRIT) {
		log_error("boot option fault= wants a second core");
		return;
	}
	if (fault >= FAULT_NMIS) {
		if (fault <= FAULT_MC_ENTRY)
			nmis_begin(fault);
		return;
	}
	begin = rdtsc();
	smp_run_others(other_core);
	act(pcpu_self());
	if (fault == FAULT_CALLS)
		report_calls();
	log_error("fault: done, no VM is run");
	machine_end(options->at_end);
}

/* Each call takes a part of the stack, and there is no end to it: the page below is not there. */
static __attribute__((noinline)) unsigned fill_stack(unsigned depth)
{
	volatile unsigned part[64];

	part[0] = depth;
	return depth == UINT32_MAX ? 0 : fill_stack(depth + 1) + part[0];
}

/* Writes past the end of its own array, over what is behind it. */
static __attribute__((noinline)) void smash(volatile unsigned size)
{
	uint8_t part[16];

	for (volatile unsigned i = 0; i < size; i++)
		((volatile uint8_t *)part)[i] = 'x';
}

/* What protects Socle from its own mistakes, off; EFER.NXE cannot be, with such tables. */
static void drop_guards(void)
{
	write_cr4(read_cr4() & ~(CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_MCE));
	write_cr0(read_cr0() & ~CR0_WP);
}

/* The last core makes the faults that come while guests run on the others. */
void fault_run_core(struct pcpu *self)
{
	if (fault < FAULT_NMIS || self->id < pcpu_count() - 1)
		return;
	switch (fault) {
	case FAULT_STACK: fill_stack(0); break;
	case FAULT_SMASH: smash(64); break;
	case FAULT_CR: drop_guards(); break;
	case FAULT_VMREAD: vmcs_read(GUEST_RIP); break;
	case FAULT_MC: __asm__ volatile("int $18"); break;
	default: nmis_send(self);
	}
}
