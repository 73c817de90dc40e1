/* SPDX-License-Identifier: MIT */
/* HPET. IA-PC HPET Specification 1.0a, 'Register Overview', 'Theory of Operation'. */
#include "devices/vhpet.h"

#include "lib/bits.h"
#include "lib/rate.h"
#include "lib/string.h"

#define REG_ID		0x000
#define REG_CONFIG	0x010
#define REG_STATUS	0x020
#define REG_COUNTER	0x0F0
#define REG_TIMER	0x100 /* 20H bytes each: configuration, comparator, message */
#define TIMER_BYTES	0x20
#define NEVER		UINT64_MAX
#define LEAST_STEP	(VHPET_HZ / 50000) /* with a shorter period several become one */
#define PERIOD_FS	(1000000000000000ULL / VHPET_HZ)

#define CONFIG_ENABLE	BIT(0)
#define CONFIG_LEGACY	BIT(1)

#define TIMER_LEVEL	BIT(1)
#define TIMER_ENABLE	BIT(2)
#define TIMER_PERIODIC	BIT(3)
#define TIMER_CAN_DO	(BIT(4) | BIT(5) | BIT(15)) /* periodic, 64 bits, messages */
#define TIMER_SET_VALUE BIT(6)
#define TIMER_32BIT	BIT(8)
#define TIMER_MESSAGE	BIT(14)
#define TIMER_WRITABLE	0x7F4EULL
#define TIMER_PINS	(0x00F00000ULL << 32)

#define IRQ_TIMER	0
#define IRQ_RTC		8

static unsigned number(const struct vhpet *v, const struct vhpet_timer *t)
{
	return (unsigned)(t - v->timer);
}

/* Units that the counter has run since `start`. */
static uint64_t elapsed(const struct vhpet *v, uint64_t now)
{
	return v->config & CONFIG_ENABLE ? rate_units(now - v->start, v->hz, VHPET_HZ) : 0;
}

static void schedule(struct vhpet *v)
{
	uint64_t due = NEVER, ticks;

	for (unsigned i = 0; i < VHPET_TIMERS; i++)
		due = MIN(due, v->timer[i].due);
	v->next = NEVER;
	if (due == NEVER || !(v->config & CONFIG_ENABLE))
		return;
	ticks = rate_ticks(due, v->hz, VHPET_HZ);
	v->next = ticks > NEVER - v->start ? NEVER : v->start + ticks;
}

/* The next time that the counter comes to the comparator. */
static void aim(struct vhpet *v, struct vhpet_timer *t, uint64_t now)
{
	uint64_t ran = elapsed(v, now), left = t->comparator - (v->count + ran);

	if (t->config & TIMER_32BIT) {
		left &= UINT32_MAX;
		left = left ? left : 1ULL << 32;
	}
	t->due = left && left < NEVER - ran ? ran + left : NEVER;
}

/* --- Interrupts --- */

static bool replaces(const struct vhpet *v, const struct vhpet_timer *t)
{
	return (v->config & CONFIG_LEGACY) && number(v, t) < 2;
}

static void set_pin(struct vhpet *v, const struct vhpet_timer *t, bool level)
{
	if (replaces(v, t))
		v->ops.pin(v->ops.ctx, number(v, t) ? IRQ_RTC : IRQ_TIMER, level);
	else if (TIMER_PINS >> 32 >> bits_get(t->config, 13, 9) & 1)
		v->ops.pin(v->ops.ctx, (unsigned)bits_get(t->config, 13, 9), level);
}

/* A level-triggered timer's pin follows its status. */
static void update(struct vhpet *v, const struct vhpet_timer *t)
{
	if ((t->config & TIMER_LEVEL) && !(t->config & TIMER_MESSAGE))
		set_pin(v, t,
			(v->status >> number(v, t) & 1) && (t->config & TIMER_ENABLE) &&
				(v->config & CONFIG_ENABLE));
}

static void interrupt(struct vhpet *v, struct vhpet_timer *t)
{
	if (t->config & TIMER_LEVEL)
		v->status |= BIT(number(v, t));
	update(v, t);
	if (!(t->config & TIMER_ENABLE))
		return;
	if ((t->config & TIMER_MESSAGE) && !replaces(v, t)) {
		v->ops.message(v->ops.ctx, t->route >> 32, (uint32_t)t->route);
	} else if (!(t->config & TIMER_LEVEL)) {
		/* It stays up: an 8259 forgets a request whose line falls before it is taken. */
		set_pin(v, t, false);
		set_pin(v, t, true);
	}
}

/* The timer has come to its comparator, perhaps several times since somebody looked. */
static void fire(struct vhpet *v, struct vhpet_timer *t, uint64_t ran)
{
	uint64_t step = t->config & TIMER_32BIT ? 1ULL << 32 : 0, times;

	if (t->config & TIMER_PERIODIC)
		step = t->period;
	if (step < LEAST_STEP)
		ran += LEAST_STEP - 1; /* the host has other things to do */
	times = step ? (ran - t->due) / step + 1 : 0;
	if (t->config & TIMER_PERIODIC)
		t->comparator += times * step;
	if (t->config & TIMER_32BIT)
		t->comparator &= UINT32_MAX;
	t->due = step && times * step < NEVER - t->due ? t->due + times * step : NEVER;
	interrupt(v, t);
}

