/* SPDX-License-Identifier: MIT */
/* Socle's own command line: words of the form key=value after multiboot2's file name. */
#ifndef BOOT_OPTIONS_H
#define BOOT_OPTIONS_H

#include <stdbool.h>

#include "lib/error.h"
#include "lib/log.h"
#include "vmx/speculation.h"

#define CORES_MAX 32 /* the most that Socle uses */

enum at_end { AT_END_WAIT, AT_END_POWEROFF, AT_END_REBOOT };

/* Faults made on purpose, to see them dealt with: tests/faults/. */
enum fault {
	FAULT_NONE,
	FAULT_DEAD, /* from here on while the cores start */
	FAULT_LATE,
	FAULT_MTRR,
	FAULT_TSC,
	FAULT_ENTRY_CONTROLS, /* from here on before each VM entry */
	FAULT_ENTRY_HOST,
	FAULT_ENTRY_GUEST,
	FAULT_HANG, /* from here on in build/faults.elf only */
	FAULT_PANIC,
	FAULT_PANIC_ALL,
	FAULT_CALLS,
	FAULT_NMIS,
	FAULT_MC,
	FAULT_MC_EXIT,
	FAULT_MC_ENTRY,
	FAULT_STACK,
	FAULT_CR,
	FAULT_SMASH,
	FAULT_VMREAD
};
/* Their words, in this order: boot/fault.c. */
#define FAULT_WORDS "dead-ap\0late-ap\0mtrr\0tsc\0entry-controls\0entry-host\0entry-guest\0"
extern const char fault_words[];

struct options {
	enum at_end at_end;
	enum log_level log;
	bool in_turn;	 /* the VMs run one after another */
	unsigned repeat; /* each VM that passes starts again until it has run so often; 0: once */
	enum mitigations mitigations;
	unsigned cores;	    /* use so many at most; 0: all */
	bool check_entries; /* by all rules, before each VM entry */
	enum fault fault;
	char without[160]; /* CPU features to do without: see vmx_caps_init */
};

/* Defaults for what is not given. False: a word is unknown or its value is; `error` names it. */
bool options_parse(struct options *options, const char *cmdline, struct error *error);

/* Whether `word` is in options->without. */
bool options_without(const struct options *options, const char *word);

#endif
