/* SPDX-License-Identifier: MIT */
/*
 * 8254 timer.
 *
 * Nothing counts: a counter's value and output are functions of the clocks that have passed since
 * its counting element was loaded. What happens between two looks (the load of a new count at the
 * end of a period) is caught up by settle(), which every look begins with.
 * Intel 8254 datasheet: 'Programming the 8254', 'Mode Definitions', 'Operation Common to All
 * Modes'; ICH9 datasheet, 'NMI Status and Control Register' (port 61H).
 */
#include "devices/vpit.h"

#include "lib/bits.h"
#include "lib/rate.h"
#include "lib/string.h"

#define NEVER		   UINT64_MAX

#define CONTROL_BCD	   0x01
#define CONTROL_MODE	   0x0E
#define CONTROL_ACCESS	   0x30
#define CONTROL_BITS	   0x3F
#define ACCESS_LSB	   1
#define ACCESS_MSB	   2
#define ACCESS_BOTH	   3
#define SELECT_READBACK	   3
#define READBACK_NO_COUNT  0x20
#define READBACK_NO_STATUS 0x10
#define STATUS_OUT	   0x80
#define STATUS_NULL	   0x40

#define PORT61_GATE2	   0x01
#define PORT61_SPEAKER	   0x02
#define PORT61_CHECKS	   0x0C
#define PORT61_REFRESH	   0x10
#define PORT61_OUT2	   0x20
/* Refresh requests come every 15.09 us, whatever counter 1 is set to, as chipsets now do it. */
/* Edges of periods shorter than this come together: the host has other things to do. */
#define LEAST_CLOCKS   (VPIT_HZ / 50000)
#define REFRESH_CLOCKS 18

static uint64_t clock_at(const struct vpit *v, uint64_t now)
{
	return rate_units(now, v->hz, VPIT_HZ);
}

static bool is_bcd(const struct vpit_counter *c)
{
	return c->control & CONTROL_BCD;
}

static unsigned access_of(const struct vpit_counter *c)
{
	return (c->control & CONTROL_ACCESS) >> 4;
}

static uint32_t modulus(const struct vpit_counter *c)
{
	return is_bcd(c) ? 10000 : 65536;
}

/* The modes in which a rising gate loads the counting element. */
static bool gate_triggers(unsigned mode)
{
	return mode != 0 && mode != 4;
}

/* The modes whose counting element is loaded again by itself. */
static bool periodic(unsigned mode)
{
	return mode == 2 || mode == 3;
}

/* The modes that count only while the gate is high. */
static bool gate_pauses(unsigned mode)
{
	return mode != 1 && mode != 5;
}

/* Clocks since the count was loaded; false while the load has not happened. */
static bool passed(const struct vpit_counter *c, uint64_t clock, uint64_t *n)
{
	if (!c->loaded || clock < c->start)
		return false;
	*n = c->paused ? c->held : clock - c->start;
	return true;
}

/* Mode 3: clocks of the high and of the low half; an odd count is longer high. */
static uint32_t half(const struct vpit_counter *c, bool low)
{
	return (c->count + !low) / 2;
}

/* Where clock n of mode 3 lies: in which half, and how far in. */
static uint32_t square_phase(const struct vpit_counter *c, uint64_t n, bool *low)
{
	uint32_t phase = (uint32_t)(n % c->count);
	uint32_t first = half(c, c->low_first);

	*low = c->low_first != (phase >= first);
	return phase >= first ? phase - first : phase;
}

static bool output(const struct vpit_counter *c, uint64_t clock)
{
	uint64_t n;
	bool low;

	if (!passed(c, clock, &n))
		return c->rest_output;
	switch (c->mode) {
	case 0: return n >= c->count;
	case 1: return n >= c->count;
	case 2: return c->paused || n % c->count != c->count - 1;
	case 3: square_phase(c, n, &low); return c->paused || !low;
	default: return n != c->count;
	}
}

static uint16_t to_bcd(uint32_t value)
{
	return (uint16_t)(value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 |
			  value / 1000 % 10 << 12);
}

static uint16_t shown(const struct vpit_counter *c, uint32_t value)
{
	return is_bcd(c) ? to_bcd(value) : (uint16_t)value;
}

/* What the counting element holds. */
static uint16_t value_at(const struct vpit_counter *c, uint64_t clock)
{
	uint32_t wrap = modulus(c);
	uint64_t n;
	bool low;

	if (!passed(c, clock, &n))
		return c->rest;
	switch (c->mode) {
	case 2: return shown(c, c->count - (uint32_t)(n % c->count));
	case 3: return shown(c, (c->count & ~1U) - 2 * square_phase(c, n, &low));
	default: return shown(c, (c->count + wrap - (uint32_t)(n % wrap)) % wrap);
	}
}

/* The clock at which the present period (in mode 3: half) ends, counted from clock n of it. */
static uint64_t period_end(const struct vpit_counter *c, uint64_t n)
{
	bool low;

	if (c->mode == 2)
		return c->start + n - n % c->count + c->count;
	n -= square_phase(c, n, &low);
	return c->start + n + half(c, low);
}

