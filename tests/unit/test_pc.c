/* SPDX-License-Identifier: MIT */
/*
 * The whole PC: what answers where, and interrupts from their source to the acknowledge and the
 * EOI, by the 8259 and by the APICs, with one vCPU and with many.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/pc.h"

#define HZ 1000000000ULL
#define MS 1000000ULL

static struct pc pc;
static uint8_t pages[PC_CPUS_MAX][4096] __attribute__((aligned(4096)));
static unsigned kicks[PC_CPUS_MAX], nmis[PC_CPUS_MAX], smis[PC_CPUS_MAX], inits[PC_CPUS_MAX],
	startups[PC_CPUS_MAX];
static unsigned power_offs, resets, exits, chars;
static uint32_t exit_value;
static uint8_t last_char;
static bool room;

static void on_tx(void *ctx, uint8_t byte)
{
	(void)ctx;
	last_char = byte;
	chars++;
}

static bool on_room(void *ctx)
{
	(void)ctx;
	return room;
}

static void on_exit(void *ctx, uint32_t value)
{
	(void)ctx;
	exit_value = value;
	exits++;
}

static void on_power_off(void *ctx)
{
	(void)ctx;
	power_offs++;
}

static void on_reset(void *ctx)
{
	(void)ctx;
	resets++;
}

/* The vCPU's core is at hand at once. */
static void on_kick(void *ctx, unsigned cpu)
{
	(void)ctx;
	pc_collect(&pc, cpu);
}

static void on_changed(void *ctx, unsigned cpu)
{
	(void)ctx;
	kicks[cpu]++;
}

static struct apic_message unheard;
static unsigned unheards;

static void on_unheard(void *ctx, const struct apic_message *message)
{
	(void)ctx;
	unheard = *message;
	unheards++;
}

static void on_nmi(void *ctx, unsigned cpu)
{
	(void)ctx;
	nmis[cpu]++;
}

static void on_smi(void *ctx, unsigned cpu)
{
	(void)ctx;
	smis[cpu]++;
}

static void on_init(void *ctx, unsigned cpu)
{
	(void)ctx;
	inits[cpu]++;
}

static void on_startup(void *ctx, unsigned cpu, uint8_t vector)
{
	(void)ctx, (void)vector;
	startups[cpu]++;
}

static const struct pc_ops ops = {
	.console_tx = on_tx,
	.com2_tx = on_tx,
	.console_room = on_room,
	.debug_tx = on_tx,
	.debug_exit = on_exit,
	.power_off = on_power_off,
	.reset = on_reset,
	.kick = on_kick,
	.unheard = on_unheard,
	.changed = on_changed,
	.nmi = on_nmi,
	.smi = on_smi,
	.init = on_init,
	.startup = on_startup,
};

/* The board and the local APICs of all vCPUs. */
static void advance(uint64_t now)
{
	pc_advance(&pc, now);
	for (unsigned id = 0; id < pc.cpus; id++)
		vlapic_advance(pc_lapic(&pc, id), now);
}

static uint64_t next_event(void)
{
	uint64_t next = pc_next_event(&pc);

	for (unsigned id = 0; id < pc.cpus; id++)
		next = MIN(next, vlapic_next_event(pc_lapic(&pc, id)));
	return next;
}

static struct pc_config config(unsigned cpus)
{
	struct pc_config c = {.hz = HZ, .epoch = 1, .cpus = cpus, .physical_bits = 39, .ops = &ops};

	for (unsigned i = 0; i < PC_CPUS_MAX; i++)
		c.apic_page[i] = pages[i];
	return c;
}

static void start(unsigned cpus)
{
	struct pc_config c = config(cpus);

	room = true;
	power_offs = resets = exits = chars = unheards = 0;
	memset(kicks, 0, sizeof(kicks)), memset(nmis, 0, sizeof(nmis));
	memset(smis, 0, sizeof(smis));
	memset(inits, 0, sizeof(inits)), memset(startups, 0, sizeof(startups));
	assert_true(pc_init(&pc, &c));
}

