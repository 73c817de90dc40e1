/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts of a test guest: an IDT of its own, a way to run code that may fault,
 * and handlers by vector.
 */
#ifndef GUESTS_LIB_TRAP_H
#define GUESTS_LIB_TRAP_H

#include <stdint.h>

#define TRAP_NONE 256

/* As trap.asm pushes it. */
struct trap_frame {
	uintptr_t di, si, bp, bx, dx, cx, ax;
#ifdef __x86_64__
	uintptr_t r8, r9, r10, r11;
#endif
	uintptr_t vector, error;
	uintptr_t ip, cs, flags;
};

/* What the last exception inside trap_run was. */
struct trap {
	unsigned vector; /* TRAP_NONE when there was none */
	uint32_t error;
	uintptr_t ip, flags, cr2;
};
extern struct trap trap_last;

/* Loads an IDT whose 256 gates lead here. Interrupts stay off. */
void trap_init(void);

/*
 * Calls function(argument). An exception in it ends the call: its vector is returned, TRAP_NONE
 * when there was none; trap_last has the rest. Not to be nested.
 */
unsigned trap_run(void (*function)(void *argument), void *argument);

/* Has a vector's gate lead to code of one's own, which ends by IRET. */
void trap_set_gate(unsigned vector, uintptr_t code);

/*
 * A handler for one vector, exceptions too (outside of trap_run, or when set for an exception it
 * goes first). It may change the frame. NULL takes it away.
 */
typedef void (*trap_handler)(struct trap_frame *frame);
void trap_set_handler(unsigned vector, trap_handler handler);

#endif
