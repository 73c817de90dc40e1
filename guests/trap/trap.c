/* SPDX-License-Identifier: MIT */
/* The guests' own trap library, in 32-bit code: what the other tests stand on. */
#include "guests/lib/guest.h"
#include "guests/lib/trap.h"

static volatile unsigned calls;

static void nothing(void *argument)
{
	(void)argument;
}

static void undefined(void *argument)
{
	(void)argument;
	__asm__ volatile("ud2");
}

static void protection(void *argument)
{
	/* An MSR that no CPU has. */
	__asm__ volatile("rdmsr" : : "c"(argument) : "eax", "edx");
}

static void count(struct trap_frame *frame)
{
	(void)frame;
	calls++;
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	guest_check_equal(trap_run(nothing, 0), TRAP_NONE, "code without a fault");
	guest_check_equal(trap_run(undefined, 0), 6, "UD2 raises #UD");
	guest_check_equal(trap_last.ip, (uintptr_t)undefined + 0, "at its own address");
	guest_check_equal(trap_run(protection, (void *)0xdeadbeef), 13,
			  "RDMSR of nothing raises #GP");
	guest_check_equal(trap_last.error, 0, "with error code 0");
	trap_set_handler(0x80, count);
	__asm__ volatile("int $0x80");
	guest_check_equal(calls, 1, "INT 80h calls its handler");
	return guest_failures();
}
