/* SPDX-License-Identifier: MIT */
/* The scheduler in a simulated machine: cores that are told late, and vCPUs with a behaviour. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/sched.h"

#define HZ     UINT64_C(100000000)
#define MS     (HZ / 1000)
#define US     (HZ / 1000000)
#define NEVER  UINT64_MAX
#define IPI    (2 * US) /* from the telling to the pick */
#define TASKS  320
#define GROUPS 64

/* ---- The machine ---- */

struct task {
	struct sched_entity e;
	void (*act)(struct task *task); /* after `left` ticks of running */
	uint64_t left, work, pause;
	uint64_t wake_at; /* NEVER: by others only */
	struct task *partner;
	uint64_t ran, added;
	uint64_t woken, latency, latency_max, turns; /* from wake to run */
};

static struct sched s;
static struct sched_group group[GROUPS];
static struct task task[TASKS];
static unsigned tasks;
static uint64_t now;
static bool checked;   /* the invariants, at each step */
static bool lingering; /* who blocks keeps its core while nobody else wants it */

static struct core {
	uint64_t until, told;
	struct task *current;
	struct task *loaded;
	struct task *lingers; /* blocked, and current of its core */
	bool news;	      /* for that one */
	bool up;
} core[SCHED_CORES_MAX];

static struct task *task_of(struct sched_entity *e)
{
	return (struct task *)((char *)e - offsetof(struct task, e));
}

static bool is_idle(unsigned i)
{
	const struct sched_entity *current = s.core[i].current;

	return core[i].up && (!current || current->state == SCHED_BLOCKED) && !s.core[i].next;
}

static void check_entity(const struct task *t)
{
	const struct sched_entity *e = &t->e;
	unsigned places = 0;
	struct sched_times times;

	for (const struct sched_entity *other = s.first; other; other = other->next) {
		places += other == e;
		assert_true(!other->next || other->next->prev == other);
	}
	assert_int_equal(places, e->state == SCHED_READY);
	for (unsigned i = 0; i < s.cores; i++) {
		bool here = s.core[i].current == e || s.core[i].next == e;

		assert_false(s.core[i].current && s.core[i].next && !core[i].lingers);
		assert_int_equal(s.core[i].current == e,
				 e->core == (int)i && e->state != SCHED_HANDED);
		assert_int_equal(s.core[i].next == e,
				 e->core == (int)i && e->state == SCHED_HANDED);
		assert_true(!here || e->cores & BIT(i));
		/* No core idles while somebody could use it. */
		if (e->state == SCHED_READY && e->cores & BIT(i) && !e->group->quota)
			assert_false(is_idle(i));
	}
	if (e->state == SCHED_READY || e->state == SCHED_OUT)
		assert_int_equal(e->core, SCHED_CORE_NONE);
	if (e->state == SCHED_OUT)
		return;
	sched_times_get(e, now, &times);
	assert_int_equal(times.run + times.ready + times.blocked, now - t->added);
}

static void check(void)
{
	unsigned ready = 0;

	if (!checked)
		return;
	for (const struct sched_entity *e = s.first; e; e = e->next)
		ready++;
	assert_int_equal(ready, s.ready);
	for (unsigned i = 0; i < s.cores; i++)
		assert_int_equal(s.idle >> i & 1, is_idle(i));
	for (unsigned i = 0; i < tasks; i++)
		if (task[i].e.group)
			check_entity(&task[i]);
	for (unsigned i = 0; i < GROUPS; i++) {
		unsigned entities = 0, runnable = 0, running = 0;

		for (unsigned n = 0; n < tasks; n++) {
			const struct sched_entity *e = &task[n].e;

			if (e->group != &group[i] || e->state == SCHED_OUT)
				continue;
			entities++;
			runnable += e->state == SCHED_READY || e->state == SCHED_HANDED ||
				    e->state == SCHED_RUNNING;
			running += e->core != SCHED_CORE_NONE && e->state != SCHED_HANDED;
		}
		assert_int_equal(group[i].entities, entities);
		assert_int_equal(group[i].runnable, runnable);
		assert_int_equal(group[i].running, running);
	}
}

static void tell(int which)
{
	if (which == SCHED_CORE_NONE)
		return;
	assert_in_range(which, 0, s.cores - 1);
	core[which].told = MIN(core[which].told, now + IPI);
}

/* Whether a core was told. */
static bool wake(struct task *t)
{
	int told;

	if (t->e.state == SCHED_BLOCKED && t->woken == NEVER)
		t->woken = now;
	for (unsigned i = 0; i < s.cores; i++)
		if (core[i].lingers == t) {
			core[i].news = true;
			tell((int)i);
			return true;
		}
	told = sched_wake(&s, &t->e, now);
	tell(told);
	return told != SCHED_CORE_NONE;
}

static void count_turn(struct task *t)
{
	if (t->woken == NEVER)
		return;
	t->turns++;
	t->latency += now - t->woken;
	t->latency_max = MAX(t->latency_max, now - t->woken);
	t->woken = NEVER;
}

/* Whether who lingers here goes on at once; if not, it is a blocked one as any other. */
static bool go_on(unsigned i)
{
	struct task *t = core[i].lingers;
	bool news = core[i].news;

	core[i].lingers = NULL;
	core[i].news = false;
	if (!t || !news)
		return false;
	if (!sched_go_on(&s, i, now, &core[i].until)) {
		wake(t);
		return false;
	}
	assert_ptr_equal(sched_core_current(&s, i), &t->e);
	assert_in_range(core[i].until, now + 1, now + HZ / 100);
	core[i].told = NEVER;
	core[i].current = t;
	count_turn(t);
	check();
	return true;
}

