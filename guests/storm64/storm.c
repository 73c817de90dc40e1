/* SPDX-License-Identifier: MIT */
/*
 * No interrupt is lost when many come at once: a fast periodic timer runs while a lower vector is
 * sent again and again, and each of these must arrive, whatever moment the timer chose.
 */
#include "guests/lib/guest.h"
#include "guests/lib/trap.h"

#define VECTOR_LOW    0x31
#define VECTOR_TIMER  0x51
#define LAPIC_EOI     0xFEE000B0
#define LAPIC_SVR     0xFEE000F0
#define LAPIC_ICR     0xFEE00300
#define LAPIC_TIMER   0xFEE00320
#define LAPIC_INITIAL 0xFEE00380
#define LAPIC_DIVIDE  0xFEE003E0
#define ICR_SELF      (1u << 18)
#define LVT_PERIODIC  (1u << 17)
#define LVT_MASKED    (1u << 16)
#define DIVIDE_BY_1   0xb
#define ROUNDS	      3000

static volatile unsigned low, timer;

static void write(uintptr_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

static void on_low(struct trap_frame *frame)
{
	(void)frame;
	low++;
	write(LAPIC_EOI, 0);
}

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	timer++;
	write(LAPIC_EOI, 0);
}

/* Rounds in which the interrupt did not come within some thousand instructions. */
static unsigned count_lost(void)
{
	unsigned lost = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned before = low;

		/* A pause of its own for each round, or timer and rounds fall into step. */
		for (unsigned wait = i * 7919 % 4096; wait; wait--)
			__asm__ volatile("pause");
		write(LAPIC_ICR, ICR_SELF | VECTOR_LOW);
		for (unsigned wait = 0; wait < 5000 && low == before; wait++)
			__asm__ volatile("pause");
		lost += low == before;
	}
	return lost;
}

unsigned main(uintptr_t info)
{
	unsigned lost;

	(void)info;
	trap_init();
	trap_set_handler(VECTOR_LOW, on_low);
	trap_set_handler(VECTOR_TIMER, on_timer);
	write(LAPIC_SVR, 0x1ff);
	write(LAPIC_DIVIDE, DIVIDE_BY_1);
	write(LAPIC_TIMER, LVT_PERIODIC | VECTOR_TIMER);
	/* 61 us. */
	write(LAPIC_INITIAL, 61007);
	__asm__ volatile("sti");
	lost = count_lost();
	__asm__ volatile("cli");
	write(LAPIC_TIMER, LVT_MASKED);
	guest_check_equal(lost, 0, "no interrupt is lost beside a fast timer");
	guest_check(timer > 100, "which ran");
	guest_print("# %u timer interrupts\n", timer);
	return guest_failures();
}
