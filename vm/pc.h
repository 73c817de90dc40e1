/* SPDX-License-Identifier: MIT */
/*
 * The PC of a VM: all device models in their places, and how interrupts run between them.
 *
 * ISA interrupts go to the 8259 pair and to the IOAPIC pin of the same number, but IRQ0, which is
 * on pin 2 (pin 0 is the 8259's INTR, as on every PC). The 8259's INTR is LINT0 of every local
 * APIC.
 *
 * Several cores may be in here at once. The board (all but the local APICs) has one lock, taken by
 * the functions below. A local APIC is touched by the core that runs its vCPU alone: messages for
 * it wait in its mailbox until that core calls pc_collect. Other cores read of it what routing
 * needs (mode, IDs, priority), which may be a moment old, as on a bus.
 */
#ifndef VM_PC_H
#define VM_PC_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/apic.h"
#include "devices/bus.h"
#include "devices/vacpi.h"
#include "devices/vata.h"
#include "devices/vfwcfg.h"
#include "devices/vhpet.h"
#include "devices/vi8042.h"
#include "devices/vioapic.h"
#include "devices/vlapic.h"
#include "devices/vpci.h"
#include "devices/vpic.h"
#include "devices/vpiix.h"
#include "devices/vpit.h"
#include "devices/vport.h"
#include "devices/vrtc.h"
#include "devices/vuart.h"
#include "devices/vvga.h"
#include "lib/spinlock.h"
#include "vm/mailbox.h"

#define PC_CPUS_MAX 32
/* Interrupt numbers (ISA IRQ = GSI, but for the timer). */
#define PC_IRQ_TIMER	0
#define PC_GSI_TIMER	2
#define PC_IRQ_COM2	3
#define PC_IRQ_COM1	4
#define PC_IRQ_RTC	8
#define PC_IRQ_SCI	9
#define PC_GSI_EXTINT	0
#define PC_IRQ_ATA	14 /* and 15 */

#define PC_ATA_CHANNELS 2
#define PC_DRIVES_MAX	4 /* primary master, primary slave, secondary ones */

/*
 * What the PC does to the world outside. All are called with pc_config.ctx from within a call of
 * this PC, and may not call back into it. None may be NULL but console_room (always room). Those
 * marked (any) come from any core, the others of a vCPU from the core that runs it.
 */
struct pc_ops {
	void (*console_tx)(void *ctx, uint8_t byte); /* from COM1, while there is room */
	bool (*console_room)(void *ctx);
	void (*com2_tx)(void *ctx, uint8_t byte);
	void (*debug_tx)(void *ctx, uint8_t byte); /* from port E9H */
	void (*debug_exit)(void *ctx, uint32_t value);
	void (*power_off)(void *ctx);
	void (*reset)(void *ctx);
	/* May be NULL. The ports of the ACPI block begin here now; 0: nowhere. */
	void (*pm_moved)(void *ctx, uint16_t base);
	/* (any) There is something in the mailbox of vCPU `cpu`. */
	void (*kick)(void *ctx, unsigned cpu);
	/* (any) A message that nobody hears, or with a reserved delivery mode. */
	void (*unheard)(void *ctx, const struct apic_message *message);
	/* vCPU `cpu`: an interrupt may have become deliverable or gone. */
	void (*changed)(void *ctx, unsigned cpu);
	void (*nmi)(void *ctx, unsigned cpu);
	void (*smi)(void *ctx, unsigned cpu);
	void (*init)(void *ctx, unsigned cpu); /* its local APIC is reset already */
	void (*startup)(void *ctx, unsigned cpu, uint8_t vector);
};

struct pc_drive {
	enum vata_kind kind;
	struct vata_medium medium;
};

struct pc_config {
	uint64_t hz;	   /* ticks a second: 1 .. 2^33 */
	uint64_t now;	   /* tick at which the PC is switched on */
	uint64_t epoch;	   /* time of day then, seconds since 1970 UTC */
	uint64_t ram_low;  /* bytes of RAM below 4 GiB, for CMOS */
	uint64_t ram_high; /* and above */
	unsigned cpus;	   /* 1 .. PC_CPUS_MAX; vCPU 0 is the bootstrap processor */
	uint8_t physical_bits;
	/* It has a firmware of its own, which sets up the chipset and asks for these. */
	bool firmware;
	bool firmware_debug; /* its messages to port 402H are the console's */
	const struct vfwcfg_item *item;
	unsigned items;
	struct vfwcfg_ops fwcfg;
	uint8_t *apic_page[PC_CPUS_MAX]; /* one 4 KiB page for each vCPU; stay the caller's */
	struct pc_drive drive[PC_DRIVES_MAX];
	/* VATA_BUFFER bytes for each channel with a drive, else NULL; stay the caller's. */
	uint8_t *ata_buffer[PC_ATA_CHANNELS];
	const struct pc_ops *ops;
	void *ctx;
};

/*
 * Local APIC IDs are 0 .. cpus - 1. The IOAPIC's has four bits and follows them while it can;
 * since Pentium 4 nothing needs it to differ from theirs.
 */
static inline uint8_t pc_ioapic_id(unsigned cpus)
{
	return cpus < 15 ? (uint8_t)cpus : 15;
}

struct pc;

struct pc_cpu {
	struct mailbox mailbox;
	struct vlapic lapic;
	struct pc *pc;
	unsigned id;
};

