/* SPDX-License-Identifier: MIT */
/* The local APIC: acceptance and priorities, EOI, timer, IPIs, modes, register rules. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "devices/vlapic.h"
#include "lib/bits.h"

#define HZ 2400000000ULL /* 2.4 ticks a nanosecond */

static struct vlapic apic;
static uint8_t page[4096] __attribute__((aligned(4096)));
static struct apic_message sent;
static unsigned sends, eois, nmis, smis, inits, startups, kicks;
static uint8_t eoi_vector, startup_vector;

static void on_send(void *ctx, const struct apic_message *message)
{
	(void)ctx;
	sent = *message;
	sends++;
}

static void on_eoi(void *ctx, uint8_t vector)
{
	(void)ctx;
	eoi_vector = vector;
	eois++;
}

static void on_nmi(void *ctx)
{
	(void)ctx;
	nmis++;
}

static void on_smi(void *ctx)
{
	(void)ctx;
	smis++;
}

static void on_init(void *ctx)
{
	(void)ctx;
	inits++;
	vlapic_init_reset(&apic);
}

static void on_startup(void *ctx, uint8_t vector)
{
	(void)ctx;
	startup_vector = vector;
	startups++;
}

static void on_changed(void *ctx)
{
	(void)ctx;
	kicks++;
}

static const struct vlapic_ops ops = {on_send, on_eoi,	   on_nmi,    on_smi,
				      on_init, on_startup, on_changed};

static void power_up(uint32_t id)
{
	const struct vlapic_config config = {.page = page,
					     .id = id,
					     .bootstrap = true,
					     .physical_bits = 39,
					     .hz = HZ,
					     .ops = &ops};

	memset(page, 0xA5, sizeof(page));
	vlapic_init(&apic, &config);
	sends = eois = nmis = smis = inits = startups = kicks = 0;
}

static uint32_t rd(unsigned reg, uint64_t now)
{
	return (uint32_t)vlapic_read(&apic, reg, 4, now);
}

/* Whether the processor writes registers to the page by itself, and tells afterwards. */
static bool by_processor;

/* SDM volume 3, "APIC-Write Emulation": of these it tells, of ICR's high half it does not. */
static bool processor_writes(unsigned reg)
{
	switch (reg) {
	case 0x20:
	case 0xB0:
	case 0xD0:
	case 0xE0:
	case 0xF0:
	case 0x280:
	case 0x300:
	case 0x320 ... 0x370:
	case 0x380:
	case 0x3E0: return true;
	default: return false;
	}
}

static void wr(unsigned reg, uint32_t value, uint64_t now)
{
	if (by_processor && reg == 0x310) {
		value &= 0xFF000000;
		memcpy(page + reg, &value, 4);
	} else if (by_processor && processor_writes(reg) && !(apic.base & 0x400)) {
		memcpy(page + reg, &value, 4);
		vlapic_written(&apic, reg, now);
	} else {
		vlapic_write(&apic, reg, 4, value, now);
	}
}

static void enabled(uint32_t id)
{
	power_up(id);
	wr(0xF0, 0x1FF, 0);
}

static void x2apic(uint32_t id)
{
	enabled(id);
	assert_true(vlapic_write_base(&apic, 0xFEE00D00));
}

static void fixed(uint8_t vector, bool level)
{
	const struct apic_message message = {.vector = vector, .level = level, .asserted = true};

	vlapic_accept(&apic, &message);
}

static void test_power_up_state(void **state)
{
	(void)state;
	power_up(3);
	assert_int_equal(apic.base, 0xFEE00900);
	assert_int_equal(rd(0x20, 0), 3U << 24);
	assert_int_equal(rd(0x30, 0), 0x01050014);
	assert_int_equal(rd(0xF0, 0), 0xFF);
	assert_int_equal(rd(0xE0, 0), 0xFFFFFFFF);
	assert_int_equal(rd(0xD0, 0), 0);
	for (unsigned reg = 0x320; reg <= 0x370; reg += 0x10)
		assert_int_equal(rd(reg, 0), 0x10000);
	for (unsigned reg = 0x100; reg < 0x280; reg += 0x10)
		assert_int_equal(rd(reg, 0), 0);
	assert_int_equal(vlapic_pending(&apic), -1);
	fixed(0x40, false); /* software-disabled: nothing is accepted */
	assert_int_equal(vlapic_pending(&apic), -1);
	wr(0x350, 0x700, 0); /* nor can a mask be cleared */
	assert_int_equal(rd(0x350, 0), 0x10700);
}

/* Against the definition, for every vector, TPR and vector in service. */
static void test_priority(void **state)
{
	(void)state;
	for (unsigned vector = 16; vector < 256; vector += 3)
		for (unsigned tpr = 0; tpr < 256; tpr += 5)
			for (unsigned served = 15; served < 256; served += 17) {
				unsigned class = served > 15 ? served >> 4 : 0;
				bool takes = vector >> 4 > tpr >> 4 && vector >> 4 > class;

				enabled(0);
				if (served > 15) {
					fixed((uint8_t)served, false);
					vlapic_acknowledge(&apic, (uint8_t)served);
				}
				fixed((uint8_t)vector, false);
				wr(0x80, tpr, 0);
				assert_int_equal(vlapic_pending(&apic), takes ? (int)vector : -1);
				assert_int_equal(rd(0xA0, 0), class > tpr >> 4 ? class << 4 : tpr);
				assert_int_equal(vlapic_tpr_threshold(&apic),
						 !takes && vector >> 4 > class ? vector >> 4 : 0);
			}
}

