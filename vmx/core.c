/* SPDX-License-Identifier: MIT */
/*
 * The loop of a core. The scheduler is shared and has one lock, which is taken when a vCPU begins,
 * ends its slice, halts or is woken: never on the way of an exit that just goes back to its guest.
 */
#include "vmx/core.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/smp.h"
#include "lib/log.h"
#include "vmx/run.h"
#include "vmx/switch.h"

static struct core cores[PCPU_MAX];
static struct {
	struct spinlock lock;
	struct sched sched;
	uint64_t hz;
} scheduler;
static uint64_t (*housekeeping)(uint64_t now);
static void (*left)(void);

static struct vmx_vcpu *vcpu_of(struct sched_entity *entity)
{
	return (struct vmx_vcpu *)((uint8_t *)entity - offsetof(struct vmx_vcpu, entity));
}

struct core *core_self(void)
{
	return &cores[pcpu_self()->id];
}

void core_init(unsigned count, uint64_t hz)
{
	sched_init(&scheduler.sched, count, hz);
	scheduler.hz = hz;
	for (unsigned i = 0; i < count; i++) {
		cores[i].pcpu = pcpu_of(i);
		timer_queue_init(&cores[i].timers);
	}
}

void core_set_housekeeping(uint64_t (*fn)(uint64_t now), void (*vcpu_left)(void))
{
	housekeeping = fn;
	left = vcpu_left;
}

void core_call_housekeeping(void)
{
	struct core *self = core_self();

	__atomic_store_n(&cores[0].look, true, __ATOMIC_SEQ_CST);
	if (self != &cores[0]) {
		smp_kick(0);
		return;
	}
	/* The deadline that the vCPU gets next, or that it has. */
	self->serve_at = 0;
	if (self->pcpu->current)
		run_check_timers(self->pcpu->current);
}

/* --- Timers --- */

void core_timer_cancel(struct timer *timer)
{
	struct core *core = &cores[timer->core];

	spin_lock(&core->lock);
	timer_cancel(timer);
	spin_unlock(&core->lock);
}

void core_timer_set(struct timer *timer, uint64_t when)
{
	struct core *self = core_self();
	struct vmx_vcpu *v = self->pcpu->current;

	if (timer->core != self->pcpu->id)
		core_timer_cancel(timer);
	spin_lock(&self->lock);
	timer->core = self->pcpu->id;
	timer_set(&self->timers, timer, when);
	self->serve_at = MIN(self->serve_at, when);
	spin_unlock(&self->lock);
	if (v && when < v->deadline)
		run_check_timers(v);
}

static void fire_timers(struct core *core, uint64_t now)
{
	for (;;) {
		struct timer *timer;

		if (timer_first(&core->timers) > now)
			return;
		spin_lock(&core->lock);
		timer = timer_take_due(&core->timers, now);
		spin_unlock(&core->lock);
		if (timer)
			timer->fire(timer, now);
	}
}

static __attribute__((noinline)) void serve(struct core *core, uint64_t now)
{
	/* What is done here may put it away (a VM's start uses the VMCS pointer). */
	struct vmx_vcpu *v = core->pcpu->current;
	bool runs = v && v->running_on == (int)core->pcpu->id;
	uint64_t next = UINT64_MAX;
	uint64_t spent;

	__atomic_store_n(&core->look, false, __ATOMIC_SEQ_CST);
	core->irqs = core->pcpu->irqs;
	smp_report_nmis();
	fire_timers(core, now);
	if (core->pcpu->id == 0)
		next = housekeeping(now);
	if (pcpu_count() > 1) {
		if (now >= core->watch_next) {
			smp_watchdog(now);
			core->watch_next = now + scheduler.hz;
		}
		next = MIN(next, core->watch_next);
	}
	core->serve_at = MIN(next, timer_first(&core->timers));
	/* What fell due between an exit and the next entry is not a switch's time. */
	spent = rdtsc() - now;
	if (core->left)
		core->left += spent;
	else if (runs && v->left)
		v->left += spent;
}

void core_serve(struct core *core, uint64_t now)
{
	core->pcpu->heartbeat++;
	/* In Bochs an interrupt stays pending while a guest has them off: its turn is here. */
	irq_window();
	if (now >= core->serve_at || core->irqs != core->pcpu->irqs ||
	    __atomic_load_n(&core->look, __ATOMIC_RELAXED))
		serve(core, now);
}

/* --- Waking and leaving --- */