/* Modes 2 and 3: a count written during a period is loaded at its end. */
static void settle(struct vpit_counter *c, uint64_t clock)
{
	uint64_t n, end;
	bool low;

	if (!periodic(c->mode) || !c->pending || c->paused || !passed(c, c->pended, &n))
		return;
	end = period_end(c, n);
	if (clock < end)
		return;
	square_phase(c, end - c->start, &low);
	c->low_first = c->mode == 3 && low;
	c->count = c->reload;
	c->start = end;
	c->pending = false;
}

/* The next clock moves the count register to the counting element. */
static void load(struct vpit_counter *c, uint64_t clock)
{
	c->rest = value_at(c, clock);
	c->rest_output = c->mode != 0 && output(c, clock);
	/* A count of 1 is illegal in the periodic modes. */
	c->count = periodic(c->mode) ? MAX(c->reload, 2U) : c->reload;
	c->start = clock + 1;
	c->held = 0;
	c->paused = gate_pauses(c->mode) && !c->gate;
	c->low_first = false;
	c->loaded = true;
	c->pending = false;
}

static void count_written(struct vpit_counter *c, uint16_t value, uint64_t clock)
{
	uint32_t count = value;

	if (is_bcd(c))
		count = value % 16 + value / 16 % 16 * 10 + value / 256 % 16 * 100 +
			value / 4096 * 1000;
	c->reload = count % modulus(c) ? count % modulus(c) : modulus(c);
	c->written = true;
	/* A load that the next clock will do anyway takes the new count. */
	if (!gate_triggers(c->mode) || (c->loaded && clock < c->start) ||
	    (periodic(c->mode) && !c->loaded)) {
		load(c, clock);
	} else {
		c->pending = true;
		c->pended = clock;
	}
}

static void counter_write(struct vpit_counter *c, uint8_t value, uint64_t clock)
{
	switch (access_of(c)) {
	case ACCESS_LSB: count_written(c, value, clock); return;
	case ACCESS_MSB: count_written(c, (uint16_t)(value << 8), clock); return;
	default: break;
	}
	c->write_high = !c->write_high;
	if (!c->write_high) {
		count_written(c, (uint16_t)(value << 8 | c->write_low), clock);
		return;
	}
	c->write_low = value;
	if (c->mode == 0) { /* the first byte stops the count */
		c->rest = value_at(c, clock);
		c->rest_output = false;
		c->loaded = false;
	}
}

static uint8_t latched_read(struct vpit_counter *c)
{
	bool high = access_of(c) == ACCESS_MSB || (access_of(c) == ACCESS_BOTH && c->latched == 1);

	c->latched--;
	return (uint8_t)(high ? c->latch >> 8 : c->latch);
}

static uint8_t counter_read(struct vpit_counter *c, uint64_t clock)
{
	bool high = access_of(c) == ACCESS_MSB;
	uint16_t value;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->latched)
		return latched_read(c);
	value = value_at(c, clock);
	if (access_of(c) == ACCESS_BOTH) {
		high = c->read_high;
		c->read_high = !high;
	}
	return (uint8_t)(high ? value >> 8 : value);
}

static void latch_count(struct vpit_counter *c, uint64_t clock)
{
	if (c->latched)
		return;
	c->latch = value_at(c, clock);
	c->latched = access_of(c) == ACCESS_BOTH ? 2 : 1;
}

static void latch_status(struct vpit_counter *c, uint64_t clock)
{
	bool null = !c->written || c->pending || (c->loaded && clock < c->start);

	if (c->status_latched)
		return;
	c->status_latched = true;
	c->status = (uint8_t)(c->control | (null ? STATUS_NULL : 0) |
			      (output(c, clock) ? STATUS_OUT : 0));
}

static void set_mode(struct vpit_counter *c, uint8_t control, uint64_t clock)
{
	unsigned mode = (control & CONTROL_MODE) >> 1;

	c->rest = value_at(c, clock);
	c->control = control & CONTROL_BITS;
	c->mode = (uint8_t)(mode > 5 ? mode - 4 : mode);
	c->rest_output = c->mode != 0;
	c->loaded = c->pending = c->written = c->paused = false;
	c->write_high = c->read_high = c->status_latched = false;
	c->latched = 0;
}

static void control_write(struct vpit *v, uint8_t value, uint64_t clock)
{
	unsigned select = value >> 6;

	if (select == SELECT_READBACK) {
		for (unsigned i = 0; i < VPIT_COUNTERS; i++) {
			if (!(value & BIT(i + 1)))
				continue;
			if (!(value & READBACK_NO_COUNT))
				latch_count(&v->counter[i], clock);
			if (!(value & READBACK_NO_STATUS))
				latch_status(&v->counter[i], clock);
		}
	} else if (!(value & CONTROL_ACCESS)) {
		latch_count(&v->counter[select], clock);
	} else {
		set_mode(&v->counter[select], value, clock);
	}
}

