/* SPDX-License-Identifier: MIT */
/*
 * The PC: where each device is, and the ways of interrupts.
 * Intel MultiProcessor Specification 1.4, 'Hardware Specification' (virtual wire, APIC wiring);
 * SDM volume 3, 'Determining IPI Destination', 'Message Signalled Interrupts'.
 */
#include "vm/pc.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "vm/layout.h"

#define ISA_IRQS    16
#define IRQ_CASCADE 2
#define IRQ_KBD	    1
#define IRQ_AUX	    12
#define HZ_MAX	    BIT(33)
#define LINT0	    0
/* Level-triggered ISA interrupts above 7: the SCI and those that PCI shares. */
#define ELCR_AFTER_FIRMWARE \
	(1U << (PC_IRQ_SCI - 8) | 1U << (VPIIX_IRQ_AB - 8) | 1U << (VPIIX_IRQ_CD - 8))

#define MSI_ADDRESS_TOP	    0xFEEU
#define MSI_ADDRESS_HINT    BIT(3)
#define MSI_ADDRESS_LOGICAL BIT(2)
#define MSI_DATA_ASSERT	    BIT(14)
#define MSI_DATA_LEVEL	    BIT(15)

/* --- Interrupts --- */

/*
 * The one that arbitration picks: among equals they take turns. PC_CPUS_MAX: nobody listens.
 * Whose turn it is may be lost between two senders; it is no more than a preference.
 */
static unsigned arbitrate(struct pc *pc, const struct apic_message *message, unsigned sender)
{
	unsigned winner = PC_CPUS_MAX, first = __atomic_load_n(&pc->arbiter, __ATOMIC_RELAXED);
	const struct vlapic *best = NULL;

	for (unsigned i = 0; i < pc->cpus; i++) {
		unsigned id = (first + i) % pc->cpus;
		const struct vlapic *lapic = &pc->cpu[id].lapic;

		if (id == sender || !vlapic_arbitrates(lapic) ||
		    !vlapic_matches(lapic, message->destination, message->logical))
			continue;
		if (best && vlapic_apr(lapic) >= vlapic_apr(best))
			continue;
		best = lapic;
		winner = id;
	}
	if (best)
		__atomic_store_n(&pc->arbiter, (winner + 1) % pc->cpus, __ATOMIC_RELAXED);
	return winner;
}

/* Into the mailbox of vCPU `id`, whoever runs it. */
static void post(struct pc *pc, unsigned id, const struct apic_message *message)
{
	struct mailbox *mailbox = &pc->cpu[id].mailbox;

	switch (message->delivery) {
	case APIC_FIXED:
	case APIC_LOWEST_PRIORITY: mailbox_post(mailbox, message->vector, message->level); break;
	case APIC_SMI: mailbox_flag(mailbox, MAIL_SMI); break;
	case APIC_NMI: mailbox_flag(mailbox, MAIL_NMI); break;
	case APIC_INIT: mailbox_flag(mailbox, MAIL_INIT); break;
	case APIC_STARTUP:
		__atomic_store_n(&mailbox->startup_vector, message->vector, __ATOMIC_RELAXED);
		mailbox_flag(mailbox, MAIL_STARTUP);
		break;
	case APIC_EXTINT: mailbox_flag(mailbox, MAIL_EXTINT); break;
	default: return;
	}
	pc->ops->kick(pc->ctx, id);
}

/* `sender` is the vCPU that is left out, PC_CPUS_MAX for none. */
static void route(struct pc *pc, const struct apic_message *message, unsigned sender)
{
	bool heard = false;

	if (message->delivery == APIC_RESERVED) {
		pc->ops->unheard(pc->ctx, message);
		return;
	}
	if (message->delivery == APIC_LOWEST_PRIORITY) {
		unsigned id = arbitrate(pc, message, sender);

		if (id < pc->cpus)
			post(pc, id, message);
		return;
	}
	for (unsigned id = 0; id < pc->cpus; id++) {
		if (id == sender ||
		    !vlapic_matches(&pc->cpu[id].lapic, message->destination, message->logical))
			continue;
		post(pc, id, message);
		heard = true;
	}
	/* Broadcasts of a lone CPU are heard by nobody, and no fault. */
	if (!heard && sender == PC_CPUS_MAX)
		pc->ops->unheard(pc->ctx, message);
}

