/* SPDX-License-Identifier: MIT */
/* ACPI tables of the machine. */
#include "arch/x86_64/acpi.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/paging.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/string.h"

#define TABLE_MAX (16 * MIB)

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct rsdp) == 36, "ACPI 2.0 RSDP");
#define RSDP_ACPI1_SIZE 20

struct generic_address {
	uint8_t space;
	uint8_t width;
	uint8_t offset;
	uint8_t access;
	uint64_t address;
} __attribute__((packed));
#define SPACE_IO 1

struct fadt {
	struct acpi_table header;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved0;
	uint8_t profile;
	uint16_t sci_irq;
	uint32_t smi_command;
	uint8_t acpi_enable;
	uint8_t acpi_disable;
	uint8_t s4bios;
	uint8_t pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control;
	uint32_t pm2_control, pm_timer, gpe0, gpe1;
	uint8_t pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length;
	uint8_t skipped[20];
	uint32_t flags;
	struct generic_address reset;
	uint8_t reset_value;
} __attribute__((packed));
_Static_assert(offsetof(struct fadt, flags) == 112, "FADT flags");
_Static_assert(offsetof(struct fadt, reset_value) == 128, "FADT reset value");
#define FADT_RESET_SUPPORTED BIT(10)
#define PM1_SCI_ENABLE	     BIT(0)
#define PM1_SLEEP_ENABLE     BIT(13)
#define PM1_SLEEP_SHIFT	     10

struct madt {
	struct acpi_table header;
	uint32_t lapic;
	uint32_t flags;
} __attribute__((packed));

struct madt_entry {
	uint8_t type;
	uint8_t length;
};

struct madt_ioapic {
	struct madt_entry header;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t gsi_base;
} __attribute__((packed));

struct madt_override {
	struct madt_entry header;
	uint8_t bus;
	uint8_t irq;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));
enum { MADT_IOAPIC = 1, MADT_OVERRIDE = 2 };

/* Fields of the override's flags: 0 is 'as the bus does'. */
#define POLARITY(flags)	    ((flags)&3)
#define POLARITY_ACTIVE_LOW 3
#define TRIGGER(flags)	    ((flags) >> 2 & 3)
#define TRIGGER_LEVEL	    3

static struct {
	const struct acpi_table *root;
	unsigned pointer_size; /* of the root's entries: 4 (RSDT) or 8 (XSDT) */
	const struct fadt *fadt;
	const struct madt *madt;
} acpi;

static bool checksum_ok(const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum == 0;
}

/* Maps the table at a physical address; NULL unless it is whole and sums up. */
static const struct acpi_table *map_table(uint64_t address)
{
	const struct acpi_table *table = (const struct acpi_table *)address;

	if (!address || !paging_map_firmware(address, sizeof(*table)))
		return NULL;
	if (table->length < sizeof(*table) || table->length > TABLE_MAX ||
	    !paging_map_firmware(address, table->length) || !checksum_ok(table, table->length)) {
		log_warn("ACPI: table at 0x%lx is damaged (length or checksum), ignored", address);
		return NULL;
	}
	return table;
}

const struct acpi_table *acpi_find(const char *signature)
{
	size_t entries;

	if (!acpi.root)
		return NULL;
	entries = (acpi.root->length - sizeof(*acpi.root)) / acpi.pointer_size;
	for (size_t i = 0; i < entries; i++) {
		uint64_t address = 0;
		const struct acpi_table *table;

		memcpy(&address, (const uint8_t *)(acpi.root + 1) + i * acpi.pointer_size,
		       acpi.pointer_size);
		if (!address || !paging_map_firmware(address, sizeof(*table)))
			continue;
		table = (const struct acpi_table *)address;
		if (memcmp(table->signature, signature, sizeof(table->signature)) == 0)
			return map_table(address);
	}
	return NULL;
}

bool acpi_init(const uint8_t *copy, size_t size)
{
	struct rsdp rsdp = {0};

	memcpy(&rsdp, copy, MIN(size, sizeof(rsdp)));
	if (size < RSDP_ACPI1_SIZE || memcmp(rsdp.signature, "RSD PTR ", 8) != 0 ||
	    !checksum_ok(copy, RSDP_ACPI1_SIZE))
		return false;
	if (rsdp.revision >= 2 && size >= sizeof(rsdp) && rsdp.xsdt) {
		acpi.root = map_table(rsdp.xsdt);
		acpi.pointer_size = 8;
	}
	if (!acpi.root) {
		acpi.root = map_table(rsdp.rsdt);
		acpi.pointer_size = 4;
	}
	acpi.fadt = (const struct fadt *)acpi_find("FACP");
	/* ACPI 1.0's FADT ends before the reset register, at 116 bytes. */
	if (acpi.fadt && acpi.fadt->header.length < offsetof(struct fadt, reset))
		acpi.fadt = NULL;
	acpi.madt = (const struct madt *)acpi_find("APIC");
	if (acpi.madt && acpi.madt->header.length < sizeof(*acpi.madt))
		acpi.madt = NULL;
	return acpi.root != NULL;
}

