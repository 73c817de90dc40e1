/* SPDX-License-Identifier: MIT */
/*
 * Does to its machine whatever a seed says: `seed=N acts=N`, `from=N` begins with a later act,
 * `only=FAMILY` leaves out all others, `verbose` names each act before it is done. The number of
 * failed checks is the status; that the VM dies of an act is no failure.
 *
 * CPU 1 acts, and CPU 0 starts it again when it does not come back (watch.c). Before an act that
 * may not end an NMI is ordered (mend_deadline).
 */
#include "guests/chaos64/chaos.h"

#include "guests/chaos64/end.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/mend.h"
#include "guests/chaos64/pages.h"
#include "guests/chaos64/watch.h"
#include "guests/lib/clock.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/words.h"

#define FAMILIES    (sizeof(families) / sizeof(families[0]))
#define SAID_MOST   20
#define MEND_PERIOD 64
#define VECTOR_NMI  2
/* Random code may reach devices in so many acts of 1000: more often in every fourth seed. */
#define WILD_SEEDS 4
#define WILD_MOST  250
#define WILD_ACTS  1

static const struct family families[] = {
	{"ports", 20, act_ports},   {"strings", 6, act_strings},  {"mmio", 20, act_mmio},
	{"msr", 20, act_msr},	    {"control", 10, act_control}, {"tables", 5, act_tables},
	{"nested", 6, act_nested},  {"tasks", 4, act_tasks},	  {"absent", 8, act_absent},
	{"lapic", 8, act_lapic},    {"ioapic", 3, act_ioapic},	  {"twin", 16, act_twin},
	{"code64", 10, act_code64}, {"compat", 6, act_compat},	  {"legacy", 6, act_legacy},
	{"real", 3, act_real},	    {"halt", 1, act_halt},
};

volatile uint64_t chaos_beat;
volatile bool chaos_done;
volatile unsigned chaos_failures;
static uint32_t seed, acts, weights;
static volatile uint32_t act;
static bool verbose, named[FAMILIES];
static const struct family *volatile family;

bool chaos_expect(uint64_t got, uint64_t want, const char *what, uint64_t detail)
{
	/* The other CPU took this one for stuck, as it had no core for long; or an NMI came that
	 * an earlier act has made. */
	if (machine_landing.vector == END_RESTARTED || machine_landing.vector == VECTOR_NMI)
		return false;
	if (got == want)
		return true;
	if (chaos_failures++ < SAID_MOST)
		guest_print("not ok - seed %u act %u %s: %s: got 0x%llx, want 0x%llx (0x%llx)\n",
			    seed, act, family->name, what, (unsigned long long)got,
			    (unsigned long long)want, (unsigned long long)detail);
	return false;
}

void chaos_note(const char *what, uint64_t one, uint64_t other)
{
	if (chaos_failures <= SAID_MOST)
		guest_print("# %s: 0x%llx, 0x%llx\n", what, (unsigned long long)one,
			    (unsigned long long)other);
}

static const struct family *choose(struct prng *p)
{
	unsigned at = prng_below(p, weights);

	for (unsigned i = 0; i < FAMILIES; i++) {
		unsigned weight = named[i] ? families[i].weight : 0;

		if (at < weight)
			return &families[i];
		at -= weight;
	}
	return &families[0];
}

/* An act that brought the actor here by a start-up IPI is over. */
_Noreturn void chaos_life(void)
{
	bool wild;

	mend_lapic();
	mend_board();
	if (family)
		guest_print("# act %u %s was lost: vector %u, error code %x, RIP %llx, CR2 %llx\n",
			    act, family->name, (unsigned)machine_landing.vector,
			    (unsigned)machine_landing.error,
			    (unsigned long long)machine_landing.rip,
			    (unsigned long long)machine_landing.cr2);
	while (act < acts) {
		struct prng p = prng_for(seed, act);

		act++;
		family = choose(&p);
		if (verbose)
			guest_print("# act %u %s\n", act, family->name);
		chaos_beat++;
		if (act % MEND_PERIOD == 0) {
			machine_mend();
			mend_lapic();
			mend_board();
		}
		mend_no_deadline();
		wild = prng_below(&p, 1000) < (seed % WILD_SEEDS ? WILD_ACTS : WILD_MOST);
		pages_wild(wild);
		pages_shuffle(&p);
		family->act(&p);
		if (machine_landing.vector == END_RESTARTED)
			guest_print("# act %u %s did not come back\n", act, family->name);
		mend_cpu((unsigned)machine_landing.vector);
	}
	chaos_done = true;
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void take_words(uintptr_t info)
{
	static const char only[] = "only=";
	bool any = false;

	seed = words_number(info, "seed", 1);
	acts = words_number(info, "acts", 1000);
	act = words_number(info, "from", 0);
	verbose = words_have(info, "verbose");
	for (unsigned i = 0; i < FAMILIES; i++) {
		char word[32];
		unsigned n = 0;

		for (const char *c = only; *c;)
			word[n++] = *c++;
		for (const char *c = families[i].name; *c;)
			word[n++] = *c++;
		word[n] = 0;
		named[i] = words_have(info, word);
		any |= named[i];
	}
	for (unsigned i = 0; i < FAMILIES; i++) {
		named[i] |= !any;
		weights += named[i] ? families[i].weight : 0;
	}
}

unsigned main(uintptr_t info)
{
	unsigned starts;

	take_words(info);
	guest_print("# seed %u, acts %u to %u\n", seed, act + 1, acts);
	pages_init();
	machine_init();
	starts = watch();
	guest_print("# seed %u: %u acts, started again %u times, %u checks failed\n", seed, act,
		    starts, chaos_failures);
	end_by_seed(seed);
	return chaos_failures < 255 ? chaos_failures : 255;
}
