/* SPDX-License-Identifier: MIT */
/*
 * Starting cores, and calls between them. A core that is awaited has a slot, a struct pcpu and
 * stacks of its own, which no other core ever gets: one that comes too late finds its slot empty,
 * or its state PCPU_LEFT_OUT, and halts.
 */
#include "arch/x86_64/smp.h"

#include <stddef.h>

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/machine_check.h"
#include "arch/x86_64/madt.h"
#include "arch/x86_64/memory_types.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/traps.h"
#include "arch/x86_64/tsc_bounds.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/string.h"
#include "lib/x86.h"

#define CPUID_7_EBX_TSC_ADJUST BIT(1)

/* SDM volume 3, "Typical AP Initialization Sequence". */
#define INIT_WAIT_HZ	 100  /* 10 ms from INIT to startup IPI */
#define STARTUP_WAIT_HZ	 5000 /* 200 us to the second one */

#define STOP_WAIT_HZ	 10 /* a panic waits 100 ms for the others */
#define ANSWER_WAIT_HZ	 10 /* as long as an NMI may take */
#define WATCHDOG_SECONDS 5
#define TSC_ROUNDS	 32
#define TSC_CORRECTIONS	 3

#define PORT_NMI_STATUS	 0x61

enum { NMI_STOP = 1, NMI_WHERE = 2 };

/* As trampoline.asm reads it. */
struct slot {
	uint32_t offer; /* APIC ID + 1 of the core that may claim it; 0: none may */
	uint32_t reserved;
	uint64_t stack_top;
	struct pcpu *pcpu;
};
_Static_assert(offsetof(struct slot, stack_top) == 8, "SLOT_STACK in trampoline.asm");
_Static_assert(offsetof(struct slot, pcpu) == 16, "SLOT_PCPU in trampoline.asm");
_Static_assert(sizeof(struct slot) == 24, "SLOT_SIZE in trampoline.asm");
_Static_assert(MADT_CPUS_MAX == PCPU_MAX && PCPU_MAX == 32, "SLOTS in trampoline.asm");

struct smp_request {
	struct smp_request *next;
	void (*fn)(void *arg);
	void *arg;
	bool done;
};

extern const uint8_t trampoline_start[], trampoline_end[];
struct slot smp_slots[PCPU_MAX];
uint64_t smp_root;
_Noreturn void smp_other_main(struct pcpu *self);

static struct {
	unsigned count;
	struct pcpu *up[PCPU_MAX]; /* by id */
	struct smp_config config;
	uint64_t efer;
	void (*entry)(struct pcpu *self);
} cores = {.count = 1, .up = {&boot_pcpu}};

unsigned pcpu_count(void)
{
	return cores.count;
}

struct pcpu *pcpu_of(unsigned id)
{
	return id < cores.count ? cores.up[id] : NULL;
}

static unsigned state_of(const struct pcpu *pcpu)
{
	return __atomic_load_n(&pcpu->state, __ATOMIC_ACQUIRE);
}

const struct pcpu *smp_left_out(unsigned number)
{
	const struct pcpu *pcpu = number < PCPU_MAX ? smp_slots[number].pcpu : NULL;

	return pcpu && state_of(pcpu) == PCPU_LEFT_OUT ? pcpu : NULL;
}

static void set_state(struct pcpu *pcpu, enum pcpu_state state)
{
	__atomic_store_n(&pcpu->state, state, __ATOMIC_RELEASE);
}

