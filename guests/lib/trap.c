/* SPDX-License-Identifier: MIT */
/* Exceptions and interrupts of a test guest. */
#include "guests/lib/trap.h"

#include <stdbool.h>

#include "guests/lib/guest.h"

#define GATES	       256
#define EXCEPTIONS     32
#define GATE_INTERRUPT 0x8e00

#ifdef __x86_64__
#define SELECTOR_CODE 0x08
struct gate {
	uint16_t offset_low, selector, type, offset_middle;
	uint32_t offset_high, reserved;
};
#else
#define SELECTOR_CODE 0x18
struct gate {
	uint16_t offset_low, selector, type, offset_middle;
};
#endif

struct __attribute__((packed)) table_register {
	uint16_t limit;
	uintptr_t base;
};

extern const uintptr_t trap_gates[GATES];
void trap_call(void (*function)(void *argument), void *argument);
int trap_dispatch(struct trap_frame *frame);

struct trap trap_last;
static struct gate idt[GATES];
static trap_handler handlers[GATES];
static bool armed;

void trap_set_gate(unsigned vector, uintptr_t code)
{
	struct gate *gate = &idt[vector];

	gate->offset_low = (uint16_t)code;
	gate->offset_middle = (uint16_t)(code >> 16);
	gate->selector = SELECTOR_CODE;
	gate->type = GATE_INTERRUPT;
#ifdef __x86_64__
	gate->offset_high = (uint32_t)(code >> 32);
#endif
}

void trap_init(void)
{
	struct table_register idtr = {.limit = sizeof(idt) - 1, .base = (uintptr_t)idt};

	for (unsigned i = 0; i < GATES; i++)
		trap_set_gate(i, trap_gates[i]);
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

void trap_set_handler(unsigned vector, trap_handler handler)
{
	handlers[vector] = handler;
}

static uintptr_t read_cr2(void)
{
	uintptr_t value;

	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

/* Nonzero: leave the code that trap_run called. */
int trap_dispatch(struct trap_frame *frame)
{
	if (handlers[frame->vector]) {
		handlers[frame->vector](frame);
		return 0;
	}
	if (!armed || frame->vector >= EXCEPTIONS) {
		guest_print("not ok - unexpected vector %u, error %x, at %llx\n",
			    (unsigned)frame->vector, (unsigned)frame->error,
			    (unsigned long long)frame->ip);
		guest_exit(1);
	}
	armed = false;
	trap_last = (struct trap){.vector = (unsigned)frame->vector,
				  .error = (uint32_t)frame->error,
				  .ip = frame->ip,
				  .flags = frame->flags,
				  .cr2 = read_cr2()};
	return 1;
}

unsigned trap_run(void (*function)(void *argument), void *argument)
{
	trap_last.vector = TRAP_NONE;
	armed = true;
	trap_call(function, argument);
	armed = false;
	return trap_last.vector;
}
