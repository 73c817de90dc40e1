/* SPDX-License-Identifier: MIT */
/*
 * Local APIC.
 *
 * rules[] says for each register who may read and write it in xAPIC and in x2APIC mode and which
 * bits it has; write_register() does what writing means, the same for both.
 * SDM volume 3, 'Advanced Programmable Interrupt Controller (APIC)': 'Local Vector Table', 'Error
 * Handling', 'APIC Timer', 'Issuing Interprocessor Interrupts', 'Interrupt Acceptance', 'Extended
 * XAPIC (x2APIC)'.
 */
#include "devices/vlapic.h"

#include "lib/bits.h"
#include "lib/rate.h"
#include "lib/string.h"

#define NEVER UINT64_MAX

/* Version 14H, six LVT entries, EOI broadcasts can be suppressed. */
#define VERSION_VALUE	     (0x14U | 5U << 16 | 1U << 24)

#define SVR_ENABLE	     VLAPIC_SVR_ENABLE
#define SVR_NO_BROADCAST     (1U << 12)
#define SVR_RESET	     0xFFU
#define SVR_WIRED	     (SVR_ENABLE | 0x0FU)

#define LVT_VECTOR	     0xFFU
#define LVT_DELIVERY	     (7U << 8)
#define LVT_STATUS	     (1U << 12)
#define LVT_POLARITY	     (1U << 13)
#define LVT_REMOTE_IRR	     (1U << 14)
#define LVT_LEVEL	     (1U << 15)
#define LVT_MASKED	     (1U << 16)
#define LVT_TIMER_MODE	     (3U << 17)
#define LVT_READ_ONLY	     (LVT_STATUS | LVT_REMOTE_IRR)

#define TIMER_PERIODIC	     (1U << 17)
#define TIMER_DEADLINE	     (2U << 17)

#define ICR_LOGICAL	     (1U << 11)
#define ICR_STATUS	     (1U << 12)
#define ICR_ASSERT	     (1U << 14)
#define ICR_LEVEL	     (1U << 15)
#define ICR_LOW_BITS	     0xCFFFU

#define ERROR_SEND_VECTOR    (1U << 5)
#define ERROR_RECEIVE_VECTOR (1U << 6)
#define ERROR_REGISTER	     (1U << 7)

#define DFR_MODEL	     0xF0000000U
#define DFR_FLAT	     0xF0000000U
#define DFR_CLUSTER	     0x00000000U

/* Who may access a register: in xAPIC mode (X) and in x2APIC mode (X2). */
enum access { XR = 1, XW = 2, X2R = 4, X2W = 8, BOTH_R = XR | X2R, BOTH = 15 };

struct rule {
	uint8_t access;
	uint32_t bits; /* writable; setting another one is #GP in x2APIC mode */
};

#define RULE(reg)	[(reg) / 16]
#define RULE_ARRAY(reg) [(reg) / 16 ...(reg) / 16 + 7]
#define REGISTERS	64

