/* SPDX-License-Identifier: MIT */
/* The multiplexer: what stands on the machine's line, and who gets the keys. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "vm/mux.h"

#define HZ   1000 /* a tick is a millisecond */
#define VMS  4
#define RING 4096
#define ROOM 65536

static char out[1 << 20];
static size_t length;
static size_t budget; /* of the room that the mux was given */
static struct mux mux;
static struct monitor monitor;
static struct vm_console console[VMS];
static uint8_t ring[VMS][RING];
static unsigned rooms[VMS], typed[VMS];
static uint64_t now;

static void on_put(void *ctx, const char *text, size_t count)
{
	assert_ptr_equal(ctx, &mux);
	assert_true(count < sizeof(out) - length);
	assert_true(count <= budget);
	budget -= count;
	memcpy(out + length, text, count);
	length += count;
	out[length] = '\0';
}

static void on_room(void *ctx, unsigned vm)
{
	assert_ptr_equal(ctx, &mux);
	rooms[vm]++;
}

static void on_typed(void *ctx, unsigned vm)
{
	assert_ptr_equal(ctx, &mux);
	typed[vm]++;
}

static const struct mux_ops ops = {on_put, on_room, on_typed};

static unsigned no_vms(void *ctx)
{
	(void)ctx;
	return 1;
}

static void one_vm(void *ctx, unsigned vm, struct monitor_vm *info)
{
	(void)ctx;
	(void)vm;
	*info = (struct monitor_vm){.name = "beta", .cpus = 1};
}

static const struct monitor_ops monitor_ops = {
	.vms = no_vms, .vm = one_vm, .hz = HZ, .cores = 1, .version = "Socle test"};

static void clear(void)
{
	length = 0;
	out[0] = '\0';
}

static void start(unsigned vms)
{
	static const char *const names[VMS] = {"alpha", "beta", "gamma", "delta"};
	char line[LOG_LINE_MAX + 1];
	uint64_t lost = 0;

	log_set_queued(true);
	while (log_take(line, &lost))
		;
	now = 1000;
	memset(rooms, 0, sizeof(rooms));
	memset(typed, 0, sizeof(typed));
	monitor_init(&monitor, &monitor_ops, NULL);
	mux_init(&mux, &ops, &mux, &monitor, vms, HZ);
	for (unsigned i = 0; i < vms; i++) {
		vm_console_init(&console[i], ring[i], RING);
		mux_add_vm(&mux, i, names[i], &console[i]);
	}
	clear();
}

static void say(unsigned vm, const char *text)
{
	for (; *text; text++)
		vm_console_put(&console[vm], (uint8_t)*text);
}

static bool drain_some(size_t room)
{
	budget = room;
	return mux_drain(&mux, room, now);
}

static void drain(void)
{
	while (drain_some(ROOM))
		;
}

static void keys(const char *text)
{
	for (; *text; text++) {
		budget = 16;
		mux_input(&mux, (uint8_t)*text, now);
	}
}

/* What comes out next. */
static void shows(const char *wanted)
{
	drain();
	assert_string_equal(out, wanted);
	clear();
}

static void types_to(unsigned vm, const char *wanted)
{
	for (; *wanted; wanted++)
		assert_int_equal(vm_console_get(&console[vm]), *wanted);
	assert_int_equal(vm_console_get(&console[vm]), -1);
}

static void test_one_vm_is_raw(void **state)
{
	(void)state;
	start(1);
	say(0, "login: \x1b[31mred\r\nx\ry\b");
	shows("login: \x1b[31mred\r\nx\ry\b");
	/* Socle's lines begin at the margin, and end what was open. */
	log_info("hello");
	shows("\r\nsocle: hello\r\n");
	log_info("again");
	shows("socle: again\r\n");
	say(0, "more");
	shows("more");
	keys("abc\x01\x01");
	types_to(0, "abc\x01");
	assert_int_equal(typed[0], 4);
	say(0, "bye");
	drain();
	clear();
	mux_close_vm(&mux, 0);
	assert_true(mux_drained(&mux, 0));
	mux_remove_vm(&mux, 0, now);
	log_info("verdict");
	shows("\r\nsocle: verdict\r\n");
}

