/* SPDX-License-Identifier: MIT */
/*
 * Frames, mailboxes, console rings and the port map at sizes that can be exhausted: each state, or
 * each sequence of steps, against what it stands for.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "devices/bus.h"
#include "lib/bits.h"
#include "lib/frames.h"
#include "vm/mailbox.h"
#include "vm/vmconsole.h"

/*
 * --- Frames ---
 * For each set of free pages there is one table of ranges. If each operation leads from the table
 * of one set to the table of the right other one, every sequence of them does.
 */

#define WORLD 9

static uint64_t at_page(unsigned page)
{
	return (page + 1) * PAGE_SIZE;
}

static void make(struct frames *frames, unsigned set)
{
	memset(frames, 0, sizeof(*frames));
	for (unsigned page = 0; page < WORLD; page++) {
		if (!(set >> page & 1))
			continue;
		if (!page || !(set >> (page - 1) & 1))
			frames->range[frames->count++].start = at_page(page);
		frames->range[frames->count - 1].end = at_page(page) + PAGE_SIZE;
	}
}

static void is(const struct frames *frames, unsigned set)
{
	struct frames right;

	make(&right, set);
	assert_int_equal(frames->count, right.count);
	assert_memory_equal(frames->range, right.range, right.count * sizeof(right.range[0]));
}

static void check_ranges(unsigned set)
{
	for (unsigned first = 0; first <= WORLD; first++) {
		for (unsigned last = first; last <= WORLD; last++) {
			unsigned bits = (1u << last) - (1u << first);
			struct frames frames;

			make(&frames, set);
			assert_true(frames_add(&frames, at_page(first), at_page(last)));
			is(&frames, set | bits);
			make(&frames, set);
			assert_true(frames_remove(&frames, at_page(first), at_page(last)));
			is(&frames, set & ~bits);
		}
	}
}

/* The highest place that is free, aligned and below the limit. */
static uint64_t best(unsigned set, unsigned size, unsigned align, unsigned limit)
{
	for (unsigned page = WORLD; page--;) {
		unsigned bits = ((1u << size) - 1) << page;

		if (at_page(page) % (align * PAGE_SIZE) == 0 && (set & bits) == bits &&
		    page + size <= limit)
			return at_page(page);
	}
	return FRAMES_NONE;
}

static void check_alloc(unsigned set, unsigned size, unsigned align, unsigned limit)
{
	uint64_t want = best(set, size, align, limit);
	struct frames frames;

	make(&frames, set);
	assert_int_equal(frames_alloc(&frames, size * PAGE_SIZE, align * PAGE_SIZE, at_page(limit)),
			 want);
	if (want == FRAMES_NONE) {
		is(&frames, set);
		return;
	}
	is(&frames, set & ~(((1u << size) - 1) << (want / PAGE_SIZE - 1)));
	assert_true(frames_free(&frames, want, size * PAGE_SIZE));
	is(&frames, set);
}

static void test_frames(void **state)
{
	(void)state;
	for (unsigned set = 0; set < 1u << WORLD; set++) {
		check_ranges(set);
		for (unsigned size = 1; size <= WORLD; size++)
			for (unsigned align = 1; align <= 8; align *= 2)
				for (unsigned limit = 0; limit <= WORLD; limit++)
					check_alloc(set, size, align, limit);
	}
}

/* --- Mailboxes: any interrupt posted onto any two others --- */

static bool has(const uint32_t *words, unsigned vector)
{
	return words[vector / 32] >> vector % 32 & 1;
}

static void check_mailbox(unsigned a, unsigned b, unsigned levels)
{
	struct mailbox m = {0};

	mailbox_post(&m, (uint8_t)a, levels & 1);
	mailbox_post(&m, (uint8_t)b, levels & 2);
	for (unsigned vector = 0; vector < 256; vector++) {
		bool level = vector == b ? levels & 2 : vector == a && (levels & 1);

		assert_int_equal(has(m.posted, vector), vector == a || vector == b);
		assert_int_equal(has(m.level, vector), level);
	}
	/* As pc_collect() empties it: by the summary; then nothing is left. */
	for (uint32_t words = mailbox_take(&m.words); words; words &= words - 1)
		mailbox_take(&m.posted[__builtin_ctz(words)]);
	for (unsigned word = 0; word < MAILBOX_WORDS; word++)
		assert_int_equal(m.posted[word], 0);
	assert_int_equal(mailbox_take(&m.words), 0);
}

