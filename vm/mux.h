/* SPDX-License-Identifier: MIT */
/*
 * The machine's console, shared: which of the VMs' consoles, the log and the monitor is seen, and
 * who gets what is typed.
 *
 * Three kinds of view: ALL, the lines of every VM, each beginning "[name] " when there are several
 * VMs, and nothing in them that would move a cursor; one VM's, its bytes as they are; the monitor.
 * A VM with a screen of text has two views of its own: what it says, lines of the screen among it,
 * until somebody asks for that VM by a key; from then on the screen as it stands.
 * Lines of the log are in every view, always at the margin and whole. Everything here runs on the
 * one core that owns the console; VMs on others only append to their struct vm_console, and to the
 * log's queue.
 *
 * A line of the log never overtakes what a VM said before it by more than MUX_BEFORE_LOG bytes.
 */
#ifndef VM_MUX_H
#define VM_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/log.h"
#include "vm/monitor.h"
#include "vm/mux_line.h"
#include "vm/screen.h"
#include "vm/vmconsole.h"

#define MUX_VMS_MAX    64
#define MUX_NAME_MAX   31
#define MUX_REPLAY     4096 /* bytes of scroll-back on entering a VM's view */
#define MUX_BACKLOG    2048 /* bytes of each VM that ALL catches up with */
#define MUX_BEFORE_LOG 4096
#define MUX_ROOM_MIN   1024 /* with less room nothing is moved */
#define MUX_KEY	       0x01 /* Ctrl-A */

struct mux_ops {
	/* To the machine, as it stands. Only called for as much as there was room. */
	void (*put)(void *ctx, const char *text, size_t length);
	/* VM `vm`: its console has room again, or something was typed for it. */
	void (*room)(void *ctx, unsigned vm);
	void (*typed)(void *ctx, unsigned vm);
};

enum mux_kind { MUX_ALL, MUX_VM, MUX_MONITOR };

struct mux_view {
	enum mux_kind kind;
	unsigned vm; /* if MUX_VM */
};

struct mux_vm {
	struct vm_console *console; /* NULL: this VM has none now */
	struct screen *screen;	    /* NULL: it has none */
	char name[MUX_NAME_MAX + 1];
	bool closing;	     /* it says no more */
	uint64_t at;	     /* taken up to here */
	uint64_t before_log; /* what it said before the log line that is due */
	log_position after;  /* not shown before the log is taken up to here */
	struct mux_line line;
};

struct mux {
	const struct mux_ops *ops;
	void *ctx;
	struct monitor *monitor; /* NULL: none */
	unsigned vms;		 /* in the description */
	uint64_t hold;		 /* ticks that a partial line waits for its rest */
	uint64_t there;		 /* mask of the VMs that have a console */
	struct mux_vm vm[MUX_VMS_MAX];
	struct mux_view view;
	struct mux_view before; /* the monitor */
	bool live;		/* somebody is there: a VM with a screen is seen by it */
	struct screen *drawn;	/* the terminal shows this */
	size_t room;
	unsigned turn;	     /* the VM whose turn it is */
	bool mid_line;	     /* the cursor is not at the margin */
	unsigned writer;     /* the VM whose line is open in ALL, or MUX_VMS_MAX */
	bool escapes;	     /* this view showed an escape sequence of a guest */
	bool plain;	     /* the attributes that a guest set are to be reset */
	bool hidden;	     /* the monitor's prompt is off the screen */
	bool hurry;	     /* nothing is held back */
	bool key;	     /* the last key was Ctrl-A */
	unsigned told;	     /* the VM that was named as the one that gets keys in ALL; + 1 */
	bool full;	     /* a VM does not take what is typed ... */
	uint64_t full_since; /* ... since this tick */
	bool log_due;
	log_position log_until;
	size_t before_log; /* bytes of VMs that may still go before it */
	uint64_t log_lost;
	char note[2048]; /* Socle's own words about the console, to go out */
	size_t note_length, note_written;
};

/*
 * `vms`: how many are described: with one, its view is the first, raw, and no line has a prefix.
 * hz: ticks a second of every `now` here. monitor may be NULL; ops, ctx, monitor stay the caller's.
 */
void mux_init(struct mux *mux, const struct mux_ops *ops, void *ctx, struct monitor *monitor,
	      unsigned vms, uint64_t hz);

/*
 * VM number `vm` (its place in the description, below MUX_VMS_MAX; the others are not shown) has a
 * console, which stays until mux_remove_vm. What is in the log by now is shown before its output.
 */
void mux_add_vm(struct mux *mux, unsigned vm, const char *name, struct vm_console *console);
/* The VM has a screen, which stays as long; changes to it are shown when mux_drain is called. */
void mux_add_screen(struct mux *mux, unsigned vm, struct screen *screen);
/* The screen that is seen, NULL for none. */
const struct screen *mux_live_screen(const struct mux *mux);
/* The VM says no more: what it said last is not held back for the rest of its line. */
void mux_close_vm(struct mux *mux, unsigned vm);
/*
 * After that: whether all that it said is out (as far as the view shows it). When true, log its
 * verdict and call mux_remove_vm.
 */
bool mux_drained(const struct mux *mux, unsigned vm);
/* The console is no longer used. What is not out by then goes out now, whatever the room. */
void mux_remove_vm(struct mux *mux, unsigned vm, uint64_t now);

/*
 * Moves what there is to the machine, at most `room` bytes of it. True: there is more, which waits
 * for room only. Call it when told by vm_console_put or the log, when the machine has room again,
 * after mux_input, and at mux_next_event.
 */
bool mux_drain(struct mux *mux, size_t room, uint64_t now);
/* Everything that is waiting goes out, whatever the room: before the machine ends. */
void mux_flush(struct mux *mux, uint64_t now);
/* The tick at which mux_drain is wanted though nobody said anything, UINT64_MAX for never. */
uint64_t mux_next_event(const struct mux *mux);

/* Whether a byte that was typed can be taken. Else it stays with the machine for now. */
bool mux_can_input(struct mux *mux, uint64_t now);
/* A byte that was typed. */
void mux_input(struct mux *mux, uint8_t byte, uint64_t now);

void mux_show(struct mux *mux, struct mux_view view);

#endif
