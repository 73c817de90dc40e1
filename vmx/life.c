/* SPDX-License-Identifier: MIT */
/* The life of the VMs. */
#include "vmx/life.h"

#include "arch/x86_64/cpu.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/string.h"
#include "vm/outbuf.h"
#include "vmx/audit_run.h"
#include "vmx/autopsy.h"
#include "vmx/board.h"
#include "vmx/caps.h"
#include "vmx/console.h"
#include "vmx/core.h"
#include "vmx/exit.h"
#include "vmx/vmcs.h"

static struct {
	struct life_config config;
	struct life vm[CONFIG_VMS_MAX];
	unsigned vms;
	unsigned alive; /* RUNNING, PAUSED or CRASHED */
	bool told;	/* that all have ended */
	uint64_t free;	/* bytes, before the first VM was made */
	bool work;	/* a vCPU has left, or somebody wished for something; atomic */
	uint64_t next;	/* TSC at which there is something to do in any case */
} life;

/* --- Memory of our own for a VM --- */

static void *alloc_pages(uint64_t size)
{
	struct frames *frames = life.config.host->frames;
	uint64_t page = frames_alloc(frames, align_up(size, PAGE_SIZE), PAGE_SIZE, UINT64_MAX);

	return page == FRAMES_NONE ? NULL : memset((void *)page, 0, align_up(size, PAGE_SIZE));
}

static void free_pages(void *pages, uint64_t size)
{
	if (pages)
		frames_free(life.config.host->frames, (uint64_t)pages, align_up(size, PAGE_SIZE));
}

/* --- Making --- */

static struct cpuid_regs host_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r = cpuid(leaf, subleaf);

	return (struct cpuid_regs){.eax = r.eax, .ebx = r.ebx, .ecx = r.ecx, .edx = r.edx};
}

static unsigned number_of(const struct life *l)
{
	return (unsigned)(l - life.vm);
}

/* What it said stays with it when it is started anew. */
static bool make_console(struct life *l, struct error *error)
{
	if (!l->console)
		l->console = alloc_pages(console_bytes(l->config));
	return l->console || error_set(error, "no memory left for its console");
}

static void unmake_console(struct life *l)
{
	if (!l->console)
		return;
	console_remove_vm(number_of(l), rdtsc());
	free_pages(l->console, console_bytes(l->config));
	l->console = NULL;
}

static bool make_vm(struct life *l, struct error *error)
{
	const struct vm_host *host = life.config.host;
	const struct cpuid_policy policy = {
		.host = host_cpuid,
		.apic_timer_hz = VLAPIC_TIMER_HZ,
		.cpus = l->config->cpus,
		.rdtscp = vmx_has(CONTROL_PROC2, PROC2_RDTSCP),
		.invpcid = vmx_has(CONTROL_PROC2, PROC2_INVPCID),
	};

	l->vm = alloc_pages(sizeof(*l->vm));
	if (!l->vm)
		return error_set(error, "no memory left for it");
	if (vm_create(l->vm, l->config, host, &policy, rdtsc(), error))
		return true;
	free_pages(l->vm, sizeof(*l->vm));
	l->vm = NULL;
	return false;
}

static void unmake_vcpus(struct life *l, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		vmx_vcpu_destroy(l->vcpu[i]);
		free_pages(l->vcpu[i], sizeof(*l->vcpu[i]));
	}
}

static bool make_vcpus(struct life *l, struct error *error)
{
	for (unsigned i = 0; i < l->config->cpus; i++) {
		struct vmx_vcpu *v = alloc_pages(sizeof(*v));

		if (v && vmx_vcpu_create(v, l->vm, i, error)) {
			l->vcpu[i] = v;
			continue;
		}
		if (!v)
			error_set(error, "no memory left for its vCPUs");
		free_pages(v, sizeof(*v));
		unmake_vcpus(l, i);
		return false;
	}
	return true;
}