static void out(uint16_t port, uint8_t value, uint64_t now)
{
	pc_port_write(&pc, port, 1, value, now);
}

static uint32_t in(uint16_t port, uint64_t now)
{
	return pc_port_read(&pc, port, 1, now);
}

static void apic(unsigned cpu, unsigned reg, uint32_t value, uint64_t now)
{
	pc_mmio_write(&pc, cpu, 0xFEE00000 + reg, 4, value, now);
}

static void ioapic(unsigned pin, uint32_t high, uint32_t low)
{
	pc_mmio_write(&pc, 0, 0xFEC00000, 4, 0x11 + 2 * pin, 0);
	pc_mmio_write(&pc, 0, 0xFEC00010, 4, high, 0);
	pc_mmio_write(&pc, 0, 0xFEC00000, 4, 0x10 + 2 * pin, 0);
	pc_mmio_write(&pc, 0, 0xFEC00010, 4, low, 0);
}

/* Counter 0, mode 2, 1193 clocks: about a millisecond. */
static void set_timer(uint64_t now)
{
	out(0x43, 0x34, now);
	out(0x40, 1193 & 0xFF, now), out(0x40, 1193 >> 8, now);
}

static void set_pics(uint8_t master_mask, uint8_t slave_mask)
{
	static const uint8_t words[] = {0x20, 0x04, 0x01, 0x28, 0x02, 0x01};

	for (unsigned i = 0; i < 2; i++) {
		out(i ? 0xA0 : 0x20, 0x11, 0);
		for (unsigned j = 0; j < 3; j++)
			out(i ? 0xA1 : 0x21, words[3 * i + j], 0);
	}
	out(0x21, master_mask, 0), out(0xA1, slave_mask, 0);
}

static void test_timer_by_the_8259(void **state)
{
	uint64_t now = 0;

	(void)state;
	start(1);
	set_pics(0xFE, 0xFF);
	set_timer(0);
	for (unsigned i = 1; i <= 1000; i++) {
		assert_false(pc_interrupt_pending(&pc, 0));
		now = next_event();
		advance(now - 1);
		assert_false(pc_interrupt_pending(&pc, 0));
		advance(now);
		assert_true(pc_interrupt_pending(&pc, 0));
		assert_int_equal(pc_interrupt_acknowledge(&pc, 0), 0x20);
		assert_false(pc_interrupt_pending(&pc, 0));
		out(0x20, 0x20, now);
	}
	assert_int_equal(now, ((1 + 1193 * 1000ULL) * HZ + VPIT_HZ - 1) / VPIT_HZ);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 0), -1);
}

static void test_timer_by_the_ioapic(void **state)
{
	uint64_t now;

	(void)state;
	start(2);
	set_pics(0xFF, 0xFF);
	apic(1, 0xF0, 0x1FF, 0);
	ioapic(2, 0x01000000, 0x30);
	set_timer(0);
	for (unsigned i = 0; i < 1000; i++) {
		now = next_event();
		advance(now);
		assert_false(pc_interrupt_pending(&pc, 0));
		assert_true(pc_interrupt_pending(&pc, 1));
		assert_int_equal(pc_interrupt_acknowledge(&pc, 1), 0x30);
		assert_false(pc_interrupt_pending(&pc, 1));
		apic(1, 0xB0, 0, now);
	}
	assert_true(kicks[1] >= 1000);
}

static void test_level_interrupt_by_the_ioapic(void **state)
{
	(void)state;
	start(1);
	set_pics(0xFF, 0xFF);
	ioapic(9, 0, 0x8059);
	out(0xB2, VACPI_ENABLE, 0);
	pc_port_write(&pc, 0x402, 2, 0x100, 0);
	vacpi_power_button(&pc.acpi);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 0), 0x59);
	apic(0, 0xB0, 0, 0);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 0), 0x59); /* nobody took it away */
	pc_port_write(&pc, 0x400, 2, 0x100, 0);
	apic(0, 0xB0, 0, 0);
	assert_false(pc_interrupt_pending(&pc, 0));
}

