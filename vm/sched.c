/* SPDX-License-Identifier: MIT */
/*
 * Which vCPU runs on which core, and how long: the whole policy of scheduling.
 *
 * What keeps it fair where plain fair queueing is not:
 * - Who slept starts level with its competitors, less a slice: it goes first, but has saved
 *   nothing. Each core keeps a clock for this, the virtual time that its picks have reached.
 * - Who can never use up its share (weight for more cores than it has vCPUs, pins) falls behind
 *   the others without end. So the one that is picked is never left further behind the next
 *   group than that group's own few slices.
 * - Who waits very long, for whatever reason of weights, is picked all the same, for a short
 *   slice. The limit grows with the number that waits, so this costs a twentieth at most.
 * - Who has to move to another core goes after who has not, between near-equals.
 *
 * Virtual times wrap: they are compared by the sign of their difference.
 */
#include "vm/sched.h"

#include "lib/bits.h"
#include "lib/string.h"

/* sched_pick is compiled for speed, and would have a copy of these at each place. */
#define OUT_OF_LINE __attribute__((noinline))

/* A group of the default weight gains one unit of virtual time in 64 ticks: the least weight
 * then needs months on all cores to get half the range ahead of one that sleeps. */
#define INVERSE_SHIFT 26
#define INVERSE_ONE   (UINT64_C(1) << (INVERSE_SHIFT - 6))
/* Keeps run * inverse within 64 bits. */
#define RUN_MAX (UINT64_C(1) << 36)
/* Of a budget far in debt or a VM long asleep; bounds the product with the quota. */
#define REFILLS_MAX 100000
#define NEVER	    UINT64_MAX

static bool is_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* Of two cores' TSCs: not negative. */
static uint64_t elapsed(uint64_t since, uint64_t now)
{
	return now > since ? now - since : 0;
}

static uint64_t to_vtime(const struct sched_group *g, uint64_t ticks)
{
	return MIN(ticks, RUN_MAX) * g->inverse >> INVERSE_SHIFT;
}

void sched_init(struct sched *s, unsigned cores, uint64_t hz)
{
	memset(s, 0, sizeof(*s));
	s->cores = MIN(cores, SCHED_CORES_MAX);
	s->slice = hz / 200;
	s->slice_alone = hz / 100;
	s->slice_short = hz / 1000;
	s->run_min = hz / 20000;
	s->near = s->slice / 2;
	s->period = hz / 50;
	s->starving = hz / 10;
	s->forget = hz * 3600;
}

void sched_group_init(struct sched *s, struct sched_group *g, unsigned weight, unsigned cap)
{
	memset(g, 0, sizeof(*g));
	weight = MAX(1, MIN(weight, SCHED_WEIGHT_MAX));
	g->inverse = INVERSE_ONE * SCHED_WEIGHT_DEFAULT / weight;
	g->slice = to_vtime(g, s->slice);
	g->near = to_vtime(g, s->near);
	g->slept = NEVER;
	g->quota = (int64_t)(s->period * MIN(cap, 100 * SCHED_CORES_MAX) / 100);
	g->budget = g->quota;
}

/* ---- The list ---- */

static OUT_OF_LINE void list_append(struct sched *s, struct sched_entity *e)
{
	e->next = NULL;
	e->prev = s->last;
	if (s->last)
		s->last->next = e;
	else
		s->first = e;
	s->last = e;
	s->ready++;
	e->state = SCHED_READY;
	e->core = SCHED_CORE_NONE;
}

static OUT_OF_LINE void list_remove(struct sched *s, struct sched_entity *e)
{
	if (e->prev)
		e->prev->next = e->next;
	else
		s->first = e->next;
	if (e->next)
		e->next->prev = e->prev;
	else
		s->last = e->prev;
	s->ready--;
}

/* ---- Accounts ---- */

/* Lays the time since the last account to the present state. */
static uint64_t account(struct sched_entity *e, uint64_t now)
{
	uint64_t ticks = elapsed(e->since, now);

	switch (e->state) {
	case SCHED_BLOCKED: e->times.blocked += ticks; break;
	case SCHED_READY:
	case SCHED_HANDED: e->times.ready += ticks; break;
	case SCHED_RUNNING:
	case SCHED_LEAVING: e->times.run += ticks; break;
	case SCHED_OUT: break;
	}
	e->since += ticks;
	return ticks;
}

