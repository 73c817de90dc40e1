/* SPDX-License-Identifier: MIT */
/* The chipset's registers, and PCI interrupt routing. */
#include "devices/vpiix.h"

#include "lib/bits.h"
#include "lib/string.h"

#define PIRQ_ROUTE     0x60 /* ISA bridge, PIRQRCA..D */
#define PIRQ_DISABLED  BIT(7)
#define PAM0	       0x59 /* host bridge */
#define PAM6	       0x5F
#define PAM_ALL	       0x33 /* reads and writes go to RAM, both halves */
#define IDETIM0	       0x41 /* IDE, upper bytes of the two timing registers */
#define IDETIM1	       0x43
#define IDETIM_ENABLE  0x80
#define PM_BASE	       0x40 /* power management */
#define PM_MISC	       0x80
#define PM_MISC_ENABLE BIT(0)
#define COMMAND	       0x04
#define COMMAND_IO     BIT(0)
#define ISA_IRQS       16

static const struct vpci_register host_map[] = {
	{0x00, 0x00, 0x86, 0},
	{0x01, 0x01, 0x80, 0}, /* vendor: Intel */
	{0x02, 0x02, 0x37, 0},
	{0x03, 0x03, 0x12, 0},	  /* device 1237H */
	{0x04, 0x04, 0x06, 0x40}, /* memory, bus master */
	{0x05, 0x05, 0x00, 0x01},
	{0x06, 0x06, 0x80, 0}, /* fast back to back */
	{0x07, 0x07, 0x02, 0},
	{0x08, 0x08, 0x02, 0},	  /* medium DEVSEL#; revision */
	{0x0B, 0x0B, 0x06, 0},	  /* host bridge */
	{0x0D, 0x0D, 0x00, 0xF8}, /* latency timer */
	/* Subsystem 1AF4:1100, by which SeaBIOS knows that there is a configuration device. */
	{0x2C, 0x2C, 0xF4, 0},
	{0x2D, 0x2D, 0x1A, 0},
	{0x2F, 0x2F, 0x11, 0},
	{0x50, 0x58, 0x00, 0xFF}, /* PMC and DRAM control */
	{PAM0, PAM6, 0x00, 0xFF},
	{0x60, 0x68, 0x00, 0xFF}, /* DRAM row boundaries, hole */
	{0x70, 0x71, 0x00, 0xFF}, /* timers */
	{0x72, 0x72, 0x02, 0x78}, /* SMRAM */
	{0x90, 0x90, 0x00, 0xFF},
	{0x93, 0x93, 0x00, 0xFF}, /* errors, turbo reset */
};

static const struct vpci_register isa_map[] = {
	{0x00, 0x00, 0x86, 0},
	{0x01, 0x01, 0x80, 0},
	{0x03, 0x03, 0x70, 0}, /* device 7000H */
	{0x04, 0x04, 0x07, 0x00},
	{0x05, 0x05, 0x00, 0x01},
	{0x07, 0x07, 0x02, 0},
	{0x0A, 0x0A, 0x01, 0}, /* ISA bridge */
	{0x0B, 0x0B, 0x06, 0},
	{0x0E, 0x0E, 0x80, 0},	  /* several functions */
	{0x4C, 0x4C, 0x4D, 0xFF}, /* I/O recovery */
	{0x4E, 0x4E, 0x03, 0xFF},
	{0x4F, 0x4F, 0x00, 0xFF}, /* X-bus chip selects */
	{PIRQ_ROUTE, PIRQ_ROUTE + 3, PIRQ_DISABLED, 0x8F},
	{0x69, 0x69, 0x02, 0xFE}, /* top of memory */
	{0x70, 0x71, 0x80, 0xFF}, /* board interrupt routing */
	{0x76, 0x77, 0x04, 0x8F}, /* board DMA */
	{0x78, 0x79, 0x00, 0xFF},
	{0x80, 0x80, 0x00, 0x7F}, /* chip select, APIC base */
	{0x82, 0x82, 0x00, 0x0F}, /* deterministic latency */
	{0xA0, 0xA0, 0x08, 0x1F},
	{0xA2, 0xA8, 0x00, 0xFF}, /* SMI */
	{0xAA, 0xAF, 0x00, 0xFF},
};

static const struct vpci_register ide_map[] = {
	{0x00, 0x00, 0x86, 0},	  {0x01, 0x01, 0x80, 0},    {0x02, 0x02, 0x10, 0},
	{0x03, 0x03, 0x70, 0}, /* device 7010H */
	{0x04, 0x04, 0x00, 0x05}, {0x06, 0x06, 0x80, 0},    {0x07, 0x07, 0x02, 0},
	{0x0A, 0x0A, 0x01, 0}, /* IDE; legacy ports only */
	{0x0B, 0x0B, 0x01, 0},	  {0x0D, 0x0D, 0x00, 0xF0}, {0x40, 0x44, 0x00, 0xFF}, /* timing */
};