static void unmake(struct life *l)
{
	board_stop(l->vm);
	unmake_vcpus(l, l->config->cpus);
	/* No core may keep translations of page tables whose pages become others'. */
	life.config.host->invalidate_ept(NULL, ept_pointer(&l->vm->ept));
	vm_destroy(l->vm);
	free_pages(l->vm, sizeof(*l->vm));
	l->vm = NULL;
}

/* --- Beginning and end --- */

/*
 * The account of its last run, `NAME NUMBER` for each thing counted, for tools/run --report: first
 * what it took, then its exits by their reasons, in more than one line if need be.
 */
static void report(const struct life *l)
{
	char text[LOG_LINE_MAX - CONFIG_NAME_MAX - 32];
	struct outbuf out;

	outbuf_init(&out, text, sizeof(text));
	outbuf_print(&out, "ticks %lu, hz %lu, restarts %u, VMs %u",
		     vm_clock_ticks(&l->vm->clock, l->ended), l->vm->clock.hz, l->restarts,
		     life.vms);
	for (unsigned reason = 0; reason < EXIT_REASONS; reason++) {
		uint64_t count = 0;

		for (unsigned i = 0; i < l->config->cpus; i++)
			count += l->vcpu[i]->exits[reason].count;
		if (!count)
			continue;
		if (out.length > sizeof(text) - 64) {
			log_info("report %s: %.*s", l->config->name, (int)out.length, text);
			out.length = 0;
		}
		outbuf_print(&out, "%s%s %lu", out.length ? ", " : "", exit_name(reason), count);
	}
	log_info("report %s: %.*s", l->config->name, (int)out.length, text);
}

static void judge(struct life *l, enum verdict verdict, const char *why)
{
	format(l->why, sizeof(l->why), "%s", why);
	l->verdict = verdict;
	l->judged = true;
	log_error("verdict %s %s %s", l->config->name, verdict_name(verdict), l->why);
	log_debug("VM %s: verdict after %lu k ticks", l->config->name,
		  (rdtsc() - life.config.boot_tsc) / 1000);
	if (l->vm)
		report(l);
}

static bool refuse(struct life *l, const struct error *error)
{
	l->state = LIFE_REFUSED;
	judge(l, VERDICT_FAIL, error->text);
	unmake_console(l);
	return false;
}

static bool make(struct life *l, struct error *error)
{
	if (!make_console(l, error) || !make_vm(l, error))
		return false;
	if (make_vcpus(l, error))
		return true;
	vm_destroy(l->vm);
	free_pages(l->vm, sizeof(*l->vm));
	l->vm = NULL;
	return false;
}

static bool start(struct life *l)
{
	const struct vm_config *config = l->config;
	struct error error;

	if (!make(l, &error))
		return refuse(l, &error);
	log_line(l->passes ? LOG_DEBUG : LOG_INFO,
		 "VM %s: %luM, %u CPU%s, first entry after %lu k ticks", config->name,
		 config->memory / MIB, config->cpus, config->cpus > 1 ? "s" : "",
		 (rdtsc() - life.config.boot_tsc) / 1000);
	console_add_vm(number_of(l), l->vm, l->console);
	core_group_init(&l->group, config->weight, config->cap);
	for (unsigned i = 0; i < config->cpus; i++)
		core_add(l->vcpu[i], &l->group, config->pin);
	l->state = LIFE_RUNNING;
	l->started = true;
	l->ended = 0;
	l->judged = l->frozen = l->stopped = false;
	life.alive++;
	life.told = false;
	life_look();
	board_arm(l->vm);
	core_kick(&l->vcpu[0]->vcpu);
	return true;
}

/* Whether all vCPUs are out of the cores' hands. */
static bool put_away(struct life *l)
{
	bool all = true;

	for (unsigned i = 0; i < l->config->cpus; i++)
		all &= core_put_away(l->vcpu[i]);
	return all;
}