static void test_level_sci_by_the_8259(void **state)
{
	(void)state;
	start(1);
	set_pics(0xFB, 0xFD);
	out(0xB2, VACPI_ENABLE, 0);
	pc_port_write(&pc, 0x402, 2, 0x100, 0);
	vacpi_power_button(&pc.acpi);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pc_interrupt_acknowledge(&pc, 0), 0x29);
		out(0xA0, 0x20, 0), out(0x20, 0x20, 0);
	}
	pc_port_write(&pc, 0x400, 2, 0x100, 0);
	assert_false(pc_interrupt_pending(&pc, 0));
}

static void test_pic_goes_before_the_apic_and_both_are_served(void **state)
{
	(void)state;
	start(1);
	set_pics(0xEF, 0xFF);
	apic(0, 0x320, 0x40, 0);
	apic(0, 0x380, 10, 0);
	advance(100);
	out(0x3FC, 0x08, 0), out(0x3F9, 0x02, 0); /* UART: THR is empty */
	assert_int_equal(pc_interrupt_acknowledge(&pc, 0), 0x24);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 0), 0x40);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 0), -1);
}

/* An 8259 whose INTR arrives as an ExtINT message through IOAPIC pin 0. */
static void test_extint_through_the_ioapic(void **state)
{
	(void)state;
	start(1);
	apic(0, 0x350, 0x10000, 0);
	set_pics(0xFE, 0xFF);
	ioapic(0, 0, 0x700);
	set_timer(0);
	for (unsigned i = 0; i < 10; i++) {
		advance(next_event());
		assert_true(pc_interrupt_pending(&pc, 0));
		assert_int_equal(pc_interrupt_acknowledge(&pc, 0), 0x20);
		assert_false(pc_interrupt_pending(&pc, 0));
		out(0x20, 0x20, 0);
	}
}

static void test_rtc_interrupts_on_irq_8(void **state)
{
	(void)state;
	start(1);
	set_pics(0xFB, 0xFE);
	out(0x70, 0x0B, 0), out(0x71, 0x42, 0); /* periodic, 1024 Hz */
	for (unsigned i = 1; i <= 100; i++) {
		uint64_t now = next_event();

		if (now > pc.rtc.next - 1) {
			advance(now);
			assert_int_equal(pc_interrupt_acknowledge(&pc, 0), 0x28);
			out(0x70, 0x0C, now);
			assert_int_equal(in(0x71, now), 0xC0);
			out(0xA0, 0x20, now), out(0x20, 0x20, now);
		} else {
			advance(now); /* the PIT's */
		}
	}
}

static void test_routing_between_many(void **state)
{
	(void)state;
	start(32);
	for (unsigned i = 0; i < 32; i++) {
		apic(i, 0xF0, 0x1FF, 0);
		if (i < 8)
			apic(i, 0xD0, 1U << (24 + i), 0);
	}
	apic(0, 0x310, 7U << 24, 0), apic(0, 0x300, 0x4050, 0);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(pc_interrupt_pending(&pc, i), i == 7);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 7), 0x50);
	apic(7, 0xB0, 0, 0);
	apic(3, 0x310, 0x15U << 24, 0), apic(3, 0x300, 0x4851, 0); /* logical: 0, 2 and 4 */
	for (unsigned i = 0; i < 32; i++) {
		bool gets = i == 0 || i == 2 || i == 4;

		assert_int_equal(pc_interrupt_acknowledge(&pc, i), gets ? 0x51 : -1);
		apic(i, 0xB0, 0, 0);
	}
	apic(5, 0x300, 0xC4052, 0); /* all but itself */
	for (unsigned i = 0; i < 32; i++) {
		assert_int_equal(pc_interrupt_acknowledge(&pc, i), i == 5 ? -1 : 0x52);
		apic(i, 0xB0, 0, 0);
	}
	apic(5, 0x300, 0x84053, 0); /* all with itself */
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(pc_interrupt_acknowledge(&pc, i), 0x53);
}