static const struct vpci_register pm_map[] = {
	{0x00, 0x00, 0x86, 0},
	{0x01, 0x01, 0x80, 0},
	{0x02, 0x02, 0x13, 0},
	{0x03, 0x03, 0x71, 0}, /* device 7113H */
	{0x04, 0x04, 0x00, 0x01},
	{0x06, 0x06, 0x80, 0},
	{0x07, 0x07, 0x02, 0},
	{0x08, 0x08, 0x03, 0},
	{0x0A, 0x0A, 0x80, 0},
	{0x0B, 0x0B, 0x06, 0}, /* a bridge of another kind */
	{0x3C, 0x3C, 0x09, 0xFF},
	{0x3D, 0x3D, 0x01, 0}, /* interrupt line 9, INTA# */
	{PM_BASE, PM_BASE, 0x01, 0xC0},
	{PM_BASE + 1, PM_BASE + 1, 0x00, 0xFF},
	{0x44, 0x57, 0x00, 0xFF}, /* timers of idle devices */
	{0x58, 0x5A, 0x00, 0xFF},
	{0x5B, 0x5B, 0x02, 0xFF}, /* DEVACTB: APM is set up */
	{0x5C, 0x7F, 0x00, 0xFF}, /* device resources */
	{PM_MISC, PM_MISC, 0x00, PM_MISC_ENABLE},
};

/* --- Interrupts --- */

static void drive(struct vpiix *v)
{
	uint16_t levels = 0, changed;

	for (unsigned i = 0; i < VPIIX_PIRQS; i++) {
		uint8_t route = v->isa.config[PIRQ_ROUTE + i];

		if (v->requests[i] && !(route & PIRQ_DISABLED))
			levels |= (uint16_t)BIT(route % ISA_IRQS);
	}
	changed = levels ^ v->isa_levels;
	v->isa_levels = levels;
	for (unsigned irq = 0; irq < ISA_IRQS; irq++)
		if (changed & BIT(irq))
			v->ops.set_irq(v->ops.ctx, irq, levels & BIT(irq));
}

static void set_intx(void *ctx, unsigned source, bool level)
{
	struct vpiix *v = ctx;
	unsigned device = source / VPIIX_PIRQS, pirq = (source + device + 3) % VPIIX_PIRQS;
	bool before = v->requests[pirq];

	v->requests[pirq] &= ~(1U << device);
	v->requests[pirq] |= (uint32_t)level << device;
	if (before == !!v->requests[pirq])
		return;
	v->ops.set_irq(v->ops.ctx, VPIIX_GSI_PIRQ + pirq, !before);
	drive(v);
}

struct line vpiix_intx(struct vpiix *v, unsigned device, unsigned pin)
{
	return (struct line){set_intx, v, device % 32 * VPIIX_PIRQS + pin % VPIIX_PIRQS};
}

static void isa_written(void *ctx, unsigned reg, unsigned size)
{
	if (reg < PIRQ_ROUTE + VPIIX_PIRQS && reg + size > PIRQ_ROUTE)
		drive(ctx);
}

/* --- Power management --- */

static void pm_written(void *ctx, unsigned reg, unsigned size)
{
	struct vpiix *v = ctx;
	const uint8_t *config = v->pm.config;
	uint16_t base = 0;

	(void)reg, (void)size;
	if (config[PM_MISC] & PM_MISC_ENABLE)
		base = (uint16_t)(config[PM_BASE + 1] << 8 | (config[PM_BASE] & 0xC0));
	v->ops.pm_moved(v->ops.ctx, base);
}

/* --- Power-up --- */

static void after_firmware(struct vpiix *v, uint16_t pm_base)
{
	uint8_t *route = v->isa.config + PIRQ_ROUTE;

	memset(v->host.config + PAM0, PAM_ALL, PAM6 - PAM0 + 1);
	route[0] = route[1] = VPIIX_IRQ_AB;
	route[2] = route[3] = VPIIX_IRQ_CD;
	v->ide.config[IDETIM0] = v->ide.config[IDETIM1] = IDETIM_ENABLE;
	v->ide.config[COMMAND] = v->pm.config[COMMAND] = COMMAND_IO;
	v->pm.config[PM_BASE + 1] = (uint8_t)(pm_base >> 8);
	v->pm.config[PM_BASE] |= pm_base & 0xC0;
	v->pm.config[PM_MISC] = PM_MISC_ENABLE;
	pm_written(v, PM_MISC, 1);
}

#define FUNCTION(number, registers_of, call)                                                 \
	(struct vpci_function)                                                               \
	{                                                                                    \
		.devfn = number, .map = registers_of, .registers = ARRAY_SIZE(registers_of), \
		.written = call, .ctx = v,                                                   \
	}

void vpiix_init(struct vpiix *v, struct vpci *bus, uint16_t pm_base, const struct vpiix_ops *ops)
{
	memset(v, 0, sizeof(*v));
	v->ops = *ops;
	v->host = FUNCTION(VPCI_DEVFN(0, 0), host_map, NULL);
	v->isa = FUNCTION(VPCI_DEVFN(1, 0), isa_map, isa_written);
	v->ide = FUNCTION(VPCI_DEVFN(1, 1), ide_map, NULL);
	v->pm = FUNCTION(VPCI_DEVFN(1, 3), pm_map, pm_written);
	vpci_add(bus, &v->host);
	vpci_add(bus, &v->isa);
	vpci_add(bus, &v->ide);
	vpci_add(bus, &v->pm);
	if (pm_base)
		after_firmware(v, pm_base);
}
