/* SPDX-License-Identifier: MIT */
/*
 * The machine's first serial port (16550, COM1): the console. Output goes through a ring that the
 * transmitter's interrupt drains, so that a guest does not wait for the line; before interrupts
 * work, and in a panic, it is written at once. Any core may call these, with interrupts off; a call
 * of uart_sink is not mixed with others. Datasheet: National Semiconductor PC16550D.
 */
#ifndef ARCH_X86_64_UART_H
#define ARCH_X86_64_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART_ISA_IRQ 4

/* 115200 8N1. False when there is no UART at the port; the other functions then do nothing. */
bool uart_init(void);
/* From now on output is queued; uart_irq must be called for each interrupt. */
void uart_set_queued(void);
/* From now on each byte is sent before the call returns; sends what is queued first. */
void uart_set_synchronous(void);
/* For panic, when all other cores have stopped: whoever has the lock will not give it back. */
void uart_break_lock(void);
/* Moves bytes between rings and FIFOs. */
void uart_irq(void);

/* Bytes as they are; waits for the line while there is no room. */
void uart_write(const char *bytes, size_t length);
/* A log sink: a newline is sent as CR LF. */
void uart_sink(const char *text, size_t length);
/* Bytes that uart_write takes without waiting for the line. */
size_t uart_room(void);
/* The next byte received, or -1. */
int uart_get(void);
/* Bytes received that uart_get has not given out. */
bool uart_waiting(void);
/* Returns when everything queued has left the machine. */
void uart_flush(void);

#endif
