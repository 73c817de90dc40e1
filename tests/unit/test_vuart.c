/* SPDX-License-Identifier: MIT */
/* The 16550A: FIFOs, each interrupt and its priority, time-out, errors, loopback, back-pressure. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "devices/vuart.h"

#define HZ VUART_CLOCK_HZ /* a tick is a clock of the UART: 16 ticks a bit at divisor 1 */

static struct vuart uart;
static bool irq, room;
static uint8_t sent[64];
static unsigned sends;

static void on_irq(void *ctx, unsigned pin, bool level)
{
	(void)ctx, (void)pin;
	irq = level;
}

static void on_tx(void *ctx, uint8_t byte)
{
	(void)ctx;
	assert_true(room);
	sent[sends++ % sizeof(sent)] = byte;
}

static bool on_room(void *ctx)
{
	(void)ctx;
	return room;
}

static void out(unsigned reg, uint8_t value, uint64_t now)
{
	vuart_write(&uart, (uint16_t)(0x3F8 + reg), 1, value, now);
}

static uint8_t in(unsigned reg, uint64_t now)
{
	return (uint8_t)vuart_read(&uart, (uint16_t)(0x3F8 + reg), 1, now);
}

static void start(uint8_t fcr, uint8_t ier)
{
	const struct vuart_backend backend = {on_tx, on_room, NULL};

	irq = false, room = true, sends = 0;
	vuart_init(&uart, HZ, &backend, (struct line){.set = on_irq});
	out(3, 0x03, 0);
	out(4, 0x08, 0);
	out(2, fcr, 0);
	out(1, ier, 0);
}

static void receive(unsigned n, uint64_t now)
{
	for (unsigned i = 0; i < n; i++)
		assert_true(vuart_receive(&uart, (uint8_t)(0x30 + i), now));
}

static void test_registers(void **state)
{
	(void)state;
	start(0, 0);
	assert_int_equal(in(5, 0), 0x60);
	assert_int_equal(in(6, 0), 0xB0);
	assert_int_equal(in(2, 0), 0x01);
	out(7, 0xA5, 0);
	assert_int_equal(in(7, 0), 0xA5);
	out(1, 0xFF, 0), out(4, 0xFF & ~0x10, 0);
	assert_int_equal(in(1, 0), 0x0F);
	assert_int_equal(in(4, 0), 0x0F);
	out(3, 0x83, 0);
	out(0, 0x34, 0), out(1, 0x12, 0);
	assert_int_equal(in(0, 0), 0x34);
	assert_int_equal(in(1, 0), 0x12);
	out(3, 0x03, 0);
	assert_int_equal(in(1, 0), 0x0F);
	assert_int_equal(sends, 0);
	out(2, 0xC1, 0);
	assert_int_equal(in(2, 0) & 0xF0, 0xC0);
	out(2, 0x00, 0);
	assert_int_equal(in(2, 0) & 0xF0, 0x00);
}

static void test_thre_interrupt_and_its_rearming(void **state)
{
	(void)state;
	start(0x01, 0);
	assert_false(irq);
	out(1, 0x02, 0); /* enabling it while empty */
	assert_true(irq);
	assert_int_equal(in(2, 0), 0xC2);
	assert_false(irq); /* reading it as the source clears it */
	assert_int_equal(in(2, 0), 0xC1);
	out(1, 0x02, 0); /* it was enabled: no new edge */
	assert_false(irq);
	out(1, 0x00, 0), out(1, 0x02, 0);
	assert_true(irq);
	out(0, 'a', 0); /* sent at once, empty again */
	assert_true(irq);
	in(2, 0);
	room = false;
	out(0, 'b', 0);
	assert_false(irq);
	assert_int_equal(in(5, 0), 0x00);
	room = true;
	vuart_tx_ready(&uart, 0);
	assert_true(irq);
	assert_int_equal(in(5, 0), 0x60);
	assert_int_equal(sends, 2);
}