static const struct rule rules[REGISTERS] = {
	RULE(VLAPIC_ID) = {BOTH_R, 0},
	RULE(VLAPIC_VERSION) = {BOTH_R, 0},
	RULE(VLAPIC_TPR) = {BOTH, 0xFF},
	RULE(VLAPIC_APR) = {XR, 0},
	RULE(VLAPIC_PPR) = {BOTH_R, 0},
	RULE(VLAPIC_EOI) = {XR | XW | X2W, 0},
	RULE(VLAPIC_RRD) = {XR, 0},
	RULE(VLAPIC_LDR) = {BOTH_R | XW, 0xFF000000},
	RULE(VLAPIC_DFR) = {XR | XW, DFR_MODEL},
	RULE(VLAPIC_SVR) = {BOTH, 0x13FF},
	RULE_ARRAY(VLAPIC_ISR) = {BOTH_R, 0},
	RULE_ARRAY(VLAPIC_TMR) = {BOTH_R, 0},
	RULE_ARRAY(VLAPIC_IRR) = {BOTH_R, 0},
	RULE(VLAPIC_ESR) = {BOTH, 0},
	RULE(VLAPIC_ICR) = {BOTH, 3U << 18 | ICR_LOW_BITS},
	RULE(VLAPIC_ICR_HIGH) = {XR | XW, 0xFF000000},
	RULE(VLAPIC_LVT_TIMER) = {BOTH, LVT_VECTOR | LVT_MASKED | LVT_TIMER_MODE},
	RULE(VLAPIC_LVT_THERMAL) = {BOTH, LVT_VECTOR | LVT_DELIVERY | LVT_MASKED},
	RULE(VLAPIC_LVT_PERF) = {BOTH, LVT_VECTOR | LVT_DELIVERY | LVT_MASKED},
	RULE(VLAPIC_LVT_LINT0) = {BOTH, LVT_VECTOR | LVT_DELIVERY | LVT_POLARITY | LVT_LEVEL |
						LVT_MASKED},
	RULE(VLAPIC_LVT_LINT1) = {BOTH, LVT_VECTOR | LVT_DELIVERY | LVT_POLARITY | LVT_LEVEL |
						LVT_MASKED},
	RULE(VLAPIC_LVT_ERROR) = {BOTH, LVT_VECTOR | LVT_MASKED},
	RULE(VLAPIC_TIMER_INITIAL) = {BOTH, UINT32_MAX},
	RULE(VLAPIC_TIMER_CURRENT) = {BOTH_R, 0},
	RULE(VLAPIC_TIMER_DIVIDE) = {BOTH, 0xB},
	RULE(VLAPIC_SELF_IPI) = {X2W, 0xFF},
};

static uint32_t get(const struct vlapic *v, unsigned reg)
{
	uint32_t value;

	__builtin_memcpy(&value, v->page + reg, sizeof(value));
	return value;
}

static void put_page(struct vlapic *v, unsigned reg, uint32_t value)
{
	__builtin_memcpy(v->page + reg, &value, sizeof(value));
}

/* What a later write does may depend on it: it is kept where the processor does not write. */
static void put(struct vlapic *v, unsigned reg, uint32_t value)
{
	put_page(v, reg, value);
	if (reg >= VLAPIC_ICR)
		v->kept[reg / 16 % VLAPIC_KEPT] = value;
}

/* The three arrays of 256 bits (IRR, ISR, TMR) lie in eight registers each. */
static unsigned vector_reg(unsigned array, uint8_t vector)
{
	return array + vector / 32U * 16;
}

static bool vector_test(const struct vlapic *v, unsigned array, uint8_t vector)
{
	return get(v, vector_reg(array, vector)) & BIT(vector % 32);
}

static void vector_set(struct vlapic *v, unsigned array, uint8_t vector, bool set)
{
	unsigned reg = vector_reg(array, vector);
	uint32_t bit = 1U << vector % 32;

	put_page(v, reg, set ? get(v, reg) | bit : get(v, reg) & ~bit);
}

static int16_t vector_top(const struct vlapic *v, unsigned array)
{
	for (int word = 7; word >= 0; word--) {
		uint32_t bits = get(v, array + (unsigned)word * 16);

		if (bits)
			return (int16_t)(word * 32 + 31 - __builtin_clz(bits));
	}
	return -1;
}

static bool software_enabled(const struct vlapic *v)
{
	return vlapic_software_enabled(v);
}

static void changed(struct vlapic *v)
{
	v->ops->changed(v->ctx);
}

static unsigned lvt_delivery(uint32_t lvt)
{
	return (lvt & LVT_DELIVERY) >> 8;
}

static void error(struct vlapic *v, uint32_t bit);

/* A fixed interrupt arrives, from the bus or from the local vector table. */
static void accept_fixed(struct vlapic *v, uint8_t vector, bool level)
{
	if (!software_enabled(v))
		return;
	if (vector < APIC_VECTOR_MIN) {
		error(v, ERROR_RECEIVE_VECTOR);
		return;
	}
	if (vector_test(v, VLAPIC_TMR, vector) != level) {
		vector_set(v, VLAPIC_TMR, vector, level);
		v->tmr_changed |= (uint8_t)BIT(vector / 64);
	}
	vector_set(v, VLAPIC_IRR, vector, true);
	if (v->delegated)
		v->request = MAX(v->request, vector);
	else
		v->irr_top = MAX(v->irr_top, vector);
	changed(v);
}

