/* SPDX-License-Identifier: MIT */
/*
 * Ends by a triple fault: without an IDT an exception cannot be delivered, nor the double fault
 * that this makes, and the CPU shuts down (SDM volume 3, "Interrupt 8: Double Fault Exception").
 */
#include "guests/lib/guest.h"

struct idt_register {
	uint16_t limit;
	uintptr_t base;
} __attribute__((packed));

unsigned main(uintptr_t info)
{
	const struct idt_register none = {0};

	(void)info;
	guest_print("# the IDT goes\n");
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
	guest_check(false, "the CPU does not survive an exception without an IDT");
	return guest_failures();
}