static void test_mailbox(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 256; a++)
		for (unsigned b = 0; b < 256; b += a % 32 ? 31 : 1)
			for (unsigned levels = 0; levels < 4; levels++)
				check_mailbox(a, b, levels);
}

/* --- A console's ring of four bytes: every sequence --- */

#define RING  4
#define STEPS 9

enum step { PUT, PEEK_ONE, PEEK_ALL, TAKE, WATCH, ROOM, KINDS };

struct ring {
	struct vm_console console;
	uint8_t buffer[RING];
	uint64_t said;	/* bytes: the n-th is n */
	uint64_t at;	/* read up to here */
	uint64_t taken; /* and told so */
	bool starved;
};

static void peek(struct ring *r, size_t max)
{
	uint8_t bytes[RING];
	/* A byte that may be written over is not shown: one less than the ring holds. */
	uint64_t oldest = r->said >= RING ? r->said - RING + 1 : 0;
	uint64_t from = MAX(r->at, oldest);
	size_t length = vm_console_peek(&r->console, &r->at, bytes, max);

	assert_int_equal(length, MIN(max, (size_t)(r->said - from)));
	assert_int_equal(r->at, from + length);
	for (size_t i = 0; i < length; i++)
		assert_int_equal(bytes[i], (uint8_t)(from + i));
}

static void ring_step(struct ring *r, enum step step)
{
	uint64_t waiting = r->said - r->taken, room;

	switch (step) {
	case PUT: vm_console_put(&r->console, (uint8_t)r->said++); break;
	case PEEK_ONE: peek(r, 1); break;
	case PEEK_ALL: peek(r, RING); break;
	case TAKE:
		/* Who waits is told when there is a quarter, or nobody watches. */
		r->taken = r->at;
		room = RING - 1 - MIN(r->said - r->taken, (uint64_t)RING - 1);
		room = r->console.watched ? room : RING;
		assert_int_equal(vm_console_take(&r->console, r->at),
				 r->starved && room >= RING / 4);
		r->starved &= room < RING / 4;
		break;
	case WATCH: vm_console_watch(&r->console, !r->console.watched); break;
	case ROOM:
		room = RING - 1 - MIN(waiting, (uint64_t)RING - 1);
		room = r->console.watched ? room : RING;
		assert_int_equal(vm_console_room(&r->console), room);
		r->starved |= !room;
		break;
	case KINDS: break;
	}
	assert_int_equal(vm_console_bytes(&r->console), r->said);
}

static void every_sequence(const struct ring *before, unsigned left)
{
	for (unsigned step = 0; left && step < KINDS; step++) {
		struct ring r = *before;

		r.console.buffer = r.buffer;
		ring_step(&r, (enum step)step);
		every_sequence(&r, left - 1);
	}
}

static void test_console_ring(void **state)
{
	struct ring r = {0};

	(void)state;
	vm_console_init(&r.console, r.buffer, RING);
	every_sequence(&r, STEPS);
}

/* What is typed comes out in order, wherever the indices are: they wrap at 2^32. */
static void test_typed(void **state)
{
	static const uint32_t starts[] = {0,	     511, 512, UINT32_MAX - 511, UINT32_MAX - 1,
					  UINT32_MAX};
	static struct vm_console console;
	uint8_t ring[256];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(starts); i++) {
		for (unsigned count = 0; count <= VM_CONSOLE_INPUT; count++) {
			vm_console_init(&console, ring, sizeof(ring));
			console.input_head = console.input_tail = starts[i];
			for (unsigned n = 0; n < count; n++)
				assert_true(vm_console_type(&console, (uint8_t)(n * 7)));
			assert_int_equal(vm_console_can_type(&console), count < VM_CONSOLE_INPUT);
			for (unsigned n = 0; n < count; n++)
				assert_int_equal(vm_console_get(&console), (uint8_t)(n * 7));
			assert_int_equal(vm_console_get(&console), -1);
			assert_false(vm_console_typed(&console));
		}
	}
}