/* A current one pays for its time. */
static inline void pay(struct sched_core *c, struct sched_entity *e, uint64_t ticks)
{
	struct sched_group *g = e->group;
	uint64_t product = MIN(ticks, RUN_MAX) * g->inverse + g->carry;

	c->busy += ticks;
	e->vtime += ticks;
	g->vtime += product >> INVERSE_SHIFT;
	g->carry = product & (BIT(INVERSE_SHIFT) - 1);
	if (g->quota)
		g->budget -= (int64_t)ticks;
}

/* Account, and pay if it is current. */
static OUT_OF_LINE void charge(struct sched *s, struct sched_entity *e, uint64_t now)
{
	uint64_t ticks = account(e, now);

	if (e->state == SCHED_RUNNING || e->state == SCHED_LEAVING)
		pay(&s->core[e->core], e, ticks);
}

static OUT_OF_LINE void refill(struct sched *s, struct sched_group *g, uint64_t now)
{
	uint64_t periods = (now - g->refill) / s->period + 1;

	g->refill += periods * s->period;
	g->budget += (int64_t)MIN(periods, REFILLS_MAX) * g->quota;
	g->budget = MIN(g->budget, g->quota);
}

/* Whether its cap lets the group run. */
static bool is_open(struct sched *s, struct sched_group *g, uint64_t now)
{
	if (!g->quota)
		return true;
	if (now >= g->refill)
		refill(s, g, now);
	return g->budget > 0;
}

/* ---- Coming and going of the runnable ---- */

/* The greatest clock of the cores it may use: who enters there takes nothing from those that it
 * meets, and limit_lead keeps them from taking much from it. */
static uint64_t clock_of(const struct sched *s, uint64_t cores)
{
	uint64_t clock = s->core[__builtin_ctzll(cores)].clock;

	for (uint64_t mask = cores; mask; mask &= mask - 1) {
		uint64_t other = s->core[__builtin_ctzll(mask)].clock;

		if (is_before(clock, other))
			clock = other;
	}
	return clock;
}

static void group_enter(struct sched *s, struct sched_group *g, uint64_t cores, uint64_t now)
{
	uint64_t clock;

	if (g->runnable++ || !cores)
		return;
	clock = clock_of(s, cores);
	if (g->slept == NEVER)
		g->vtime = clock;
	else if (is_before(g->vtime, clock - g->slice) || elapsed(g->slept, now) > s->forget)
		g->vtime = clock - g->slice;
}

static void group_leave(struct sched_group *g, uint64_t now)
{
	if (!--g->runnable)
		g->slept = now;
}

static void entity_enter(struct sched *s, struct sched_entity *e, uint64_t now)
{
	uint64_t floor = e->group->entity_clock - s->slice;

	group_enter(s, e->group, e->cores, now);
	if (is_before(e->vtime, floor))
		e->vtime = floor;
}

void sched_add(struct sched *s, struct sched_entity *e, struct sched_group *g, uint64_t cores,
	       uint64_t now)
{
	memset(e, 0, sizeof(*e));
	e->group = g;
	e->cores = (cores ? cores : ~UINT64_C(0)) & (~UINT64_C(0) >> (64 - s->cores));
	e->usable = e->cores;
	e->state = SCHED_BLOCKED;
	e->core = e->last = SCHED_CORE_NONE;
	e->vtime = g->entity_clock;
	e->since = now;
	g->entities++;
}

static void leave(struct sched *s, struct sched_entity *e)
{
	if (e->last != SCHED_CORE_NONE && s->core[e->last].loaded == e)
		s->core[e->last].loaded = NULL;
	e->state = SCHED_OUT;
	e->core = SCHED_CORE_NONE;
	e->group->entities--;
}