/* By the core itself: what it ran stays loaded until it runs another. */
static void pick(unsigned i)
{
	struct sched_entity *e;
	struct task *t;
	int other;

	if (go_on(i))
		return;
	core[i].told = NEVER;
	core[i].up = true;
	e = sched_pick(&s, i, now, &core[i].until);
	assert_true(core[i].until > now);
	assert_ptr_equal(sched_core_current(&s, i), e);
	core[i].current = t = e ? task_of(e) : NULL;
	if (t) {
		assert_true(core[i].until - now <= HZ / 100);
		assert_true(e->cores & BIT(i));
		for (unsigned n = 0; n < s.cores; n++)
			assert_false(n != i && core[n].loaded == t && !core[n].current);
		core[i].loaded = t;
		count_turn(t);
	}
	while ((other = sched_push(&s, now)) != SCHED_CORE_NONE)
		tell(other);
	check();
}

static void start(unsigned cores)
{
	memset(task, 0, sizeof(task));
	memset(group, 0, sizeof(group));
	memset(core, 0, sizeof(core));
	tasks = 0;
	now = 1000;
	checked = true;
	sched_init(&s, cores, HZ);
	for (unsigned i = 0; i < GROUPS; i++)
		sched_group_init(&s, &group[i], SCHED_WEIGHT_DEFAULT, 0);
	for (unsigned i = 0; i < cores; i++)
		pick(i);
}

static struct task *add(unsigned g, uint64_t cores)
{
	struct task *t = &task[tasks++];

	assert_true(tasks <= TASKS);
	t->left = t->wake_at = t->woken = NEVER;
	t->added = now;
	sched_add(&s, &t->e, &group[g], cores, now);
	return t;
}

static uint64_t next_event(void)
{
	uint64_t next = NEVER;

	for (unsigned i = 0; i < s.cores; i++) {
		next = MIN(next, MIN(core[i].until, core[i].told));
		if (core[i].current && core[i].current->left != NEVER)
			next = MIN(next, now + core[i].current->left);
	}
	for (unsigned i = 0; i < tasks; i++)
		next = MIN(next, task[i].wake_at);
	return MAX(next, now);
}

static void pass(uint64_t to)
{
	for (unsigned i = 0; i < s.cores; i++) {
		struct task *t = core[i].current;

		if (!t)
			continue;
		t->ran += to - now;
		if (t->left != NEVER)
			t->left -= to - now;
	}
	now = to;
}

static void simulate(uint64_t ticks)
{
	uint64_t end = now + ticks;

	while (next_event() < end) {
		pass(next_event());
		for (unsigned i = 0; i < tasks; i++)
			if (task[i].wake_at <= now) {
				task[i].wake_at = NEVER;
				wake(&task[i]);
			}
		for (unsigned i = 0; i < s.cores; i++) {
			struct task *t = core[i].current;

			if (t && !t->left)
				t->act(t);
			if (core[i].until <= now || core[i].told <= now)
				pick(i);
		}
	}
	pass(end);
}

/* ---- Behaviours ---- */

static struct task *add_spinner(unsigned g, uint64_t cores)
{
	struct task *t = add(g, cores);

	wake(t);
	return t;
}

static void block(struct task *t)
{
	int here = t->e.core;

	sched_block(&s, &t->e, now);
	if (!lingering || !sched_linger(&s, (unsigned)here)) {
		pick((unsigned)here);
		return;
	}
	assert_null(sched_core_current(&s, (unsigned)here));
	core[here].lingers = t;
	core[here].current = NULL;
	core[here].until = NEVER;
	check();
}

static void act_sleep(struct task *t)
{
	t->left = t->work;
	t->wake_at = now + t->pause;
	block(t);
}

static struct task *add_sleeper(unsigned g, uint64_t cores, uint64_t work, uint64_t pause)
{
	struct task *t = add(g, cores);

	t->act = act_sleep;
	t->left = t->work = work;
	t->pause = pause;
	t->wake_at = now + pause;
	return t;
}

static void act_yield(struct task *t)
{
	t->left = t->work;
	sched_step_back(&s, (unsigned)t->e.core, now);
	pick((unsigned)t->e.core);
}

static void act_boost(struct task *t)
{
	t->left = t->work;
	wake(t->partner);
	tell(sched_boost(&s, &t->partner->e, now));
}

/* Wakes the partner and waits for it to do the same. */
static void act_ping(struct task *t)
{
	t->left = t->work;
	wake(t->partner);
	tell(sched_boost(&s, &t->partner->e, now));
	block(t);
}

static void add_pair(unsigned g, uint64_t cores, void (*act)(struct task *), uint64_t work)
{
	struct task *a = add(g, cores), *b = add(g, cores);

	a->partner = b;
	b->partner = a;
	a->act = b->act = act;
	a->work = b->work = a->left = b->left = work;
	wake(a);
	if (act == act_boost)
		wake(b);
}

/* ---- Measures ---- */

static uint64_t group_ran(unsigned g)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < tasks; i++)
		if (task[i].e.group == &group[g])
			sum += task[i].ran;
	return sum;
}

static void expect_near(const char *what, uint64_t seen, double want, double percent)
{
	double off = ((double)seen - want) / want * 100;

	if (off > percent || off < -percent)
		fail_msg("%s: %llu ticks, want %.0f: %+.2f %%", what, (unsigned long long)seen,
			 want, off);
}

static void forget_shares(void)
{
	for (unsigned i = 0; i < tasks; i++) {
		task[i].ran = 0;
		task[i].latency = task[i].latency_max = task[i].turns = 0;
	}
}

/* ---- Shares ---- */

