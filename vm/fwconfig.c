/* SPDX-License-Identifier: MIT */
/*
 * Items for a guest's firmware. ACPI tables go in one file with pointers that are offsets in it;
 * commands of the 'table loader' turn these into addresses, and mend the checksums.
 * QEMU documentation, 'fw_cfg' and the comments of its bios-linker-loader; ACPI specification 6.5.
 */
#include "vm/fwconfig.h"

#include "gen/kernelrom.h"
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "vm/firmware.h"
#include "vm/image_map.h"
#include "vm/layout.h"
#include "vm/pc.h"

#define KEY_SIGNATURE	 0x00
#define KEY_ID		 0x01
#define KEY_UUID	 0x02
#define KEY_RAM		 0x03
#define KEY_CPUS	 0x05
#define KEY_CPUS_MAX	 0x0F
#define KEY_DIRECTORY	 0x19
#define KEY_FILE	 0x20
#define KEY_IRQ0	 0x8002
#define ID		 3 /* the ports, and DMA */

#define NAME_BYTES	 56
#define COMMAND_ALLOCATE 1
#define COMMAND_POINTER	 2
#define COMMAND_CHECKSUM 3
#define ZONE_HIGH	 1
#define ZONE_F_SEGMENT	 2

#define TABLES		 "etc/acpi/tables"
#define RSDP		 "etc/acpi/rsdp"
#define KERNEL_ROM	 "genroms/kernel.rom"
#define KERNEL_ROM_BYTES 512

/* Offsets in ACPI tables. */
#define TABLE_LENGTH	   4
#define TABLE_CHECKSUM	   9
#define TABLE_ENTRIES	   36
#define RSDP_RSDT	   16
#define RSDP_XSDT	   24
#define RSDP_V1		   20
#define RSDP_CHECKSUM	   8
#define RSDP_CHECKSUM2	   32
#define FADT_FACS	   36
#define FADT_DSDT	   40
#define FADT_PM1_EVENT	   56
#define FADT_PM1_CONTROL   64
#define FADT_PM_TIMER	   76
#define FADT_X_DSDT	   140
#define FADT_X_PM1_EVENT   (148 + 4)
#define FADT_X_PM1_CONTROL (172 + 4)
#define FADT_X_PM_TIMER	   (208 + 4)
#define FACS_BYTES	   64
#define FACS_AT		   (FWCONFIG_TABLES - FACS_BYTES)
#define ANCHOR_LENGTH	   22

static uint32_t word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void put(uint8_t *at, uint64_t value, unsigned size)
{
	memcpy(at, &value, size);
}

static void add_item(struct fwconfig *f, uint16_t key, const void *data, uint32_t size)
{
	f->item[f->items++] = (struct vfwcfg_item){key, size, data};
}

static void add_file(struct fwconfig *f, const char *name, const void *data, uint32_t size)
{
	struct fwconfig_file *file = &f->directory[f->used];
	uint16_t key = (uint16_t)(KEY_FILE + f->used);

	file->size = __builtin_bswap32(size);
	file->key = __builtin_bswap16(key);
	format(file->name, sizeof(file->name), "%s", name);
	f->files = __builtin_bswap32(++f->used);
	add_item(f, key, data, size);
}

/* --- The table loader --- */

static uint8_t *command(struct fwconfig *f, uint32_t kind, const char *name)
{
	uint8_t *to = f->command[MIN(f->commands, FWCONFIG_COMMANDS - 1)];

	f->commands++;
	put(to, kind, 4);
	format((char *)to + 4, NAME_BYTES, "%s", name);
	return to + 4 + NAME_BYTES;
}

static void allocate(struct fwconfig *f, const char *name, uint32_t align, uint8_t zone)
{
	uint8_t *to = command(f, COMMAND_ALLOCATE, name);

	put(to, align, 4);
	to[4] = zone;
}

/* The pointer at `at` leads into the tables. */
static void pointer(struct fwconfig *f, const char *name, uint32_t at, uint8_t size)
{
	uint8_t *to = command(f, COMMAND_POINTER, name);

	format((char *)to, NAME_BYTES, TABLES);
	put(to + NAME_BYTES, at, 4);
	to[NAME_BYTES + 4] = size;
}

/* The sum itself is zero until then: SeaBIOS adds to it, UEFI's loader writes it. */
static void sum(struct fwconfig *f, uint8_t *base, const char *name, uint32_t at, uint32_t start,
		uint32_t length)
{
	uint8_t *to = command(f, COMMAND_CHECKSUM, name);

	base[at] = 0;
	put(to, at, 4);
	put(to + 4, start, 4);
	put(to + 8, length, 4);
}

