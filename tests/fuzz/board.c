/* SPDX-License-Identifier: MIT */
/* A PC, and around it what it needs: RAM for requests, media, somebody at the console. */
#include "tests/fuzz/board.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/frames.h"
#include "tests/fuzz/stream.h"
#include "vm/disk.h"
#include "vm/layout.h"
#include "vm/pc.h"

#define CPUS	   3
#define RAM_SIZE   0x2000
#define DISK_SIZE  12345 /* 24 sectors and a bit */
#define CD_SIZE	   (5 * 2048 + 7)
#define HUGE_SIZE  (300 * GIB)
#define ARENA_SIZE (320 * KIB)
/* In seconds: what no VM gets to, and all rates can count. */
#define YEARS	  BIT(32)
#define BLOCK_MAX (4 * VATA_BUFFER)

struct board {
	struct pc pc;
	struct pc_config config;
	struct stream *in;
	const struct board_focus *focus;
	uint64_t now, end;
	uint8_t ram[RAM_SIZE];
	struct frames frames;
	struct spinlock lock;
	struct disk disk;
	uint8_t media[2][DISK_SIZE + 512]; /* what the two small media hold, by our own account */
	bool room;			   /* the console takes bytes */
	unsigned told;			   /* messages and changes of wires so far */
	bool kicked[CPUS];
	uint8_t block[BLOCK_MAX];
};

static struct board board;
static uint8_t page[CPUS][VLAPIC_PAGE_SIZE] __attribute__((aligned(4096)));
static uint8_t buffer[PC_ATA_CHANNELS][VATA_BUFFER];
static uint8_t arena[ARENA_SIZE] __attribute__((aligned(4096)));

/* --- The world outside --- */

static void on_byte(void *ctx, uint8_t byte)
{
	(void)ctx, (void)byte;
}

static void on_console(void *ctx, uint8_t byte)
{
	(void)byte;
	FUZZ_REQUIRE(((struct board *)ctx)->room);
}

static bool on_room(void *ctx)
{
	return ((struct board *)ctx)->room;
}

static void on_value(void *ctx, uint32_t value)
{
	(void)ctx, (void)value;
}

static void on_end(void *ctx)
{
	(void)ctx;
}

static void on_pm_moved(void *ctx, uint16_t base)
{
	FUZZ_REQUIRE(ctx == &board && base % 64 == 0);
}

static void on_kick(void *ctx, unsigned cpu)
{
	struct board *b = ctx;

	FUZZ_REQUIRE(cpu < b->pc.cpus);
	b->kicked[cpu] = true;
	b->told++;
}

static void on_unheard(void *ctx, const struct apic_message *message)
{
	(void)message;
	((struct board *)ctx)->told++;
}

static void on_cpu(void *ctx, unsigned cpu)
{
	FUZZ_REQUIRE(cpu < ((struct board *)ctx)->pc.cpus);
}

static void on_startup(void *ctx, unsigned cpu, uint8_t vector)
{
	(void)vector;
	on_cpu(ctx, cpu);
}

static const struct pc_ops ops = {
	.console_tx = on_console,
	.console_room = on_room,
	.com2_tx = on_byte,
	.debug_tx = on_byte,
	.debug_exit = on_value,
	.power_off = on_end,
	.reset = on_end,
	.pm_moved = on_pm_moved,
	.kick = on_kick,
	.unheard = on_unheard,
	.changed = on_cpu,
	.nmi = on_cpu,
	.smi = on_cpu,
	.init = on_cpu,
	.startup = on_startup,
};

/* --- Memory and media --- */

static bool ram_read(void *ctx, uint64_t gpa, void *to, uint64_t length)
{
	struct board *b = ctx;

	if (!range_within(gpa, length, RAM_SIZE))
		return false;
	memcpy(to, b->ram + gpa, length);
	return true;
}

static bool ram_write(void *ctx, uint64_t gpa, const void *from, uint64_t length)
{
	struct board *b = ctx;

	if (!range_within(gpa, length, RAM_SIZE))
		return false;
	if (from)
		memcpy(b->ram + gpa, from, length);
	else
		memset(b->ram + gpa, 0, length);
	return true;
}

