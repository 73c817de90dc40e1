/* SPDX-License-Identifier: MIT */
/*
 * Interrupt messages between IOAPIC, MSI sources and local APICs: what the APIC bus carries.
 * SDM volume 3, 'Advanced Programmable Interrupt Controller (APIC)': 'Interrupt Command Register',
 * 'Determining IPI Destination', 'Message Signalled Interrupts'.
 */
#ifndef DEVICES_APIC_H
#define DEVICES_APIC_H

#include <stdbool.h>
#include <stdint.h>

enum apic_delivery {
	APIC_FIXED = 0,
	APIC_LOWEST_PRIORITY = 1,
	APIC_SMI = 2,
	APIC_RESERVED = 3,
	APIC_NMI = 4,
	APIC_INIT = 5,
	APIC_STARTUP = 6,
	APIC_EXTINT = 7,
};

enum apic_shorthand {
	APIC_DEST_FIELD = 0,
	APIC_DEST_SELF = 1,
	APIC_DEST_ALL = 2,
	APIC_DEST_OTHERS = 3,
};

/* A destination of all ones reaches every local APIC, in physical and in logical mode. */
#define APIC_BROADCAST	      0xFFFFFFFFU
#define APIC_BROADCAST_NARROW 0xFFU
/* Vectors below this one are no interrupts: they are reserved for exceptions. */
#define APIC_VECTOR_MIN 16

struct apic_message {
	uint32_t destination; /* physical ID or logical set; APIC_BROADCAST for everybody */
	uint8_t vector;
	uint8_t delivery;  /* enum apic_delivery; the codes it lacks are dropped */
	uint8_t shorthand; /* enum apic_shorthand; only local APICs use others than FIELD */
	bool logical;
	bool level;    /* triggered by level: the receiver sends an EOI message back */
	bool asserted; /* false only for the INIT level de-assert */
};

/* The 8-bit destination of xAPIC, IOAPIC and MSI as the 32-bit one of a message. */
static inline uint32_t apic_widen(uint8_t destination)
{
	return destination == APIC_BROADCAST_NARROW ? APIC_BROADCAST : destination;
}

#endif