/* One of the local sources asks; ExtINT is a level and is seen to by update_extint. */
static void local_interrupt(struct vlapic *v, unsigned lvt_reg, bool level)
{
	uint32_t lvt = get(v, lvt_reg);

	if (lvt & LVT_MASKED)
		return;
	switch (lvt_delivery(lvt)) {
	case APIC_FIXED: accept_fixed(v, (uint8_t)(lvt & LVT_VECTOR), level); break;
	case APIC_SMI: v->ops->smi(v->ctx); break;
	case APIC_NMI: v->ops->nmi(v->ctx); break;
	case APIC_INIT: v->ops->init(v->ctx); break;
	default: break;
	}
}

bool vlapic_lint0_is_nmi(const struct vlapic *v)
{
	uint32_t lvt = get(v, VLAPIC_LVT_LINT0);

	return !(lvt & LVT_MASKED) && lvt_delivery(lvt) == APIC_NMI;
}

bool vlapic_lint0_listens(const struct vlapic *v)
{
	return !vlapic_enabled(v) || !(get(v, VLAPIC_LVT_LINT0) & LVT_MASKED);
}

static void error(struct vlapic *v, uint32_t bit)
{
	v->errors |= bit;
	/* An error interrupt whose own vector is illegal is one more such error, no more. */
	if ((get(v, VLAPIC_LVT_ERROR) & LVT_VECTOR) >= APIC_VECTOR_MIN)
		local_interrupt(v, VLAPIC_LVT_ERROR, false);
	else if (!(get(v, VLAPIC_LVT_ERROR) & LVT_MASKED))
		v->errors |= ERROR_RECEIVE_VECTOR;
}

static void update_extint(struct vlapic *v)
{
	uint32_t lvt = get(v, VLAPIC_LVT_LINT0);
	bool wired =
		!vlapic_enabled(v) || (!(lvt & LVT_MASKED) && lvt_delivery(lvt) == APIC_EXTINT);
	bool extint = (v->lint[0] && wired) || v->extint_latched;

	if (extint == v->extint)
		return;
	v->extint = extint;
	changed(v);
}

/* LINT0 in fixed mode may be level triggered; LINT1 never is. */
static bool lint_level(const struct vlapic *v, unsigned pin)
{
	uint32_t lvt = get(v, VLAPIC_LVT_LINT0);

	return !pin && (lvt & LVT_LEVEL) && lvt_delivery(lvt) == APIC_FIXED;
}

static void serve_lint_level(struct vlapic *v)
{
	uint32_t lvt = get(v, VLAPIC_LVT_LINT0);

	if (!lint_level(v, 0) || !v->lint[0] || (lvt & (LVT_MASKED | LVT_REMOTE_IRR)))
		return;
	put(v, VLAPIC_LVT_LINT0, lvt | LVT_REMOTE_IRR);
	local_interrupt(v, VLAPIC_LVT_LINT0, true);
}

void vlapic_set_lint(void *vlapic, unsigned pin, bool level)
{
	struct vlapic *v = vlapic;
	bool rose = level && !v->lint[pin & 1];

	pin &= 1;
	v->lint[pin] = level;
	if (!pin)
		update_extint(v);
	if (!vlapic_enabled(v)) {
		if (rose && pin)
			v->ops->nmi(v->ctx);
	} else if (lint_level(v, pin)) {
		serve_lint_level(v);
	} else if (rose) {
		local_interrupt(v, pin ? VLAPIC_LVT_LINT1 : VLAPIC_LVT_LINT0, false);
	}
}

/* --- Timer --- */

static uint32_t timer_mode(const struct vlapic *v)
{
	return get(v, VLAPIC_LVT_TIMER) & LVT_TIMER_MODE;
}

static unsigned timer_divide(const struct vlapic *v)
{
	uint32_t divide = get(v, VLAPIC_TIMER_DIVIDE);

	return 1U << (((divide & 3) | (divide & 8) >> 1) + 1) % 8;
}

/* Counts since timer_start. */
static uint64_t timer_elapsed(const struct vlapic *v, uint64_t now)
{
	return rate_units(now - v->timer_start, v->hz, VLAPIC_TIMER_HZ) / timer_divide(v);
}