void pc_message(struct pc *pc, const struct apic_message *message)
{
	route(pc, message, PC_CPUS_MAX);
}

void pc_msi(struct pc *pc, uint64_t address, uint32_t data)
{
	struct apic_message message = {
		.destination = apic_widen((uint8_t)bits_get(address, 19, 12)),
		.vector = (uint8_t)data,
		.delivery = (uint8_t)bits_get(data, 10, 8),
		.logical = address & MSI_ADDRESS_LOGICAL,
		.level = data & MSI_DATA_LEVEL,
		.asserted = !(data & MSI_DATA_LEVEL) || (data & MSI_DATA_ASSERT),
	};

	if (address >> 20 != MSI_ADDRESS_TOP || !message.asserted)
		return;
	if (message.delivery == APIC_STARTUP)
		message.delivery = APIC_RESERVED;
	/* The redirection hint asks for one of the set. */
	if ((address & MSI_ADDRESS_HINT) && message.delivery == APIC_FIXED)
		message.delivery = APIC_LOWEST_PRIORITY;
	pc_message(pc, &message);
}

static void ioapic_send(void *ctx, const struct apic_message *message)
{
	struct apic_message copy = *message;

	/* Only a local APIC sends start-up IPIs: here the code is a reserved one. */
	if (copy.delivery == APIC_STARTUP)
		copy.delivery = APIC_RESERVED;
	pc_message(ctx, &copy);
}

static void lapic_send(void *ctx, const struct apic_message *message)
{
	struct pc_cpu *cpu = ctx;
	struct apic_message copy = *message;

	if (message->shorthand != APIC_DEST_FIELD) {
		copy.destination = APIC_BROADCAST;
		copy.logical = false;
	}
	route(cpu->pc, &copy, message->shorthand == APIC_DEST_OTHERS ? cpu->id : PC_CPUS_MAX);
}

static void lapic_eoi(void *ctx, uint8_t vector)
{
	struct pc_cpu *cpu = ctx;

	spin_lock(&cpu->pc->lock);
	vioapic_eoi(&cpu->pc->ioapic, vector);
	spin_unlock(&cpu->pc->lock);
}

static void lapic_nmi(void *ctx)
{
	struct pc_cpu *cpu = ctx;

	cpu->pc->ops->nmi(cpu->pc->ctx, cpu->id);
}

static void lapic_smi(void *ctx)
{
	struct pc_cpu *cpu = ctx;

	cpu->pc->ops->smi(cpu->pc->ctx, cpu->id);
}

static void lapic_init(void *ctx)
{
	struct pc_cpu *cpu = ctx;

	vlapic_init_reset(&cpu->lapic);
	cpu->pc->ops->init(cpu->pc->ctx, cpu->id);
}

static void lapic_startup(void *ctx, uint8_t vector)
{
	struct pc_cpu *cpu = ctx;

	cpu->pc->ops->startup(cpu->pc->ctx, cpu->id, vector);
}

static void lapic_changed(void *ctx)
{
	struct pc_cpu *cpu = ctx;

	cpu->pc->ops->changed(cpu->pc->ctx, cpu->id);
}

static const struct vlapic_ops lapic_ops = {
	.send = lapic_send,
	.eoi = lapic_eoi,
	.nmi = lapic_nmi,
	.smi = lapic_smi,
	.init = lapic_init,
	.startup = lapic_startup,
	.changed = lapic_changed,
};