struct pc {
	struct spinlock lock; /* of the board: everything up to `cpus` */
	struct bus bus;
	struct vpic pic;
	struct vpit pit;
	struct vrtc rtc;
	struct vuart com1;
	struct vi8042 i8042;
	struct vacpi acpi;
	struct vpci pci;
	struct vpiix piix;
	struct vata ata[PC_ATA_CHANNELS];
	struct vport port;
	struct vfwcfg fwcfg;
	struct vvga vga;
	struct vhpet hpet;
	struct vuart com2;
	bool legacy_off;       /* the HPET stands for the two that follow */
	uint16_t legacy_level; /* the lines of the 8254 and the RTC, a bit for each */
	struct vioapic ioapic;
	bool intr; /* the level of the 8259 pair's output */
	unsigned cpus;
	unsigned arbiter; /* where the next lowest-priority arbitration begins */
	const struct pc_ops *ops;
	void *ctx;
	struct pc_cpu cpu[PC_CPUS_MAX];
};

/* The machine as firmware hands it over. False: the configuration is out of range. */
bool pc_init(struct pc *pc, const struct pc_config *config);

static inline struct vlapic *pc_lapic(struct pc *pc, unsigned cpu)
{
	return &pc->cpu[cpu].lapic;
}

/* Port accesses; size 1, 2 or 4. */
static inline uint32_t pc_port_read(struct pc *pc, uint16_t port, unsigned size, uint64_t now)
{
	uint32_t value;

	spin_lock(&pc->lock);
	value = bus_port_read(&pc->bus, port, size, now);
	spin_unlock(&pc->lock);
	return value;
}

static inline void pc_port_write(struct pc *pc, uint16_t port, unsigned size, uint32_t value,
				 uint64_t now)
{
	spin_lock(&pc->lock);
	bus_port_write(&pc->bus, port, size, value, now);
	spin_unlock(&pc->lock);
}

/* The same where one device takes the access whole: bus_port_find, bus_port_fits. */
static inline uint32_t pc_range_read(struct pc *pc, const struct port_range *range, uint16_t port,
				     unsigned size, uint64_t now)
{
	uint32_t value;

	spin_lock(&pc->lock);
	value = range->read(range->dev, port, size, now);
	spin_unlock(&pc->lock);
	return value;
}

static inline void pc_range_write(struct pc *pc, const struct port_range *range, uint16_t port,
				  unsigned size, uint32_t value, uint64_t now)
{
	spin_lock(&pc->lock);
	range->write(range->dev, port, size, value, now);
	spin_unlock(&pc->lock);
}

/* Many accesses to a data port (bus_find_block); exactly one of `to` and `from` is there. */
static inline unsigned pc_port_block(struct pc *pc, const struct port_block *block, unsigned size,
				     void *to, const void *from, unsigned count)
{
	unsigned done;

	spin_lock(&pc->lock);
	done = from ? block->write(block->dev, block->port, size, from, count)
		    : block->read(block->dev, block->port, size, to, count);
	spin_unlock(&pc->lock);
	return done;
}

/*
 * Accesses by vCPU `cpu` to memory that is not RAM: its local APIC's page first, then devices;
 * nobody answers all ones. Size is 1, 2, 4 or 8.
 */
uint64_t pc_mmio_read(struct pc *pc, unsigned cpu, uint64_t gpa, unsigned size, uint64_t now);
void pc_mmio_write(struct pc *pc, unsigned cpu, uint64_t gpa, unsigned size, uint64_t value,
		   uint64_t now);

/* Lets time pass up to `now` for the devices of the board. */
void pc_advance(struct pc *pc, uint64_t now);
/* The tick at which pc_advance is wanted again, UINT64_MAX for never. Old news if others are in. */
uint64_t pc_next_event(const struct pc *pc);

/* By the core that runs vCPU `cpu`: what is in its mailbox goes to its local APIC. */
void pc_collect(struct pc *pc, unsigned cpu);

/* Is there an external interrupt that vCPU `cpu` would take if its IF allowed? Hot. */
static inline bool pc_interrupt_pending(const struct pc *pc, unsigned cpu)
{
	const struct vlapic *lapic = &pc->cpu[cpu].lapic;

	return vlapic_extint(lapic) || vlapic_pending(lapic) >= 0;
}

/* Whether vCPU `cpu` could still be woken while its IF is 0: something is wired as an NMI. */
bool pc_nmi_possible(const struct pc *pc, unsigned cpu);

/* The vCPU takes it: its vector; -1 when there is none. An 8259 interrupt goes first. */
int pc_interrupt_acknowledge(struct pc *pc, unsigned cpu);

/* Interrupt input lines for devices: ISA IRQ 0..15, and IOAPIC pins 16..23 for others. */
struct line pc_irq_line(struct pc *pc, unsigned irq);
/* An interrupt message by somebody who is no vCPU. */
void pc_message(struct pc *pc, const struct apic_message *message);
/* A write to FEExxxxxH by a device: SDM volume 3, 'Message Signalled Interrupts'. */
void pc_msi(struct pc *pc, uint64_t address, uint32_t data);

/* The console (COM1): see vuart.h. */
static inline bool pc_can_receive(const struct pc *pc)
{
	return vuart_can_receive(&pc->com1);
}

/* The keyboard: see vi8042.h. What it has of the picture: see vvga.h. */
bool pc_wants_key(struct pc *pc);
void pc_key(struct pc *pc, uint8_t key, bool down, uint64_t now);
void pc_look(struct pc *pc, struct vvga_picture *picture);

bool pc_receive(struct pc *pc, uint8_t byte, uint64_t now);
void pc_tx_ready(struct pc *pc, uint64_t now);

#endif
