/* SPDX-License-Identifier: MIT */
/*
 * Dies in 64-bit mode, in the way that its command line names: a page fault whose handler is not
 * mapped (`page`), a stack that is not mapped (`stack`), an interrupt onto such a stack (`timer`),
 * INT3 without an IDT (`int3`), waiting for ever (`halt`), an instruction on device memory that
 * nobody emulates (`device`).
 */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define NOWHERE 0xFFFF900012345000ull
#define VECTOR	0x51

struct idt_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void load_idt(uint64_t base, uint16_t limit)
{
	const struct idt_register idt = {.limit = limit, .base = base};

	__asm__ volatile("lidt %0" : : "m"(idt));
}

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	apic_write(APIC_EOI, 0);
}

static void timer_onto_no_stack(void)
{
	clock_init();
	pic_set_mask(IRQ_ALL_MASKED);
	trap_set_handler(VECTOR, on_timer);
	apic_write(APIC_SVR, APIC_SVR_ON | 0xFF);
	apic_write(APIC_LVT_TIMER, APIC_DEADLINE | VECTOR);
	msr_write(APIC_DEADLINE_MSR, rdtsc() + clock_ticks(1000));
	__asm__ volatile("mov %0, %%rsp\n\tsti\n1:\thlt\n\tjmp 1b" : : "r"(NOWHERE));
}

unsigned main(uintptr_t info)
{
	trap_init();
	guest_print("# dying\n");
	if (words_have(info, "page")) {
		load_idt(NOWHERE, 0xFFF);
		*(volatile uint32_t *)(NOWHERE + 0x678) = 1;
	} else if (words_have(info, "stack")) {
		__asm__ volatile("mov %0, %%rsp\n\tpush %%rax" : : "r"(NOWHERE));
	} else if (words_have(info, "timer")) {
		timer_onto_no_stack();
	} else if (words_have(info, "int3")) {
		load_idt(0, 0);
		__asm__ volatile("int3");
	} else if (words_have(info, "halt")) {
		for (;;)
			__asm__ volatile("cli; hlt");
	} else if (words_have(info, "device")) {
		__asm__ volatile("shll $3, (%0)" : : "r"(0xFEC00000ull));
	}
	return guest_failures();
}