static void test_acknowledge_and_eoi_nest(void **state)
{
	(void)state;
	enabled(0);
	fixed(0x31, false), fixed(0x52, true), fixed(0x53, false);
	assert_int_equal(vlapic_pending(&apic), 0x53);
	vlapic_acknowledge(&apic, 0x53);
	assert_int_equal(vlapic_pending(&apic), -1); /* 0x52 is of the same class */
	assert_int_equal(rd(0x120, 0), 1U << 19);
	assert_int_equal(rd(0x220, 0), 1U << 18);
	assert_int_equal(rd(0x1A0, 0), 1U << 18);
	kicks = 0;
	wr(0xB0, 0, 0);
	assert_int_equal(eois, 0);
	assert_int_equal(kicks, 1);
	assert_int_equal(vlapic_pending(&apic), 0x52);
	vlapic_acknowledge(&apic, 0x52);
	wr(0xB0, 0, 0);
	assert_int_equal(eois, 1);
	assert_int_equal(eoi_vector, 0x52);
	vlapic_acknowledge(&apic, 0x31);
	wr(0xB0, 0, 0);
	wr(0xB0, 0, 0); /* one too many does nothing */
	assert_int_equal(eois, 1);
	assert_int_equal(vlapic_pending(&apic), -1);
}

static void test_directed_eoi_suppresses_the_broadcast(void **state)
{
	(void)state;
	enabled(0);
	wr(0xF0, 0x11FF, 0);
	fixed(0x52, true);
	vlapic_acknowledge(&apic, 0x52);
	wr(0xB0, 0, 0);
	assert_int_equal(eois, 0);
}

static void test_tpr_change_kicks(void **state)
{
	(void)state;
	enabled(0);
	wr(0x80, 0xF0, 0);
	fixed(0x41, false);
	kicks = 0;
	vlapic_set_tpr(&apic, 0x40);
	assert_int_equal(kicks, 0);
	vlapic_set_tpr(&apic, 0x30);
	assert_int_equal(kicks, 1);
	page[0x80] = 0x40; /* the processor itself may write there */
	assert_int_equal(vlapic_pending(&apic), -1);
}

static void test_resync(void **state)
{
	(void)state;
	enabled(0);
	page[0x220] = 4;
	page[0x110] = 8;
	vlapic_resync(&apic);
	assert_int_equal(vlapic_pending(&apic), 0x42);
	assert_int_equal(vlapic_ppr(&apic), 0x20);
}

/* The processor gives back what it had, as while the APIC is disabled by software. */
static void test_undelegated(void **state)
{
	(void)state;
	enabled(0);
	fixed(0x41, false);
	vlapic_acknowledge(&apic, 0x41);
	fixed(0x61, false);
	vlapic_delegate(&apic);
	assert_int_equal(vlapic_ppr(&apic), 0x40);
	fixed(0x71, false);
	assert_int_equal(vlapic_pending(&apic), -1);
	vlapic_undelegate(&apic);
	assert_int_equal(vlapic_pending(&apic), 0x71);
	vlapic_acknowledge(&apic, 0x71);
	assert_int_equal(vlapic_ppr(&apic), 0x70);
	wr(0xB0, 0, 0);
	assert_int_equal(vlapic_pending(&apic), 0x61);
}

/* What the processor has of a delegated APIC: the highest vectors of IRR and ISR. */
static uint8_t requested, serviced;

static void delegated(void)
{
	enabled(0);
	vlapic_delegate(&apic);
	vlapic_take_back(&apic, 0, 0);
	vlapic_hand_over(&apic, &requested, &serviced);
	kicks = 0;
}

static void tell(void)
{
	vlapic_take_back(&apic, requested, serviced);
	vlapic_hand_over(&apic, &requested, &serviced);
}

/* The processor's own steps, on the page. */
static void processor_takes(uint8_t vector, uint8_t next)
{
	page[0x200 + vector / 32 * 16 + vector % 32 / 8] &= (uint8_t)~BIT(vector % 8);
	page[0x100 + vector / 32 * 16 + vector % 32 / 8] |= (uint8_t)BIT(vector % 8);
	requested = next;
	serviced = vector;
	page[0xA0] = vector & 0xF0;
}

static void test_delegated_requests(void **state)
{
	(void)state;
	delegated();
	fixed(0x41, false);
	fixed(0x71, false);
	assert_int_equal(kicks, 2);
	assert_int_equal(vlapic_pending(&apic), -1);
	tell();
	assert_int_equal(requested, 0x71);
	assert_int_equal(serviced, 0);
	processor_takes(0x71, 0x41);
	assert_int_equal(vlapic_ppr(&apic), 0x70);
	/* A lower one than what the processor knows changes nothing there. */
	fixed(0x31, false);
	tell();
	assert_int_equal(requested, 0x41);
	assert_int_equal(serviced, 0x71);
	processor_takes(0x41, 0x31);
	tell();
	assert_int_equal(requested, 0x31);
	assert_int_equal(serviced, 0x41);
}

