/* SPDX-License-Identifier: MIT */
/*
 * The machine's PS/2 keyboard: the console's keys where there is no serial port. Core 0's, with
 * interrupts off.
 */
#ifndef ARCH_X86_64_PS2KBD_H
#define ARCH_X86_64_PS2KBD_H

#include <stdbool.h>
#include <stdint.h>

#define PS2KBD_ISA_IRQ 1

/* Sets the controller up: translated codes, interrupts. False: there is none, or it is broken. */
bool ps2kbd_init(void);
/* For each interrupt. */
void ps2kbd_irq(void);

/* Bytes typed that ps2kbd_get has not given out, and the next one, -1 for none. */
bool ps2kbd_waiting(void);
int ps2kbd_get(void);

#endif