static void timer_publish(struct vlapic *v)
{
	v->next = get(v, VLAPIC_LVT_TIMER) & LVT_MASKED ? NEVER : v->timer_next;
}

static void timer_arm(struct vlapic *v)
{
	v->timer_next = v->timer_start +
			rate_ticks(v->timer_expiry * timer_divide(v), v->hz, VLAPIC_TIMER_HZ);
	timer_publish(v);
}

static void timer_stop(struct vlapic *v)
{
	v->deadline = 0;
	v->timer_next = NEVER;
	timer_publish(v);
}

static void timer_start(struct vlapic *v, uint32_t counts, uint64_t now)
{
	v->timer_start = now;
	v->timer_expiry = counts;
	if (counts)
		timer_arm(v);
	else
		timer_stop(v);
}

static void timer_expire(struct vlapic *v, uint64_t now)
{
	uint32_t initial = get(v, VLAPIC_TIMER_INITIAL);

	if (timer_mode(v) == TIMER_PERIODIC && initial) {
		/* However late we are, the next expiry lies ahead, and in phase. */
		uint64_t late = timer_elapsed(v, now) - v->timer_expiry;

		v->timer_expiry += (late / initial + 1) * initial;
		timer_arm(v);
	} else {
		timer_stop(v);
	}
	local_interrupt(v, VLAPIC_LVT_TIMER, false);
}

static void timer_settle(struct vlapic *v, uint64_t now)
{
	if (now >= v->timer_next)
		timer_expire(v, now);
}

static uint32_t timer_current(const struct vlapic *v, uint64_t now)
{
	if (v->timer_next == NEVER || timer_mode(v) == TIMER_DEADLINE)
		return 0;
	return (uint32_t)(v->timer_expiry - timer_elapsed(v, now));
}

static void timer_set_divide(struct vlapic *v, uint32_t value, uint64_t now)
{
	uint32_t left = timer_current(v, now);

	put(v, VLAPIC_TIMER_DIVIDE, value);
	if (left)
		timer_start(v, left, now);
}

static void deadline_arm(struct vlapic *v, uint64_t now)
{
	uint64_t tsc = now + v->tsc_adjust;
	uint64_t left = v->deadline > tsc ? v->deadline - tsc : 0;

	if (!v->deadline)
		v->timer_next = NEVER;
	else
		v->timer_next = left < NEVER - 1 - now ? now + left : NEVER - 1;
	timer_publish(v);
}

uint64_t vlapic_read_deadline(struct vlapic *v, uint64_t now)
{
	timer_settle(v, now);
	return v->deadline;
}

void vlapic_write_deadline(struct vlapic *v, uint64_t value, uint64_t now)
{
	timer_settle(v, now);
	if (timer_mode(v) != TIMER_DEADLINE)
		return;
	v->deadline = value;
	deadline_arm(v, now);
	timer_settle(v, now);
}

void vlapic_set_tsc_adjust(struct vlapic *v, uint64_t adjust, uint64_t now)
{
	timer_settle(v, now);
	v->tsc_adjust = adjust;
	if (timer_mode(v) != TIMER_DEADLINE)
		return;
	deadline_arm(v, now);
	timer_settle(v, now);
}

void vlapic_advance(struct vlapic *v, uint64_t now)
{
	if (now >= v->next)
		timer_settle(v, now);
}

/* --- Interprocessor interrupts --- */

/* Combinations that the SDM's table of valid ones lacks are not sent. */
static bool ipi_valid(const struct apic_message *message)
{
	switch (message->delivery) {
	case APIC_FIXED: return true;
	case APIC_LOWEST_PRIORITY:
	case APIC_SMI:
	case APIC_NMI:
	case APIC_STARTUP:
		return message->shorthand != APIC_DEST_SELF && message->shorthand != APIC_DEST_ALL;
	case APIC_INIT: /* the level de-assert does nothing since the Pentium 4 */
		return message->shorthand != APIC_DEST_SELF &&
		       message->shorthand != APIC_DEST_ALL && message->asserted;
	default: return false;
	}
}

