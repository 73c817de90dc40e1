/* SPDX-License-Identifier: MIT */
/*
 * What xAPIC and x2APIC mode have in common: the timer's three modes, priorities by TPR and CR8,
 * IRR, ISR and EOI, self-IPIs, errors, the software enable.
 */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"

#define VECTOR_LOW	0x51
#define VECTOR_HIGH	0x71
#define VECTOR_TIMER	0x61
#define VECTOR_ERROR	0x91
#define VECTOR_SPURIOUS 0xFF
#define ILLEGAL		5
#define ERROR_SEND	0x20
#define VERSION_LVTS	5u
#define WAIT_US		20000
#define PERIODS		10
#define TIMER_MS	5u

static volatile unsigned interrupts, errors;
static volatile unsigned order[8];
static volatile bool isr_seen, irr_seen, ends;
static volatile uint32_t ppr_seen;
static volatile uint64_t times[PERIODS + 1];
static uint32_t per_ms; /* the timer's counts in a millisecond, undivided */

static void on_interrupt(struct trap_frame *frame)
{
	unsigned vector = (unsigned)frame->vector;

	if (interrupts <= PERIODS)
		times[interrupts] = rdtsc();
	order[interrupts & 7] = vector;
	interrupts = interrupts + 1;
	isr_seen = apic_bit(APIC_ISR, vector);
	irr_seen = apic_bit(APIC_IRR, vector);
	ppr_seen = apic_read(APIC_PPR);
	if (ends)
		apic_write(APIC_EOI, 0);
}

static void on_error(struct trap_frame *frame)
{
	(void)frame;
	errors = errors + 1;
	apic_write(APIC_EOI, 0);
}

static void quiet(void)
{
	apic_write(APIC_LVT_TIMER, APIC_MASKED | VECTOR_TIMER);
	apic_write(APIC_INITIAL, 0);
	apic_write(APIC_DIVIDE, APIC_DIVIDE_BY_1);
	interrupts = 0;
	ends = true;
}

static void test_registers(void)
{
	uint32_t version = apic_read(APIC_VERSION);

	guest_check_equal(version & 0xFF, 0x14, "version 14H");
	guest_check(version >> 16 & 0xFF && (version >> 16 & 0xFF) >= VERSION_LVTS,
		    "six LVT entries");
	apic_write(APIC_LVT_THERMAL, 0x10000 | 0x433);
	guest_check_equal(apic_read(APIC_LVT_THERMAL), 0x10433, "an LVT entry reads back");
	apic_write(APIC_DIVIDE, APIC_DIVIDE_BY_128);
	guest_check_equal(apic_read(APIC_DIVIDE), APIC_DIVIDE_BY_128, "so does the divider");
}

static uint32_t count_down(uint8_t divide, uint32_t us)
{
	uint32_t first, last;

	apic_write(APIC_DIVIDE, divide);
	apic_write(APIC_INITIAL, UINT32_MAX);
	first = apic_read(APIC_CURRENT);
	clock_wait(us);
	last = apic_read(APIC_CURRENT);
	apic_write(APIC_INITIAL, 0);
	return first - last;
}

static void test_counting(void)
{
	uint32_t by_1, by_16, stopped;

	quiet();
	by_1 = count_down(APIC_DIVIDE_BY_1, 10000);
	by_16 = count_down(APIC_DIVIDE_BY_16, 10000);
	stopped = apic_read(APIC_CURRENT);
	per_ms = by_1 / 10;
	guest_check(per_ms > 100, "the timer counts");
	guest_check(by_16 > by_1 / 17 && by_16 < by_1 / 15, "divided by 16 it counts a sixteenth");
	guest_check_equal(stopped, 0, "an initial count of 0 stops it");
}

static void test_one_shot(void)
{
	uint64_t start;
	bool more;

	quiet();
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	apic_write(APIC_INITIAL, TIMER_MS * per_ms);
	start = rdtsc();
	irq_wait(&interrupts, 1, WAIT_US);
	more = irq_wait(&interrupts, 2, 2 * TIMER_MS * 1000);
	guest_check(clock_near(times[0] - start, TIMER_MS * 1000, 3), "one-shot: at its time");
	guest_check(!more, "and once");
	guest_check_equal(apic_read(APIC_CURRENT), 0, "the count is 0 then");
	guest_check_equal(order[0], VECTOR_TIMER, "with its vector");
	apic_write(APIC_LVT_TIMER, APIC_MASKED | VECTOR_TIMER);
	apic_write(APIC_INITIAL, per_ms);
	interrupts = 0;
	guest_check(!irq_wait(&interrupts, 1, 3000), "a masked timer is silent");
}

