/* SPDX-License-Identifier: MIT */
/* The monitor's commands: a table, what their arguments are, and how they answer. */
#ifndef VM_MONITOR_COMMAND_H
#define VM_MONITOR_COMMAND_H

#include "lib/parse.h"
#include "vm/json.h"
#include "vm/monitor.h"

enum monitor_argument {
	MONITOR_ARG_NONE,
	MONITOR_ARG_VM,
	MONITOR_ARG_VM_OR_ALL, /* without it: every VM */
	MONITOR_ARG_VIEW,      /* a VM or "all" */
	MONITOR_ARG_VCPU,      /* NAME or NAME/N */
	MONITOR_ARG_ADDRESS,
	MONITOR_ARG_LENGTH,  /* optional */
	MONITOR_ARG_LEVEL,   /* optional */
	MONITOR_ARG_COMMAND, /* optional */
};

#define MONITOR_ARGS_MAX 3

struct monitor_command {
	const char *name;
	enum monitor_argument args[MONITOR_ARGS_MAX];
	const char *usage; /* the arguments, for people */
	const char *help;
	/* The next piece of the answer, at most half of MONITOR_OUT. False: it was the last. */
	bool (*step)(struct monitor *monitor);
};

extern const struct monitor_command monitor_commands[];
extern const unsigned monitor_command_count;

/* The command of that name, NULL for none. */
const struct monitor_command *monitor_find(struct text name);
/* Begins the command of that line: fills monitor->run. An empty line begins nothing. */
void monitor_begin(struct monitor *monitor, const char *line);
/* After the last step. */
void monitor_finish(struct monitor *monitor);
/* As lineedit_ops.complete, with the monitor as ctx. */
bool monitor_complete(void *monitor, const char *line, size_t length, unsigned index,
		      char word[LINEEDIT_WORD]);

/* For steps: a line of words; an error, which ends the command. */
void monitor_line(struct monitor *monitor, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
bool monitor_fail(struct monitor *monitor, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
const char *monitor_state_name(enum monitor_state state);
const char *monitor_vcpu_state_name(enum monitor_vcpu_state state);

/* The steps. */
bool monitor_step_help(struct monitor *monitor);
bool monitor_step_vms(struct monitor *monitor);
bool monitor_step_vm(struct monitor *monitor);
bool monitor_step_start(struct monitor *monitor);
bool monitor_step_stop(struct monitor *monitor);
bool monitor_step_pause(struct monitor *monitor);
bool monitor_step_resume(struct monitor *monitor);
bool monitor_step_reset(struct monitor *monitor);
bool monitor_step_console(struct monitor *monitor);
bool monitor_step_stats(struct monitor *monitor);
bool monitor_step_top(struct monitor *monitor);
bool monitor_step_regs(struct monitor *monitor);
bool monitor_step_mem(struct monitor *monitor);
bool monitor_step_writes(struct monitor *monitor);
bool monitor_step_walk(struct monitor *monitor);
bool monitor_step_devices(struct monitor *monitor);
bool monitor_step_irqs(struct monitor *monitor);
bool monitor_step_screen(struct monitor *monitor);
bool monitor_step_log(struct monitor *monitor);
bool monitor_step_audit(struct monitor *monitor);
bool monitor_step_version(struct monitor *monitor);
bool monitor_step_poweroff(struct monitor *monitor);
bool monitor_step_reboot(struct monitor *monitor);

#endif
