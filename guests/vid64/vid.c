/* SPDX-License-Identifier: MIT */
/*
 * Interrupts whose delivery the CPU may have to itself (virtual-interrupt delivery): what the guest
 * sees must be the same as without, in xAPIC and x2APIC mode and on the ways between them. Then
 * what it costs, in ticks.
 */
#include <stddef.h>

#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"
#include "guests/vid64/level.h"

#define LOW	   0x41
#define SAME_CLASS 0x4E
#define MIDDLE	   0x62
#define HIGH	   0x93
#define TIMER	   0xA0
#define SPURIOUS   0xFF
#define ERROR_SEND 0x20
#define ROUNDS	   1000
#define SEEN	   16

/* What handlers saw, in the order in which they began. */
static volatile struct {
	unsigned vector;
	uint32_t ppr;
	bool irr, isr, tmr;
} seen[SEEN];
static volatile unsigned count;
static volatile unsigned ended[SEEN], ends; /* vectors in the order of their ends */
static const char *mode;

/* What the handler of a vector does beside looking and EOI; NULL for nothing. */
static void (*volatile inside[256])(void);

static void note(unsigned vector)
{
	unsigned i = count % SEEN;

	seen[i].vector = vector;
	seen[i].ppr = apic_read(APIC_PPR);
	seen[i].irr = apic_bit(APIC_IRR, vector);
	seen[i].isr = apic_bit(APIC_ISR, vector);
	seen[i].tmr = apic_bit(APIC_TMR, vector);
	count = count + 1;
}

static void on_interrupt(struct trap_frame *frame)
{
	unsigned vector = (unsigned)frame->vector;

	note(vector);
	if (inside[vector])
		inside[vector]();
	ended[ends % SEEN] = vector;
	ends = ends + 1;
	apic_write(APIC_EOI, 0);
}

static void on_quick(struct trap_frame *frame)
{
	(void)frame;
	count = count + 1;
	apic_write(APIC_EOI, 0);
}

static void quiet(void)
{
	count = ends = 0;
	for (unsigned i = 0; i < 256; i++)
		inside[i] = NULL;
}

/* Our own vector, in the way that this mode has for it. */
static void self(unsigned vector)
{
	if (apic_x2)
		msr_write(APIC_X2_MSR(APIC_SELF_IPI), vector);
	else
		apic_send_self(vector);
}

static bool check(bool passed, const char *what)
{
	if (!passed)
		guest_print("# in %s mode\n", mode);
	return guest_check(passed, what);
}

static void check_order(const volatile unsigned *vectors, uint32_t want, const char *what)
{
	uint32_t got = 0;

	for (unsigned i = 0; i < count && i < 4; i++)
		got = got << 8 | vectors[i];
	if (got != want)
		guest_print("# in %s mode\n", mode);
	guest_check_equal(got, want, what);
}

/* A lower, an equal and a higher class arrive while one is in service with interrupts on. */
static void nest(void)
{
	self(LOW);
	self(HIGH);
	irq_window();
}

static void test_nesting(void)
{
	unsigned began[4];

	quiet();
	inside[MIDDLE] = nest;
	self(MIDDLE);
	irq_window();
	for (unsigned i = 0; i < 4; i++)
		began[i] = seen[i].vector;
	check_order(began, MIDDLE << 16 | HIGH << 8 | LOW, "a higher class interrupts a handler");
	check_order(ended, HIGH << 16 | MIDDLE << 8 | LOW, "the lower one waits for its end");
	check(seen[0].isr && !seen[0].irr && seen[1].isr && !seen[1].irr,
	      "what is in service is in ISR alone");
	check(!seen[0].tmr && !seen[1].tmr, "by an edge");
	check(seen[0].ppr == (MIDDLE & 0xF0) && seen[1].ppr == (HIGH & 0xF0) &&
		      seen[2].ppr == (LOW & 0xF0),
	      "PPR is the class in service");
	guest_check_equal(apic_read(APIC_PPR), 0, "and 0 at the end");
}

/* The register views in a handler that two others interrupt, or wait for. */
static bool views;