static void test_equal_vms(void **state)
{
	(void)state;
	start(2);
	for (unsigned i = 0; i < 8; i++)
		add_spinner(i, 0);
	simulate(20 * HZ);
	for (unsigned i = 0; i < 8; i++)
		expect_near("one of 8 VMs", group_ran(i), 5 * HZ, 1.5);
	for (unsigned i = 0; i < 2; i++)
		assert_true(sched_core_busy(&s, i, now) >= 20 * HZ - IPI);
}

static void test_equal_vcpus(void **state)
{
	(void)state;
	start(2);
	for (unsigned i = 0; i < 8; i++)
		add_spinner(0, 0);
	simulate(20 * HZ);
	for (unsigned i = 0; i < 8; i++)
		expect_near("one of 8 vCPUs", task[i].ran, 5 * HZ, 1.5);
}

/* The weight is the VM's: more vCPUs get no more. */
static void test_vms_of_unlike_size(void **state)
{
	(void)state;
	start(2);
	for (unsigned i = 0; i < 7; i++)
		add_spinner(0, 0);
	add_spinner(1, 0);
	add_spinner(2, 0);
	simulate(20 * HZ);
	for (unsigned i = 0; i < 3; i++)
		expect_near("VM", group_ran(i), 20 * HZ * 2 / 3.0, 3);
	for (unsigned i = 0; i < 7; i++)
		expect_near("its vCPU", task[i].ran, 20 * HZ * 2 / 21.0, 5);
}

static void spin_with_weights(unsigned cores, const unsigned *weights, unsigned count)
{
	unsigned sum = 0;

	start(cores);
	for (unsigned i = 0; i < count; i++) {
		sum += weights[i];
		sched_group_init(&s, &group[i], weights[i], 0);
		add_spinner(i, 0);
	}
	simulate(20 * HZ);
	for (unsigned i = 0; i < count; i++)
		expect_near("weight", group_ran(i), 20.0 * (double)HZ * cores * weights[i] / sum,
			    2.5);
}

static void test_weights(void **state)
{
	(void)state;
	spin_with_weights(1, (const unsigned[]){1, 2, 4}, 3);
	spin_with_weights(1, (const unsigned[]){100, 200, 400}, 3);
	spin_with_weights(1, (const unsigned[]){10000, 5000, 2500}, 3);
	spin_with_weights(1, (const unsigned[]){1, 12, 12}, 3);
	spin_with_weights(1, (const unsigned[]){1, 12}, 2);
	spin_with_weights(2, (const unsigned[]){1, 2, 4, 1, 2, 4}, 6);
	spin_with_weights(4, (const unsigned[]){100, 200, 400, 300, 300, 300}, 6);
}

/* More weight than one vCPU can use: it gets a core, the others share the rest fairly. */
static void test_infeasible_weight(void **state)
{
	(void)state;
	start(2);
	sched_group_init(&s, &group[0], 10000, 0);
	sched_group_init(&s, &group[2], 50, 0);
	for (unsigned i = 0; i < 3; i++)
		add_spinner(i, 0);
	simulate(20 * HZ);
	expect_near("heavy", group_ran(0), 20 * HZ, 2);
	expect_near("100", group_ran(1), 20 * HZ * 2 / 3.0, 5);
	expect_near("50", group_ran(2), 20 * HZ / 3.0, 5);

	/* What it could not use, it has not saved up. */
	forget_shares();
	sched_group_init(&s, &group[3], 10000, 0);
	add_spinner(3, 0);
	simulate(HZ);
	expect_near("heavy", group_ran(0), HZ, 15);
	expect_near("heavy newcomer", group_ran(3), HZ, 15);
	assert_true(group_ran(1) >= HZ / 200 && group_ran(2) >= HZ / 200);
}

/* A VM that had a core of its own for an hour's worth of share competes like any other. */
static void test_no_credit_of_infeasible(void **state)
{
	(void)state;
	start(3);
	add_spinner(0, 0);
	for (unsigned i = 0; i < 4; i++)
		add_spinner(1, 0);
	simulate(60 * HZ);
	expect_near("lone vCPU", group_ran(0), 60 * HZ, 2);
	for (unsigned g = 2; g < 6; g++)
		add_spinner(g, 0);
	forget_shares();
	simulate(5 * HZ);
	for (unsigned g = 0; g < 6; g++)
		expect_near("share of 6 VMs", group_ran(g), 5 * HZ * 3 / 6.0, 6);
}

static void test_newcomer(void **state)
{
	(void)state;
	start(1);
	add_spinner(0, 0);
	add_spinner(1, 0);
	simulate(60 * HZ);
	add_spinner(2, 0);
	forget_shares();
	simulate(HZ);
	for (unsigned g = 0; g < 3; g++)
		expect_near("with the newcomer", group_ran(g), HZ / 3.0, 5);
}

/* Sleep saves nothing: who wakes from a long one gets a share, not what it missed. */
static void sleep_long(unsigned g)
{
	struct task *t;

	start(1);
	add_spinner(0, 0);
	t = add_sleeper(g, 0, MS, 30 * HZ);
	simulate(31 * HZ);
	assert_int_equal(t->e.state, SCHED_BLOCKED);
	t->left = NEVER;
	while (t->e.state == SCHED_BLOCKED)
		simulate(MS);
	forget_shares();
	simulate(100 * MS);
	assert_true(task[0].ran > 40 * MS);
	assert_true(t->ran > 40 * MS);
}

