/* SPDX-License-Identifier: MIT */
/*
 * A whole PC under a fuzzer: the input is a sequence of accesses, steps of time and events from
 * outside. A focus limits it to some ports and regions, so that a fuzzer comes deep into one model.
 */
#ifndef TESTS_FUZZ_BOARD_H
#define TESTS_FUZZ_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of ports; the choice of one is a byte's. */
struct board_ports {
	uint16_t first, last;
};

/* Regions of memory, a bit each. */
enum { BOARD_IOAPIC = 1, BOARD_HPET = 2, BOARD_ECAM = 4, BOARD_LAPIC = 8, BOARD_REGIONS = 4 };

struct board_focus {
	const struct board_ports *ports;
	unsigned count; /* of them */
	unsigned regions;
	bool firmware; /* always with one of its own */
	bool drives;   /* always with drives */
};

/*
 * After each step: the wires between the models carry what the models say, caches hold what they
 * were made from, and no model wants to be called in the past.
 */
void board_run(const struct board_focus *focus, const uint8_t *data, size_t size);

#endif
