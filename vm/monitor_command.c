/* SPDX-License-Identifier: MIT */
/* The monitor's commands: from a line to a command that runs. */
#include "vm/monitor_command.h"

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/string.h"

#define WORDS_MAX      8
#define MEM_MAX	       4096
#define MEM_DEFAULT    64
#define NEAR	       2 /* letters by which a wrong word may differ from the one meant */
#define COMMAND_LENGTH 16
#define JSON_OPTION    "--json"
#define VIEW_ALL       "all"

const struct monitor_command monitor_commands[] = {
	{"help",
	 {MONITOR_ARG_COMMAND},
	 "[COMMAND]",
	 "this list, or one command's usage",
	 monitor_step_help},
	{"vms", {0}, "", "the VMs and how they are", monitor_step_vms},
	{"vm", {MONITOR_ARG_VM}, "NAME", "all about one VM", monitor_step_vm},
	{"start", {MONITOR_ARG_VM}, "NAME", "start a VM that does not run", monitor_step_start},
	{"stop", {MONITOR_ARG_VM}, "NAME", "end a VM", monitor_step_stop},
	{"pause", {MONITOR_ARG_VM}, "NAME", "let a VM stand still", monitor_step_pause},
	{"resume", {MONITOR_ARG_VM}, "NAME", "let it go on", monitor_step_resume},
	{"reset", {MONITOR_ARG_VM}, "NAME", "end a VM and start it anew", monitor_step_reset},
	{"console",
	 {MONITOR_ARG_VIEW},
	 "NAME|all",
	 "leave the monitor for a VM's console",
	 monitor_step_console},
	{"stats",
	 {MONITOR_ARG_VM_OR_ALL},
	 "[NAME]",
	 "time of each vCPU, exits by reason",
	 monitor_step_stats},
	{"top", {0}, "", "who uses the CPU, each second, until a key", monitor_step_top},
	{"regs", {MONITOR_ARG_VCPU}, "NAME[/VCPU]", "registers of a vCPU", monitor_step_regs},
	{"mem",
	 {MONITOR_ARG_VM, MONITOR_ARG_ADDRESS, MONITOR_ARG_LENGTH},
	 "NAME GPA [LEN]",
	 "guest-physical memory, at most 4096 bytes",
	 monitor_step_mem},
	{"writes", {MONITOR_ARG_VM}, "NAME", "RAM written since asked last", monitor_step_writes},
	{"walk",
	 {MONITOR_ARG_VCPU, MONITOR_ARG_ADDRESS},
	 "NAME[/VCPU] GVA",
	 "the guest's page tables for an address",
	 monitor_step_walk},
	{"devices", {MONITOR_ARG_VM}, "NAME", "state of the devices", monitor_step_devices},
	{"screen", {MONITOR_ARG_VM}, "NAME", "its VGA's text screen", monitor_step_screen},
	{"irqs", {MONITOR_ARG_VM}, "NAME", "state of the interrupt controllers", monitor_step_irqs},
	{"log",
	 {MONITOR_ARG_LEVEL},
	 "[error|warn|info|debug]",
	 "Socle's log, or what goes into it from now on",
	 monitor_step_log},
	{"audit", {0}, "", "prove who owns which memory", monitor_step_audit},
	{"version", {0}, "", "what runs here", monitor_step_version},
	{"poweroff", {0}, "", "end all VMs and switch the machine off", monitor_step_poweroff},
	{"reboot", {0}, "", "end all VMs and reset the machine", monitor_step_reboot},
};
const unsigned monitor_command_count = ARRAY_SIZE(monitor_commands);

void monitor_line(struct monitor *monitor, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	outbuf_vprint(&monitor->out, fmt, args);
	va_end(args);
	outbuf_put(&monitor->out, "\r\n", 2);
}

bool monitor_fail(struct monitor *monitor, const char *fmt, ...)
{
	struct monitor_run *run = &monitor->run;
	va_list args;

	va_start(args, fmt);
	vformat(run->error.text, sizeof(run->error.text), fmt, args);
	va_end(args);
	run->failed = true;
	return false;
}

const char *monitor_state_name(enum monitor_state state)
{
	static const char *const names[MONITOR_STATES] = {
		[MONITOR_STARTING] = "starting", [MONITOR_RUNNING] = "running",
		[MONITOR_PAUSED] = "paused",	 [MONITOR_ENDED] = "ended",
		[MONITOR_STOPPED] = "stopped",	 [MONITOR_REFUSED] = "refused",
	};

	return state < MONITOR_STATES ? names[state] : "?";
}

