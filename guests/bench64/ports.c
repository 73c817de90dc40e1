/* SPDX-License-Identifier: MIT */
/* Ports: of devices, and of nobody. */
#include "guests/bench64/bench.h"

#include "guests/lib/acpi.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"

#define UART_DATA    COM1_PORT
#define UART_LSR     (COM1_PORT + 5)
#define UART_SCRATCH (COM1_PORT + 7)
#define LSR_THRE     0x20
#define LSR_TEMT     0x40
#define LSR_MISSING  0x80
#define PORT_NOBODYS 0x242
#define BYTES	     512
#define LINE	     72

static uint16_t pm_timer;

static const char *need_pm_timer(void)
{
	const struct acpi_fadt *fadt = acpi_table("FACP");

	if (!fadt || !fadt->pm_timer)
		return "ACPI names no PM timer";
	pm_timer = (uint16_t)fadt->pm_timer;
	return 0;
}

/* It never goes back, and ticks at 3.58 MHz: 2^22 of them are more than a second. */
static bool run_pm_timer(int64_t *ticks)
{
	static uint32_t last;
	static bool known;
	struct bench_regs r = {.d = pm_timer};
	uint32_t passed;
	bool right;

	*ticks = BENCH_TIMED(&r, "inl %%dx, %%eax");
	passed = ((uint32_t)r.a - last) & 0xffffff;
	right = !known || passed < 1u << 22;
	known = true;
	last = (uint32_t)r.a;
	return right && r.a <= UINT32_MAX;
}

/* It cannot be written: it goes on. */
static bool run_out_pm_timer(int64_t *ticks)
{
	struct bench_regs r = {.d = pm_timer, .a = 0};
	uint32_t before = inl(pm_timer);

	*ticks = BENCH_TIMED(&r, "outl %%eax, %%dx");
	return ((inl(pm_timer) - before) & 0xffffff) < 1u << 22;
}

static bool run_in_uart(int64_t *ticks)
{
	struct bench_regs r = {.d = UART_LSR};

	while (!(inb(UART_LSR) & LSR_TEMT))
		;
	*ticks = BENCH_TIMED(&r, "inb %%dx, %%al");
	return (r.a & (LSR_THRE | LSR_TEMT | LSR_MISSING)) == (LSR_THRE | LSR_TEMT);
}

/* A character of a line that anybody can see; the line's end is not timed. */
static unsigned column;

static bool run_out_uart(int64_t *ticks)
{
	struct bench_regs r = {.d = UART_DATA, .a = '.'};

	while (!(inb(UART_LSR) & LSR_THRE))
		;
	*ticks = BENCH_TIMED(&r, "outb %%al, %%dx");
	if (++column % LINE == 0)
		guest_print("\n");
	return r.a == '.';
}

static void end_out_uart(void)
{
	guest_print("\n");
}

static bool run_out_scratch(int64_t *ticks)
{
	static uint8_t value;
	struct bench_regs r = {.d = UART_SCRATCH, .a = ++value};

	*ticks = BENCH_TIMED(&r, "outb %%al, %%dx");
	return inb(UART_SCRATCH) == value;
}

static bool run_in_pic(int64_t *ticks)
{
	struct bench_regs r = {.d = PIC_MASTER + 1};

	*ticks = BENCH_TIMED(&r, "inb %%dx, %%al");
	return (uint8_t)r.a == 0xff;
}

static bool run_out_pic(int64_t *ticks)
{
	/* All but one are masked, and that one is nobody's. */
	struct bench_regs r = {.d = PIC_MASTER + 1, .a = 0xdf};
	bool right;

	*ticks = BENCH_TIMED(&r, "outb %%al, %%dx");
	right = inb(PIC_MASTER + 1) == 0xdf;
	pic_set_mask(IRQ_ALL_MASKED);
	return right;
}

static bool run_in_unclaimed(int64_t *ticks)
{
	struct bench_regs r = {.d = PORT_NOBODYS};

	*ticks = BENCH_TIMED(&r, "inb %%dx, %%al");
	return (uint8_t)r.a == 0xff;
}

static bool run_out_unclaimed(int64_t *ticks)
{
	struct bench_regs r = {.d = PORT_NOBODYS, .a = 0x55};

	*ticks = BENCH_TIMED(&r, "outb %%al, %%dx");
	return inb(PORT_NOBODYS) == 0xff;
}

static uint8_t bytes[BYTES] __attribute__((aligned(BYTES)));

static bool rep_outs(uint16_t port, uint8_t last, int64_t *ticks)
{
	struct bench_regs r = {.d = port, .c = BYTES, .si = (uintptr_t)bytes};

	bytes[BYTES - 1] = last;
	*ticks = BENCH_TIMED(&r, "rep outsb");
	return r.c == 0 && r.si == (uintptr_t)bytes + BYTES;
}

/* The scratch register has the last of the bytes then. */
static bool run_rep_outs(int64_t *ticks)
{
	static uint8_t last;

	return rep_outs(UART_SCRATCH, ++last, ticks) && inb(UART_SCRATCH) == last;
}

static bool run_rep_outs_unclaimed(int64_t *ticks)
{
	return rep_outs(PORT_NOBODYS, 1, ticks);
}

static const struct bench_case cases[] = {
	{.name = "in-pm-timer", .prepare = need_pm_timer, .run = run_pm_timer},
	{.name = "out-pm-timer", .prepare = need_pm_timer, .run = run_out_pm_timer},
	{.name = "in-uart", .run = run_in_uart},
	{.name = "out-uart", .run = run_out_uart, .end = end_out_uart, .part = 4},
	{.name = "out-uart-scratch", .run = run_out_scratch},
	{.name = "in-pic", .run = run_in_pic},
	{.name = "out-pic", .run = run_out_pic},
	{.name = "in-unclaimed", .run = run_in_unclaimed},
	{.name = "out-unclaimed", .run = run_out_unclaimed},
	{.name = "rep-outs-512", .run = run_rep_outs, .part = 10},
	{.name = "rep-outs-512-unclaimed", .run = run_rep_outs_unclaimed, .part = 10},
};
BENCH_FAMILY(bench_ports, "ports", cases);