static void test_lines_of_several(void **state)
{
	(void)state;
	start(2);
	say(0, "one\r\ntw");
	say(1, "uno\ndos\n");
	say(0, "o\r\n\r\n");
	shows("[alpha] one\r\n[beta] uno\r\n[alpha] two\r\n[beta] dos\r\n\r\n");
	log_info("mine");
	say(0, "three\n");
	/* The log's line came first, but what a VM said in the same breath may precede it. */
	drain();
	assert_non_null(strstr(out, "socle: mine\r\n"));
	assert_non_null(strstr(out, "[alpha] three\r\n"));
}

static void test_partial_line(void **state)
{
	(void)state;
	start(2);
	assert_true(mux_next_event(&mux) == UINT64_MAX);
	say(0, "login: ");
	shows("");
	assert_int_equal(mux_next_event(&mux), now + 50);
	now += 49;
	shows("");
	now++;
	shows("[alpha] login: ");
	assert_true(mux_next_event(&mux) == UINT64_MAX);
	/* It goes on where it was. */
	say(0, "root\r\n");
	shows("root\r\n");
	say(0, "a");
	drain();
	now += 50;
	shows("[alpha] a");
	/* Somebody else ends it, and it goes on with its name. */
	say(1, "b\n");
	shows("\r\n[beta] b\r\n");
	say(0, "c\n");
	shows("[alpha] c\r\n");
	/* If only its end is missing there is nothing to be said. */
	say(0, "d");
	drain();
	now += 50;
	drain();
	log_info("x");
	shows("[alpha] d\r\nsocle: x\r\n");
	say(0, "\n");
	shows("");
	say(0, "\n");
	shows("\r\n");
}

static void test_return_within_a_line(void **state)
{
	(void)state;
	start(2);
	say(0, "10%\r20%\r\nx");
	now += 50;
	shows("[alpha] 10%\r[alpha] 20%\r\n");
	now += 50;
	shows("[alpha] x");
	say(0, "\r");
	drain();
	now += 50;
	shows("\r");
	say(0, "socle: forged\n");
	shows("[alpha] socle: forged\r\n");
	/* Between CR and LF. */
	say(0, "y\r");
	now += 50;
	drain();
	now += 50;
	shows("[alpha] y\r");
	say(0, "\nz\n");
	shows("\r\n[alpha] z\r\n");
}

static void test_nothing_leaves_its_line(void **state)
{
	(void)state;
	start(2);
	say(0, "\x1b[2J\x1b[1;1Ha\x1b[31mb\x1b(Bc\x1b]0;title\x07"
	       "d\x1bP1\x1b[x\x1b\\e\x0b\x0c\x07\x0e\n");
	shows("[alpha] abcde\r\n");
	say(0, "\b\b\b\b\b\b\b\b\bsocle: x\b\by\n");
	shows("[alpha] socle: x\b\by\r\n");
	say(0, "\tx\x7f\n");
	shows("[alpha] \tx\r\n");
	/* C1 control characters, raw and as UTF-8; what is no UTF-8; what is. */
	say(0, "\x9b"
	       "2J\xc2\x9b"
	       "2J\xff\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xed\xa0\x80\xc0\xaf\xc3\n");
	shows("[alpha] ?2J?2J?\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80???\?\r\n");
	/* Backspaces go as far as what is shown of the line. */
	say(0, "ab");
	now += 50;
	drain();
	now += 50;
	shows("[alpha] ab");
	say(0, "\b\b\b\bc\n");
	shows("\b\bc\r\n");
	say(0, "ab");
	now += 50;
	drain();
	now += 50;
	drain();
	say(1, "x\n");
	drain();
	clear();
	say(0, "\b\b\bc\n");
	shows("[alpha] c\r\n");
	/* A sequence that does not end takes no more than its line. */
	say(0, "a\x1b]0;never\nb\n");
	shows("[alpha] a\r\n[alpha] b\r\n");
}