const char *monitor_vcpu_state_name(enum monitor_vcpu_state state)
{
	static const char *const names[MONITOR_VCPU_STATES] = {
		[MONITOR_VCPU_RUNNING] = "run",	  [MONITOR_VCPU_READY] = "ready",
		[MONITOR_VCPU_HALTED] = "halted", [MONITOR_VCPU_WAITING] = "waiting for SIPI",
		[MONITOR_VCPU_PAUSED] = "paused",
	};

	return state < MONITOR_VCPU_STATES ? names[state] : "?";
}

const struct monitor_command *monitor_find(struct text name)
{
	for (unsigned i = 0; i < monitor_command_count; i++)
		if (text_equals(name, monitor_commands[i].name))
			return &monitor_commands[i];
	return NULL;
}

/* Levenshtein's distance, of words of at most COMMAND_LENGTH characters. */
static unsigned distance(struct text word, const char *name)
{
	unsigned row[COMMAND_LENGTH + 1], length = (unsigned)strlen(name);

	for (unsigned j = 0; j <= length; j++)
		row[j] = j;
	for (unsigned i = 1; i <= word.length; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= length; j++) {
			unsigned other = diagonal + (word.start[i - 1] != name[j - 1]);

			diagonal = row[j];
			row[j] = MIN(MIN(row[j], row[j - 1]) + 1, other);
		}
	}
	return row[length];
}

/* One letter in two may be wrong, but no more than NEAR. */
static bool is_near(struct text word, const char *name)
{
	unsigned letters = distance(word, name);

	return letters <= NEAR && 2 * letters <= word.length;
}

static bool begins_with(const char *name, struct text word)
{
	return word.length && strncmp(name, word.start, word.length) == 0;
}

static bool unknown_command(struct monitor *monitor, struct text word)
{
	char names[80] = "";
	size_t length = 0;

	for (unsigned i = 0; i < monitor_command_count && word.length <= COMMAND_LENGTH; i++) {
		const char *name = monitor_commands[i].name;

		if (begins_with(name, word) || is_near(word, name))
			length += format(names + length, sizeof(names) - length, "%s%s",
					 length ? ", " : "", name);
	}
	if (length)
		return monitor_fail(monitor, "'%s' is no command; did you mean %s?",
				    text_show(word).text, names);
	return monitor_fail(monitor, "'%s' is no command; 'help' lists them", text_show(word).text);
}

/* The VM of that name; its number, or vms when there is none. */
static unsigned find_vm(struct monitor *monitor, struct text name)
{
	unsigned vms = monitor->ops->vms(monitor->ctx);
	struct monitor_vm info;

	for (unsigned i = 0; i < vms; i++) {
		monitor->ops->vm(monitor->ctx, i, &info);
		if (text_equals(name, info.name))
			return i;
	}
	return vms;
}

static bool take_vm(struct monitor *monitor, struct text name)
{
	unsigned vms = monitor->ops->vms(monitor->ctx);

	monitor->run.vm = find_vm(monitor, name);
	if (monitor->run.vm < vms)
		return true;
	return monitor_fail(monitor, "no VM is named '%s'; 'vms' lists them", text_show(name).text);
}

/* A name may have a slash of its own: the number follows the last one. */
static bool take_vcpu(struct monitor *monitor, struct text word)
{
	struct monitor_run *run = &monitor->run;
	struct text name = word, number = {0};
	struct monitor_vm info;
	uint64_t cpu = 0;

	for (size_t i = word.length; i-- && !number.start;) {
		if (word.start[i] != '/')
			continue;
		name.length = i;
		number = (struct text){word.start + i + 1, word.length - i - 1};
	}
	if (number.start && find_vm(monitor, word) == monitor->ops->vms(monitor->ctx)) {
		if (!text_number(number, UINT32_MAX, &cpu))
			return monitor_fail(monitor, "'%s' is no vCPU: want NAME/NUMBER",
					    text_show(word).text);
	} else {
		name = word;
	}
	if (!take_vm(monitor, name))
		return false;
	monitor->ops->vm(monitor->ctx, run->vm, &info);
	if (cpu >= info.cpus)
		return monitor_fail(monitor, "VM %s has vCPUs 0 to %u", info.name, info.cpus - 1);
	run->cpu = (unsigned)cpu;
	return true;
}

