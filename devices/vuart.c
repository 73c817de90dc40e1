/* SPDX-License-Identifier: MIT */
/*
 * 16550A UART.
 *
 * The interrupt is derived from the state after each change (update()); only two of its sources
 * are events and need a flag of their own: 'THR became empty' and the receiver time-out.
 * National Semiconductor PC16550D datasheet: 'Registers', 'FIFO Interrupt Mode Operation'. On a
 * PC, OUT2 gates the interrupt.
 */
#include "devices/vuart.h"

#include "lib/bits.h"
#include "lib/rate.h"
#include "lib/string.h"

#define NEVER UINT64_MAX

enum reg {
	REG_DATA, /* RBR, THR; divisor LSB */
	REG_IER,  /* divisor MSB */
	REG_IIR,  /* FCR */
	REG_LCR,
	REG_MCR,
	REG_LSR,
	REG_MSR,
	REG_SCRATCH,
};

#define IER_RDA	     0x01
#define IER_THRE     0x02
#define IER_RLS	     0x04
#define IER_MSR	     0x08
#define IER_BITS     0x0F

#define IIR_MSR	     0x00
#define IIR_NONE     0x01
#define IIR_THRE     0x02
#define IIR_RDA	     0x04
#define IIR_RLS	     0x06
#define IIR_TIMEOUT  0x0C
#define IIR_FIFOS    0xC0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04
#define FCR_KEPT     0xC9

#define LCR_WORD     0x03
#define LCR_STOP     0x04
#define LCR_PARITY   0x08
#define LCR_DLAB     0x80

#define MCR_DTR	     0x01
#define MCR_RTS	     0x02
#define MCR_OUT1     0x04
#define MCR_OUT2     0x08
#define MCR_LOOP     0x10
#define MCR_BITS     0x1F

#define LSR_DR	     0x01
#define LSR_OE	     0x02
#define LSR_PE	     0x04
#define LSR_FE	     0x08
#define LSR_BI	     0x10
#define LSR_ERRORS   (LSR_OE | LSR_PE | LSR_FE | LSR_BI)
#define LSR_THRE     0x20
#define LSR_TEMT     0x40
#define LSR_FIFO     0x80

#define MSR_TERI     0x04
#define MSR_DELTAS   0x0F

static bool fifos(const struct vuart *v)
{
	return v->fcr & FCR_ENABLE;
}

static bool loops(const struct vuart *v)
{
	return v->mcr & MCR_LOOP;
}

static unsigned depth(const struct vuart *v)
{
	return fifos(v) ? VUART_FIFO : 1;
}

static unsigned trigger(const struct vuart *v)
{
	static const uint8_t levels[] = {1, 4, 8, 14};

	return fifos(v) ? levels[v->fcr >> 6] : 1;
}

static void fifo_push(struct vuart_fifo *fifo, uint8_t byte, uint8_t errors)
{
	unsigned at = (fifo->first + fifo->used++) % VUART_FIFO;

	fifo->byte[at] = byte;
	fifo->errors[at] = errors;
}

static uint8_t fifo_pop(struct vuart_fifo *fifo)
{
	uint8_t byte = fifo->byte[fifo->first];

	fifo->first = (fifo->first + 1) % VUART_FIFO;
	fifo->used--;
	return byte;
}

static bool fifo_has_errors(const struct vuart_fifo *fifo)
{
	for (unsigned i = 0; i < fifo->used; i++)
		if (fifo->errors[(fifo->first + i) % VUART_FIFO])
			return true;
	return false;
}

static uint8_t line_status(const struct vuart *v)
{
	uint8_t status = v->lsr;

	status |= v->rx.used ? LSR_DR : 0;
	status |= v->tx.used ? 0 : LSR_THRE | LSR_TEMT;
	status |= fifos(v) && fifo_has_errors(&v->rx) ? LSR_FIFO : 0;
	return status;
}

/* The present levels of CTS, DSR, RI and DCD, as MSR bits 7:4. */
static uint8_t modem_inputs(const struct vuart *v)
{
	uint8_t lines = 0;

	if (!loops(v))
		return v->modem;
	lines |= v->mcr & MCR_RTS ? VUART_MSR_CTS : 0;
	lines |= v->mcr & MCR_DTR ? VUART_MSR_DSR : 0;
	lines |= v->mcr & MCR_OUT1 ? VUART_MSR_RI : 0;
	lines |= v->mcr & MCR_OUT2 ? VUART_MSR_DCD : 0;
	return lines;
}

