/* SPDX-License-Identifier: MIT */
/*
 * The monitor's hands. Everything here runs on core 0 within console_housekeeping, where no VM is
 * made or unmade but by life_act; what belongs to another core is asked of that core.
 */
#include "vmx/govern.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/smp.h"
#include "vm/inspect.h"
#include "vmx/audit_run.h"
#include "vmx/core.h"
#include "vmx/cr.h"
#include "vmx/dump.h"
#include "vmx/exit.h"
#include "vmx/life.h"
#include "vmx/registers.h"
#include "vmx/visit.h"
#include "vmx/switch.h"
#include "vmx/vmcs.h"

static void (*end_machine)(bool reboot);

static unsigned count_vms(void *ctx)
{
	(void)ctx;
	return life_count();
}

static enum monitor_state state_of(const struct life *l)
{
	switch (l->state) {
	case LIFE_REFUSED: return MONITOR_REFUSED;
	case LIFE_IDLE: return MONITOR_STOPPED;
	case LIFE_WAITING: return MONITOR_STARTING;
	case LIFE_RUNNING: return MONITOR_RUNNING;
	case LIFE_PAUSED:
	case LIFE_CRASHED: return MONITOR_PAUSED;
	case LIFE_ENDED: break;
	}
	return l->verdict == VERDICT_STOPPED ? MONITOR_STOPPED : MONITOR_ENDED;
}

static void get_vm(void *ctx, unsigned number, struct monitor_vm *info)
{
	const struct life *l = life_get(number);
	const struct vm_config *config = l->config;

	(void)ctx;
	*info = (struct monitor_vm){
		.name = config->name,
		.state = state_of(l),
		.memory = config->memory,
		.own_memory = life_own_memory(l),
		.cpus = config->cpus,
		.restarts = l->restarts,
		.weight = config->weight,
		.cap = config->cap,
		.pins = config->pin,
		.console_bytes = l->console ? vm_console_bytes(l->console) : 0,
	};
	if (l->state == LIFE_CRASHED) {
		info->verdict = verdict_name(l->vm->verdict);
		info->why = l->vm->why;
	} else if (l->judged) {
		info->verdict = verdict_name(l->verdict);
		info->why = l->why;
	}
}

static struct vmx_vcpu *find_vcpu(unsigned number, unsigned cpu)
{
	const struct life *l = life_get(number);

	return l->vm && cpu < l->config->cpus ? l->vcpu[cpu] : NULL;
}

static enum monitor_vcpu_state vcpu_state(const struct vmx_vcpu *v)
{
	if (v->vcpu.vm->paused)
		return MONITOR_VCPU_PAUSED;
	if (v->vcpu.activity == VCPU_WAIT_FOR_SIPI)
		return MONITOR_VCPU_WAITING;
	switch (v->entity.state) {
	case SCHED_RUNNING:
	case SCHED_LEAVING: return MONITOR_VCPU_RUNNING;
	case SCHED_READY:
	case SCHED_HANDED: return MONITOR_VCPU_READY;
	default: return MONITOR_VCPU_HALTED;
	}
}

static bool get_vcpu(void *ctx, unsigned number, unsigned cpu, struct monitor_vcpu *info)
{
	const struct vmx_vcpu *v = find_vcpu(number, cpu);
	struct sched_times times;

	(void)ctx;
	if (!v)
		return false;
	core_times(v, &times);
	*info = (struct monitor_vcpu){
		.core = v->entity.last == SCHED_CORE_NONE ? 0 : (unsigned)v->entity.last,
		.state = vcpu_state(v),
		.run = times.run,
		.ready = times.ready,
		.halted = times.blocked,
	};
	for (unsigned reason = 0; reason < EXIT_REASONS; reason++)
		info->exits += v->exits[reason].count;
	return true;
}

static bool get_exit(void *ctx, unsigned number, unsigned row, struct monitor_exit *info)
{
	(void)ctx;
	if (row >= EXIT_REASONS)
		return false;
	*info = (struct monitor_exit){.name = exit_name(row)};
	for (unsigned cpu = 0; find_vcpu(number, cpu); cpu++) {
		const struct vmx_exits *exits = &find_vcpu(number, cpu)->exits[row];

		info->count += exits->count;
		info->ticks += exits->ticks;
		info->ticks_max = MAX(info->ticks_max, exits->max);
	}
	return true;
}

