/* SPDX-License-Identifier: MIT */
/*
 * ACPI fixed hardware: PM1a event and control blocks, a 32-bit PM timer, the SMI command port and
 * the reset control register (CF9H). There is no GPE block.
 * ACPI specification 6.5, 'ACPI Hardware Specification' (fixed hardware features and registers).
 */
#ifndef DEVICES_VACPI_H
#define DEVICES_VACPI_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/line.h"

#define VACPI_PM_TIMER_HZ 3579545ULL

/* Where the blocks are after firmware; the FADT says the same. */
#define VACPI_PM_BASE	  0x400
#define VACPI_PM_PORTS	  16
#define VACPI_PM1_EVENT	  (VACPI_PM_BASE + 0) /* status, then enable, 2 bytes each */
#define VACPI_PM1_CONTROL (VACPI_PM_BASE + 4) /* 2 bytes */
#define VACPI_PM_TIMER	  (VACPI_PM_BASE + 8) /* 4 bytes */
#define VACPI_SMI_COMMAND 0xB2
#define VACPI_SMI_STATUS  0xB3
#define VACPI_ENABLE	  0xE1 /* values for the SMI command port */
#define VACPI_DISABLE	  0x1E
#define VACPI_RESET_PORT  0xCF9
#define VACPI_RESET_VALUE 0x06
#define VACPI_SLP_TYP_S5  0 /* 82371AB (PIIX4) datasheet, PMCNTRL: soft off */

struct vacpi_ops {
	void (*power_off)(void *ctx);
	void (*reset)(void *ctx);
	void *ctx;
};

struct vacpi {
	uint16_t status;
	uint16_t enable;
	uint16_t control;
	uint8_t reset_control;
	uint8_t smi_command;
	uint8_t smi_status;
	bool sci_level;
	uint64_t hz;
	uint64_t halves; /* times the timer's top bit had changed when that was last looked at */
	uint64_t next;	 /* tick of its next change while that is enabled, else UINT64_MAX */
	struct vacpi_ops ops;
	struct line sci;
};

void vacpi_init(struct vacpi *v, uint64_t hz, const struct vacpi_ops *ops, struct line sci,
		uint64_t now);
/* VACPI_PM_PORTS ports, wherever they begin at a multiple of that. */
uint32_t vacpi_read(void *vacpi, uint16_t port, unsigned size, uint64_t now);
void vacpi_write(void *vacpi, uint16_t port, unsigned size, uint32_t value, uint64_t now);
/* Ports B2H, B3H. */
uint32_t vacpi_smi_read(void *vacpi, uint16_t port, unsigned size, uint64_t now);
void vacpi_smi_write(void *vacpi, uint16_t port, unsigned size, uint32_t value, uint64_t now);
/* Port CF9H, by byte accesses only (it lies within PCI's CF8H). */
uint32_t vacpi_reset_read(void *vacpi, uint16_t port, unsigned size, uint64_t now);
void vacpi_reset_write(void *vacpi, uint16_t port, unsigned size, uint32_t value, uint64_t now);
/* The user pressed the power button. */
void vacpi_power_button(struct vacpi *v);
void vacpi_advance(struct vacpi *v, uint64_t now);

static inline uint64_t vacpi_next_event(const struct vacpi *v)
{
	return v->next;
}

#endif
