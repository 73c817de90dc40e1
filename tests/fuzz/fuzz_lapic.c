/* SPDX-License-Identifier: MIT */
/*
 * A local APIC whose interrupts the processor takes by itself (virtual-interrupt delivery), as
 * SDM volume 3, 'APIC Virtualization and Virtual Interrupts' has it do: what it evaluates, delivers
 * and ends is played here. Beside it runs one without that, which has the same in service and
 * waiting.
 */
#include <string.h>

#include "devices/vlapic.h"
#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"

#define HZ    1000000000
#define WORDS 8

struct side {
	struct vlapic lapic;
	uint8_t page[VLAPIC_PAGE_SIZE] __attribute__((aligned(4096)));
	unsigned sent, ended;
	uint64_t mixed; /* what it said to others, in order */
};

static struct side plain, given;
static uint8_t rvi, svi; /* as the processor has them for `given` */
static uint64_t now;

static void mix(struct side *side, uint64_t value)
{
	side->mixed = (side->mixed ^ value) * 0x9E3779B97F4A7C15ULL;
}

static void on_send(void *ctx, const struct apic_message *message)
{
	struct side *side = ctx;

	FUZZ_REQUIRE(message->shorthand != APIC_DEST_SELF);
	side->sent++;
	mix(side, (uint64_t)message->destination << 32 | message->vector << 8 | message->delivery);
}

static void on_eoi(void *ctx, uint8_t vector)
{
	((struct side *)ctx)->ended++;
	mix(ctx, vector);
}

static void on_event(void *ctx)
{
	(void)ctx;
}

static void on_startup(void *ctx, uint8_t vector)
{
	mix(ctx, vector);
}

static const struct vlapic_ops ops = {on_send,	on_eoi,	    on_event, on_event,
				      on_event, on_startup, on_event};

static uint32_t *word(struct side *side, unsigned reg, unsigned vector)
{
	return (uint32_t *)(void *)(side->page + reg + vector / 32 * 16);
}

static int highest(struct side *side, unsigned reg)
{
	for (unsigned i = WORDS; i--;)
		if (*word(side, reg, i * 32))
			return (int)(i * 32 + 31 -
				     (unsigned)__builtin_clz(*word(side, reg, i * 32)));
	return -1;
}

/* --- What the processor does while the guest runs --- */

/* 'Virtual-Interrupt Delivery', as long as there is one that PPR lets through. */
static int take_given(void)
{
	uint8_t vector = rvi, tpr = given.page[VLAPIC_TPR];

	if (vector >> 4 <= svi >> 4 || vector >> 4 <= tpr >> 4)
		return -1;
	*word(&given, VLAPIC_ISR, vector) |= 1u << vector % 32;
	*word(&given, VLAPIC_IRR, vector) &= ~(1u << vector % 32);
	svi = vector;
	rvi = (uint8_t)MAX(highest(&given, VLAPIC_IRR), 0);
	return vector;
}

static int take_by_model(void)
{
	int vector = vlapic_pending(&given.lapic);

	if (vector >= 0)
		vlapic_acknowledge(&given.lapic, (uint8_t)vector);
	return vector;
}

/* 'EOI Virtualization'; an exit for those whose end the model must hear of. */
static void end_given(void)
{
	uint8_t vector = svi;

	if (!vector)
		return;
	*word(&given, VLAPIC_ISR, vector) &= ~(1u << vector % 32);
	svi = (uint8_t)MAX(highest(&given, VLAPIC_ISR), 0);
	if (vlapic_level_triggered(&given.lapic, vector / 64) >> vector % 64 & 1)
		vlapic_ended(&given.lapic, vector);
}

/* --- Steps, on both sides --- */

static void accept(struct stream *in)
{
	uint8_t flags = stream_byte(in);
	const struct apic_message message = {.vector = stream_byte(in),
					     .delivery = flags & 7,
					     .level = flags & 8,
					     .asserted = !(flags & 16)};

	vlapic_accept(&plain.lapic, &message);
	vlapic_accept(&given.lapic, &message);
}

/* What is done before an entry; both sides agree on what is pending then. */
static void enter(void)
{
	if (given.lapic.delegated)
		vlapic_take_back(&given.lapic, rvi, svi);
	FUZZ_REQUIRE(vlapic_pending(&plain.lapic) == vlapic_pending(&given.lapic));
	FUZZ_REQUIRE(vlapic_tpr_threshold(&plain.lapic) == vlapic_tpr_threshold(&given.lapic));
	if (given.lapic.delegated)
		vlapic_hand_over(&given.lapic, &rvi, &svi);
}

static void run_guest(void)
{
	int vector, theirs;

	enter();
	do {
		vector = vlapic_pending(&plain.lapic);
		theirs = given.lapic.delegated ? take_given() : take_by_model();
		FUZZ_REQUIRE(vector == theirs);
		if (vector >= 0)
			vlapic_acknowledge(&plain.lapic, (uint8_t)vector);
	} while (vector >= 0);
}

static void end_interrupt(bool exits)
{
	if (vlapic_x2apic(&plain.lapic) || !vlapic_enabled(&plain.lapic))
		return;
	run_guest();
	vlapic_write(&plain.lapic, VLAPIC_EOI, 4, 0, now);
	if (!given.lapic.delegated || exits)
		vlapic_write(&given.lapic, VLAPIC_EOI, 4, 0, now);
	else
		end_given();
}

