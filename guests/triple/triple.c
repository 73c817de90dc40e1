/* SPDX-License-Identifier: MIT */
/*
 * Ends by a triple fault: without an IDT an exception cannot be delivered, nor the double fault
 * that this makes, and the CPU shuts down (SDM volume 3, "Interrupt 8: Double Fault Exception").
 * `after=N` on its command line: when its TSC says N million ticks, and it runs until then.
 */
#include "guests/lib/guest.h"
#include "guests/lib/words.h"

struct idt_register {
	uint16_t limit;
	uintptr_t base;
} __attribute__((packed));

unsigned main(uintptr_t info)
{
	const struct idt_register none = {0};
	uint64_t until = (uint64_t)words_number(info, "after", 0) * 1000000;

	guest_print("# the IDT goes\n");
	while (rdtsc() < until)
		;
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
	guest_check(false, "the CPU does not survive an exception without an IDT");
	return guest_failures();
}