static void test_starting_processors(void **state)
{
	(void)state;
	start(4);
	apic(0, 0x300, 0xC4500, 0); /* INIT to all others */
	apic(0, 0x310, 2U << 24, 0), apic(0, 0x300, 0x4610, 0);
	apic(0, 0x310, 0xFFU << 24, 0), apic(0, 0x300, 0x4400, 0); /* NMI to everybody */
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(inits[i], i != 0);
		assert_int_equal(startups[i], i == 2);
		assert_int_equal(nmis[i], 1);
	}
}

static void test_lowest_priority_takes_turns_and_minds_the_tpr(void **state)
{
	const struct apic_message message = {.destination = 0xF,
					     .vector = 0x60,
					     .delivery = APIC_LOWEST_PRIORITY,
					     .logical = true,
					     .asserted = true};
	unsigned got[4] = {0};

	(void)state;
	start(4);
	for (unsigned i = 0; i < 4; i++)
		apic(i, 0xD0, 1U << (24 + i), 0), apic(i, 0xF0, i == 3 ? 0xFF : 0x1FF, 0);
	apic(1, 0x80, 0x20, 0);
	for (unsigned n = 0; n < 100; n++) {
		pc_message(&pc, &message);
		for (unsigned i = 0; i < 4; i++)
			if (pc_interrupt_acknowledge(&pc, i) >= 0)
				got[i]++, apic(i, 0xB0, 0, 0);
	}
	assert_int_equal(got[0], 50);
	assert_int_equal(got[1], 0);
	assert_int_equal(got[2], 50);
	assert_int_equal(got[3], 0);
}

static void test_msi(void **state)
{
	(void)state;
	start(2);
	apic(1, 0xF0, 0x1FF, 0);
	pc_msi(&pc, 0xFEE01000, 0x0071);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 1), 0x71);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 0), -1);
	pc_msi(&pc, 0xFEE01000, 0x0471);
	assert_int_equal(nmis[1], 1);
	pc_msi(&pc, 0xFED01000, 0x0072);
	pc_msi(&pc, 0x1FEE01000, 0x0072);
	pc_msi(&pc, 0xFEE01000, 0x8072); /* level, not asserted */
	apic(1, 0xB0, 0, 0);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 1), -1);
	pc_msi(&pc, 0xFEEFF008, 0x0073); /* to one of all */
	assert_int_equal((pc_interrupt_acknowledge(&pc, 0) == 0x73) +
				 (pc_interrupt_acknowledge(&pc, 1) == 0x73),
			 1);
}

static void test_local_apic_page_is_each_vcpus_own(void **state)
{
	(void)state;
	start(2);
	assert_int_equal(pc_mmio_read(&pc, 0, 0xFEE00020, 4, 0), 0);
	assert_int_equal(pc_mmio_read(&pc, 1, 0xFEE00020, 4, 0), 1U << 24);
	assert_true(vlapic_write_base(pc_lapic(&pc, 1), 0xFEC00800)); /* over the IOAPIC */
	assert_int_equal(pc_mmio_read(&pc, 1, 0xFEC00020, 4, 0), 1U << 24);
	assert_int_equal(pc_mmio_read(&pc, 1, 0xFEE00020, 4, 0), 0xFFFFFFFF);
	assert_true(vlapic_write_base(pc_lapic(&pc, 0), 0xFEE00D00)); /* x2APIC: no page */
	assert_int_equal(pc_mmio_read(&pc, 0, 0xFEE00020, 4, 0), 0xFFFFFFFF);
	pc_mmio_write(&pc, 0, 0xFEC00000, 4, 1, 0);
	assert_int_equal(pc_mmio_read(&pc, 0, 0xFEC00010, 4, 0), 0x170020);
	assert_true(pc_mmio_read(&pc, 0, 0xC0000000, 8, 0) == UINT64_MAX);
}