static void sample_modem(struct vuart *v)
{
	uint8_t lines = modem_inputs(v), changed = (v->msr ^ lines) & 0xF0;
	uint8_t deltas = (changed >> 4) & (MSR_DELTAS & ~MSR_TERI);

	/* Of RI only the trailing edge counts. */
	if ((changed & VUART_MSR_RI) && !(lines & VUART_MSR_RI))
		deltas |= MSR_TERI;
	v->msr = (uint8_t)((v->msr & MSR_DELTAS) | deltas | lines);
}

/* The source of the highest priority, as IIR bits 3:0. */
static uint8_t interrupt_id(const struct vuart *v)
{
	if ((v->ier & IER_RLS) && (v->lsr & LSR_ERRORS))
		return IIR_RLS;
	if ((v->ier & IER_RDA) && v->rx.used >= trigger(v))
		return IIR_RDA;
	if ((v->ier & IER_RDA) && v->timed_out)
		return IIR_TIMEOUT;
	if ((v->ier & IER_THRE) && v->thre_pending)
		return IIR_THRE;
	if ((v->ier & IER_MSR) && (v->msr & MSR_DELTAS))
		return IIR_MSR;
	return IIR_NONE;
}

static void update(struct vuart *v)
{
	bool irq = interrupt_id(v) != IIR_NONE && (v->mcr & MCR_OUT2);

	v->next = (v->ier & IER_RDA) && !v->timed_out ? v->timeout : NEVER;
	if (irq == v->irq)
		return;
	v->irq = irq;
	line_set(&v->output, irq);
}

/* Ticks of four characters: start bit, word, parity and stop bits each. */
static uint64_t timeout_ticks(const struct vuart *v)
{
	uint64_t bits = 1 + 5 + (v->lcr & LCR_WORD) + (v->lcr & LCR_PARITY ? 1 : 0) +
			(v->lcr & LCR_STOP ? 2 : 1);
	uint64_t divisor = v->divisor ? v->divisor : 0x10000;

	return rate_ticks(4 * bits * 16 * divisor, v->hz, VUART_CLOCK_HZ);
}

/* The receiver was filled or read: the time-out begins anew. */
static void restart_timeout(struct vuart *v, uint64_t now)
{
	v->timed_out = false;
	v->timeout = fifos(v) && v->rx.used ? now + timeout_ticks(v) : NEVER;
}

/* The errors of a character show when it is the next to be read. */
static void show_errors(struct vuart *v)
{
	if (v->rx.used)
		v->lsr |= v->rx.errors[v->rx.first];
}

static void receive(struct vuart *v, uint8_t byte, uint8_t errors, uint64_t now)
{
	if (v->rx.used == depth(v)) {
		v->lsr |= LSR_OE;
		if (fifos(v))
			return; /* the shift register is overwritten, the FIFO stays */
		v->rx.used = 0;
	}
	fifo_push(&v->rx, byte, errors);
	if (v->rx.used == 1)
		show_errors(v);
	restart_timeout(v, now);
}

/* Moves what waits to where it goes; the time is only needed when that is our own receiver. */
static void transmit(struct vuart *v, uint64_t now)
{
	bool waiting = v->tx.used;

	while (v->tx.used) {
		if (loops(v))
			receive(v, fifo_pop(&v->tx), 0, now);
		else if (!v->backend.tx_room || v->backend.tx_room(v->backend.ctx))
			v->backend.tx(v->backend.ctx, fifo_pop(&v->tx));
		else
			return;
	}
	if (waiting)
		v->thre_pending = true;
}

static void write_data(struct vuart *v, uint8_t value, uint64_t now)
{
	v->thre_pending = false;
	if (v->tx.used == depth(v)) {
		if (fifos(v))
			return; /* no room: the byte is lost */
		v->tx.used = 0;
	}
	fifo_push(&v->tx, value, 0);
	transmit(v, now);
}

static uint8_t read_data(struct vuart *v, uint64_t now)
{
	uint8_t byte = v->rx.byte[v->rx.first];

	if (!v->rx.used)
		return v->last_received;
	fifo_pop(&v->rx);
	v->last_received = byte;
	show_errors(v);
	restart_timeout(v, now);
	return byte;
}

static void write_ier(struct vuart *v, uint8_t value)
{
	/* Enabling the source while THR is empty makes it interrupt at once. */
	if ((value & ~v->ier & IER_THRE) && !v->tx.used)
		v->thre_pending = true;
	v->ier = value & IER_BITS;
}

static void clear_rx(struct vuart *v, uint64_t now)
{
	v->rx.used = 0;
	restart_timeout(v, now);
}

static void clear_tx(struct vuart *v)
{
	if (v->tx.used)
		v->thre_pending = true;
	v->tx.used = 0;
}