static bool disk_in(void *ctx, uint64_t offset, void *to, uint64_t length)
{
	struct board *b = ctx;

	FUZZ_REQUIRE(disk_read(&b->disk, offset, to, length));
	for (uint64_t i = 0; i < length; i++)
		FUZZ_REQUIRE(((uint8_t *)to)[i] ==
			     (offset + i < sizeof(b->media[0]) ? b->media[0][offset + i] : 0));
	return true;
}

static bool disk_out(void *ctx, uint64_t offset, const void *from, uint64_t length)
{
	struct board *b = ctx;

	FUZZ_REQUIRE(range_within(offset, length, disk_bytes(&b->disk, VATA_SECTOR)));
	if (!disk_write(&b->disk, offset, from, length))
		return false;
	memcpy(b->media[0] + offset, from, length);
	return true;
}

static bool cd_in(void *ctx, uint64_t offset, void *to, uint64_t length)
{
	struct board *b = ctx;

	FUZZ_REQUIRE(length <= VATA_BUFFER);
	for (uint64_t i = 0; i < length; i++)
		((uint8_t *)to)[i] = offset + i < CD_SIZE ? b->media[1][offset + i] : 0;
	return true;
}

static bool no_write(void *ctx, uint64_t offset, const void *from, uint64_t length)
{
	(void)ctx, (void)offset, (void)from, (void)length;
	return false;
}

/* A large disk that holds nothing, and whose every eighth sector is bad. */
static bool huge_in(void *ctx, uint64_t offset, void *to, uint64_t length)
{
	(void)ctx;
	memset(to, 0, length);
	return offset / VATA_SECTOR % 8 != 7;
}

static bool huge_out(void *ctx, uint64_t offset, const void *from, uint64_t length)
{
	(void)ctx, (void)from;
	FUZZ_REQUIRE(range_within(offset, length, HUGE_SIZE));
	return offset / VATA_SECTOR % 8 != 7;
}

/* Bits of `choice`: which drives there are. */
static void add_drives(struct board *b, uint8_t choice)
{
	static uint8_t file[DISK_SIZE];

	memset(b->media, 0, sizeof(b->media));
	for (unsigned i = 0; i < DISK_SIZE; i++)
		b->media[0][i] = b->media[1][i] = file[i] = (uint8_t)(i * 7 + i / 512);
	b->frames = (struct frames){0};
	frames_add(&b->frames, (uint64_t)arena, (uint64_t)arena + ARENA_SIZE);
	disk_init(&b->disk, file, DISK_SIZE, &b->frames, &b->lock);
	if (choice & 1)
		b->config.drive[0] =
			(struct pc_drive){VATA_DISK, {disk_in, disk_out, b, DISK_SIZE}};
	if (choice & 2)
		b->config.drive[1] = (struct pc_drive){VATA_CD, {cd_in, no_write, b, CD_SIZE}};
	if (choice & 4)
		b->config.drive[2] =
			(struct pc_drive){VATA_DISK, {huge_in, huge_out, b, HUGE_SIZE}};
	if (choice & 8)
		b->config.drive[3] = (struct pc_drive){VATA_CD, {cd_in, no_write, b, CD_SIZE}};
	for (unsigned i = 0; i < PC_ATA_CHANNELS; i++)
		b->config.ata_buffer[i] = choice >> 2 * i & 3 ? buffer[i] : NULL;
}

static void start(struct board *b, const struct board_focus *focus, struct stream *in)
{
	static const uint64_t rates[] = {7919,	  100000,    33333,	 1000000,
					 1193182, 999999999, 2400000000, BIT(33)};
	static const uint8_t words[] = "an item of the firmware's";
	static struct vfwcfg_item items[3];
	uint8_t head = stream_byte(in), drives = stream_byte(in);

	memset(b, 0, sizeof(*b));
	b->in = in;
	b->focus = focus;
	b->now = head & 0x80 ? BIT(32) : 12345;
	b->end = MIN(rates[head % 8] * YEARS, BIT(62));
	b->room = true;
	for (unsigned i = 0; i < ARRAY_SIZE(items); i++)
		items[i] = (struct vfwcfg_item){(uint16_t)(i * 0x19), 1 + 9 * i,
						words + sizeof(words) - 1 - (1 + 9 * i)};
	b->config = (struct pc_config){.hz = rates[head % 8],
				       .now = b->now,
				       .epoch = (uint64_t)drives << 24,
				       .ram_low = RAM_SIZE,
				       .cpus = 1 + (head >> 3) % CPUS,
				       .physical_bits = 39,
				       .firmware = focus->firmware || (head & 0x20),
				       .firmware_debug = head & 0x40,
				       .item = items,
				       .items = ARRAY_SIZE(items),
				       .fwcfg = {ram_read, ram_write, b},
				       .ops = &ops,
				       .ctx = b};
	memset(page, 0, sizeof(page));
	for (unsigned i = 0; i < CPUS; i++)
		b->config.apic_page[i] = page[i];
	add_drives(b, focus->drives ? drives | 3 : drives & 0xF);
	FUZZ_REQUIRE(pc_init(&b->pc, &b->config));
}

