/* SPDX-License-Identifier: MIT */
/*
 * Firmware tables.
 *
 * ACPI specification 6.5, 'ACPI Software Programming Model' (RSDP, RSDT, XSDT, FADT, FACS, MADT);
 * Intel MultiProcessor Specification 1.4, 'MP Configuration Table'; DMTF System Management BIOS
 * Reference Specification 3.6 (the 2.1 entry point).
 */
#include "vm/firmware.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "vm/aml.h"
#include "vm/layout.h"
#include "vm/pc.h"

#include "gen/dsdt.h"

#define PACKED __attribute__((packed))

/* What lies where: each table has room for the largest PC. */
#define AT_RSDP	      LAYOUT_ACPI
#define AT_RSDT	      (LAYOUT_ACPI + 0x100)
#define AT_XSDT	      (LAYOUT_ACPI + 0x200)
#define AT_MCFG	      (LAYOUT_ACPI + 0x300)
#define AT_HPET	      (LAYOUT_ACPI + 0x380)
#define AT_FADT	      (LAYOUT_ACPI + 0x400)
#define AT_MADT	      (LAYOUT_ACPI + 0x800)
#define AT_SSDT	      (LAYOUT_ACPI + 0x1000)
#define AT_DSDT	      (LAYOUT_ACPI + 0x2000)
#define AT_FACS	      LAYOUT_ACPI_END /* the guest may not reclaim it */
#define AT_MP	      (LAYOUT_ACPI_END + 0x1000)

#define AT_MP_POINTER (LAYOUT_EBDA + 0x10) /* byte 0 of the EBDA is its size in KiB */

/* BIOS data area. */
#define BDA_COM1     0x400
#define BDA_COM2     0x402
#define BDA_EBDA     0x40E
#define BDA_BASE_KIB 0x413
#define BDA_VIDEO    0x449 /* struct bda_video */
#define BDA_ROWS     0x484 /* struct bda_rows */
#define TEXT_MEMORY  0xB8000
#define TEXT_COLUMNS 80
#define TEXT_ROWS    25
#define TEXT_BLANK   0x0720 /* grey on black */

/* Sign of the maker, in each table's own length. */
#define OEM_ID                               \
	{                                    \
		'S', 'O', 'C', 'L', 'E', ' ' \
	}
#define OEM_TABLE_ID                                   \
	{                                              \
		'S', 'O', 'C', 'L', 'E', 'P', 'C', ' ' \
	}
#define CREATOR_ID                 \
	{                          \
		'S', 'O', 'C', 'L' \
	}

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} PACKED;
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI: System Description Table Header");

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} PACKED;
_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI: Root System Description Pointer");

#define RSDP_V1_LENGTH 20

struct acpi_address {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} PACKED;
_Static_assert(sizeof(struct acpi_address) == 12, "ACPI: Generic Address Structure");

#define SPACE_IO     1
#define ACCESS_BYTE  1
#define ACCESS_WORD  2
#define ACCESS_DWORD 3

struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved0;
	uint8_t profile;
	uint16_t sci_irq;
	uint32_t smi_command;
	uint8_t acpi_enable;
	uint8_t acpi_disable;
	uint8_t s4bios_request;
	uint8_t pstate_control;
	uint32_t pm1a_event;
	uint32_t pm1b_event;
	uint32_t pm1a_control;
	uint32_t pm1b_control;
	uint32_t pm2_control;
	uint32_t pm_timer;
	uint32_t gpe0;
	uint32_t gpe1;
	uint8_t pm1_event_length;
	uint8_t pm1_control_length;
	uint8_t pm2_control_length;
	uint8_t pm_timer_length;
	uint8_t gpe0_length;
	uint8_t gpe1_length;
	uint8_t gpe1_base;
	uint8_t cstate_control;
	uint16_t c2_latency;
	uint16_t c3_latency;
	uint16_t flush_size;
	uint16_t flush_stride;
	uint8_t duty_offset;
	uint8_t duty_width;
	uint8_t day_alarm;
	uint8_t month_alarm;
	uint8_t century;
	uint16_t boot_flags;
	uint8_t reserved1;
	uint32_t flags;
	struct acpi_address reset;
	uint8_t reset_value;
	uint16_t arm_boot_flags;
	uint8_t minor_revision;
	uint64_t x_facs;
	uint64_t x_dsdt;
	struct acpi_address x_pm1a_event;
	struct acpi_address x_pm1b_event;
	struct acpi_address x_pm1a_control;
	struct acpi_address x_pm1b_control;
	struct acpi_address x_pm2_control;
	struct acpi_address x_pm_timer;
	struct acpi_address x_gpe0;
	struct acpi_address x_gpe1;
	struct acpi_address sleep_control;
	struct acpi_address sleep_status;
	char hypervisor[8];
} PACKED;
_Static_assert(sizeof(struct acpi_fadt) == 276, "ACPI: Fixed ACPI Description Table, revision 6");

#define FADT_REVISION	     6
#define FADT_MINOR	     5
#define FADT_C2_NONE	     101  /* beyond the 100 us that a C2 may take */
#define FADT_C3_NONE	     1001 /* the same for C3 */
#define FADT_CENTURY	     0x32
#define FADT_BOOT_LEGACY     BIT(0) /* devices on ISA */
#define FADT_BOOT_8042	     BIT(1)
#define FADT_WBINVD	     BIT(0)
#define FADT_C1		     BIT(2)
#define FADT_NO_SLEEP_BUTTON BIT(5) /* bit 4 clear: the power button is in PM1 */
#define FADT_NO_RTC_WAKE     BIT(6)
#define FADT_TIMER_32BIT     BIT(8)
#define FADT_RESET	     BIT(10)

struct acpi_facs {
	char signature[4];
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved[31];
} PACKED;
_Static_assert(sizeof(struct acpi_facs) == 64, "ACPI: Firmware ACPI Control Structure");

struct acpi_mcfg {
	struct acpi_header header;
	uint64_t reserved0;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus;
	uint8_t last_bus;
	uint32_t reserved1;
} PACKED;
_Static_assert(sizeof(struct acpi_mcfg) == 60, "PCI Firmware Specification: MCFG, one entry");

struct madt_lapic {
	uint8_t type;
	uint8_t length;
	uint8_t uid;
	uint8_t id;
	uint32_t flags;
} PACKED;

struct madt_ioapic {
	uint8_t type;
	uint8_t length;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t gsi_base;
} PACKED;

struct madt_override {
	uint8_t type;
	uint8_t length;
	uint8_t bus;
	uint8_t irq;
	uint32_t gsi;
	uint16_t flags;
} PACKED;

struct madt_nmi {
	uint8_t type;
	uint8_t length;
	uint8_t uid;
	uint16_t flags;
	uint8_t lint;
} PACKED;

struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic_address;
	uint32_t flags;
	struct madt_ioapic ioapic;
	struct madt_override timer;
	struct madt_override sci;
	struct madt_nmi nmi;
	struct madt_lapic lapic[PC_CPUS_MAX];
} PACKED;
_Static_assert(sizeof(struct madt_lapic) == 8 && sizeof(struct madt_ioapic) == 12 &&
		       sizeof(struct madt_override) == 10 && sizeof(struct madt_nmi) == 6,
	       "ACPI: Interrupt Controller Structures");

enum madt_type { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_NMI = 4 };

#define MADT_REVISION 5
#define MADT_PCAT     BIT(0)
#define MADT_ENABLED  BIT(0)
#define MADT_ALL      0xFF
/* MPS INTI flags, the same in the MP table: 0 is what the bus has (ISA: high, edge). */
#define INTI_HIGH_LEVEL 0x000D
#define LINT_NMI	1
#define LINT_EXTINT	0