/* With APIC-register virtualisation the processor writes first; others exit before. */
static void write_register(struct stream *in)
{
	unsigned reg = stream_byte(in) % 0x40u * 16;
	uint32_t value = (uint32_t)stream_number(in, 4);

	/* In x2APIC mode, and where it is off, there is no page to be written. */
	if (reg == VLAPIC_EOI || !vlapic_claims(&plain.lapic, VLAPIC_BASE_DEFAULT))
		return;
	vlapic_write(&plain.lapic, reg, 4, value, now);
	switch (reg) {
	case VLAPIC_ID:
	case VLAPIC_LDR:
	case VLAPIC_DFR:
	case VLAPIC_SVR:
	case VLAPIC_ESR:
	case VLAPIC_LVT_CMCI:
	case VLAPIC_ICR:
	case VLAPIC_ICR_HIGH:
	case VLAPIC_LVT_TIMER:
	case VLAPIC_LVT_THERMAL:
	case VLAPIC_LVT_PERF:
	case VLAPIC_LVT_LINT0:
	case VLAPIC_LVT_LINT1:
	case VLAPIC_LVT_ERROR:
	case VLAPIC_TIMER_INITIAL:
	case VLAPIC_TIMER_DIVIDE:
		memcpy(given.page + reg, &value, sizeof(value));
		vlapic_written(&given.lapic, reg, now);
		break;
	default: vlapic_write(&given.lapic, reg, 4, value, now); break;
	}
}

static void write_msr(struct stream *in)
{
	uint32_t msr = VLAPIC_MSR_FIRST + stream_byte(in) % 0x40;
	uint64_t value = stream_number(in, 8), a = 0, b = 0;

	FUZZ_REQUIRE(vlapic_read_msr(&plain.lapic, msr, &a, now) ==
		     vlapic_read_msr(&given.lapic, msr, &b, now));
	FUZZ_REQUIRE(a == b || msr == VLAPIC_MSR_FIRST + VLAPIC_PPR / 16);
	FUZZ_REQUIRE(vlapic_write_msr(&plain.lapic, msr, value, now) ==
		     vlapic_write_msr(&given.lapic, msr, value, now));
}

static void both(struct stream *in)
{
	uint8_t choice = stream_byte(in);
	uint64_t value = stream_magnitude(in);

	for (unsigned i = 0; i < 2; i++) {
		struct vlapic *lapic = i ? &given.lapic : &plain.lapic;
		uint64_t mode = lapic->base & ~(VLAPIC_BASE_ENABLE | VLAPIC_BASE_X2APIC);

		switch (choice % 8) {
		case 0: vlapic_write_base(lapic, mode | (choice & 0xC0) << 4); break;
		case 1: vlapic_write_deadline(lapic, now + value % BIT(40), now); break;
		case 2: vlapic_set_tpr(lapic, (uint8_t)value); break;
		case 3: vlapic_set_lint(lapic, choice >> 3 & 1, choice & 16); break;
		case 4: vlapic_set_tsc_adjust(lapic, value, now); break;
		case 5: vlapic_init_reset(lapic); break;
		default: vlapic_acknowledge_extint(lapic); break;
		}
	}
}

static void wait(struct stream *in)
{
	now += stream_magnitude(in) % BIT(40);
	vlapic_advance(&plain.lapic, now);
	vlapic_advance(&given.lapic, now);
	FUZZ_REQUIRE(vlapic_next_event(&plain.lapic) > now);
	FUZZ_REQUIRE(vlapic_next_event(&given.lapic) == vlapic_next_event(&plain.lapic));
}

/* As vmx/virtual_apic.c: while software has the APIC enabled. */
static void set_mode(void)
{
	bool use = vlapic_software_enabled(&given.lapic);

	if (use == given.lapic.delegated)
		return;
	(use ? vlapic_delegate : vlapic_undelegate)(&given.lapic);
}

static void compare(void)
{
	FUZZ_REQUIRE(plain.mixed == given.mixed);
	FUZZ_REQUIRE(vlapic_extint(&plain.lapic) == vlapic_extint(&given.lapic));
	for (unsigned reg = 0; reg < 0x400; reg += 16) {
		/* The processor's: it computes it at its next entry. */
		if (reg == VLAPIC_PPR)
			continue;
		uint64_t a = vlapic_claims(&plain.lapic, VLAPIC_BASE_DEFAULT)
				     ? vlapic_read(&plain.lapic, reg, 4, now)
				     : 0;
		uint64_t b = vlapic_claims(&given.lapic, VLAPIC_BASE_DEFAULT)
				     ? vlapic_read(&given.lapic, reg, 4, now)
				     : 0;

		FUZZ_REQUIRE(a == b);
	}
}

static void start(struct side *side, uint8_t head)
{
	const struct vlapic_config config = {.page = side->page,
					     .id = head & 0x1F,
					     .bootstrap = true,
					     .physical_bits = 39,
					     .hz = HZ,
					     .ops = &ops,
					     .ctx = side};

	memset(side, 0, sizeof(*side));
	vlapic_init(&side->lapic, &config);
	vlapic_virtual_wire(&side->lapic);
}

void fuzz_lapic(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);
	uint8_t head = stream_byte(&in);

	now = 1000;
	start(&plain, head);
	start(&given, head);
	rvi = svi = 0;
	set_mode();
	while (stream_more(&in)) {
		uint8_t step = stream_byte(&in);

		switch (step % 8) {
		case 0:
		case 1: accept(&in); break;
		case 2: run_guest(); break;
		case 3: end_interrupt(step & 0x80); break;
		case 4: write_register(&in); break;
		case 5: write_msr(&in); break;
		case 6: both(&in); break;
		case 7: wait(&in); break;
		}
		set_mode();
		compare();
	}
}
