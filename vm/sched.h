/* SPDX-License-Identifier: MIT */
/*
 * Which vCPU runs on which core, and how long: the whole policy of scheduling.
 *
 * Two levels of fair queueing over one list of what is ready. A group (a VM) has a virtual time
 * that advances by the ticks that its vCPUs ran, divided by its weight; the group goes first that
 * would be least far after one more slice, and in it the vCPU that ran least. No core idles while
 * a vCPU that may use it is ready and within its cap.
 *
 * Nothing here locks, allocates, prints or reads a clock: the caller holds one lock around each
 * call, and `now` is the TSC of the core that calls, in ticks. Small disagreements between the
 * cores' TSCs do no harm: no span of time is ever taken as negative.
 *
 * A core takes part from its first sched_pick on. A core that is "to be told" has to call
 * sched_pick soon: by an IPI, or, where it is the calling core, before it goes on with its vCPU.
 */
#ifndef VM_SCHED_H
#define VM_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#define SCHED_CORES_MAX	     64
#define SCHED_CORE_NONE	     (-1) /* no core to be told */
#define SCHED_WEIGHT_MAX     10000
#define SCHED_WEIGHT_DEFAULT 100

/* A VM: its vCPUs share its weight and its cap. Belongs to the caller, who may drop it when all
 * of its entities are out. */
struct sched_group {
	uint64_t vtime;	       /* ticks / weight, in a unit of the policy's own; it may wrap */
	uint64_t carry;	       /* what vtime lacks for being whole */
	uint64_t inverse;      /* vtime for a tick, as a fixed-point number */
	uint64_t slice;	       /* vtime of one slice */
	uint64_t near;	       /* vtime by which two of them count as equal */
	uint64_t entity_clock; /* the vtime that the picks of its entities have reached, ticks */
	uint64_t slept;	       /* when its last runnable entity blocked */
	unsigned entities;     /* that are not out */
	unsigned runnable;     /* of them: ready or running */
	unsigned running;      /* of them: on a core */

	/* The cap: `quota` ticks in each period, 0: none. Ran too long: the budget is negative. */
	int64_t quota;
	int64_t budget;
	uint64_t refill; /* when the next period begins */
};

enum sched_state {
	SCHED_OUT,     /* unknown to the scheduler */
	SCHED_BLOCKED, /* waits for sched_wake; core is set while it is that core's current yet */
	SCHED_READY,   /* in the ready list; also one whose VM has used up its cap */
	SCHED_HANDED,  /* given to an idle core, which has not picked yet: `next` there */
	SCHED_RUNNING, /* `current` of a core */
	SCHED_LEAVING, /* removed while it was `current` of a core: that core's pick drops it */
};

/* Ticks in each state since sched_add; they sum up to the time since then. */
struct sched_times {
	uint64_t run;
	uint64_t ready; /* could run, but did not: other vCPUs, or its cap */
	uint64_t blocked;
};

/* A vCPU. Belongs to the caller; only read it outside of sched.c. */
struct sched_entity {
	struct sched_entity *prev, *next; /* in the ready list */
	struct sched_group *group;
	uint64_t cores;	 /* mask of those it may use */
	uint64_t usable; /* the same, or the one idle core on which its state is still loaded */
	enum sched_state state;
	int core;	/* whose current or next it is, or SCHED_CORE_NONE */
	int last;	/* the core it ran on last, or SCHED_CORE_NONE */
	uint64_t vtime; /* its own run time for its group's choice, ticks */
	uint64_t since; /* when `state` began, or was last accounted for */
	bool boosted;
	struct sched_times times; /* up to `since` */
};

struct sched_core {
	struct sched_entity *current; /* NULL: idle */
	struct sched_entity *next;    /* handed to it while idle */
	struct sched_entity *loaded;  /* idle: what it ran last, its state perhaps still here */
	uint64_t clock;		      /* virtual time of the groups on this core: it only grows */
	uint64_t busy;		      /* ticks with a current one, up to that one's `since` */
	bool yield;		      /* the current one lets the others go first */
};

struct sched {
	struct sched_core core[SCHED_CORES_MAX];
	unsigned cores;
	unsigned ready;			   /* how many are in the list */
	struct sched_entity *first, *last; /* the list: who waits longest comes first */
	uint64_t idle; /* mask: cores where nothing runs and nothing is handed */
	uint64_t told; /* mask: busy cores that shall pick and have not yet */