bool sched_remove(struct sched *s, struct sched_entity *e, uint64_t now)
{
	enum sched_state state = e->state;

	if (state == SCHED_OUT)
		return true;
	if (state == SCHED_LEAVING)
		return false;
	charge(s, e, now);
	if (state != SCHED_BLOCKED)
		group_leave(e->group, now);
	if (state == SCHED_READY) {
		list_remove(s, e);
	} else if (state == SCHED_HANDED) {
		s->core[e->core].next = NULL;
		s->idle |= BIT(e->core);
	} else if (e->core != SCHED_CORE_NONE) {
		e->state = SCHED_LEAVING;
		s->told |= BIT(e->core);
		return false;
	}
	leave(s, e);
	return true;
}

/* ---- Order ---- */

/* What counts for who is first, on this core: less is earlier. */
static uint64_t plain_rank(const struct sched_entity *e, unsigned core, uint64_t vtime,
			   uint64_t near)
{
	return e->last == (int)core ? vtime - near : vtime;
}

/* A boosted one may come from any core, and be two slices ahead of its siblings. */
static uint64_t rank(const struct sched_entity *e, unsigned core, uint64_t vtime, uint64_t near,
		     uint64_t slice)
{
	return e->boosted ? vtime - near - slice : plain_rank(e, core, vtime, near);
}

/* Where a slice would take the group: of those that are level the one of most weight goes first,
 * and a boosted one may be ahead by a slice of the other's. */
static uint64_t group_rank(const struct sched_entity *e, unsigned core)
{
	const struct sched_group *g = e->group;

	return rank(e, core, g->vtime + g->slice, g->near, g->slice);
}

static uint64_t entity_rank(const struct sched *s, const struct sched_entity *e, unsigned core)
{
	return rank(e, core, e->vtime, s->near, 2 * s->slice);
}

/* What a walk over the list has found for a core. */
struct choice {
	struct sched_entity *best;
	uint64_t rank;			  /* of best's group */
	const struct sched_group *second; /* the next after best's group; NULL: none */
	uint64_t refill;		  /* when the first closed group opens */
	bool starving;			  /* best is not best, but waits too long */
};

static void consider(const struct sched *s, struct choice *choice, struct sched_entity *e,
		     unsigned core)
{
	struct sched_group *g = e->group;
	uint64_t rank = group_rank(e, core);
	struct sched_entity *best = choice->best;

	if (!best || (best->group != g && is_before(rank, choice->rank))) {
		if (best)
			choice->second = best->group;
		choice->best = e;
		choice->rank = rank;
	} else if (best->group == g) {
		if (is_before(entity_rank(s, e, core), entity_rank(s, best, core))) {
			choice->best = e;
			choice->rank = rank;
		}
	} else if (!choice->second || is_before(g->vtime, choice->second->vtime)) {
		choice->second = g;
	}
}

/* The first in the list that may run here is the one that waits longest. */
static struct choice walk(struct sched *s, unsigned core, uint64_t now,
			  const struct sched_entity *spinning)
{
	struct choice choice = {.refill = NEVER};
	uint64_t starving = MAX(s->starving, 4 * s->slice * s->ready);

	for (struct sched_entity *e = s->first; e; e = e->next) {
		if (!(e->cores & BIT(core)))
			continue;
		if (!is_open(s, e->group, now)) {
			choice.refill = MIN(choice.refill, e->group->refill);
			continue;
		}
		if (!(e->usable & BIT(core)) || e == spinning)
			continue;
		if (!choice.best && elapsed(e->since, now) > starving) {
			choice.best = e;
			choice.starving = true;
			return choice;
		}
		consider(s, &choice, e, core);
	}
	return choice;
}

/* The core's clock goes on to where the group that it runs begins, by its rank. */
static void reach(struct sched_core *c, const struct sched_group *g, uint64_t rank)
{
	rank -= g->slice;
	if (is_before(c->clock, rank))
		c->clock = rank;
}

static void limit_lead(struct sched_group *g, const struct sched_group *second)
{
	uint64_t floor = second->vtime - second->slice * (second->entities + 3) - g->slice;

	if (is_before(g->vtime, floor))
		g->vtime = floor;
}

/* ---- Where to ---- */

static void hand(struct sched *s, struct sched_entity *e, unsigned core)
{
	e->state = SCHED_HANDED;
	e->core = (int)core;
	s->core[core].next = e;
	s->idle &= ~BIT(core);
}