/* The 8259 pair's INTR. */
static void set_intr(void *ctx, unsigned pin, bool level)
{
	struct pc *pc = ctx;

	(void)pin;
	vioapic_set_pin(&pc->ioapic, PC_GSI_EXTINT, level);
	__atomic_store_n(&pc->intr, level, __ATOMIC_RELEASE);
	for (unsigned id = 0; id < pc->cpus; id++) {
		mailbox_flag(&pc->cpu[id].mailbox, MAIL_LINT0 | (level ? MAIL_LINT0_ROSE : 0));
		/* A vCPU that does not listen finds it when it unmasks LINT0. */
		if (vlapic_lint0_listens(&pc->cpu[id].lapic))
			pc->ops->kick(pc->ctx, id);
	}
}

static void set_irq(void *ctx, unsigned irq, bool level)
{
	struct pc *pc = ctx;

	if (irq == IRQ_CASCADE)
		return;
	if (irq < ISA_IRQS)
		vpic_set_pin(&pc->pic, irq, level);
	vioapic_set_pin(&pc->ioapic, irq == PC_IRQ_TIMER ? PC_GSI_TIMER : irq, level);
}

/* The 8254 and the RTC. */
static void set_legacy(void *ctx, unsigned irq, bool level)
{
	struct pc *pc = ctx;
	uint16_t bit = (uint16_t)BIT(irq);

	pc->legacy_level = (uint16_t)((pc->legacy_level & ~bit) | (level ? bit : 0));
	if (!pc->legacy_off)
		set_irq(pc, irq, level);
}

static void replace_legacy(void *ctx, bool on)
{
	struct pc *pc = ctx;

	pc->legacy_off = on;
	set_irq(pc, PC_IRQ_TIMER, !on && (pc->legacy_level & BIT(PC_IRQ_TIMER)));
	set_irq(pc, PC_IRQ_RTC, !on && (pc->legacy_level & BIT(PC_IRQ_RTC)));
}

static void hpet_message(void *ctx, uint64_t address, uint32_t data)
{
	pc_msi(ctx, address, data);
}

struct line pc_irq_line(struct pc *pc, unsigned irq)
{
	return (struct line){.set = set_irq, .ctx = pc, .pin = irq};
}

static void collect_flags(struct pc_cpu *cpu, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		uint8_t delivery;
	} messages[] = {
		/* A start-up IPI that came after an INIT finds the vCPU waiting for it. */
		{MAIL_INIT, APIC_INIT}, {MAIL_STARTUP, APIC_STARTUP}, {MAIL_NMI, APIC_NMI},
		{MAIL_SMI, APIC_SMI},	{MAIL_EXTINT, APIC_EXTINT},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(messages); i++) {
		const struct apic_message message = {
			.delivery = messages[i].delivery,
			.vector = (uint8_t)cpu->mailbox.startup_vector,
		};

		if (flags & messages[i].flag)
			vlapic_accept(&cpu->lapic, &message);
	}
	if (flags & MAIL_LINT0_ROSE)
		vlapic_set_lint(&cpu->lapic, LINT0, true);
	if (flags & MAIL_LINT0)
		vlapic_set_lint(&cpu->lapic, LINT0,
				__atomic_load_n(&cpu->pc->intr, __ATOMIC_ACQUIRE));
}

static void collect_word(struct pc_cpu *cpu, unsigned word)
{
	uint32_t level = __atomic_load_n(&cpu->mailbox.level[word], __ATOMIC_RELAXED);
	uint32_t bits = mailbox_take(&cpu->mailbox.posted[word]);

	for (; bits; bits &= bits - 1) {
		unsigned bit = (unsigned)__builtin_ctz(bits);
		const struct apic_message message = {
			.vector = (uint8_t)(word * 32 + bit),
			.delivery = APIC_FIXED,
			.level = level >> bit & 1,
			.asserted = true,
		};

		vlapic_accept(&cpu->lapic, &message);
	}
}

