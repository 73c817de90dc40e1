/* SPDX-License-Identifier: MIT */
/*
 * Interprocessor interrupts by all destinations, shorthands and delivery modes. SDM volume 3,
 * "Issuing Interprocessor Interrupts", "Determining IPI Destination", "Lowest Priority Delivery".
 */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"
#include "guests/smp64/smp64.h"

#define VECTOR_NMI    2
#define DFR_FLAT      0xFFFFFFFFu
#define DFR_CLUSTER   0x0FFFFFFFu
#define CLUSTER_SIZE  4u
#define FLAT_CPUS     8u
#define TURNS	      2u
#define ALL_IN_XAPIC  0xFFu
#define ALL_IN_X2APIC 0xFFFFFFFFu

static volatile unsigned nmis[SMP_MAX], halted, woken;

static uint32_t all_cpus(void)
{
	return (1u << smp_cpus) - 1;
}

/* One IPI of VECTOR_COUNT; which CPUs get it. */
static uint32_t sent(uint32_t low, uint32_t destination)
{
	forget();
	apic_ipi(low | VECTOR_COUNT, destination);
	return who_got();
}

static void on_nmi(struct trap_frame *frame)
{
	(void)frame;
	smp_add(&nmis[smp_id()], 1);
}

static uint32_t who_got_nmi(void)
{
	uint32_t who = 0;

	smp_settle();
	for (unsigned cpu = 0; cpu < smp_cpus; cpu++) {
		who |= nmis[cpu] == 1 ? 1u << cpu : nmis[cpu] ? 1u << 31 : 0;
		nmis[cpu] = 0;
	}
	return who;
}

static void test_physical(void)
{
	unsigned right = 0;

	for (unsigned cpu = 0; cpu < smp_cpus; cpu++)
		right += sent(0, cpu) == 1u << cpu;
	guest_check_equal(right, smp_cpus, "an IPI to each CPU's ID comes to it alone");
	guest_check_equal(sent(0, smp_cpus), 0, "one to an ID that is not there comes to none");
	guest_check_equal(sent(0, apic_x2 ? ALL_IN_X2APIC : ALL_IN_XAPIC), all_cpus(),
			  "a broadcast to all");
	guest_check_equal(sent(APIC_SELF, 1), 1, "'self' to the sender");
	guest_check_equal(sent(APIC_ALL, 1), all_cpus(), "'all'");
	guest_check_equal(sent(APIC_OTHERS, 0), all_cpus() & ~1u, "'all but self'");
}

static void send_from_there(void *argument)
{
	apic_ipi(*(const uint32_t *)argument | VECTOR_COUNT, 0);
}

/* The same from another CPU. */
static void test_from_other(void)
{
	uint32_t low = 0;

	forget();
	smp_call(1, send_from_there, &low);
	smp_wait(1);
	guest_check_equal(who_got(), 1, "another CPU's IPI comes to this one");
	low = APIC_OTHERS;
	forget();
	smp_call(1, send_from_there, &low);
	smp_wait(1);
	guest_check_equal(who_got(), all_cpus() & ~2u, "its 'all but self' leaves it out");
}

static void halt_once(void *argument)
{
	(void)argument;
	smp_add(&halted, 1);
	__asm__ volatile("cli\n\thlt" : : : "memory");
	smp_add(&woken, 1);
}

static void test_nmi(void)
{
	unsigned last = smp_cpus - 1;

	trap_set_handler(VECTOR_NMI, on_nmi);
	apic_ipi(APIC_NMI, last);
	guest_check_equal(who_got_nmi(), 1u << last, "an NMI comes to one CPU");
	apic_ipi(APIC_NMI | APIC_OTHERS, 0);
	guest_check_equal(who_got_nmi(), all_cpus() & ~1u, "to all others");
	halted = woken = 0;
	smp_call(last, halt_once, 0);
	smp_until(&halted, 1);
	clock_wait(1000);
	apic_ipi(VECTOR_COUNT, last);
	clock_wait(1000);
	guest_check_equal(woken, 0, "HLT with interrupts off goes on through an IPI");
	apic_ipi(APIC_NMI, last);
	guest_check(smp_until(&woken, 1), "and ends by an NMI");
	smp_wait(last);
	guest_check_equal(who_got_nmi(), 1u << last, "which came once");
}

/* What there is none of here, and what must not do harm. */
static void test_odd(void)
{
	apic_ipi(APIC_SMI, 1);
	apic_ipi(APIC_SMI | APIC_OTHERS, 0);
	guest_check_equal(sent(0, 1), 2, "an SMI does nothing to a CPU");
	apic_ipi(APIC_LOWEST | APIC_STARTUP | VECTOR_COUNT, 1);
	guest_check_equal(sent(0, 1), 2, "nor a reserved delivery mode");
	forget();
	apic_write(APIC_ESR, 0);
	apic_ipi(5, 1);
	apic_write(APIC_ESR, 0);
	guest_check_equal(apic_read(APIC_ESR), 0x20, "a vector below 16 is an error at the sender");
}

void test_ipis(void)
{
	test_physical();
	test_from_other();
	test_nmi();
	test_odd();
}

/* --- Logical destinations --- */

static uint32_t dfr;

/* Flat: a bit each, as far as they go. Cluster: four CPUs in each. */
static void set_logical(void *argument)
{
	unsigned id = smp_id();

	(void)argument;
	apic_write(APIC_DFR, dfr);
	if (dfr == DFR_FLAT)
		apic_write(APIC_LDR, 1u << (24 + id % FLAT_CPUS));
	else
		apic_write(APIC_LDR, (id / CLUSTER_SIZE << 4 | 1u << id % CLUSTER_SIZE) << 24);
}