static void test_delegated_choice(void **state)
{
	(void)state;
	delegated();
	fixed(0x61, false);
	fixed(0x51, false);
	vlapic_take_back(&apic, requested, serviced);
	assert_int_equal(vlapic_pending(&apic), 0x61);
	vlapic_acknowledge(&apic, 0x61);
	vlapic_hand_over(&apic, &requested, &serviced);
	assert_int_equal(requested, 0x51);
	assert_int_equal(serviced, 0x61);
	/* What is in service holds it, and so does the TPR. */
	vlapic_take_back(&apic, requested, serviced);
	assert_int_equal(vlapic_pending(&apic), -1);
	vlapic_hand_over(&apic, &requested, &serviced);
	page[0x80] = 0x50;
	vlapic_take_back(&apic, requested, 0);
	assert_int_equal(vlapic_pending(&apic), -1);
	page[0x80] = 0x40;
	assert_int_equal(vlapic_pending(&apic), 0x51);
}

/* By MMIO: the processor must hear of it. */
static void test_delegated_end_by_software(void **state)
{
	(void)state;
	delegated();
	fixed(0x61, true);
	fixed(0x51, false);
	tell();
	processor_takes(0x61, 0x51);
	kicks = 0;
	wr(0xB0, 0, 0);
	assert_int_equal(kicks, 1);
	assert_int_equal(eois, 1);
	assert_int_equal(eoi_vector, 0x61);
	assert_int_equal(rd(0x130, 0), 0);
	tell();
	assert_int_equal(requested, 0x51);
	assert_int_equal(serviced, 0);
	kicks = 0;
	wr(0xB0, 0, 0); /* nothing is in service */
	assert_int_equal(eois, 1);
	wr(0x80, 0x60, 0);
	assert_int_equal(kicks, 1);
}

static void test_delegated_ends(void **state)
{
	(void)state;
	delegated();
	assert_int_equal(vlapic_level_triggered(&apic, 1), 0);
	apic.tmr_changed = 0;
	fixed(0x61, true);
	fixed(0xFF, true);
	assert_int_equal(apic.tmr_changed, 0xA);
	assert_int_equal(vlapic_level_triggered(&apic, 1), BIT(0x61 - 64));
	assert_int_equal(vlapic_level_triggered(&apic, 3), BIT(63));
	vlapic_ended(&apic, 0x61);
	assert_int_equal(eoi_vector, 0x61);
	wr(0xF0, 0x11FF, 0); /* no broadcasts */
	vlapic_ended(&apic, 0x61);
	assert_int_equal(eois, 1);
	apic.tmr_changed = 0;
	fixed(0x61, true);
	assert_int_equal(apic.tmr_changed, 0);
	fixed(0x61, false);
	assert_int_equal(apic.tmr_changed, 2);
}

static void test_delegated_reset(void **state)
{
	(void)state;
	delegated();
	fixed(0x61, false);
	tell();
	processor_takes(0x61, 0);
	fixed(0x51, false);
	vlapic_init_reset(&apic);
	tell();
	assert_int_equal(requested, 0);
	assert_int_equal(serviced, 0);
	assert_int_equal(vlapic_ppr(&apic), 0);
	assert_true(apic.delegated);
}

static void test_registers_that_are_the_page(void **state)
{
	unsigned count = 0;

	(void)state;
	x2apic(0x42);
	for (uint32_t msr = 0x800; msr <= 0x8FF; msr++) {
		uint64_t value, held;

		if (!vlapic_reads_page(msr))
			continue;
		count++;
		assert_true(vlapic_read_msr(&apic, msr, &value, 0));
		memcpy(&held, page + (msr - 0x800) * 16, sizeof(held));
		assert_int_equal(value, held);
	}
	/* ID, version, TPR, PPR, LDR, SVR, ESR, ICR, timer's two; six LVTs; three arrays. */
	assert_int_equal(count, 10 + 6 + 24);
	assert_false(vlapic_reads_page(0x839));
}

static void test_illegal_vectors(void **state)
{
	(void)state;
	enabled(0);
	wr(0x370, 0xE0, 0);
	fixed(15, false);
	assert_int_equal(vlapic_pending(&apic), 0xE0);
	assert_int_equal(rd(0x280, 0), 0); /* only a write brings the errors into it */
	wr(0x280, 0, 0);
	assert_int_equal(rd(0x280, 0), 0x40);
	wr(0x300, 0x0F, 0);
	assert_int_equal(sends, 0);
	wr(0x280, 0, 0);
	assert_int_equal(rd(0x280, 0), 0x20);
	rd(0x40, 0);
	wr(0x3D0, 1, 0);
	wr(0x280, 0, 0);
	assert_int_equal(rd(0x280, 0), 0x80);
	wr(0x370, 0x05, 0); /* an error interrupt that is itself an error ends there */
	fixed(3, false);
	wr(0x280, 0, 0);
	assert_int_equal(rd(0x280, 0), 0x40);
	wr(0x280, 0, 0);
	assert_int_equal(rd(0x280, 0), 0);
}

/* --- Timer --- */

static uint64_t ticks(uint64_t ns)
{
	return (ns * 12 + 4) / 5; /* ceil(ns * 2.4) */
}