void pc_collect(struct pc *pc, unsigned id)
{
	struct pc_cpu *cpu = &pc->cpu[id];
	uint32_t flags = mailbox_take(&cpu->mailbox.flags);

	if (flags)
		collect_flags(cpu, flags);
	for (uint32_t words = mailbox_take(&cpu->mailbox.words); words; words &= words - 1)
		collect_word(cpu, (unsigned)__builtin_ctz(words));
}

bool pc_nmi_possible(const struct pc *pc, unsigned cpu)
{
	return vioapic_sends_nmi(&pc->ioapic) || vlapic_lint0_is_nmi(&pc->cpu[cpu].lapic);
}

int pc_interrupt_acknowledge(struct pc *pc, unsigned cpu)
{
	struct vlapic *lapic = &pc->cpu[cpu].lapic;
	int vector;

	if (vlapic_extint(lapic)) {
		spin_lock(&pc->lock);
		vector = vpic_acknowledge(&pc->pic);
		spin_unlock(&pc->lock);
		vlapic_acknowledge_extint(lapic);
		return vector;
	}
	vector = vlapic_pending(lapic);
	if (vector >= 0)
		vlapic_acknowledge(lapic, (uint8_t)vector);
	return vector;
}

/* --- Time --- */

void pc_advance(struct pc *pc, uint64_t now)
{
	spin_lock(&pc->lock);
	vpit_advance(&pc->pit, now);
	vrtc_advance(&pc->rtc, now);
	vuart_advance(&pc->com1, now);
	vuart_advance(&pc->com2, now);
	vhpet_advance(&pc->hpet, now);
	vi8042_advance(&pc->i8042, now);
	vacpi_advance(&pc->acpi, now);
	spin_unlock(&pc->lock);
}

uint64_t pc_next_event(const struct pc *pc)
{
	uint64_t next = MIN(vpit_next_event(&pc->pit), vrtc_next_event(&pc->rtc));

	next = MIN(next, vuart_next_event(&pc->com1));
	next = MIN(next, vuart_next_event(&pc->com2));
	next = MIN(next, vhpet_next_event(&pc->hpet));
	next = MIN(next, vi8042_next_event(&pc->i8042));
	return MIN(next, vacpi_next_event(&pc->acpi));
}

bool pc_receive(struct pc *pc, uint8_t byte, uint64_t now)
{
	bool taken;

	spin_lock(&pc->lock);
	taken = vuart_receive(&pc->com1, byte, now);
	spin_unlock(&pc->lock);
	return taken;
}

bool pc_wants_key(struct pc *pc)
{
	bool wants;

	spin_lock(&pc->lock);
	wants = vi8042_wants_key(&pc->i8042);
	spin_unlock(&pc->lock);
	return wants;
}

void pc_key(struct pc *pc, uint8_t key, bool down, uint64_t now)
{
	spin_lock(&pc->lock);
	vi8042_key(&pc->i8042, key, down, now);
	spin_unlock(&pc->lock);
}

void pc_look(struct pc *pc, struct vvga_picture *picture)
{
	spin_lock(&pc->lock);
	vvga_look(&pc->vga, picture);
	spin_unlock(&pc->lock);
}

void pc_tx_ready(struct pc *pc, uint64_t now)
{
	spin_lock(&pc->lock);
	vuart_tx_ready(&pc->com1, now);
	spin_unlock(&pc->lock);
}

/* --- Maps --- */

uint64_t pc_mmio_read(struct pc *pc, unsigned cpu, uint64_t gpa, unsigned size, uint64_t now)
{
	struct vlapic *lapic = &pc->cpu[cpu].lapic;
	uint64_t value;

	if (vlapic_claims(lapic, gpa))
		return vlapic_read(lapic, gpa % VLAPIC_PAGE_SIZE, size, now) & mask_bytes(size);
	spin_lock(&pc->lock);
	value = bus_mmio_read(&pc->bus, gpa, size, now);
	spin_unlock(&pc->lock);
	return value;
}

