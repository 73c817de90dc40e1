/* SPDX-License-Identifier: MIT */
/* The machine's console shared by VMs, log and monitor: steps of all of them in any order. */
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "vm/mux.h"

#define HZ    1000
#define VMS   3
#define RING  512
#define TURNS 10000

static struct mux mux;
static struct monitor monitor;
static struct vm_console console[VMS];
static struct screen screen[VMS];
static uint8_t ring[VMS][RING];
static uint16_t cells[0x800];
static size_t budget;
static uint64_t now;
static bool there[VMS];
static uint8_t vga_start;

static void on_put(void *ctx, const char *text, size_t count)
{
	(void)text;
	FUZZ_REQUIRE(ctx == &mux && count <= budget);
	budget -= count;
}

static void on_vm(void *ctx, unsigned vm)
{
	(void)ctx;
	FUZZ_REQUIRE(vm < VMS && there[vm]);
}

static const struct mux_ops ops = {on_put, on_vm, on_vm};

static unsigned no_vms(void *ctx)
{
	(void)ctx;
	return 1;
}

static void one_vm(void *ctx, unsigned vm, struct monitor_vm *info)
{
	(void)ctx, (void)vm;
	*info = (struct monitor_vm){.name = "beta", .cpus = 1};
}

static bool no_vcpu(void *ctx, unsigned vm, unsigned cpu, struct monitor_vcpu *info)
{
	(void)ctx, (void)vm, (void)cpu, (void)info;
	return false;
}

static bool no_exit(void *ctx, unsigned vm, unsigned row, struct monitor_exit *info)
{
	(void)ctx, (void)vm, (void)row, (void)info;
	return false;
}

static bool no_action(void *ctx, unsigned vm, enum monitor_action action, struct error *error)
{
	(void)ctx, (void)vm, (void)action;
	return error_set(error, "no");
}

static bool no_regs(void *ctx, unsigned vm, unsigned cpu, struct monitor_regs *regs,
		    struct error *error)
{
	(void)ctx, (void)vm, (void)cpu, (void)regs;
	return error_set(error, "no");
}

static enum monitor_memory no_memory(void *ctx, unsigned vm, uint64_t gpa, void *to, size_t count)
{
	(void)ctx, (void)vm, (void)gpa, (void)to, (void)count;
	return MONITOR_NO_RAM;
}

static const struct pc *no_pc(void *ctx, unsigned vm, uint64_t *at)
{
	(void)ctx, (void)vm, (void)at;
	return NULL;
}

static bool no_audit(void *ctx, void (*line)(void *to, const char *text), void *to)
{
	(void)ctx, (void)line, (void)to;
	return true;
}

static void no_end(void *ctx, bool reboot)
{
	(void)ctx, (void)reboot;
}

static uint64_t on_now(void *ctx)
{
	(void)ctx;
	return now;
}

static const struct monitor_ops monitor_ops = {.vms = no_vms,
					       .vm = one_vm,
					       .vcpu = no_vcpu,
					       .exit = no_exit,
					       .action = no_action,
					       .regs = no_regs,
					       .read = no_memory,
					       .pc_borrow = no_pc,
					       .audit = no_audit,
					       .end = no_end,
					       .now = on_now,
					       .hz = HZ,
					       .cores = 1,
					       .version = "Socle"};

static enum monitor_memory read_cells(void *ctx, unsigned vm, uint64_t gpa, void *to, size_t count)
{
	(void)ctx, (void)vm;
	FUZZ_REQUIRE(gpa >= 0xB8000 && gpa % 4096 + count <= 4096);
	if (gpa - 0xB8000 + count > sizeof(cells))
		return MONITOR_NO_RAM;
	memcpy(to, (uint8_t *)cells + (gpa - 0xB8000), count);
	return MONITOR_RAM;
}

static void on_line(void *ctx, const char *line)
{
	for (; *line; line++)
		vm_console_put(ctx, (uint8_t)*line);
	vm_console_put(ctx, '\n');
}