/* Has the core that the scheduler named ask it again. */
static void tell(int core)
{
	if (core == SCHED_CORE_NONE)
		return;
	if ((unsigned)core == pcpu_self()->id) {
		struct vmx_vcpu *v = pcpu_self()->current;

		cores[core].pick = true;
		if (v)
			run_check_timers(v);
		return;
	}
	cores[core].pick = true;
	smp_kick((unsigned)core);
}

static void wake(struct vmx_vcpu *v)
{
	uint64_t now = rdtsc();
	int core;

	spin_lock(&scheduler.lock);
	core = sched_wake(&scheduler.sched, &v->entity, now);
	if (core == SCHED_CORE_NONE)
		core = sched_boost(&scheduler.sched, &v->entity, now);
	spin_unlock(&scheduler.lock);
	tell(core);
}

void core_kick(struct vcpu *vcpu)
{
	struct vmx_vcpu *v = (struct vmx_vcpu *)vcpu;
	int core = __atomic_load_n(&v->running_on, __ATOMIC_SEQ_CST);

	if (core == (int)pcpu_self()->id)
		return;
	if (core != NO_CORE)
		smp_kick((unsigned)core);
	else
		wake(v);
}

static void fire_wake(struct timer *timer, uint64_t now)
{
	(void)now;
	wake((struct vmx_vcpu *)((uint8_t *)timer - offsetof(struct vmx_vcpu, wake)));
}

void core_add(struct vmx_vcpu *v, struct sched_group *group, uint64_t mask)
{
	v->wake.fire = fire_wake;
	/* Those that wait for a start-up IPI do not run even once before it. */
	if (v->vcpu.activity == VCPU_WAIT_FOR_SIPI) {
		v->asleep = true;
		v->vcpu.vm->asleep++;
	}
	spin_lock(&scheduler.lock);
	sched_add(&scheduler.sched, &v->entity, group, mask, rdtsc());
	spin_unlock(&scheduler.lock);
}

static void put_away_if_loaded(void *vcpu)
{
	if (pcpu_self()->current == vcpu)
		vmx_switch_away();
}

bool core_put_away(struct vmx_vcpu *v)
{
	bool out;
	int loaded;

	spin_lock(&scheduler.lock);
	out = sched_is_out(&v->entity);
	spin_unlock(&scheduler.lock);
	if (!out)
		return false;
	core_timer_cancel(&v->wake);
	/* A core that idles has it loaded still. */
	loaded = __atomic_load_n(&v->loaded_on, __ATOMIC_ACQUIRE);
	if (loaded != NO_CORE)
		smp_call((unsigned)loaded, put_away_if_loaded, v);
	return __atomic_load_n(&v->loaded_on, __ATOMIC_ACQUIRE) == NO_CORE;
}

void core_yield(struct vmx_vcpu *v)
{
	struct core *core = core_self();

	/* Nobody waits for a core: a look without the lock, as it may be so a moment later. */
	if (!__atomic_load_n(&scheduler.sched.ready, __ATOMIC_RELAXED))
		return;
	spin_lock(&scheduler.lock);
	sched_step_back(&scheduler.sched, core->pcpu->id, rdtsc());
	spin_unlock(&scheduler.lock);
	core->pick = true;
	run_check_timers(v);
}

void core_group_init(struct sched_group *group, unsigned weight, unsigned cap)
{
	sched_group_init(&scheduler.sched, group, weight, cap);
}

void core_times(const struct vmx_vcpu *v, struct sched_times *times)
{
	spin_lock(&scheduler.lock);
	sched_times_get(&v->entity, rdtsc(), times);
	spin_unlock(&scheduler.lock);
}

/* --- The loop --- */

/*
 * The vCPU waits for an event. Who has one for it says so first and looks where it is then; so it
 * is looked for news once more after it has been said that it waits.
 */
static void block(struct vmx_vcpu *v)
{
	spin_lock(&scheduler.lock);
	sched_block(&scheduler.sched, &v->entity, rdtsc());
	spin_unlock(&scheduler.lock);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&v->vcpu.news, __ATOMIC_RELAXED))
		wake(v);
}

/* Its VM has ended: it is out with this core's next pick, and core 0 has something to do. */
static void leave(struct vmx_vcpu *v)
{
	spin_lock(&scheduler.lock);
	sched_remove(&scheduler.sched, &v->entity, rdtsc());
	spin_unlock(&scheduler.lock);
	core_self()->gone = true;
}

/* After the pick that dropped it, core 0 has something to do. */
static void tell_of_gone(struct core *core)
{
	core->gone = false;
	left();
	core_call_housekeeping();
}

