/* SPDX-License-Identifier: MIT */
/*
 * The local APIC in x2APIC mode: what both modes share, by MSR, and its own rules: #GP for what is
 * not there, 64-bit ICR, self-IPI register, logical ID, the ways into the mode and out of it.
 */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/mmio.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define VECTOR	    0x55
#define VECTOR_GP   13
#define ICR_LOGICAL (1u << 11)
#define ALL_ONES    0xFFFFFFFFu

static volatile unsigned interrupts;

static void on_interrupt(struct trap_frame *frame)
{
	(void)frame;
	interrupts = interrupts + 1;
	apic_write(APIC_EOI, 0);
}

struct access {
	uint32_t msr;
	uint64_t value;
	const char *what;
};

static void do_read(void *access)
{
	msr_read(((struct access *)access)->msr);
}

static void do_write(void *access)
{
	msr_write(((struct access *)access)->msr, ((struct access *)access)->value);
}

static void test_refusals(void)
{
	static const struct access reads[] = {
		{APIC_X2_MSR(APIC_EOI), 0, "EOI cannot be read"},
		{APIC_X2_MSR(APIC_DFR), 0, "there is no DFR"},
		{APIC_X2_MSR(APIC_ICR_HIGH), 0, "nor a second half of ICR"},
		{APIC_X2_MSR(APIC_SELF_IPI), 0, "self-IPI cannot be read"},
		{0x800, 0, "register 0 is reserved"},
		{0x8FF, 0, "the last one is as well"},
	};
	static const struct access writes[] = {
		{APIC_X2_MSR(APIC_ID), 0, "the ID cannot be written"},
		{APIC_X2_MSR(APIC_VERSION), 0, "nor the version"},
		{APIC_X2_MSR(APIC_LDR), 0, "nor LDR"},
		{APIC_X2_MSR(APIC_ISR), 0, "nor ISR"},
		{APIC_X2_MSR(APIC_CURRENT), 0, "nor the current count"},
		{APIC_X2_MSR(APIC_EOI), 1, "EOI takes 0 only"},
		{APIC_X2_MSR(APIC_ESR), 1, "ESR takes 0 only"},
		{APIC_X2_MSR(APIC_TPR), 0x100, "TPR has 8 bits"},
		{APIC_X2_MSR(APIC_TPR), 1ull << 32, "and no upper half"},
		{APIC_X2_MSR(APIC_LVT_TIMER), 1u << 20, "LVT: a reserved bit"},
		{APIC_X2_MSR(APIC_SELF_IPI), 0x100, "self-IPI has 8 bits"},
		{APIC_BASE_MSR, APIC_PAGE | 0x900, "x2APIC to xAPIC is no way"},
	};
	struct access access;

	for (unsigned i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		access = reads[i];
		guest_check_equal(trap_run(do_read, &access), VECTOR_GP, access.what);
	}
	for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		access = writes[i];
		guest_check_equal(trap_run(do_write, &access), VECTOR_GP, access.what);
	}
}

static void send(uint64_t icr)
{
	interrupts = 0;
	msr_write(APIC_X2_MSR(APIC_ICR), icr | VECTOR);
	irq_window();
}

static void test_own(void)
{
	guest_check_equal(apic_read(APIC_ID), 0, "our ID is 0");
	guest_check_equal(apic_read(APIC_LDR), 1, "cluster 0, bit 0");
	interrupts = 0;
	msr_write(APIC_X2_MSR(APIC_SELF_IPI), VECTOR);
	irq_window();
	guest_check_equal(interrupts, 1, "the self-IPI register");
	send(0);
	guest_check_equal(interrupts, 1, "ICR to our own ID");
	send(1ull << 32);
	guest_check_equal(interrupts, 0, "to another");
	guest_check_equal(msr_read(APIC_X2_MSR(APIC_ICR)), 1ull << 32 | VECTOR,
			  "ICR reads back in 64 bits");
	send(0xFFFFFFFFull << 32);
	guest_check_equal(interrupts, 1, "to all");
	send(1ull << 32 | ICR_LOGICAL);
	guest_check_equal(interrupts, 1, "to our logical ID");
	send(2ull << 32 | ICR_LOGICAL);
	guest_check_equal(interrupts, 0, "to another one");
	guest_check_equal(mmio_read(APIC_PAGE + APIC_VERSION), ALL_ONES, "the page is nobody's");
}

unsigned main(uintptr_t info)
{
	struct access early = {APIC_X2_MSR(APIC_ID), 0, ""};
	uint64_t base;

	clock_slack = words_number(info, "slack", 0);
	trap_init();
	clock_init();
	pic_start(PIC_8086);
	trap_set_handler(VECTOR, on_interrupt);
	base = msr_read(APIC_BASE_MSR);
	guest_check_equal(trap_run(do_read, &early), VECTOR_GP, "in xAPIC mode the MSRs are #GP");
	msr_write(APIC_BASE_MSR, base | APIC_BASE_X2);
	guest_check_equal(msr_read(APIC_BASE_MSR), base | APIC_BASE_X2, "x2APIC mode is entered");
	apic_x2 = true;
	apic_test();
	test_own();
	test_refusals();
	msr_write(APIC_BASE_MSR, base & ~(uint64_t)APIC_BASE_ON);
	msr_write(APIC_BASE_MSR, base);
	apic_x2 = false;
	guest_check_equal(apic_read(APIC_VERSION) & 0xFF, 0x14, "by disabling, xAPIC mode again");
	return guest_failures();
}