static void test_one_shot_of_every_divide(void **state)
{
	static const uint8_t codes[] = {0xB, 0, 1, 2, 3, 8, 9, 0xA};
	uint64_t start = 1000;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		uint64_t end = start + ticks(1001ULL << i);

		enabled(0);
		wr(0x3E0, codes[i], start);
		wr(0x320, 0x45, start);
		wr(0x380, 1001, start);
		assert_int_equal(vlapic_next_event(&apic), end);
		assert_int_equal(rd(0x390, start), 1001);
		assert_int_equal(rd(0x390, start + ticks(1ULL << i)), 1000);
		assert_int_equal(rd(0x390, start + ticks(1ULL << i) - 1), 1001);
		vlapic_advance(&apic, end - 1);
		assert_int_equal(vlapic_pending(&apic), -1);
		vlapic_advance(&apic, end);
		assert_int_equal(vlapic_pending(&apic), 0x45);
		assert_int_equal(rd(0x390, end + 5), 0);
		assert_int_equal(rd(0x380, end + 5), 1001);
		assert_true(vlapic_next_event(&apic) == UINT64_MAX);
	}
}

static void test_periodic_does_not_drift(void **state)
{
	(void)state;
	enabled(0);
	wr(0x3E0, 0xB, 7);
	wr(0x320, 0x20045, 7);
	wr(0x380, 1001, 7);
	for (uint64_t i = 1; i < 50000; i++) {
		uint64_t at = vlapic_next_event(&apic);

		assert_int_equal(at, 7 + ticks(1001 * i));
		vlapic_advance(&apic, at);
		assert_int_equal(vlapic_pending(&apic), 0x45);
		assert_int_equal(rd(0x390, at), 1001);
		vlapic_acknowledge(&apic, 0x45);
		wr(0xB0, 0, at);
	}
	/* Far too late: one interrupt, and on in phase. */
	vlapic_advance(&apic, 7 + ticks(1001 * 70000ULL) + 3);
	assert_int_equal(vlapic_next_event(&apic), 7 + ticks(1001 * 70001ULL));
	wr(0x380, 0, 0);
	assert_true(vlapic_next_event(&apic) == UINT64_MAX);
}

static void test_masked_timer_counts_without_events(void **state)
{
	(void)state;
	enabled(0);
	wr(0x3E0, 0xB, 0);
	wr(0x320, 0x30045, 0);
	wr(0x380, 1000, 0);
	assert_true(vlapic_next_event(&apic) == UINT64_MAX);
	assert_int_equal(rd(0x390, ticks(4300)), 700);
	wr(0x320, 0x20045, ticks(4400));
	assert_int_equal(vlapic_pending(&apic), -1); /* what expired while masked is lost */
	assert_int_equal(vlapic_next_event(&apic), ticks(5000));
	wr(0xF0, 0xFF, ticks(4500)); /* software-disabling masks it */
	assert_true(vlapic_next_event(&apic) == UINT64_MAX);
}

/* In service it hides the TPR; after its EOI the TPR is all that holds the other back. */
static void test_eoi_above_the_tpr_kicks(void **state)
{
	(void)state;
	enabled(0);
	wr(0x80, 0x50, 0);
	fixed(0x51, false), fixed(0x71, false);
	vlapic_acknowledge(&apic, 0x71);
	assert_int_equal(vlapic_tpr_threshold(&apic), 0);
	kicks = 0;
	wr(0xB0, 0, 0);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(vlapic_tpr_threshold(&apic), 5);
	assert_int_equal(kicks, 1);
}

static void test_divide_changes_while_counting(void **state)
{
	(void)state;
	enabled(0);
	wr(0x3E0, 0xB, 0);
	wr(0x320, 0x45, 0);
	wr(0x380, 1000, 0);
	wr(0x3E0, 0x1, ticks(500)); /* by 4: 500 counts are left */
	assert_int_equal(rd(0x390, ticks(500)), 500);
	assert_int_equal(vlapic_next_event(&apic), ticks(500) + ticks(2000));
}

static void test_tsc_deadline(void **state)
{
	(void)state;
	enabled(0);
	vlapic_write_deadline(&apic, 500, 0); /* not in this mode: ignored */
	assert_int_equal(vlapic_read_deadline(&apic, 0), 0);
	wr(0x320, 0x40045, 0);
	wr(0x380, 1000, 0); /* ignored in this mode */
	assert_int_equal(rd(0x380, 0), 0);
	vlapic_write_deadline(&apic, 500, 100);
	assert_int_equal(vlapic_read_deadline(&apic, 100), 500);
	assert_int_equal(vlapic_next_event(&apic), 500);
	assert_int_equal(rd(0x390, 100), 0);
	vlapic_set_tsc_adjust(&apic, 150, 200);
	assert_int_equal(vlapic_next_event(&apic), 350);
	vlapic_set_tsc_adjust(&apic, (uint64_t)-150, 200);
	assert_int_equal(vlapic_next_event(&apic), 650);
	vlapic_advance(&apic, 649);
	assert_int_equal(vlapic_pending(&apic), -1);
	vlapic_advance(&apic, 650);
	assert_int_equal(vlapic_pending(&apic), 0x45);
	assert_int_equal(vlapic_read_deadline(&apic, 650), 0);
	vlapic_acknowledge(&apic, 0x45);
	wr(0xB0, 0, 700);
	vlapic_write_deadline(&apic, 1, 700); /* past: at once */
	assert_int_equal(vlapic_pending(&apic), 0x45);
	vlapic_write_deadline(&apic, 5000, 700);
	wr(0x320, 0x45, 800); /* leaving the mode disarms */
	assert_true(vlapic_next_event(&apic) == UINT64_MAX);
	assert_int_equal(vlapic_read_deadline(&apic, 800), 0);
	wr(0x320, 0x40045, 800);
	vlapic_write_deadline(&apic, UINT64_MAX, 800);
	assert_true(vlapic_next_event(&apic) >= UINT64_MAX - 200);
	vlapic_write_deadline(&apic, 0, 800);
	assert_true(vlapic_next_event(&apic) == UINT64_MAX);
}