static void send_ipi(struct vlapic *v, uint32_t low, uint32_t destination)
{
	struct apic_message message = {
		.destination = destination,
		.vector = (uint8_t)(low & LVT_VECTOR),
		.delivery = (uint8_t)lvt_delivery(low),
		.shorthand = (uint8_t)(low >> 18 & 3),
		.logical = low & ICR_LOGICAL,
		.asserted = (low & ICR_ASSERT) || !(low & ICR_LEVEL),
	};

	if (!ipi_valid(&message))
		return;
	if (message.delivery <= APIC_LOWEST_PRIORITY && message.vector < APIC_VECTOR_MIN) {
		error(v, ERROR_SEND_VECTOR);
		return;
	}
	if (message.shorthand == APIC_DEST_SELF)
		accept_fixed(v, message.vector, false);
	else
		v->ops->send(v->ctx, &message);
}

static void write_icr(struct vlapic *v, uint32_t value)
{
	put(v, VLAPIC_ICR, value & ~ICR_STATUS);
	send_ipi(v, value, apic_widen((uint8_t)(get(v, VLAPIC_ICR_HIGH) >> 24)));
}

bool vlapic_matches(const struct vlapic *v, uint32_t destination, bool logical)
{
	uint32_t ldr = get(v, VLAPIC_LDR), model = get(v, VLAPIC_DFR) & DFR_MODEL;

	if (!vlapic_enabled(v))
		return false;
	if (destination == APIC_BROADCAST)
		return true;
	if (!logical)
		return destination == (vlapic_x2apic(v) ? v->id : v->id & 0xFF);
	if (vlapic_x2apic(v))
		return destination >> 16 == ldr >> 16 && (destination & ldr & 0xFFFF);
	ldr >>= 24;
	if (destination > 0xFF)
		return false;
	if (model == DFR_FLAT)
		return destination & ldr;
	return model == DFR_CLUSTER && destination >> 4 == ldr >> 4 && (destination & ldr & 0xF);
}

bool vlapic_arbitrates(const struct vlapic *v)
{
	return vlapic_enabled(v) && software_enabled(v);
}

uint8_t vlapic_apr(const struct vlapic *v)
{
	return vlapic_ppr(v);
}

void vlapic_accept(struct vlapic *v, const struct apic_message *message)
{
	if (!vlapic_enabled(v))
		return;
	switch (message->delivery) {
	case APIC_FIXED:
	case APIC_LOWEST_PRIORITY: accept_fixed(v, message->vector, message->level); break;
	case APIC_SMI: v->ops->smi(v->ctx); break;
	case APIC_NMI: v->ops->nmi(v->ctx); break;
	case APIC_INIT: v->ops->init(v->ctx); break;
	case APIC_STARTUP: v->ops->startup(v->ctx, message->vector); break;
	case APIC_EXTINT:
		v->extint_latched = true;
		update_extint(v);
		break;
	default: break;
	}
}

/* --- Priorities, acknowledge, EOI --- */

uint8_t vlapic_ppr(const struct vlapic *v)
{
	uint8_t tpr = vlapic_tpr(v);

	if (v->delegated)
		return v->page[VLAPIC_PPR];
	/* Of a vector in service only the class counts, unless the TPR is of the same or above. */
	if (v->isr_top >> 4 > tpr >> 4)
		return (uint8_t)(v->isr_top & 0xF0);
	return tpr;
}

void vlapic_set_tpr(struct vlapic *v, uint8_t tpr)
{
	int before = vlapic_pending(v);

	put(v, VLAPIC_TPR, tpr);
	if (v->delegated || vlapic_pending(v) != before)
		changed(v);
}

uint8_t vlapic_tpr_threshold(const struct vlapic *v)
{
	int class = v->irr_top >> 4;

	if (v->irr_top < 0 || class > vlapic_tpr(v) >> 4 || class <= v->isr_top >> 4)
		return 0;
	return (uint8_t) class;
}

void vlapic_acknowledge(struct vlapic *v, uint8_t vector)
{
	vector_set(v, VLAPIC_IRR, vector, false);
	vector_set(v, VLAPIC_ISR, vector, true);
	if (vector > v->isr_top)
		v->isr_top = vector;
	if (vector == v->irr_top)
		v->irr_top = vector_top(v, VLAPIC_IRR);
}

void vlapic_acknowledge_extint(struct vlapic *v)
{
	v->extint_latched = false;
	update_extint(v);
}

