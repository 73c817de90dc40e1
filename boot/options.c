/* SPDX-License-Identifier: MIT */
/* Boot options. */
#include "boot/options.h"

#include <stddef.h>

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/parse.h"
#include "lib/string.h"

/* The options' values: words in the order of their enums, or numbers up to a limit. */
#define AT_END_WORDS	  "wait\0poweroff\0reboot\0"
#define LOG_WORDS	  "error\0warn\0info\0debug\0"
#define VMS_WORDS	  "together\0in-turn\0"
#define CHECK_WORDS	  "always\0"
#define MITIGATIONS_WORDS "auto\0off\0on\0"
_Static_assert(AT_END_REBOOT == 2 && MITIGATIONS_ON == 2 && LOG_DEBUG == 3 &&
		       FAULT_ENTRY_GUEST == 7,
	       "the words' order");
#define REPEAT_MAX 1000000

enum key { AT_END, LOG, VMS, ENTRYCHECK, MITIGATIONS, FAULT, REPEAT, CORES };

static const struct {
	char key[12];
	uint32_t number;   /* the most; of words, what the first stands for */
	const char *words; /* NULL: a number */
} known[] = {
	[AT_END] = {"at-end", 0, AT_END_WORDS},
	[LOG] = {"log", 0, LOG_WORDS},
	[VMS] = {"vms", 0, VMS_WORDS},
	[ENTRYCHECK] = {"entrycheck", true, CHECK_WORDS},
	[MITIGATIONS] = {"mitigations", 0, MITIGATIONS_WORDS},
	[FAULT] = {"fault", FAULT_DEAD, fault_words},
	[REPEAT] = {"repeat", REPEAT_MAX, NULL},
	[CORES] = {"cores", CORES_MAX, NULL},
};

static void set(struct options *options, enum key key, unsigned value)
{
	switch (key) {
	case AT_END: options->at_end = (enum at_end)value; break;
	case LOG: options->log = (enum log_level)value; break;
	case VMS: options->in_turn = value; break;
	case ENTRYCHECK: options->check_entries = value; break;
	case MITIGATIONS: options->mitigations = (enum mitigations)value; break;
	case FAULT: options->fault = (enum fault)value; break;
	case REPEAT: options->repeat = value; break;
	case CORES: options->cores = value; break;
	}
}

/* "wait, poweroff or so": all words of the list. */
static bool bad_word(struct error *error, unsigned key, const char *value)
{
	char list[160];
	size_t length = 0;

	for (const char *word = known[key].words; *word; word += strlen(word) + 1)
		length += format(list + length, sizeof(list) - length, " %s", word);
	return error_set(error, "boot option %s=%s: want one of:%s", known[key].key, value, list);
}

static bool parse_value(struct options *options, unsigned key, const char *value,
			struct error *error)
{
	uint64_t number = known[key].number;

	if (!known[key].words) {
		if (!text_number(text_from(value, strlen(value)), known[key].number, &number) ||
		    !number)
			return error_set(error, "boot option %s=%s: want a number from 1 to %u",
					 known[key].key, value, known[key].number);
		set(options, (enum key)key, (unsigned)number);
		return true;
	}
	for (const char *word = known[key].words; *word; word += strlen(word) + 1, number++)
		if (strcmp(word, value) == 0) {
			set(options, (enum key)key, (unsigned)number);
			return true;
		}
	return bad_word(error, key, value);
}

static bool parse_option(struct options *options, const char *key, const char *value,
			 struct error *error)
{
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(key, known[i].key) == 0)
			return parse_value(options, i, value, error);
	if (strcmp(key, "without") != 0)
		return error_set(error,
				 "boot option %s: unknown; known are at-end=, cores=, entrycheck=, "
				 "fault=, log=, mitigations=, repeat=, vms= and without=",
				 key);
	format(options->without, sizeof(options->without), "%s", value);
	return true;
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
