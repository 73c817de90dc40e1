/* SPDX-License-Identifier: MIT */
/*
 * 16550A UART.
 *
 * Bytes pass at once, whatever the divisor says; only the receiver time-out takes the time that
 * four characters would. A backend with no room holds the transmitter: THRE stays clear until
 * vuart_tx_ready. National Semiconductor PC16550D datasheet.
 */
#ifndef DEVICES_VUART_H
#define DEVICES_VUART_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/line.h"

#define VUART_COM1_PORT 0x3F8
#define VUART_COM2_PORT 0x2F8
#define VUART_PORTS	8
#define VUART_FIFO	16
#define VUART_MSR_CTS	0x10
#define VUART_MSR_DSR	0x20
#define VUART_MSR_RI	0x40
#define VUART_MSR_DCD	0x80
#define VUART_CLOCK_HZ	1843200ULL

struct vuart_backend {
	/* Takes one byte; only called while tx_room (NULL: always) says yes. */
	void (*tx)(void *ctx, uint8_t byte);
	bool (*tx_room)(void *ctx);
	void *ctx;
};

struct vuart_fifo {
	uint8_t byte[VUART_FIFO];
	uint8_t errors[VUART_FIFO]; /* LSR's PE, FE and BI of each byte */
	uint8_t first;
	uint8_t used;
};

struct vuart {
	struct vuart_fifo rx;
	struct vuart_fifo tx;
	uint8_t ier;
	uint8_t fcr; /* the bits that stay: enable, DMA mode, trigger */
	uint8_t lcr;
	uint8_t mcr;
	uint8_t lsr; /* the error bits; the others are derived */
	uint8_t msr; /* delta bits and the present input levels */
	uint8_t scratch;
	uint8_t last_received; /* what RBR reads when nothing new is there */
	uint16_t divisor;
	bool thre_pending; /* the THRE interrupt waits for IIR to be read or THR to be written */
	bool timed_out;	   /* character time-out indication */
	bool irq;
	uint8_t modem; /* the levels that the backend's side drives, as MSR bits 7:4 */
	uint64_t hz;
	uint64_t timeout; /* tick of the receiver time-out, UINT64_MAX for never */
	uint64_t next;	  /* the same while it would interrupt */
	struct vuart_backend backend;
	struct line output;
};

void vuart_init(struct vuart *v, uint64_t hz, const struct vuart_backend *backend, struct line irq);
/* Eight ports; `vuart` is a struct vuart, only the low three bits of `port` count. */
uint32_t vuart_read(void *vuart, uint16_t port, unsigned size, uint64_t now);
void vuart_write(void *vuart, uint16_t port, unsigned size, uint32_t value, uint64_t now);
/* Can vuart_receive take a byte now (receiver with room and not looped back)? */
bool vuart_can_receive(const struct vuart *v);
/* A byte comes in. False: no room, the byte stays the caller's, who tries again later. */
bool vuart_receive(struct vuart *v, uint8_t byte, uint64_t now);
/*
 * A byte (0 for a break) with the LSR errors PE, FE, BI of a real line, which asks nobody: without
 * room it is an overrun.
 */
void vuart_receive_forced(struct vuart *v, uint8_t byte, uint8_t errors, uint64_t now);
/* The lines CTS, DSR, RI, DCD as MSR bits 7:4 (VUART_MSR_*). */
void vuart_set_modem(struct vuart *v, uint8_t lines);
/* The backend has room again. */
void vuart_tx_ready(struct vuart *v, uint64_t now);
void vuart_advance(struct vuart *v, uint64_t now);

static inline uint64_t vuart_next_event(const struct vuart *v)
{
	return v->next;
}

#endif
