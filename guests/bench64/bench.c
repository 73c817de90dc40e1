/* SPDX-License-Identifier: MIT */
/*
 * What things cost that a guest does: on the bare machine, under Socle, under KVM.
 *
 * A line for each case: `bench NAME TICKS mean M min A max B rounds N checked`, or `bench NAME
 * skipped: why`. TICKS is the median: an interrupt of the host's, which some of the rounds meet, is
 * no case's cost. `rounds=N` on the command line is the usual number of rounds, ROUNDS_MAX at most;
 * names of families limit the bench to these.
 */
#include "guests/bench64/bench.h"

#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/paging.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define ROUNDS		1000u
#define ROUNDS_MAX	1000u
#define WARM_UP		3
#define CPUID_GUEST	(1u << 31)
#define LEAF_HYPERVISOR 0x40000000u
#define ENTRY_ADDRESS	0xffffffffff000u

enum bench_host bench_host;

static const struct bench_family *const families[] = {
	&bench_instructions, &bench_msrs,   &bench_registers, &bench_ports,  &bench_mmio,
	&bench_xapic,	     &bench_x2apic, &bench_timers,    &bench_memory, &bench_user,
};
#define FAMILIES (sizeof(families) / sizeof(families[0]))

static const struct {
	const char *name;
	uint32_t ebx, ecx, edx; /* of leaf 40000000H */
} hosts[] = {
	[HOST_BARE] = {"the bare machine", 0, 0, 0},
	[HOST_SOCLE] = {"Socle", 0x6c636f53, 0x636f5365, 0x656c},
	[HOST_KVM] = {"KVM", 0x4b4d564b, 0x564b4d56, 0x4d},
	[HOST_OTHER] = {"another hypervisor", 0, 0, 0},
};

static enum bench_host find_host(void)
{
	struct cpuid r = cpuid(LEAF_HYPERVISOR, 0);

	if (!(cpuid(1, 0).ecx & CPUID_GUEST))
		return HOST_BARE;
	for (unsigned i = HOST_SOCLE; i < HOST_OTHER; i++)
		if (r.ebx == hosts[i].ebx && r.ecx == hosts[i].ecx && r.edx == hosts[i].edx)
			return i;
	return HOST_OTHER;
}

uint64_t *bench_entry(uintptr_t address)
{
	uint64_t *table = (uint64_t *)read_cr3();

	for (unsigned shift = 39; shift > 12; shift -= 9)
		table = (uint64_t *)(table[address >> shift & 511] & ENTRY_ADDRESS);
	return &table[address >> 12 & 511];
}

struct result {
	int64_t ticks[ROUNDS_MAX];
	unsigned rounds, wrong;
};

static unsigned rounds_of(const struct bench_case *c, unsigned usual)
{
	unsigned rounds = c->exactly ? c->exactly : usual / (c->part ? c->part : 1);

	if (!rounds)
		return 1;
	return rounds < ROUNDS_MAX ? rounds : ROUNDS_MAX;
}

static void run_case(const struct bench_case *c, unsigned rounds, struct result *r)
{
	int64_t ticks;

	r->rounds = r->wrong = 0;
	/* What happens once only, a first touch of memory above all, is no case's cost. */
	for (unsigned i = 0; i < (c->exactly ? 0 : WARM_UP); i++)
		r->wrong += !c->run(&ticks);
	while (r->rounds < rounds) {
		r->wrong += !c->run(&ticks);
		r->ticks[r->rounds++] = ticks;
	}
}

static void sort(int64_t *ticks, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		int64_t value = ticks[i];
		unsigned at = i;

		for (; at && ticks[at - 1] > value; at--)
			ticks[at] = ticks[at - 1];
		ticks[at] = value;
	}
}

static int64_t mean(const struct result *r)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < r->rounds; i++)
		sum += r->ticks[i];
	return sum / r->rounds;
}

static void print_result(const char *name, struct result *r)
{
	sort(r->ticks, r->rounds);
	guest_print("bench %s %d mean %d min %d max %d rounds %u checked\n", name,
		    (int)r->ticks[r->rounds / 2], (int)mean(r), (int)r->ticks[0],
		    (int)r->ticks[r->rounds - 1], r->rounds);
}

static void measure(const struct bench_case *c, unsigned usual)
{
	const char *why = c->prepare ? c->prepare() : 0;
	static struct result r;

	if (why) {
		guest_print("bench %s skipped: %s\n", c->name, why);
		return;
	}
	run_case(c, rounds_of(c, usual), &r);
	if (c->end)
		c->end();
	if (r.wrong)
		guest_print("# %u of the rounds had a wrong answer\n", r.wrong);
	if (guest_check(!r.wrong, c->name))
		print_result(c->name, &r);
}

unsigned main(uintptr_t info)
{
	unsigned rounds = words_number(info, "rounds", ROUNDS), wanted = 0;

	trap_init();
	pic_start(PIC_8086);
	paging_start(PAGING_64);
	bench_host = find_host();
	guest_print("bench: on %s\n", hosts[bench_host].name);
	for (unsigned i = 0; i < FAMILIES; i++)
		wanted += words_have(info, families[i]->name);
	for (unsigned i = 0; i < FAMILIES; i++) {
		if (wanted && !words_have(info, families[i]->name))
			continue;
		for (unsigned n = 0; n < families[i]->count; n++)
			measure(&families[i]->cases[n], rounds);
	}
	return guest_failures();
}