void pc_mmio_write(struct pc *pc, unsigned cpu, uint64_t gpa, unsigned size, uint64_t value,
		   uint64_t now)
{
	struct vlapic *lapic = &pc->cpu[cpu].lapic;

	if (vlapic_claims(lapic, gpa)) {
		vlapic_write(lapic, gpa % VLAPIC_PAGE_SIZE, size, value, now);
		return;
	}
	spin_lock(&pc->lock);
	bus_mmio_write(&pc->bus, gpa, size, value, now);
	spin_unlock(&pc->lock);
}

/* CF8H..CFFH: byte CF9H is the reset control register, the rest is PCI's. */
static uint32_t cf8_read(void *dev, uint16_t port, unsigned size, uint64_t now)
{
	struct pc *pc = dev;

	if (port == VACPI_RESET_PORT && size == 1)
		return vacpi_reset_read(&pc->acpi, port, size, now);
	return vpci_read(&pc->pci, port, size, now);
}

static void cf8_write(void *dev, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct pc *pc = dev;

	if (port == VACPI_RESET_PORT && size == 1)
		vacpi_reset_write(&pc->acpi, port, size, value, now);
	else
		vpci_write(&pc->pci, port, size, value, now);
}

static bool add_ata(struct pc *pc)
{
	static const uint16_t ports[PC_ATA_CHANNELS][2] = {
		{VATA_PRIMARY, VATA_PRIMARY_CONTROL}, {VATA_SECONDARY, VATA_SECONDARY_CONTROL}};

	for (unsigned i = 0; i < PC_ATA_CHANNELS; i++) {
		const struct port_range command = {
			.first = ports[i][0],
			.last = ports[i][0] + VATA_PORTS - 1,
			.width = 4,
			.read = vata_read,
			.write = vata_write,
			.dev = &pc->ata[i],
		};
		const struct port_block data = {ports[i][0], vata_read_block, vata_write_block,
						&pc->ata[i]};
		const struct port_range control = {
			.first = ports[i][1],
			.last = ports[i][1],
			.width = 1,
			.read = vata_control_read,
			.write = vata_control_write,
			.dev = &pc->ata[i],
		};

		if (!bus_add_ports(&pc->bus, &command) || !bus_add_block(&pc->bus, &data) ||
		    !bus_add_ports(&pc->bus, &control))
			return false;
	}
	return true;
}

/* Where a model is, and what it answers with: `dev` and `next` are offsets in struct pc. */
struct place {
	uint16_t first, last;
	uint8_t width;
	uint16_t dev;
	uint16_t next; /* of port_range.next; 0: NULL */
	port_read_fn read;
	port_write_fn write;
};

#define PLACE(first, last, width, model, dev)                                                \
	{                                                                                    \
		first, last, width, offsetof(struct pc, dev), 0, model##_read, model##_write \
	}
/* It acts by itself as well. */
#define PLACE_TIMED(first, last, width, model, dev)                                          \
	{                                                                                    \
		first, last, width, offsetof(struct pc, dev), offsetof(struct pc, dev.next), \
			model##_read, model##_write                                          \
	}

static bool add_places(struct pc *pc, const struct place *place, unsigned count)
{
	for (; count; place++, count--) {
		const struct port_range range = {
			.first = place->first,
			.last = place->last,
			.width = place->width,
			.read = place->read,
			.write = place->write,
			.dev = (uint8_t *)pc + place->dev,
			.next = place->next ? (const uint64_t *)((uint8_t *)pc + place->next)
					    : NULL,
		};

		if (!bus_add_ports(&pc->bus, &range))
			return false;
	}
	return true;
}

/* What only a firmware looks for; the ACPI block is nowhere until that places it. */
static bool add_firmware(struct pc *pc, bool debug)
{
	static const struct place places[] = {
		PLACE(VPORT_BIOS, VPORT_BIOS, 1, vport, port),
		PLACE(VFWCFG_SELECT, VFWCFG_DATA, 2, vfwcfg, fwcfg),
		PLACE(VFWCFG_DMA, VFWCFG_DMA + 7, 4, vfwcfg_dma, fwcfg),
	};
	const struct port_block data = {VFWCFG_DATA, vfwcfg_read_block, vfwcfg_write_block,
					&pc->fwcfg};
	unsigned first = debug ? 0 : 1;

	return add_places(pc, places + first, ARRAY_SIZE(places) - first) &&
	       bus_add_block(&pc->bus, &data);
}