static void test_periodic(void)
{
	unsigned off = 0;

	quiet();
	apic_write(APIC_LVT_TIMER, APIC_PERIODIC | VECTOR_TIMER);
	apic_write(APIC_INITIAL, TIMER_MS * per_ms);
	irq_halt(&interrupts, PERIODS + 1);
	quiet();
	for (unsigned i = 0; i < PERIODS; i++)
		off += !clock_near(times[i + 1] - times[i], TIMER_MS * 1000, 4);
	guest_check(clock_near(times[PERIODS] - times[0], PERIODS * TIMER_MS * 1000, 1),
		    "periodic: ten periods");
	guest_check_equal(off, 0, "and each of them");
}

static void test_deadline(void)
{
	uint64_t deadline, armed, after;
	bool early, late, past;

	quiet();
	apic_write(APIC_LVT_TIMER, APIC_DEADLINE | VECTOR_TIMER);
	deadline = rdtsc() + clock_ticks(3000);
	msr_write(APIC_DEADLINE_MSR, deadline);
	armed = msr_read(APIC_DEADLINE_MSR);
	irq_wait(&interrupts, 1, WAIT_US);
	after = msr_read(APIC_DEADLINE_MSR);
	early = times[0] < deadline;
	late = times[0] - deadline > clock_ticks(100 + clock_slack);
	msr_write(APIC_DEADLINE_MSR, 1);
	past = irq_wait(&interrupts, 2, 1000);
	msr_write(APIC_DEADLINE_MSR, rdtsc() + clock_ticks(2000));
	msr_write(APIC_DEADLINE_MSR, 0);
	guest_check_equal(armed, deadline, "TSC deadline: reads back while armed");
	guest_check(!early && !late, "interrupts at its time");
	guest_check_equal(after, 0, "and is disarmed by that");
	guest_check(past, "one that is over interrupts at once");
	guest_check(!irq_wait(&interrupts, 3, 4000), "a zero disarms");
	apic_write(APIC_LVT_TIMER, APIC_MASKED | VECTOR_TIMER);
	msr_write(APIC_DEADLINE_MSR, rdtsc() + clock_ticks(100000));
	guest_check_equal(msr_read(APIC_DEADLINE_MSR), 0, "in another mode the MSR stays 0");
}

static void test_service(void)
{
	quiet();
	ends = false;
	apic_send_self(VECTOR_LOW);
	guest_check(apic_bit(APIC_IRR, VECTOR_LOW), "a self-IPI stands in IRR");
	irq_window();
	guest_check_equal(interrupts, 1, "and is delivered");
	guest_check(isr_seen && !irr_seen, "from IRR to ISR");
	guest_check_equal(ppr_seen, VECTOR_LOW & 0xF0, "PPR has its class");
	apic_send_self(VECTOR_LOW);
	irq_window();
	guest_check_equal(interrupts, 1, "in service it holds its class back");
	apic_send_self(VECTOR_HIGH);
	irq_window();
	guest_check_equal(order[1], VECTOR_HIGH, "but not a higher one");
	apic_write(APIC_EOI, 0);
	guest_check(!apic_bit(APIC_ISR, VECTOR_HIGH) && apic_bit(APIC_ISR, VECTOR_LOW),
		    "EOI ends the highest");
	irq_window();
	guest_check_equal(interrupts, 2, "the other is still in service");
	apic_write(APIC_EOI, 0);
	irq_window();
	guest_check_equal(interrupts, 3, "and after its EOI comes again");
	apic_write(APIC_EOI, 0);
	guest_check_equal(apic_read(APIC_PPR), 0, "PPR is 0 at rest");
	apic_send_self(VECTOR_LOW);
	apic_send_self(VECTOR_HIGH);
	interrupts = 0;
	ends = true;
	irq_window();
	guest_check_equal(order[0] << 8 | order[1], VECTOR_HIGH << 8 | VECTOR_LOW,
			  "of two the higher goes first");
}

#ifdef __x86_64__
static void write_cr8(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr8" : : "r"(value) : "memory");
}

