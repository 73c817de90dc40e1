/* SPDX-License-Identifier: MIT */
/*
 * Time that comes in pieces or at once: two sets of timers get the same accesses at the same ticks.
 * One is told of time at each of its events, the other only by the accesses themselves. What
 * software reads must be the same, for no register is to depend on when the host had time.
 */
#include <string.h>

#include "devices/bus.h"
#include "devices/vacpi.h"
#include "devices/vhpet.h"
#include "devices/vpit.h"
#include "devices/vrtc.h"
#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"

#define HZ	 10000000
#define EVENTS	 2000 /* in a run */
#define STEP_MAX (100ULL * HZ)

struct clocks {
	struct vpit pit;
	struct vrtc rtc;
	struct vacpi acpi;
	struct vhpet hpet;
};

static struct clocks often, late;
static uint64_t now;
static unsigned events;

static void on_pin(void *ctx, unsigned pin, bool level)
{
	(void)ctx, (void)pin, (void)level;
}

static void on_message(void *ctx, uint64_t address, uint32_t data)
{
	(void)ctx, (void)address, (void)data;
}

static void on_legacy(void *ctx, bool on)
{
	(void)ctx, (void)on;
}

static void on_end(void *ctx)
{
	(void)ctx;
}

static void start(struct clocks *c)
{
	static const struct vacpi_ops acpi = {on_end, on_end, NULL};
	static const struct vhpet_ops hpet = {on_pin, on_message, on_legacy, NULL};
	const struct line none = {0};

	vpit_init(&c->pit, HZ, none, now);
	vrtc_init(&c->rtc, HZ, 1700000000, none, now);
	vacpi_init(&c->acpi, HZ, &acpi, none, now);
	vhpet_init(&c->hpet, HZ, &hpet);
}

static uint64_t next_event(const struct clocks *c)
{
	uint64_t next = MIN(vpit_next_event(&c->pit), vrtc_next_event(&c->rtc));

	next = MIN(next, vacpi_next_event(&c->acpi));
	return MIN(next, vhpet_next_event(&c->hpet));
}

static void advance(struct clocks *c, uint64_t to)
{
	vpit_advance(&c->pit, to);
	vrtc_advance(&c->rtc, to);
	vacpi_advance(&c->acpi, to);
	vhpet_advance(&c->hpet, to);
}

/* False: it would take too many events. */
static bool pass(uint64_t span)
{
	uint64_t end = now + span;

	while (next_event(&often) <= end) {
		uint64_t next = next_event(&often);

		if (events++ == EVENTS)
			return false;
		advance(&often, next);
		FUZZ_REQUIRE(next_event(&often) > next);
	}
	now = end;
	advance(&often, now);
	return true;
}

struct access {
	port_read_fn read;
	port_write_fn write;
	void *dev;
	uint16_t port;
};

static struct access choose(struct clocks *c, uint8_t choice)
{
	if (choice < 4)
		return (struct access){vpit_read, vpit_write, &c->pit, VPIT_PORT + choice};
	if (choice < 5)
		return (struct access){vpit_port61_read, vpit_port61_write, &c->pit, VPIT_PORT61};
	if (choice < 7)
		return (struct access){vrtc_read, vrtc_write, &c->rtc, VRTC_PORT + choice - 5};
	return (struct access){vacpi_read, vacpi_write, &c->acpi, VACPI_PM_BASE + 2 * (choice - 7)};
}

static void port(struct stream *in, bool write)
{
	uint8_t choice = stream_byte(in) % 13;
	struct access a = choose(&often, choice), b = choose(&late, choice);
	unsigned size = choice < 7 ? 1 : choice < 11 ? 2 : 4;
	uint32_t value;

	if (!write) {
		FUZZ_REQUIRE(a.read(a.dev, a.port, size, now) == b.read(b.dev, b.port, size, now));
		return;
	}
	value = (uint32_t)stream_number(in, size);
	a.write(a.dev, a.port, size, value, now);
	b.write(b.dev, b.port, size, value, now);
}

static void hpet(struct stream *in, bool write)
{
	uint64_t at = stream_byte(in) % 0x2C * 8u;
	uint64_t value;

	if (!write) {
		FUZZ_REQUIRE(vhpet_read(&often.hpet, at, 8, now) ==
			     vhpet_read(&late.hpet, at, 8, now));
		return;
	}
	value = stream_magnitude(in);
	vhpet_write(&often.hpet, at, 8, value, now);
	vhpet_write(&late.hpet, at, 8, value, now);
}

void fuzz_late(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);

	now = 1000;
	events = 0;
	start(&often);
	start(&late);
	while (stream_more(&in)) {
		uint8_t step = stream_byte(&in);

		if (step < 0x60)
			port(&in, step & 1);
		else if (step < 0xA0)
			hpet(&in, step & 1);
		else if (!pass(stream_magnitude(&in) % STEP_MAX))
			return;
	}
}