static bool act(void *ctx, unsigned number, enum monitor_action action, struct error *error)
{
	static const enum life_action actions[MONITOR_ACTIONS] = {
		[MONITOR_START] = LIFE_START, [MONITOR_STOP] = LIFE_STOP,
		[MONITOR_PAUSE] = LIFE_PAUSE, [MONITOR_RESUME] = LIFE_RESUME,
		[MONITOR_RESET] = LIFE_RESET,
	};

	(void)ctx;
	return life_act(number, actions[action], error);
}

/* --- Registers --- */

static bool get_regs(void *ctx, unsigned number, unsigned cpu, struct monitor_regs *regs,
		     struct error *error)
{
	struct vmx_vcpu *v = find_vcpu(number, cpu);

	(void)ctx;
	if (!v)
		return error_set(error, "it has no such vCPU now");
	return registers_read(v, regs) || error_set(error, "it moves from core to core: try again");
}

/* --- Memory and devices --- */

static enum monitor_memory read_memory(void *ctx, unsigned number, uint64_t gpa, void *to,
				       size_t length)
{
	const struct life *l = life_get(number);

	(void)ctx;
	return l->vm ? inspect_memory(&l->vm->memory, gpa, to, length) : MONITOR_NO_RAM;
}

static void read_log(struct vmx_vcpu *v, void *arg)
{
	(void)arg;
	vmx_read_write_log(v);
}

static bool take_writes(void *ctx, unsigned number, struct error *error)
{
	const struct life *l = life_get(number);
	struct vm *vm = l->vm;

	(void)ctx;
	if (!vm || !vm->writes.how)
		return error_set(error,
				 vm ? "VM %s: wants track-writes = yes in its description"
				    : "VM %s has no memory now",
				 l->config->name);
	/* What a vCPU that cannot be had has logged is found the next time. */
	for (unsigned i = 0; i < vm->cpus && vm->writes.how == WRITES_LOG; i++)
		if (find_vcpu(number, i))
			vcpu_visit(find_vcpu(number, i), read_log, NULL);
	spin_lock(&vm->memory_lock);
	writes_take(&vm->writes, &vm->ept);
	spin_unlock(&vm->memory_lock);
	vm->host->invalidate_ept(NULL, ept_pointer(&vm->ept));
	return true;
}

static bool next_written(void *ctx, unsigned number, uint64_t *gpa, uint64_t *length)
{
	struct vm *vm = life_get(number)->vm;

	(void)ctx;
	return vm && writes_next(&vm->writes, gpa, length);
}

static const struct pc *borrow_pc(void *ctx, unsigned number, uint64_t *now)
{
	const struct life *l = life_get(number);
	struct vm *vm = l->vm;

	(void)ctx;
	if (!vm)
		return NULL;
	if (l->state == LIFE_RUNNING)
		pc_advance(&vm->pc, vm_clock_ticks(&vm->clock, rdtsc()));
	spin_lock(&vm->pc.lock);
	*now = vm_clock_ticks(&vm->clock, l->frozen ? l->frozen_at : rdtsc());
	return &vm->pc;
}

static void return_pc(void *ctx, unsigned number)
{
	(void)ctx;
	spin_unlock(&life_get(number)->vm->pc.lock);
}

static bool audit(void *ctx, void (*line)(void *to, const char *text), void *to)
{
	(void)ctx;
	return audit_run(line, to);
}

static void end(void *ctx, bool reboot)
{
	(void)ctx;
	end_machine(reboot);
}

static uint64_t host_now(void *ctx)
{
	(void)ctx;
	return rdtsc();
}

const struct monitor_ops *govern_ops(const struct vm_host *host, void (*end_fn)(bool reboot))
{
	static struct monitor_ops ops = {
		.vms = count_vms,
		.vm = get_vm,
		.vcpu = get_vcpu,
		.exit = get_exit,
		.action = act,
		.regs = get_regs,
		.read = read_memory,
		.writes = take_writes,
		.written = next_written,
		.pc_borrow = borrow_pc,
		.pc_return = return_pc,
		.audit = audit,
		.end = end,
		.now = host_now,
		.version = "Socle, a hypervisor for Intel VT-x",
	};

	end_machine = end_fn;
	ops.hz = host->hz;
	ops.cores = pcpu_count();
	return &ops;
}