static void test_ways_out(void **state)
{
	(void)state;
	start(1);
	pc_port_write(&pc, 0xF4, 4, 0x12345678, 0);
	assert_int_equal(exits, 1);
	assert_int_equal(exit_value, 0x12345678);
	out(0xF4, 0, 0);
	assert_int_equal(exit_value, 0);
	out(0x64, 0xFE, 0);
	out(0x92, 0x03, 0);
	out(0xCF9, 0x02, 0), out(0xCF9, 0x06, 0);
	assert_int_equal(resets, 3);
	pc_port_write(&pc, 0x404, 2, 0x2000 | VACPI_SLP_TYP_S5 << 10, 0);
	assert_int_equal(power_offs, 1);
	out(0xE9, 'x', 0);
	assert_int_equal(last_char, 'x');
	out(0x3F8, 'y', 0);
	assert_int_equal(last_char, 'y');
}

static void test_console_has_back_pressure_and_input(void **state)
{
	(void)state;
	start(1);
	room = false;
	out(0x3F8, 'a', 0);
	assert_int_equal(chars, 0);
	assert_false(in(0x3FD, 0) & 0x20);
	room = true;
	pc_tx_ready(&pc, 0);
	assert_int_equal(chars, 1);
	assert_true(in(0x3FD, 0) & 0x20);
	assert_true(pc_can_receive(&pc));
	assert_true(pc_receive(&pc, 'k', 0));
	assert_false(pc_can_receive(&pc));
	assert_false(pc_receive(&pc, 'l', 0));
	assert_int_equal(in(0x3F8, 0), 'k');
}

static void test_pci_is_there_and_cf9_is_apart(void **state)
{
	(void)state;
	start(1);
	pc_port_write(&pc, 0xCF8, 4, 0xFFFFFFFF, 0);
	assert_int_equal(pc_port_read(&pc, 0xCF8, 4, 0), 0x80FFFFFC);
	out(0xCF9, 0x02, 0);
	assert_int_equal(in(0xCF9, 0), 0x02);
	assert_int_equal(pc_port_read(&pc, 0xCF8, 4, 0), 0x80FFFFFC);
	pc_port_write(&pc, 0xCF8, 4, 0x80000000, 0);
	assert_int_equal(pc_port_read(&pc, 0xCFC, 4, 0), 0x12378086);
	assert_int_equal(pc_port_read(&pc, 0xCFE, 2, 0), 0x1237);
	assert_int_equal(pc_port_read(&pc, 0xCFD, 1, 0), 0x80);
	assert_int_equal(pc_mmio_read(&pc, 0, 0xB0008000, 4, 0), 0x70008086);
}

/* The ACPI block follows its base register; a firmware of the guest's own finds it nowhere. */
static void test_power_management_moves(void **state)
{
	(void)state;
	start(1);
	pc_mmio_write(&pc, 0, 0xB000B040, 2, 0x601, 0);
	assert_int_equal(pc_port_read(&pc, 0x404, 2, 0), 0xFFFF);
	pc_port_write(&pc, 0x602, 2, 0x100, 0);
	assert_int_equal(pc_port_read(&pc, 0x602, 2, 0), 0x100);
	pc_mmio_write(&pc, 0, 0xB000B080, 1, 0, 0);
	assert_int_equal(pc_port_read(&pc, 0x602, 2, 0), 0xFFFF);
	assert_int_equal(pc_port_read(&pc, 0x2, 2, 0), 0xFFFF);
	pc_mmio_write(&pc, 0, 0xB000B080, 1, 1, 0);
	pc_mmio_write(&pc, 0, 0xB000B040, 2, 0x41, 0); /* the PIT keeps its ports */
	out(0x43, 0x90, 0), out(0x42, 0x77, 0);
	assert_int_equal(pc_port_read(&pc, 0x44, 2, 0), 0);
	pc_mmio_write(&pc, 0, 0xB000B040, 2, 0x601, 0);
	assert_int_equal(pc_port_read(&pc, 0x602, 2, 0), 0x100);
}