/* --- What must hold after each step --- */

static int highest(const uint8_t *lapic, unsigned reg)
{
	for (unsigned i = 8; i--;) {
		uint32_t word;

		memcpy(&word, lapic + reg + 16 * i, sizeof(word));
		if (word)
			return (int)(32 * i + 31 - (unsigned)__builtin_clz(word));
	}
	return -1;
}

static void check_lapic(const struct board *b, unsigned cpu)
{
	const struct vlapic *lapic = &b->pc.cpu[cpu].lapic;
	int pending = vlapic_pending(lapic);

	FUZZ_REQUIRE(lapic->irr_top == highest(lapic->page, VLAPIC_IRR));
	FUZZ_REQUIRE(lapic->isr_top == highest(lapic->page, VLAPIC_ISR));
	FUZZ_REQUIRE(pending < 0 || pending >> 4 > vlapic_ppr(lapic) >> 4);
	FUZZ_REQUIRE(pending < 0 || vlapic_tpr_threshold(lapic) == 0);
}

/* An ISA interrupt is one wire to both controllers; but for the cascade, and the timer's pin. */
static void check_wires(const struct board *b)
{
	const struct vpic *pic = &b->pc.pic;
	uint32_t pins = b->pc.ioapic.lines;
	uint32_t inputs = (uint32_t)pic->chip[0].lines | (uint32_t)pic->chip[1].lines << 8;

	FUZZ_REQUIRE(b->pc.intr == vpic_pending(pic));
	FUZZ_REQUIRE(((pins ^ inputs) & 0xFFFA) == 0);
	FUZZ_REQUIRE((pins >> PC_GSI_TIMER & 1) == (inputs >> PC_IRQ_TIMER & 1));
	FUZZ_REQUIRE((pins >> PC_GSI_EXTINT & 1) == b->pc.intr);
	FUZZ_REQUIRE(pins >> VIOAPIC_PINS == 0);
}

static void check_ata(const struct vata *v)
{
	FUZZ_REQUIRE(v->at <= v->end && v->end <= VATA_BUFFER);
	FUZZ_REQUIRE(v->phase != VATA_IDLE || v->at == v->end);
	FUZZ_REQUIRE(v->phase == VATA_IDLE || v->drive[v->active].kind != VATA_NONE);
}

static void check(const struct board *b)
{
	for (unsigned i = 0; i < b->pc.cpus; i++)
		check_lapic(b, i);
	check_wires(b);
	for (unsigned i = 0; i < PC_ATA_CHANNELS; i++)
		check_ata(&b->pc.ata[i]);
}

/* --- Steps --- */

static uint16_t choose_port(struct board *b)
{
	unsigned choice = stream_byte(b->in);

	if (!b->focus->count)
		return (uint16_t)stream_number(b->in, 2);
	for (unsigned i = 0;; i = (i + 1) % b->focus->count) {
		unsigned ports = b->focus->ports[i].last - b->focus->ports[i].first + 1u;

		if (choice < ports)
			return (uint16_t)(b->focus->ports[i].first + choice);
		choice -= ports;
	}
}

static uint64_t choose_gpa(struct board *b)
{
	static const uint64_t bases[BOARD_REGIONS] = {VIOAPIC_BASE, VHPET_BASE, LAYOUT_ECAM,
						      VLAPIC_BASE_DEFAULT};
	unsigned region = stream_byte(b->in) % BOARD_REGIONS;
	uint64_t offset = stream_number(b->in, 2);

	if (!(b->focus->regions >> region & 1))
		region = b->focus->regions ? (unsigned)__builtin_ctz(b->focus->regions) : 0;
	return bases[region] + offset % 0x1000;
}

