/* SPDX-License-Identifier: MIT */
/*
 * The monitor: the commands by which somebody at the machine's console governs the VMs.
 *
 * It runs on the core that owns the console and never waits: keys go in, text comes out by
 * monitor_pump as far as there is room, and a long answer is made a few lines at a time. With
 * --json an answer is one object a line, the last one {"done":COMMAND,"ok":...}.
 */
#ifndef VM_MONITOR_H
#define VM_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vm/lineedit.h"
#include "vm/monitor_ops.h"
#include "vm/outbuf.h"

/* Of text that waits to go out; one step of a command makes no more than this. */
#define MONITOR_OUT	   8192
#define MONITOR_TYPE_AHEAD 512
#define MONITOR_NAME_MAX   31
#define MONITOR_VMS_MAX	   64
#define MONITOR_CPUS_MAX   PC_CPUS_MAX

/* Where the console goes after a command; for who owns the views. */
enum monitor_wish { MONITOR_STAY, MONITOR_LEAVE, MONITOR_SHOW_VM, MONITOR_SHOW_ALL };

struct monitor_command;

/* The command that runs; see vm/monitor_command.h. */
struct monitor_run {
	const struct monitor_command *command; /* NULL: none */
	bool json;
	bool failed;  /* and `error` says why */
	bool waiting; /* for the next refresh */
	bool ended;   /* its last line is out already */
	struct error error;
	unsigned vm, cpu;		     /* what its argument named */
	bool all;			     /* it named none: all of them */
	bool has_level;			     /* a log level was named ... */
	unsigned level;			     /* ... this one */
	const struct monitor_command *topic; /* of help; NULL: all */
	uint64_t address, length;
	unsigned row, part; /* how far it is */
	uint64_t at;	    /* a command's own */
};

/* What `top` knew at its last look. */
struct monitor_top {
	uint64_t when, next; /* host ticks */
	bool seen;	     /* there was a last look */
	uint64_t run[MONITOR_VMS_MAX][MONITOR_CPUS_MAX];
};

struct monitor {
	const struct monitor_ops *ops;
	void *ctx;
	struct lineedit edit;
	bool active;  /* shown: has a prompt or runs a command */
	bool editing; /* the prompt is on the screen */
	struct monitor_run run;
	struct monitor_top top;
	enum monitor_wish wish;
	unsigned wish_vm;
	uint8_t ahead[MONITOR_TYPE_AHEAD]; /* typed before its turn */
	unsigned aheads;
	struct outbuf out;
	size_t written; /* of out, by monitor_pump */
	char text[MONITOR_OUT];
};

/* ops and ctx stay the caller's. The struct is big: no place for a stack. */
void monitor_init(struct monitor *monitor, const struct monitor_ops *ops, void *ctx);

/* The console shows the monitor from now on, or something else. */
void monitor_enter(struct monitor *monitor);
void monitor_leave(struct monitor *monitor);

/* A key. */
void monitor_key(struct monitor *monitor, uint8_t byte);
/* Lets `top` refresh; now in host ticks. */
void monitor_tick(struct monitor *monitor, uint64_t now);
/* When that is wanted, UINT64_MAX for never. */
uint64_t monitor_next_event(const struct monitor *monitor);

/* Puts out at most `room` bytes, and goes on with the command. True: there is more. */
bool monitor_pump(struct monitor *monitor, size_t room,
		  void (*put)(void *ctx, const char *text, size_t length), void *ctx);

/* Whether another line may be put out now without breaking one of the monitor's. */
bool monitor_between_lines(const struct monitor *monitor);
/* Around that: takes the prompt off the screen and brings it back, by monitor_pump. */
void monitor_hide(struct monitor *monitor);
void monitor_show(struct monitor *monitor);

/* What was typed behind the line that left the monitor, a byte at a time. */
bool monitor_take_ahead(struct monitor *monitor, uint8_t *byte);

/* What the last command wants of the views, once. */
enum monitor_wish monitor_take_wish(struct monitor *monitor, unsigned *vm);

#endif