/* Gives all back. The verdict, if it is one, comes before the memory that says why. */
static void finish(struct life *l, enum verdict verdict, const char *why)
{
	if (!l->again)
		judge(l, verdict, why);
	unmake(l);
	if (!l->again)
		unmake_console(l);
	life.alive--;
	l->state = LIFE_ENDED;
	if (l->again)
		start(l);
	l->again = false;
}

/* How many of its restarts were within the last minute. */
static unsigned recent_restarts(const struct life *l, uint64_t now)
{
	unsigned recent = 0;

	for (unsigned i = 0; i < MIN(l->restarts, LIFE_RESTARTS_MAX); i++)
		recent += now - l->restart_at[i] < 60 * life.config.host->hz;
	return recent;
}

/* It starts anew, if it has not done so too often. */
static void restart(struct life *l, uint64_t now)
{
	const struct vm_config *config = l->config;
	unsigned recent = recent_restarts(l, now);
	char why[256];

	if (recent >= config->restarts) {
		format(why, sizeof(why), "%s (and %u restarts within a minute)", l->vm->why,
		       recent);
		finish(l, l->vm->verdict, why);
		return;
	}
	log_error("VM %s: %s %s: restart %u of %u a minute", config->name,
		  verdict_name(l->vm->verdict), l->vm->why, recent + 1, config->restarts);
	l->restart_at[l->restarts++ % LIFE_RESTARTS_MAX] = now;
	l->again = true;
	finish(l, VERDICT_NONE, "");
}

/* By itself, or because somebody at the monitor said so; its description says what then. */
static void end(struct life *l, uint64_t now)
{
	const struct vm_config *config = l->config;
	bool fault;

	vm_judge(l->vm);
	fault = l->vm->verdict == VERDICT_CRASH || l->vm->verdict == VERDICT_HANG;
	/* Of one that is restarted once: it may crash again and again. */
	if (fault && !l->again && !l->stopped && !l->restarts)
		autopsy(l);
	if (l->vm->verdict == VERDICT_PASS && ++l->passes < life.config.repeat)
		l->again = true;
	if (l->again || l->stopped) {
		finish(l, l->vm->verdict, l->vm->why);
	} else if (fault && config->on_crash == CONFIG_ON_CRASH_PAUSE) {
		log_error("VM %s: %s %s: paused for a look at it ('regs %s', 'mem %s'); then "
			  "'stop %s' or 'reset %s'",
			  config->name, verdict_name(l->vm->verdict), l->vm->why, config->name,
			  config->name, config->name, config->name);
		l->state = LIFE_CRASHED;
	} else if (fault ? config->on_crash == CONFIG_ON_CRASH_RESTART
			 : config->restart_on_end && !l->vm->shown) {
		restart(l, now);
	} else {
		finish(l, l->vm->verdict, l->vm->why);
	}
}

/* --- What starts by itself --- */

static struct life *dependency(const struct life *l)
{
	return l->config->depends < 0 ? NULL : &life.vm[l->config->depends];
}

/* Whether a VM that waits will start without anybody's help. */
static bool will_start(const struct life *l)
{
	/* A description's dependencies make no circle. */
	for (; l->state == LIFE_WAITING; l = dependency(l))
		if (!dependency(l))
			return true;
	return l->state != LIFE_IDLE || l->started;
}

static void start_one(struct life *l)
{
	const struct life *first = dependency(l);
	struct error error;

	if (first && first->state == LIFE_REFUSED) {
		error_set(&error, "depends: VM '%s' could not start", first->config->name);
		refuse(l, &error);
	} else if (!first || first->started) {
		start(l);
	}
}

/* A VM may wait for a later one: until nothing more comes of it. */
static void start_waiting(void)
{
	for (unsigned waiting = life.vms + 1, left = life.vms; left && left < waiting;) {
		waiting = left;
		left = 0;
		for (unsigned i = 0; i < life.vms; i++) {
			if (life.config.in_turn && life.alive)
				return;
			if (life.vm[i].state == LIFE_WAITING)
				start_one(&life.vm[i]);
			left += life.vm[i].state == LIFE_WAITING;
		}
	}
}

