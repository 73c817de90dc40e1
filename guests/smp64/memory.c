/* SPDX-License-Identifier: MIT */
/* Memory and time, of which all CPUs have the same. */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/paging.h"
#include "guests/lib/trap.h"
#include "guests/smp64/smp64.h"

#define VECTOR_FLUSH 0x81
#define VECTOR_TIMER 0x71
#define ADDS	     5000u
#define ROUNDS	     200u
#define FLUSHES	     16u
#define FRAME_A	     0x700000u
#define FRAME_B	     0x701000u
#define PASSES_US    50000u

/* --- Atomic access --- */

static volatile unsigned sum, plain;

static void add(void *argument)
{
	(void)argument;
	smp_meet();
	for (unsigned i = 0; i < ADDS; i++)
		smp_add(&sum, 1);
}

static volatile unsigned lock;

/* An exchange as the lock, a plain counter behind it. */
static void add_locked(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < ROUNDS; i++) {
		while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
			smp_pause();
		plain = plain + 1;
		__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
	}
}

/* --- Translations --- */

static volatile unsigned flushed;
static volatile uint32_t *const page = (volatile uint32_t *)(uintptr_t)PAGING_WINDOW;

static void on_flush(struct trap_frame *frame)
{
	(void)frame;
	invlpg(page);
	smp_add(&flushed, 1);
	apic_write(APIC_EOI, 0);
}

static void load_tables(void *cr3)
{
	write_cr3(*(const uintptr_t *)cr3);
}

static uint32_t wanted;

static void count_seen(void *seen)
{
	smp_add(seen, *page == wanted);
}

static void test_shootdown(void)
{
	volatile uint32_t *a = (volatile uint32_t *)(uintptr_t)FRAME_A;
	volatile uint32_t *b = (volatile uint32_t *)(uintptr_t)FRAME_B;
	uintptr_t old = read_cr3(), cr3;
	unsigned seen = 0;

	*a = 0xaaaaaaaa;
	*b = 0xbbbbbbbb;
	trap_set_handler(VECTOR_FLUSH, on_flush);
	paging_start(PAGING_64);
	cr3 = read_cr3();
	smp_all(load_tables, &cr3);
	for (unsigned i = 0; i < FLUSHES; i++) {
		bool odd = i & 1;

		flushed = 0;
		paging_map(0, odd ? FRAME_B : FRAME_A, PAGING_PRESENT | PAGING_WRITABLE);
		apic_ipi(APIC_OTHERS | VECTOR_FLUSH, 0);
		smp_until(&flushed, smp_cpus - 1);
		wanted = odd ? *b : *a;
		smp_all(count_seen, &seen);
	}
	guest_check_equal(seen, FLUSHES * smp_cpus, "all see a page's new frame after INVLPG");
	smp_all(load_tables, &old);
}

void test_memory(void)
{
	smp_all(add, 0);
	guest_check_equal(sum, ADDS * smp_cpus, "locked additions of all CPUs are all there");
	smp_all(add_locked, 0);
	guest_check_equal(plain, ROUNDS * smp_cpus, "and plain ones behind a lock");
	test_shootdown();
}

/* --- Time --- */

static struct {
	volatile uint64_t stamp;
	volatile unsigned turn; /* even: the boot CPU's */
	volatile unsigned backward, passes;
	volatile bool stop;
} ball;

/* A stamp taken before it is passed on is never later than one taken when it has come. */
static void play(unsigned parity)
{
	while (!ball.stop) {
		uint64_t now;

		if ((ball.turn & 1) != parity) {
			smp_pause();
			continue;
		}
		now = rdtsc();
		ball.backward += now < ball.stamp;
		ball.passes++;
		ball.stamp = rdtsc();
		__atomic_store_n(&ball.turn, ball.turn + 1, __ATOMIC_RELEASE);
	}
}

static void play_there(void *argument)
{
	(void)argument;
	play(1);
}

static void test_tsc(unsigned other)
{
	uint64_t start = rdtsc(), ticks = clock_ticks(PASSES_US);

	ball.stop = false;
	ball.turn = 0;
	ball.stamp = 0;
	smp_call(other, play_there, 0);
	while (rdtsc() - start < ticks && ball.passes < 2 * ROUNDS * other) {
		uint64_t now;

		if (ball.turn & 1) {
			smp_pause();
			continue;
		}
		now = rdtsc();
		ball.backward += now < ball.stamp;
		ball.passes++;
		ball.stamp = rdtsc();
		__atomic_store_n(&ball.turn, ball.turn + 1, __ATOMIC_RELEASE);
	}
	ball.stop = true;
	smp_wait(other);
}

static struct {
	uint64_t deadline;
	volatile unsigned early, fired, late;
} timers;

static void on_timer(struct trap_frame *frame)
{
	uint64_t now = rdtsc();

	(void)frame;
	smp_add(&timers.early, now < timers.deadline);
	smp_add(&timers.fired, 1);
	apic_write(APIC_EOI, 0);
}

/* All at the same tick, and each takes its own. */
static void wait_deadline(void *argument)
{
	(void)argument;
	apic_write(APIC_LVT_TIMER, APIC_DEADLINE | VECTOR_TIMER);
	wrmsr(APIC_DEADLINE_MSR, timers.deadline);
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
	while (rdtsc() < timers.deadline)
		__asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
	irq_window();
	apic_write(APIC_LVT_TIMER, APIC_MASKED | VECTOR_TIMER);
}

void test_time(void)
{
	for (unsigned other = 1; other < smp_cpus; other++)
		test_tsc(other);
	guest_check_equal(ball.backward, 0, "no CPU's TSC is behind another's");
	guest_check(ball.passes >= 2, "and they did meet");
	guest_print("# %u passes\n", ball.passes);
	trap_set_handler(VECTOR_TIMER, on_timer);
	timers.deadline = rdtsc() + clock_ticks(20000);
	smp_all(wait_deadline, 0);
	guest_check_equal(timers.fired, smp_cpus, "each CPU's deadline fires, once");
	guest_check_equal(timers.early, 0, "none too early");
}
