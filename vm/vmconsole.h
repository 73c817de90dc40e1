/* SPDX-License-Identifier: MIT */
/*
 * The console of a VM: a ring of what it said, which is its scroll-back as well, and a small one
 * of what was typed for it.
 *
 * Output has one producer (the VM's cores, serialised by the VM's lock) and one consumer (the core
 * that owns the machine's console). Indices count bytes since the beginning and never wrap. The
 * producer never waits in here: while somebody watches, it should ask vm_console_room first and
 * hold its UART's transmitter; else, or if it does not ask, the oldest bytes are written over, and
 * the consumer notices. Input has the roles the other way round.
 */
#ifndef VM_VMCONSOLE_H
#define VM_VMCONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_CONSOLE_SIZE_DEFAULT 16384
#define VM_CONSOLE_INPUT	512

struct vm_console {
	uint8_t *buffer; /* the creator's; stays until the console is gone */
	uint64_t size;	 /* a power of two */
	uint64_t head;	 /* bytes ever put; the producer's */
	bool starved;	 /* the producer found no room and waits to be told of some */

	uint64_t tail __attribute__((aligned(64))); /* taken up to here; the consumer's */
	bool watched;				    /* somebody looks at it: nothing may be lost */
	bool told;				    /* the consumer knows that there is something */

	uint32_t input_head __attribute__((aligned(64)));
	uint32_t input_tail;
	uint8_t input[VM_CONSOLE_INPUT];
};

/* `size`: a power of two, at least 256 bytes. */
void vm_console_init(struct vm_console *console, uint8_t *buffer, uint64_t size);

/* The producer's side. True: the consumer is to be told (once, until it has looked). */
bool vm_console_put(struct vm_console *console, uint8_t byte);
/*
 * Bytes that may be put with nothing lost that somebody watches. After 0 the consumer says when
 * there is room again (mux_ops.room), also if it became so meanwhile.
 */
uint64_t vm_console_room(struct vm_console *console);
/* The producer's: whether the last byte ended a line. */
bool vm_console_at_margin(const struct vm_console *console);
/* Bytes said so far. */
uint64_t vm_console_bytes(const struct vm_console *console);
/* The next byte typed, -1 for none. */
int vm_console_get(struct vm_console *console);
/* Whether there is one. */
bool vm_console_typed(const struct vm_console *console);

/* The consumer's side. */

/* From now on (or no longer) nothing may be lost. */
void vm_console_watch(struct vm_console *console, bool watched);
/* To be called before looking: from now on the next byte put is told of again. */
void vm_console_look(struct vm_console *console);
/* Copies at most `max` bytes from *at on and moves *at; skips what is written over by now. */
size_t vm_console_peek(const struct vm_console *console, uint64_t *at, uint8_t *to, size_t max);
/*
 * Everything before `at` is taken. True: the producer waits, and now has room for a quarter of the
 * ring: tell it.
 */
bool vm_console_take(struct vm_console *console, uint64_t at);
/* The start of the last `bytes` bytes (cut to what is there), moved on to the start of a line. */
uint64_t vm_console_back(const struct vm_console *console, uint64_t bytes);
/* False: what was typed before is not read yet, and there is no room for more. */
bool vm_console_type(struct vm_console *console, uint8_t byte);
bool vm_console_can_type(const struct vm_console *console);

#endif
