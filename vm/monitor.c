/* SPDX-License-Identifier: MIT */
/*
 * The monitor's engine: keys become lines, lines become commands, and commands are taken a step
 * further each time when what they said before is out.
 */
#include "vm/monitor.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "vm/monitor_command.h"

#define PROMPT	    "socle> "
#define KEY_CANCEL  0x03
#define KEYS_PAUSED (MONITOR_OUT / 4) /* with this much to put out, keys wait */

static void put_edit(void *ctx, const char *text, size_t length)
{
	struct monitor *monitor = ctx;

	outbuf_put(&monitor->out, text, length);
}

static const struct lineedit_ops edit_ops = {.put = put_edit, .complete = monitor_complete};

void monitor_init(struct monitor *monitor, const struct monitor_ops *ops, void *ctx)
{
	memset(monitor, 0, sizeof(*monitor));
	monitor->ops = ops;
	monitor->ctx = ctx;
	outbuf_init(&monitor->out, monitor->text, sizeof(monitor->text));
	lineedit_init(&monitor->edit, PROMPT, &edit_ops, monitor);
}

static void empty_out(struct monitor *monitor)
{
	outbuf_init(&monitor->out, monitor->text, sizeof(monitor->text));
	monitor->written = 0;
}

static void reset(struct monitor *monitor)
{
	empty_out(monitor);
	memset(&monitor->run, 0, sizeof(monitor->run));
	monitor->wish = MONITOR_STAY;
	monitor->editing = false;
}

void monitor_enter(struct monitor *monitor)
{
	reset(monitor);
	monitor->aheads = 0;
	monitor->active = true;
}

void monitor_leave(struct monitor *monitor)
{
	reset(monitor);
	monitor->active = false;
}

static void edit_key(struct monitor *monitor, uint8_t byte)
{
	switch (lineedit_key(&monitor->edit, byte)) {
	case LINEEDIT_MORE: break;
	case LINEEDIT_LINE:
		monitor->editing = false;
		monitor_begin(monitor, monitor->edit.line);
		break;
	case LINEEDIT_CANCELLED: monitor->editing = false; break;
	case LINEEDIT_END:
		outbuf_put(&monitor->out, "\r\n", 2);
		monitor->editing = false;
		monitor->wish = MONITOR_LEAVE;
		break;
	}
}

/* A key while a command runs: `top` ends by any, the others by Ctrl-C. */
static bool run_key(struct monitor *monitor, uint8_t byte)
{
	bool live = monitor->run.command->step == monitor_step_top && !monitor->run.json;

	if (!live && byte != KEY_CANCEL)
		return false;
	if (live)
		outbuf_put(&monitor->out, "\r\n", 2);
	else
		monitor_fail(monitor, "cancelled");
	monitor_finish(monitor);
	return true;
}

void monitor_key(struct monitor *monitor, uint8_t byte)
{
	if (!monitor->active || (monitor->run.command && run_key(monitor, byte)))
		return;
	if (monitor->editing && !monitor->aheads && monitor->out.length < KEYS_PAUSED)
		edit_key(monitor, byte);
	else if (monitor->aheads < MONITOR_TYPE_AHEAD)
		monitor->ahead[monitor->aheads++] = byte;
}

bool monitor_take_ahead(struct monitor *monitor, uint8_t *byte)
{
	if (!monitor->aheads)
		return false;
	*byte = monitor->ahead[0];
	memmove(monitor->ahead, monitor->ahead + 1, --monitor->aheads);
	return true;
}

void monitor_tick(struct monitor *monitor, uint64_t now)
{
	if (monitor->run.waiting && now >= monitor->top.next)
		monitor->run.waiting = false;
}

uint64_t monitor_next_event(const struct monitor *monitor)
{
	return monitor->run.waiting ? monitor->top.next : UINT64_MAX;
}

static void step(struct monitor *monitor)
{
	if (!monitor->run.command->step(monitor))
		monitor_finish(monitor);
}

bool monitor_pump(struct monitor *monitor, size_t room,
		  void (*put)(void *ctx, const char *text, size_t length), void *ctx)
{
	size_t length = MIN(monitor->out.length - monitor->written, room);
	uint8_t byte;

	if (monitor->written < monitor->out.length) {
		put(ctx, monitor->text + monitor->written, length);
		monitor->written += length;
		return true;
	}
	empty_out(monitor);
	if (!monitor->active || monitor->run.waiting || monitor->wish != MONITOR_STAY)
		return false;
	if (monitor->run.command) {
		step(monitor);
	} else if (!monitor->editing) {
		monitor->editing = true;
		lineedit_start(&monitor->edit);
	} else if (monitor_take_ahead(monitor, &byte)) {
		edit_key(monitor, byte);
	} else {
		return false;
	}
	return true;
}

bool monitor_between_lines(const struct monitor *monitor)
{
	return monitor->written == monitor->out.length;
}

void monitor_hide(struct monitor *monitor)
{
	if (monitor->editing)
		lineedit_hide(&monitor->edit);
}

void monitor_show(struct monitor *monitor)
{
	if (monitor->editing)
		lineedit_show(&monitor->edit);
}

enum monitor_wish monitor_take_wish(struct monitor *monitor, unsigned *vm)
{
	enum monitor_wish wish = monitor->wish;

	if (monitor->run.command || !monitor_between_lines(monitor))
		return MONITOR_STAY;
	*vm = monitor->wish_vm;
	monitor->wish = MONITOR_STAY;
	return wish;
}