/* How far a ready e goes before the current one of this core, in vtime; 0: it does not. */
static uint64_t lead_over(const struct sched *s, const struct sched_entity *e, unsigned core,
			  uint64_t now)
{
	const struct sched_entity *current = s->core[core].current;
	uint64_t ticks, mine, other;

	if (!current || current->state != SCHED_RUNNING)
		return 0;
	ticks = elapsed(current->since, now);
	if (current->group == e->group) {
		/* Who sends the interrupt shall not be stopped by it. */
		if (e->boosted)
			return 0;
		mine = entity_rank(s, e, core) + s->near / 4;
		other = entity_rank(s, current, core) + ticks;
		return is_before(mine, other) ? to_vtime(e->group, other - mine) : 0;
	}
	mine = group_rank(e, core) + e->group->near / 4;
	other = group_rank(current, core) + to_vtime(current->group, ticks);
	return is_before(mine, other) ? other - mine : 0;
}

/* The core whose current one shall make room for e; e's last one if that will do. */
static int find_victim(struct sched *s, const struct sched_entity *e, uint64_t now)
{
	uint64_t best = 0;
	int victim = SCHED_CORE_NONE;

	for (uint64_t mask = e->usable & ~s->told; mask; mask &= mask - 1) {
		unsigned core = (unsigned)__builtin_ctzll(mask);
		uint64_t lead = lead_over(s, e, core, now);

		if (lead > best || (lead && e->last == (int)core)) {
			best = e->last == (int)core ? UINT64_MAX : lead;
			victim = (int)core;
		}
	}
	if (victim != SCHED_CORE_NONE)
		s->told |= BIT(victim);
	return victim;
}

/* Finds a place for a runnable one that has none. An idle core that gets nothing of a closed
 * group is told nevertheless: it has to learn when the group opens. */
static int place(struct sched *s, struct sched_entity *e, uint64_t now)
{
	uint64_t idle = e->usable & s->idle;
	unsigned core = 0;

	if (idle)
		core = e->last != SCHED_CORE_NONE && idle & BIT(e->last)
			       ? (unsigned)e->last
			       : (unsigned)__builtin_ctzll(idle);
	if (idle && is_open(s, e->group, now)) {
		hand(s, e, core);
		return (int)core;
	}
	list_append(s, e);
	return idle ? (int)core : find_victim(s, e, now);
}

/* Its state is still loaded on an idle core that is about to run another one: change them. */
static int displace(struct sched *s, struct sched_entity *e, uint64_t now)
{
	struct sched_entity *other = s->core[e->last].next;

	hand(s, e, (unsigned)e->last);
	return place(s, other, now);
}

int sched_wake(struct sched *s, struct sched_entity *e, uint64_t now)
{
	const struct sched_core *last;

	if (e->state != SCHED_BLOCKED)
		return SCHED_CORE_NONE;
	account(e, now);
	entity_enter(s, e, now);
	if (e->core != SCHED_CORE_NONE) {
		e->state = SCHED_RUNNING;
		return SCHED_CORE_NONE;
	}
	e->state = SCHED_READY;
	last = e->last != SCHED_CORE_NONE ? &s->core[e->last] : NULL;
	if (last && last->loaded == e && last->next && is_open(s, e->group, now))
		return displace(s, e, now);
	return place(s, e, now);
}

int sched_boost(struct sched *s, struct sched_entity *e, uint64_t now)
{
	if (e->state != SCHED_READY || e->boosted)
		return SCHED_CORE_NONE;
	e->boosted = true;
	return is_open(s, e->group, now) ? find_victim(s, e, now) : SCHED_CORE_NONE;
}

int sched_push(struct sched *s, uint64_t now)
{
	if (!s->idle || !s->first)
		return SCHED_CORE_NONE;
	for (struct sched_entity *e = s->first; e; e = e->next) {
		if (!(e->usable & s->idle) || !is_open(s, e->group, now))
			continue;
		list_remove(s, e);
		return place(s, e, now);
	}
	return SCHED_CORE_NONE;
}

/* ---- A core ---- */