static void test_long_line(void **state)
{
	char text[1001];

	(void)state;
	start(2);
	memset(text, 'x', 1000);
	text[1000] = '\0';
	say(0, text);
	say(0, "\n");
	drain();
	assert_memory_equal(out, "[alpha] xxx", 11);
	assert_int_equal(length, 8 + 1000 + 2);
	assert_null(strchr(out + 1, '['));
}

static void test_keys_in_all(void **state)
{
	(void)state;
	start(2);
	keys("ab");
	types_to(0, "ab");
	shows("socle: console: what is typed goes to VM alpha; Ctrl-A ? helps\r\n");
	keys("c");
	shows("");
	mux_remove_vm(&mux, 0, now);
	keys("d");
	types_to(1, "d");
	shows("socle: console: what is typed goes to VM beta; Ctrl-A ? helps\r\n");
}

static void test_views(void **state)
{
	(void)state;
	start(3);
	say(0, "old a\n");
	say(1, "old b\r\nb$ ");
	drain();
	clear();
	keys("\x01"
	     "2");
	/* Its scroll-back first. */
	shows("socle: console: VM 2, beta; Ctrl-A ? helps\r\nold b\r\nb$ ");
	say(0, "unseen\n");
	say(1, "\x1b[Hraw");
	shows("\x1b[Hraw");
	keys("x\x01"
	     "a");
	types_to(1, "x\x01");
	log_info("seen");
	shows("\r\nsocle: seen\r\n");
	/* The attributes of the guest are taken back. What was not seen comes now. */
	keys("\x01"
	     "0");
	shows("\x1b[0msocle: console: all VMs; Ctrl-A ? helps\r\n[alpha] unseen\r\n");
	keys("\x01n");
	drain();
	assert_non_null(strstr(out, "VM 1, alpha"));
	keys("\x01n\x01n");
	drain();
	assert_non_null(strstr(out, "VM 3, gamma"));
	clear();
	keys("\x01n");
	drain();
	assert_non_null(strstr(out, "all VMs"));
	keys("\x01p");
	clear();
	drain();
	assert_non_null(strstr(out, "VM 3, gamma"));
	clear();
	keys("\x01"
	     "9");
	shows("socle: console: VM 9 does not run; Ctrl-A ? helps\r\n");
	keys("z\x01?");
	drain();
	assert_non_null(strstr(out, "socle: console: VM 3 is gamma\r\n"));
	clear();
	keys("\x01q");
	shows("socle: console: Ctrl-A and that key means nothing; Ctrl-A ? helps\r\n");
}

/* A VM that nobody sees never waits; one that is seen does, and is told of room. */
static void test_backpressure(void **state)
{
	(void)state;
	start(2);
	while (vm_console_room(&console[0]))
		say(0, "flood\n");
	assert_int_equal(rooms[0], 0);
	drain();
	assert_true(rooms[0] >= 1);
	assert_true(vm_console_room(&console[0]) > 0);
	while (vm_console_room(&console[0]))
		say(0, "flood\n");
	rooms[0] = 0;
	keys("\x01"
	     "2");
	drain();
	assert_int_equal(rooms[0], 1);
	for (unsigned i = 0; i < 3 * RING; i++)
		say(0, "flood\n");
	assert_true(vm_console_room(&console[0]) > 0);
	/* Back in ALL it gets its turn from what is left, at a line's start. */
	keys("\x01"
	     "0");
	clear();
	drain();
	assert_non_null(strstr(out, "\r\n[alpha] flood\r\n[alpha] flood\r\n"));
	assert_true(length < 3 * MUX_BACKLOG * 3);
}

static void test_flood_starves_nobody(void **state)
{
	(void)state;
	start(3);
	while (vm_console_room(&console[0]) > 8)
		say(0, "flood!\n");
	say(1, "1\n2\n3\n");
	log_info("log");
	drain_some(MUX_ROOM_MIN + 200);
	assert_non_null(strstr(out, "[beta] 3\r\n"));
	clear();
	while (drain_some(MUX_ROOM_MIN))
		if (strstr(out, "socle: log"))
			break;
	assert_non_null(strstr(out, "socle: log\r\n"));
	assert_true(length < 2 * MUX_BEFORE_LOG);
}