/* Makes the bytes of a structure add up to zero. */
static uint8_t checksum(const void *data, size_t length)
{
	const uint8_t *byte = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + byte[i]);
	return (uint8_t)-sum;
}

static struct acpi_header header(const char *signature, uint8_t revision, size_t length)
{
	struct acpi_header h = {
		.length = (uint32_t)length,
		.revision = revision,
		.oem_id = OEM_ID,
		.oem_table_id = OEM_TABLE_ID,
		.oem_revision = 1,
		.creator_id = CREATOR_ID,
		.creator_revision = 1,
	};

	memcpy(h.signature, signature, sizeof(h.signature));
	return h;
}

/* `table` begins with its header, whose length counts. */
static bool write_table(struct guest_memory *memory, uint64_t gpa, void *table)
{
	struct acpi_header *h = table;

	h->checksum = 0;
	h->checksum = checksum(table, h->length);
	return guest_memory_write(memory, gpa, table, h->length);
}

static struct acpi_address io_register(uint16_t port, unsigned bytes, uint8_t access)
{
	return (struct acpi_address){.space = SPACE_IO,
				     .bit_width = (uint8_t)(8 * bytes),
				     .access_size = access,
				     .address = port};
}

static bool write_fadt(struct guest_memory *memory)
{
	struct acpi_fadt fadt = {
		.header = header("FACP", FADT_REVISION, sizeof(fadt)),
		.facs = AT_FACS,
		.dsdt = AT_DSDT,
		.sci_irq = PC_IRQ_SCI,
		.smi_command = VACPI_SMI_COMMAND,
		.acpi_enable = VACPI_ENABLE,
		.acpi_disable = VACPI_DISABLE,
		.pm1a_event = VACPI_PM1_EVENT,
		.pm1a_control = VACPI_PM1_CONTROL,
		.pm_timer = VACPI_PM_TIMER,
		.pm1_event_length = 4,
		.pm1_control_length = 2,
		.pm_timer_length = 4,
		.c2_latency = FADT_C2_NONE,
		.c3_latency = FADT_C3_NONE,
		.century = FADT_CENTURY,
		.boot_flags = FADT_BOOT_LEGACY | FADT_BOOT_8042,
		.flags = FADT_WBINVD | FADT_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_RTC_WAKE |
			 FADT_TIMER_32BIT | FADT_RESET,
		.reset = io_register(VACPI_RESET_PORT, 1, ACCESS_BYTE),
		.reset_value = VACPI_RESET_VALUE,
		.minor_revision = FADT_MINOR,
		.x_dsdt = AT_DSDT,
		.x_pm1a_event = io_register(VACPI_PM1_EVENT, 4, ACCESS_WORD),
		.x_pm1a_control = io_register(VACPI_PM1_CONTROL, 2, ACCESS_WORD),
		.x_pm_timer = io_register(VACPI_PM_TIMER, 4, ACCESS_DWORD),
		.hypervisor = {'S', 'o', 'c', 'l', 'e'},
	};
	struct acpi_facs facs = {
		.signature = {'F', 'A', 'C', 'S'}, .length = sizeof(facs), .version = 2};

	return write_table(memory, AT_FADT, &fadt) &&
	       guest_memory_write(memory, AT_FACS, &facs, sizeof(facs));
}