static void set_tpr(void *argument)
{
	const uint8_t *tpr = argument;

	apic_write(APIC_TPR, tpr[smp_id()]);
}

/* Lowest priority to all of `destination`, with one CPU below the others each time. */
static unsigned count_lowest_right(uint32_t destination)
{
	uint8_t tpr[SMP_MAX];
	unsigned right = 0;

	for (unsigned lowest = 0; lowest < smp_cpus; lowest++) {
		for (unsigned cpu = 0; cpu < smp_cpus; cpu++)
			tpr[cpu] = cpu == lowest ? 0x10 : 0x50;
		smp_all(set_tpr, tpr);
		/* Twice: it is not its turn both times. */
		right += sent(APIC_LOWEST | APIC_LOGICAL, destination) == 1u << lowest &&
			 sent(APIC_LOWEST | APIC_LOGICAL, destination) == 1u << lowest;
	}
	return right;
}

/* Among equals each has its turn. */
static unsigned count_turns(uint32_t destination)
{
	static uint8_t tpr[SMP_MAX];
	unsigned right = 0;

	smp_all(set_tpr, tpr);
	forget();
	for (unsigned i = 0; i < TURNS * smp_cpus; i++) {
		apic_ipi(APIC_LOWEST | APIC_LOGICAL | VECTOR_COUNT, destination);
		smp_settle();
		irq_window();
	}
	for (unsigned cpu = 0; cpu < smp_cpus; cpu++)
		right += got[cpu] == TURNS;
	return right;
}

static void test_flat(void)
{
	dfr = DFR_FLAT;
	smp_all(set_logical, 0);
	guest_check_equal(sent(APIC_LOGICAL, 2), 2, "flat: one CPU");
	guest_check_equal(sent(APIC_LOGICAL, 3), 3, "flat: two");
	guest_check_equal(sent(APIC_LOGICAL, ALL_IN_XAPIC), all_cpus(), "flat: all");
	guest_check_equal(sent(APIC_LOGICAL, 0), 0, "flat: none");
	guest_check_equal(count_lowest_right(ALL_IN_XAPIC), smp_cpus,
			  "lowest priority goes to the CPU of the lowest");
	guest_check_equal(count_lowest_right(all_cpus()), smp_cpus, "by a set too");
	guest_check_equal(count_turns(ALL_IN_XAPIC), smp_cpus, "equals take turns");
}

static void test_cluster(void)
{
	unsigned right = 0;

	dfr = DFR_CLUSTER;
	smp_all(set_logical, 0);
	for (unsigned cpu = 0; cpu < smp_cpus; cpu++)
		right += sent(APIC_LOGICAL, cpu / CLUSTER_SIZE << 4 | 1u << cpu % CLUSTER_SIZE) ==
			 1u << cpu;
	guest_check_equal(right, smp_cpus, "cluster: each CPU");
	guest_check_equal(sent(APIC_LOGICAL, 0x0F), all_cpus() & 0xF, "cluster: all of the first");
	guest_check_equal(sent(APIC_LOGICAL, 0x1F), all_cpus() & 0xF0, "cluster: of the second");
	guest_check_equal(sent(APIC_LOGICAL, ALL_IN_XAPIC), all_cpus(), "cluster: of all");
}

void test_xapic_logical(void)
{
	if (smp_cpus > FLAT_CPUS)
		return;
	test_flat();
	test_cluster();
	dfr = DFR_FLAT;
	smp_all(set_logical, 0);
}

static void enter_x2apic(void *argument)
{
	(void)argument;
	msr_write(APIC_BASE_MSR, msr_read(APIC_BASE_MSR) | APIC_BASE_X2);
	apic_write(APIC_SVR, APIC_SVR_ON | 0xFF);
}

static void count_logical_right(void *right)
{
	unsigned id = smp_id();

	smp_add(right,
		apic_read(APIC_ID) == id && apic_read(APIC_LDR) == (id / 16 << 16 | 1u << id % 16));
}

/* The others change while they run what this one has sent them in the old mode. */
void test_x2apic(void)
{
	unsigned right = 0;

	for (unsigned cpu = 1; cpu < smp_cpus; cpu++)
		smp_call(cpu, enter_x2apic, 0);
	for (unsigned cpu = 1; cpu < smp_cpus; cpu++)
		smp_wait(cpu);
	enter_x2apic(0);
	apic_x2 = true;
	guest_print("# x2APIC mode\n");
	smp_all(count_logical_right, &right);
	guest_check_equal(right, smp_cpus, "IDs and logical IDs are right on each");
	test_ipis();
	guest_check_equal(sent(APIC_LOGICAL, 2), 2, "logical: one CPU");
	guest_check_equal(sent(APIC_LOGICAL, all_cpus()), all_cpus(), "logical: all");
	guest_check_equal(sent(APIC_LOGICAL, 1u << 16 | 1), 0, "logical: a cluster of nobody");
	guest_check_equal(sent(APIC_LOGICAL, ALL_IN_X2APIC), all_cpus(), "logical broadcast");
	guest_check_equal(count_lowest_right(all_cpus()), smp_cpus,
			  "lowest priority goes to the CPU of the lowest");
	guest_check_equal(count_turns(all_cpus()), smp_cpus, "equals take turns");
}