/* With little room all comes out all the same, in order, and never more than there is room. */
static void test_little_room(void **state)
{
	char *at = out;

	(void)state;
	start(2);
	for (unsigned i = 0; i < 100; i++) {
		char line[40];

		snprintf(line, sizeof(line), "line %u\n", i);
		say(0, line);
		log_info("log %u", i);
	}
	assert_false(!drain_some(MUX_ROOM_MIN - 1));
	assert_int_equal(length, 0);
	while (drain_some(MUX_ROOM_MIN))
		;
	for (unsigned i = 0; i < 100; i++) {
		char line[40];

		snprintf(line, sizeof(line), "[alpha] line %u\r\n", i);
		at = strstr(at, line);
		assert_non_null(at);
	}
	assert_non_null(strstr(out, "socle: log 99\r\n"));
}

static void test_last_words_before_the_verdict(void **state)
{
	(void)state;
	start(2);
	log_info("VM alpha starts");
	mux_remove_vm(&mux, 0, now);
	drain();
	clear();
	log_info("VM alpha starts");
	vm_console_init(&console[0], ring[0], RING);
	mux_add_vm(&mux, 0, "alpha", &console[0]);
	say(0, "first\nlast, without an end");
	mux_close_vm(&mux, 0);
	assert_false(mux_drained(&mux, 0));
	drain();
	assert_true(mux_drained(&mux, 0));
	mux_remove_vm(&mux, 0, now);
	log_info("verdict alpha");
	shows("socle: VM alpha starts\r\n[alpha] first\r\n[alpha] last, without an end\r\n"
	      "socle: verdict alpha\r\n");
}

static void test_removal_drains(void **state)
{
	(void)state;
	start(2);
	say(0, "one\ntwo");
	budget = ROOM;
	mux_remove_vm(&mux, 0, now);
	log_info("verdict");
	shows("[alpha] one\r\n[alpha] two\r\nsocle: verdict\r\n");
	/* Once it has gone nothing of it is touched. */
	memset(&console[0], 0xEE, sizeof(console[0]));
	keys("\x01"
	     "1\x01"
	     "0\x01n\x01p");
	drain();
	mux_remove_vm(&mux, 0, now);
}

static void test_flush(void **state)
{
	(void)state;
	start(2);
	say(0, "prompt> ");
	log_info("end");
	budget = ROOM;
	mux_flush(&mux, now);
	assert_non_null(strstr(out, "socle: end\r\n"));
	assert_non_null(strstr(out, "[alpha] prompt> "));
}

static void test_lost_log(void **state)
{
	(void)state;
	start(2);
	for (unsigned i = 0; i < 5000; i++)
		log_info("line %u", i);
	drain();
	assert_non_null(strstr(out, "lines of the log are missing here\r\nsocle: line "));
	assert_non_null(strstr(out, "socle: line 4999\r\n"));
}

static void test_monitor_view(void **state)
{
	(void)state;
	start(2);
	keys("\x01m");
	shows("socle: console: the monitor; Ctrl-D leaves it\r\nsocle> ");
	say(0, "not seen\n");
	shows("");
	keys("ver");
	shows("ver");
	/* A line of the log above the prompt, which comes back. */
	log_info("news");
	shows("\r\x1b[Ksocle: news\r\n\rsocle> ver\x1b[K");
	keys("sion --json\r");
	drain();
	assert_non_null(strstr(out, "\r\n{\"version\":\"Socle test\",\"cores\":1,\"hz\":1000}\r\n"
				    "{\"done\":\"version\",\"ok\":true}\r\nsocle> "));
	clear();
	keys("\x04");
	drain();
	assert_non_null(strstr(out, "socle: console: all VMs; Ctrl-A ? helps\r\n"));
	assert_non_null(strstr(out, "[alpha] not seen\r\n"));
	clear();
	keys("\x01mconsole beta\r");
	say(0, "x\n");
	drain();
	assert_non_null(strstr(out, "socle: console: VM 1, alpha"));
}