void life_init(const struct life_config *config)
{
	life.config = *config;
	life.vms = config->config->vms;
	life.free = frames_total(config->host->frames);
	for (unsigned i = 0; i < life.vms; i++) {
		struct life *l = &life.vm[i];

		l->config = &config->config->vm[i];
		if (l->config->refused)
			refuse(l, &l->config->error);
		else
			l->state = l->config->autostart ? LIFE_WAITING : LIFE_IDLE;
	}
	for (unsigned i = 0; i < life.vms; i++)
		if (life.vm[i].state == LIFE_WAITING && !will_start(&life.vm[i]))
			log_warn("VM %s: waits for VM %s (depends), which does not start by "
				 "itself: 'start %s' at the monitor",
				 life.vm[i].config->name, dependency(&life.vm[i])->config->name,
				 dependency(&life.vm[i])->config->name);
	start_waiting();
}

/* All that VMs took is back, to the byte. */
static bool all_given_back(void)
{
	uint64_t left = frames_total(life.config.host->frames);

	if (left == life.free)
		return true;
	log_error("memory: %lu K free, but %lu K before the first VM: this is a bug in Socle",
		  left / KIB, life.free / KIB);
	return false;
}

static void tell_if_all_ended(void)
{
	unsigned passed = 0, failed = life.config.config->complaints;

	if (life.alive || life.told)
		return;
	for (unsigned i = 0; i < life.vms; i++) {
		const struct life *l = &life.vm[i];

		if (l->state == LIFE_WAITING && will_start(l))
			return;
		passed += l->judged && l->verdict == VERDICT_PASS;
		failed += l->judged && l->verdict != VERDICT_PASS;
	}
	life.told = true;
	core_report();
	if (!audit_log() || !all_given_back())
		failed++;
	for (unsigned i = 0; life.config.repeat && i < life.vms; i++)
		log_info("VM %s: passed %u times", life.vm[i].config->name, life.vm[i].passes);
	life.config.all_ended(passed, failed);
}

/* --- Somebody's wishes --- */

const struct vm_host *life_host(void)
{
	return life.config.host;
}

unsigned life_count(void)
{
	return life.vms;
}

const struct life *life_get(unsigned number)
{
	return &life.vm[number];
}

uint64_t life_own_memory(const struct life *l)
{
	unsigned cpus = l->config->cpus;

	if (!l->vm)
		return 0;
	return align_up(sizeof(*l->vm), PAGE_SIZE) + vm_own_memory(l->vm) +
	       cpus * (align_up(sizeof(struct vmx_vcpu), PAGE_SIZE) + vmx_vcpu_own_memory());
}

static void tell_vcpus(struct life *l, uint32_t news)
{
	for (unsigned i = 0; i < l->config->cpus; i++) {
		vcpu_tell(&l->vcpu[i]->vcpu, news);
		core_kick(&l->vcpu[i]->vcpu);
	}
}

static void set_paused(struct life *l, bool paused)
{
	__atomic_store_n(&l->vm->paused, paused, __ATOMIC_SEQ_CST);
	l->state = paused ? LIFE_PAUSED : LIFE_RUNNING;
	tell_vcpus(l, NEWS_PAUSE);
}

/* Once no vCPU runs any more the VM's clock stands. */
static void freeze(struct life *l)
{
	for (unsigned i = 0; i < l->config->cpus; i++)
		if (__atomic_load_n(&l->vcpu[i]->running_on, __ATOMIC_SEQ_CST) != NO_CORE)
			return;
	l->frozen = true;
	l->frozen_at = rdtsc();
}

static void resume(struct life *l)
{
	if (l->frozen) {
		vm_clock_skip(&l->vm->clock, l->frozen_at, rdtsc());
		for (unsigned i = 0; i < l->config->cpus; i++)
			vcpu_tell(&l->vcpu[i]->vcpu, NEWS_CLOCK);
	}
	l->frozen = false;
	set_paused(l, false);
	board_arm(l->vm);
}