static uint64_t read_cr8(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr8, %0" : "=r"(value));
	return value;
}

/* Between the two instructions nothing else exits: the fall of CR8 itself must let it in. */
static void test_cr8(void)
{
	uint32_t tpr;

	quiet();
	write_cr8(5);
	tpr = apic_read(APIC_TPR);
	apic_write(APIC_TPR, 0x63);
	guest_check_equal(tpr, 0x50, "CR8 is the TPR's class");
	guest_check_equal(read_cr8(), 6, "and the TPR's class is CR8");
	write_cr8(5);
	apic_send_self(VECTOR_LOW);
	irq_window();
	guest_check_equal(interrupts, 0, "CR8 holds its own class back");
	guest_check(apic_bit(APIC_IRR, VECTOR_LOW), "which waits in IRR");
	apic_send_self(VECTOR_HIGH);
	irq_window();
	guest_check_equal(order[0], VECTOR_HIGH, "a higher class comes");
	irq_on();
	write_cr8(4);
	__asm__ volatile("nop");
	irq_off();
	guest_check_equal(interrupts, 2, "a lower CR8 lets the other in at once");
	write_cr8(15);
	apic_send_self(0xF1);
	irq_window();
	guest_check_equal(interrupts, 2, "CR8 of 15 holds everything back");
	write_cr8(0);
	irq_window();
	guest_check_equal(interrupts, 3, "until it falls");
}
#endif

static void test_tpr(void)
{
	quiet();
	apic_write(APIC_TPR, 0x60);
	apic_send_self(VECTOR_LOW);
	irq_window();
	guest_check_equal(interrupts, 0, "the TPR holds lower classes back");
	guest_check_equal(apic_read(APIC_PPR), 0x60, "PPR is the TPR then");
	apic_write(APIC_TPR, 0);
	irq_window();
	guest_check_equal(interrupts, 1, "until it falls");
}

static void test_errors(void)
{
	uint32_t first, second;

	quiet();
	apic_write(APIC_ESR, 0);
	apic_write(APIC_LVT_ERROR, VECTOR_ERROR);
	apic_send_self(ILLEGAL);
	irq_window();
	apic_write(APIC_ESR, 0);
	first = apic_read(APIC_ESR);
	apic_write(APIC_ESR, 0);
	second = apic_read(APIC_ESR);
	guest_check_equal(errors, 1, "an illegal vector makes an error interrupt");
	guest_check_equal(first, ERROR_SEND, "ESR says: sent");
	guest_check_equal(second, 0, "once");
	apic_write(APIC_LVT_ERROR, APIC_MASKED | VECTOR_ERROR);
}

static void test_software_enable(void)
{
	quiet();
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	apic_write(APIC_SVR, VECTOR_SPURIOUS);
	guest_check_equal(apic_read(APIC_LVT_TIMER) & APIC_MASKED, APIC_MASKED,
			  "disabled by software, the LVT is masked");
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	guest_check_equal(apic_read(APIC_LVT_TIMER) & APIC_MASKED, APIC_MASKED, "and stays so");
	apic_send_self(VECTOR_LOW);
	if (apic_x2)
		msr_write(APIC_X2_MSR(APIC_SELF_IPI), VECTOR_LOW);
	irq_window();
	guest_check_equal(interrupts, 0, "and no IPI is accepted");
	guest_check(!apic_bit(APIC_IRR, VECTOR_LOW), "nor kept");
	apic_write(APIC_SVR, APIC_SVR_ON | VECTOR_SPURIOUS);
	guest_check_equal(apic_read(APIC_SVR), APIC_SVR_ON | VECTOR_SPURIOUS, "SVR reads back");
}

void apic_test(void)
{
	trap_set_handler(VECTOR_LOW, on_interrupt);
	trap_set_handler(VECTOR_HIGH, on_interrupt);
	trap_set_handler(VECTOR_TIMER, on_interrupt);
	trap_set_handler(0xF1, on_interrupt);
	trap_set_handler(VECTOR_ERROR, on_error);
	apic_write(APIC_SVR, APIC_SVR_ON | VECTOR_SPURIOUS);
	errors = 0;
	test_registers();
	test_counting();
	test_one_shot();
	test_periodic();
	test_deadline();
	test_service();
#ifdef __x86_64__
	test_cr8();
#endif
	test_tpr();
	test_errors();
	test_software_enable();
}
