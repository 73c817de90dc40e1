/* SPDX-License-Identifier: MIT */
/*
 * IOAPIC with 24 pins, version 0x20 (with the EOI register, for directed EOI).
 *
 * A pin's level is 'asserted or not': polarity bits are kept for software to read and change
 * nothing, for a model's line has no voltage. Intel 82093AA datasheet; ICH9 datasheet, 'APIC
 * Registers' (EOI register).
 */
#ifndef DEVICES_VIOAPIC_H
#define DEVICES_VIOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/apic.h"

#define VIOAPIC_BASE 0xFEC00000ULL
#define VIOAPIC_SIZE 0x1000
#define VIOAPIC_PINS 24

typedef void (*vioapic_send_fn)(void *ctx, const struct apic_message *message);

struct vioapic {
	uint64_t entry[VIOAPIC_PINS]; /* redirection table, with remote IRR */
	uint32_t lines;		      /* pins that are asserted */
	uint8_t index;
	uint8_t id;
	vioapic_send_fn send;
	void *ctx;
};

void vioapic_init(struct vioapic *v, uint8_t id, vioapic_send_fn send, void *ctx);
/* Level of an input; `vioapic` is a struct vioapic (line.set); pins beyond the last are nobody. */
void vioapic_set_pin(void *vioapic, unsigned pin, bool level);
/* The EOI message of a local APIC: ends level-triggered entries with this vector. */
void vioapic_eoi(struct vioapic *v, uint8_t vector);
/* Whether any input, as it is programmed, would arrive as an NMI. */
bool vioapic_sends_nmi(const struct vioapic *v);
uint64_t vioapic_read(void *vioapic, uint64_t offset, unsigned size, uint64_t now);
void vioapic_write(void *vioapic, uint64_t offset, unsigned size, uint64_t value, uint64_t now);

#endif