void sched_block(struct sched *s, struct sched_entity *e, uint64_t now)
{
	if (e->state != SCHED_RUNNING)
		return;
	charge(s, e, now);
	e->state = SCHED_BLOCKED;
	group_leave(e->group, now);
}

bool sched_linger(struct sched *s, unsigned core)
{
	struct sched_core *c = &s->core[core];

	if (s->ready || c->next || !c->current || c->current->state != SCHED_BLOCKED ||
	    c->current->group->quota)
		return false;
	c->yield = false;
	s->told &= ~BIT(core);
	s->idle |= BIT(core);
	return true;
}

bool sched_go_on(struct sched *s, unsigned core, uint64_t now, uint64_t *until)
{
	struct sched_core *c = &s->core[core];
	struct sched_entity *e = c->current;

	if (s->ready || c->next)
		return false;
	account(e, now);
	entity_enter(s, e, now);
	e->state = SCHED_RUNNING;
	s->idle &= ~BIT(core);
	reach(c, e->group, group_rank(e, core));
	*until = now + s->slice_alone;
	return true;
}

void sched_step_back(struct sched *s, unsigned core, uint64_t now)
{
	(void)now;
	s->core[core].yield = true;
}

/* What was loaded here while the core was idle may go elsewhere now. */
static void release_loaded(struct sched_core *c)
{
	if (c->loaded)
		c->loaded->usable = c->loaded->cores;
	c->loaded = NULL;
}

/* Ends the current one's turn; returns it if it would run on. */
static struct sched_entity *put_back(struct sched *s, unsigned core, uint64_t now)
{
	struct sched_core *c = &s->core[core];
	struct sched_entity *e = c->current;

	if (!e)
		return NULL;
	charge(s, e, now);
	c->current = NULL;
	e->core = SCHED_CORE_NONE;
	e->group->running--;
	if (e->state == SCHED_LEAVING) {
		leave(s, e);
		return NULL;
	}
	/* Until the core picks another one. */
	c->loaded = e;
	e->usable = BIT(core);
	if (e->state != SCHED_RUNNING)
		return NULL;
	list_append(s, e);
	return e;
}

static void run(struct sched *s, struct sched_entity *e, unsigned core, uint64_t now)
{
	struct sched_core *c = &s->core[core];

	account(e, now);
	e->state = SCHED_RUNNING;
	e->core = e->last = (int)core;
	e->boosted = false;
	e->group->running++;
	if (is_before(e->group->entity_clock, e->vtime - s->near))
		e->group->entity_clock = e->vtime - s->near;
	release_loaded(c);
	c->current = e;
	s->idle &= ~BIT(core);
}

/* The end of the turn that begins now. */
static uint64_t turn_end(const struct sched *s, const struct sched_group *g,
			 const struct choice *choice, uint64_t now)
{
	uint64_t ticks = s->ready ? s->slice : s->slice_alone;

	if (choice->starving)
		ticks = s->slice_short;
	if (g->quota) {
		uint64_t budget = (uint64_t)MAX(g->budget, 0);

		if (g->running > 1)
			budget /= g->running;
		ticks = MIN(ticks, MAX(budget, s->run_min));
	}
	return MIN(now + ticks, MAX(choice->refill, now + s->run_min));
}

/* What the core was handed while idle; NULL: nothing, or its VM has no budget any more. */
static struct sched_entity *take_handed(struct sched *s, unsigned core, uint64_t now)
{
	struct sched_core *c = &s->core[core];
	struct sched_entity *e = c->next;

	if (!e)
		return NULL;
	c->next = NULL;
	if (is_open(s, e->group, now))
		return e;
	list_append(s, e);
	return NULL;
}

/* Whether a turn ends as most do: one other waits, and there is nothing special about either. */
static bool is_duel(const struct sched *s, const struct sched_core *c, unsigned core)
{
	const struct sched_entity *mine = c->current, *other = s->first;

	return mine && s->ready == 1 && mine->state == SCHED_RUNNING && !c->next && !c->yield &&
	       !(mine->boosted | other->boosted) && !(mine->group->quota | other->group->quota) &&
	       (other->usable & BIT(core));
}