static bool write_madt(struct guest_memory *memory, unsigned cpus)
{
	size_t length = offsetof(struct acpi_madt, lapic) + cpus * sizeof(struct madt_lapic);
	struct acpi_madt madt = {
		.header = header("APIC", MADT_REVISION, length),
		.lapic_address = VLAPIC_BASE_DEFAULT,
		.flags = MADT_PCAT,
		.ioapic = {MADT_IOAPIC, sizeof(madt.ioapic), pc_ioapic_id(cpus), 0, VIOAPIC_BASE,
			   0},
		.timer = {MADT_OVERRIDE, sizeof(madt.timer), 0, PC_IRQ_TIMER, PC_GSI_TIMER, 0},
		.sci = {MADT_OVERRIDE, sizeof(madt.sci), 0, PC_IRQ_SCI, PC_IRQ_SCI,
			INTI_HIGH_LEVEL},
		.nmi = {MADT_LAPIC_NMI, sizeof(madt.nmi), MADT_ALL, 0, LINT_NMI},
	};

	for (unsigned i = 0; i < cpus; i++)
		madt.lapic[i] = (struct madt_lapic){MADT_LAPIC, sizeof(struct madt_lapic),
						    (uint8_t)i, (uint8_t)i, MADT_ENABLED};
	return write_table(memory, AT_MADT, &madt);
}

static bool write_mcfg(struct guest_memory *memory)
{
	struct acpi_mcfg mcfg = {.header = header("MCFG", 1, sizeof(mcfg)), .base = LAYOUT_ECAM};

	struct {
		struct acpi_header header;
		uint32_t id;
		struct acpi_address address;
		uint8_t number;
		uint16_t least; /* units between interrupts of a periodic timer */
		uint8_t flags;
	} PACKED hpet = {
		.header = header("HPET", 1, sizeof(hpet)),
		.id = VHPET_ID,
		.address = {.bit_width = 64, .address = VHPET_BASE},
		.least = VHPET_HZ / 10000,
	};

	_Static_assert(sizeof(hpet) == 56, "IA-PC HPET: Description Table");
	return write_table(memory, AT_MCFG, &mcfg) && write_table(memory, AT_HPET, &hpet);
}

static bool write_ssdt(struct guest_memory *memory, unsigned cpus)
{
	struct {
		struct acpi_header header;
		uint8_t aml[AML_PROCESSORS_MAX(PC_CPUS_MAX)];
	} PACKED ssdt;
	size_t length = sizeof(ssdt.header) + aml_processors(ssdt.aml, cpus);

	ssdt.header = header("SSDT", 2, length);
	return write_table(memory, AT_SSDT, &ssdt);
}

static bool write_roots(struct guest_memory *memory)
{
	static const uint32_t tables[] = {AT_FADT, AT_MADT, AT_SSDT, AT_MCFG, AT_HPET};
	struct {
		struct acpi_header header;
		uint32_t entry[ARRAY_SIZE(tables)];
	} PACKED rsdt = {.header = header("RSDT", 1, sizeof(rsdt))};
	struct {
		struct acpi_header header;
		uint64_t entry[ARRAY_SIZE(tables)];
	} PACKED xsdt = {.header = header("XSDT", 1, sizeof(xsdt))};
	struct acpi_rsdp rsdp = {
		.signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '},
		.oem_id = OEM_ID,
		.revision = 2,
		.rsdt = AT_RSDT,
		.length = sizeof(rsdp),
		.xsdt = AT_XSDT,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++)
		xsdt.entry[i] = rsdt.entry[i] = tables[i];
	rsdp.checksum = checksum(&rsdp, RSDP_V1_LENGTH);
	rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
	return write_table(memory, AT_RSDT, &rsdt) && write_table(memory, AT_XSDT, &xsdt) &&
	       guest_memory_write(memory, AT_RSDP, &rsdp, sizeof(rsdp));
}

_Static_assert(sizeof(dsdt_aml) <= LAYOUT_ACPI_END - AT_DSDT, "the DSDT fits");
_Static_assert(sizeof(struct acpi_madt) <= AT_SSDT - AT_MADT, "the MADT fits");
_Static_assert(sizeof(struct acpi_header) + AML_PROCESSORS_MAX(PC_CPUS_MAX) <= AT_DSDT - AT_SSDT,
	       "the SSDT fits");