static bool add_ports(struct pc *pc)
{
	static const struct place places[] = {
		PLACE(0x20, 0x21, 1, vpic, pic),
		PLACE(0xA0, 0xA1, 1, vpic, pic),
		PLACE(0x4D0, 0x4D1, 1, vpic_elcr, pic),
		PLACE_TIMED(0x40, 0x43, 1, vpit, pit),
		PLACE_TIMED(0x61, 0x61, 1, vpit_port61, pit),
		PLACE_TIMED(0x60, 0x60, 1, vi8042, i8042),
		PLACE_TIMED(0x64, 0x64, 1, vi8042, i8042),
		PLACE_TIMED(0x92, 0x92, 1, vi8042_port92, i8042),
		PLACE_TIMED(0x70, 0x71, 1, vrtc, rtc),
		PLACE_TIMED(0x3F8, 0x3FF, 1, vuart, com1),
		PLACE_TIMED(0x2F8, 0x2FF, 1, vuart, com2),
		PLACE_TIMED(0xB2, 0xB3, 1, vacpi_smi, acpi),
		PLACE_TIMED(VACPI_PM_BASE, VACPI_PM_BASE + VACPI_PM_PORTS - 1, 4, vacpi, acpi),
		PLACE(0x80, 0x80, 1, vport, port),
		PLACE(0xE9, 0xE9, 1, vport, port),
		PLACE(0xF4, 0xF7, 4, vport, port),
		PLACE(VVGA_PORT, VVGA_PORT_LAST, 1, vvga, vga),
		PLACE(0xCF8, 0xCFF, 4, cf8, lock),
	};

	_Static_assert(offsetof(struct pc, lock) == 0, "what cf8_read gets is the pc");
	return add_places(pc, places, ARRAY_SIZE(places));
}

static bool add_maps(struct pc *pc)
{
	const struct mmio_region ioapic = {VIOAPIC_BASE, VIOAPIC_SIZE, vioapic_read, vioapic_write,
					   &pc->ioapic};
	const struct mmio_region hpet = {VHPET_BASE, VHPET_SIZE, vhpet_read, vhpet_write,
					 &pc->hpet};
	const struct mmio_region ecam = {LAYOUT_ECAM, VPCI_ECAM_SIZE, vpci_ecam_read,
					 vpci_ecam_write, &pc->pci};

	bus_init(&pc->bus);
	return add_ports(pc) && add_ata(pc) && bus_add_mmio(&pc->bus, &ioapic) &&
	       bus_add_mmio(&pc->bus, &ecam) && bus_add_mmio(&pc->bus, &hpet);
}

/* --- Power-up --- */

static void reset_machine(void *ctx)
{
	struct pc *pc = ctx;

	pc->ops->reset(pc->ctx);
}

static void pm_moved(void *ctx, uint16_t base)
{
	struct pc *pc = ctx;

	bus_move_ports(&pc->bus, vacpi_read, &pc->acpi, base);
	if (pc->ops->pm_moved)
		pc->ops->pm_moved(pc->ctx, base);
}

static void init_lapics(struct pc *pc, const struct pc_config *config)
{
	for (unsigned id = 0; id < pc->cpus; id++) {
		struct pc_cpu *cpu = &pc->cpu[id];
		const struct vlapic_config lapic = {
			.page = config->apic_page[id],
			.id = id,
			.bootstrap = id == 0,
			.physical_bits = config->physical_bits,
			.hz = config->hz,
			.ops = &lapic_ops,
			.ctx = cpu,
		};

		cpu->pc = pc;
		cpu->id = id;
		vlapic_init(&cpu->lapic, &lapic);
	}
	vlapic_virtual_wire(&pc->cpu[0].lapic);
}