/* Of one that is not boosted. */
static uint64_t duel_rank(const struct sched_entity *e, unsigned core)
{
	const struct sched_group *g = e->group;

	return plain_rank(e, core, g->vtime + g->slice, g->near);
}

/* The one that waits takes the core, and the current one its place in the list. */
static void swap(struct sched *s, struct sched_core *c, unsigned core, uint64_t waited)
{
	struct sched_entity *mine = c->current, *other = s->first;

	other->times.ready += waited;
	other->since += waited;
	other->state = SCHED_RUNNING;
	other->core = other->last = (int)core;
	mine->next = mine->prev = NULL;
	mine->state = SCHED_READY;
	mine->core = SCHED_CORE_NONE;
	mine->group->running--;
	other->group->running++;
	s->first = s->last = mine;
	c->current = other;
}

/*
 * The commonest choice, made short: the same as all of sched_pick does, where is_duel. NULL: who
 * waits does so for so long that it is a case for a walk.
 */
static struct sched_entity *duel(struct sched *s, struct sched_core *c, unsigned core, uint64_t now,
				 uint64_t *until)
{
	struct sched_entity *mine = c->current, *other = s->first, *winner = mine;
	uint64_t ran = elapsed(mine->since, now), waited = elapsed(other->since, now);
	bool siblings = mine->group == other->group, stays;
	uint64_t rank, other_rank;

	if (waited > s->starving)
		return NULL;
	mine->times.run += ran;
	mine->since += ran;
	pay(c, mine, ran);
	rank = duel_rank(mine, core);
	other_rank = duel_rank(other, core);
	if (siblings)
		stays = is_before(entity_rank(s, mine, core), entity_rank(s, other, core));
	else
		stays = is_before(rank, other_rank);
	if (!stays) {
		winner = other;
		rank = other_rank;
		swap(s, c, core, waited);
	}
	if (is_before(winner->group->entity_clock, winner->vtime - s->near))
		winner->group->entity_clock = winner->vtime - s->near;
	if (!siblings)
		limit_lead(winner->group, s->first->group);
	reach(c, winner->group, rank);
	*until = now + s->slice;
	return winner;
}

struct sched_entity *sched_pick(struct sched *s, unsigned core, uint64_t now, uint64_t *until)
{
	struct sched_core *c = &s->core[core];
	struct choice choice = {.refill = NEVER};
	struct sched_entity *back, *e;

	s->told &= ~BIT(core);
	e = is_duel(s, c, core) ? duel(s, c, core, now, until) : NULL;
	if (e)
		return e;
	back = put_back(s, core, now);
	e = take_handed(s, core, now);
	if (e) {
		choice.rank = group_rank(e, core);
	} else {
		choice = walk(s, core, now, c->yield ? back : NULL);
		e = choice.best;
		if (!e && c->yield && back && is_open(s, back->group, now)) {
			e = back;
			choice.rank = group_rank(e, core);
		}
		if (e)
			list_remove(s, e);
	}
	c->yield = false;
	if (!e) {
		s->idle |= BIT(core);
		*until = choice.refill;
		return NULL;
	}
	if (choice.second)
		limit_lead(e->group, choice.second);
	if (!choice.starving)
		reach(c, e->group, choice.rank);
	run(s, e, core, now);
	*until = turn_end(s, e->group, &choice, now);
	return e;
}

/* ---- Queries ---- */

bool sched_is_out(const struct sched_entity *e)
{
	return e->state == SCHED_OUT;
}

void sched_times_get(const struct sched_entity *e, uint64_t now, struct sched_times *out)
{
	struct sched_entity copy = *e;

	account(&copy, now);
	*out = copy.times;
}

struct sched_entity *sched_core_current(const struct sched *s, unsigned core)
{
	struct sched_entity *e = s->core[core].current;

	return e && e->state != SCHED_BLOCKED ? e : NULL;
}

uint64_t sched_core_busy(const struct sched *s, unsigned core, uint64_t now)
{
	const struct sched_entity *e = s->core[core].current;
	bool runs = e && (e->state == SCHED_RUNNING || e->state == SCHED_LEAVING);

	return s->core[core].busy + (runs ? elapsed(e->since, now) : 0);
}