/* What is typed behind a line that leaves the monitor is for whom the console shows then. */
static void test_type_ahead_behind_monitor(void **state)
{
	(void)state;
	start(2);
	keys("\x01m");
	drain();
	keys("\x04ls\r");
	drain();
	types_to(0, "ls\r");
	types_to(1, "");
	keys("\x01mconsole beta\rdir\r"); /* the first VM, to this monitor */
	drain();
	types_to(0, "dir\r");
	/* By the console's own key it is the monitor's, and gone with it. */
	keys("\x01m");
	drain();
	keys("top\rver\x01"
	     "0");
	drain();
	types_to(0, "");
	keys("\x01m");
	clear();
	shows("socle: console: the monitor; Ctrl-D leaves it\r\nsocle> ");
}

static void test_input_waits(void **state)
{
	(void)state;
	start(1);
	for (unsigned i = 0; i < VM_CONSOLE_INPUT; i++) {
		assert_true(mux_can_input(&mux, now));
		keys("x");
	}
	assert_false(mux_can_input(&mux, now));
	now += HZ / 2;
	assert_false(mux_can_input(&mux, now));
	assert_int_equal(vm_console_get(&console[0]), 'x');
	assert_true(mux_can_input(&mux, now));
	keys("y");
	assert_false(mux_can_input(&mux, now));
	/* A VM that never reads does not keep Ctrl-A from the console. */
	now += HZ + 1;
	mux_can_input(&mux, now);
	now += HZ + 1;
	assert_true(mux_can_input(&mux, now));
	keys("z");
	assert_string_equal(out, "\a");
	clear();
	keys("\x01?");
	drain();
	assert_non_null(strstr(out, "next, previous VM"));
}

/* Each line is Socle's, or bears the name of a VM, or is empty. */
static void check_lines(void)
{
	char *at = out;

	while (*at) {
		bool known = *at == '\r' || !strncmp(at, "[alpha] ", 8) ||
			     !strncmp(at, "[beta] ", 7) || !strncmp(at, "[gamma] ", 8) ||
			     !strncmp(at, "[delta] ", 8) || !strncmp(at, "socle: ", 7);

		if (!known)
			fail_msg("a line begins %.40s", at);
		if (!strncmp(at, "socle: ", 7))
			assert_true(!strncmp(at, "socle: line ", 12) ||
				    !strncmp(at, "socle: console: ", 16));
		for (; *at && *at != '\n'; at++) {
			/* What follows a lone CR must bear a name as well. */
			if (at[0] == '\r' && at[1] && !strchr("\r\n", at[1]))
				assert_int_equal(at[1], '[');
			assert_int_not_equal(*at, 0x1B);
		}
		at += *at == '\n';
	}
}

static void test_random_output_in_all(void **state)
{
	static const char likely[] = "socle: \r\n\b\x1b[]0;HJm\t\xc3\xa4\x9b";

	(void)state;
	srand(11);
	start(VMS);
	for (unsigned round = 0; round < 3000; round++) {
		for (unsigned i = rand() % 60; i; i--) {
			uint8_t byte =
				rand() % 4 ? (uint8_t)likely[(size_t)rand() % (sizeof(likely) - 1)]
					   : (uint8_t)rand();

			vm_console_put(&console[rand() % VMS], byte ? byte : 1);
		}
		if (rand() % 4 == 0)
			log_info("line %u", round);
		now += (unsigned)rand() % 80;
		drain_some(rand() % 2 ? ROOM : 1 + (size_t)rand() % 3000);
	}
	drain();
	check_lines();
}

static struct screen screen;

static void add_screen(unsigned vm)
{
	screen_init(&screen);
	screen.columns = 80;
	screen.rows = screen.cursor_y = 25;
	mux_add_screen(&mux, vm, &screen);
}