/* Who naps meanwhile has its time counted, so a newcomer is level with it and not far behind. */
static void test_newcomer_to_napper(void **state)
{
	uint64_t before;

	(void)state;
	start(1);
	add_sleeper(0, 0, MS, 10 * US);
	simulate(10 * HZ);
	before = group_ran(0);
	add_spinner(1, 0);
	simulate(HZ);
	/* A nap of its own ends its turn, so it gets less than half. */
	assert_in_range((group_ran(0) - before) / (HZ / 1000), 100, 550);
}

static void test_no_credit_of_sleep(void **state)
{
	(void)state;
	sleep_long(1);
	sleep_long(0);
}

/* ---- Pins ---- */

static void test_pins(void **state)
{
	(void)state;
	start(3);
	sched_group_init(&s, &group[1], 300, 0);
	for (unsigned g = 0; g < 4; g++)
		add_spinner(g, BIT(0));
	add_spinner(4, BIT(1) | BIT(2));
	add_sleeper(5, BIT(1), MS, 7 * MS);
	add_spinner(6, BIT(2));
	simulate(20 * HZ);
	expect_near("pinned", group_ran(0), 20 * HZ / 6.0, 3);
	expect_near("pinned, 300", group_ran(1), 20 * HZ / 2.0, 3);
	expect_near("pinned", group_ran(2), 20 * HZ / 6.0, 3);
	assert_true(group_ran(4) > 17 * HZ);
	assert_true(sched_core_busy(&s, 0, now) > 20 * HZ - MS);
	assert_true(sched_core_busy(&s, 2, now) > 20 * HZ - MS);
}

/* Two parts of the machine whose virtual times run apart do not disturb each other's weights. */
static void test_parts(void **state)
{
	(void)state;
	start(2);
	sched_group_init(&s, &group[0], 1, 0);
	sched_group_init(&s, &group[1], 100, 0);
	sched_group_init(&s, &group[2], 400, 0);
	add_spinner(0, BIT(0));
	add_spinner(1, BIT(1));
	add_spinner(2, BIT(1));
	simulate(20 * HZ);
	expect_near("alone", group_ran(0), 20 * HZ, 1);
	expect_near("100", group_ran(1), 4 * HZ, 3);
	expect_near("400", group_ran(2), 16 * HZ, 3);

	/* One that may use both gets nearly all of the core with the light one. */
	forget_shares();
	add_spinner(3, 0);
	simulate(20 * HZ);
	assert_true(group_ran(3) > 19 * HZ);
	assert_true(group_ran(1) > 3 * HZ && group_ran(2) > 15 * HZ);
}

static void test_pin_to_no_core(void **state)
{
	struct task *t;

	(void)state;
	start(2);
	checked = false;
	t = add_spinner(0, BIT(5));
	add_spinner(1, 0);
	simulate(HZ);
	assert_int_equal(t->ran, 0);
	expect_near("the other", group_ran(1), HZ, 1);
	assert_true(sched_remove(&s, &t->e, now));
}

/* The one that has to give way to a pinned vCPU goes on at once on the idle core. */
static void test_pinned_makes_room(void **state)
{
	struct task *t;

	(void)state;
	start(2);
	t = add_spinner(0, 0);
	simulate(MS);
	add_sleeper(1, BIT(t->e.core), MS / 2, 10 * MS);
	simulate(HZ);
	expect_near("who gave way", t->ran, HZ + MS, 0.1);
}

/* ---- Caps ---- */

static void test_caps(void **state)
{
	static const unsigned caps[] = {1, 10, 25, 50, 99};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(caps); i++)
		for (unsigned others = 0; others < 2; others++) {
			start(1);
			sched_group_init(&s, &group[0], others ? SCHED_WEIGHT_MAX : 100, caps[i]);
			add_spinner(0, 0);
			if (others)
				add_spinner(1, 0);
			simulate(20 * HZ);
			assert_in_range(group_ran(0) / (20 * HZ / 1000), caps[i] * 10 - 5,
					caps[i] * 10 + 5);
			if (others)
				assert_true(group_ran(0) + group_ran(1) >= 20 * HZ - 10 * IPI);
		}
}

/* Naps change nothing about a cap, and an idle core learns when it opens. */
static void test_cap_of_napper(void **state)
{
	(void)state;
	start(1);
	sched_group_init(&s, &group[0], 100, 25);
	add_sleeper(0, 0, MS / 10, 10 * US);
	simulate(10 * HZ);
	assert_in_range(group_ran(0) / (10 * HZ / 1000), 245, 255);
	start(1);
	sched_group_init(&s, &group[0], 100, 50);
	add_spinner(0, 0);
	add_sleeper(1, 0, 2 * MS, 10 * US);
	simulate(10 * HZ);
	assert_true(group_ran(0) + group_ran(1) >= 10 * HZ / 100 * 98);
	assert_in_range(group_ran(0) / (10 * HZ / 1000), 450, 505);
}

static void test_cap_of_many(void **state)
{
	(void)state;
	start(4);
	sched_group_init(&s, &group[0], 100, 25);
	sched_group_init(&s, &group[1], 100, 150);
	for (unsigned i = 0; i < 8; i++) {
		add_spinner(0, 0);
		add_spinner(1, 0);
	}
	simulate(20 * HZ);
	assert_in_range(group_ran(0) / (20 * HZ / 1000), 240, 260);
	assert_in_range(group_ran(1) / (20 * HZ / 1000), 1490, 1510);
	for (unsigned i = 0; i < 16; i++)
		assert_true(task[i].ran > 20 * HZ / 100);
}