static void port_write(struct board *b)
{
	uint16_t port = choose_port(b);

	pc_port_write(&b->pc, port, 1, stream_byte(b->in), b->now);
}

static void port_write_wide(struct board *b)
{
	unsigned size = stream_size(b->in, 4);
	uint16_t port = choose_port(b);

	pc_port_write(&b->pc, port, size, (uint32_t)stream_number(b->in, size), b->now);
}

static void port_read(struct board *b)
{
	unsigned size = stream_size(b->in, 4);
	uint16_t port = choose_port(b);
	uint32_t value = pc_port_read(&b->pc, port, size, b->now);

	FUZZ_REQUIRE((value & ~mask_bytes(size)) == 0);
}

static void port_block(struct board *b)
{
	unsigned size = stream_size(b->in, 4), count = (unsigned)stream_number(b->in, 2) % 0x1000;
	const struct port_block *block = bus_find_block(&b->pc.bus, choose_port(b));
	bool out = stream_byte(b->in) & 1;
	unsigned done;

	if (!block || !count)
		return;
	done = pc_port_block(&b->pc, block, size, out ? NULL : b->block, out ? b->block : NULL,
			     MIN(count, BLOCK_MAX / size));
	FUZZ_REQUIRE(done <= MIN(count, BLOCK_MAX / size));
}

static void mmio_write(struct board *b)
{
	unsigned size = stream_size(b->in, 8);
	uint64_t gpa = choose_gpa(b);

	pc_mmio_write(&b->pc, stream_byte(b->in) % b->pc.cpus, gpa, size,
		      stream_number(b->in, size), b->now);
}

static void mmio_read(struct board *b)
{
	unsigned size = stream_size(b->in, 8);
	uint64_t gpa = choose_gpa(b);
	uint64_t value = pc_mmio_read(&b->pc, stream_byte(b->in) % b->pc.cpus, gpa, size, b->now);

	FUZZ_REQUIRE((value & ~mask_bytes(size)) == 0);
}

/* Time that passes unnoticed. */
static void wait(struct board *b)
{
	b->now += stream_magnitude(b->in) % b->end;
}

static void collect(struct board *b)
{
	for (unsigned i = 0; i < b->pc.cpus; i++) {
		pc_collect(&b->pc, i);
		b->kicked[i] = false;
		FUZZ_REQUIRE(b->pc.cpu[i].mailbox.flags == 0);
	}
}

static void advance(struct board *b)
{
	pc_advance(&b->pc, b->now);
	FUZZ_REQUIRE(pc_next_event(&b->pc) > b->now);
	for (unsigned i = 0; i < b->pc.cpus; i++) {
		vlapic_advance(pc_lapic(&b->pc, i), b->now);
		FUZZ_REQUIRE(vlapic_next_event(pc_lapic(&b->pc, i)) > b->now);
	}
}

/* Up to the next event nothing happens: that is what the models promise. */
static void advance_to_next(struct board *b)
{
	uint64_t next;
	unsigned told;
	uint32_t pins;

	advance(b);
	next = pc_next_event(&b->pc);
	if (next > b->end)
		return;
	told = b->told;
	pins = b->pc.ioapic.lines;
	pc_advance(&b->pc, next - 1);
	FUZZ_REQUIRE(told == b->told && pins == b->pc.ioapic.lines);
	FUZZ_REQUIRE(pc_next_event(&b->pc) == next);
	b->now = next;
	advance(b);
}

static void acknowledge(struct board *b)
{
	unsigned cpu = stream_byte(b->in) % b->pc.cpus;
	bool pending;
	int vector;

	collect(b);
	pending = pc_interrupt_pending(&b->pc, cpu);
	vector = pc_interrupt_acknowledge(&b->pc, cpu);
	FUZZ_REQUIRE(pending == (vector >= 0));
}

static void lapic_msr(struct board *b)
{
	struct vlapic *lapic = pc_lapic(&b->pc, stream_byte(b->in) % b->pc.cpus);
	uint8_t choice = stream_byte(b->in);
	uint32_t msr = VLAPIC_MSR_FIRST + choice % 0x40;
	uint64_t value;

	if (choice & 0x80)
		vlapic_write_msr(lapic, msr, stream_number(b->in, 8), b->now);
	else
		vlapic_read_msr(lapic, msr, &value, b->now);
}

