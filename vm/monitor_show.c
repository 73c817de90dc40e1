/* SPDX-License-Identifier: MIT */
/* The monitor's commands that show VMs and their CPU time, and those that act on them. */
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/string.h"
#include "vm/monitor_command.h"

#define TOP_ROWS    20 /* a screen has 24 */
#define CLEAR	    "\x1b[2J"
#define HOME	    "\x1b[H"
#define CLEAR_REST  "\x1b[K"
#define CLEAR_BELOW "\x1b[J"
#define PERMILLE    1000

/* A duration in seconds, for people. */
struct shown_time {
	char text[32];
};

static struct shown_time show_time(uint64_t ticks, uint64_t hz)
{
	struct shown_time shown;

	format(shown.text, sizeof(shown.text), "%lu.%03lu s", ticks / hz, ticks % hz * 1000 / hz);
	return shown;
}

static void ask(struct monitor *monitor, unsigned vm, struct monitor_vm *info)
{
	memset(info, 0, sizeof(*info));
	monitor->ops->vm(monitor->ctx, vm, info);
}

static bool more_vms(struct monitor *monitor)
{
	return monitor->run.vm < monitor->ops->vms(monitor->ctx);
}

bool monitor_step_help(struct monitor *monitor)
{
	struct monitor_run *run = &monitor->run;
	const struct monitor_command *command =
		run->topic ? run->topic : &monitor_commands[run->row];
	struct json json;

	if (run->json) {
		json = json_begin(&monitor->out);
		json_string(&json, "command", command->name);
		json_string(&json, "usage", command->usage);
		json_string(&json, "help", command->help);
		json_end(&json);
	} else if (run->topic) {
		monitor_line(monitor, "usage: %s %s", command->name, command->usage);
		monitor_line(monitor, "%s", command->help);
	} else {
		monitor_line(monitor, "%-8s %-24s %s", command->name, command->usage,
			     command->help);
	}
	return !run->topic && ++run->row < monitor_command_count;
}

static void vm_json(struct monitor *monitor, unsigned vm, const struct monitor_vm *info)
{
	struct json json = json_begin(&monitor->out);

	json_string(&json, "vm", info->name);
	json_number(&json, "number", vm + 1);
	json_string(&json, "state", monitor_state_name(info->state));
	json_string(&json, "verdict", info->verdict);
	json_string(&json, "why", info->why ? info->why : "");
	json_number(&json, "memory", info->memory);
	json_number(&json, "own_memory", info->own_memory);
	json_number(&json, "cpus", info->cpus);
	json_number(&json, "restarts", info->restarts);
	json_number(&json, "weight", info->weight);
	json_number(&json, "cap", info->cap);
	json_array_begin(&json, "pins");
	for (unsigned core = 0; core < 64; core++)
		if (info->pins & BIT(core))
			json_number(&json, NULL, core);
	json_array_end(&json);
	json_number(&json, "console_bytes", info->console_bytes);
	json_end(&json);
}

bool monitor_step_vms(struct monitor *monitor)
{
	struct monitor_run *run = &monitor->run;
	struct monitor_vm info;

	if (!run->json && !run->vm)
		monitor_line(monitor, " #  %-16s %-9s %4s %9s %8s  %s", "NAME", "STATE", "CPUS",
			     "MEMORY", "RESTARTS", "VERDICT");
	if (!more_vms(monitor))
		return false;
	ask(monitor, run->vm, &info);
	if (run->json)
		vm_json(monitor, run->vm, &info);
	else
		monitor_line(monitor, "%2u  %-16s %-9s %4u %8luM %8u  %s %s", run->vm + 1,
			     info.name, monitor_state_name(info.state), info.cpus,
			     info.memory / MIB, info.restarts, info.verdict ? info.verdict : "-",
			     info.why ? info.why : "");
	run->vm++;
	return more_vms(monitor);
}

