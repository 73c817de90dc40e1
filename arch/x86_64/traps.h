/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts of the host. Socle runs with interrupts off; they arrive while a guest
 * runs (as VM exits) or while the CPU idles. An exception in Socle itself is a bug of ours.
 */
#ifndef ARCH_X86_64_TRAPS_H
#define ARCH_X86_64_TRAPS_H

#include <stdbool.h>
#include <stdint.h>

/* Vectors of the host's own interrupts; below 0x20 are exceptions. */
#define VECTOR_TIMER	0x40
#define VECTOR_UART	0x41
#define VECTOR_KICK	0x42 /* does nothing: ends HLT, and a guest's turn */
#define VECTOR_CALL	0x43
#define VECTOR_KEYBOARD 0x44
#define VECTOR_SPURIOUS 0xff

/* As traps.asm pushes it, lowest address first. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error_code;
	uint64_t rip, cs, rflags, rsp, ss; /* pushed by the CPU */
};

typedef void (*irq_handler_fn)(void);

/* Loads the IDT on this CPU. */
void traps_load(void);
/* Called for each interrupt of that vector, on the CPU that took it, with interrupts off. */
void traps_set_irq(uint8_t vector, irq_handler_fn handler);
/* Runs the handler of an interrupt that a VM exit acknowledged, as its gate would have. */
void traps_run_irq(uint8_t vector);
/* Interrupt Descriptor Table's address, for the VMCS's host state. */
uint64_t traps_idt_base(void);

/* Entry from traps.asm. */
void traps_dispatch(struct trap_frame *frame);

/*
 * RDMSR and WRMSR that may fault: false, and nothing changed, when the CPU has no such MSR or
 * refuses the value (#GP).
 */
bool rdmsr_safe(uint32_t msr, uint64_t *value);
bool wrmsr_safe(uint32_t msr, uint64_t value);

#endif