static void look(void)
{
	self(LOW);
	self(SAME_CLASS);
	views = apic_bit(APIC_IRR, LOW) && apic_bit(APIC_IRR, SAME_CLASS) &&
		apic_bit(APIC_ISR, MIDDLE) && !apic_bit(APIC_ISR, LOW) &&
		apic_read(APIC_PPR) == (MIDDLE & 0xF0);
}

static void test_views(void)
{
	quiet();
	views = false;
	inside[MIDDLE] = look;
	self(MIDDLE);
	irq_window();
	check(views, "IRR, ISR and PPR in service, with two waiting");
	check(count == 3 && seen[1].vector == SAME_CLASS && seen[2].vector == LOW,
	      "the two come in their order");
}

/* TPR: its class holds back, and PPR is the TPR where that is higher. */
static bool raised;

static void raise_tpr(void)
{
	apic_write(APIC_TPR, 0x95);
	self(HIGH);
	irq_window();
	raised = count == 1 && apic_read(APIC_PPR) == 0x95 && apic_bit(APIC_IRR, HIGH);
	apic_write(APIC_TPR, 0);
}

static void test_tpr(void)
{
	quiet();
	raised = false;
	inside[MIDDLE] = raise_tpr;
	self(MIDDLE);
	irq_window();
	check(raised, "a TPR raised in a handler holds its class back, and is PPR");
	check(count == 2 && seen[1].vector == HIGH, "which comes when the TPR falls");
	apic_write(APIC_TPR, 0x4F);
	guest_check_equal(read_cr8(), 4, "CR8 is the TPR's upper half");
	write_cr8(6);
	guest_check_equal(apic_read(APIC_TPR), 0x60, "and the TPR is CR8");
	guest_check_equal(apic_read(APIC_PPR), 0x60, "as is PPR");
	quiet();
	self(LOW);
	self(MIDDLE);
	irq_window();
	check(count == 0, "both wait for CR8");
	irq_on();
	write_cr8(5);
	__asm__ volatile("nop");
	irq_off();
	check(count == 1 && seen[0].vector == MIDDLE, "one step down lets one in");
	irq_on();
	apic_write(APIC_TPR, 0);
	__asm__ volatile("nop");
	irq_off();
	check(count == 2 && seen[1].vector == LOW, "all the way down the other");
}

/*
 * STI's shadow: the instruction after it is executed before the interrupt. By ICR, not self(): in
 * Bochs an interrupt of the host would end the wait (docs/architecture.md).
 */
static volatile uintptr_t at;

static void on_shadow(struct trap_frame *frame)
{
	at = frame->ip;
	count = count + 1;
	apic_write(APIC_EOI, 0);
}

static void test_shadow(void)
{
	uintptr_t after;

	quiet();
	trap_set_handler(HIGH, on_shadow);
	apic_send_self(HIGH);
	for (volatile unsigned i = 0; i < 1000; i++)
		;
	check(count == 0 && apic_bit(APIC_IRR, HIGH), "with IF clear it waits in IRR");
	__asm__ volatile("sti\n\tnop\n1:\tnop\n\tcli\n\tlea 1b(%%rip), %0"
			 : "=r"(after)
			 :
			 : "memory");
	check(count == 1, "STI lets it in");
	guest_check_equal(at, after, "after one more instruction");
	trap_set_handler(HIGH, on_interrupt);
}

static void test_halt(void)
{
	quiet();
	apic_send_self(HIGH);
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
	check(count == 1, "HLT with one pending does not sleep");
	quiet();
	apic_write(APIC_LVT_TIMER, APIC_DEADLINE | TIMER);
	msr_write(APIC_DEADLINE_MSR, rdtsc() + clock_ticks(500));
	irq_halt(&count, 1);
	check(seen[0].vector == TIMER && seen[0].isr, "the timer wakes a halted CPU");
	quiet();
	/* Held by the TPR, the first cannot end HLT: the timer does. */
	apic_write(APIC_TPR, 0x90);
	self(LOW);
	msr_write(APIC_DEADLINE_MSR, rdtsc() + clock_ticks(500));
	irq_halt(&count, 1);
	check(count == 1 && seen[0].vector == TIMER, "what the TPR holds back does not wake it");
	apic_write(APIC_TPR, 0);
	irq_window();
	check(count == 2 && seen[1].vector == LOW, "and comes later");
	apic_write(APIC_LVT_TIMER, APIC_MASKED | TIMER);
}