/* --- The port map: two devices in every place about the end of its direct part --- */

#define FIRST_PORT (PORT_DIRECT - 4)
#define PORTS	   8

struct device {
	uint16_t first, last;
	unsigned width, number;
};

/* What a port holds says who it is and where. */
static uint32_t byte_of(unsigned number, uint16_t port)
{
	return (number << 4 | (port & 0xFu)) & 0xFF;
}

static uint32_t on_read(void *dev, uint16_t port, unsigned size, uint64_t now)
{
	const struct device *device = dev;
	uint32_t value = 0xAAAAAAAA << (8 * (size - 1)) << 7 << 1; /* not to be used */

	(void)now;
	assert_true(port >= device->first && port + size - 1 <= device->last);
	assert_true(size == 1 || size <= device->width);
	for (unsigned i = 0; i < size; i++)
		value |= byte_of(device->number, (uint16_t)(port + i)) << (8 * i);
	return value;
}

static void on_write(void *dev, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	const struct device *device = dev;

	(void)now;
	assert_true(port >= device->first && port + size - 1 <= device->last);
	for (unsigned i = 0; i < size; i++)
		assert_int_equal(value >> (8 * i) & 0xFF,
				 byte_of(device->number, (uint16_t)(port + i)));
	assert_int_equal(value & ~mask_bytes(size), 0);
}

static bool add(struct bus *bus, struct device *device)
{
	const struct port_range range = {device->first, device->last, (uint8_t)device->width,
					 on_read,	on_write,     device,
					 NULL};

	return bus_add_ports(bus, &range);
}

static void check_port(struct bus *bus, const struct device devices[2], uint16_t port,
		       unsigned size)
{
	uint32_t right = 0;

	for (unsigned i = 0; i < size; i++) {
		uint32_t byte = 0xFF;

		for (unsigned d = 0; d < 2; d++)
			if (port + i >= devices[d].first && port + i <= devices[d].last)
				byte = byte_of(devices[d].number, (uint16_t)(port + i));
		right |= byte << (8 * i);
	}
	assert_int_equal(bus_port_read(bus, port, size, 0), right);
	bus_port_write(bus, port, size, right, 0);
}

static void check_map(struct device devices[2])
{
	static struct bus bus;
	bool apart = devices[0].last < devices[1].first || devices[1].last < devices[0].first;

	bus_init(&bus);
	assert_true(add(&bus, &devices[0]));
	assert_int_equal(add(&bus, &devices[1]), apart);
	if (!apart)
		devices[1] = (struct device){.first = 1};
	for (unsigned port = FIRST_PORT - 4; port < FIRST_PORT + PORTS + 1; port++)
		for (unsigned size = 1; size <= 4; size *= 2)
			check_port(&bus, devices, (uint16_t)port, size);
}

static void test_port_map(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PORTS * PORTS * PORTS * PORTS; i++) {
		struct device devices[2];
		bool right = true;

		for (unsigned d = 0; d < 2; d++) {
			unsigned j = d ? i / PORTS / PORTS : i;

			devices[d] = (struct device){
				.first = (uint16_t)(FIRST_PORT + j % PORTS),
				.last = (uint16_t)(FIRST_PORT + j / PORTS % PORTS),
				.width = 1u << i % 3,
				.number = d + 1,
			};
			right &= devices[d].first <= devices[d].last;
		}
		if (right)
			check_map(devices);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),	     cmocka_unit_test(test_mailbox),
		cmocka_unit_test(test_console_ring), cmocka_unit_test(test_typed),
		cmocka_unit_test(test_port_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