/* Addresses are hexadecimal, with or without 0x. */
static bool take_address(struct monitor *monitor, struct text word)
{
	char text[24] = "0x";

	if (word.length > 2 && word.start[0] == '0' && word.start[1] == 'x')
		word = (struct text){word.start + 2, word.length - 2};
	if (word.length <= 16) {
		memcpy(text + 2, word.start, word.length);
		if (text_number(text_from(text, sizeof(text)), UINT64_MAX, &monitor->run.address))
			return true;
	}
	return monitor_fail(monitor, "'%s' is no address: want a hexadecimal number",
			    text_show(word).text);
}

static bool take_length(struct monitor *monitor, struct text word)
{
	if (text_number(word, MEM_MAX, &monitor->run.length) && monitor->run.length)
		return true;
	return monitor_fail(monitor, "'%s' is no length: want 1 to %u bytes", text_show(word).text,
			    MEM_MAX);
}

static bool take_level(struct monitor *monitor, struct text word)
{
	enum log_level level = LOG_ERROR;

	monitor->run.has_level = log_level_parse(text_show(word).text, &level);
	monitor->run.level = level;
	if (monitor->run.has_level)
		return true;
	return monitor_fail(monitor, "'%s' is no level: want error, warn, info or debug",
			    text_show(word).text);
}

static bool take_topic(struct monitor *monitor, struct text word)
{
	monitor->run.topic = monitor_find(word);
	return monitor->run.topic || unknown_command(monitor, word);
}

static bool take_view(struct monitor *monitor, struct text word)
{
	unsigned vms = monitor->ops->vms(monitor->ctx);

	monitor->run.all = text_equals(word, VIEW_ALL) && find_vm(monitor, word) == vms;
	return monitor->run.all || take_vm(monitor, word);
}

static bool take_argument(struct monitor *monitor, enum monitor_argument kind, struct text word)
{
	switch (kind) {
	case MONITOR_ARG_NONE: break;
	case MONITOR_ARG_VM:
	case MONITOR_ARG_VM_OR_ALL: return take_vm(monitor, word);
	case MONITOR_ARG_VIEW: return take_view(monitor, word);
	case MONITOR_ARG_VCPU: return take_vcpu(monitor, word);
	case MONITOR_ARG_ADDRESS: return take_address(monitor, word);
	case MONITOR_ARG_LENGTH: return take_length(monitor, word);
	case MONITOR_ARG_LEVEL: return take_level(monitor, word);
	case MONITOR_ARG_COMMAND: return take_topic(monitor, word);
	}
	return false;
}

static bool is_optional(enum monitor_argument kind)
{
	return kind == MONITOR_ARG_VM_OR_ALL || kind == MONITOR_ARG_LENGTH ||
	       kind == MONITOR_ARG_LEVEL || kind == MONITOR_ARG_COMMAND;
}

static bool usage(struct monitor *monitor, const struct monitor_command *command)
{
	return monitor_fail(monitor, "usage: %s%s%s", command->name, *command->usage ? " " : "",
			    command->usage);
}

static bool take_arguments(struct monitor *monitor, const struct monitor_command *command,
			   const struct text *word, unsigned words)
{
	unsigned used = 0;

	monitor->run.length = MEM_DEFAULT;
	for (unsigned i = 0; i < MONITOR_ARGS_MAX && command->args[i] != MONITOR_ARG_NONE; i++) {
		if (used == words && is_optional(command->args[i])) {
			monitor->run.all = command->args[i] == MONITOR_ARG_VM_OR_ALL;
			continue;
		}
		if (used == words)
			return usage(monitor, command);
		if (!take_argument(monitor, command->args[i], word[used++]))
			return false;
	}
	return used == words || usage(monitor, command);
}

/* Parts the line into words but --json; their number, WORDS_MAX when there are more. */
static unsigned split(struct text line, struct text word[WORDS_MAX], bool *json)
{
	unsigned words = 0;

	while (words < WORDS_MAX && text_word(&line, &word[words])) {
		if (text_equals(word[words], JSON_OPTION))
			*json = true;
		else
			words++;
	}
	return words;
}

static bool is_name(struct text word)
{
	for (size_t i = 0; i < word.length; i++)
		if (word.start[i] < '!' || word.start[i] > '~')
			return false;
	return word.length != 0;
}

/* The last line of a command: its error, or the object that says that it is done. */
static void put_end(struct monitor *monitor, const char *name)
{
	const struct monitor_run *run = &monitor->run;
	struct json json;

	if (run->json) {
		json = json_begin(&monitor->out);
		json_string(&json, "done", name);
		json_bool(&json, "ok", !run->failed);
		if (run->failed)
			json_string(&json, "error", run->error.text);
		json_end(&json);
	} else if (run->failed) {
		outbuf_put(&monitor->out, run->error.text, strlen(run->error.text));
		outbuf_put(&monitor->out, "\r\n", 2);
	}
}