/* A capped one does not wait for its budget longer than a period takes. */
static void test_cap_period(void **state)
{
	struct task *t;

	(void)state;
	start(2);
	sched_group_init(&s, &group[0], 100, 40);
	t = add_sleeper(0, 0, 2 * MS, 3 * MS);
	for (unsigned g = 1; g < 4; g++)
		add_spinner(g, 0);
	simulate(20 * HZ);
	assert_true(t->latency_max < 20 * MS);
	assert_in_range(t->ran / (20 * HZ / 1000), 350, 400);
}

/* What a period did not use is gone with it. */
static void test_cap_saves_nothing(void **state)
{
	struct task *t;

	(void)state;
	start(1);
	sched_group_init(&s, &group[0], 100, 25);
	t = add_sleeper(0, 0, NEVER, HZ);
	simulate(HZ);
	simulate(200 * MS);
	assert_in_range(t->ran / MS, 40, 60);
}

static void test_cap_turns(void **state)
{
	struct task *t;
	uint64_t until;

	(void)state;
	start(2);
	checked = false;
	sched_group_init(&s, &group[0], 100, 10);
	t = add(0, BIT(0));
	add(1, BIT(0));
	sched_wake(&s, &t->e, now);
	/* Its budget is a tenth of 20 ms, and its turn no longer. */
	assert_ptr_equal(sched_pick(&s, 0, now, &until), &t->e);
	assert_int_equal(until - now, 2 * MS);
	now = until;
	sched_wake(&s, &task[1].e, now);
	/* The other one's turn ends when the budget is there again. */
	now = t->e.group->refill - MS;
	assert_ptr_equal(sched_pick(&s, 0, now, &until), &task[1].e);
	assert_int_equal(until, t->e.group->refill);
}

/* ---- Latency ---- */

static void test_wake_latency(void **state)
{
	(void)state;
	for (unsigned cores = 1; cores <= 4; cores++) {
		struct task *t;

		start(cores);
		for (unsigned g = 1; g <= 8; g++)
			add_spinner(g, 0);
		t = add_sleeper(0, 0, MS / 5, 4 * MS);
		simulate(HZ);
		forget_shares();
		simulate(20 * HZ);
		assert_true(t->turns > 4000);
		assert_true(t->latency_max < MS);
		assert_true(t->latency / t->turns < MS / 10);
	}
}

/* The same within one VM. */
static void test_wake_latency_of_sibling(void **state)
{
	struct task *t;

	(void)state;
	start(2);
	for (unsigned i = 0; i < 8; i++)
		add_spinner(0, 0);
	t = add_sleeper(0, 0, MS / 5, 4 * MS);
	simulate(HZ);
	forget_shares();
	simulate(20 * HZ);
	assert_true(t->turns > 4000);
	assert_true(t->latency_max < MS);
}

static void test_idle_core_first(void **state)
{
	struct task *spinner, *t;

	(void)state;
	start(3);
	spinner = add_spinner(0, 0);
	t = add_sleeper(1, 0, MS, MS);
	simulate(10 * HZ);
	assert_true(t->latency_max <= IPI);
	assert_true(spinner->ran >= 10 * HZ - IPI);
}

/* Near-equals stay on their cores; nothing goes round and round. */
static void test_affinity(void **state)
{
	unsigned moves = 0, picks = 0;
	int last[8];

	(void)state;
	start(2);
	for (unsigned i = 0; i < 8; i++)
		add_spinner(i, 0);
	simulate(HZ);
	for (unsigned i = 0; i < 8; i++)
		last[i] = task[i].e.last;
	for (unsigned n = 0; n < 2000; n++) {
		simulate(MS);
		for (unsigned i = 0; i < 8; i++) {
			picks += task[i].e.state == SCHED_RUNNING;
			moves += task[i].e.last != last[i];
			last[i] = task[i].e.last;
		}
	}
	assert_int_equal(picks, 4000);
	if (moves > 80)
		fail_msg("%u moves in 2 s", moves);
}

/* ---- Yields and boosts ---- */

static void test_yield(void **state)
{
	struct task *spinner, *yielder;

	(void)state;
	start(1);
	spinner = add_spinner(0, 0);
	yielder = add_spinner(1, 0);
	yielder->act = act_yield;
	yielder->left = yielder->work = 20 * US;
	simulate(HZ);
	assert_true(spinner->ran > 98 * HZ / 100);
	assert_true(yielder->ran > HZ / 1000);

	/* Alone it just goes on. */
	assert_false(sched_remove(&s, &spinner->e, now) && spinner->e.core >= 0);
	core[0].told = now;
	forget_shares();
	simulate(HZ);
	assert_true(yielder->ran > 99 * HZ / 100);
}

/* A lock holder that was preempted runs at once when a sibling spins for it. */
static void test_yield_to_sibling(void **state)
{
	struct task *waiter;

	(void)state;
	start(1);
	add_spinner(0, 0);
	waiter = add_spinner(0, 0);
	waiter->act = act_yield;
	waiter->left = waiter->work = 20 * US;
	simulate(HZ);
	assert_true(waiter->ran < HZ / 50);
	assert_true(task[0].ran > 97 * HZ / 100);
}

static void test_boost_flood(void **state)
{
	(void)state;
	for (unsigned cores = 1; cores <= 2; cores++) {
		start(cores);
		add_pair(0, 0, act_boost, 10 * US);
		add_spinner(1, 0);
		if (cores == 2)
			add_spinner(2, 0);
		simulate(20 * HZ);
		for (unsigned g = 0; g < cores + 1; g++)
			expect_near("beside a flood", group_ran(g),
				    20.0 * (double)HZ * cores / (cores + 1), 4);
		assert_true(task[0].ran > 2 * HZ && task[1].ran > 2 * HZ);
	}
}