static void set_gate(struct vpit_counter *c, bool gate, uint64_t clock)
{
	uint64_t n;

	if (gate == c->gate)
		return;
	c->gate = gate;
	if (gate && gate_triggers(c->mode)) {
		if (c->written)
			load(c, clock);
	} else if (gate) {
		if (c->paused && passed(c, clock, &n))
			c->start = clock - c->held;
		c->paused = false;
	} else if (gate_pauses(c->mode) && c->loaded) {
		c->held = passed(c, clock, &n) ? n : 0;
		c->paused = true;
	}
}

/* The next clock at which counter 0 has an edge to tell. Its gate is always high. */
static uint64_t next_edge(const struct vpit_counter *c, uint64_t clock)
{
	uint64_t n = 0;

	if (!c->loaded)
		return NEVER;
	passed(c, clock, &n);
	switch (c->mode) {
	case 0: return n < c->count ? c->start + c->count : NEVER;
	case 2:
	case 3: return period_end(c, n);
	case 4: return n <= c->count ? c->start + c->count + 1 : NEVER;
	default: return NEVER; /* modes 1 and 5: no trigger ever comes */
	}
}

static void drive(struct vpit *v, bool level)
{
	if (level == v->irq)
		return;
	v->irq = level;
	line_set(&v->output, level);
}

/*
 * The line follows counter 0's output, but for the low that lasts one clock in modes 2 and 4: it
 * is told together with the edge that ends it.
 */
static bool line_level(const struct vpit_counter *c, uint64_t clock)
{
	return c->mode == 2 || c->mode == 4 || output(c, clock);
}

static void schedule(struct vpit *v, uint64_t clock)
{
	const struct vpit_counter *c = &v->counter[0];

	drive(v, line_level(c, clock));
	v->next_clock = next_edge(c, clock);
	if (periodic(c->mode) && c->count < 2 * LEAST_CLOCKS)
		v->next_clock = MAX(v->next_clock, clock + LEAST_CLOCKS);
	v->next = v->next_clock == NEVER ? NEVER : rate_ticks(v->next_clock, v->hz, VPIT_HZ);
}

void vpit_advance(struct vpit *v, uint64_t now)
{
	uint64_t clock;
	bool level;

	if (now < v->next)
		return;
	clock = clock_at(v, now);
	settle(&v->counter[0], clock);
	level = line_level(&v->counter[0], clock);
	/* However many edges there were: an edge-triggered input sees one, and the level now. */
	if (level || !v->irq)
		drive(v, !level);
	schedule(v, clock);
}

static uint64_t look(struct vpit *v, uint64_t now)
{
	uint64_t clock = clock_at(v, now);

	vpit_advance(v, now);
	for (unsigned i = 0; i < VPIT_COUNTERS; i++)
		settle(&v->counter[i], clock);
	return clock;
}

uint32_t vpit_read(void *vpit, uint16_t port, unsigned size, uint64_t now)
{
	struct vpit *v = vpit;
	unsigned select = port & 3;

	(void)size;
	if (select == VPIT_COUNTERS)
		return UINT32_MAX;
	return counter_read(&v->counter[select], look(v, now));
}

void vpit_write(void *vpit, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vpit *v = vpit;
	unsigned select = port & 3;
	uint64_t clock = look(v, now);

	(void)size;
	if (select == VPIT_COUNTERS)
		control_write(v, (uint8_t)value, clock);
	else
		counter_write(&v->counter[select], (uint8_t)value, clock);
	schedule(v, clock);
}

uint32_t vpit_port61_read(void *vpit, uint16_t port, unsigned size, uint64_t now)
{
	struct vpit *v = vpit;
	uint64_t clock = look(v, now);
	uint32_t value = v->checks;

	(void)port, (void)size;
	value |= v->counter[2].gate ? PORT61_GATE2 : 0;
	value |= v->speaker ? PORT61_SPEAKER : 0;
	value |= clock / REFRESH_CLOCKS & 1 ? PORT61_REFRESH : 0;
	value |= output(&v->counter[2], clock) ? PORT61_OUT2 : 0;
	return value;
}

void vpit_port61_write(void *vpit, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vpit *v = vpit;

	(void)port, (void)size;
	set_gate(&v->counter[2], value & PORT61_GATE2, look(v, now));
	v->speaker = value & PORT61_SPEAKER;
	v->checks = (uint8_t)value & PORT61_CHECKS;
}

void vpit_init(struct vpit *v, uint64_t hz, struct line irq0, uint64_t now)
{
	/* Control word, LSB, MSB of each counter, as a PC's firmware sets them. */
	static const uint8_t set[VPIT_COUNTERS][3] = {{0x36, 0, 0}, {0x54, 18, 0}, {0xB6, 0, 0}};

	memset(v, 0, sizeof(*v));
	v->hz = hz;
	v->output = irq0;
	v->next = NEVER;
	v->counter[0].gate = v->counter[1].gate = true;
	for (uint16_t i = 0; i < VPIT_COUNTERS; i++) {
		vpit_write(v, VPIT_PORT + VPIT_COUNTERS, 1, set[i][0], now);
		vpit_write(v, VPIT_PORT + i, 1, set[i][1], now);
		if ((set[i][0] & CONTROL_ACCESS) == CONTROL_ACCESS)
			vpit_write(v, VPIT_PORT + i, 1, set[i][2], now);
	}
}
