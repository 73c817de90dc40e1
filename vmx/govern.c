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
#include "vmx/switch.h"
#include "vmx/vmcs.h"

#define READ_TRIES 1000 /* a vCPU that moves between cores meanwhile */

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

struct reading {
	const struct vmx_vcpu *vcpu;
	struct monitor_regs *regs;
	bool done;
};

static void read_segments(struct monitor_regs *regs)
{
	for (unsigned i = 0; i < MONITOR_SEGMENTS; i++)
		regs->segment[i] = (struct monitor_segment){
			.selector = (uint16_t)vmcs_read(vmcs_segment(GUEST_ES_SELECTOR, i)),
			.base = vmcs_read(vmcs_segment(GUEST_ES_BASE, i)),
			.limit = (uint32_t)vmcs_read(vmcs_segment(GUEST_ES_LIMIT, i)),
			.rights = (uint32_t)vmcs_read(vmcs_segment(GUEST_ES_RIGHTS, i)),
		};
	regs->gdt_base = vmcs_read(GUEST_GDTR_BASE);
	regs->gdt_limit = (uint32_t)vmcs_read(GUEST_GDTR_LIMIT);
	regs->idt_base = vmcs_read(GUEST_IDTR_BASE);
	regs->idt_limit = (uint32_t)vmcs_read(GUEST_IDTR_LIMIT);
}

static void read_debug(struct monitor_regs *regs)
{
	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3; mov %%dr6, %4"
			 : "=r"(regs->dr[0]), "=r"(regs->dr[1]), "=r"(regs->dr[2]),
			   "=r"(regs->dr[3]), "=r"(regs->dr6));
	regs->dr7 = vmcs_read(GUEST_DR7);
}

static const char *activity_name(enum vcpu_activity activity)
{
	switch (activity) {
	case VCPU_ACTIVE: return "active";
	case VCPU_HALTED: return "halted";
	case VCPU_WAIT_FOR_SIPI: return "waiting for a start-up IPI";
	case VCPU_STARTING: return "starting";
	}
	return "unknown";
}

/* Of the vCPU that this core has loaded, between its exit and its next entry. */
static void read_loaded(const struct vmx_vcpu *v, struct monitor_regs *regs)
{
	for (unsigned i = 0; i < GPR_COUNT; i++)
		regs->gpr[i] = v->vcpu.gpr[i];
	regs->gpr[GPR_RSP] = vmcs_read(GUEST_RSP);
	regs->rip = vmcs_read(GUEST_RIP);
	regs->rflags = vmcs_read(GUEST_RFLAGS);
	regs->cr0 = cr_read_cr0();
	regs->cr2 = read_cr2();
	regs->cr3 = vmcs_read(GUEST_CR3);
	regs->cr4 = cr_read_cr4();
	regs->cr8 = vlapic_tpr(pc_lapic(&v->vcpu.vm->pc, v->vcpu.id)) >> 4;
	regs->efer = vmcs_read(GUEST_EFER);
	regs->pdpte[0] = vmcs_read(GUEST_PDPTE0);
	regs->pdpte[1] = vmcs_read(GUEST_PDPTE1);
	regs->pdpte[2] = vmcs_read(GUEST_PDPTE2);
	regs->pdpte[3] = vmcs_read(GUEST_PDPTE3);
	regs->activity = activity_name(v->vcpu.activity);
	regs->mode = dump_mode_name();
	regs->physical_bits = cpuid_physical_bits(&v->vcpu.vm->cpuid);
	read_segments(regs);
	read_debug(regs);
}

static void read_if_loaded(void *arg)
{
	struct reading *reading = arg;

	if (pcpu_self()->current != reading->vcpu)
		return;
	read_loaded(reading->vcpu, reading->regs);
	reading->done = true;
}

/* It is loaded nowhere: here for a moment, in the place of what the loop up the stack runs. */
static void load_and_read(struct vmx_vcpu *v, struct monitor_regs *regs)
{
	struct vmx_vcpu *before = pcpu_self()->current;

	vmx_switch_to(v);
	read_loaded(v, regs);
	if (before)
		vmx_switch_to(before);
	else
		vmx_switch_away();
}

static bool get_regs(void *ctx, unsigned number, unsigned cpu, struct monitor_regs *regs,
		     struct error *error)
{
	struct vmx_vcpu *v = find_vcpu(number, cpu);
	struct reading reading = {.vcpu = v, .regs = regs};

	(void)ctx;
	if (!v)
		return error_set(error, "it has no such vCPU now");
	for (unsigned tries = 0; tries < READ_TRIES && !reading.done; tries++) {
		int core = __atomic_load_n(&v->loaded_on, __ATOMIC_ACQUIRE);

		if (core != NO_CORE) {
			smp_call((unsigned)core, read_if_loaded, &reading);
		} else {
			load_and_read(v, regs);
			reading.done = true;
		}
	}
	return reading.done || error_set(error, "it moves from core to core: try again");
}

/* --- Memory and devices --- */

static enum monitor_memory read_memory(void *ctx, unsigned number, uint64_t gpa, void *to,
				       size_t length)
{
	const struct life *l = life_get(number);

	(void)ctx;
	return l->vm ? inspect_memory(&l->vm->memory, gpa, to, length) : MONITOR_NO_RAM;
}

static const struct pc *borrow_pc(void *ctx, unsigned number, uint64_t *now)
{
	const struct life *l = life_get(number);
	struct vm *vm = l->vm;

	(void)ctx;
	if (!vm)
		return NULL;
	if (l->state == LIFE_RUNNING)
		pc_advance(&vm->pc, rdtsc() - vm->tsc_base);
	spin_lock(&vm->pc.lock);
	*now = (l->frozen ? l->frozen_at : rdtsc()) - vm->tsc_base;
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
