/* SPDX-License-Identifier: MIT */
/*
 * The ATA channels: a disk as primary master, a CD as secondary master. Sector 5 of the disk and
 * block 16 of the CD begin with "SOCLE"; the disk has 2000 sectors. ATA/ATAPI-6.
 */
#include "guests/lib/clock.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"

#define PRIMARY	     0x1F0
#define SECONDARY    0x170
#define CONTROL	     0x206 /* from the channel's first port */
#define CONTROL_NIEN 2
#define SECTORS	     2000
#define SECTOR	     512
#define MASTER_LBA   0xE0
#define READY	     0x50
#define DATA	     0x58
#define FAILED	     0x51
#define ABRT	     0x04
#define IDNF	     0x10
#define ERR	     0x01
#define DRQ	     0x08
#define IRQ_ATA	     14
#define WAIT_US	     1000

enum { ERROR = 1, COUNT, LOW, MID, HIGH, DEVICE, COMMAND };

static uint8_t sector[SECTOR * 16] __attribute__((aligned(4096)));
static uint8_t other[SECTOR] __attribute__((aligned(4096)));
static volatile unsigned interrupts;

static void on_ata(struct trap_frame *frame)
{
	(void)frame;
	interrupts++;
	inb(PRIMARY + COMMAND);
	pic_end(IRQ_ATA);
}

static void command(uint32_t lba, uint8_t count, uint8_t code)
{
	outb(PRIMARY + DEVICE, (uint8_t)(MASTER_LBA | (lba >> 24 & 15)));
	outb(PRIMARY + COUNT, count);
	outb(PRIMARY + LOW, (uint8_t)lba);
	outb(PRIMARY + MID, (uint8_t)(lba >> 8));
	outb(PRIMARY + HIGH, (uint8_t)(lba >> 16));
	outb(PRIMARY + COMMAND, code);
}