static void lint_eoi(struct vlapic *v, uint8_t vector)
{
	uint32_t lvt = get(v, VLAPIC_LVT_LINT0);

	if (!(lvt & LVT_REMOTE_IRR) || (lvt & LVT_VECTOR) != vector)
		return;
	put(v, VLAPIC_LVT_LINT0, lvt & ~LVT_REMOTE_IRR);
	serve_lint_level(v);
}

void vlapic_ended(struct vlapic *v, uint8_t vector)
{
	lint_eoi(v, vector);
	if (!(get(v, VLAPIC_SVR) & SVR_NO_BROADCAST))
		v->ops->eoi(v->ctx, vector);
}

static void end_of_interrupt(struct vlapic *v)
{
	int top = v->delegated ? vector_top(v, VLAPIC_ISR) : v->isr_top;
	uint8_t vector = (uint8_t)top;

	if (top < 0)
		return;
	vector_set(v, VLAPIC_ISR, vector, false);
	if (v->delegated)
		v->rewritten = true;
	else
		v->isr_top = vector_top(v, VLAPIC_ISR);
	if (vector_test(v, VLAPIC_TMR, vector))
		vlapic_ended(v, vector);
	/* What waits is deliverable now, or held by the TPR alone: then that is to be watched. */
	if (v->delegated || vlapic_pending(v) >= 0 || vlapic_tpr_threshold(v))
		changed(v);
}

void vlapic_resync(struct vlapic *v)
{
	v->irr_top = vector_top(v, VLAPIC_IRR);
	v->isr_top = vector_top(v, VLAPIC_ISR);
}

void vlapic_undelegate(struct vlapic *v)
{
	v->delegated = false;
	v->request = -1;
	vlapic_resync(v);
}

void vlapic_delegate(struct vlapic *v)
{
	/* The processor computes it from now on, at its next entry first. */
	put_page(v, VLAPIC_PPR, vlapic_ppr(v));
	v->delegated = true;
	v->rewritten = true;
	v->request = v->irr_top = v->isr_top = -1;
	v->tmr_changed = BITS(3, 0);
}

/* The processor's 0 is no vector: none below 16 is ever requested. */
static int16_t top_of(uint8_t vector)
{
	return vector ? vector : -1;
}

void vlapic_take_back(struct vlapic *v, uint8_t requested, uint8_t serviced)
{
	if (v->rewritten) {
		vlapic_resync(v);
	} else {
		v->irr_top = MAX(v->request, top_of(requested));
		v->isr_top = top_of(serviced);
	}
	v->rewritten = false;
	v->request = -1;
}

void vlapic_hand_over(struct vlapic *v, uint8_t *requested, uint8_t *serviced)
{
	*requested = (uint8_t)MAX(v->irr_top, 0);
	*serviced = (uint8_t)MAX(v->isr_top, 0);
	v->irr_top = v->isr_top = -1;
}

uint64_t vlapic_level_triggered(const struct vlapic *v, unsigned word)
{
	unsigned reg = VLAPIC_TMR + word * 32;

	return (uint64_t)get(v, reg + 16) << 32 | get(v, reg);
}

/* --- Registers --- */

static void mask_lvts(struct vlapic *v)
{
	for (unsigned reg = VLAPIC_LVT_TIMER; reg <= VLAPIC_LVT_ERROR; reg += 16)
		put(v, reg, get(v, reg) | LVT_MASKED);
	timer_publish(v);
	update_extint(v);
}

static void write_lvt(struct vlapic *v, unsigned reg, uint32_t value)
{
	uint32_t old = get(v, reg);

	if (!software_enabled(v))
		value |= LVT_MASKED;
	put(v, reg, value | (old & LVT_REMOTE_IRR));
	if (reg == VLAPIC_LVT_TIMER) {
		if (((value ^ old) & LVT_TIMER_MODE) && ((value | old) & TIMER_DEADLINE))
			timer_stop(v);
		timer_publish(v);
	} else if (reg == VLAPIC_LVT_LINT0) {
		if (!lint_level(v, 0))
			put(v, reg, value);
		update_extint(v);
		serve_lint_level(v);
	}
}