/* --- ACPI --- */

/* A gpa of the tables, in `size` bytes, to the offset that the loader wants; returns that. */
static uint32_t to_offset(struct fwconfig *f, uint8_t *base, const char *name, uint32_t at,
			  uint8_t size)
{
	uint32_t gpa = word(base + at);
	uint32_t offset = gpa >= LAYOUT_ACPI_END ? FACS_AT : gpa - LAYOUT_ACPI;

	put(base + at, offset, size);
	pointer(f, name, at, size);
	return offset % FACS_AT;
}

/* RSDT or XSDT: each entry, and the FADT among the tables. */
static void convert_root(struct fwconfig *f, uint32_t root, uint8_t size)
{
	uint32_t end = root + MIN(word(f->tables + root + TABLE_LENGTH), 256);

	for (uint32_t at = root + TABLE_ENTRIES; at < end; at += size) {
		uint32_t table = to_offset(f, f->tables, TABLES, at, size);

		if (!memcmp(f->tables + table, "FACP", 4))
			f->fadt = table;
	}
	sum(f, f->tables, TABLES, root + TABLE_CHECKSUM, root, end - root);
}

static bool make_acpi(struct fwconfig *f, struct guest_memory *memory)
{
	uint32_t length;

	if (!guest_memory_read(memory, LAYOUT_ACPI, f->tables, FACS_AT) ||
	    !guest_memory_read(memory, LAYOUT_ACPI_END, f->tables + FACS_AT, FACS_BYTES))
		return false;
	memcpy(f->rsdp, f->tables, sizeof(f->rsdp));
	allocate(f, TABLES, FACS_BYTES, ZONE_HIGH);
	allocate(f, RSDP, 16, ZONE_F_SEGMENT);
	convert_root(f, to_offset(f, f->rsdp, RSDP, RSDP_RSDT, 4), 4);
	convert_root(f, to_offset(f, f->rsdp, RSDP, RSDP_XSDT, 8), 8);
	to_offset(f, f->tables, TABLES, f->fadt + FADT_FACS, 4);
	to_offset(f, f->tables, TABLES, f->fadt + FADT_DSDT, 4);
	to_offset(f, f->tables, TABLES, f->fadt + FADT_X_DSDT, 8);
	length = word(f->tables + f->fadt + TABLE_LENGTH);
	sum(f, f->tables, TABLES, f->fadt + TABLE_CHECKSUM, f->fadt, length);
	sum(f, f->rsdp, RSDP, RSDP_CHECKSUM, 0, RSDP_V1);
	sum(f, f->rsdp, RSDP, RSDP_CHECKSUM2, 0, sizeof(f->rsdp));
	add_file(f, TABLES, f->tables, sizeof(f->tables));
	add_file(f, RSDP, f->rsdp, sizeof(f->rsdp));
	add_file(f, "etc/table-loader", f->command, f->commands * sizeof(f->command[0]));
	return f->fadt && f->commands <= FWCONFIG_COMMANDS;
}