static void test_unclaimed_ports_read_all_ones(void **state)
{
	(void)state;
	start(1);
	/* 376H is of a channel without drives. */
	for (unsigned port = 0x300; port < 0x3B0; port++)
		assert_int_equal(in((uint16_t)port, 0), port == 0x376 ? 0x7F : 0xFF);
	assert_int_equal(pc_port_read(&pc, 0x1000, 4, 0), 0xFFFFFFFF);
	assert_int_equal(pc_port_read(&pc, 0xFFFF, 4, 0), 0xFFFFFFFF);
	out(0x80, 0x5A, 0);
	assert_int_equal(pc_port_read(&pc, 0x80, 2, 0), 0xFF5A);
}

static void test_next_event_is_the_least(void **state)
{
	(void)state;
	start(2);
	apic(1, 0xF0, 0x1FF, 0);
	set_timer(0);
	assert_in_range(next_event(), MS - 10000, MS + 10000);
	apic(1, 0x3E0, 0xB, 0), apic(1, 0x320, 0x40, 0);
	apic(1, 0x380, 5000, 0);
	assert_int_equal(next_event(), 5000);
	advance(5000);
	assert_in_range(next_event(), MS - 10000, MS + 10000);
	out(0x43, 0x30, 5000);
	assert_true(next_event() == UINT64_MAX);
}

static void test_configuration_is_checked(void **state)
{
	struct pc_config c = config(1);

	(void)state;
	c.cpus = 0;
	assert_false(pc_init(&pc, &c));
	c.cpus = 33;
	assert_false(pc_init(&pc, &c));
	c.cpus = 1, c.hz = 0;
	assert_false(pc_init(&pc, &c));
	c.hz = (1ULL << 33) + 1;
	assert_false(pc_init(&pc, &c));
	c.hz = 1ULL << 33;
	assert_true(pc_init(&pc, &c));
	c.physical_bits = 31;
	assert_false(pc_init(&pc, &c));
	c.physical_bits = 53;
	assert_false(pc_init(&pc, &c));
}

static void test_any_guest_is_survived(void **state)
{
	uint64_t seed = 11, now = 0;

	(void)state;
	start(3);
	for (unsigned i = 0; i < 400000; i++) {
		unsigned cpu, size;
		uint16_t port;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		cpu = (unsigned)(seed >> 20) % 3;
		size = 1U << ((seed >> 25) % 3);
		port = (uint16_t)((seed >> 28) % 0x500);
		now += seed >> 54;
		switch (seed >> 50 & 7) {
		case 0:
		case 1: pc_port_write(&pc, port, size, (uint32_t)(seed >> 8), now); break;
		case 2: pc_port_read(&pc, port, size, now); break;
		case 3:
			pc_mmio_write(&pc, cpu, 0xFEE00000 | (seed >> 30 & 0x3F0), 4,
				      seed >> 4 & 0xFFFFF, now);
			break;
		case 4: ioapic(seed >> 30 & 31, 0, seed >> 4 & 0x1FFFF); break;
		case 5: pc_receive(&pc, (uint8_t)seed, now); break;
		case 6: pc_interrupt_acknowledge(&pc, cpu); break;
		default: advance(now);
		}
	}
	advance(now);
	assert_true(next_event() > now);
}

static void test_msi_without_hint_reaches_all_named(void **state)
{
	const struct apic_message smi = {.destination = 1, .delivery = APIC_SMI, .asserted = true};

	(void)state;
	start(3);
	for (unsigned i = 0; i < 3; i++)
		apic(i, 0xF0, 0x1FF, 0), apic(i, 0xD0, 1U << (24 + i), 0);
	pc_msi(&pc, 0xFEE05004, 0x0074); /* logical: 0 and 2 */
	assert_int_equal(pc_interrupt_acknowledge(&pc, 0), 0x74);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 1), -1);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 2), 0x74);
	assert_int_equal(pc_mmio_read(&pc, 0, 0xFEE001B0, 4, 0), 0); /* an edge */
	pc_msi(&pc, 0xFEE01000, 0xC075);
	assert_true(pc_mmio_read(&pc, 1, 0xFEE001B0, 4, 0) & 1U << 21);
	pc_message(&pc, &smi);
	assert_int_equal(smis[0] + smis[2], 0);
	assert_int_equal(smis[1], 1);
}

