/* SPDX-License-Identifier: MIT */
/*
 * What every test guest stands on: a console on COM1, test lines, and its end.
 *
 * A guest prints `ok N - what` or `not ok N - what` for each test, and ends through the debug-exit
 * port with the number of failed tests, so that 0 is PASS. The same C serves guests of 32-bit and
 * of 64-bit code.
 */
#ifndef GUESTS_LIB_GUEST_H
#define GUESTS_LIB_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#define COM1_PORT	0x3F8
#define DEBUG_EXIT_PORT 0xF4

/* Each guest's own: `info` is the Multiboot information's address. Returns the status to exit with,
 * usually guest_failures(). */
unsigned main(uintptr_t info);

/* Prints to COM1; knows %s %c %u %d %x (32 bits) %llx and %%; \n becomes CR LF. */
void guest_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One test: its line, counted. Returns `passed`. */
bool guest_check(bool passed, const char *what);
/* One test of two values, both shown when they differ. */
bool guest_check_equal(uint64_t got, uint64_t want, const char *what);
unsigned guest_failures(void);

/* Ends the machine: 0 is PASS, anything else FAIL. */
_Noreturn void guest_exit(unsigned status);

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

#endif
