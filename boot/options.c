/* SPDX-License-Identifier: MIT */
/* Boot options. */
#include "boot/options.h"

#include <stddef.h>

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/parse.h"
#include "lib/string.h"

/* Which of the words it is; false: none. Words may be NULL. */
static bool find_word(const char *const *words, unsigned count, const char *value, unsigned *index)
{
	for (*index = 0; *index < count; ++*index)
		if (words[*index] && strcmp(value, words[*index]) == 0)
			return true;
	return false;
}

static bool parse_at_end(struct options *options, const char *value)
{
	static const char *const words[] = {
		[AT_END_WAIT] = "wait", [AT_END_POWEROFF] = "poweroff", [AT_END_REBOOT] = "reboot"};
	unsigned index;

	if (!find_word(words, ARRAY_SIZE(words), value, &index))
		return false;
	options->at_end = (enum at_end)index;
	return true;
}

static bool parse_cores(struct options *options, const char *value)
{
	uint64_t cores;

	if (!text_number(text_from(value, strlen(value)), CORES_MAX, &cores) || !cores)
		return false;
	options->cores = (unsigned)cores;
	return true;
}

static bool parse_mitigations(struct options *options, const char *value)
{
	static const char *const words[] = {
		[MITIGATIONS_AUTO] = "auto", [MITIGATIONS_OFF] = "off", [MITIGATIONS_ON] = "on"};
	unsigned index;

	if (!find_word(words, ARRAY_SIZE(words), value, &index))
		return false;
	options->mitigations = (enum mitigations)index;
	return true;
}

#define REPEAT_MAX 1000000

static bool parse_repeat(struct options *options, const char *value)
{
	uint64_t times;

	if (!text_number(text_from(value, strlen(value)), REPEAT_MAX, &times) || !times)
		return false;
	options->repeat = (unsigned)times;
	return true;
}

static bool parse_vms(struct options *options, const char *value)
{
	options->in_turn = strcmp(value, "in-turn") == 0;
	return options->in_turn || strcmp(value, "together") == 0;
}

static bool parse_fault(struct options *options, const char *value)
{
	static const char *const words[] = {[FAULT_HANG] = "hang",
					    [FAULT_PANIC] = "panic-ap",
					    [FAULT_PANIC_ALL] = "panic-all",
					    [FAULT_DEAD] = "dead-ap",
					    [FAULT_LATE] = "late-ap",
					    [FAULT_MTRR] = "mtrr",
					    [FAULT_TSC] = "tsc",
					    [FAULT_CALLS] = "calls"};
	unsigned index;

	if (!find_word(words, ARRAY_SIZE(words), value, &index))
		return false;
	options->fault = (enum fault)index;
	return true;
}

static bool parse_option(struct options *options, const char *key, const char *value,
			 struct error *error)
{
	if (strcmp(key, "at-end") == 0)
		return parse_at_end(options, value) ||
		       error_set(error, "boot option at-end=%s: poweroff, reboot or wait is right",
				 value);
	if (strcmp(key, "log") == 0)
		return log_level_parse(value, &options->log) ||
		       error_set(error, "boot option log=%s: error, warn, info or debug is right",
				 value);
	if (strcmp(key, "without") == 0) {
		format(options->without, sizeof(options->without), "%s", value);
		return true;
	}
	if (strcmp(key, "vms") == 0)
		return parse_vms(options, value) ||
		       error_set(error, "boot option vms=%s: together or in-turn is right", value);
	if (strcmp(key, "repeat") == 0)
		return parse_repeat(options, value) ||
		       error_set(error, "boot option repeat=%s: want a number from 1 to %u", value,
				 REPEAT_MAX);
	if (strcmp(key, "cores") == 0)
		return parse_cores(options, value) ||
		       error_set(error, "boot option cores=%s: want a number from 1 to %u", value,
				 CORES_MAX);
	if (strcmp(key, "mitigations") == 0)
		return parse_mitigations(options, value) ||
		       error_set(error, "boot option mitigations=%s: auto, off or on is right",
				 value);
	if (strcmp(key, "fault") == 0)
		return parse_fault(options, value) ||
		       error_set(error,
				 "boot option fault=%s: hang, panic-ap, panic-all, calls, "
				 "dead-ap, late-ap, mtrr or tsc is right",
				 value);
	return error_set(
		error,
		"boot option %s: unknown; known are at-end=, cores=, fault=, log=, mitigations=, "
		"repeat=, vms= "
		"and without=",
		key);
}

bool options_parse(struct options *options, const char *cmdline, struct error *error)
{
	bool ok = true;

	*options = (struct options){.at_end = AT_END_WAIT, .log = LOG_INFO};
	while (*cmdline) {
		char word[192];
		size_t length = 0;
		char *value;

		while (cmdline[length] && cmdline[length] != ' ')
			length++;
		format(word, sizeof(word), "%.*s", (int)length, cmdline);
		cmdline += length;
		while (*cmdline == ' ')
			cmdline++;
		value = strchr(word, '=');
		if (value)
			*value++ = '\0';
		/* One bad word does not undo the others: at-end must count even then. */
		if (word[0] && !parse_option(options, word, value ? value : "", error))
			ok = false;
	}
	return ok;
}

bool options_without(const struct options *options, const char *word)
{
	const char *at = options->without;
	size_t length = strlen(word);

	while (at && *at) {
		if (strncmp(at, word, length) == 0 && (at[length] == ',' || !at[length]))
			return true;
		at = strchr(at, ',');
		if (at)
			at++;
	}
	return false;
}