/* An interrupt to a vCPU that is ready goes before the slice of another VM. */
static void test_boost(void **state)
{
	struct task *target;
	int told;

	(void)state;
	start(1);
	target = add_spinner(0, 0);
	add_spinner(0, 0);
	add_spinner(1, 0);
	for (unsigned n = 0, tried = 0; tried < 50; n++) {
		simulate(MS / 2);
		assert_true(n < 2000);
		if (target->e.state != SCHED_READY || core[0].current->e.group == &group[0] ||
		    now - core[0].current->e.since < MS)
			continue;
		told = sched_boost(&s, &target->e, now);
		assert_int_equal(told, 0);
		assert_int_equal(sched_boost(&s, &target->e, now), SCHED_CORE_NONE);
		tell(told);
		simulate(IPI + 1);
		assert_ptr_equal(core[0].current, target);
		/* Until the VM has paid for it. */
		simulate(50 * MS);
		tried++;
	}
}

/* Who sends an interrupt to its sibling may go on. */
static void test_boost_leaves_sender(void **state)
{
	struct task *target;

	(void)state;
	start(1);
	target = add_spinner(0, 0);
	add_spinner(0, 0);
	while (target->e.state != SCHED_READY || now - core[0].current->e.since < 4 * MS)
		simulate(MS / 2);
	assert_int_equal(sched_boost(&s, &target->e, now), SCHED_CORE_NONE);
	pick(0);
	assert_ptr_equal(core[0].current, target);
}

static void test_ping_pong(void **state)
{
	(void)state;
	for (unsigned cores = 1; cores <= 3; cores++) {
		start(cores);
		add_pair(0, 0, act_ping, 5 * US);
		for (unsigned g = 1; g <= 3; g++)
			add_spinner(g, 0);
		simulate(10 * HZ);
		/* One of the two works at a time: on one core it is a VM of four. */
		if (cores == 1)
			expect_near("ping-pong", group_ran(0), 10 * HZ / 4.0, 5);
		else
			assert_true(group_ran(0) > 3 * HZ);
		for (unsigned g = 1; g <= 3; g++)
			assert_true(group_ran(g) > 10 * HZ / 100 * 24 * cores);
	}
}

/* ---- Starvation ---- */

static void test_nobody_starves(void **state)
{
	uint64_t before[6];

	(void)state;
	start(1);
	sched_group_init(&s, &group[0], 1, 0);
	sched_group_init(&s, &group[1], 10000, 0);
	sched_group_init(&s, &group[2], 10000, 0);
	add_spinner(0, 0);
	add_spinner(1, 0);
	add_pair(2, 0, act_boost, 10 * US);
	add_sleeper(3, 0, 2 * MS, MS);
	add_sleeper(4, 0, 2 * MS, MS);
	simulate(HZ);
	for (unsigned n = 0; n < 20; n++) {
		for (unsigned i = 0; i < 6; i++)
			before[i] = task[i].ran;
		simulate(HZ / 2);
		for (unsigned i = 0; i < 6; i++)
			assert_true(task[i].ran > before[i]);
	}
	/* And that costs the heavy ones little. */
	assert_true(group_ran(1) + group_ran(2) > 9 * HZ);
}

/* VMs that start anew without end, each a newcomer, take no more than a share. */
static void test_restarts(void **state)
{
	struct task *spinner, *t;

	(void)state;
	start(1);
	spinner = add_spinner(0, 0);
	t = add_spinner(1, 0);
	for (unsigned n = 0; n < 2000; n++) {
		simulate(MS);
		if (!sched_remove(&s, &t->e, now)) {
			assert_false(sched_is_out(&t->e));
			pick((unsigned)t->e.core);
		}
		assert_true(sched_is_out(&t->e));
		core[0].loaded = core[0].loaded == t ? NULL : core[0].loaded;
		sched_group_init(&s, &group[1], 100, 0);
		sched_add(&s, &t->e, &group[1], 0, now);
		t->added = now;
		wake(t);
	}
	assert_true(spinner->ran > 40 * (2 * HZ / 100));
}

/* ---- States ---- */

static void test_states(void **state)
{
	struct task *a, *b;
	struct sched_times times;
	uint64_t until;

	(void)state;
	start(2);
	a = add(0, 0);
	assert_int_equal(a->e.state, SCHED_BLOCKED);
	now += 100;
	assert_int_equal(sched_wake(&s, &a->e, now), 0);
	assert_int_equal(sched_wake(&s, &a->e, now), SCHED_CORE_NONE);
	assert_int_equal(sched_boost(&s, &a->e, now), SCHED_CORE_NONE);
	now += 10;
	/* Core 1 does not take what core 0 was given. */
	assert_null(sched_pick(&s, 1, now, &until));
	assert_int_equal(until, NEVER);
	assert_ptr_equal(sched_pick(&s, 0, now, &until), &a->e);
	assert_int_equal(until, now + HZ / 100);
	now += 1000;
	sched_times_get(&a->e, now, &times);
	assert_int_equal(times.blocked, 100);
	assert_int_equal(times.ready, 10);
	assert_int_equal(times.run, 1000);
	assert_int_equal(sched_core_busy(&s, 0, now), 1000);

	/* Woken before its core has picked: it goes on there. */
	sched_block(&s, &a->e, now);
	now += 5;
	assert_int_equal(sched_wake(&s, &a->e, now), SCHED_CORE_NONE);
	assert_int_equal(a->e.state, SCHED_RUNNING);
	assert_ptr_equal(sched_pick(&s, 0, now, &until), &a->e);
	assert_int_equal(sched_core_busy(&s, 0, now), 1000);

	/* Its core is idle, and it comes back to it, not to core 1. */
	sched_block(&s, &a->e, now);
	assert_null(sched_pick(&s, 0, now, &until));
	assert_null(sched_core_current(&s, 0));
	b = add(1, BIT(0));
	assert_int_equal(sched_wake(&s, &b->e, now), 0);
	assert_int_equal(b->e.state, SCHED_HANDED);
	/* Core 0 still holds a's state: a goes before b there. */
	sched_wake(&s, &a->e, now);
	assert_int_equal(a->e.state, SCHED_HANDED);
	assert_int_equal(a->e.core, 0);
	assert_int_equal(b->e.state, SCHED_READY);
	assert_null(sched_pick(&s, 1, now, &until));
	assert_ptr_equal(sched_pick(&s, 0, now, &until), &a->e);
	check();
}