	/* Ticks, all from hz: see sched_init. */
	uint64_t slice, slice_alone, slice_short, run_min, near, period, starving, forget;
};

/* cores: 1..SCHED_CORES_MAX. hz: ticks of a second, at least 100,000. */
void sched_init(struct sched *s, unsigned cores, uint64_t hz);

/*
 * weight: 1..SCHED_WEIGHT_MAX; what is outside becomes the nearest. cap: percent of one core for
 * all of the group's entities together, 0: none; more than 100 makes sense for several vCPUs.
 */
void sched_group_init(struct sched *s, struct sched_group *g, unsigned weight, unsigned cap);

/*
 * e: all of it is set here. It enters blocked. cores: mask of cores it may use, 0: all. Cores
 * that the scheduler does not have do not count; if none is left, it never runs.
 */
void sched_add(struct sched *s, struct sched_entity *e, struct sched_group *g, uint64_t cores,
	       uint64_t now);

/*
 * true: it is out, and the caller may drop it (its state may still be loaded on the core
 * e->last). false: it is current on the core e->core, which is to be told; after that core's
 * next sched_pick sched_is_out(e) is true.
 */
bool sched_remove(struct sched *s, struct sched_entity *e, uint64_t now);

/*
 * There is something for e to do. Returns the core to be told, or SCHED_CORE_NONE. If e is still
 * current where it blocked, it goes on running there. No effect unless e is blocked.
 */
int sched_wake(struct sched *s, struct sched_entity *e, uint64_t now);

/* By the core on which e runs, when e waits for an event. sched_pick follows on that core. */
void sched_block(struct sched *s, struct sched_entity *e, uint64_t now);

/*
 * Instead of sched_pick after sched_block, when there is nothing else to run: the core idles with
 * the blocked one as its current, so that this one goes on by sched_go_on, without a choice.
 * False: somebody waits, or its VM has a cap; sched_pick must follow.
 */
bool sched_linger(struct sched *s, unsigned core);

/*
 * There is something to do for the one that lingers. True: it runs until *until, as after
 * sched_pick. False: others came meanwhile; sched_pick must follow, and sched_wake for this one.
 */
bool sched_go_on(struct sched *s, unsigned core, uint64_t now, uint64_t *until);

/*
 * Puts the core's current one back and picks what it runs next; NULL: nothing, the core idles.
 * *until: the TSC at which this core must pick again at the latest (end of the slice; idle: when
 * a VM gets a new budget), UINT64_MAX: not by itself. Any number of further calls does no harm.
 *
 * A vCPU whose core idles after it is picked by no other core before that core picked another:
 * so an idle core may leave its state loaded.
 */
struct sched_entity *sched_pick(struct sched *s, unsigned core, uint64_t now, uint64_t *until);

/*
 * To be called after sched_pick, again until it returns SCHED_CORE_NONE: gives what that pick
 * left in the list to an idle core, and returns this core, which is to be told. Without idle
 * cores or without ready vCPUs it costs a comparison.
 */
int sched_push(struct sched *s, uint64_t now);

/* The current one spins (PAUSE loop): at the next sched_pick, which follows, it goes behind all
 * that is ready. (sched_yield is a name of POSIX, and taken where the tests run.) */
void sched_step_back(struct sched *s, unsigned core, uint64_t now);

/*
 * e was sent an interrupt, or its timer is due: when ready, it goes before the others as long as
 * its VM is no more than a slice of theirs ahead of its share; so a flood of these gains nothing. A
 * vCPU of the same VM is not stopped for it: the sender might be that one, and can
 * sched_step_back. Returns the core to be told. No effect in other states.
 */
int sched_boost(struct sched *s, struct sched_entity *e, uint64_t now);

bool sched_is_out(const struct sched_entity *e);

/* The times up to now, the present state's included. */
void sched_times_get(const struct sched_entity *e, uint64_t now, struct sched_times *out);

/* What runs there; NULL: the core idles. */
struct sched_entity *sched_core_current(const struct sched *s, unsigned core);

/* Ticks for which the core had a current one, up to now. */
uint64_t sched_core_busy(const struct sched *s, unsigned core, uint64_t now);

#endif