static void test_illegal(void)
{
	quiet();
	apic_write(APIC_ESR, 0);
	self(15);
	irq_window();
	apic_write(APIC_ESR, 0);
	guest_check_equal(apic_read(APIC_ESR), ERROR_SEND, "vector 15 is an error");
	check(count == 0 && !apic_bit(APIC_IRR, 15), "and none is requested");
	apic_write(APIC_EOI, 0);
	guest_check_equal(apic_read(APIC_PPR), 0, "an EOI of nothing ends nothing");
	self(SPURIOUS);
	irq_window();
	check(count == 1 && seen[0].vector == SPURIOUS && seen[0].isr,
	      "the spurious vector sent as an IPI is like others");
}

static void test_mode(const char *name)
{
	mode = name;
	guest_print("# %s mode\n", mode);
	test_nesting();
	test_views();
	test_tpr();
	test_shadow();
	test_halt();
	test_illegal();
	test_level();
}

/* One in service, one waiting: the mode changes under them. */
static void enter_x2apic(void)
{
	self(LOW);
	self(HIGH);
	msr_write(APIC_BASE_MSR, msr_read(APIC_BASE_MSR) | APIC_BASE_X2);
	apic_x2 = true;
}

static void test_switch(void)
{
	uint64_t base = msr_read(APIC_BASE_MSR);

	mode = "changing";
	quiet();
	inside[MIDDLE] = enter_x2apic;
	self(MIDDLE);
	irq_window();
	check(count == 3, "into x2APIC mode: none is lost");
	check_order(ended, MIDDLE << 16 | HIGH << 8 | LOW, "and each comes in its turn");
	guest_check_equal(apic_read(APIC_PPR), 0, "all have ended");
	test_mode("x2APIC");
	quiet();
	self(LOW);
	check(apic_bit(APIC_IRR, LOW), "one waits");
	msr_write(APIC_BASE_MSR, base & ~(uint64_t)APIC_BASE_ON);
	apic_x2 = false;
	irq_window();
	check(count == 0, "disabled, it is gone");
	msr_write(APIC_BASE_MSR, base);
	apic_write(APIC_SVR, APIC_SVR_ON | SPURIOUS);
	irq_window();
	check(count == 0 && !apic_bit(APIC_IRR, LOW), "and stays so in xAPIC mode");
	self(HIGH);
	irq_window();
	check(count == 1, "where interrupts come again");
}

static void cost(const char *what, uint64_t ticks)
{
	guest_print("ticks %s %u\n", what, (unsigned)ticks / ROUNDS);
}

/* What the loop itself costs: the least of some, for a timer's exit may come in between. */
static uint64_t loop(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned tries = 0; tries < 3; tries++) {
		uint64_t start = rdtsc(), ticks;

		for (volatile unsigned i = 0; i < ROUNDS; i++)
			;
		ticks = rdtsc() - start;
		least = ticks < least ? ticks : least;
	}
	return least;
}