/* --- IPIs --- */

static void test_icr(void **state)
{
	(void)state;
	enabled(0);
	wr(0x310, 0x05000000, 0);
	wr(0x300, 0x0000C850 & ~0x8000U, 0); /* fixed, logical, 0x50 */
	assert_int_equal(sends, 1);
	assert_int_equal(sent.destination, 5);
	assert_true(sent.logical && sent.asserted && !sent.level);
	assert_int_equal(sent.vector, 0x50);
	assert_int_equal(rd(0x300, 0) & 0x1000, 0);
	wr(0x310, 0xFF000000, 0);
	wr(0x300, 0x4500, 0);
	assert_true(sent.destination == APIC_BROADCAST);
	assert_int_equal(sent.delivery, APIC_INIT);
	wr(0x300, 0xC4611, 0);
	assert_int_equal(sent.shorthand, APIC_DEST_OTHERS);
	assert_int_equal(sent.delivery, APIC_STARTUP);
	assert_int_equal(sent.vector, 0x11);
	assert_int_equal(sends, 3);
	wr(0x300, 0x8500, 0);  /* INIT level de-assert */
	wr(0x300, 0x84500, 0); /* INIT to all with self */
	wr(0x300, 0x44400, 0); /* NMI to self by shorthand */
	wr(0x300, 0x4350, 0);  /* reserved mode */
	wr(0x300, 0x4750, 0);  /* ExtINT */
	assert_int_equal(sends, 3);
	wr(0x300, 0x44061, 0);
	assert_int_equal(sends, 3);
	assert_int_equal(vlapic_pending(&apic), 0x61);
}

static bool matches(uint32_t destination, bool logical)
{
	return vlapic_matches(&apic, destination, logical);
}

static void test_destinations(void **state)
{
	(void)state;
	enabled(3);
	assert_true(matches(3, false) && matches(APIC_BROADCAST, false));
	assert_false(matches(2, false));
	wr(0xD0, 0x24000000, 0);
	assert_true(matches(0x20, true) && matches(0x04, true) && matches(0xFE, true));
	assert_false(matches(0xDB, true));
	wr(0xE0, 0x0FFFFFFF, 0); /* cluster 2, member 4 */
	assert_true(matches(0x24, true) && matches(0x2F, true));
	assert_false(matches(0x14, true) || matches(0x28, true));
	assert_true(matches(APIC_BROADCAST, true));
	wr(0xE0, 0x70000000, 0); /* no such model */
	assert_false(matches(0x24, true));
	vlapic_write_base(&apic, 0xFEE00100);
	assert_false(matches(3, false) || matches(APIC_BROADCAST, false));
	x2apic(0x123);
	assert_true(matches(0x123, false) && matches(0x120008, true) &&
		    matches(APIC_BROADCAST, true));
	assert_false(matches(0x23, false) || matches(0x120004, true) || matches(0x110008, true));
}

static void test_other_deliveries(void **state)
{
	struct apic_message message = {.asserted = true, .vector = 0x9F};

	(void)state;
	enabled(0);
	message.delivery = APIC_NMI, vlapic_accept(&apic, &message);
	message.delivery = APIC_SMI, vlapic_accept(&apic, &message);
	message.delivery = APIC_STARTUP, vlapic_accept(&apic, &message);
	assert_int_equal(nmis, 1);
	assert_int_equal(smis, 1);
	assert_int_equal(startups, 1);
	assert_int_equal(startup_vector, 0x9F);
	message.delivery = APIC_EXTINT, vlapic_accept(&apic, &message);
	assert_true(vlapic_extint(&apic));
	assert_int_equal(vlapic_pending(&apic), -1);
	vlapic_acknowledge_extint(&apic);
	assert_false(vlapic_extint(&apic));
	fixed(0x77, false);
	message.delivery = APIC_INIT, vlapic_accept(&apic, &message);
	assert_int_equal(inits, 1);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(rd(0xF0, 0), 0xFF);
	assert_int_equal(apic.base, 0xFEE00900);
}

/* --- LINT pins --- */

static void test_lint0_extint(void **state)
{
	(void)state;
	power_up(0);
	vlapic_set_lint(&apic, 0, true);
	assert_false(vlapic_extint(&apic));
	vlapic_virtual_wire(&apic);
	assert_true(vlapic_extint(&apic));
	wr(0x80, 0xFF, 0); /* no priority holds it */
	assert_true(vlapic_extint(&apic));
	wr(0x350, 0x10700, 0);
	assert_false(vlapic_extint(&apic));
	assert_true(vlapic_write_base(&apic, 0xFEE00100)); /* disabled: a plain INTR pin */
	assert_true(vlapic_extint(&apic));
	vlapic_set_lint(&apic, 0, false);
	assert_false(vlapic_extint(&apic));
	vlapic_set_lint(&apic, 1, true);
	assert_int_equal(nmis, 1);
}