static void vm_words(struct monitor *monitor, unsigned vm, const struct monitor_vm *info)
{
	char pins[200] = " any core", cap[16] = "none";
	size_t length = 0;

	for (unsigned core = 0; core < 64; core++)
		if (info->pins & BIT(core))
			length += format(pins + length, sizeof(pins) - length, " %u", core);
	if (info->cap)
		format(cap, sizeof(cap), "%u%%", info->cap);
	monitor_line(monitor, "VM %s, number %u: %s", info->name, vm + 1,
		     monitor_state_name(info->state));
	if (info->verdict)
		monitor_line(monitor, "  verdict    %s", info->verdict);
	if (info->why && *info->why)
		monitor_line(monitor, "  why        %s", info->why);
	monitor_line(monitor, "  memory     %luK, and %luK of Socle's own", info->memory / KIB,
		     info->own_memory / KIB);
	monitor_line(monitor, "  CPUs       %u on%s, weight %u, cap %s", info->cpus, pins,
		     info->weight, cap);
	monitor_line(monitor, "  restarts   %u", info->restarts);
	monitor_line(monitor, "  console    %lu bytes", info->console_bytes);
}

/* False: there is no such vCPU. */
static bool show_vcpu(struct monitor *monitor, unsigned vm, unsigned cpu, const char *name)
{
	uint64_t hz = monitor->ops->hz;
	struct monitor_vcpu info = {0};
	struct json json;

	if (cpu >= MONITOR_CPUS_MAX || !monitor->ops->vcpu(monitor->ctx, vm, cpu, &info))
		return false;
	if (!monitor->run.json) {
		monitor_line(monitor,
			     "  %s/%-3u core %-3u %-16s run %s  ready %s  halted %s  exits %lu",
			     name, cpu, info.core, monitor_vcpu_state_name(info.state),
			     show_time(info.run, hz).text, show_time(info.ready, hz).text,
			     show_time(info.halted, hz).text, info.exits);
		return true;
	}
	json = json_begin(&monitor->out);
	json_string(&json, "vm", name);
	json_number(&json, "vcpu", cpu);
	json_number(&json, "core", info.core);
	json_string(&json, "state", monitor_vcpu_state_name(info.state));
	json_number(&json, "run", info.run);
	json_number(&json, "ready", info.ready);
	json_number(&json, "halted", info.halted);
	json_number(&json, "exits", info.exits);
	json_number(&json, "hz", hz);
	json_end(&json);
	return true;
}

bool monitor_step_vm(struct monitor *monitor)
{
	struct monitor_run *run = &monitor->run;
	struct monitor_vm info;

	ask(monitor, run->vm, &info);
	if (run->row++)
		return show_vcpu(monitor, run->vm, run->row - 2, info.name);
	if (run->json)
		vm_json(monitor, run->vm, &info);
	else
		vm_words(monitor, run->vm, &info);
	return true;
}

static bool act(struct monitor *monitor, enum monitor_action action)
{
	struct monitor_run *run = &monitor->run;
	struct error error = {""};

	if (!monitor->ops->action(monitor->ctx, run->vm, action, &error))
		return monitor_fail(monitor, "%s", error.text);
	return false;
}

bool monitor_step_start(struct monitor *monitor)
{
	return act(monitor, MONITOR_START);
}

bool monitor_step_stop(struct monitor *monitor)
{
	return act(monitor, MONITOR_STOP);
}

bool monitor_step_pause(struct monitor *monitor)
{
	return act(monitor, MONITOR_PAUSE);
}

bool monitor_step_resume(struct monitor *monitor)
{
	return act(monitor, MONITOR_RESUME);
}

bool monitor_step_reset(struct monitor *monitor)
{
	return act(monitor, MONITOR_RESET);
}

bool monitor_step_console(struct monitor *monitor)
{
	monitor->wish = monitor->run.all ? MONITOR_SHOW_ALL : MONITOR_SHOW_VM;
	monitor->wish_vm = monitor->run.vm;
	return false;
}

/* False behind the last reason. */
static bool show_exit(struct monitor *monitor, unsigned vm, unsigned row, const char *name)
{
	struct monitor_exit info = {0};
	struct json json;
	uint64_t mean;

	if (!monitor->ops->exit(monitor->ctx, vm, row, &info))
		return false;
	if (!info.count)
		return true;
	mean = info.ticks / info.count;
	if (!monitor->run.json) {
		monitor_line(monitor, "  %-28s %12lu %10lu %10lu", info.name, info.count, mean,
			     info.ticks_max);
		return true;
	}
	json = json_begin(&monitor->out);
	json_string(&json, "vm", name);
	json_string(&json, "exit", info.name);
	json_number(&json, "count", info.count);
	json_number(&json, "ticks", info.ticks);
	json_number(&json, "mean", mean);
	json_number(&json, "max", info.ticks_max);
	json_end(&json);
	return true;
}

