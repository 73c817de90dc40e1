/* SPDX-License-Identifier: MIT */
/*
 * Touches pages of its RAM as the keys say, for somebody who looks which it wrote: `a`, 16 pages at
 * 6 MiB, and 4 at 7 MiB by the other CPU; `b`, all from 8 MiB to 11 MiB; `r` reads what `a`
 * writes; `e` ends it.
 */
#include <stddef.h>

#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/smp.h"
#include "guests/lib/trap.h"

#define PAGE	  0x1000u
#define MIB	  0x100000u
#define LSR	  (COM1_PORT + 5)
#define LSR_READY 0x01

static volatile uint8_t sum;

static void write_pages(uint32_t start, uint32_t end)
{
	for (uint32_t at = start; at < end; at += PAGE)
		*(volatile uint8_t *)(uintptr_t)(at + 5) += 1;
}

static void read_pages(uint32_t start, uint32_t end)
{
	for (uint32_t at = start; at < end; at += PAGE)
		sum = (uint8_t)(sum + *(volatile uint8_t *)(uintptr_t)(at + 5));
}

static void other(void *argument)
{
	(void)argument;
	write_pages(7 * MIB, 7 * MIB + 4 * PAGE);
}

static char read_key(void)
{
	while (!(inb(LSR) & LSR_READY))
		__asm__ volatile("pause");
	return (char)inb(COM1_PORT);
}

unsigned main(uintptr_t info)
{
	char key;

	(void)info;
	trap_init();
	clock_init();
	guest_check(smp_start() == 2, "two CPUs are there");
	guest_print("# ready\n");
	while ((key = read_key()) != 'e') {
		if (key == 'a') {
			write_pages(6 * MIB, 6 * MIB + 16 * PAGE);
			smp_call(1, other, NULL);
			guest_check(smp_wait(1), "the other CPU wrote");
		} else if (key == 'b') {
			write_pages(8 * MIB, 11 * MIB);
		} else if (key == 'r') {
			read_pages(6 * MIB, 6 * MIB + 16 * PAGE);
		} else {
			continue;
		}
		guest_print("# done %c\n", key);
	}
	return guest_failures();
}