/* The core arrives, or the boot CPU gives it up: only one of the two. */
static bool leave_awaited(struct pcpu *pcpu, enum pcpu_state state)
{
	unsigned awaited = PCPU_AWAITED;

	return __atomic_compare_exchange_n(&pcpu->state, &awaited, state, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/* RDTSC neither before what precedes it nor after what follows. */
static uint64_t rdtsc_ordered(void)
{
	uint64_t tsc;

	__asm__ volatile("lfence" : : : "memory");
	tsc = rdtsc();
	__asm__ volatile("lfence" : : : "memory");
	return tsc;
}

/* Whether less than a `part`th of a second has passed since `start`; a pause between two looks. */
static bool within(uint64_t start, unsigned part)
{
	cpu_pause();
	return rdtsc() - start < cores.config.hz / part;
}

static void wait(unsigned part)
{
	for (uint64_t start = rdtsc(); within(start, part);)
		;
}

/* The part of a new core */

/* Answers the boot CPU's readings until it has decided. */
static void compare_tsc(struct pcpu *self)
{
	uint64_t seen = 0;

	while (state_of(self) == PCPU_ARRIVED) {
		uint64_t asked = __atomic_load_n(&self->tsc.asked, __ATOMIC_ACQUIRE);

		if (asked == seen) {
			cpu_pause();
			continue;
		}
		if (self->tsc.correction) {
			wrmsr(MSR_TSC_ADJUST,
			      rdmsr(MSR_TSC_ADJUST) - (uint64_t)self->tsc.correction);
			self->tsc.correction = 0;
		}
		self->tsc.tsc = rdtsc_ordered();
		seen = asked;
		__atomic_store_n(&self->tsc.answered, asked, __ATOMIC_RELEASE);
	}
}

/* HLT until there is work. What comes between the look and HLT is pending there and ends it. */
static _Noreturn void park(struct pcpu *self)
{
	void (*entry)(struct pcpu *) = NULL;

	self->idle = true;
	while (!(entry = __atomic_load_n(&cores.entry, __ATOMIC_ACQUIRE)))
		irq_enable_and_halt();
	self->idle = false;
	entry(self);
	panic("the work of a core has returned");
}

_Noreturn void smp_other_main(struct pcpu *self)
{
	pcpu_load(self);
	paging_activate_other();
	wrmsr(MSR_EFER, cores.efer);
	if (cores.config.mtrr_error)
		wrmsr(MSR_MTRR_DEF_TYPE, 0);
	if (!memory_types_match(&self->had_other_mtrrs))
		cpu_halt_forever();
	fpu_init();
	machine_check_init();
	lapic_init();
	lapic_timer_init_other();
	if (cores.config.tsc_error)
		wrmsr(MSR_TSC, rdtsc() + (uint64_t)cores.config.tsc_error);
	/* In x2APIC mode it may turn out to be another; messages would miss it. */
	if (lapic_id() != self->apic_id || !leave_awaited(self, PCPU_ARRIVED))
		cpu_halt_forever();
	compare_tsc(self);
	if (state_of(self) == PCPU_ACCEPTED)
		park(self);
	cpu_halt_forever();
}

/* The part of the boot CPU */

/* Adds one round trip. False: the core does not answer. */
static bool ask_tsc(struct pcpu *pcpu, struct tsc_bounds *bounds)
{
	uint64_t round = pcpu->tsc.asked + 1, sent = rdtsc_ordered();

	__atomic_store_n(&pcpu->tsc.asked, round, __ATOMIC_RELEASE);
	while (__atomic_load_n(&pcpu->tsc.answered, __ATOMIC_ACQUIRE) != round)
		if (!within(sent, 1))
			return false;
	tsc_bounds_add(bounds, sent, pcpu->tsc.tsc, rdtsc_ordered());
	return true;
}

static bool measure_tsc(struct pcpu *pcpu, struct tsc_bounds *bounds)
{
	bool answers = true;

	*bounds = (struct tsc_bounds)TSC_BOUNDS_NONE;
	for (unsigned i = 0; answers && i < TSC_ROUNDS; i++)
		answers = ask_tsc(pcpu, bounds);
	log_debug("CPU with APIC ID %u: its TSC is %ld to %ld ticks ahead", pcpu->apic_id,
		  bounds->least, bounds->most);
	return answers;
}

static bool has_tsc_adjust(void)
{
	return !cores.config.without_tsc_adjust && (cpuid_leaf7().ebx & CPUID_7_EBX_TSC_ADJUST);
}

static bool agree_on_tsc(struct pcpu *pcpu, unsigned number)
{
	struct tsc_bounds bounds;

	for (unsigned tries = 0; measure_tsc(pcpu, &bounds); tries++) {
		int64_t ahead = tsc_bounds_middle(&bounds);

		if (tsc_bounds_agree(&bounds))
			return true;
		if (!has_tsc_adjust() || tries == TSC_CORRECTIONS) {
			log_error("CPU %u (APIC ID %u): its TSC is %ld ticks %s the boot CPU's: "
				  "left out",
				  number, pcpu->apic_id, ahead < 0 ? -ahead : ahead,
				  ahead < 0 ? "behind" : "ahead of");
			return false;
		}
		log_info("CPU %u (APIC ID %u): its TSC was %ld ticks %s the boot CPU's: corrected",
			 number, pcpu->apic_id, ahead < 0 ? -ahead : ahead,
			 ahead < 0 ? "behind" : "ahead of");
		pcpu->tsc.correction = ahead;
	}
	log_error("CPU %u (APIC ID %u) stopped answering: left out", number, pcpu->apic_id);
	return false;
}

/* A slot for the core of that APIC ID. False, and said why: it cannot be started. */
static bool await(struct frames *frames, unsigned number, uint32_t apic_id)
{
	struct slot *slot = &smp_slots[number];

	if (!lapic_reaches(apic_id)) {
		log_error("CPU %u (APIC ID %u) is out of reach without x2APIC: left out", number,
			  apic_id);
		return false;
	}
	slot->pcpu = pcpu_create(frames, apic_id);
	if (!slot->pcpu) {
		log_error("CPU %u (APIC ID %u): no memory for its stacks: left out", number,
			  apic_id);
		return false;
	}
	slot->pcpu->id = number;
	slot->stack_top = pcpu_stack_top(slot->pcpu);
	__atomic_store_n(&slot->offer, apic_id + 1, __ATOMIC_RELEASE);
	return true;
}

static bool has_arrived(const struct slot *slot)
{
	return slot->pcpu && state_of(slot->pcpu) == PCPU_ARRIVED;
}

/* Startup IPIs to all that have a slot and have not arrived. */
static void send_startups(unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		if (smp_slots[i].pcpu && !has_arrived(&smp_slots[i]) && i != cores.config.dead)
			lapic_send_startup(smp_slots[i].pcpu->apic_id, cores.config.trampoline);
}

/* INIT-SIPI-SIPI to all at once, by the book, and up to a second for them to arrive. */
static void start_all(unsigned count)
{
	bool all = false;

	for (unsigned i = 1; i < count; i++)
		if (smp_slots[i].pcpu)
			lapic_send_init(smp_slots[i].pcpu->apic_id);
	wait(INIT_WAIT_HZ);
	send_startups(count);
	wait(STARTUP_WAIT_HZ);
	send_startups(count);
	for (uint64_t start = rdtsc(); !all && within(start, 1);) {
		all = true;
		for (unsigned i = 1; i < count; i++)
			all &= !smp_slots[i].pcpu || has_arrived(&smp_slots[i]);
	}
}

/* Decides on one core, for good. */
static void take_in(unsigned number)
{
	struct slot *slot = &smp_slots[number];
	struct pcpu *pcpu = slot->pcpu;
	uint32_t offered;

	if (!pcpu)
		return;
	offered = pcpu->apic_id + 1;
	if (leave_awaited(pcpu, PCPU_LEFT_OUT)) {
		/* From here on it cannot claim the slot; if it has, it will see the state. */
		__atomic_compare_exchange_n(&slot->offer, &offered, 0, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE);
		log_error("CPU %u (APIC ID %u) did not start: left out", number, pcpu->apic_id);
		return;
	}
	if (pcpu->had_other_mtrrs)
		log_debug("CPU %u (APIC ID %u): MTRRs set as the boot CPU's", number,
			  pcpu->apic_id);
	if (!agree_on_tsc(pcpu, number)) {
		set_state(pcpu, PCPU_LEFT_OUT);
		return;
	}
	pcpu->id = cores.count;
	cores.up[cores.count] = pcpu;
	__atomic_store_n(&cores.count, cores.count + 1, __ATOMIC_RELEASE);
	set_state(pcpu, PCPU_ACCEPTED);
}

/* For tests: a core that was given up starts after all. */
static void start_late(unsigned number)
{
	const struct pcpu *pcpu = smp_slots[number].pcpu;

	lapic_send_startup(pcpu->apic_id, cores.config.trampoline);
	wait(INIT_WAIT_HZ);
	log_info("CPU %u (APIC ID %u) started late: it %s", number, pcpu->apic_id,
		 pcpu->self ? "has run in Socle" : "has kept out");
}

static void nothing(void)
{
}

static void start_listed(struct frames *frames, const struct madt_cpus *cpus, unsigned count)
{
	unsigned awaited = 0;

	memcpy((void *)cores.config.trampoline, trampoline_start,
	       (uint64_t)trampoline_end - (uint64_t)trampoline_start);
	smp_root = paging_root();
	cores.efer = rdmsr(MSR_EFER);
	memory_types_save();
	for (unsigned i = 1; i < count; i++)
		awaited += await(frames, i, cpus->apic_id[i]);
	if (awaited)
		start_all(count);
	for (unsigned i = 1; i < count; i++)
		take_in(i);
	if (cores.config.late && smp_slots[cores.config.dead].pcpu)
		start_late(cores.config.dead);
}

unsigned smp_start(struct frames *frames, const struct smp_config *config)
{
	struct madt_cpus cpus = {.count = 1};
	unsigned count;
	size_t size;
	const void *madt = acpi_madt(&size);

	cores.config = *config;
	traps_set_irq(VECTOR_KICK, nothing);
	traps_set_irq(VECTOR_CALL, smp_serve_calls);
	if (madt)
		madt_read_cpus(madt, size, boot_pcpu.apic_id, &cpus);
	count = config->limit ? MIN(config->limit, cpus.count) : cpus.count;
	if (count > 1 && config->trampoline == TRAMPOLINE_NONE) {
		log_error("no free page below 1M to start other CPUs in: one core is used");
		count = 1;
	}
	if (count > 1)
		start_listed(frames, &cpus, count);
	if (cpus.count > 1)
		log_info("CPUs: %u of %u are used%s", cores.count, cpus.count,
			 count < cpus.count ? " (boot option cores=)" : "");
	if (cpus.offline || cpus.unusable)
		log_debug("ACPI: %u CPUs can be added later, %u are unusable", cpus.offline,
			  cpus.unusable);
	return cores.count;
}

void smp_run_others(void (*entry)(struct pcpu *self))
{
	__atomic_store_n(&cores.entry, entry, __ATOMIC_RELEASE);
	for (unsigned id = 1; id < cores.count; id++)
		smp_kick(id);
}

/* Between cores */

void smp_kick(unsigned id)
{
	lapic_send_irq(cores.up[id]->apic_id, VECTOR_KICK);
}

/* Oldest first. A request is its caller's again, and gone, as soon as it is done. */
void smp_serve_calls(void)
{
	struct pcpu *self = pcpu_self();
	struct smp_request *newest, *oldest = NULL;

	if (!__atomic_load_n(&self->calls, __ATOMIC_RELAXED))
		return;
	newest = __atomic_exchange_n(&self->calls, NULL, __ATOMIC_ACQUIRE);
	while (newest) {
		struct smp_request *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct smp_request *next = oldest->next;

		oldest->fn(oldest->arg);
		__atomic_store_n(&oldest->done, true, __ATOMIC_RELEASE);
		oldest = next;
	}
}

/* Whoever finds the list empty sends the interrupt, for all who come until it is served. */
static void post(struct pcpu *to, struct smp_request *request)
{
	struct smp_request *first = __atomic_load_n(&to->calls, __ATOMIC_RELAXED);

	do
		request->next = first;
	while (!__atomic_compare_exchange_n(&to->calls, &first, request, false, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED));
	if (!first)
		lapic_send_irq(to->apic_id, VECTOR_CALL);
}

/* Others may wait for this core meanwhile: two that call each other serve each other. */
static void wait_until_done(const struct smp_request *request)
{
	while (!__atomic_load_n(&request->done, __ATOMIC_ACQUIRE)) {
		smp_serve_calls();
		cpu_pause();
	}
}

void smp_call(unsigned id, void (*fn)(void *arg), void *arg)
{
	struct smp_request request = {.fn = fn, .arg = arg};

	if (cores.up[id] == pcpu_self()) {
		fn(arg);
		return;
	}
	post(cores.up[id], &request);
	wait_until_done(&request);
}

void smp_call_all(void (*fn)(void *arg), void *arg)
{
	struct smp_request request[PCPU_MAX];
	unsigned self = pcpu_self()->id;

	for (unsigned id = 0; id < cores.count; id++) {
		request[id] = (struct smp_request){.fn = fn, .arg = arg};
		if (id != self)
			post(cores.up[id], &request[id]);
	}
	fn(arg);
	for (unsigned id = 0; id < cores.count; id++)
		if (id != self)
			wait_until_done(&request[id]);
}

/* NMIs */

static void send_nmi(struct pcpu *to, uint32_t want)
{
	__atomic_fetch_or(&to->nmi_wants, want, __ATOMIC_RELEASE);
	__atomic_fetch_add(&to->nmis_sent, 1, __ATOMIC_RELEASE);
	lapic_send_nmi(to->apic_id);
}

/* An NMI that ended a guest's turn runs its handler by INT 2, in the exit handler: CD 02. */
static bool is_from_guest(const struct trap_frame *frame)
{
	const uint8_t *before = (const uint8_t *)frame->rip - 2;

	return before[0] == 0xcd && before[1] == VECTOR_NMI;
}

void smp_nmi(const struct trap_frame *frame)
{
	struct pcpu *self = pcpu_self();
	uint32_t wants = __atomic_exchange_n(&self->nmi_wants, 0, __ATOMIC_ACQUIRE);

	self->nmis++;
	if (wants & NMI_STOP) {
		/* A machine check comes to all: it may have lost the race to say so. */
		machine_check_note();
		__atomic_store_n(&self->stopped, true, __ATOMIC_RELEASE);
		cpu_halt_forever();
	}
	if (wants & NMI_WHERE) {
		self->where.rip = frame->rip;
		self->where.in_guest = is_from_guest(frame);
		backtrace_take(&self->where.trace, self,
			       (struct backtrace_at){frame->rip, frame->rsp, frame->rbp});
		__atomic_store_n(&self->where.done, true, __ATOMIC_RELEASE);
	}
}

void smp_report_nmis(void)
{
	struct pcpu *self = pcpu_self();

	if (self->nmi_told || self->nmis <= __atomic_load_n(&self->nmis_sent, __ATOMIC_ACQUIRE))
		return;
	self->nmi_told = true;
	log_error("CPU %u: an NMI that no core sent: the board's (port 61H reads 0x%x; bit 7 is a "
		  "PCI error); Socle goes on",
		  self->id, inb(PORT_NMI_STATUS));
}

static bool is_stopped(const struct pcpu *pcpu)
{
	return __atomic_load_n(&pcpu->stopped, __ATOMIC_ACQUIRE);
}

void smp_stop_others(void)
{
	const struct pcpu *self = pcpu_self();
	unsigned count = pcpu_count();
	uint64_t start = rdtsc();

	if (count == 1)
		return;
	for (unsigned id = 0; id < count; id++)
		if (cores.up[id] != self && !is_stopped(cores.up[id]))
			send_nmi(cores.up[id], NMI_STOP);
	for (unsigned id = 0; id < count; id++)
		while (cores.up[id] != self && !is_stopped(cores.up[id]) &&
		       within(start, STOP_WAIT_HZ))
			;
}

static void report_stuck(struct pcpu *pcpu)
{
	uint64_t start = rdtsc();

	__atomic_store_n(&pcpu->where.done, false, __ATOMIC_RELAXED);
	send_nmi(pcpu, NMI_WHERE);
	while (!__atomic_load_n(&pcpu->where.done, __ATOMIC_ACQUIRE)) {
		if (within(start, ANSWER_WAIT_HZ))
			continue;
		log_error("CPU %u makes no progress for %u s, and does not answer an NMI", pcpu->id,
			  WATCHDOG_SECONDS);
		return;
	}
	log_error("CPU %u makes no progress for %u s: it is %s", pcpu->id, WATCHDOG_SECONDS,
		  pcpu->where.in_guest ? "in a guest, which does not exit" : "in Socle");
	backtrace_print_address("  at", pcpu->where.rip);
	backtrace_print(&pcpu->where.trace);
}

void smp_watchdog(uint64_t now)
{
	struct pcpu *self = pcpu_self(), *next;

	if (cores.count == 1)
		return;
	next = cores.up[(self->id + 1) % cores.count];
	if (next->idle || next->heartbeat != self->watch.heartbeat || !self->watch.since) {
		self->watch.heartbeat = next->heartbeat;
		self->watch.since = now;
		self->watch.reported = false;
	} else if (!self->watch.reported &&
		   now - self->watch.since >= WATCHDOG_SECONDS * cores.config.hz) {
		self->watch.reported = true;
		report_stuck(next);
	}
}