/* What a pick left over goes to cores that idle, one by one. */
static void push(void)
{
	int core;

	do {
		spin_lock(&scheduler.lock);
		core = sched_push(&scheduler.sched, rdtsc());
		spin_unlock(&scheduler.lock);
		tell(core);
	} while (core != SCHED_CORE_NONE);
}

static struct vmx_vcpu *pick(struct core *core)
{
	struct sched_entity *entity;
	bool idle;

	core->pick = false;
	spin_lock(&scheduler.lock);
	entity = sched_pick(&scheduler.sched, core->pcpu->id, rdtsc(), &core->slice_end);
	idle = scheduler.sched.idle && scheduler.sched.ready;
	spin_unlock(&scheduler.lock);
	if (idle)
		push();
	return entity ? vcpu_of(entity) : NULL;
}

/* Nothing to run: until a timer or an interrupt. */
static void idle(struct core *core, uint64_t until)
{
	core->left = 0;
	core->pcpu->idle = true;
	if (!core_wanted(core) && core->irqs == core->pcpu->irqs && rdtsc() < until) {
		lapic_timer_arm(until);
		irq_enable_and_halt();
		lapic_timer_arm(UINT64_MAX);
	}
	core->pcpu->idle = false;
}

void core_count_switch(void)
{
	struct core *core = core_self();
	uint64_t ticks = rdtsc() - core->left;

	core->switches.count++;
	core->switches.ticks += ticks;
	if (ticks > core->switches.max)
		core->switches.max = ticks;
	core->left = 0;
}

void core_report(void)
{
	for (unsigned i = 0; i < pcpu_count(); i++)
		log_debug("CPU %u: %lu switches between vCPUs, %lu ticks in the mean, %lu at "
			  "most; %lu NMIs",
			  i, cores[i].switches.count,
			  cores[i].switches.ticks / MAX(cores[i].switches.count, 1),
			  cores[i].switches.max, cores[i].pcpu->nmis);
}

static bool linger(struct vmx_vcpu *v)
{
	struct sched *sched = &scheduler.sched;
	bool lingers;

	spin_lock(&scheduler.lock);
	sched_block(sched, &v->entity, rdtsc());
	lingers = sched_linger(sched, pcpu_self()->id);
	spin_unlock(&scheduler.lock);
	return lingers;
}

static bool go_on(struct core *core)
{
	bool goes;

	spin_lock(&scheduler.lock);
	goes = sched_go_on(&scheduler.sched, core->pcpu->id, rdtsc(), &core->slice_end);
	spin_unlock(&scheduler.lock);
	return goes;
}

/*
 * The vCPU waits, and keeps the core while nobody else wants it: who has news for it finds it
 * here, and it goes on without the scheduler's choice. False: it has to leave the core.
 */
static bool wait_here(struct core *core, struct vmx_vcpu *v)
{
	/* A paused VM's clock stands once its vCPUs have left their cores. */
	if (core->pick || __atomic_load_n(&v->vcpu.vm->paused, __ATOMIC_SEQ_CST) || !linger(v))
		return false;
	for (;;) {
		uint64_t now;

		if (__atomic_load_n(&v->vcpu.news, __ATOMIC_SEQ_CST))
			return go_on(core);
		idle(core, MIN(core->serve_at, v->wake_at));
		now = rdtsc();
		core_serve(core, now);
		if (core->pick || core->pcpu->current != v)
			return false;
		if (now >= v->wake_at)
			return go_on(core);
	}
}

static void run(struct core *core, struct vmx_vcpu *v)
{
	enum run_end end;

	if (core->pcpu->current == v)
		core->left = 0;
	else
		vmx_switch_to(v);
	__atomic_store_n(&v->running_on, (int)pcpu_self()->id, __ATOMIC_SEQ_CST);
	do
		end = vmx_vcpu_run(v);
	while (end == RUN_WAIT && wait_here(core, v));
	__atomic_store_n(&v->running_on, NO_CORE, __ATOMIC_SEQ_CST);
	/* Before its timer is the core's: firing does nothing to a vCPU that has not left yet. */
	core_serve(core, rdtsc());
	if (v->wake_at != UINT64_MAX)
		core_timer_set(&v->wake, v->wake_at);
	if (end == RUN_WAIT)
		block(v);
	else if (end == RUN_ENDED)
		leave(v);
}

_Noreturn void core_run(struct pcpu *pcpu)
{
	struct core *core = &cores[pcpu->id];

	for (;;) {
		struct vmx_vcpu *v;

		v = pick(core);
		if (core->gone)
			tell_of_gone(core);
		if (v) {
			run(core, v);
			continue;
		}
		idle(core, MIN(core->serve_at, core->slice_end));
		core_serve(core, rdtsc());
	}
}