static void test_transmit_fifo_holds_16(void **state)
{
	(void)state;
	start(0x01, 0);
	room = false;
	for (unsigned i = 0; i < 20; i++)
		out(0, (uint8_t)i, 0);
	room = true;
	vuart_tx_ready(&uart, 0);
	assert_int_equal(sends, 16);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(sent[i], i);
	room = false;
	out(0, 1, 0);
	out(2, 0x05, 0); /* cleared, not sent */
	assert_int_equal(in(5, 0), 0x60);
	room = true;
	vuart_tx_ready(&uart, 0);
	assert_int_equal(sends, 16);
	start(0x00, 0); /* 16450: one byte, overwritten */
	room = false;
	out(0, 1, 0), out(0, 2, 0);
	room = true;
	vuart_tx_ready(&uart, 0);
	assert_int_equal(sends, 1);
	assert_int_equal(sent[0], 2);
}

static void test_trigger_levels(void **state)
{
	static const uint8_t levels[] = {1, 4, 8, 14};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		start((uint8_t)(0x01 | i << 6), 0x01);
		receive(levels[i] - 1U, 0);
		assert_false(irq);
		receive(1, 0);
		assert_true(irq);
		assert_int_equal(in(2, 0), 0xC4);
		in(0, 0);
		assert_false(irq);
	}
}

static void test_receive_order_and_room(void **state)
{
	(void)state;
	start(0x01, 0);
	receive(16, 0);
	assert_false(vuart_can_receive(&uart));
	assert_false(vuart_receive(&uart, 0xFF, 0));
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(in(5, 0), 0x61);
		assert_int_equal(in(0, 0), 0x30 + i);
	}
	assert_int_equal(in(5, 0), 0x60);
	receive(3, 0);
	out(2, 0x03, 0);
	assert_int_equal(in(5, 0), 0x60);
	start(0x00, 0);
	receive(1, 0);
	assert_false(vuart_can_receive(&uart));
}

static void test_timeout(void **state)
{
	const uint64_t four = 4 * 10 * 16; /* 8N1, divisor 1 */

	(void)state;
	start(0xC1, 0x01);
	receive(1, 100);
	assert_int_equal(vuart_next_event(&uart), 100 + four);
	receive(1, 200); /* a character begins it anew */
	assert_int_equal(vuart_next_event(&uart), 200 + four);
	vuart_advance(&uart, 200 + four - 1);
	assert_false(irq);
	vuart_advance(&uart, 200 + four);
	assert_true(irq);
	assert_true(vuart_next_event(&uart) == UINT64_MAX);
	assert_int_equal(in(2, 1000), 0xCC);
	assert_true(irq); /* only reading data ends it */
	in(0, 2000);
	assert_false(irq);
	assert_int_equal(vuart_next_event(&uart), 2000 + four); /* one byte is left */
	in(0, 2100);
	assert_true(vuart_next_event(&uart) == UINT64_MAX);
	out(3, 0x9F, 0), out(0, 12, 0), out(3, 0x1F, 0); /* 8E2 at 9600 */
	receive(1, 5000);
	assert_int_equal(vuart_next_event(&uart), 5000 + 4 * 12 * 16 * 12);
	out(1, 0x00, 5000);
	assert_true(vuart_next_event(&uart) == UINT64_MAX);
}

static void test_line_errors(void **state)
{
	(void)state;
	start(0x01, 0x04);
	receive(1, 0);
	vuart_receive_forced(&uart, 0x55, 0x04, 0);
	vuart_receive_forced(&uart, 0, 0x18, 0);
	assert_int_equal(in(5, 0), 0xE1); /* in the FIFO, not yet at its top */
	assert_false(irq);
	in(0, 0);
	assert_true(irq);
	assert_int_equal(in(2, 0), 0xC6);
	assert_int_equal(in(5, 0), 0xE5);
	assert_false(irq);
	assert_int_equal(in(0, 0), 0x55);
	assert_int_equal(in(5, 0), 0xF9);
	assert_int_equal(in(0, 0), 0);
	assert_int_equal(in(5, 0), 0x60);
}

