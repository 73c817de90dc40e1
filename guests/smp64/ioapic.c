/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of devices, each to any CPU: edges (timer, pin 2) and levels (UART, pin 4) of the
 * IOAPIC, whose EOI comes from another CPU, and the 8259 pair beside several CPUs.
 * Intel 82093AA datasheet; ICH9 datasheet, "EOI Register".
 */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/mmio.h"
#include "guests/lib/trap.h"
#include "guests/smp64/smp64.h"

#define INDEX	      0xFEC00000
#define WINDOW	      0xFEC00010
#define EOI_REGISTER  0xFEC00040
#define REG_LOW(pin)  (0x10u + 2 * (pin))
#define REG_HIGH(pin) (0x11u + 2 * (pin))
#define PIN_TIMER     2
#define PIN_UART      4
#define MASKED	      (1u << 16)
#define LEVEL	      (1u << 15)
#define REMOTE_IRR    (1u << 14)
#define RESERVED      (3u << 8)

#define VECTOR_UART   0x61
#define UART_IER      (COM1_PORT + 1)
#define UART_IIR      (COM1_PORT + 2)
#define UART_MCR      (COM1_PORT + 4)
#define PIT_CONTROL   0x43
#define PIT_COUNTER0  0x40
#define PIT_MODE0     0x30
#define IRQ_TIMER     0

static volatile unsigned levels[SMP_MAX], legacy[SMP_MAX];
static volatile bool keep_up;

static uint32_t get(uint32_t reg)
{
	mmio_write(INDEX, reg);
	return mmio_read(WINDOW);
}

static void set(uint32_t reg, uint32_t value)
{
	mmio_write(INDEX, reg);
	mmio_write(WINDOW, value);
}

static void route(unsigned pin, uint32_t low, unsigned cpu)
{
	set(REG_LOW(pin), MASKED);
	set(REG_HIGH(pin), cpu << 24);
	set(REG_LOW(pin), low);
}

static void raise_timer(void)
{
	outb(PIT_CONTROL, PIT_MODE0);
	outb(PIT_COUNTER0, 50);
	outb(PIT_COUNTER0, 0);
	clock_wait(200);
}

static void lower_uart(void)
{
	outb(UART_IER, 0);
	inb(UART_IIR);
}

static void raise_uart(void)
{
	outb(UART_IER, 0);
	outb(UART_MCR, 8);
	outb(UART_IER, 2);
}

static void on_uart(struct trap_frame *frame)
{
	(void)frame;
	if (smp_add(&levels[smp_id()], 1) >= 3 || !keep_up)
		lower_uart();
	apic_write(APIC_EOI, 0);
}

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	smp_add(&legacy[smp_id()], 1);
	pic_end(IRQ_TIMER);
}

static void test_edges(void)
{
	unsigned right = 0;

	for (unsigned cpu = 0; cpu < smp_cpus; cpu++) {
		forget();
		route(PIN_TIMER, VECTOR_COUNT, cpu);
		raise_timer();
		right += who_got() == 1u << cpu;
	}
	guest_check_equal(right, smp_cpus, "the timer comes to each CPU that its entry names");
	forget();
	route(PIN_TIMER, RESERVED | VECTOR_COUNT, 1);
	raise_timer();
	raise_timer();
	guest_check_equal(who_got(), 0, "with a reserved delivery mode it comes to none");
	route(PIN_TIMER, VECTOR_COUNT, 1);
	raise_timer();
	guest_check_equal(who_got(), 2, "and the next one comes");
	route(PIN_TIMER, MASKED, 0);
}

/* On the CPU: local APIC with or without EOI broadcast. */
static void set_svr(void *argument)
{
	apic_write(APIC_SVR, *(const uint32_t *)argument);
}

static void test_levels(unsigned cpu)
{
	uint32_t svr = APIC_SVR_ON | APIC_SVR_DIRECTED | 0xFF;

	levels[cpu] = 0;
	keep_up = true;
	route(PIN_UART, LEVEL | VECTOR_UART, cpu);
	raise_uart();
	guest_check(smp_until(&levels[cpu], 3), "a level comes to another CPU until it falls");
	smp_settle();
	guest_check_equal(levels[cpu], 3, "and no more");
	guest_check_equal(get(REG_LOW(PIN_UART)) & REMOTE_IRR, 0, "its EOI clears remote IRR");
	smp_call(cpu, set_svr, &svr);
	smp_wait(cpu);
	levels[cpu] = 0;
	keep_up = false;
	raise_uart();
	smp_until(&levels[cpu], 1);
	smp_settle();
	guest_check_equal(get(REG_LOW(PIN_UART)) & REMOTE_IRR, REMOTE_IRR,
			  "without broadcast that EOI ends nothing here");
	raise_uart();
	smp_settle();
	guest_check_equal(levels[cpu], 1, "and the next level waits");
	mmio_write(EOI_REGISTER, VECTOR_UART);
	guest_check(smp_until(&levels[cpu], 2), "for the directed EOI of this CPU");
	mmio_write(EOI_REGISTER, VECTOR_UART);
	svr = APIC_SVR_ON | 0xFF;
	smp_call(cpu, set_svr, &svr);
	smp_wait(cpu);
	route(PIN_UART, MASKED, 0);
	lower_uart();
}

static void mask_lint0(void *argument)
{
	(void)argument;
	apic_write(APIC_LVT_LINT0, APIC_MASKED | APIC_EXTINT);
}

static void open_lint0(void *argument)
{
	(void)argument;
	apic_write(APIC_LVT_LINT0, APIC_EXTINT);
}

/* One interrupt of the 8259; all the others have it masked. */
static void test_legacy(unsigned cpu, const char *what)
{
	uint32_t who = 0;

	smp_all(mask_lint0, 0);
	if (cpu) {
		smp_call(cpu, open_lint0, 0);
		smp_wait(cpu);
	} else {
		open_lint0(0);
	}
	pic_set_mask(IRQ_ONLY(IRQ_TIMER));
	raise_timer();
	smp_settle();
	irq_window();
	pic_set_mask(IRQ_ALL_MASKED);
	for (unsigned i = 0; i < smp_cpus; i++) {
		who |= legacy[i] == 1 ? 1u << i : legacy[i] ? 1u << 31 : 0;
		legacy[i] = 0;
	}
	guest_check_equal(who, 1u << cpu, what);
}

void test_ioapic(void)
{
	trap_set_handler(VECTOR_UART, on_uart);
	trap_set_handler(IRQ_VECTOR(IRQ_TIMER), on_timer);
	test_edges();
	test_levels(smp_cpus - 1);
	test_legacy(0, "an 8259 interrupt comes to the boot CPU by LINT0, once");
	test_legacy(1, "and to another whose LINT0 is open");
	smp_all(mask_lint0, 0);
}