/* Its lines, until somebody asks for it by a key; then the screen, around the log's lines. */
static void test_screen(void **state)
{
	(void)state;
	start(1);
	add_screen(0);
	say(0, "a line\r\n");
	shows("socle: console: VM alpha has a screen: Ctrl-A 1 shows it; its lines come here\r\n"
	      "a line\r\n");
	keys("\x01"
	     "1");
	screen.now[2].cell[3] = 0x0741;
	say(0, "not seen\r\n");
	shows("socle: console: VM 1, alpha; Ctrl-A ? helps\r\n"
	      "\x1b[0;37;40m\x1b[2J\x1b[3;4H\x1b[0;37;40mA\x1b[?25l");
	screen.now[2].cell[4] = 0x1E42;
	shows("\x1b[0;93;44mB");
	assert_ptr_equal(mux_live_screen(&mux), &screen);
	log_info("hello");
	drain();
	assert_ptr_equal(strstr(out, "\x1b[0m\x1b[?25h\x1b[0 q\x1b[26;1H\x1b[Jsocle: hello\r\n"),
			 out);
	assert_non_null(strstr(out, "\x1b[1;1H"));
	clear();
	shows("");
	/* Who does not look at what it says does not hold it up. */
	for (unsigned i = 0; i < 2 * RING; i++)
		say(0, "x");
	assert_true(vm_console_room(&console[0]) > 0);
	screen.now[0].cell[0] = 0x0743;
	mux_close_vm(&mux, 0);
	assert_true(mux_drained(&mux, 0));
	mux_remove_vm(&mux, 0, now);
	assert_non_null(strstr(out, "C"));
	assert_non_null(strstr(out, "\x1b[26;1H\x1b[J"));
	clear();
	assert_null(mux_live_screen(&mux));
	log_info("verdict");
	shows("socle: verdict\r\n");
}

static void test_random_keys(void **state)
{
	static const char likely[] = "\x01\x01\x01mnp019?a\r\x04vms help console beta --json\x03";

	(void)state;
	srand(5);
	start(VMS);
	for (unsigned i = 0; i < 60000; i++) {
		unsigned vm = (unsigned)rand() % VMS;

		now += 3;
		budget = 16;
		mux_input(&mux,
			  rand() % 8 ? (uint8_t)likely[(size_t)rand() % (sizeof(likely) - 1)]
				     : (uint8_t)rand(),
			  now);
		vm_console_put(&console[vm], (uint8_t)rand());
		screen.now[rand() % 25].cell[rand() % 80] = (uint16_t)(rand() | 0x20);
		if (rand() % 50 == 0)
			log_info("line %u", i);
		if (rand() % 500 == 0) {
			budget = ROOM;
			if (mux.vm[vm].console)
				mux_remove_vm(&mux, vm, now);
			else
				mux_add_vm(&mux, vm, "again", &console[vm]);
			if (vm == 2)
				add_screen(vm);
		}
		drain_some((size_t)rand() % 8000);
		if (length > sizeof(out) / 2)
			clear();
		while (vm_console_get(&console[vm]) >= 0)
			;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_vm_is_raw),
		cmocka_unit_test(test_lines_of_several),
		cmocka_unit_test(test_partial_line),
		cmocka_unit_test(test_return_within_a_line),
		cmocka_unit_test(test_nothing_leaves_its_line),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_keys_in_all),
		cmocka_unit_test(test_views),
		cmocka_unit_test(test_backpressure),
		cmocka_unit_test(test_flood_starves_nobody),
		cmocka_unit_test(test_little_room),
		cmocka_unit_test(test_last_words_before_the_verdict),
		cmocka_unit_test(test_removal_drains),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_lost_log),
		cmocka_unit_test(test_monitor_view),
		cmocka_unit_test(test_type_ahead_behind_monitor),
		cmocka_unit_test(test_input_waits),
		cmocka_unit_test(test_random_output_in_all),
		cmocka_unit_test(test_screen),
		cmocka_unit_test(test_random_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