static void write_fcr(struct vuart *v, uint8_t value, uint64_t now)
{
	bool toggled = (value ^ v->fcr) & FCR_ENABLE;

	/* The other bits are only programmed together with the enable; a toggle clears both. */
	v->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
	if (toggled || (fifos(v) && (value & FCR_CLEAR_RX)))
		clear_rx(v, now);
	if (toggled || (fifos(v) && (value & FCR_CLEAR_TX)))
		clear_tx(v);
}

static void write_mcr(struct vuart *v, uint8_t value, uint64_t now)
{
	v->mcr = value & MCR_BITS;
	sample_modem(v);
	transmit(v, now);
}

static uint8_t read_iir(struct vuart *v)
{
	uint8_t id = interrupt_id(v);

	if (id == IIR_THRE)
		v->thre_pending = false;
	return id | (fifos(v) ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct vuart *v)
{
	uint8_t status = line_status(v);

	v->lsr &= ~LSR_ERRORS;
	if (v->rx.used)
		v->rx.errors[v->rx.first] = 0;
	return status;
}

static uint8_t read_msr(struct vuart *v)
{
	uint8_t status = v->msr;

	v->msr &= ~MSR_DELTAS;
	return status;
}

static uint8_t read_reg(struct vuart *v, enum reg reg, uint64_t now)
{
	bool dlab = v->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA: return dlab ? (uint8_t)v->divisor : read_data(v, now);
	case REG_IER: return dlab ? (uint8_t)(v->divisor >> 8) : v->ier;
	case REG_IIR: return read_iir(v);
	case REG_LCR: return v->lcr;
	case REG_MCR: return v->mcr;
	case REG_LSR: return read_lsr(v);
	case REG_MSR: return read_msr(v);
	default: return v->scratch;
	}
}

uint32_t vuart_read(void *vuart, uint16_t port, unsigned size, uint64_t now)
{
	struct vuart *v = vuart;
	uint8_t value;

	(void)size;
	vuart_advance(v, now);
	value = read_reg(v, (enum reg)(port & 7), now);
	update(v);
	return value;
}

static void write_low(struct vuart *v, uint8_t value, uint64_t now)
{
	if (v->lcr & LCR_DLAB)
		v->divisor = (uint16_t)((v->divisor & 0xFF00) | value);
	else
		write_data(v, value, now);
}

static void write_high(struct vuart *v, uint8_t value)
{
	if (v->lcr & LCR_DLAB)
		v->divisor = (uint16_t)((v->divisor & 0x00FF) | value << 8);
	else
		write_ier(v, value);
}

void vuart_write(void *vuart, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vuart *v = vuart;
	uint8_t byte = (uint8_t)value;

	(void)size;
	vuart_advance(v, now);
	switch ((enum reg)(port & 7)) {
	case REG_DATA: write_low(v, byte, now); break;
	case REG_IER: write_high(v, byte); break;
	case REG_IIR: write_fcr(v, byte, now); break;
	case REG_LCR: v->lcr = byte; break;
	case REG_MCR: write_mcr(v, byte, now); break;
	case REG_LSR: /* writing LSR and MSR is for the factory's tests only */
	case REG_MSR: break;
	case REG_SCRATCH: v->scratch = byte; break;
	}
	update(v);
}

bool vuart_can_receive(const struct vuart *v)
{
	return !loops(v) && v->rx.used < depth(v);
}

bool vuart_receive(struct vuart *v, uint8_t byte, uint64_t now)
{
	if (!vuart_can_receive(v))
		return false;
	vuart_receive_forced(v, byte, 0, now);
	return true;
}

void vuart_receive_forced(struct vuart *v, uint8_t byte, uint8_t errors, uint64_t now)
{
	if (loops(v))
		return;
	vuart_advance(v, now);
	receive(v, byte, errors & (LSR_PE | LSR_FE | LSR_BI), now);
	update(v);
}

void vuart_set_modem(struct vuart *v, uint8_t lines)
{
	v->modem = lines & 0xF0;
	sample_modem(v);
	update(v);
}

void vuart_tx_ready(struct vuart *v, uint64_t now)
{
	transmit(v, now);
	update(v);
}

void vuart_advance(struct vuart *v, uint64_t now)
{
	if (now < v->timeout)
		return;
	v->timeout = NEVER;
	v->timed_out = true;
	update(v);
}

void vuart_init(struct vuart *v, uint64_t hz, const struct vuart_backend *backend, struct line irq)
{
	memset(v, 0, sizeof(*v));
	v->hz = hz;
	v->backend = *backend;
	v->output = irq;
	v->next = v->timeout = NEVER;
	v->divisor = 1;
	v->modem = VUART_MSR_CTS | VUART_MSR_DSR | VUART_MSR_DCD;
	v->msr = v->modem;
}
