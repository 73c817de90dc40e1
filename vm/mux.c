/* SPDX-License-Identifier: MIT */
/*
 * The multiplexer of the machine's console.
 *
 * mux_drain() takes steps while there is room for the longest one: a line of the mux's own, a line
 * of the log, a piece of a VM's output, a piece of the monitor's. A step leaves `mid_line` right,
 * so that whoever writes next can begin at the margin.
 */
#include "vm/mux.h"

#include <stdarg.h>

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"

#define NOBODY	       MUX_VMS_MAX
#define HOLD_PER_S     20 /* a partial line waits for 50 ms */
#define RAW_PIECE      64
#define TAKE_PIECE     48
#define ESC	       0x1B
#define ATTRIBUTES_OFF "\x1b[0m"
#define KEYS_HINT      "Ctrl-A ? helps"
_Static_assert(MUX_VMS_MAX == 64, "they are the bits of mux->there");
_Static_assert(MUX_ROOM_MIN >= LOG_LINE_MAX + 64, "a line of the log is one step");
_Static_assert(MUX_ROOM_MIN >= MUX_LINE_MAX + MUX_NAME_MAX + 16, "a line of a VM is one step");
_Static_assert(MUX_ROOM_MIN >= RAW_PIECE + 16, "a raw piece is one step");

static void put(struct mux *mux, const void *bytes, size_t length)
{
	const char *text = bytes;

	if (!length)
		return;
	mux->room -= MIN(mux->room, length);
	mux->ops->put(mux->ctx, text, length);
	/* A CR alone leaves what stands on the line. */
	while (length && text[length - 1] == '\r')
		length--;
	if (length)
		mux->mid_line = text[length - 1] != '\n';
}

static void put_string(struct mux *mux, const char *text)
{
	put(mux, text, strlen(text));
}

/* The line that is open, whoever's it is, ends here. */
static void to_margin(struct mux *mux)
{
	if (mux->writer != NOBODY) {
		mux->vm[mux->writer].line.broken = true;
		mux->writer = NOBODY;
	}
	if (mux->drawn) {
		char text[SCREEN_STEP];

		put(mux, text, screen_leave(mux->drawn, text));
		screen_forget(mux->drawn, false);
		mux->drawn = NULL;
		mux->mid_line = false;
	}
	if (mux->mid_line)
		put_string(mux, "\r\n");
}