static void write_register(struct vlapic *v, unsigned reg, uint32_t value, uint64_t now)
{
	switch (reg) {
	case VLAPIC_TPR: vlapic_set_tpr(v, (uint8_t)value); break;
	case VLAPIC_EOI: end_of_interrupt(v); break;
	case VLAPIC_SVR:
		put(v, reg, value);
		if (!(value & SVR_ENABLE))
			mask_lvts(v);
		changed(v);
		break;
	case VLAPIC_DFR: put(v, reg, value | ~DFR_MODEL); break;
	case VLAPIC_ESR:
		put(v, reg, v->errors);
		v->errors = 0;
		break;
	case VLAPIC_ICR: write_icr(v, value); break;
	case VLAPIC_LVT_TIMER ... VLAPIC_LVT_ERROR: write_lvt(v, reg, value); break;
	case VLAPIC_TIMER_INITIAL:
		if (timer_mode(v) == TIMER_DEADLINE)
			break;
		put(v, reg, value);
		timer_start(v, value, now);
		break;
	case VLAPIC_TIMER_DIVIDE: timer_set_divide(v, value, now); break;
	case VLAPIC_SELF_IPI: send_ipi(v, value | APIC_DEST_SELF << 18, 0); break;
	default: put(v, reg, value);
	}
}

static uint32_t read_register(struct vlapic *v, unsigned reg, uint64_t now)
{
	switch (reg) {
	case VLAPIC_PPR:
		if (!v->delegated)
			put(v, reg, vlapic_ppr(v));
		break;
	case VLAPIC_TIMER_CURRENT: put(v, reg, timer_current(v, now)); break;
	default: break;
	}
	return get(v, reg);
}

static bool allowed(unsigned reg, enum access access)
{
	return reg / 16 < REGISTERS && (rules[reg / 16].access & access);
}

bool vlapic_reads_page(uint32_t msr)
{
	unsigned reg = (msr - VLAPIC_MSR_FIRST) * 16;

	return allowed(reg, X2R) && reg != VLAPIC_TIMER_CURRENT;
}

bool vlapic_read_msr(struct vlapic *v, uint32_t msr, uint64_t *value, uint64_t now)
{
	unsigned reg = (msr - VLAPIC_MSR_FIRST) * 16;

	if (!vlapic_x2apic(v) || msr < VLAPIC_MSR_FIRST || msr > VLAPIC_MSR_LAST ||
	    !allowed(reg, X2R))
		return false;
	timer_settle(v, now);
	*value = read_register(v, reg, now);
	if (reg == VLAPIC_ICR)
		*value |= (uint64_t)get(v, VLAPIC_ICR + 4) << 32;
	return true;
}

bool vlapic_write_msr(struct vlapic *v, uint32_t msr, uint64_t value, uint64_t now)
{
	unsigned reg = (msr - VLAPIC_MSR_FIRST) * 16;
	uint64_t bits;

	if (!vlapic_x2apic(v) || msr < VLAPIC_MSR_FIRST || msr > VLAPIC_MSR_LAST ||
	    !allowed(reg, X2W))
		return false;
	bits = rules[reg / 16].bits;
	if (reg == VLAPIC_ICR)
		bits |= BITS(63, 32) | ICR_STATUS;
	else if (reg >= VLAPIC_LVT_TIMER && reg <= VLAPIC_LVT_ERROR)
		bits |= LVT_READ_ONLY;
	if (value & ~bits)
		return false;
	timer_settle(v, now);
	if (reg == VLAPIC_ICR) {
		put(v, VLAPIC_ICR, (uint32_t)value & ~ICR_STATUS);
		put(v, VLAPIC_ICR + 4, (uint32_t)(value >> 32));
		send_ipi(v, (uint32_t)value, (uint32_t)(value >> 32));
	} else {
		write_register(v, reg, (uint32_t)value & rules[reg / 16].bits, now);
	}
	return true;
}

uint64_t vlapic_read(struct vlapic *v, uint64_t offset, unsigned size, uint64_t now)
{
	unsigned reg = (unsigned)offset & 0xFF0, byte = offset & 15;

	(void)size;
	if (!allowed(reg, XR)) {
		error(v, ERROR_REGISTER);
		return 0;
	}
	timer_settle(v, now);
	return byte < 4 ? (uint64_t)read_register(v, reg, now) >> 8 * byte : 0;
}