/* The next entry of `type` and at least `size` bytes after `previous` (NULL: the first). */
static const void *madt_next(const void *previous, uint8_t type, size_t size)
{
	const uint8_t *end, *at;

	if (!acpi.madt)
		return NULL;
	end = (const uint8_t *)acpi.madt + acpi.madt->header.length;
	at = previous ? (const uint8_t *)previous + ((const struct madt_entry *)previous)->length
		      : (const uint8_t *)(acpi.madt + 1);
	while (at + sizeof(struct madt_entry) <= end) {
		const struct madt_entry *entry = (const struct madt_entry *)at;

		if (entry->length < sizeof(*entry) || at + entry->length > end)
			return NULL;
		if (entry->type == type && entry->length >= size)
			return entry;
		at += entry->length;
	}
	return NULL;
}

struct acpi_irq acpi_isa_irq(uint8_t irq)
{
	const struct madt_override *o = NULL;

	while ((o = madt_next(o, MADT_OVERRIDE, sizeof(*o))))
		if (o->irq == irq)
			return (struct acpi_irq){.gsi = o->gsi,
						 .level = TRIGGER(o->flags) == TRIGGER_LEVEL,
						 .active_low =
							 POLARITY(o->flags) == POLARITY_ACTIVE_LOW};
	return (struct acpi_irq){.gsi = irq};
}

bool acpi_ioapic(uint32_t gsi, uint64_t *address, uint32_t *gsi_base)
{
	const struct madt_ioapic *io = NULL, *best = NULL;

	while ((io = madt_next(io, MADT_IOAPIC, sizeof(*io))))
		if (io->gsi_base <= gsi && (!best || io->gsi_base > best->gsi_base))
			best = io;
	if (!best)
		return false;
	*address = best->address;
	*gsi_base = best->gsi_base;
	return true;
}

const void *acpi_madt(size_t *size)
{
	*size = acpi.madt ? acpi.madt->header.length : 0;
	return acpi.madt;
}

uint16_t acpi_pm_timer(void)
{
	return acpi.fadt && acpi.fadt->pm_timer_length == 4 ? (uint16_t)acpi.fadt->pm_timer : 0;
}

/* A byte constant in AML: ZeroOp, OneOp, or BytePrefix and the byte. Advances *at past it. */
static bool aml_byte(const uint8_t **at, const uint8_t *end, uint8_t *value)
{
	if (*at >= end)
		return false;
	if (**at == 0x00 || **at == 0x01) {
		*value = *(*at)++;
		return true;
	}
	if (**at != 0x0a || *at + 1 >= end)
		return false;
	*value = (*at)[1];
	*at += 2;
	return true;
}

/*
 * SLP_TYPa and SLP_TYPb of \_S5: Name(_S5_, Package { a, b, ... }) in the DSDT, found by its bytes:
 * every firmware writes it as a constant, and running AML for it would take an interpreter.
 */
static bool find_s5(uint8_t *type_a, uint8_t *type_b)
{
	const struct acpi_table *dsdt = acpi.fadt ? map_table(acpi.fadt->dsdt) : NULL;
	const uint8_t *at, *end;

	if (!dsdt)
		return false;
	end = (const uint8_t *)dsdt + dsdt->length;
	for (at = (const uint8_t *)(dsdt + 1); at + 8 < end; at++) {
		const uint8_t *package = at + 4;

		if (memcmp(at, "_S5_", 4) != 0 || *package != 0x12)
			continue;
		/* PackageOp, its length in 1 to 4 bytes (top two bits of the first), a count. */
		package += 1 + 1 + (package[1] >> 6) + 1;
		if (aml_byte(&package, end, type_a) && aml_byte(&package, end, type_b))
			return true;
	}
	return false;
}

static void enter_s5(uint32_t port, uint8_t type)
{
	uint16_t control = (uint16_t)(inw((uint16_t)port) & ~(7u << PM1_SLEEP_SHIFT));

	control = (uint16_t)(control | (unsigned)(type & 7) << PM1_SLEEP_SHIFT);
	outw((uint16_t)port, control);
	outw((uint16_t)port, (uint16_t)(control | PM1_SLEEP_ENABLE));
}

void acpi_poweroff(void)
{
	uint8_t type_a, type_b;

	if (!acpi.fadt || !find_s5(&type_a, &type_b))
		return;
	/* Firmware in legacy mode ignores the sleep registers: ask for ACPI mode first. */
	if (!(inw((uint16_t)acpi.fadt->pm1a_control) & PM1_SCI_ENABLE) && acpi.fadt->smi_command &&
	    acpi.fadt->acpi_enable) {
		outb((uint16_t)acpi.fadt->smi_command, acpi.fadt->acpi_enable);
		for (unsigned i = 0; i < 1000000; i++)
			if (inw((uint16_t)acpi.fadt->pm1a_control) & PM1_SCI_ENABLE)
				break;
	}
	enter_s5(acpi.fadt->pm1a_control, type_a);
	if (acpi.fadt->pm1b_control)
		enter_s5(acpi.fadt->pm1b_control, type_b);
}

void acpi_reboot(void)
{
	if (acpi.fadt && acpi.fadt->header.length > offsetof(struct fadt, reset_value) &&
	    (acpi.fadt->flags & FADT_RESET_SUPPORTED) && acpi.fadt->reset.space == SPACE_IO)
		outb((uint16_t)acpi.fadt->reset.address, acpi.fadt->reset_value);
	/* Keyboard controller's reset pulse, then the chipset's reset register. */
	outb(0x64, 0xfe);
	outb(0xcf9, 0x02);
	outb(0xcf9, 0x06);
}
