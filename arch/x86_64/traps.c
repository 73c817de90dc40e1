/* SPDX-License-Identifier: MIT */
/* The IDT and what follows an exception or interrupt of the host. */
#include "arch/x86_64/traps.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/panic.h"
#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/smp.h"
#include "lib/x86.h"

#define GATE_INTERRUPT 0x8e /* present, DPL 0, 64-bit interrupt gate */
#define VECTORS	       256

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};
_Static_assert(sizeof(struct gate) == 16, "64-bit IDT gate");

/* Of traps.asm: a stub of four bytes for each vector, in groups. */
#define STUB_BYTES     4
#define STUBS_IN_GROUP 16
#define GROUP_BYTES    80

extern const uint8_t trap_stubs[];
extern const uint8_t idle_halt[];
extern const uint8_t rdmsr_safe_access[], wrmsr_safe_access[], msr_safe_failed[];

static struct gate idt[VECTORS];
static irq_handler_fn irq_handlers[VECTORS];

static uint8_t ist_of(unsigned vector)
{
	switch (vector) {
	case VECTOR_DF: return IST_DF;
	case VECTOR_NMI: return IST_NMI;
	case VECTOR_MC: return IST_MC;
	default: return IST_NONE;
	}
}

static void set_gate(unsigned vector)
{
	uint64_t offset = (uint64_t)trap_stubs + vector / STUBS_IN_GROUP * GROUP_BYTES +
			  vector % STUBS_IN_GROUP * STUB_BYTES;

	idt[vector] = (struct gate){.offset_low = (uint16_t)offset,
				    .offset_middle = (uint16_t)(offset >> 16),
				    .offset_high = (uint32_t)(offset >> 32),
				    .selector = SELECTOR_CODE,
				    .ist = ist_of(vector),
				    .type = GATE_INTERRUPT};
}

void traps_load(void)
{
	struct descriptor_register idtr = {.limit = sizeof(idt) - 1, .base = (uint64_t)idt};

	if (!idt[0].type)
		for (unsigned v = 0; v < VECTORS; v++)
			set_gate(v);
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

uint64_t traps_idt_base(void)
{
	return (uint64_t)idt;
}

void traps_set_irq(uint8_t vector, irq_handler_fn handler)
{
	irq_handlers[vector] = handler;
}

void traps_run_irq(uint8_t vector)
{
	if (irq_handlers[vector])
		irq_handlers[vector]();
	if (vector != VECTOR_KICK)
		pcpu_self()->irqs++;
	/* A spurious vector was never in service (SDM volume 3, "Spurious Interrupt"). */
	if (vector != VECTOR_SPURIOUS)
		lapic_eoi();
}

/* RDMSR and WRMSR of rdmsr_safe and wrmsr_safe may raise #GP: it makes them return false. */
static bool recover(struct trap_frame *frame)
{
	const uint8_t *rip = (const uint8_t *)frame->rip;

	if (frame->vector != VECTOR_GP || (rip != rdmsr_safe_access && rip != wrmsr_safe_access))
		return false;
	frame->rip = (uint64_t)msr_safe_failed;
	return true;
}

/* See irq_enable_and_halt in traps.asm. */
static void skip_halt(struct trap_frame *frame)
{
	if (frame->rip == (uint64_t)idle_halt)
		frame->rip++;
}

void traps_dispatch(struct trap_frame *frame)
{
	if (frame->vector >= 0x20) {
		traps_run_irq((uint8_t)frame->vector);
		return;
	}
	if (frame->vector == VECTOR_NMI) {
		smp_nmi(frame);
		skip_halt(frame);
		return;
	}
	if (!recover(frame))
		panic_trap(frame);
}