/* A VM's vCPUs (part 0), then its exits (part 1); then the next VM. */
bool monitor_step_stats(struct monitor *monitor)
{
	struct monitor_run *run = &monitor->run;
	struct monitor_vm info;

	if (!more_vms(monitor))
		return false;
	ask(monitor, run->vm, &info);
	if (!run->json && !run->part && !run->row)
		monitor_line(monitor, "VM %s: %s", info.name, monitor_state_name(info.state));
	if (!run->part && show_vcpu(monitor, run->vm, run->row, info.name)) {
		run->row++;
		return true;
	}
	if (!run->part) {
		if (!run->json)
			monitor_line(monitor, "  %-28s %12s %10s %10s", "EXIT", "COUNT", "MEAN",
				     "MAX TICKS");
		run->part = 1;
		run->row = 0;
	}
	if (show_exit(monitor, run->vm, run->row, info.name)) {
		run->row++;
		return true;
	}
	run->part = run->row = 0;
	run->vm++;
	return run->all && more_vms(monitor);
}

/* Permille of one core that a VM had since the last look, and notes the new one. */
struct share {
	unsigned vm;
	unsigned permille;
};

static unsigned share_of(struct monitor *monitor, unsigned vm, uint64_t elapsed)
{
	uint64_t *before = monitor->top.run[vm];
	struct monitor_vcpu info;
	uint64_t sum = 0;

	for (unsigned cpu = 0; cpu < MONITOR_CPUS_MAX; cpu++) {
		memset(&info, 0, sizeof(info));
		if (!monitor->ops->vcpu(monitor->ctx, vm, cpu, &info))
			break;
		/* A VM that was started anew counts from zero again. */
		sum += info.run >= before[cpu] ? info.run - before[cpu] : info.run;
		before[cpu] = info.run;
	}
	return elapsed ? (unsigned)(sum * PERMILLE / elapsed) : 0;
}

/* All VMs, those with the largest share first; their number. */
static unsigned sort_shares(struct monitor *monitor, uint64_t elapsed,
			    struct share sorted[MONITOR_VMS_MAX])
{
	unsigned vms = MIN(monitor->ops->vms(monitor->ctx), (unsigned)MONITOR_VMS_MAX);