static bool act_start(struct life *l, struct error *error)
{
	const struct life *first = dependency(l);

	if (l->config->refused)
		return error_set(error, "%s", l->config->error.text);
	if (l->vm)
		return error_set(error, "it has been started already");
	if (first && !first->vm)
		return error_set(error, "it depends on VM '%s', which does not run: start that one",
				 first->config->name);
	if (start(l))
		return true;
	return error_set(error, "%s", l->why);
}

static bool act_stop(struct life *l, struct error *error)
{
	if (l->state == LIFE_WAITING) {
		l->state = LIFE_IDLE;
		return true;
	}
	if (!l->vm)
		return error_set(error, "it does not run");
	l->again = false;
	l->stopped = true;
	if (l->state == LIFE_CRASHED)
		finish(l, l->vm->verdict, l->vm->why);
	else
		vm_end(l->vm, VERDICT_STOPPED, "stopped at the monitor");
	return true;
}

static bool act_reset(struct life *l, struct error *error)
{
	if (!l->vm)
		return error_set(error, "it does not run: 'start' starts it");
	l->again = true;
	if (l->state == LIFE_CRASHED)
		finish(l, VERDICT_NONE, "");
	else
		vm_end(l->vm, VERDICT_STOPPED, "reset at the monitor");
	return true;
}

bool life_act(unsigned number, enum life_action action, struct error *error)
{
	struct life *l = &life.vm[number];

	life_look();
	switch (action) {
	case LIFE_START: return act_start(l, error);
	case LIFE_STOP: return act_stop(l, error);
	case LIFE_RESET: return act_reset(l, error);
	case LIFE_PAUSE:
		if (l->state != LIFE_RUNNING)
			return error_set(error, "it does not run");
		set_paused(l, true);
		return true;
	case LIFE_RESUME:
		if (l->state == LIFE_CRASHED)
			return error_set(error, "it has crashed: 'reset' starts it anew");
		if (l->state != LIFE_PAUSED)
			return error_set(error, "it is not paused");
		resume(l);
		return true;
	}
	return false;
}

#define POLL_HZ 2000 /* for what comes soon and does not say so */

/* One VM's turn; returns the TSC at which it is wanted again. */
static uint64_t look_after(struct life *l, uint64_t now)
{
	struct vm *vm = l->vm;

	if (__atomic_load_n(&vm->verdict, __ATOMIC_ACQUIRE) != VERDICT_NONE) {
		if (!l->ended)
			l->ended = now;
		if (!put_away(l))
			return UINT64_MAX;
		/* What it said last comes before its verdict. */
		if (!console_close_vm(number_of(l)))
			return now + life.config.host->hz / POLL_HZ;
		end(l, now);
		return UINT64_MAX;
	}
	if (l->state == LIFE_PAUSED) {
		if (!l->frozen)
			freeze(l);
		return l->frozen ? UINT64_MAX : now + life.config.host->hz / POLL_HZ;
	}
	if (!vm->config->timeout && !vm->config->limit)
		return UINT64_MAX;
	vm_check_progress(vm, vm_clock_ticks(&vm->clock, now));
	return vm_clock_host(&vm->clock, vm_progress_deadline(vm));
}

void life_look(void)
{
	__atomic_store_n(&life.work, true, __ATOMIC_RELEASE);
}

uint64_t life_housekeeping(uint64_t now)
{
	uint64_t next = UINT64_MAX;

	if (!__atomic_load_n(&life.work, __ATOMIC_RELAXED) && now < life.next)
		return life.next;
	__atomic_store_n(&life.work, false, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < life.vms; i++) {
		if (life.vm[i].state == LIFE_RUNNING || life.vm[i].state == LIFE_PAUSED) {
			uint64_t wanted = look_after(&life.vm[i], now);

			next = MIN(next, wanted);
		}
	}
	start_waiting();
	tell_if_all_ended();
	life.next = next;
	return next;
}