void monitor_finish(struct monitor *monitor)
{
	struct monitor_run *run = &monitor->run;

	if (!run->ended)
		put_end(monitor, run->command->name);
	memset(run, 0, sizeof(*run));
}

void monitor_begin(struct monitor *monitor, const char *line)
{
	struct text word[WORDS_MAX];
	struct monitor_run *run = &monitor->run;
	const struct monitor_command *command;
	unsigned words;

	memset(run, 0, sizeof(*run));
	words = split(text_from(line, LINEEDIT_MAX), word, &run->json);
	if (!words && !run->json)
		return;
	if (!words)
		word[0] = (struct text){JSON_OPTION, sizeof(JSON_OPTION) - 1};
	command = is_name(word[0]) ? monitor_find(word[0]) : NULL;
	if (!command)
		unknown_command(monitor, word[0]);
	else if (take_arguments(monitor, command, word + 1, words - 1))
		run->command = command;
	if (run->failed) {
		put_end(monitor, command ? command->name : text_show(word[0]).text);
		memset(run, 0, sizeof(*run));
	}
}

/* Completion. */

struct candidates {
	struct text start; /* what was typed of the word */
	unsigned index;	   /* of those that are still to be passed over */
	char *word;
};

/* Whether this is the one that was asked for. */
static bool offer(struct candidates *c, const char *word)
{
	if (strlen(word) >= LINEEDIT_WORD || strlen(word) < c->start.length ||
	    (c->start.length && memcmp(word, c->start.start, c->start.length)))
		return false;
	if (c->index--)
		return false;
	format(c->word, LINEEDIT_WORD, "%s", word);
	return true;
}

static bool offer_vms(struct monitor *monitor, struct candidates *c, bool vcpus)
{
	unsigned vms = monitor->ops->vms(monitor->ctx);
	struct monitor_vm info;
	char name[LINEEDIT_WORD];

	for (unsigned i = 0; i < vms; i++) {
		monitor->ops->vm(monitor->ctx, i, &info);
		if (offer(c, info.name))
			return true;
		for (unsigned cpu = 0; vcpus && info.cpus > 1 && cpu < info.cpus; cpu++) {
			format(name, sizeof(name), "%s/%u", info.name, cpu);
			if (offer(c, name))
				return true;
		}
	}
	return false;
}

static bool offer_commands(struct candidates *c)
{
	for (unsigned i = 0; i < monitor_command_count; i++)
		if (offer(c, monitor_commands[i].name))
			return true;
	return false;
}

static bool offer_levels(struct candidates *c)
{
	for (enum log_level level = LOG_ERROR; level <= LOG_DEBUG; level++)
		if (offer(c, log_level_name(level)))
			return true;
	return false;
}

static bool offer_argument(struct monitor *monitor, enum monitor_argument kind,
			   struct candidates *c)
{
	switch (kind) {
	case MONITOR_ARG_VM:
	case MONITOR_ARG_VM_OR_ALL: return offer_vms(monitor, c, false);
	case MONITOR_ARG_VIEW: return offer_vms(monitor, c, false) || offer(c, VIEW_ALL);
	case MONITOR_ARG_VCPU: return offer_vms(monitor, c, true);
	case MONITOR_ARG_LEVEL: return offer_levels(c);
	case MONITOR_ARG_COMMAND: return offer_commands(c);
	default: return false;
	}
}

bool monitor_complete(void *ctx, const char *line, size_t length, unsigned index,
		      char word[LINEEDIT_WORD])
{
	struct text rest = {line, length}, before[WORDS_MAX];
	struct candidates c = {.index = index, .word = word};
	const struct monitor_command *command;
	bool json = false;
	unsigned words;

	while (c.start.length < length && line[length - 1 - c.start.length] != ' ')
		c.start.length++;
	c.start.start = line + length - c.start.length;
	rest.length -= c.start.length;
	words = split(rest, before, &json);
	if (!words)
		return offer_commands(&c);
	command = monitor_find(before[0]);
	if (!command)
		return false;
	if (words <= MONITOR_ARGS_MAX && offer_argument(ctx, command->args[words - 1], &c))
		return true;
	return c.start.length && !json && offer(&c, JSON_OPTION);
}