void vhpet_advance(struct vhpet *v, uint64_t now)
{
	uint64_t ran;

	if (now < v->next)
		return;
	ran = elapsed(v, now);
	for (unsigned i = 0; i < VHPET_TIMERS; i++)
		if (v->timer[i].due <= ran && v->timer[i].due != NEVER)
			fire(v, &v->timer[i], ran);
	schedule(v);
}

/* --- Registers --- */

static uint64_t read_register(const struct vhpet *v, uint64_t at, uint64_t now)
{
	const struct vhpet_timer *t = &v->timer[(at - REG_TIMER) / TIMER_BYTES % VHPET_TIMERS];

	switch (at) {
	case REG_ID: return PERIOD_FS << 32 | VHPET_ID;
	case REG_CONFIG: return v->config;
	case REG_STATUS: return v->status;
	case REG_COUNTER: return v->count + elapsed(v, now);
	default: break;
	}
	if (at < REG_TIMER || at >= REG_TIMER + VHPET_TIMERS * TIMER_BYTES)
		return 0;
	switch (at % TIMER_BYTES) {
	case 0x00: return t->config | TIMER_CAN_DO | TIMER_PINS;
	case 0x08: return t->comparator;
	case 0x10: return t->route;
	default: return 0;
	}
}

uint64_t vhpet_read(void *vhpet, uint64_t offset, unsigned size, uint64_t now)
{
	struct vhpet *v = vhpet;

	(void)size;
	vhpet_advance(v, now);
	return read_register(v, offset & ~7ULL, now) >> (offset % 8 * 8);
}

static void write_config(struct vhpet *v, uint64_t value, uint64_t now)
{
	uint64_t before = v->config;

	v->count += elapsed(v, now);
	v->start = now;
	for (unsigned i = 0; i < VHPET_TIMERS; i++)
		set_pin(v, &v->timer[i], false);
	v->config = value & (CONFIG_ENABLE | CONFIG_LEGACY);
	if ((before ^ value) & CONFIG_LEGACY)
		v->ops.legacy(v->ops.ctx, value & CONFIG_LEGACY);
	for (unsigned i = 0; i < VHPET_TIMERS; i++) {
		aim(v, &v->timer[i], now);
		update(v, &v->timer[i]);
	}
}

static void write_comparator(struct vhpet *v, struct vhpet_timer *t, uint64_t value, uint64_t now)
{
	if (t->config & TIMER_32BIT)
		value &= UINT32_MAX;
	/* A periodic timer's period, but right after its value was asked to be set. */
	if ((t->config & TIMER_PERIODIC) && !(t->config & TIMER_SET_VALUE)) {
		t->period = value;
		return;
	}
	t->config &= ~TIMER_SET_VALUE;
	t->comparator = value;
	aim(v, t, now);
}

static void write_timer(struct vhpet *v, struct vhpet_timer *t, unsigned at, uint64_t value,
			uint64_t now)
{
	switch (at) {
	case 0x00:
		/* The pin that it leaves goes down. */
		set_pin(v, t, false);
		t->config = value & TIMER_WRITABLE;
		if (!(t->config & TIMER_PERIODIC))
			t->config &= ~TIMER_SET_VALUE;
		aim(v, t, now);
		update(v, t);
		break;
	case 0x08: write_comparator(v, t, value, now); break;
	case 0x10: t->route = value; break;
	default: break;
	}
}

static void write_register(struct vhpet *v, uint64_t at, uint64_t value, uint64_t now)
{
	switch (at) {
	case REG_CONFIG: write_config(v, value, now); return;
	case REG_STATUS:
		v->status &= ~value;
		for (unsigned i = 0; i < VHPET_TIMERS; i++)
			update(v, &v->timer[i]);
		return;
	case REG_COUNTER:
		v->count = value;
		v->start = now;
		for (unsigned i = 0; i < VHPET_TIMERS; i++)
			aim(v, &v->timer[i], now);
		return;
	default: break;
	}
	if (at >= REG_TIMER && at < REG_TIMER + VHPET_TIMERS * TIMER_BYTES)
		write_timer(v, &v->timer[(at - REG_TIMER) / TIMER_BYTES], at % TIMER_BYTES, value,
			    now);
}

/* What a part of a register that is not written holds; none of the bits that writing clears. */
static uint64_t rest_of(const struct vhpet *v, uint64_t at, uint64_t now)
{
	const struct vhpet_timer *t = &v->timer[(at - REG_TIMER) / TIMER_BYTES % VHPET_TIMERS];

	if (at == REG_STATUS)
		return 0;
	if (at > REG_TIMER && at % TIMER_BYTES == 0x08 && (t->config & TIMER_PERIODIC) &&
	    !(t->config & TIMER_SET_VALUE))
		return t->period;
	return read_register(v, at, now);
}

void vhpet_write(void *vhpet, uint64_t offset, unsigned size, uint64_t value, uint64_t now)
{
	struct vhpet *v = vhpet;
	uint64_t at = offset & ~7ULL, mask = mask_bytes(size) << (offset % 8 * 8);

	vhpet_advance(v, now);
	value = (rest_of(v, at, now) & ~mask) | (value << (offset % 8 * 8) & mask);
	write_register(v, at, value, now);
	schedule(v);
}

void vhpet_init(struct vhpet *v, uint64_t hz, const struct vhpet_ops *ops)
{
	memset(v, 0, sizeof(*v));
	v->hz = hz;
	v->ops = *ops;
	v->next = NEVER;
	for (unsigned i = 0; i < VHPET_TIMERS; i++) {
		v->timer[i].comparator = NEVER;
		v->timer[i].due = NEVER;
	}
}