	for (unsigned i = 0; i < vms; i++) {
		struct share share = {i, share_of(monitor, i, elapsed)};
		unsigned at = i;

		for (; at && sorted[at - 1].permille < share.permille; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = share;
	}
	return vms;
}

static void top_row(struct monitor *monitor, const struct share *share)
{
	struct monitor_vcpu cpu;
	struct monitor_vm info;
	uint64_t run = 0, ready = 0, exits = 0;
	struct json json;

	ask(monitor, share->vm, &info);
	for (unsigned i = 0; i < MONITOR_CPUS_MAX; i++) {
		memset(&cpu, 0, sizeof(cpu));
		if (!monitor->ops->vcpu(monitor->ctx, share->vm, i, &cpu))
			break;
		run += cpu.run;
		ready += cpu.ready;
		exits += cpu.exits;
	}
	if (!monitor->run.json) {
		outbuf_print(&monitor->out,
			     "%-16s %-9s %4u %4u.%u %16s %16s %12lu" CLEAR_REST "\r\n", info.name,
			     monitor_state_name(info.state), info.cpus, share->permille / 10,
			     share->permille % 10, show_time(run, monitor->ops->hz).text,
			     show_time(ready, monitor->ops->hz).text, exits);
		return;
	}
	json = json_begin(&monitor->out);
	json_string(&json, "vm", info.name);
	json_string(&json, "state", monitor_state_name(info.state));
	json_number(&json, "permille", share->permille);
	json_number(&json, "run", run);
	json_number(&json, "ready", ready);
	json_number(&json, "exits", exits);
	json_end(&json);
}

static void top_head(struct monitor *monitor, uint64_t now, unsigned vms)
{
	outbuf_print(&monitor->out,
		     "%s" HOME "Socle up %s, %u cores, %u VMs; any key ends this" CLEAR_REST "\r\n",
		     monitor->top.seen ? "" : CLEAR, show_time(now, monitor->ops->hz).text,
		     monitor->ops->cores, vms);
	outbuf_print(&monitor->out, "%-16s %-9s %4s %6s %16s %16s %12s" CLEAR_REST "\r\n", "NAME",
		     "STATE", "CPUS", "%CPU", "RUN", "READY", "EXITS");
}

/* As JSON it needs two looks, a second apart, and shows the second. */
bool monitor_step_top(struct monitor *monitor)
{
	struct monitor_top *top = &monitor->top;
	struct share sorted[MONITOR_VMS_MAX];
	uint64_t now = monitor->ops->now(monitor->ctx);
	bool json = monitor->run.json, first = !monitor->run.row++;
	unsigned vms;

	if (first)
		memset(top, 0, sizeof(*top));
	vms = sort_shares(monitor, top->seen ? now - top->when : 0, sorted);
	if (!json)
		top_head(monitor, now, vms);
	for (unsigned i = 0; i < vms && !(json && first) && (json || i < TOP_ROWS); i++)
		top_row(monitor, &sorted[i]);
	if (!json)
		outbuf_print(&monitor->out, CLEAR_BELOW);
	top->seen = true;
	top->when = now;
	top->next = now + monitor->ops->hz;
	monitor->run.waiting = !json || first;
	return monitor->run.waiting;
}

bool monitor_step_log(struct monitor *monitor)
{
	struct monitor_run *run = &monitor->run;
	char line[LOG_LINE_MAX + 1];
	enum log_level level = LOG_ERROR;
	struct json json;
	size_t length;

	if (run->has_level) {
		log_set_level((enum log_level)run->level);
		return false;
	}
	/* What is logged meanwhile is not this answer's, or it might never end. */
	if (!run->row++)
		run->length = log_end();
	length = run->at < run->length ? log_read(&run->at, line, &level) : 0;
	if (!length)
		return false;
	line[length - 1] = '\0';
	if (run->json) {
		json = json_begin(&monitor->out);
		json_string(&json, "level", log_level_name(level));
		json_string(&json, "text", line);
		json_end(&json);
	} else {
		outbuf_put(&monitor->out, line, length - 1);
		outbuf_put(&monitor->out, "\r\n", 2);
	}
	return true;
}

/* Findings beyond what the buffer takes are counted. */
static void audit_line(void *ctx, const char *text)
{
	struct monitor *monitor = ctx;
	struct json json;

	if (monitor->out.length > MONITOR_OUT - 1024) {
		monitor->run.at++;
	} else if (monitor->run.json) {
		json = json_begin(&monitor->out);
		json_string(&json, "line", text);
		json_end(&json);
	} else {
		monitor_line(monitor, "%s", text);
	}
}

bool monitor_step_audit(struct monitor *monitor)
{
	if (!monitor->ops->audit(monitor->ctx, audit_line, monitor))
		return monitor_fail(monitor, "audit: the ownership rule is broken%s",
				    monitor->run.at ? "; more lines did not fit" : "");
	return false;
}

bool monitor_step_version(struct monitor *monitor)
{
	struct json json;

	if (!monitor->run.json) {
		monitor_line(monitor, "%s, %u cores, %lu MHz, up %s", monitor->ops->version,
			     monitor->ops->cores, monitor->ops->hz / 1000000,
			     show_time(monitor->ops->now(monitor->ctx), monitor->ops->hz).text);
		return false;
	}
	json = json_begin(&monitor->out);
	json_string(&json, "version", monitor->ops->version);
	json_number(&json, "cores", monitor->ops->cores);
	json_number(&json, "hz", monitor->ops->hz);
	json_end(&json);
	return false;
}

/* The answer goes out before the machine does. */
static bool end(struct monitor *monitor, bool reboot)
{
	struct monitor_run *run = &monitor->run;
	struct json json;

	if (run->row++) {
		monitor->ops->end(monitor->ctx, reboot);
		return false;
	}
	run->ended = true;
	if (run->json) {
		json = json_begin(&monitor->out);
		json_string(&json, "done", run->command->name);
		json_bool(&json, "ok", true);
		json_end(&json);
	} else {
		monitor_line(monitor, reboot ? "rebooting" : "powering off");
	}
	return true;
}

bool monitor_step_poweroff(struct monitor *monitor)
{
	return end(monitor, false);
}

bool monitor_step_reboot(struct monitor *monitor)
{
	return end(monitor, true);
}