static void init_ata(struct pc *pc, const struct pc_config *config)
{
	for (unsigned i = 0; i < PC_ATA_CHANNELS; i++)
		vata_init(&pc->ata[i], config->ata_buffer[i], pc_irq_line(pc, PC_IRQ_ATA + i));
	for (unsigned i = 0; i < PC_DRIVES_MAX; i++)
		if (config->drive[i].kind != VATA_NONE)
			vata_attach(&pc->ata[i / 2], i % 2, config->drive[i].kind,
				    &config->drive[i].medium);
}

static void init_board(struct pc *pc, const struct pc_config *config)
{
	uint64_t hz = config->hz, now = config->now;
	const struct vuart_backend console = {pc->ops->console_tx, pc->ops->console_room, pc->ctx};
	const struct vuart_backend com2 = {pc->ops->com2_tx, NULL, pc->ctx};
	const struct vhpet_ops hpet = {set_irq, hpet_message, replace_legacy, pc};
	const struct vport_ops port = {pc->ops->debug_tx, pc->ops->debug_exit, pc->ctx};
	const struct vpiix_ops piix = {set_irq, pm_moved, pc};
	const struct vacpi_ops acpi = {pc->ops->power_off, pc->ops->reset, pc->ctx};

	vpic_init(&pc->pic, (struct line){.set = set_intr, .ctx = pc});
	vpic_firmware(&pc->pic);
	vioapic_init(&pc->ioapic, pc_ioapic_id(pc->cpus), ioapic_send, pc);
	vpit_init(&pc->pit, hz, (struct line){set_legacy, pc, PC_IRQ_TIMER}, now);
	vrtc_init(&pc->rtc, hz, config->epoch, (struct line){set_legacy, pc, PC_IRQ_RTC}, now);
	vrtc_set_memory(&pc->rtc, config->ram_low, config->ram_high);
	vuart_init(&pc->com1, hz, &console, pc_irq_line(pc, PC_IRQ_COM1));
	vi8042_init(&pc->i8042, hz, pc_irq_line(pc, IRQ_KBD), pc_irq_line(pc, IRQ_AUX),
		    reset_machine, pc);
	vacpi_init(&pc->acpi, hz, &acpi, pc_irq_line(pc, PC_IRQ_SCI), now);
	/* The MADT and the MP table say that the SCI is level triggered: so must the 8259 be. */
	if (!config->firmware)
		vpic_elcr_write(&pc->pic, VPIC_ELCR_PORT + 1, 1, ELCR_AFTER_FIRMWARE, now);
	vpci_init(&pc->pci);
	vpiix_init(&pc->piix, &pc->pci, config->firmware ? 0 : VACPI_PM_BASE, &piix);
	init_ata(pc, config);
	vfwcfg_init(&pc->fwcfg, config->item, config->items, &config->fwcfg);
	vport_init(&pc->port, &port);
	vvga_init(&pc->vga, hz);
	vhpet_init(&pc->hpet, hz, &hpet);
	vuart_init(&pc->com2, hz, &com2, pc_irq_line(pc, PC_IRQ_COM2));
}

__attribute__((cold)) bool pc_init(struct pc *pc, const struct pc_config *config)
{
	if (config->cpus < 1 || config->cpus > PC_CPUS_MAX || config->hz < 1 ||
	    config->hz > HZ_MAX || config->physical_bits < 32 || config->physical_bits > 52)
		return false;
	memset(pc, 0, sizeof(*pc));
	pc->cpus = config->cpus;
	pc->ops = config->ops;
	pc->ctx = config->ctx;
	init_lapics(pc, config);
	init_board(pc, config);
	if (!add_maps(pc))
		return false;
	if (!config->firmware)
		return true;
	pm_moved(pc, 0);
	return add_firmware(pc, config->firmware_debug);
}