static void insw(uint16_t port, void *to, uint32_t count)
{
	__asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

static void outsw(uint16_t port, const void *from, uint32_t count)
{
	__asm__ volatile("rep outsw" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

static bool same(const uint8_t *a, const char *b, unsigned length)
{
	for (unsigned i = 0; i < length; i++)
		if (a[i] != (uint8_t)b[i])
			return false;
	return true;
}

static void test_identify(void)
{
	const uint16_t *words = (const uint16_t *)sector;

	command(0, 0, 0xEC);
	guest_check_equal(inb(PRIMARY + COMMAND), DATA, "IDENTIFY has data");
	insw(PRIMARY, sector, SECTOR / 2);
	guest_check_equal(words[60] | (uint32_t)words[61] << 16, SECTORS, "its capacity");
	guest_check_equal(words[49] & 0x300, 0x200, "LBA, and no DMA");
}

static void test_reads(void)
{
	command(5, 2, 0x20);
	insw(PRIMARY, sector, SECTOR / 2);
	guest_check(same(sector, "SOCLE", 5), "sector 5 by REP INSW");
	guest_check_equal(inb(PRIMARY + COMMAND), DATA, "the next one is there");
	for (unsigned i = 0; i < SECTOR; i += 4)
		*(uint32_t *)(sector + i) = inl(PRIMARY);
	guest_check_equal(inb(PRIMARY + COMMAND), READY, "and that was all");
	guest_check_equal(sector[0], 0, "sector 6 by IN");
	/* Across two pages, at an odd address, the last word alone. */
	command(5, 1, 0x20);
	insw(PRIMARY, sector + 4096 - 301, 1);
	insw(PRIMARY, sector + 4096 - 299, SECTOR / 2 - 1);
	guest_check(same(sector + 4096 - 301, "SOCLE", 5), "REP INSW across pages");
	guest_check_equal(inb(PRIMARY + COMMAND), READY, "takes all of it");
}

static void test_writes(void)
{
	for (unsigned i = 0; i < SECTOR; i++)
		other[i] = (uint8_t)(i * 3 + 1);
	command(6, 2, 0x30);
	outsw(PRIMARY, other, SECTOR / 2);
	outsw(PRIMARY, other, SECTOR / 2);
	guest_check_equal(inb(PRIMARY + COMMAND), READY, "two sectors written");
	command(0, 0, 0xE7);
	guest_check_equal(inb(PRIMARY + COMMAND), READY, "FLUSH CACHE");
	command(5, 3, 0x20);
	for (unsigned i = 0; i < 3; i++)
		insw(PRIMARY, sector + i * SECTOR, SECTOR / 2);
	guest_check(same(sector + SECTOR, (char *)other, SECTOR) &&
			    same(sector + 2 * SECTOR, (char *)other, SECTOR),
		    "they read back");
	guest_check(same(sector, "SOCLE", 5), "the one before is as it was");
}

static void test_errors(void)
{
	static const uint8_t unknown[] = {0x00, 0x22, 0x60, 0x80, 0xB0, 0xC8, 0xF5, 0xFF};
	unsigned aborted = 0;

	for (unsigned i = 0; i < sizeof(unknown); i++) {
		command(0, 1, unknown[i]);
		aborted += inb(PRIMARY + COMMAND) == FAILED && inb(PRIMARY + ERROR) == ABRT;
	}
	guest_check_equal(aborted, sizeof(unknown), "commands that do not exist abort");
	command(SECTORS, 1, 0x20);
	guest_check(inb(PRIMARY + COMMAND) == FAILED && inb(PRIMARY + ERROR) == IDNF,
		    "the sector after the last is not found");
	command(SECTORS - 1, 2, 0x30);
	guest_check_equal(inb(PRIMARY + COMMAND), FAILED, "nor is it written");
	command(SECTORS - 1, 1, 0x20);
	insw(PRIMARY, sector, SECTOR / 2);
	guest_check_equal(inb(PRIMARY + COMMAND), READY, "the last one is");
}

static void test_interrupt(void)
{
	pic_start(PIC_8086);
	trap_set_handler(IRQ_VECTOR(IRQ_ATA), on_ata);
	pic_set_mask(IRQ_ONLY(IRQ_ATA));
	outb(PRIMARY + CONTROL, 0);
	command(5, 1, 0x20);
	guest_check(irq_wait(&interrupts, 1, WAIT_US), "IRQ 14 says that data are there");
	insw(PRIMARY, sector, SECTOR / 2);
	outb(PRIMARY + CONTROL, CONTROL_NIEN);
	command(5, 1, 0x20);
	guest_check(!irq_wait(&interrupts, 2, WAIT_US), "nIEN keeps it away");
	insw(PRIMARY, sector, SECTOR / 2);
}

static bool packet(const uint8_t bytes[12])
{
	outb(SECONDARY + DEVICE, 0xA0);
	outb(SECONDARY + ERROR, 0);
	outb(SECONDARY + MID, 0);
	outb(SECONDARY + HIGH, 8);
	outb(SECONDARY + COMMAND, 0xA0);
	outsw(SECONDARY, bytes, 6);
	return !(inb(SECONDARY + COMMAND) & ERR);
}

static void test_cd(void)
{
	static const uint8_t read[12] = {0x28, 0, 0, 0, 0, 16, 0, 0, 1};
	static const uint8_t far_read[12] = {0x28, 0, 0, 1, 0, 16, 0, 0, 1};
	static const uint8_t unknown[12] = {0xC7};

	outb(SECONDARY + CONTROL, 4);
	outb(SECONDARY + CONTROL, CONTROL_NIEN);
	outb(SECONDARY + DEVICE, 0xA0);
	guest_check_equal(inb(SECONDARY + MID) | inb(SECONDARY + HIGH) << 8, 0xEB14,
			  "a packet device is the secondary master");
	guest_check(packet(read), "READ (10)");
	guest_check_equal(inb(SECONDARY + MID) | inb(SECONDARY + HIGH) << 8, 2048, "of a block");
	insw(SECONDARY, sector, 1024);
	guest_check(same(sector, "SOCLE", 5), "block 16");
	guest_check_equal(inb(SECONDARY + COMMAND), READY, "and no more");
	guest_check(!packet(far_read), "a block that does not exist");
	guest_check(!packet(unknown), "a packet that does not exist");
}

/* The whole cost of it to the guest: less than that is Socle's. */
static void measure(void)
{
	uint32_t least = ~0U;

	for (unsigned i = 0; i < 8; i++) {
		uint64_t start;
		uint32_t ticks;

		command(5 + i, 1, 0x20);
		start = rdtsc();
		insw(PRIMARY, sector, SECTOR / 2);
		ticks = (uint32_t)(rdtsc() - start);
		least = ticks < least ? ticks : least;
	}
	guest_print("# a sector by REP INSW: %u ticks\n", least);
	command(5, 1, 0x30);
	least = (uint32_t)rdtsc();
	outsw(PRIMARY, sector, SECTOR / 2);
	guest_print("# a sector by REP OUTSW: %u ticks\n", (uint32_t)rdtsc() - least);
	least = (uint32_t)rdtsc();
	command(5, 8, 0xC4);
	insw(PRIMARY, sector, 8 * SECTOR / 2);
	guest_print("# READ MULTIPLE of 8 sectors in all: %u ticks\n", (uint32_t)rdtsc() - least);
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	clock_init();
	outb(PRIMARY + CONTROL, CONTROL_NIEN);
	test_identify();
	test_reads();
	test_writes();
	test_errors();
	test_cd();
	measure();
	test_interrupt();
	return guest_failures();
}