static void lapic_other(struct board *b)
{
	unsigned cpu = stream_byte(b->in) % b->pc.cpus;
	struct vlapic *lapic = pc_lapic(&b->pc, cpu);
	uint8_t choice = stream_byte(b->in);

	switch (choice % 8) {
	case 0: vlapic_write_base(lapic, stream_number(b->in, 8)); break;
	case 1:
		/* Its mode alone, on the page where it is. */
		vlapic_write_base(lapic,
				  (lapic->base & ~(VLAPIC_BASE_ENABLE | VLAPIC_BASE_X2APIC)) |
					  (choice & 0xC0) << 4);
		break;
	case 2: vlapic_write_deadline(lapic, b->now + stream_magnitude(b->in), b->now); break;
	case 3: FUZZ_REQUIRE(vlapic_read_deadline(lapic, b->now) == lapic->deadline); break;
	case 4: vlapic_set_tsc_adjust(lapic, stream_number(b->in, 8), b->now); break;
	case 5: vlapic_set_tpr(lapic, stream_byte(b->in)); break;
	case 6: vlapic_set_lint(lapic, 1, choice & 8); break;
	case 7:
		if (pc_nmi_possible(&b->pc, cpu))
			vlapic_init_reset(lapic);
		break;
	}
}

/* Somebody types, the cable is pulled, a device sends a message. */
static void outside(struct board *b)
{
	uint8_t choice = stream_byte(b->in), argument = stream_byte(b->in);

	switch (choice % 8) {
	case 0: pc_key(&b->pc, argument, choice & 8, b->now); break;
	case 1: FUZZ_REQUIRE(pc_can_receive(&b->pc) == pc_receive(&b->pc, argument, b->now)); break;
	case 2:
		b->room = choice & 8;
		if (b->room)
			pc_tx_ready(&b->pc, b->now);
		break;
	case 3: vuart_receive_forced(&b->pc.com2, argument, choice & 0x1C, b->now); break;
	case 4: vuart_set_modem(&b->pc.com1, argument & 0xF0); break;
	case 5: vacpi_power_button(&b->pc.acpi); break;
	case 6:
		pc_msi(&b->pc, 0xFEE00000 | stream_number(b->in, 3),
		       (uint32_t)stream_number(b->in, 2));
		break;
	case 7:
		ram_write(b, argument * 8u, b->in->at,
			  MIN((size_t)16, (size_t)(b->in->end - b->in->at)));
		break;
	}
}

/* --- Steps that by single accesses are found too rarely --- */

static bool has_port(const struct board *b, uint16_t port)
{
	for (unsigned i = 0; i < b->focus->count; i++)
		if (port >= b->focus->ports[i].first && port <= b->focus->ports[i].last)
			return true;
	return false;
}

static void out(struct board *b, unsigned port, unsigned value)
{
	pc_port_write(&b->pc, (uint16_t)port, 1, value, b->now);
}

/* A command with its registers, or with the fourth bit of the choice a packet. */
static void ata_command(struct board *b)
{
	static const uint8_t commands[] = {0x20, 0x24, 0x29, 0x30, 0x34, 0x39, 0x40, 0x42,
					   0x70, 0x90, 0x91, 0xA1, 0x08, 0xC4, 0xC5, 0xC6,
					   0xE7, 0xEA, 0xEC, 0xEF, 0xE0, 0xE5, 0xF8, 0x27};
	static const uint8_t packets[] = {0x00, 0x03, 0x12, 0x1A, 0x1B, 0x1E, 0x25,
					  0x28, 0x2B, 0x43, 0x46, 0x4A, 0x51, 0x52,
					  0x55, 0x5A, 0xA8, 0xBD, 0xBE, 0xAD, 0xB9};
	uint8_t choice = stream_byte(b->in), which = stream_byte(b->in);
	unsigned base = choice & 1 ? VATA_SECONDARY : VATA_PRIMARY;
	uint8_t packet[12] = {packets[which % sizeof(packets)]};

	if (!has_port(b, (uint16_t)base))
		return;
	out(b, base + 6, (choice & 2 ? 0x10 : 0) | (choice & 4 ? 0x40 : 0) | (choice >> 4));
	for (unsigned reg = 1; reg <= 5; reg++)
		out(b, base + reg, choice & 0x80 || reg < 4 ? stream_byte(b->in) : 0);
	out(b, base + 7, choice & 8 ? 0xA0 : commands[which % sizeof(commands)]);
	if (!(choice & 8))
		return;
	for (unsigned i = 1; i < sizeof(packet); i++)
		packet[i] = i == 1 || i == 2 || i >= 5 ? stream_byte(b->in) : 0;
	for (unsigned i = 0; i < sizeof(packet); i += 2)
		pc_port_write(&b->pc, (uint16_t)base, 2, packet[i] | packet[i + 1] << 8, b->now);
}

