/* SPDX-License-Identifier: MIT */
/*
 * The machine's console on core 0. Most calls of console_housekeeping find nothing to do, so what
 * asks for more is a flag or a time that is compared. Output is moved at most DRAIN_HZ times a
 * second, a line or a piece of one at a time: that is more than a serial line takes, and a guest
 * on core 0 is neither held up for long nor interrupted for each byte of another VM.
 *
 * Screens are looked at LOOK_HZ times a second, for nobody says when a guest writes to one.
 */
#include "vmx/console.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/ps2kbd.h"
#include "arch/x86_64/screen.h"
#include "arch/x86_64/uart.h"
#include "lib/format.h"
#include "lib/log.h"
#include "vm/mux.h"
#include "vmx/board.h"
#include "vmx/core.h"

#define DRAIN_HZ  500
#define FEED_HZ	  2000 /* what was typed, while a VM has not taken all of it */
#define RETRY_HZ  100  /* while nothing can be done but wait */
#define LOOK_HZ	  20
#define LOOK_ROOM 8192 /* for what one look may have to tell */
_Static_assert(MUX_VMS_MAX >= CONFIG_VMS_MAX, "each VM has a console");
_Static_assert(MUX_VMS_MAX <= 64, "they are the bits of `service`");

static struct {
	struct mux mux;
	struct monitor monitor;
	struct vm *vm[MUX_VMS_MAX]; /* those that run */
	uint64_t hz;
	bool wanted;	  /* somebody has something to show; set from any core */
	uint64_t drain;	  /* TSC at which the mux wants a turn, wanted or not */
	uint64_t pause;	  /* TSC before which it gets none */
	uint64_t service; /* mask of the VMs whose UART has news: room, or something typed */
	uint64_t feed;	  /* TSC at which they are looked at again */
	struct console_screen *screen[MUX_VMS_MAX]; /* of those that have one */
	uint64_t screens;			    /* mask of them */
	uint64_t look;				    /* TSC of the next look at them */
} console;

/* --- What the mux asks of the machine --- */

static void put(void *ctx, const char *text, size_t length)
{
	(void)ctx;
	uart_write(text, length);
	screen_sink(text, length);
}

static void want_service(void *ctx, unsigned vm)
{
	(void)ctx;
	console.service |= BIT(vm);
	console.feed = 0;
}

static const struct mux_ops mux_ops = {.put = put, .room = want_service, .typed = want_service};

/* --- The VMs' side --- */

void console_told(void)
{
	__atomic_store_n(&console.wanted, true, __ATOMIC_RELEASE);
	core_call_housekeeping();
}

/* --- Screens --- */

static enum monitor_memory read_ram(void *ctx, unsigned number, uint64_t gpa, void *to,
				    size_t length)
{
	const struct vm *vm = ctx;

	(void)number;
	return inspect_memory(&vm->memory, gpa, to, length);
}

/* A line between those that its COM1 says: the PC's lock keeps them apart. */
static void put_line(void *ctx, const char *line)
{
	const char *const parts[] = {"\r\n", line, "\r\n"};
	struct vm *vm = ctx;

	spin_lock(&vm->pc.lock);
	for (unsigned i = vm_console_at_margin(vm->console); i < ARRAY_SIZE(parts); i++)
		for (const char *c = parts[i]; *c; c++)
			if (vm_say(vm, (uint8_t)*c))
				console.wanted = true;
	spin_unlock(&vm->pc.lock);
}

/* False: there is no room for what it may tell. */
static bool look_at(struct console_screen *s)
{
	const struct inspect_reader reader = {.read = read_ram, .ctx = s->vm};
	struct vvga_picture picture;

	if (vm_console_room(s->vm->console) < LOOK_ROOM)
		return false;
	pc_look(&s->vm->pc, &picture);
	if (screen_lines(&s->screen, &picture, &reader, put_line, s->vm)) {
		s->vm->progressed = true;
		console.wanted |= mux_live_screen(&console.mux) == &s->screen;
	}
	return true;
}

static void look_at_screens(uint64_t now)
{
	for (uint64_t left = console.screens; left; left &= left - 1) {
		unsigned number = (unsigned)__builtin_ctzll(left);

		if (console.vm[number] && !console.vm[number]->paused)
			look_at(console.screen[number]);
	}
	console.look = console.screens ? now + console.hz / LOOK_HZ : UINT64_MAX;
}

/* What the screen holds at the end. False: not yet, for want of room. */
static bool tell_screen(struct console_screen *s)
{
	char line[SCREEN_TEXT + 2];
	unsigned rows;

	if (!s || s->told)
		return true;
	if (!look_at(s))
		return false;
	screen_lines_end(&s->screen, put_line, s->vm);
	for (rows = s->screen.rows; rows; rows--)
		if (screen_text(&s->screen.now[rows - 1], s->screen.columns, 0, line))
			break;
	format(line, sizeof(line), "screen of %s%s", s->vm->config->name, rows ? ":" : ": blank");
	put_line(s->vm, line);
	for (unsigned row = 0; row < rows; row++) {
		line[0] = '|';
		screen_text(&s->screen.now[row], s->screen.columns, 0, line + 1);
		put_line(s->vm, line);
	}
	s->told = true;
	return true;
}

static void add_screen(unsigned number, struct vm *vm)
{
	struct console_screen *s =
		(struct console_screen *)((uint8_t *)vm->console + CONSOLE_BYTES);

	s->vm = vm;
	s->told = false;
	s->keys = (struct keys){0};
	screen_init(&s->screen);
	console.screen[number] = s;
	console.screens |= BIT(number);
	console.look = 0;
	mux_add_screen(&console.mux, number, &s->screen);
}

struct press {
	struct pc *pc;
	uint64_t now;
};