static void test_overrun(void **state)
{
	(void)state;
	start(0x01, 0x04);
	receive(16, 0);
	vuart_receive_forced(&uart, 0xEE, 0, 0);
	assert_true(irq);
	assert_int_equal(in(5, 0), 0x63);
	assert_int_equal(in(5, 0), 0x61);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(in(0, 0), 0x30 + i);
	start(0x00, 0);
	receive(1, 0);
	vuart_receive_forced(&uart, 0xEE, 0, 0);
	assert_int_equal(in(5, 0), 0x63);
	assert_int_equal(in(0, 0), 0xEE);
}

static void test_priorities(void **state)
{
	(void)state;
	start(0x41, 0x0F);
	vuart_set_modem(&uart, 0x00);
	receive(3, 0);
	vuart_advance(&uart, 100000);
	receive(1, 100000);
	vuart_receive_forced(&uart, 1, 0x04, 100000);
	for (unsigned i = 0; i < 12; i++)
		vuart_receive_forced(&uart, 1, 0, 100000); /* the last is an overrun */
	assert_int_equal(in(2, 100000), 0xC6);
	in(5, 100000);
	assert_int_equal(in(2, 100000), 0xC4);
	while (uart.rx.used > 2)
		in(0, 100000), in(5, 100000);
	vuart_advance(&uart, 200000);
	assert_int_equal(in(2, 200000), 0xCC);
	in(0, 200000), in(0, 200000);
	assert_int_equal(in(2, 200000), 0xC2);
	assert_int_equal(in(2, 200000), 0xC0);
	assert_int_equal(in(6, 200000), 0x0B);
	assert_int_equal(in(2, 200000), 0xC1);
	assert_false(irq);
}

static void test_modem_deltas(void **state)
{
	(void)state;
	start(0, 0x08);
	vuart_set_modem(&uart, 0xF0); /* RI rises: no event */
	assert_false(irq);
	assert_int_equal(in(6, 0), 0xF0);
	vuart_set_modem(&uart, 0xB0); /* its trailing edge is one */
	assert_true(irq);
	assert_int_equal(in(6, 0), 0xB4);
	assert_false(irq);
}

static void test_loopback(void **state)
{
	(void)state;
	start(0x01, 0);
	out(4, 0x1A, 0); /* loop, OUT2, RTS */
	assert_int_equal(in(6, 0) & 0xF0, 0x90);
	out(4, 0x15, 0); /* loop, OUT1, DTR */
	assert_int_equal(in(6, 0) & 0xF0, 0x60);
	out(0, 'q', 0);
	assert_int_equal(sends, 0);
	assert_int_equal(in(5, 0), 0x61);
	assert_int_equal(in(0, 0), 'q');
	assert_false(vuart_receive(&uart, 'x', 0));
	out(4, 0x08, 0);
	assert_int_equal(in(6, 0) & 0xF0, 0xB0);
	assert_true(vuart_receive(&uart, 'x', 0));
}

static void test_out2_gates_the_interrupt(void **state)
{
	(void)state;
	start(0x01, 0x01);
	out(4, 0x00, 0);
	receive(1, 0);
	assert_false(irq);
	assert_int_equal(in(2, 0), 0xC4);
	out(4, 0x08, 0);
	assert_true(irq);
}

