/* SPDX-License-Identifier: MIT */
/*
 * The pair of 8259A interrupt controllers of a PC, with the edge/level control registers (ELCR).
 * Intel 8259A datasheet; ICH9 datasheet, 'Interrupt Controller I/O Registers' (ELCR).
 */
#ifndef DEVICES_VPIC_H
#define DEVICES_VPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/line.h"

#define VPIC_MASTER_PORT 0x20
#define VPIC_SLAVE_PORT	 0xA0
#define VPIC_ELCR_PORT	 0x4D0
#define VPIC_PINS	 16

struct vpic_chip {
	uint8_t lines; /* levels of the inputs */
	uint8_t edges; /* edge-triggered inputs that rose and were not acknowledged since */
	uint8_t isr;
	uint8_t imr;
	uint8_t elcr;
	uint8_t vector;	      /* of IR0: bits 7:3 of ICW2 */
	uint8_t lowest;	      /* the IR of lowest priority: the next one is the highest */
	uint8_t step;	      /* the ICW that port 1 expects next: 2, 3 or 4; 0 for none (OCW1) */
	uint8_t cascade;      /* ICW3 */
	bool level_triggered; /* ICW1 LTIM */
	bool single;	      /* ICW1 SNGL */
	bool wants_icw4;
	bool call_interval4;  /* ICW1 ADI */
	uint8_t call_address; /* ICW1 A7:A5 */
	bool mcs8086;	      /* ICW4 uPM */
	bool auto_eoi;
	bool rotate_on_auto_eoi;
	bool fully_nested_special; /* ICW4 SFNM */
	bool special_mask;
	bool poll;
	bool read_isr;
	bool ready; /* initialised: before the first ICW1 nothing is delivered */
};

struct vpic {
	struct vpic_chip chip[2]; /* master, slave */
	bool intr;
	struct line output;
};

/* `intr` gets the level of the master's INT output. Until software sends ICWs nothing is sent. */
void vpic_init(struct vpic *v, struct line intr);
/* What a PC's firmware leaves: vectors 08H and 70H, edge triggered, all masked but the cascade. */
void vpic_firmware(struct vpic *v);
/* Level of IRQ 0..15 (2 is the cascade and ignored); `vpic` is a struct vpic (line.set). */
void vpic_set_pin(void *vpic, unsigned irq, bool level);

static inline bool vpic_pending(const struct vpic *v)
{
	return v->intr;
}

/* The processor's INTA cycles: the vector, that of IR7 when the request has gone (spurious). */
uint8_t vpic_acknowledge(struct vpic *v);

/* Ports 20H, 21H, A0H, A1H. */
uint32_t vpic_read(void *vpic, uint16_t port, unsigned size, uint64_t now);
void vpic_write(void *vpic, uint16_t port, unsigned size, uint32_t value, uint64_t now);
/* Ports 4D0H, 4D1H. */
uint32_t vpic_elcr_read(void *vpic, uint16_t port, unsigned size, uint64_t now);
void vpic_elcr_write(void *vpic, uint16_t port, unsigned size, uint32_t value, uint64_t now);

#endif