/* A clock of another core that is behind does not make a time run backwards. */
/* Who lingers goes on unless another was handed the core, or waits for one, meanwhile. */
static void test_linger(void **state)
{
	struct task *a, *b, *c;
	uint64_t until = 0;

	(void)state;
	start(1);
	a = add(0, 0);
	b = add(1, 0);
	c = add(2, 0);
	assert_int_equal(sched_wake(&s, &a->e, now), 0);
	assert_ptr_equal(sched_pick(&s, 0, now, &until), &a->e);
	assert_false(sched_linger(&s, 0));
	sched_block(&s, &a->e, now);
	assert_true(sched_linger(&s, 0));
	assert_null(sched_core_current(&s, 0));
	assert_true(sched_go_on(&s, 0, now, &until));
	assert_ptr_equal(sched_core_current(&s, 0), &a->e);
	sched_block(&s, &a->e, now);
	assert_true(sched_linger(&s, 0));
	assert_int_equal(sched_wake(&s, &b->e, now), 0);
	assert_int_equal(b->e.state, SCHED_HANDED);
	assert_false(sched_go_on(&s, 0, now, &until));
	assert_int_equal(sched_wake(&s, &a->e, now), SCHED_CORE_NONE);
	assert_ptr_equal(sched_pick(&s, 0, now, &until), &b->e);
	assert_int_equal(a->e.state, SCHED_READY);
	sched_block(&s, &b->e, now);
	assert_false(sched_linger(&s, 0));
	assert_ptr_equal(sched_pick(&s, 0, now, &until), &a->e);
	sched_wake(&s, &c->e, now);
	sched_block(&s, &a->e, now);
	assert_false(sched_linger(&s, 0));
}

static void test_clocks_apart(void **state)
{
	struct task *a;
	struct sched_times times;
	uint64_t until;

	(void)state;
	start(2);
	a = add(0, 0);
	sched_wake(&s, &a->e, now + 50);
	assert_non_null(sched_pick(&s, 0, now, &until));
	sched_pick(&s, 0, now - 100, &until);
	sched_times_get(&a->e, now - 100, &times);
	assert_int_equal(times.blocked, 50);
	assert_int_equal(times.run, 0);
	assert_int_equal(times.ready, 0);
	sched_pick(&s, 0, now + 60, &until);
	sched_times_get(&a->e, now + 60, &times);
	assert_int_equal(times.run + times.ready + times.blocked, 60);
	assert_true(group[0].vtime < HZ);
}

static void test_remove(void **state)
{
	struct task *running, *ready, *blocked, *handed;

	(void)state;
	start(2);
	running = add_spinner(0, BIT(0));
	simulate(MS);
	ready = add_spinner(1, BIT(0));
	if (ready->e.state == SCHED_RUNNING)
		assert_true(false);
	blocked = add(2, 0);
	handed = add(3, BIT(1));
	assert_int_equal(sched_wake(&s, &handed->e, now), 1);
	assert_int_equal(handed->e.state, SCHED_HANDED);
	check();

	assert_true(sched_remove(&s, &ready->e, now));
	assert_true(sched_remove(&s, &blocked->e, now));
	assert_true(sched_remove(&s, &handed->e, now));
	assert_true(sched_remove(&s, &handed->e, now));
	check();
	/* The core that it was given to is free again. */
	handed = add(4, BIT(1));
	assert_int_equal(sched_wake(&s, &handed->e, now), 1);
	assert_int_equal(handed->e.state, SCHED_HANDED);
	assert_true(sched_remove(&s, &handed->e, now));
	assert_false(sched_remove(&s, &running->e, now));
	assert_false(sched_remove(&s, &running->e, now));
	assert_false(sched_is_out(&running->e));
	assert_int_equal(sched_wake(&s, &running->e, now), SCHED_CORE_NONE);
	sched_block(&s, &running->e, now);
	assert_int_equal(running->e.state, SCHED_LEAVING);
	pick(1);
	assert_false(sched_is_out(&running->e));
	pick(0);
	assert_true(sched_is_out(&running->e));
	assert_null(core[0].current);
	assert_int_equal(sched_wake(&s, &running->e, now), SCHED_CORE_NONE);

	/* Blocked, and its core has not picked yet. */
	running = add_spinner(0, BIT(0));
	simulate(MS);
	sched_block(&s, &running->e, now);
	assert_false(sched_remove(&s, &running->e, now));
	pick(0);
	assert_true(sched_is_out(&running->e));
	check();
}

/* ---- All at once ---- */

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % below;
}

static void act_any(struct task *t)
{
	t->left = 1 + draw(t->work);
	switch (draw(5)) {
	case 0:
		t->wake_at = now + draw(20 * MS);
		block(t);
		break;
	case 1: wake(t->partner); break;
	case 2: tell(sched_boost(&s, &t->partner->e, now)); break;
	case 3: act_yield(t); break;
	default:
		/* Woken between block and pick. */
		sched_block(&s, &t->e, now);
		if (draw(2))
			wake(t->partner);
		wake(t);
		pick((unsigned)t->e.core);
	}
}

