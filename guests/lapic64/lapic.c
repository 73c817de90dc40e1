/* SPDX-License-Identifier: MIT */
/* The local APIC in xAPIC mode: what both modes share, and what its page alone has. */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/mmio.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define VECTOR	       0x55
#define RESERVED_REG   0x40
#define ERROR_REGISTER 0x80
#define ICR_LOGICAL    (1u << 11)
#define MOVED	       0xD0000000u
#define ALL_ONES       0xFFFFFFFFu

static volatile unsigned interrupts;

static void on_interrupt(struct trap_frame *frame)
{
	(void)frame;
	interrupts = interrupts + 1;
	apic_write(APIC_EOI, 0);
}

static void send(uint32_t icr, uint32_t destination)
{
	interrupts = 0;
	apic_write(APIC_ICR_HIGH, destination << 24);
	apic_write(APIC_ICR, icr | VECTOR);
	irq_window();
}

static void test_destinations(void)
{
	send(0, 0);
	guest_check_equal(interrupts, 1, "an IPI to our own ID");
	send(0, 1);
	guest_check_equal(interrupts, 0, "one to another ID");
	send(0, 0xFF);
	guest_check_equal(interrupts, 1, "one to all");
	send(2u << 18, 0);
	guest_check_equal(interrupts, 1, "all including self");
	send(3u << 18, 0);
	guest_check_equal(interrupts, 0, "all but self");
	apic_write(APIC_DFR, 0xFFFFFFFF);
	apic_write(APIC_LDR, 4u << 24);
	send(ICR_LOGICAL, 6);
	guest_check_equal(interrupts, 1, "flat logical: our bit is in the set");
	send(ICR_LOGICAL, 3);
	guest_check_equal(interrupts, 0, "flat logical: it is not");
	apic_write(APIC_DFR, 0x0FFFFFFF);
	apic_write(APIC_LDR, 0x32u << 24);
	send(ICR_LOGICAL, 0x32);
	guest_check_equal(interrupts, 1, "cluster: ours");
	send(ICR_LOGICAL, 0x42);
	guest_check_equal(interrupts, 0, "cluster: another");
}

static void test_page(void)
{
	uint64_t base = msr_read(APIC_BASE_MSR);

	guest_check_equal(apic_read(APIC_ID), 0, "our ID is 0");
	guest_check_equal(base & ~0xFFFull, APIC_PAGE, "the page is where it should be");
	guest_check_equal(base & 0xD00, 0x900, "enabled, bootstrap, not x2APIC");
	apic_write(APIC_ESR, 0);
	guest_check_equal(apic_read(RESERVED_REG), 0, "a register that is not there reads 0");
	apic_write(APIC_ESR, 0);
	guest_check_equal(apic_read(APIC_ESR), ERROR_REGISTER, "and ESR says so");
}

static void test_move(void)
{
	uint64_t base = msr_read(APIC_BASE_MSR);
	uint32_t there, here;

	msr_write(APIC_BASE_MSR, MOVED | (base & 0xFFF));
	there = mmio_read(MOVED + APIC_VERSION);
	here = mmio_read(APIC_PAGE + APIC_VERSION);
	msr_write(APIC_BASE_MSR, base);
	guest_check_equal(there & 0xFF, 0x14, "the page can be moved");
	guest_check_equal(here, ALL_ONES, "nobody is where it was");
	guest_check_equal(apic_read(APIC_VERSION) & 0xFF, 0x14, "and be moved back");
}

static void set_base(void *value)
{
	msr_write(APIC_BASE_MSR, *(uint64_t *)value);
}

static void test_disable(void)
{
	uint64_t base = msr_read(APIC_BASE_MSR), bad = base | 1ull << 60;
	uint32_t off, svr;

	guest_check_equal(trap_run(set_base, &bad), 13, "a base beyond the address width is #GP");
	bad = (base & ~(uint64_t)APIC_BASE_ON) | APIC_BASE_X2;
	guest_check_equal(trap_run(set_base, &bad), 13, "x2APIC without enable is #GP");
	msr_write(APIC_BASE_MSR, base & ~(uint64_t)APIC_BASE_ON);
	off = mmio_read(APIC_PAGE + APIC_VERSION);
	msr_write(APIC_BASE_MSR, base);
	svr = apic_read(APIC_SVR);
	guest_check_equal(off, ALL_ONES, "disabled, its page is nobody's");
	guest_check_equal(svr, 0xFF, "and it comes back as after reset");
}

unsigned main(uintptr_t info)
{
	clock_slack = words_number(info, "slack", 0);
	trap_init();
	clock_init();
	pic_start(PIC_8086);
	trap_set_handler(VECTOR, on_interrupt);
	apic_test();
	test_destinations();
	test_page();
	test_move();
	test_disable();
	return guest_failures();
}