static bool write_acpi(struct guest_memory *memory, unsigned cpus)
{
	return write_roots(memory) && write_fadt(memory) && write_madt(memory, cpus) &&
	       write_ssdt(memory, cpus) && write_mcfg(memory) &&
	       guest_memory_write(memory, AT_DSDT, dsdt_aml, sizeof(dsdt_aml));
}

/* --- MP tables --- */

struct mp_pointer {
	char signature[4];
	uint32_t table;
	uint8_t length; /* in 16 bytes */
	uint8_t revision;
	uint8_t checksum;
	uint8_t features[5]; /* all zero: a table is there; virtual wire mode */
} PACKED;
_Static_assert(sizeof(struct mp_pointer) == 16, "MP: Floating Pointer Structure");

struct mp_cpu {
	uint8_t type;
	uint8_t lapic_id;
	uint8_t lapic_version;
	uint8_t flags;
	uint32_t signature;
	uint32_t features;
	uint32_t reserved[2];
} PACKED;

struct mp_bus {
	uint8_t type;
	uint8_t id;
	char name[6];
} PACKED;

struct mp_ioapic {
	uint8_t type;
	uint8_t id;
	uint8_t version;
	uint8_t flags;
	uint32_t address;
} PACKED;

struct mp_interrupt {
	uint8_t type;
	uint8_t kind;
	uint16_t flags;
	uint8_t bus;
	uint8_t irq;
	uint8_t apic;
	uint8_t pin;
} PACKED;

enum mp_type { MP_CPU, MP_BUS, MP_IOAPIC, MP_IO_INTERRUPT, MP_LOCAL_INTERRUPT };
enum mp_kind { MP_INT, MP_NMI, MP_SMI, MP_EXTINT };

#define MP_REVISION	4
#define MP_CPU_ENABLED	BIT(0)
#define MP_CPU_BSP	BIT(1)
#define MP_CPU_FAMILY6	0x600
#define MP_CPU_FEATURES (BIT(0) | BIT(9)) /* FPU, APIC */
#define MP_ALL		0xFF
#define MP_ISA_IRQS	15 /* 0..15 but the cascade */
#define LAPIC_VERSION	0x14
#define IOAPIC_VERSION	0x20
#define ISA_IRQS	16
#define IRQ_CASCADE	2

struct mp_table {
	char signature[4];
	uint16_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[8];
	char product_id[12];
	uint32_t oem_table;
	uint16_t oem_table_length;
	uint16_t entries;
	uint32_t lapic_address;
	uint16_t extended_length;
	uint8_t extended_checksum;
	uint8_t reserved;
	/* Entries go by ascending type; the processors come first, right before `rest`. */
	struct mp_cpu cpu[PC_CPUS_MAX];
} PACKED;

struct mp_rest {
	struct mp_bus isa;
	struct mp_ioapic ioapic;
	struct mp_interrupt irq[MP_ISA_IRQS];
	struct mp_interrupt extint;
	struct mp_interrupt local[2];
} PACKED;
_Static_assert(offsetof(struct mp_table, cpu) == 44 && sizeof(struct mp_cpu) == 20 &&
		       sizeof(struct mp_bus) == 8 && sizeof(struct mp_ioapic) == 8 &&
		       sizeof(struct mp_interrupt) == 8,
	       "MP: Configuration Table Header and entries");

static void fill_interrupts(struct mp_rest *rest, uint8_t ioapic)
{
	unsigned at = 0;

	for (uint8_t irq = 0; irq < ISA_IRQS; irq++)
		if (irq != IRQ_CASCADE)
			rest->irq[at++] =
				(struct mp_interrupt){MP_IO_INTERRUPT,
						      MP_INT,
						      irq == PC_IRQ_SCI ? INTI_HIGH_LEVEL : 0,
						      0,
						      irq,
						      ioapic,
						      irq == PC_IRQ_TIMER ? PC_GSI_TIMER : irq};
	rest->extint =
		(struct mp_interrupt){MP_IO_INTERRUPT, MP_EXTINT, 0, 0, 0, ioapic, PC_GSI_EXTINT};
	rest->local[0] =
		(struct mp_interrupt){MP_LOCAL_INTERRUPT, MP_EXTINT, 0, 0, 0, MP_ALL, LINT_EXTINT};
	rest->local[1] =
		(struct mp_interrupt){MP_LOCAL_INTERRUPT, MP_NMI, 0, 0, 0, MP_ALL, LINT_NMI};
}