static void test_shorthands_mind_no_logical_model(void **state)
{
	(void)state;
	start(2);
	apic(1, 0xF0, 0x1FF, 0), apic(1, 0xE0, 0, 0);
	apic(0, 0x300, 0xC4855, 0);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 1), 0x55);
}

static void test_acpi_timer_is_an_event(void **state)
{
	(void)state;
	start(1);
	out(0x43, 0x30, 0);
	pc_port_write(&pc, 0x402, 2, 1, 0);
	assert_int_equal(next_event(),
			 ((1ULL << 31) * HZ + VACPI_PM_TIMER_HZ - 1) / VACPI_PM_TIMER_HZ);
}

static void test_receiver_timeout_is_an_event(void **state)
{
	(void)state;
	start(1);
	set_pics(0xEF, 0xFF);
	out(0x43, 0x30, 0);
	out(0x3FB, 0x03, 0), out(0x3FC, 0x08, 0), out(0x3FA, 0xC1, 0), out(0x3F9, 0x01, 0);
	assert_true(pc_receive(&pc, 'k', 1000));
	assert_true(next_event() != UINT64_MAX);
	advance(next_event());
	assert_int_equal(pc_interrupt_acknowledge(&pc, 0), 0x24);
}

static void test_init_resets_the_local_apic(void **state)
{
	(void)state;
	start(2);
	apic(1, 0xF0, 0x1FF, 0);
	pc_msi(&pc, 0xFEE01000, 0x0071);
	apic(0, 0x310, 1U << 24, 0), apic(0, 0x300, 0x4500, 0);
	assert_false(pc_interrupt_pending(&pc, 1));
	assert_int_equal(pc_mmio_read(&pc, 1, 0xFEE000F0, 4, 0), 0xFF);
}

static void test_firmware_left_the_8259_masked(void **state)
{
	(void)state;
	start(1);
	advance(1000 * MS);
	assert_false(pc_interrupt_pending(&pc, 0));
	assert_int_equal(in(0x21, 0), 0xFB);
	out(0x21, 0xFA, 0);
	assert_int_equal(pc_interrupt_acknowledge(&pc, 0), 0x08);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timer_by_the_8259),
		cmocka_unit_test(test_timer_by_the_ioapic),
		cmocka_unit_test(test_level_interrupt_by_the_ioapic),
		cmocka_unit_test(test_level_sci_by_the_8259),
		cmocka_unit_test(test_pic_goes_before_the_apic_and_both_are_served),
		cmocka_unit_test(test_extint_through_the_ioapic),
		cmocka_unit_test(test_rtc_interrupts_on_irq_8),
		cmocka_unit_test(test_routing_between_many),
		cmocka_unit_test(test_starting_processors),
		cmocka_unit_test(test_lowest_priority_takes_turns_and_minds_the_tpr),
		cmocka_unit_test(test_msi),
		cmocka_unit_test(test_local_apic_page_is_each_vcpus_own),
		cmocka_unit_test(test_ways_out),
		cmocka_unit_test(test_console_has_back_pressure_and_input),
		cmocka_unit_test(test_pci_is_there_and_cf9_is_apart),
		cmocka_unit_test(test_power_management_moves),
		cmocka_unit_test(test_unclaimed_ports_read_all_ones),
		cmocka_unit_test(test_next_event_is_the_least),
		cmocka_unit_test(test_configuration_is_checked),
		cmocka_unit_test(test_any_guest_is_survived),
		cmocka_unit_test(test_msi_without_hint_reaches_all_named),
		cmocka_unit_test(test_shorthands_mind_no_logical_model),
		cmocka_unit_test(test_acpi_timer_is_an_event),
		cmocka_unit_test(test_receiver_timeout_is_an_event),
		cmocka_unit_test(test_init_resets_the_local_apic),
		cmocka_unit_test(test_firmware_left_the_8259_masked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