static void add_any(struct task *t, unsigned cores)
{
	memset(t, 0, sizeof(*t));
	t->act = act_any;
	t->work = draw(2) ? 10 * MS : 100 * US;
	t->left = 1 + draw(t->work);
	t->woken = NEVER;
	t->wake_at = now + draw(MS);
	t->partner = &task[draw(tasks)];
	t->added = now;
	sched_add(&s, &t->e, &group[draw(8)], draw(2) ? 0 : 1 + draw(BIT(cores) - 1), now);
}

static void remove_any(struct task *t)
{
	t->wake_at = NEVER;
	if (!sched_remove(&s, &t->e, now))
		pick((unsigned)t->e.core);
	assert_true(sched_is_out(&t->e));
	for (unsigned i = 0; i < s.cores; i++)
		if (core[i].loaded == t)
			core[i].loaded = NULL;
}

static void test_stress(void **state)
{
	(void)state;
	for (seed = 1; seed < 40; seed += 1) {
		unsigned cores = 1 + (unsigned)draw(5);

		start(cores);
		for (unsigned g = 0; g < 8; g++)
			sched_group_init(&s, &group[g], 1 + (unsigned)draw(1000),
					 draw(2) ? 0 : 1 + (unsigned)draw(150));
		tasks = 24;
		for (unsigned i = 0; i < tasks; i++)
			add_any(&task[i], cores);
		for (unsigned n = 0; n < 40; n++) {
			struct task *t = &task[draw(tasks)];

			simulate(draw(20 * MS));
			remove_any(t);
			add_any(t, cores);
			check();
		}
	}
}

/* A timer, or an interrupt from outside. */
static void notify(struct task *t)
{
	if (t->e.state == SCHED_READY && t->woken == NEVER)
		t->woken = now;
	if (!wake(t))
		tell(sched_boost(&s, &t->e, now));
}

static void act_tick(struct task *t)
{
	notify(t->partner);
	act_sleep(t);
}

/*
 * A VM of more weight that does not use its share up is not late for it. Less weight makes of the
 * same ticks more virtual time, so what lighter ones are allowed to be ahead must not stop it.
 */
static void test_latency_of_heavy(void **state)
{
	struct task *t, *clock;

	(void)state;
	start(2);
	sched_group_init(&s, &group[0], 1000, 0);
	t = add_sleeper(0, BIT(0), 2 * MS, 5 * MS);
	clock = add_sleeper(GROUPS - 1, BIT(1), 1, 5 * MS);
	clock->act = act_tick;
	clock->partner = t;
	seed = 1;
	for (unsigned g = 1; g <= 8; g++)
		add_pair(g, BIT(0), act_any, 2 * MS);
	simulate(HZ);
	forget_shares();
	simulate(20 * HZ);
	assert_true(t->turns > 3950);
	assert_true(t->latency_max < MS / 10);
}

/* Sleepers, spinners and floods of all kinds: each core is used up, and nobody is forgotten. */
static void test_many(void **state)
{
	(void)state;
	start(4);
	checked = false;
	for (unsigned g = 0; g < 64; g++) {
		for (unsigned i = 0; i < 3; i++)
			add_spinner(g, 0);
		add_sleeper(g, 0, MS / 10, 40 * MS);
		simulate(MS);
	}
	simulate(5 * HZ);
	forget_shares();
	simulate(20 * HZ);
	for (unsigned g = 0; g < 64; g++)
		expect_near("one of 64", group_ran(g), 20 * HZ * 4 / 64.0, 5);
	for (unsigned i = 0; i < tasks; i++)
		assert_true(task[i].ran > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_vms),
		cmocka_unit_test(test_equal_vcpus),
		cmocka_unit_test(test_vms_of_unlike_size),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_infeasible_weight),
		cmocka_unit_test(test_no_credit_of_infeasible),
		cmocka_unit_test(test_newcomer),
		cmocka_unit_test(test_newcomer_to_napper),
		cmocka_unit_test(test_no_credit_of_sleep),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_pin_to_no_core),
		cmocka_unit_test(test_pinned_makes_room),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_cap_of_napper),
		cmocka_unit_test(test_cap_of_many),
		cmocka_unit_test(test_cap_period),
		cmocka_unit_test(test_cap_saves_nothing),
		cmocka_unit_test(test_cap_turns),
		cmocka_unit_test(test_wake_latency),
		cmocka_unit_test(test_wake_latency_of_sibling),
		cmocka_unit_test(test_idle_core_first),
		cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_yield),
		cmocka_unit_test(test_yield_to_sibling),
		cmocka_unit_test(test_boost_flood),
		cmocka_unit_test(test_boost),
		cmocka_unit_test(test_boost_leaves_sender),
		cmocka_unit_test(test_ping_pong),
		cmocka_unit_test(test_nobody_starves),
		cmocka_unit_test(test_restarts),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_linger),
		cmocka_unit_test(test_clocks_apart),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_stress),
		cmocka_unit_test(test_latency_of_heavy),
		cmocka_unit_test(test_many),
	};

	struct CMUnitTest again[ARRAY_SIZE(tests)];
	char name[ARRAY_SIZE(tests)][64];
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	/* All of it holds as well when who blocks keeps its core. */
	lingering = true;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		again[i] = tests[i];
		snprintf(name[i], sizeof(name[i]), "%s, lingering", tests[i].name);
		again[i].name = name[i];
	}
	return failed + cmocka_run_group_tests(again, NULL, NULL);
}