static void test_lint_fixed_and_nmi(void **state)
{
	(void)state;
	enabled(0);
	wr(0x360, 0x400, 0);
	vlapic_set_lint(&apic, 1, true);
	vlapic_set_lint(&apic, 1, true);
	assert_int_equal(nmis, 1);
	wr(0x350, 0x8060, 0); /* level */
	vlapic_set_lint(&apic, 0, true);
	assert_int_equal(vlapic_pending(&apic), 0x60);
	assert_int_equal(rd(0x350, 0), 0xC060);
	vlapic_acknowledge(&apic, 0x60);
	wr(0xB0, 0, 0);
	assert_int_equal(vlapic_pending(&apic), 0x60); /* still asserted */
	vlapic_acknowledge(&apic, 0x60);
	vlapic_set_lint(&apic, 0, false);
	wr(0xB0, 0, 0);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(rd(0x350, 0), 0x8060);
}

/* --- Modes and register rules --- */

static void test_base_transitions(void **state)
{
	/* disabled, (invalid), xAPIC, x2APIC: from row to column */
	static const uint64_t mode[] = {0, 0x400, 0x800, 0xC00};
	static const bool legal[4][4] = {{1, 0, 1, 0}, {0, 0, 0, 0}, {1, 0, 1, 1}, {1, 0, 0, 1}};

	(void)state;
	for (unsigned from = 0; from < 4; from++)
		for (unsigned to = 0; to < 4; to++) {
			uint64_t before;

			if (from == 1)
				continue;
			if (from == 3)
				x2apic(1);
			else
				power_up(1), vlapic_write_base(&apic, 0xFEE00100 | mode[from]);
			before = apic.base;
			assert_int_equal(vlapic_write_base(&apic, 0xFEE00100 | mode[to]),
					 legal[from][to]);
			assert_int_equal(apic.base,
					 legal[from][to] ? 0xFEE00100 | mode[to] : before);
		}
	power_up(0);
	for (unsigned bit = 0; bit < 64; bit++)
		if (bit < 8 || bit == 9 || bit >= 39)
			assert_false(vlapic_write_base(&apic, 0xFEE00900 | BIT(bit)));
	assert_true(vlapic_write_base(&apic, 0x7FFEE00900));
	assert_true(vlapic_claims(&apic, 0x7FFEE00FFF));
	assert_false(vlapic_claims(&apic, 0xFEE00000));
	x2apic(0);
	assert_false(vlapic_claims(&apic, 0xFEE00000));
}

/* What the SDM's table of x2APIC registers says: r, w or both; all others are #GP. */
static void test_x2apic_msr_rules(void **state)
{
	static const char rules[65] = "--rr----b-rw-r-brrrrrrrrrrrrrrrr"
				      "rrrrrrrrb-------b-bbbbbbbr----bw";
	uint64_t value;

	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		char rule = i < 64 ? rules[i] : '-';

		x2apic(0);
		assert_int_equal(vlapic_read_msr(&apic, 0x800 + i, &value, 0),
				 rule == 'r' || rule == 'b');
		/* 0x20 is valid in all writable ones but EOI, ESR and the divide register */
		assert_int_equal(vlapic_write_msr(&apic, 0x800 + i,
						  i == 0xB || i == 0x28 || i == 0x3E ? 0 : 0x20, 0),
				 rule == 'w' || rule == 'b');
	}
	enabled(0);
	assert_false(vlapic_read_msr(&apic, 0x802, &value, 0));
	x2apic(0);
	assert_false(vlapic_read_msr(&apic, 0x7FF, &value, 0));
	assert_false(vlapic_read_msr(&apic, 0x900, &value, 0));
}

static void check_reserved(uint32_t msr, uint64_t valid)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		x2apic(0);
		/* A vector along, so that no error is caused by its lack. */
		assert_int_equal(vlapic_write_msr(&apic, msr, (valid & 0x20) | BIT(bit), 0),
				 !!(valid & BIT(bit)));
	}
}

static void test_x2apic_reserved_bits(void **state)
{
	(void)state;
	check_reserved(0x808, 0xFF);
	check_reserved(0x80B, 0);
	check_reserved(0x80F, 0x13FF);
	check_reserved(0x828, 0);
	check_reserved(0x830, 0xFFFFFFFF000CDFFF);
	check_reserved(0x832, 0x000750FF);
	check_reserved(0x833, 0x000157FF);
	check_reserved(0x835, 0x0001F7FF);
	check_reserved(0x837, 0x000150FF);
	check_reserved(0x838, 0xFFFFFFFF);
	check_reserved(0x83E, 0xB);
	check_reserved(0x83F, 0xFF);
}