static void test_any_traffic_is_survived(void **state)
{
	uint32_t seed = 5;
	uint64_t now = 0;

	(void)state;
	start(0x01, 0x0F);
	for (unsigned i = 0; i < 500000; i++) {
		seed = seed * 1664525 + 1013904223;
		now += seed >> 24;
		room = seed & 0x100;
		switch (seed >> 29) {
		case 0: vuart_receive(&uart, (uint8_t)i, now); break;
		case 1: vuart_receive_forced(&uart, (uint8_t)i, (uint8_t)(seed >> 9), now); break;
		case 2: vuart_advance(&uart, now); break;
		case 3: vuart_tx_ready(&uart, now); break;
		case 4: vuart_set_modem(&uart, (uint8_t)(seed >> 9)); break;
		case 5: in(seed >> 12 & 7, now); break;
		default: out(seed >> 12 & 7, (uint8_t)(seed >> 16), now);
		}
	}
}

static void test_writing_thr_withdraws_the_interrupt(void **state)
{
	(void)state;
	start(0x01, 0x02);
	assert_true(irq);
	room = false;
	out(0, 'a', 0);
	assert_false(irq);
	out(2, 0x05, 0); /* the transmitter is cleared: empty again */
	assert_true(irq);
}

static void test_fcr_without_clear_bits_keeps_the_fifos(void **state)
{
	(void)state;
	start(0x01, 0);
	receive(3, 0);
	room = false;
	out(0, 'a', 0), out(0, 'b', 0);
	out(2, 0x81, 0);
	assert_int_equal(in(5, 0), 0x01);
	assert_int_equal(in(0, 0), 0x30);
	room = true;
	vuart_tx_ready(&uart, 0);
	assert_int_equal(sends, 2);
	out(2, 0x83, 0);
	assert_int_equal(in(5, 0), 0x60);
	receive(3, 0);
	out(2, 0x00, 0); /* switching the FIFOs off clears them */
	assert_int_equal(in(5, 0), 0x60);
}

static void test_errors_show_once_and_in_turn(void **state)
{
	(void)state;
	start(0x01, 0x01);
	vuart_receive_forced(&uart, 1, 0x04, 0);
	vuart_receive_forced(&uart, 2, 0x08, 0);
	assert_int_equal(in(2, 0), 0xC4); /* the line status interrupt is not enabled */
	assert_int_equal(in(5, 0), 0xE5);
	assert_int_equal(in(5, 0), 0xE1); /* the second is still inside */
	in(0, 0);
	assert_int_equal(in(5, 0), 0xE9);
	assert_int_equal(in(5, 0), 0x61);
}

static void test_polled_timeout(void **state)
{
	(void)state;
	start(0xC1, 0x01);
	receive(2, 0);
	assert_int_equal(in(2, 10), 0xC1);
	assert_int_equal(in(2, 4 * 10 * 16), 0xCC); /* without vuart_advance */
	in(0, 641);
	assert_int_equal(in(2, 642), 0xC1);
}

static void test_all_deltas(void **state)
{
	(void)state;
	start(0, 0x08);
	for (unsigned i = 0; i < 4; i++) {
		vuart_set_modem(&uart, 0xF0);
		in(6, 0);
		vuart_set_modem(&uart, (uint8_t)(0xF0 & ~(0x10 << i)));
		assert_int_equal(in(6, 0), (0xF0 & ~(0x10 << i)) | 1 << i);
		assert_int_equal(in(6, 0), 0xF0 & ~(0x10 << i));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_thre_interrupt_and_its_rearming),
		cmocka_unit_test(test_transmit_fifo_holds_16),
		cmocka_unit_test(test_trigger_levels),
		cmocka_unit_test(test_receive_order_and_room),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_line_errors),
		cmocka_unit_test(test_overrun),
		cmocka_unit_test(test_priorities),
		cmocka_unit_test(test_modem_deltas),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_out2_gates_the_interrupt),
		cmocka_unit_test(test_any_traffic_is_survived),
		cmocka_unit_test(test_writing_thr_withdraws_the_interrupt),
		cmocka_unit_test(test_fcr_without_clear_bits_keeps_the_fifos),
		cmocka_unit_test(test_errors_show_once_and_in_turn),
		cmocka_unit_test(test_polled_timeout),
		cmocka_unit_test(test_all_deltas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
