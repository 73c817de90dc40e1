/* SPDX-License-Identifier: MIT */
/* Serial console. */
#include "arch/x86_64/uart.h"

#include "arch/x86_64/cpu.h"
#include "lib/bits.h"
#include "lib/spinlock.h"

#define COM1 0x3f8

enum {
	UART_DATA = 0,
	UART_DLL = 0, /* with LCR_DLAB */
	UART_IER = 1,
	UART_DLM = 1,
	UART_IIR = 2,
	UART_FCR = 2,
	UART_LCR = 3,
	UART_MCR = 4,
	UART_LSR = 5,
	UART_MSR = 6,
	UART_SCRATCH = 7,
};

#define IER_RECEIVE	 BIT(0)
#define IER_TRANSMIT	 BIT(1)
#define FCR_ENABLE_RESET 0x07
#define FCR_TRIGGER_8	 0x80
#define LCR_8N1		 0x03
#define LCR_DLAB	 0x80
#define IIR_NONE	 BIT(0)
#define MCR_DTR_RTS_OUT2 0x0b
#define LSR_DATA_READY	 BIT(0)
#define LSR_THRE	 BIT(5)
#define LSR_IDLE	 BIT(6)
#define DIVISOR_115200	 1
#define FIFO_SIZE	 16
#define CAUSES_MAX	 16 /* looked at in one interrupt: a broken chip must not keep us */

#define TX_RING		 4096
#define RX_RING		 1024

/* Free-running indices; the difference is the fill. */
static struct {
	struct spinlock lock; /* of rings and registers */
	bool lock_broken;
	bool present;
	bool queued;
	uint32_t tx_head, tx_tail;
	uint32_t rx_head, rx_tail;
	uint8_t tx[TX_RING];
	uint8_t rx[RX_RING];
} uart;

static uint8_t reg_read(unsigned reg)
{
	return inb((uint16_t)(COM1 + reg));
}

static void reg_write(unsigned reg, unsigned value)
{
	outb((uint16_t)(COM1 + reg), (uint8_t)value);
}

bool uart_init(void)
{
	reg_write(UART_SCRATCH, 0x5a);
	if (reg_read(UART_SCRATCH) != 0x5a)
		return false;
	reg_write(UART_IER, 0);
	reg_write(UART_LCR, LCR_DLAB);
	reg_write(UART_DLL, DIVISOR_115200);
	reg_write(UART_DLM, 0);
	reg_write(UART_LCR, LCR_8N1);
	reg_write(UART_FCR, FCR_ENABLE_RESET | FCR_TRIGGER_8);
	reg_write(UART_MCR, MCR_DTR_RTS_OUT2);
	uart.present = true;
	return true;
}

static void fill_transmitter(void)
{
	if (!(reg_read(UART_LSR) & LSR_THRE))
		return;
	for (unsigned n = 0; n < FIFO_SIZE && uart.tx_tail != uart.tx_head; n++)
		reg_write(UART_DATA, uart.tx[uart.tx_tail++ % TX_RING]);
}

static void drain_receiver(void)
{
	while (reg_read(UART_LSR) & LSR_DATA_READY) {
		uint8_t byte = reg_read(UART_DATA);

		/* Full: the newest byte is lost, as on an overrun of the line itself. */
		if (uart.rx_head - uart.rx_tail < RX_RING)
			uart.rx[uart.rx_head++ % RX_RING] = byte;
	}
}

/* Whoever runs here has interrupts off, so that uart_irq waits for other cores only. */
static void lock(void)
{
	if (!uart.lock_broken)
		spin_lock(&uart.lock);
}

static void unlock(void)
{
	if (!uart.lock_broken)
		spin_unlock(&uart.lock);
}

void uart_break_lock(void)
{
	uart.lock_broken = true;
}

void uart_set_queued(void)
{
	if (!uart.present)
		return;
	lock();
	uart.queued = true;
	reg_write(UART_IER, IER_RECEIVE | IER_TRANSMIT);
	unlock();
}

static void flush(void)
{
	while (uart.tx_tail != uart.tx_head)
		fill_transmitter();
	while (!(reg_read(UART_LSR) & LSR_IDLE))
		cpu_pause();
}

void uart_flush(void)
{
	if (!uart.present)
		return;
	lock();
	flush();
	unlock();
}

void uart_set_synchronous(void)
{
	if (!uart.present)
		return;
	lock();
	uart.queued = false;
	flush();
	unlock();
}

void uart_irq(void)
{
	if (!uart.present)
		return;
	lock();
	/*
	 * Reading IIR clears the transmitter's interrupt if it is the one named; the others clear
	 * with their cause. The line is edge-triggered: while a cause is left it stays high, and no
	 * further interrupt comes.
	 */
	for (unsigned n = 0; n < CAUSES_MAX && !(reg_read(UART_IIR) & IIR_NONE); n++) {
		drain_receiver();
		fill_transmitter();
	}
	unlock();
}

static void put(uint8_t byte)
{
	while (uart.tx_head - uart.tx_tail == TX_RING)
		fill_transmitter();
	uart.tx[uart.tx_head++ % TX_RING] = byte;
	/* An idle transmitter raises no interrupt until it gets its first byte. */
	if (uart.tx_head - uart.tx_tail == 1 || !uart.queued)
		fill_transmitter();
	while (!uart.queued && uart.tx_tail != uart.tx_head)
		fill_transmitter();
}

void uart_write(const char *bytes, size_t length)
{
	if (!uart.present)
		return;
	lock();
	while (length--)
		put((uint8_t)*bytes++);
	unlock();
}

void uart_sink(const char *text, size_t length)
{
	if (!uart.present)
		return;
	lock();
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n')
			put('\r');
		put((uint8_t)text[i]);
	}
	unlock();
}

size_t uart_room(void)
{
	size_t room;

	lock();
	room = TX_RING - (uart.tx_head - uart.tx_tail);
	unlock();
	return room;
}

int uart_get(void)
{
	int byte;

	lock();
	byte = uart.rx_tail == uart.rx_head ? -1 : uart.rx[uart.rx_tail++ % RX_RING];
	unlock();
	return byte;
}

bool uart_waiting(void)
{
	return __atomic_load_n(&uart.rx_tail, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&uart.rx_head, __ATOMIC_RELAXED);
}