static bool write_mp_table(struct guest_memory *memory, unsigned cpus)
{
	size_t head = offsetof(struct mp_table, cpu) + cpus * sizeof(struct mp_cpu);
	struct mp_table table = {
		.signature = {'P', 'C', 'M', 'P'},
		.length = (uint16_t)(head + sizeof(struct mp_rest)),
		.revision = MP_REVISION,
		.oem_id = {'S', 'O', 'C', 'L', 'E', ' ', ' ', ' '},
		.product_id = {'P', 'C', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '},
		.entries = (uint16_t)(cpus + 2 + MP_ISA_IRQS + 3),
		.lapic_address = VLAPIC_BASE_DEFAULT,
	};
	struct mp_rest rest = {
		.isa = {MP_BUS, 0, {'I', 'S', 'A', ' ', ' ', ' '}},
		.ioapic = {MP_IOAPIC, pc_ioapic_id(cpus), IOAPIC_VERSION, 1, VIOAPIC_BASE},
	};

	for (unsigned i = 0; i < cpus; i++)
		table.cpu[i] = (struct mp_cpu){
			MP_CPU,		(uint8_t)i,
			LAPIC_VERSION,	(uint8_t)(MP_CPU_ENABLED | (i ? 0 : MP_CPU_BSP)),
			MP_CPU_FAMILY6, MP_CPU_FEATURES,
			{0, 0},
		};
	fill_interrupts(&rest, pc_ioapic_id(cpus));
	/* The sum over both parts is zero when one's is the other's complement. */
	table.checksum = (uint8_t)(checksum(&table, head) + checksum(&rest, sizeof(rest)));
	return guest_memory_write(memory, AT_MP, &table, head) &&
	       guest_memory_write(memory, AT_MP + head, &rest, sizeof(rest));
}

static bool write_mp(struct guest_memory *memory, unsigned cpus)
{
	struct mp_pointer pointer = {
		.signature = {'_', 'M', 'P', '_'},
		.table = AT_MP,
		.length = 1,
		.revision = MP_REVISION,
	};

	pointer.checksum = checksum(&pointer, sizeof(pointer));
	return write_mp_table(memory, cpus) &&
	       guest_memory_write(memory, AT_MP_POINTER, &pointer, sizeof(pointer));
}

/* --- SMBIOS: who made the machine, that it is not older than PCI, and its CPUs --- */

struct smbios_entry {
	char anchor[4];
	uint8_t checksum;
	uint8_t length;
	uint8_t major;
	uint8_t minor;
	uint16_t largest;
	uint8_t revision;
	uint8_t formatted[5];
	char dmi_anchor[5];
	uint8_t dmi_checksum;
	uint16_t table_length;
	uint32_t table;
	uint16_t structures;
	uint8_t bcd_revision;
} PACKED;
_Static_assert(sizeof(struct smbios_entry) == 31, "SMBIOS: 2.1 (32-bit) Entry Point");

struct smbios_tables {
	struct {
		uint8_t type, length;
		uint16_t handle;
		uint8_t vendor, version;
		uint16_t segment;
		uint8_t date, rom_size;
		uint64_t characteristics;
		uint8_t extension[2];
		uint8_t major, minor, ec_major, ec_minor;
		char strings[sizeof("Socle\0001\00001/01/2026\0")];
	} PACKED bios;
	struct {
		uint8_t type, length;
		uint16_t handle;
		uint8_t maker, product, version, serial;
		uint8_t uuid[16];
		uint8_t wake_up, sku, family;
		char strings[sizeof("Socle\0PC\0")];
	} PACKED system;
	struct {
		uint8_t type, length;
		uint16_t handle;
		uint8_t socket, kind, family, maker;
		uint32_t signature, features;
		uint8_t version, voltage;
		uint16_t clock, speed_max, speed;
		uint8_t status, upgrade;
		uint16_t cache[3];
		uint8_t serial, asset, part;
		uint8_t cores, enabled, threads;
		uint16_t characteristics, family2;
		char strings[sizeof("CPU0\0Socle\0")];
	} PACKED cpu;
	struct {
		uint8_t type, length;
		uint16_t handle;
		char strings[2];
	} PACKED end;
} PACKED;

_Static_assert(offsetof(struct smbios_tables, cpu.strings) - offsetof(struct smbios_tables, cpu) ==
		       0x2A,
	       "SMBIOS 2.8: Processor Information");

#define SMBIOS_BIOS	   0
#define SMBIOS_SYSTEM	   1
#define SMBIOS_CPU	   4
#define SMBIOS_END	   127
#define SMBIOS_CPU_CENTRAL 3
#define SMBIOS_UNKNOWN	   2
#define SMBIOS_CPU_ENABLED 0x41 /* populated, enabled */
#define SMBIOS_CPU_OTHER   1
#define SMBIOS_CPU_64BIT   BIT(2)
#define SMBIOS_CPU_CORES   BIT(3)
#define SMBIOS_NONE	   0xFFFF
#define SMBIOS_NO_CHARACTS BIT(3) /* no characteristics are given */
#define SMBIOS_ACPI	   BIT(0)
#define SMBIOS_VM	   BIT(4) /* extension byte 2: a virtual machine */
#define SMBIOS_NO_EC	   0xFF
#define SMBIOS_WAKE_POWER  6
#define BIOS_SEGMENT	   (LAYOUT_ACPI_END >> 4)
#define SMBIOS_DMI_AT	   offsetof(struct smbios_entry, dmi_anchor)

static bool write_smbios(struct guest_memory *memory, unsigned cpus)
{
	const struct smbios_tables tables = {
		.bios = {SMBIOS_BIOS,
			 offsetof(struct smbios_tables, bios.strings),
			 0,
			 1,
			 2,
			 BIOS_SEGMENT,
			 3,
			 0,
			 SMBIOS_NO_CHARACTS,
			 {SMBIOS_ACPI, SMBIOS_VM},
			 1,
			 0,
			 SMBIOS_NO_EC,
			 SMBIOS_NO_EC,
			 "Socle\0001\00001/01/2026\0"},
		.system = {SMBIOS_SYSTEM,
			   offsetof(struct smbios_tables, system.strings) -
				   offsetof(struct smbios_tables, system),
			   1,
			   1,
			   2,
			   0,
			   0,
			   {0},
			   SMBIOS_WAKE_POWER,
			   0,
			   0,
			   "Socle\0PC\0"},
		.cpu = {.type = SMBIOS_CPU,
			.length = offsetof(struct smbios_tables, cpu.strings) -
				  offsetof(struct smbios_tables, cpu),
			.handle = 2,
			.socket = 1,
			.kind = SMBIOS_CPU_CENTRAL,
			.family = SMBIOS_UNKNOWN,
			.maker = 2,
			.signature = MP_CPU_FAMILY6,
			.features = MP_CPU_FEATURES,
			.status = SMBIOS_CPU_ENABLED,
			.upgrade = SMBIOS_CPU_OTHER,
			.cache = {SMBIOS_NONE, SMBIOS_NONE, SMBIOS_NONE},
			.cores = (uint8_t)cpus,
			.enabled = (uint8_t)cpus,
			.threads = (uint8_t)cpus,
			.characteristics = SMBIOS_CPU_64BIT | (cpus > 1 ? SMBIOS_CPU_CORES : 0),
			.family2 = SMBIOS_UNKNOWN,
			.strings = "CPU0\0Socle\0"},
		.end = {SMBIOS_END, 4, 3, {0, 0}},
	};
	struct smbios_entry entry = {
		.anchor = {'_', 'S', 'M', '_'},
		.length = sizeof(entry),
		.major = 2,
		.minor = 8,
		.largest = MAX(MAX(sizeof(tables.bios), sizeof(tables.system)), sizeof(tables.cpu)),
		.dmi_anchor = {'_', 'D', 'M', 'I', '_'},
		.table_length = sizeof(tables),
		.table = FIRMWARE_DMI,
		.structures = 4,
		.bcd_revision = 0x28,
	};

	entry.dmi_checksum = checksum(entry.dmi_anchor, sizeof(entry) - SMBIOS_DMI_AT);
	entry.checksum = checksum(&entry, sizeof(entry));
	return guest_memory_write(memory, FIRMWARE_SMBIOS, &entry, sizeof(entry)) &&
	       guest_memory_write(memory, FIRMWARE_DMI, &tables, sizeof(tables));
}

static bool write_word(struct guest_memory *memory, uint64_t gpa, uint16_t value)
{
	return guest_memory_write(memory, gpa, &value, sizeof(value));
}

/* What the BIOS's video services know of mode 3. */
struct bda_video {
	uint8_t mode;
	uint16_t columns, page_bytes, page_start;
	uint16_t cursor[8];
	uint16_t cursor_shape;
	uint8_t page;
	uint16_t crtc;
} PACKED;
_Static_assert(BDA_VIDEO + offsetof(struct bda_video, crtc) == 0x463, "BIOS data area");

struct bda_rows {
	uint8_t last;
	uint16_t lines; /* of a character */
} PACKED;

static bool write_text_screen(struct guest_memory *memory)
{
	const struct bda_video video = {.mode = 3,
					.columns = TEXT_COLUMNS,
					.page_bytes = 0x1000,
					.cursor_shape = 0x0607,
					.crtc = 0x3D4};
	const struct bda_rows rows = {TEXT_ROWS - 1, 16};
	uint16_t blank[TEXT_COLUMNS];

	for (unsigned i = 0; i < TEXT_COLUMNS; i++)
		blank[i] = TEXT_BLANK;
	for (unsigned row = 0; row < TEXT_ROWS; row++)
		if (!guest_memory_write(memory, TEXT_MEMORY + row * sizeof(blank), blank,
					sizeof(blank)))
			return false;
	return guest_memory_write(memory, BDA_VIDEO, &video, sizeof(video)) &&
	       guest_memory_write(memory, BDA_ROWS, &rows, sizeof(rows));
}

static bool write_bios_data(struct guest_memory *memory)
{
	const uint8_t ebda_kib = 1;

	return write_text_screen(memory) && write_word(memory, BDA_COM1, VUART_COM1_PORT) &&
	       write_word(memory, BDA_COM2, VUART_COM2_PORT) &&
	       write_word(memory, BDA_EBDA, LAYOUT_EBDA >> 4) &&
	       write_word(memory, BDA_BASE_KIB, LAYOUT_EBDA / KIB) &&
	       guest_memory_write(memory, LAYOUT_EBDA, &ebda_kib, sizeof(ebda_kib));
}

bool firmware_write(struct guest_memory *memory, unsigned cpus, uint64_t *rsdp, struct error *error)
{
	if (cpus < 1 || cpus > PC_CPUS_MAX)
		return error_set(error, "cpus = %u: a PC has 1 to %u", cpus, PC_CPUS_MAX);
	if (!write_acpi(memory, cpus) || !write_mp(memory, cpus) || !write_smbios(memory, cpus) ||
	    !write_bios_data(memory))
		return error_set(error, "memory: at least 1M is needed for the firmware's tables");
	*rsdp = AT_RSDP;
	return true;
}
