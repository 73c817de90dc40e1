/* SPDX-License-Identifier: MIT */
/*
 * The chipset as PCI shows it: i440FX host bridge (00:00.0), PIIX3 ISA bridge (00:01.0) and IDE
 * (00:01.1), PIIX4 power management (00:01.3), and the routing of PCI interrupts.
 *
 * PAM and SMRAM registers are stored and do nothing: the whole first MiB is RAM that can be read
 * and written, and there is no SMM (DEVACTB says that APM events are taken care of, so that
 * firmware installs no handler for SMIs that would never come). IDE has legacy ports, no bus
 * master. The SMBus controller is off.
 *
 * A device's INTA#..INTD# go to PIRQ (pin + device - 1) mod 4; each PIRQ goes to the ISA
 * interrupt that its routing register names, and to IOAPIC pin 16 + PIRQ.
 * Intel 82441FX (PMC), 82371SB (PIIX3) and 82371AB (PIIX4) datasheets.
 */
#ifndef DEVICES_VPIIX_H
#define DEVICES_VPIIX_H

#include "devices/line.h"
#include "devices/vpci.h"

#define VPIIX_PIRQS    4
#define VPIIX_GSI_PIRQ 16
#define VPIIX_PM_PORTS 64
/* PIRQ A..D after firmware: SeaBIOS' choice, which kernels have seen. */
#define VPIIX_IRQ_AB 10
#define VPIIX_IRQ_CD 11

struct vpiix_ops {
	/* ISA IRQ 0..15 or IOAPIC pin 16..19. */
	void (*set_irq)(void *ctx, unsigned irq, bool level);
	/* The power-management block is at this port now; 0: nowhere. */
	void (*pm_moved)(void *ctx, uint16_t base);
	void *ctx;
};

struct vpiix {
	struct vpci_function host, isa, ide, pm;
	uint32_t requests[VPIIX_PIRQS]; /* a bit for each device: it asserts this PIRQ */
	uint16_t isa_levels;		/* ISA interrupts driven high from here */
	struct vpiix_ops ops;
};

/*
 * Puts the functions on the bus, in their state at power-up; or, with pm_base (a multiple of 64),
 * as firmware would leave them.
 */
void vpiix_init(struct vpiix *v, struct vpci *bus, uint16_t pm_base, const struct vpiix_ops *ops);
/* The interrupt line of a device; pin is 0 (INTA#) .. 3. Functions that share it must take turns:
 * the level is the device's. */
struct line vpiix_intx(struct vpiix *v, unsigned device, unsigned pin);

#endif