static void ioapic_entry(struct board *b)
{
	uint8_t reg = stream_byte(b->in);

	if (!(b->focus->regions & BOARD_IOAPIC))
		return;
	pc_mmio_write(&b->pc, 0, VIOAPIC_BASE, 4, reg % 0x44, b->now);
	pc_mmio_write(&b->pc, 0, VIOAPIC_BASE + 0x10, 4, stream_number(b->in, reg & 1 ? 4 : 3),
		      b->now);
}

/* Interrupt pins of PCI devices, and of the board. */
static void pin(struct board *b)
{
	uint8_t choice = stream_byte(b->in);
	struct line line = choice & 0x40 ? pc_irq_line(&b->pc, 16 + choice % 8)
					 : vpiix_intx(&b->pc.piix, choice % 32, choice & 3);

	if (has_port(b, VPCI_ADDRESS_PORT) || (b->focus->regions & BOARD_IOAPIC))
		line_set(&line, choice & 0x80);
}

/* A request block, and its address to the configuration device. */
static void dma(struct board *b)
{
	uint8_t choice = stream_byte(b->in);
	uint16_t at = (uint16_t)(stream_byte(b->in) * 8);
	uint32_t control = (uint32_t)(choice & 0x1F) | (uint32_t)(choice >> 5) * 0x19 << 16;
	uint32_t length = (uint32_t)stream_number(b->in, choice & 0x20 ? 4 : 1);
	uint64_t address = stream_number(b->in, choice & 0x40 ? 8 : 2);

	control = __builtin_bswap32(control);
	length = __builtin_bswap32(length);
	address = __builtin_bswap64(address);
	ram_write(b, at, &control, sizeof(control));
	ram_write(b, at + 4u, &length, sizeof(length));
	ram_write(b, at + 8u, &address, sizeof(address));
	if (!has_port(b, VFWCFG_DMA))
		return;
	pc_port_write(&b->pc, VFWCFG_DMA, 4, 0, b->now);
	pc_port_write(&b->pc, VFWCFG_DMA + 4, 4, __builtin_bswap32(at), b->now);
}

/* A byte for keyboard or mouse, and the answer. */
static void ps2(struct board *b)
{
	uint8_t choice = stream_byte(b->in);

	if (!has_port(b, VI8042_DATA_PORT))
		return;
	if (choice & 1)
		out(b, VI8042_COMMAND_PORT, 0xD4);
	out(b, VI8042_DATA_PORT, choice & 2 ? 0xEC + choice / 4 % 20 : stream_byte(b->in));
	for (unsigned i = choice >> 6; i--;) {
		b->now += b->config.hz / 500;
		pc_advance(&b->pc, b->now);
		pc_port_read(&b->pc, VI8042_DATA_PORT, 1, b->now);
	}
}

void board_run(const struct board_focus *focus, const uint8_t *data, size_t size)
{
	static void (*const steps[])(struct board * b) = {
		port_write,
		port_write_wide,
		port_read,
		port_block,
		mmio_write,
		mmio_read,
		wait,
		advance,
		collect,
		acknowledge,
		advance_to_next,
		lapic_msr,
		lapic_other,
		outside,
		ata_command,
		ioapic_entry,
		pin,
		dma,
		ps2,
	};
	struct stream in = stream_from(data, size);
	uint64_t had;

	start(&board, focus, &in);
	had = frames_total(&board.frames);
	check(&board);
	while (stream_more(&in) && board.now < board.end) {
		uint8_t step = stream_byte(&in);

		/* Accesses are what most of it is about. */
		steps[step < 0x80 ? step % 4 : step % ARRAY_SIZE(steps)](&board);
		check(&board);
	}
	disk_drop(&board.disk);
	FUZZ_REQUIRE(frames_total(&board.frames) == had);
}