static void look(unsigned vm)
{
	const struct inspect_reader reader = {read_cells, NULL, vm};
	const struct vvga_picture picture = {.on = true,
					     .text = true,
					     .cursor = true,
					     .base = 0xB8000,
					     .cells = 0x4000,
					     .start = vga_start,
					     .stride = 80,
					     .at = vga_start * 3u,
					     .width = 80,
					     .height = 25};

	screen_lines(&screen[vm], &picture, &reader, on_line, &console[vm]);
}

static void add(unsigned vm, bool with_screen)
{
	static const char *const names[VMS] = {"alpha", "b", "gamma"};

	there[vm] = true;
	vm_console_init(&console[vm], ring[vm], RING);
	mux_add_vm(&mux, vm, names[vm], &console[vm]);
	if (!with_screen)
		return;
	memset(&screen[vm], 0, sizeof(screen[vm]));
	screen_init(&screen[vm]);
	mux_add_screen(&mux, vm, &screen[vm]);
}

static void drain(size_t room)
{
	budget = room;
	mux_drain(&mux, room, now);
}

static void say(struct stream *in, unsigned vm)
{
	for (unsigned count = stream_byte(in); count-- && stream_more(in);)
		vm_console_put(&console[vm], stream_byte(in));
}

static void leave(unsigned vm)
{
	mux_close_vm(&mux, vm);
	for (unsigned i = 0; !mux_drained(&mux, vm) && i < 100; i++)
		drain(1 << 20);
	budget = SIZE_MAX;
	mux_remove_vm(&mux, vm, now);
	there[vm] = false;
}

static void step(struct stream *in)
{
	uint8_t choice = stream_byte(in);
	unsigned vm = choice / 16 % VMS;

	switch (choice % 16) {
	case 0:
	case 1:
		if (there[vm])
			say(in, vm);
		break;
	case 2:
	case 3:
		if (mux_can_input(&mux, now))
			mux_input(&mux, stream_byte(in), now);
		break;
	case 4:
		if (mux_can_input(&mux, now))
			mux_input(&mux, MUX_KEY, now);
		break;
	case 5:
	case 6: drain(stream_number(in, 2)); break;
	case 7: now += stream_byte(in); break;
	case 8: log_warn("a line of %u characters", choice); break;
	case 9:
		if (!there[vm])
			add(vm, choice & 0x80);
		break;
	case 10:
		if (there[vm])
			leave(vm);
		break;
	case 11:
		cells[stream_number(in, 2) % ARRAY_SIZE(cells)] = (uint16_t)stream_number(in, 2);
		break;
	case 12:
		vga_start = (uint8_t)(choice & 0x80 ? 80 : 0);
		if (there[vm] && mux.vm[vm].screen)
			look(vm);
		break;
	case 13:
		if (there[vm])
			vm_console_get(&console[vm]);
		break;
	case 14: mux_show(&mux, (struct mux_view){(enum mux_kind)(stream_byte(in) % 3), vm}); break;
	case 15: FUZZ_REQUIRE(mux_live_screen(&mux) == NULL || mux.live); break;
	}
}

void fuzz_mux(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);
	uint8_t head = stream_byte(&in);
	char line[LOG_LINE_MAX + 1];
	uint64_t lost;

	log_set_queued(true);
	while (log_take(line, &lost))
		;
	memset(there, 0, sizeof(there));
	memset(cells, 0, sizeof(cells));
	now = 1000;
	monitor_init(&monitor, &monitor_ops, NULL);
	mux_init(&mux, &ops, &mux, &monitor, head & 1 ? 1 : VMS, HZ);
	for (unsigned i = 0; i < VMS; i++)
		if (head >> (1 + i) & 1)
			add(i, head >> (4 + i) & 1);
	while (stream_more(&in))
		step(&in);
	budget = SIZE_MAX;
	mux_flush(&mux, now);
	for (unsigned i = 0; i < VMS; i++)
		if (there[i])
			leave(i);
}