static void test_x2apic_identity_and_ipis(void **state)
{
	uint64_t value;

	(void)state;
	x2apic(0x25);
	assert_true(vlapic_read_msr(&apic, 0x802, &value, 0));
	assert_int_equal(value, 0x25);
	assert_true(vlapic_read_msr(&apic, 0x80D, &value, 0));
	assert_int_equal(value, 0x20020);
	assert_true(vlapic_write_msr(&apic, 0x830, 0x0000012300004450, 0));
	assert_int_equal(sends, 1);
	assert_int_equal(sent.destination, 0x123);
	assert_int_equal(sent.delivery, APIC_NMI);
	assert_true(vlapic_read_msr(&apic, 0x830, &value, 0));
	assert_int_equal(value, 0x0000012300004450);
	assert_true(vlapic_write_msr(&apic, 0x83F, 0x91, 0));
	assert_int_equal(vlapic_pending(&apic), 0x91);
	vlapic_init_reset(&apic); /* INIT keeps the mode */
	assert_true(vlapic_x2apic(&apic));
	assert_true(vlapic_read_msr(&apic, 0x80D, &value, 0));
	assert_int_equal(value, 0x20020);
	assert_true(vlapic_write_base(&apic, 0xFEE00100));
	assert_true(vlapic_write_base(&apic, 0xFEE00900));
	assert_int_equal(rd(0x20, 0), 0x25000000);
	assert_int_equal(rd(0xD0, 0), 0);
}

static void test_partial_accesses(void **state)
{
	(void)state;
	enabled(0x42);
	assert_int_equal(vlapic_read(&apic, 0x23, 1, 0) & 0xFF, 0x42);
	assert_int_equal(vlapic_read(&apic, 0x22, 2, 0) & 0xFFFF, 0x4200);
	assert_int_equal(vlapic_read(&apic, 0x28, 4, 0), 0);
	assert_int_equal(vlapic_read(&apic, 0x20, 8, 0), 0x42000000);
	vlapic_write(&apic, 0x80, 1, 0x55, 0);
	vlapic_write(&apic, 0x84, 4, 0x55, 0);
	assert_int_equal(rd(0x80, 0), 0);
}

static void test_any_traffic_is_survived(void **state)
{
	uint64_t seed = 3, now = 0, value;

	(void)state;
	power_up(0);
	for (unsigned i = 0; i < 400000; i++) {
		int vector = vlapic_pending(&apic);

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		now += seed >> 60;
		switch (seed >> 33 & 7) {
		case 0: vlapic_write(&apic, seed >> 40 & 0xFF0, 4, seed >> 20, now); break;
		case 1: vlapic_read(&apic, seed >> 40 & 0xFFF, 4, now); break;
		case 2:
			vlapic_write_msr(&apic, 0x800 + (seed >> 40 & 0x3F), seed >> 20 & 0xFFFFF,
					 now);
			break;
		case 3: vlapic_read_msr(&apic, 0x800 + (seed >> 40 & 0x3F), &value, now); break;
		case 4: vlapic_set_lint(&apic, seed >> 40 & 1, seed >> 41 & 1); break;
		case 5: fixed((uint8_t)(seed >> 40), seed >> 50 & 1); break;
		case 6: vlapic_write_deadline(&apic, now + (seed >> 55), now); break;
		default:
			vlapic_advance(&apic, now);
			if (!(seed >> 40 & 0xFF))
				vlapic_write_base(&apic, 0xFEE00000 | (seed >> 48 & 0xD00));
		}
		if (vector >= 0 && vlapic_pending(&apic) == vector && (seed & BIT(63)))
			vlapic_acknowledge(&apic, (uint8_t)vector);
		/* The caches always say what the registers say. */
		int irr = apic.irr_top, isr = apic.isr_top;
		vlapic_resync(&apic);
		assert_int_equal(irr, apic.irr_top);
		assert_int_equal(isr, apic.isr_top);
	}
}

static void test_errors_gather(void **state)
{
	(void)state;
	enabled(0);
	fixed(2, false);
	wr(0x300, 0x05, 0);
	wr(0x300, 0x0105, 0); /* lowest priority counts alike */
	assert_int_equal(sends, 0);
	wr(0x280, 0, 0);
	assert_int_equal(rd(0x280, 0), 0x60);
	wr(0x300, 0x10, 0); /* the first legal vector */
	assert_int_equal(sends, 1);
	wr(0x3D0, 1, 0);
	wr(0x280, 0, 0);
	assert_int_equal(rd(0x280, 0), 0x80);
	fixed(2, false);
	vlapic_init_reset(&apic);
	wr(0x280, 0, 0);
	assert_int_equal(rd(0x280, 0), 0);
}

static void test_icr_reads_back(void **state)
{
	(void)state;
	enabled(0);
	wr(0x310, 0x12345678, 0);
	wr(0x300, 0xC4931, 0);
	assert_int_equal(rd(0x310, 0), 0x12000000);
	assert_int_equal(rd(0x300, 0), 0xC4931);
	wr(0x300, 0x84400, 0); /* NMI to all with self is no valid combination */
	assert_int_equal(sends, 1);
}

static void test_timer_interrupts_are_edges(void **state)
{
	(void)state;
	enabled(0);
	wr(0x320, 0x45, 0);
	wr(0x380, 1, 0);
	vlapic_advance(&apic, 1000);
	assert_int_equal(rd(0x1A0, 1000), 0);
	vlapic_acknowledge(&apic, 0x45);
	wr(0xB0, 0, 1000);
	assert_int_equal(eois, 0);
	/* One-shot to periodic while counting: it goes on. */
	wr(0x380, 1000, 1000);
	wr(0x320, 0x20045, 1100);
	assert_true(vlapic_next_event(&apic) != UINT64_MAX);
}