static void measure_xapic(void)
{
	uint64_t empty = loop(), start;

	trap_set_handler(HIGH, on_quick);
	start = rdtsc();
	for (volatile unsigned i = 0; i < ROUNDS; i++)
		*(volatile uint32_t *)(uintptr_t)(APIC_PAGE + APIC_EOI) = 0;
	cost("xapic-eoi", rdtsc() - start - empty);
	start = rdtsc();
	for (volatile unsigned i = 0; i < ROUNDS; i++)
		(void)*(volatile uint32_t *)(uintptr_t)(APIC_PAGE + APIC_ISR);
	cost("xapic-isr", rdtsc() - start - empty);
	start = rdtsc();
	for (volatile unsigned i = 0; i < ROUNDS; i++)
		*(volatile uint32_t *)(uintptr_t)(APIC_PAGE + APIC_INITIAL) = 0;
	cost("xapic-timer-initial", rdtsc() - start - empty);
	start = rdtsc();
	for (volatile unsigned i = 0; i < ROUNDS; i++)
		(void)*(volatile uint32_t *)(uintptr_t)(APIC_PAGE + APIC_CURRENT);
	cost("xapic-timer-current", rdtsc() - start - empty);
	count = 0;
	irq_on();
	start = rdtsc();
	for (volatile unsigned i = 0; i < ROUNDS; i++)
		*(volatile uint32_t *)(uintptr_t)(APIC_PAGE + APIC_ICR) = APIC_SELF | HIGH;
	cost("xapic-self-ipi", rdtsc() - start - empty);
	irq_off();
	guest_check_equal(count, ROUNDS, "each self-IPI by ICR comes at once");
	trap_set_handler(HIGH, on_interrupt);
}

/* In x2APIC mode nobody answers at the page of xAPIC mode. */
static void test_page_gone(void)
{
	volatile uint32_t *tpr = (volatile uint32_t *)(uintptr_t)(APIC_PAGE + APIC_TPR);

	guest_check_equal(*tpr, UINT32_MAX, "in x2APIC mode the page reads as all ones");
	*tpr = 0xE0;
	guest_check_equal(*tpr, UINT32_MAX, "and keeps nothing");
	guest_check_equal(apic_read(APIC_TPR), 0, "nor is it the TPR");
}

static void measure_x2apic(void)
{
	uint64_t empty = loop(), start;

	trap_set_handler(HIGH, on_quick);
	trap_set_handler(TIMER, on_quick);
	start = rdtsc();
	for (volatile unsigned i = 0; i < ROUNDS; i++)
		msr_write(APIC_X2_MSR(APIC_EOI), 0);
	cost("eoi", rdtsc() - start - empty);
	start = rdtsc();
	for (volatile unsigned i = 0; i < ROUNDS; i++)
		msr_read(APIC_X2_MSR(APIC_ISR));
	cost("isr", rdtsc() - start - empty);
	start = rdtsc();
	for (volatile unsigned i = 0; i < ROUNDS; i++)
		msr_write(APIC_X2_MSR(APIC_TPR), 0);
	cost("tpr", rdtsc() - start - empty);
	count = 0;
	irq_on();
	start = rdtsc();
	for (volatile unsigned i = 0; i < ROUNDS; i++)
		msr_write(APIC_X2_MSR(APIC_SELF_IPI), HIGH);
	cost("self-ipi", rdtsc() - start - empty);
	irq_off();
	guest_check_equal(count, ROUNDS, "each self-IPI comes at once");
	count = 0;
	apic_write(APIC_LVT_TIMER, APIC_DEADLINE | TIMER);
	irq_on();
	start = rdtsc();
	for (volatile unsigned i = 0; i < ROUNDS; i++)
		msr_write(APIC_DEADLINE_MSR, 1);
	cost("timer", rdtsc() - start - empty);
	irq_off();
	guest_check_equal(count, ROUNDS, "each deadline that has passed does");
}

unsigned main(uintptr_t info)
{
	static const uint8_t vectors[] = {LOW, SAME_CLASS, MIDDLE, HIGH, TIMER, SPURIOUS};

	(void)info;
	trap_init();
	clock_init();
	pic_start(PIC_8086);
	for (unsigned i = 0; i < sizeof(vectors); i++)
		trap_set_handler(vectors[i], on_interrupt);
	apic_write(APIC_SVR, APIC_SVR_ON | SPURIOUS);
	test_mode("xAPIC");
	measure_xapic();
	test_switch();
	msr_write(APIC_BASE_MSR, msr_read(APIC_BASE_MSR) | APIC_BASE_X2);
	apic_x2 = true;
	test_page_gone();
	measure_x2apic();
	return guest_failures();
}