/* Registers take whole, aligned double words; anything else is undefined and here does nothing. */
void vlapic_write(struct vlapic *v, uint64_t offset, unsigned size, uint64_t value, uint64_t now)
{
	unsigned reg = (unsigned)offset & 0xFF0;

	if (!allowed(reg, XW)) {
		if (!allowed(reg, XR))
			error(v, ERROR_REGISTER);
		return;
	}
	if ((offset & 15) || size < 4)
		return;
	timer_settle(v, now);
	write_register(v, reg, (uint32_t)value & rules[reg / 16].bits, now);
}

void vlapic_written(struct vlapic *v, uint64_t offset, uint64_t now)
{
	unsigned reg = (unsigned)offset & 0xFF0;
	uint32_t value;

	if (reg / 16 >= REGISTERS)
		return;
	value = get(v, reg);
	if (reg >= VLAPIC_ICR)
		put_page(v, reg, v->kept[reg / 16 % VLAPIC_KEPT]);
	else if (reg == VLAPIC_ID)
		put_page(v, reg, v->id << 24);
	vlapic_write(v, reg, sizeof(value), value, now);
}

/* --- Modes and reset --- */

static void set_identity(struct vlapic *v)
{
	if (!vlapic_x2apic(v)) {
		put(v, VLAPIC_ID, v->id << 24);
		return;
	}
	put(v, VLAPIC_ID, v->id);
	put(v, VLAPIC_LDR, v->id >> 4 << 16 | 1U << (v->id & 15));
	put(v, VLAPIC_ICR + 4, 0);
}

static void reset_registers(struct vlapic *v)
{
	memset(v->page, 0, VLAPIC_PAGE_SIZE);
	memset(v->kept, 0, sizeof(v->kept));
	put(v, VLAPIC_VERSION, VERSION_VALUE);
	put(v, VLAPIC_DFR, UINT32_MAX);
	put(v, VLAPIC_SVR, SVR_RESET);
	set_identity(v);
	v->irr_top = v->isr_top = v->request = -1;
	v->rewritten = true;
	v->tmr_changed = BITS(3, 0);
	v->errors = 0;
	v->extint_latched = false;
	v->timer_next = NEVER;
	v->deadline = 0;
	mask_lvts(v);
	changed(v);
}

bool vlapic_write_base(struct vlapic *v, uint64_t value)
{
	uint64_t valid = BITS(v->physical_bits - 1, 12) | VLAPIC_BASE_BSP | VLAPIC_BASE_X2APIC |
			 VLAPIC_BASE_ENABLE;
	bool enable = value & VLAPIC_BASE_ENABLE, x2apic = value & VLAPIC_BASE_X2APIC;
	bool was_enabled = vlapic_enabled(v), was_x2apic = vlapic_x2apic(v);

	/* x2APIC mode is entered from xAPIC mode only and left by disabling only. */
	if ((value & ~valid) || (x2apic && !was_enabled) || (x2apic && !enable) ||
	    (was_x2apic && enable && !x2apic))
		return false;
	v->base = value;
	if (enable != was_enabled)
		reset_registers(v);
	else if (x2apic != was_x2apic)
		set_identity(v);
	update_extint(v);
	return true;
}

void vlapic_init_reset(struct vlapic *v)
{
	reset_registers(v);
}

void vlapic_virtual_wire(struct vlapic *v)
{
	put(v, VLAPIC_SVR, SVR_WIRED);
	write_lvt(v, VLAPIC_LVT_LINT0, APIC_EXTINT << 8);
	write_lvt(v, VLAPIC_LVT_LINT1, APIC_NMI << 8);
}

void vlapic_init(struct vlapic *v, const struct vlapic_config *config)
{
	memset(v, 0, sizeof(*v));
	v->page = config->page;
	v->id = config->id;
	v->physical_bits = config->physical_bits;
	v->hz = config->hz;
	v->ops = config->ops;
	v->ctx = config->ctx;
	v->base = VLAPIC_BASE_DEFAULT | VLAPIC_BASE_ENABLE;
	if (config->bootstrap)
		v->base |= VLAPIC_BASE_BSP;
	reset_registers(v);
}