static void test_wired_lints_and_their_end(void **state)
{
	const struct apic_message extint = {.delivery = APIC_EXTINT, .asserted = true};

	(void)state;
	power_up(0);
	vlapic_virtual_wire(&apic);
	kicks = 0;
	vlapic_set_lint(&apic, 0, true);
	assert_int_equal(kicks, 1);
	vlapic_set_lint(&apic, 1, true);
	assert_int_equal(nmis, 1);
	vlapic_set_lint(&apic, 0, false);
	vlapic_accept(&apic, &extint);
	assert_true(vlapic_extint(&apic));
	vlapic_init_reset(&apic);
	assert_false(vlapic_extint(&apic));
}

static void test_lint0_level_unmasked_while_asserted(void **state)
{
	(void)state;
	enabled(0);
	vlapic_set_lint(&apic, 0, true);
	wr(0x350, 0x18060, 0);
	assert_int_equal(vlapic_pending(&apic), -1);
	wr(0x350, 0x8060, 0);
	assert_int_equal(vlapic_pending(&apic), 0x60);
	vlapic_acknowledge(&apic, 0x60);
	fixed(0x91, true);
	vlapic_acknowledge(&apic, 0x91);
	wr(0xB0, 0, 0); /* of 0x91: not LINT0's */
	assert_int_equal(rd(0x350, 0), 0xC060);
	assert_int_equal(vlapic_pending(&apic), -1);
}

static void test_entering_x2apic_keeps_what_stays(void **state)
{
	uint64_t value;

	(void)state;
	enabled(0x42);
	wr(0x80, 0x30, 0), wr(0xD0, 0xAB000000, 0), wr(0x340, 0x455, 0);
	fixed(0x77, false);
	assert_true(vlapic_write_base(&apic, 0xFEE00D00));
	assert_int_equal(vlapic_pending(&apic), 0x77);
	assert_true(vlapic_read_msr(&apic, 0x808, &value, 0));
	assert_int_equal(value, 0x30);
	assert_true(vlapic_read_msr(&apic, 0x834, &value, 0));
	assert_int_equal(value, 0x455);
	assert_true(vlapic_write_base(&apic, 0xFEE00100));
	assert_int_equal(vlapic_pending(&apic), -1);
}

static void test_eoi_of_another_vector_leaves_lint0_waiting(void **state)
{
	(void)state;
	enabled(0);
	wr(0x350, 0x8060, 0);
	vlapic_set_lint(&apic, 0, true);
	vlapic_acknowledge(&apic, 0x60);
	wr(0x350, 0x0060, 0); /* made an edge: remote IRR goes */
	assert_int_equal(rd(0x350, 0), 0x0060);
	wr(0xB0, 0, 0);
	assert_int_equal(vlapic_pending(&apic), -1);
	fixed(0x60, true); /* of the IOAPIC, with LINT0 an edge of the same vector */
	vlapic_acknowledge(&apic, 0x60);
	wr(0xB0, 0, 0);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(eoi_vector, 0x60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_up_state),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_acknowledge_and_eoi_nest),
		cmocka_unit_test(test_directed_eoi_suppresses_the_broadcast),
		cmocka_unit_test(test_tpr_change_kicks),
		cmocka_unit_test(test_eoi_above_the_tpr_kicks),
		cmocka_unit_test(test_resync),
		cmocka_unit_test(test_undelegated),
		cmocka_unit_test(test_delegated_requests),
		cmocka_unit_test(test_delegated_choice),
		cmocka_unit_test(test_delegated_end_by_software),
		cmocka_unit_test(test_delegated_ends),
		cmocka_unit_test(test_delegated_reset),
		cmocka_unit_test(test_registers_that_are_the_page),
		cmocka_unit_test(test_illegal_vectors),
		cmocka_unit_test(test_one_shot_of_every_divide),
		cmocka_unit_test(test_periodic_does_not_drift),
		cmocka_unit_test(test_masked_timer_counts_without_events),
		cmocka_unit_test(test_divide_changes_while_counting),
		cmocka_unit_test(test_tsc_deadline),
		cmocka_unit_test(test_icr),
		cmocka_unit_test(test_destinations),
		cmocka_unit_test(test_other_deliveries),
		cmocka_unit_test(test_lint0_extint),
		cmocka_unit_test(test_lint_fixed_and_nmi),
		cmocka_unit_test(test_base_transitions),
		cmocka_unit_test(test_x2apic_msr_rules),
		cmocka_unit_test(test_x2apic_reserved_bits),
		cmocka_unit_test(test_x2apic_identity_and_ipis),
		cmocka_unit_test(test_partial_accesses),
		cmocka_unit_test(test_any_traffic_is_survived),
		cmocka_unit_test(test_errors_gather),
		cmocka_unit_test(test_icr_reads_back),
		cmocka_unit_test(test_timer_interrupts_are_edges),
		cmocka_unit_test(test_wired_lints_and_their_end),
		cmocka_unit_test(test_lint0_level_unmasked_while_asserted),
		cmocka_unit_test(test_entering_x2apic_keeps_what_stays),
		cmocka_unit_test(test_eoi_of_another_vector_leaves_lint0_waiting),
	};

	struct CMUnitTest again[ARRAY_SIZE(tests)];
	char name[ARRAY_SIZE(tests)][64];
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	by_processor = true;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		again[i] = tests[i];
		snprintf(name[i], sizeof(name[i]), "%s, by the processor", tests[i].name);
		again[i].name = name[i];
	}
	return failed + cmocka_run_group_tests(again, NULL, NULL);
}