void fwconfig_pm_moved(struct fwconfig *f, uint16_t base)
{
	static const struct {
		uint16_t at;
		uint8_t offset;
	} places[] = {
		{FADT_PM1_EVENT, 0},   {FADT_PM1_CONTROL, 4},	{FADT_PM_TIMER, 8},
		{FADT_X_PM1_EVENT, 0}, {FADT_X_PM1_CONTROL, 4}, {FADT_X_PM_TIMER, 8},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
		put(f->tables + f->fadt + places[i].at, base + places[i].offset, 4);
}

/* --- The rest --- */

static bool make_smbios(struct fwconfig *f, struct guest_memory *memory)
{
	uint16_t length;

	if (!guest_memory_read(memory, FIRMWARE_SMBIOS, f->anchor, sizeof(f->anchor)))
		return false;
	memcpy(&length, f->anchor + ANCHOR_LENGTH, sizeof(length));
	if (length > sizeof(f->smbios) ||
	    !guest_memory_read(memory, FIRMWARE_DMI, f->smbios, length))
		return false;
	add_file(f, "etc/smbios/smbios-anchor", f->anchor, sizeof(f->anchor));
	add_file(f, "etc/smbios/smbios-tables", f->smbios, length);
	return true;
}

static void make_e820(struct fwconfig *f, const struct guest_memory *memory)
{
	uint64_t low = guest_memory_low(memory), high = guest_memory_high(memory);

	f->e820[0] = (struct fwconfig_e820){0, low, MAP_RAM};
	f->e820[1] =
		(struct fwconfig_e820){LAYOUT_ECAM, LAYOUT_ECAM_END - LAYOUT_ECAM, MAP_RESERVED};
	f->e820[2] = (struct fwconfig_e820){GUEST_HIGH_BASE, high, MAP_RAM};
	add_file(f, "etc/e820", f->e820, (high ? 3 : 2) * sizeof(f->e820[0]));
}

/* As QEMU's -kernel does: the parts and where they go, and an option ROM that gets them. */
static bool make_kernel(struct fwconfig *f, const struct vm_config *config,
			const struct guest_memory *memory, struct error *error)
{
	static const uint8_t keys[LINUX_PARTS][3] = {
		[LINUX_CODE] = {0x07, 0x08, 0x11},
		[LINUX_INITRD] = {0x0A, 0x0B, 0x12},
		[LINUX_CMDLINE] = {0x13, 0x14, 0x15},
		[LINUX_SETUP] = {0x16, 0x17, 0x18},
	};

	if (!linux_split(config, memory, f->part, error))
		return false;
	for (unsigned i = 0; i < LINUX_PARTS; i++) {
		const struct linux_part *part = &f->part[i];

		add_item(f, keys[i][0], &part->gpa, sizeof(part->gpa));
		add_item(f, keys[i][1], &part->size, sizeof(part->size));
		add_item(f, keys[i][2], part->data, part->size - (i == LINUX_CMDLINE));
	}
	add_file(f, KERNEL_ROM, kernelrom, KERNEL_ROM_BYTES);
	f->item[f->items - 1].size = sizeof(kernelrom); /* beyond that it reads zero */
	return true;
}

/* A kernel, disks, then CDs; in Open Firmware's words for the IDE function. */
static void make_order(struct fwconfig *f, unsigned drives, bool kernel)
{
	unsigned at = 0;

	if (kernel)
		at = (unsigned)format(f->order, sizeof(f->order), "/rom@" KERNEL_ROM "\n");
	for (unsigned i = 0; i < 2 * FWCONFIG_DRIVES; i++)
		if (drives >> i & 1)
			at += (unsigned)format(f->order + at, sizeof(f->order) - at,
					       "/pci@i0cf8/ide@1,1/drive@%u/disk@%u\n", i / 2 % 2,
					       i % 2);
	if (at)
		add_file(f, "bootorder", f->order, at + 1);
}

bool fwconfig_debug(const struct vm_config *config)
{
	return text_equals(config->firmware.cmdline, "debug");
}

bool fwconfig_make(struct fwconfig *f, struct guest_memory *memory, const struct vm_config *config,
		   unsigned drives, struct error *error)
{
	static const uint8_t uuid[16], id[4] = {ID}, irq0 = 1;

	f->cpus = (uint16_t)config->cpus;
	f->ram = guest_memory_low(memory) + guest_memory_high(memory);
	f->serial = VUART_COM1_PORT;
	add_item(f, KEY_SIGNATURE, "QEMU", 4);
	add_item(f, KEY_ID, id, sizeof(id));
	add_item(f, KEY_UUID, uuid, sizeof(uuid));
	add_item(f, KEY_RAM, &f->ram, sizeof(f->ram));
	add_item(f, KEY_CPUS, &f->cpus, sizeof(f->cpus));
	add_item(f, KEY_CPUS_MAX, &f->cpus, sizeof(f->cpus));
	add_item(f, KEY_IRQ0, &irq0, sizeof(irq0));
	if (!make_acpi(f, memory) || !make_smbios(f, memory))
		return false;
	make_e820(f, memory);
	if (config->kernel.data && !make_kernel(f, config, memory, error))
		return false;
	make_order(f, drives, config->kernel.data);
	if (config->vgabios.data)
		add_file(f, "vgaroms/vgabios.bin", config->vgabios.data,
			 (uint32_t)config->vgabios.size);
	else if (!fwconfig_debug(config))
		add_file(f, "etc/sercon-port", &f->serial, sizeof(f->serial));
	add_item(f, KEY_DIRECTORY, &f->files,
		 (uint32_t)(sizeof(f->files) + f->used * sizeof(f->directory[0])));
	return true;
}