static void press(void *ctx, uint8_t key, bool down)
{
	const struct press *p = ctx;

	pc_key(p->pc, key, down, p->now);
}

/* What was typed, key by key, as the guest reads. True: all of it is. */
static bool type_keys(struct console_screen *s, uint64_t vm_now)
{
	struct press to = {&s->vm->pc, vm_now};

	while (vm_console_typed(s->vm->console) && pc_wants_key(to.pc))
		keys_byte(&s->keys, (uint8_t)vm_console_get(s->vm->console), vm_now, press, &to);
	if (!vm_console_typed(s->vm->console))
		keys_rest(&s->keys, vm_now, s->vm->clock.hz, press, &to);
	return !vm_console_typed(s->vm->console) && !keys_open(&s->keys);
}

void console_add_vm(unsigned number, struct vm *vm, struct vm_console *vm_console)
{
	if (!vm_console->buffer)
		vm_console_init(vm_console, (uint8_t *)vm_console + PAGE_SIZE,
				VM_CONSOLE_SIZE_DEFAULT);
	/* What was typed for its last run. */
	while (vm_console_get(vm_console) >= 0)
		;
	vm->console = vm_console;
	console.vm[number] = vm;
	mux_add_vm(&console.mux, number, vm->config->name, vm_console);
	if (vm->config->console_vga)
		add_screen(number, vm);
}

bool console_close_vm(unsigned number)
{
	console.vm[number] = NULL;
	console.service &= ~BIT(number);
	mux_close_vm(&console.mux, number);
	if (tell_screen(console.screen[number]) && mux_drained(&console.mux, number))
		return true;
	console.wanted = true;
	return false;
}

void console_remove_vm(unsigned number, uint64_t now)
{
	console_close_vm(number);
	mux_remove_vm(&console.mux, number, now);
	console.screen[number] = NULL;
	console.screens &= ~BIT(number);
}

/* Its transmitter goes on, and its receiver gets what was typed. False: more waits for it. */
static bool serve(struct vm *vm, struct console_screen *screen, uint64_t now)
{
	uint64_t vm_now = vm_clock_ticks(&vm->clock, now);
	bool done = true;

	if (vm->paused)
		return false;
	pc_tx_ready(&vm->pc, vm_now);
	if (screen)
		done = type_keys(screen, vm_now);
	while (!screen && vm_console_typed(vm->console) && pc_can_receive(&vm->pc))
		pc_receive(&vm->pc, (uint8_t)vm_console_get(vm->console), vm_now);
	board_arm(vm);
	return done && !vm_console_typed(vm->console);
}

static void serve_vms(uint64_t now)
{
	bool soon = false;

	for (uint64_t left = console.service; left; left &= left - 1) {
		unsigned number = (unsigned)__builtin_ctzll(left);
		struct vm *vm = console.vm[number];

		if (!vm || serve(vm, console.screen[number], now))
			console.service &= ~BIT(number);
		else
			soon |= !vm->paused;
	}
	console.feed =
		console.service ? now + console.hz / (soon ? FEED_HZ : RETRY_HZ) : UINT64_MAX;
}

/* --- Core 0's side --- */

static bool input_waiting(void)
{
	return uart_waiting() || ps2kbd_waiting();
}

static void take_input(uint64_t now)
{
	while (input_waiting() && mux_can_input(&console.mux, now)) {
		int byte = uart_get();

		mux_input(&console.mux, (uint8_t)(byte < 0 ? ps2kbd_get() : byte), now);
		console.wanted = true;
		console.pause = now;
	}
}

static void drain(uint64_t now)
{
	uint64_t room = uart_room();

	__atomic_store_n(&console.wanted, false, __ATOMIC_SEQ_CST);
	console.pause = now + console.hz / DRAIN_HZ;
	if (!mux_drain(&console.mux, MIN(room, (uint64_t)MUX_ROOM_MIN), now))
		console.drain = mux_next_event(&console.mux);
	else if (room >= MUX_ROOM_MIN)
		console.drain = console.pause;
	else
		console.drain = now + console.hz / RETRY_HZ;
}

static bool wanted(void)
{
	return __atomic_load_n(&console.wanted, __ATOMIC_ACQUIRE);
}

static uint64_t next_turn(void)
{
	return MIN(MIN(console.drain, console.look), console.service ? console.feed : UINT64_MAX);
}

/* Each of these may make work for the one that follows, or for the one before. */
static uint64_t work(uint64_t now)
{
	uint64_t next;

	take_input(now);
	if (console.service && now >= console.feed)
		serve_vms(now);
	if (now >= console.look)
		look_at_screens(now);
	if ((wanted() || now >= console.drain) && now >= console.pause)
		drain(now);
	next = next_turn();
	if (wanted())
		next = MIN(next, console.pause);
	if (input_waiting())
		next = MIN(next, now + console.hz / RETRY_HZ);
	return next;
}

uint64_t console_housekeeping(uint64_t now)
{
	uint64_t next = next_turn();

	if (now < next && !wanted() && !input_waiting())
		return next;
	return work(now);
}

void console_init(const struct monitor_ops *ops, unsigned vms, uint64_t hz)
{
	console.hz = hz;
	console.drain = console.feed = console.look = UINT64_MAX;
	monitor_init(&console.monitor, ops, NULL);
	mux_init(&console.mux, &mux_ops, NULL, &console.monitor, vms, hz);
	log_set_notify(console_told);
	log_set_queued(true);
}

void console_end(void)
{
	mux_flush(&console.mux, rdtsc());
	log_set_queued(false);
}

bool console_leave_line(void)
{
	bool mid_line = console.mux.mid_line;

	console.mux.mid_line = false;
	return mid_line;
}
