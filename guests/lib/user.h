/* SPDX-License-Identifier: MIT */
/* Code at CPL 3: segments, a TSS with an I/O bitmap, and the way there and back. */
#ifndef GUESTS_LIB_USER_H
#define GUESTS_LIB_USER_H

#include <stdbool.h>
#include <stdint.h>

#define USER_CODE32 0x33
#define USER_DATA   0x3b
#define USER_CODE64 0x43
#define USER_TSS    0x48

/* Loads a GDT that begins as the library's and a task register; in 64-bit code all pages become
 * the user's too. After trap_init. */
void user_init(void);

/*
 * Calls function(argument) at CPL 3, with interrupts off, on a stack of its own. Returns the vector
 * of its exception as trap_run does, TRAP_NONE when it returned.
 */
unsigned user_run(void (*function)(void *argument), void *argument);

/* Whether the I/O bitmap lets CPL 3 have a port. At first it has none. */
void user_allow_port(uint16_t port, bool allow);

#endif