/* A line of Socle's own about the console; what does not fit any more is left out. */
static void __attribute__((format(printf, 2, 3))) note(struct mux *mux, const char *fmt, ...)
{
	char line[160];
	size_t length;
	va_list args;

	va_start(args, fmt);
	length = vformat(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	line[length++] = '\n';
	if (length > sizeof(mux->note) - mux->note_length)
		return;
	memcpy(mux->note + mux->note_length, line, length);
	mux->note_length += length;
}

/* The first VM from `vm` on that has a console, NOBODY when there is none. */
static unsigned next_there(const struct mux *mux, unsigned vm)
{
	uint64_t left = vm < MUX_VMS_MAX ? mux->there >> vm << vm : 0;

	return left ? (unsigned)__builtin_ctzll(left) : NOBODY;
}

#define for_each_vm(mux, i) \
	for (unsigned i = next_there(mux, 0); i < NOBODY; i = next_there(mux, i + 1))

static struct screen *live_screen(const struct mux *mux)
{
	const struct mux_vm *v = &mux->vm[mux->view.vm];

	return mux->live && mux->view.kind == MUX_VM && v->console ? v->screen : NULL;
}

const struct screen *mux_live_screen(const struct mux *mux)
{
	return live_screen(mux);
}

/* Whether what it says is. */
static bool visible(const struct mux *mux, unsigned vm)
{
	return mux->vm[vm].console &&
	       (mux->view.kind == MUX_ALL ||
		(mux->view.kind == MUX_VM && mux->view.vm == vm && !live_screen(mux)));
}

void mux_init(struct mux *mux, const struct mux_ops *ops, void *ctx, struct monitor *monitor,
	      unsigned vms, uint64_t hz)
{
	memset(mux, 0, sizeof(*mux));
	mux->ops = ops;
	mux->ctx = ctx;
	mux->monitor = monitor;
	mux->vms = vms;
	mux->hold = hz / HOLD_PER_S;
	mux->writer = NOBODY;
	mux->view.kind = vms == 1 ? MUX_VM : MUX_ALL;
	mux->before = mux->view;
}

/* Who waits for room is told when there is some, or when nobody looks at it any more. */
static void take(struct mux *mux, unsigned vm, uint64_t at)
{
	mux->vm[vm].at = at;
	if (vm_console_take(mux->vm[vm].console, at))
		mux->ops->room(mux->ctx, vm);
}

static void watch(struct mux *mux, unsigned vm)
{
	struct mux_vm *v = &mux->vm[vm];

	if (!v->console)
		return;
	vm_console_watch(v->console, visible(mux, vm));
	take(mux, vm, v->at);
}

void mux_add_vm(struct mux *mux, unsigned vm, const char *name, struct vm_console *console)
{
	struct mux_vm *v;

	if (vm >= MUX_VMS_MAX)
		return;
	v = &mux->vm[vm];
	memset(v, 0, sizeof(*v));
	format(v->name, sizeof(v->name), "%s", name);
	v->console = console;
	mux->there |= BIT(vm);
	v->at = console->tail; /* where it was left, if it was here before */
	v->after = log_end();
	watch(mux, vm);
}

void mux_add_screen(struct mux *mux, unsigned vm, struct screen *screen)
{
	if (vm >= MUX_VMS_MAX || !mux->vm[vm].console)
		return;
	mux->vm[vm].screen = screen;
	watch(mux, vm);
	if (!live_screen(mux))
		note(mux, "console: VM %s has a screen: Ctrl-A %u shows it; its lines come here",
		     mux->vm[vm].name, vm + 1);
}

void mux_close_vm(struct mux *mux, unsigned vm)
{
	if (vm < MUX_VMS_MAX)
		mux->vm[vm].closing = true;
}

bool mux_drained(const struct mux *mux, unsigned vm)
{
	const struct mux_vm *v;

	if (vm >= MUX_VMS_MAX || !visible(mux, vm))
		return true;
	v = &mux->vm[vm];
	return v->at >= vm_console_bytes(v->console) &&
	       (mux->view.kind == MUX_VM || mux_line_rest(&v->line) == MUX_NOTHING);
}

static void put_monitor(void *ctx, const char *text, size_t length)
{
	put(ctx, text, length);
}

/* Whether the monitor, if it is seen, has left the line; else a bit more of what it says is out. */
static bool monitor_aside(struct mux *mux)
{
	if (mux->view.kind != MUX_MONITOR)
		return true;
	if (!monitor_between_lines(mux->monitor)) {
		monitor_pump(mux->monitor, mux->room, put_monitor, mux);
		return false;
	}
	if (!mux->hidden) {
		mux->hidden = true;
		monitor_hide(mux->monitor);
		return false;
	}
	mux->mid_line = false;
	return true;
}

/* One line of the mux's own. */
static bool step_note(struct mux *mux)
{
	char *line = mux->note + mux->note_written;
	size_t length = 0;

	if (mux->note_written == mux->note_length)
		return false;
	if (!monitor_aside(mux))
		return true;
	if (mux->plain) {
		mux->plain = false;
		mux->ops->put(mux->ctx, ATTRIBUTES_OFF, sizeof(ATTRIBUTES_OFF) - 1);
	}
	while (line[length] != '\n')
		length++;
	to_margin(mux);
	put_string(mux, "socle: ");
	put(mux, line, length);
	put_string(mux, "\r\n");
	mux->note_written += length + 1;
	if (mux->note_written == mux->note_length)
		mux->note_written = mux->note_length = 0;
	return true;
}

/* A piece of `v`'s line, with what must stand before and after it. */
static void show_piece(struct mux *mux, unsigned vm, enum mux_piece piece)
{
	struct mux_vm *v = &mux->vm[vm];
	struct mux_line *line = &v->line;
	bool goes_on = mux->writer == vm, fresh = !goes_on || line->returned;
	uint8_t text[MUX_LINE_MAX];
	size_t length = mux_line_text(line, fresh, text);

	if (!goes_on && (length || (piece == MUX_END && !line->broken)))
		to_margin(mux);
	if (length && fresh && mux->vms > 1) {
		put_string(mux, "[");
		put_string(mux, v->name);
		put_string(mux, "] ");
	}
	put(mux, text, length);
	goes_on |= length != 0;
	line->returned = !length && line->returned;
	if (piece == MUX_END) {
		if (goes_on || !line->broken)
			put_string(mux, "\r\n");
		line->broken = line->returned = false;
		goes_on = false;
		line->column = 0;
	} else if (piece == MUX_RETURN && goes_on) {
		put_string(mux, "\r");
		line->returned = true;
	}
	if (goes_on)
		mux->writer = vm;
	else if (mux->writer == vm)
		mux->writer = NOBODY;
}

/* Bytes up to `limit` into the VM's line, until a piece of it is shown or nothing is left. */
static bool step_line(struct mux *mux, unsigned vm, uint64_t limit, uint64_t now)
{
	struct mux_vm *v = &mux->vm[vm];
	enum mux_piece piece = MUX_NOTHING;
	uint8_t bytes[TAKE_PIECE];
	uint64_t end = v->at, at;
	size_t length = vm_console_peek(v->console, &end, bytes,
					MIN(limit - v->at, (uint64_t)sizeof(bytes)));

	at = end - length;
	for (size_t i = 0; i < length && piece == MUX_NOTHING; i++) {
		bool taken;

		piece = mux_line_byte(&v->line, bytes[i], &taken);
		at += taken;
	}
	v->line.since = now;
	take(mux, vm, at);
	if (piece == MUX_NOTHING)
		return length != 0;
	show_piece(mux, vm, piece);
	mux->turn = (vm + 1) % MUX_VMS_MAX;
	return true;
}

static bool step_raw(struct mux *mux, unsigned vm, uint64_t limit)
{
	struct mux_vm *v = &mux->vm[vm];
	uint8_t bytes[RAW_PIECE];
	uint64_t at = v->at;
	size_t length = vm_console_peek(v->console, &at, bytes,
					MIN(limit - v->at, (uint64_t)sizeof(bytes)));

	for (size_t i = 0; i < length && !mux->escapes; i++)
		mux->escapes = bytes[i] == ESC;
	put(mux, bytes, length);
	take(mux, vm, at);
	return length != 0;
}

/* Up to which byte the VM may be shown now. */
static uint64_t limit_of(const struct mux *mux, unsigned vm)
{
	const struct mux_vm *v = &mux->vm[vm];

	if (!visible(mux, vm) || v->after > log_taken())
		return v->at;
	return mux->log_due ? MAX(v->at, v->before_log) : vm_console_bytes(v->console);
}

static bool step_vm(struct mux *mux, unsigned vm, uint64_t now)
{
	uint64_t limit = limit_of(mux, vm);

	if (limit <= mux->vm[vm].at)
		return false;
	return mux->view.kind == MUX_VM ? step_raw(mux, vm, limit) : step_line(mux, vm, limit, now);
}

/* The next VM, from the one whose turn it is on, that has something to show. */
static bool step_vms(struct mux *mux, uint64_t now)
{
	unsigned turn = mux->turn;

	if (mux->view.kind == MUX_MONITOR)
		return false;
	for (unsigned vm = next_there(mux, turn); vm < NOBODY; vm = next_there(mux, vm + 1))
		if (step_vm(mux, vm, now))
			return true;
	for (unsigned vm = next_there(mux, 0); vm < turn; vm = next_there(mux, vm + 1))
		if (step_vm(mux, vm, now))
			return true;
	return false;
}

/* A line whose rest does not come. */
static bool step_partial(struct mux *mux, uint64_t now)
{
	if (mux->view.kind != MUX_ALL)
		return false;
	for_each_vm(mux, i)
	{
		struct mux_vm *v = &mux->vm[i];
		enum mux_piece piece = mux_line_rest(&v->line);

		if (piece == MUX_NOTHING)
			continue;
		if (!v->closing && !mux->hurry && now - v->line.since < mux->hold)
			continue;
		show_piece(mux, i, piece);
		return true;
	}
	return false;
}

static bool step_screen(struct mux *mux)
{
	struct screen *screen = live_screen(mux);
	char text[MUX_ROOM_MIN / 2];
	size_t length = screen ? screen_draw(screen, text, MIN(mux->room, sizeof(text))) : 0;

	if (!length)
		return false;
	put(mux, text, length);
	mux->mid_line = false;
	mux->drawn = screen;
	return true;
}

/* To a view that somebody asked for by name. */
static void show_vm(struct mux *mux, unsigned vm)
{
	mux->live = true;
	mux_show(mux, (struct mux_view){.kind = MUX_VM, .vm = vm});
}

static void type(struct mux *mux, uint8_t byte);

static void obey_monitor(struct mux *mux)
{
	unsigned vm = 0;
	uint8_t byte;

	switch (monitor_take_wish(mux->monitor, &vm)) {
	case MONITOR_STAY: break;
	case MONITOR_LEAVE: mux_show(mux, mux->before); break;
	case MONITOR_SHOW_ALL: mux_show(mux, (struct mux_view){.kind = MUX_ALL}); break;
	case MONITOR_SHOW_VM: show_vm(mux, vm); break;
	}
	/* Whoever typed on in the same breath meant what is shown now. */
	while (mux->view.kind != MUX_MONITOR && monitor_take_ahead(mux->monitor, &byte))
		type(mux, byte);
}

/* A piece of what the monitor says; false when it has nothing to say. */
static bool step_monitor(struct mux *mux)
{
	bool more;

	if (mux->view.kind != MUX_MONITOR)
		return false;
	if (mux->hidden) {
		mux->hidden = false;
		monitor_show(mux->monitor);
	}
	more = monitor_pump(mux->monitor, mux->room, put_monitor, mux);
	obey_monitor(mux);
	return more;
}

static void say_lost(struct mux *mux)
{
	char line[80];

	if (!mux->log_lost)
		return;
	put(mux, line,
	    format(line, sizeof(line), "socle: %lu lines of the log are missing here\r\n",
		   mux->log_lost));
	mux->log_lost = 0;
}

static void show_log_line(struct mux *mux)
{
	char line[LOG_LINE_MAX + 1];
	size_t length = log_take(line, &mux->log_lost);

	to_margin(mux);
	say_lost(mux);
	if (length) {
		put(mux, line, length - 1);
		put_string(mux, "\r\n");
	}
	mux->log_due = log_taken() < mux->log_until;
}

/* Which lines are due, and what the VMs said before them. */
static void look_at_log(struct mux *mux)
{
	if (mux->log_due || !log_waiting())
		return;
	mux->log_until = log_end();
	mux->log_due = true;
	mux->before_log = MUX_BEFORE_LOG;
	/* After the log's end was read: what a core said before it logged is included. */
	for_each_vm(mux, i) mux->vm[i].before_log = vm_console_bytes(mux->vm[i].console);
}

static bool step_log(struct mux *mux, uint64_t now)
{
	size_t room = mux->room;

	look_at_log(mux);
	if (!mux->log_due)
		return false;
	if (mux->before_log && step_vms(mux, now)) {
		mux->before_log -= MIN(mux->before_log, room - mux->room);
		return true;
	}
	if (!monitor_aside(mux))
		return true;
	show_log_line(mux);
	return true;
}

static bool step(struct mux *mux, uint64_t now)
{
	return step_note(mux) || step_log(mux, now) || step_vms(mux, now) ||
	       step_partial(mux, now) || step_monitor(mux) || step_screen(mux);
}

static void look(struct mux *mux)
{
	for_each_vm(mux, i) vm_console_look(mux->vm[i].console);
}

bool mux_drain(struct mux *mux, size_t room, uint64_t now)
{
	mux->room = room;
	if (mux->view.kind == MUX_MONITOR)
		monitor_tick(mux->monitor, now);
	look(mux);
	while (mux->room >= MUX_ROOM_MIN)
		if (!step(mux, now))
			return false;
	return true;
}

void mux_flush(struct mux *mux, uint64_t now)
{
	mux->hurry = true;
	look(mux);
	do {
		mux->room = SIZE_MAX;
	} while (step(mux, now));
	mux->hurry = false;
}

void mux_remove_vm(struct mux *mux, unsigned vm, uint64_t now)
{
	struct mux_vm *v;

	if (vm >= MUX_VMS_MAX || !mux->vm[vm].console)
		return;
	v = &mux->vm[vm];
	v->closing = true;
	do {
		mux->room = SIZE_MAX;
	} while (!mux_drained(mux, vm) && step(mux, now));
	while (mux->view.vm == vm && step_screen(mux))
		;
	if (mux->drawn && mux->drawn == v->screen)
		to_margin(mux);
	if (mux->writer == vm)
		mux->writer = NOBODY;
	if (mux->vms > 1 && mux->view.kind == MUX_VM && mux->view.vm == vm)
		note(mux, "console: VM %s has ended; " KEYS_HINT, v->name);
	vm_console_watch(v->console, false);
	v->console = NULL;
	v->screen = NULL;
	mux->there &= ~BIT(vm);
}

uint64_t mux_next_event(const struct mux *mux)
{
	uint64_t next = UINT64_MAX;

	if (mux->view.kind == MUX_MONITOR)
		return monitor_next_event(mux->monitor);
	if (mux->view.kind != MUX_ALL)
		return next;
	for_each_vm(mux, i)
	{
		const struct mux_vm *v = &mux->vm[i];

		if (mux_line_rest(&v->line) != MUX_NOTHING)
			next = MIN(next, v->line.since + mux->hold);
	}
	return next;
}

/* Where the VM's output goes on in a view that begins. */
static void place(struct mux *mux, unsigned vm)
{
	struct mux_vm *v = &mux->vm[vm];

	if (!v->console)
		return;
	v->line = (struct mux_line){0};
	if (v->screen && v->screen == live_screen(mux))
		screen_forget(v->screen, true);
	if (mux->view.kind == MUX_VM && mux->view.vm == vm)
		v->at = vm_console_back(v->console, MUX_REPLAY);
	else if (mux->view.kind == MUX_ALL)
		v->at = MAX(v->at, vm_console_back(v->console, MUX_BACKLOG));
	watch(mux, vm);
}

static void say_view(struct mux *mux)
{
	const struct mux_vm *v = &mux->vm[mux->view.vm];

	if (mux->view.kind == MUX_ALL)
		note(mux, "console: all VMs; " KEYS_HINT);
	else if (mux->view.kind == MUX_VM && v->console)
		note(mux, "console: VM %u, %s; " KEYS_HINT, mux->view.vm + 1, v->name);
	else if (mux->view.kind == MUX_VM)
		note(mux, "console: VM %u does not run; " KEYS_HINT, mux->view.vm + 1);
}

void mux_show(struct mux *mux, struct mux_view view)
{
	if ((view.kind == MUX_MONITOR && !mux->monitor) ||
	    (view.kind == MUX_VM && view.vm >= MUX_VMS_MAX))
		return;
	if (view.kind == MUX_MONITOR && mux->view.kind == MUX_MONITOR)
		return;
	if (view.kind == MUX_MONITOR)
		mux->before = mux->view;
	if (mux->view.kind == MUX_MONITOR)
		monitor_leave(mux->monitor);
	mux->hidden = false;
	mux->plain = mux->escapes;
	mux->escapes = false;
	mux->writer = NOBODY;
	mux->view = view;
	for_each_vm(mux, i) place(mux, i);
	say_view(mux);
	if (view.kind == MUX_MONITOR) {
		note(mux, "console: the monitor; Ctrl-D leaves it");
		monitor_enter(mux->monitor);
	}
}

/* The next view in that direction: all VMs, then each VM that has a console. */
static void show_next(struct mux *mux, bool forward)
{
	struct mux_view view = mux->view.kind == MUX_MONITOR ? mux->before : mux->view;
	unsigned at = view.kind == MUX_ALL ? 0 : view.vm + 1, views = MUX_VMS_MAX + 1;

	do {
		at = (at + (forward ? 1 : views - 1)) % views;
	} while (at && !mux->vm[at - 1].console);
	if (at)
		show_vm(mux, at - 1);
	else
		mux_show(mux, (struct mux_view){.kind = MUX_ALL});
}

static void help(struct mux *mux)
{
	note(mux, "console: Ctrl-A n, p: next, previous VM; 1..9: that VM; 0: all VMs");
	note(mux, "console: Ctrl-A m: monitor; ?: this; Ctrl-A or a: Ctrl-A for the VM");
	for_each_vm(mux, i) note(mux, "console: VM %u is %s", i + 1, mux->vm[i].name);
}

/* The VM that gets what is typed, NOBODY when there is none. */
static unsigned listener(const struct mux *mux)
{
	if (mux->view.kind == MUX_VM)
		return mux->vm[mux->view.vm].console ? mux->view.vm : NOBODY;
	if (mux->view.kind != MUX_ALL)
		return NOBODY;
	for_each_vm(mux, i) if (!mux->vm[i].closing) return i;
	return NOBODY;
}

bool mux_can_input(struct mux *mux, uint64_t now)
{
	unsigned vm = listener(mux);

	if (mux->key || vm == NOBODY || vm_console_can_type(mux->vm[vm].console)) {
		mux->full = false;
		return true;
	}
	if (!mux->full) {
		mux->full = true;
		mux->full_since = now;
	}
	/* A VM that does not read must not keep Ctrl-A from being seen. */
	return now - mux->full_since >= HOLD_PER_S * mux->hold;
}

static void type(struct mux *mux, uint8_t byte)
{
	unsigned vm = listener(mux);

	if (vm == NOBODY)
		return;
	if (mux->view.kind == MUX_ALL && mux->vms > 1 && mux->told != vm + 1) {
		mux->told = vm + 1;
		note(mux, "console: what is typed goes to VM %s; " KEYS_HINT, mux->vm[vm].name);
	}
	if (vm_console_type(mux->vm[vm].console, byte))
		mux->ops->typed(mux->ctx, vm);
	else
		mux->ops->put(mux->ctx, "\a", 1);
}

static void deliver(struct mux *mux, uint8_t byte)
{
	if (mux->view.kind != MUX_MONITOR) {
		type(mux, byte);
		return;
	}
	monitor_key(mux->monitor, byte);
	obey_monitor(mux);
}

static void command_key(struct mux *mux, uint8_t byte)
{
	if (byte >= '1' && byte <= '9') {
		show_vm(mux, byte - '1');
		return;
	}
	switch (byte) {
	case '0': mux_show(mux, (struct mux_view){.kind = MUX_ALL}); break;
	case 'n': show_next(mux, true); break;
	case 'p': show_next(mux, false); break;
	case 'm': mux_show(mux, (struct mux_view){.kind = MUX_MONITOR}); break;
	case '?': help(mux); break;
	case 'a':
	case MUX_KEY: deliver(mux, MUX_KEY); break;
	default: note(mux, "console: Ctrl-A and that key means nothing; " KEYS_HINT);
	}
}

void mux_input(struct mux *mux, uint8_t byte, uint64_t now)
{
	(void)now;
	if (mux->key) {
		mux->key = false;
		command_key(mux, byte);
	} else if (byte == MUX_KEY) {
		mux->key = true;
	} else {
		deliver(mux, byte);
	}
}
