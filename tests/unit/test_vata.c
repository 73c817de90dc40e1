/* SPDX-License-Identifier: MIT */
/* ATA disks and ATAPI CDs as a driver uses them, and what drivers should not do. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "devices/vata.h"

#define SECTORS 3000
#define BLOCKS	20

static struct vata ata;
static uint8_t buffer[VATA_BUFFER], disk[SECTORS * 512], cd[BLOCKS * 2048];
static uint16_t words[128 * 1024];
static bool level, broken;

static bool medium_read(void *ctx, uint64_t offset, void *to, uint64_t length)
{
	if (broken)
		return false;
	assert_true(offset + length <= (ctx == disk ? sizeof(disk) : sizeof(cd)));
	memcpy(to, (uint8_t *)ctx + offset, length);
	return true;
}

static bool medium_write(void *ctx, uint64_t offset, const void *from, uint64_t length)
{
	if (broken)
		return false;
	assert_true(offset + length <= sizeof(disk));
	memcpy((uint8_t *)ctx + offset, from, length);
	return true;
}

static void set_level(void *ctx, unsigned pin, bool now)
{
	(void)ctx, (void)pin;
	level = now;
}

/* A disk as master, a CD as slave. */
static int start(void **state)
{
	const struct vata_medium disk_medium = {medium_read, medium_write, disk, sizeof(disk)};
	const struct vata_medium cd_medium = {medium_read, medium_write, cd, sizeof(cd)};

	(void)state;
	for (unsigned i = 0; i < sizeof(disk); i++)
		disk[i] = (uint8_t)(i / 512 * 3 + i);
	for (unsigned i = 0; i < sizeof(cd); i++)
		cd[i] = (uint8_t)(i / 2048 * 5 + i);
	level = broken = false;
	vata_init(&ata, buffer, (struct line){set_level, NULL, 0});
	vata_attach(&ata, 0, VATA_DISK, &disk_medium);
	vata_attach(&ata, 1, VATA_CD, &cd_medium);
	return 0;
}

static uint8_t in(unsigned reg)
{
	return (uint8_t)vata_read(&ata, (uint16_t)(0x1F0 + reg), 1, 0);
}

static void out(unsigned reg, unsigned value)
{
	vata_write(&ata, (uint16_t)(0x1F0 + reg), 1, value, 0);
}

static void control(unsigned value)
{
	vata_control_write(&ata, 0x3F6, 1, value, 0);
}

static unsigned alternate(void)
{
	return vata_control_read(&ata, 0x3F6, 1, 0);
}

static void command(unsigned device, uint32_t lba, unsigned count, unsigned code)
{
	out(6, device | (device & 0x40 ? lba >> 24 & 15 : 0));
	out(2, count);
	out(3, lba & 255), out(4, lba >> 8 & 255), out(5, lba >> 16 & 255);
	out(7, code);
}

static void command48(uint64_t lba, unsigned count, unsigned code)
{
	out(6, 0x40);
	out(2, count >> 8), out(2, count & 255);
	out(3, lba >> 24 & 255), out(3, lba & 255);
	out(4, lba >> 32 & 255), out(4, lba >> 8 & 255);
	out(5, lba >> 40 & 255), out(5, lba >> 16 & 255);
	out(7, code);
}

/* Takes data while the drive has some; returns the bytes. An interrupt for each block. */
static unsigned take(unsigned *blocks)
{
	unsigned at = 0;

	*blocks = 0;
	while (alternate() & 0x08) {
		assert_true(level);
		assert_int_equal(in(7), 0x58);
		assert_false(level);
		++*blocks;
		do
			words[at++] = (uint16_t)vata_read(&ata, 0x1F0, 2, 0);
		while (!level && (alternate() & 0x08));
	}
	return 2 * at;
}

static void expect_error(unsigned error)
{
	assert_true(level);
	assert_int_equal(in(7) & 0xE9, 0x41);
	assert_int_equal(in(1), error);
	assert_false(level);
}

static void test_identify(void **state)
{
	unsigned blocks;

	(void)state;
	command(0xA0, 0, 0, 0xEC);
	assert_int_equal(take(&blocks), 512);
	assert_int_equal(words[0] & 0x8000, 0);
	assert_int_equal(words[1] * words[3] * words[6], 2 * 16 * 63);
	assert_int_equal(words[60] | words[61] << 16, SECTORS);
	assert_int_equal(words[100] | words[101] << 16, SECTORS);
	assert_int_equal(words[49] & 0x0300, 0x0200); /* LBA, no DMA */
	assert_int_equal(words[63] | words[88], 0);
	assert_int_equal(words[83] & 0x0400, 0x0400); /* 48 bits */
	assert_int_equal(words[27], 'S' << 8 | 'O');
	assert_int_equal(in(7), 0x50);
	assert_false(level);
}

static void test_reads(void **state)
{
	unsigned blocks;

	(void)state;
	command(0xE0, 5, 3, 0x20);
	assert_int_equal(take(&blocks), 3 * 512);
	assert_int_equal(blocks, 3);
	assert_memory_equal(words, disk + 5 * 512, 3 * 512);
	command48(2000, 300, 0x24);
	assert_int_equal(take(&blocks), 300 * 512);
	assert_memory_equal(words, disk + 2000 * 512, 300 * 512);
	command(0xE0, 0, 0, 0x20); /* 0 is 256 */
	assert_int_equal(take(&blocks), 256 * 512);
	command(0xA0, 1 | 1 << 8, 1, 0x20); /* cylinder 1, head 0, sector 1 */
	take(&blocks);
	assert_memory_equal(words, disk + 1008 * 512, 512);
	command(0xA3, 7, 1, 0x20); /* head 3, sector 7 */
	take(&blocks);
	assert_memory_equal(words, disk + (3 * 63 + 6) * 512, 512);
}

static void test_multiple(void **state)
{
	unsigned blocks;

	(void)state;
	command(0xE0, 0, 4, 0xC6);
	assert_int_equal(in(7), 0x50);
	command(0xE0, 10, 10, 0xC4);
	assert_int_equal(take(&blocks), 10 * 512);
	assert_int_equal(blocks, 3); /* 4, 4, 2 */
	assert_memory_equal(words, disk + 10 * 512, 10 * 512);
	command48(20, 8, 0x29);
	assert_int_equal(take(&blocks), 8 * 512);
	assert_int_equal(blocks, 2);
	command(0xE0, 0, 3, 0xC6); /* no power of two */
	expect_error(4);
	command(0xE0, 0, 128, 0xC6);
	expect_error(4);
	command(0xE0, 0, 0, 0xC6); /* off */
	assert_int_equal(in(7), 0x50);
	command(0xE0, 0, 1, 0xC4);
	expect_error(4);
}

static void give(unsigned bytes, unsigned value)
{
	for (unsigned i = 0; i < bytes; i += 2)
		vata_write(&ata, 0x1F0, 2, value, 0);
}

static void test_writes(void **state)
{
	(void)state;
	command(0xE0, 100, 2, 0x30);
	assert_false(level); /* the first block is asked for without an interrupt */
	assert_int_equal(in(7), 0x58);
	give(512, 0x1111);
	assert_true(level);
	assert_int_equal(in(7), 0x58);
	give(512, 0x2222);
	assert_true(level);
	assert_int_equal(in(7), 0x50);
	assert_int_equal(disk[100 * 512 - 1], (uint8_t)(99 * 3 + 255));
	assert_int_equal(disk[100 * 512], 0x11);
	assert_int_equal(disk[101 * 512 + 511], 0x22);
	assert_int_equal(disk[102 * 512], (uint8_t)(102 * 3));
	command48(200, 9, 0x39); /* 8 and 1 */
	give(8 * 512, 0x3333);
	assert_int_equal(in(7), 0x58);
	give(512, 0x4444);
	assert_int_equal(in(7), 0x50);
	assert_int_equal(disk[207 * 512], 0x33);
	assert_int_equal(disk[208 * 512], 0x44);
	give(512, 0x5555); /* nobody wants it */
	assert_int_equal(disk[209 * 512], (uint8_t)(209 * 3));
	broken = true;
	command(0xE0, 100, 1, 0x30);
	give(512, 0);
	assert_int_equal(in(7), 0x71); /* device fault */
	command(0xE0, 100, 1, 0x20);
	expect_error(0x40);
}

static void test_beyond_the_end(void **state)
{
	static const struct {
		unsigned device, lba, count, code;
	} requests[] = {
		{0xE0, SECTORS, 1, 0x20},   {0xE0, SECTORS - 1, 2, 0x20},
		{0xE0, 0xFFFFFFF, 1, 0x30}, {0xE0, SECTORS, 1, 0x40},
		{0xE0, SECTORS, 1, 0x70},   {0xA0, 0, 1, 0x20},
		{0xA0, 64, 1, 0x20},	    {0xA0, 1 | 9999 << 8, 1, 0xC4},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		command(requests[i].device, requests[i].lba, requests[i].count, requests[i].code);
		expect_error(0x10);
	}
	command48(0xFFFFFFFFFFFF, 0, 0x24);
	expect_error(0x10);
	command48(SECTORS - 1, 2, 0x34);
	expect_error(0x10);
	command(0xE0, SECTORS - 1, 1, 0x40);
	assert_int_equal(in(7), 0x50);
}

static void test_commands_that_do_not_exist(void **state)
{
	/* What is there: all others abort, and the drive goes on. */
	static const uint8_t there[] = {0x20, 0x21, 0x24, 0x29, 0x30, 0x31, 0x34, 0x39,
					0x40, 0x41, 0x42, 0x90, 0x91, 0x94, 0x95, 0x96,
					0x97, 0x98, 0x99, 0xC4, 0xC5, 0xC6, 0xE0, 0xE1,
					0xE2, 0xE3, 0xE5, 0xE6, 0xE7, 0xEA, 0xEC, 0xEF};
	unsigned aborted = 0;

	(void)state;
	for (unsigned code = 0; code < 256; code++) {
		if (memchr(there, (int)code, sizeof(there)) || code >> 4 == 1 || code >> 4 == 7)
			continue;
		command(0xE0, 0, 1, code);
		expect_error(4);
		aborted++;
	}
	assert_int_equal(aborted, 256 - 32 - 32);
	out(1, 0x99); /* a feature that does not exist */
	command(0xE0, 0, 0, 0xEF);
	expect_error(4);
	out(1, 0x03); /* Ultra DMA */
	command(0xE0, 0, 0x42, 0xEF);
	expect_error(4);
	command(0xE0, 0, 0x0C, 0xEF);
	assert_int_equal(in(7), 0x50);
}

static void test_geometry(void **state)
{
	unsigned blocks;

	(void)state;
	command(0xA3, 0, 17, 0x91); /* 4 heads, 17 sectors */
	assert_int_equal(in(7), 0x50);
	command(0xA2, 5 | 2 << 8, 1, 0x20);
	take(&blocks);
	assert_memory_equal(words, disk + ((2 * 4 + 2) * 17 + 4) * 512, 512);
	command(0xA0, 0, 0, 0xEC);
	take(&blocks);
	assert_int_equal(words[55], 4);
	assert_int_equal(words[56], 17);
	command(0xA3, 0, 0, 0x91);
	expect_error(4);
}

static void test_resets_and_signatures(void **state)
{
	(void)state;
	control(4);
	assert_int_equal(alternate(), 0x80);
	control(0);
	assert_int_equal(alternate(), 0x50);
	assert_int_equal(in(2) | in(3) << 8 | in(4) << 16 | (unsigned)in(5) << 24, 0x0101);
	out(6, 0xB0);
	assert_int_equal(in(2) | in(3) << 8 | in(4) << 16 | (unsigned)in(5) << 24, 0xEB140101);
	assert_int_equal(in(7), 0);
	out(7, 0x90);
	assert_true(level);
	assert_int_equal(in(1), 1);
	assert_int_equal(in(7), 0x50);
	/* A reset in the middle of a transfer. */
	command(0xE0, 0, 2, 0x20);
	control(4), control(0);
	assert_int_equal(in(7), 0x50);
	assert_false(level);
	command(0xE0, 0, 1, 0xE5);
	assert_int_equal(in(2), 0xFF);
}

static void test_interrupts_can_be_masked(void **state)
{
	(void)state;
	control(2);
	command(0xE0, 0, 1, 0x20);
	assert_false(level);
	control(0);
	assert_true(level);
	assert_int_equal(alternate(), 0x58);
	assert_true(level);
	in(7);
	assert_false(level);
}

static void test_previous_bytes(void **state)
{
	(void)state;
	out(3, 0x11), out(3, 0x22);
	assert_int_equal(in(3), 0x22);
	control(0x80);
	assert_int_equal(in(3), 0x11);
	out(2, 0);
	assert_int_equal(in(3), 0x22); /* a write ends it */
}

/* The data are the drive's that was asked, even if the host turns to the other one. */
static void test_select_in_the_middle(void **state)
{
	(void)state;
	command(0xE0, 7, 1, 0x20);
	out(6, 0xF0);
	vata_read(&ata, 0x1F0, 2, 0);
	assert_int_equal(vata_read_block(&ata, 0x1F0, 2, words, 256), 0);
	out(6, 0xE0);
	assert_int_equal(vata_read_block(&ata, 0x1F0, 2, words, 256), 256);
	assert_memory_equal(words, disk + 7 * 512, 512);
}

static void test_blocks(void **state)
{
	(void)state;
	command(0xE0, 7, 2, 0x20);
	assert_int_equal(vata_read_block(&ata, 0x1F0, 4, words, 1000), 128);
	assert_memory_equal(words, disk + 7 * 512, 512);
	assert_int_equal(vata_read_block(&ata, 0x1F0, 2, words, 3), 3);
	assert_memory_equal(words, disk + 8 * 512, 6);
	assert_int_equal(vata_write_block(&ata, 0x1F0, 2, words, 3), 0);
	assert_int_equal(vata_read_block(&ata, 0x1F0, 4, words, 1000), 126);
	assert_int_equal(vata_read_block(&ata, 0x1F0, 4, words, 1000), 0); /* half of one is left */
	assert_int_equal(vata_read(&ata, 0x1F0, 2, 0), disk[9 * 512 - 2] | disk[9 * 512 - 1] << 8);
	assert_int_equal(in(7), 0x50);
	assert_int_equal(vata_read_block(&ata, 0x1F0, 2, words, 10), 0);
}

static void test_absent_drives(void **state)
{
	const struct vata_medium medium = {medium_read, medium_write, disk, sizeof(disk)};

	(void)state;
	vata_init(&ata, NULL, (struct line){set_level, NULL, 0});
	command(0xE0, 0, 1, 0x20);
	/* Nobody is busy there: ATA/ATAPI-6, the host pulls DD7 down. */
	for (unsigned reg = 1; reg < 8; reg++)
		assert_int_equal(in(reg), 0x7F);
	assert_int_equal(vata_control_read(&ata, 0x3F6, 1, 0), 0x7F);
	assert_int_equal(vata_read(&ata, 0x1F0, 2, 0) & 0xFFFF, 0xFF7F);
	assert_false(level);
	vata_init(&ata, buffer, (struct line){set_level, NULL, 0});
	vata_attach(&ata, 0, VATA_DISK, &medium);
	command(0xF0, 0, 1, 0x20);
	assert_int_equal(in(7), 0);
	assert_false(level);
	assert_int_equal(vata_read_block(&ata, 0x1F0, 2, words, 10), 0);
}

/* --- The CD --- */

static unsigned packet(const char *bytes, unsigned limit, unsigned *blocks)
{
	out(6, 0xB0);
	out(1, 0);
	out(4, limit & 255), out(5, limit >> 8);
	out(7, 0xA0);
	assert_int_equal(in(7), 0x58);
	assert_int_equal(in(2) & 3, 1); /* a command, to the drive */
	for (unsigned i = 0; i < 12; i += 2)
		vata_write(&ata, 0x1F0, 2, (uint8_t)bytes[i] | (unsigned)(uint8_t)bytes[i + 1] << 8,
			   0);
	return take(blocks);
}

static void expect_end(void)
{
	assert_true(level);
	assert_int_equal(in(2) & 3, 3);
	assert_int_equal(in(7), 0x50);
}

static void expect_sense(unsigned key, unsigned asc)
{
	const uint8_t *sense = (const uint8_t *)words;
	unsigned blocks;

	assert_int_equal(in(7) & 1, 1);
	assert_int_equal(in(1) >> 4, key);
	assert_int_equal(packet("\x03\0\0\0\x12\0\0\0\0\0\0\0", 100, &blocks), 18);
	expect_end();
	assert_int_equal(sense[2], key);
	assert_int_equal(sense[12], asc);
}

static void test_cd_identify(void **state)
{
	unsigned blocks;

	(void)state;
	command(0xB0, 0, 0, 0xEC); /* not a disk: the signature says what it is */
	expect_error(4);
	assert_int_equal(in(4) | in(5) << 8, 0xEB14);
	command(0xB0, 0, 0, 0xA1);
	assert_int_equal(take(&blocks), 512);
	assert_int_equal(words[0], 0x85C0);
	assert_false(level);
	assert_int_equal(in(7), 0x50);
	command(0xB0, 0, 0, 0x08);
	assert_int_equal(in(7), 0);
	command(0xB0, 0, 0, 0x30);
	expect_error(4);
	out(1, 1); /* DMA */
	command(0xB0, 0, 0, 0xA0);
	expect_error(4);
}

static void test_cd_reads(void **state)
{
	unsigned blocks;

	(void)state;
	assert_int_equal(packet("\x28\0\0\0\0\x03\0\0\x02\0\0\0", 2048, &blocks), 4096);
	assert_int_equal(blocks, 2);
	expect_end();
	assert_memory_equal(words, cd + 3 * 2048, 4096);
	assert_int_equal(packet("\xA8\0\0\0\0\x01\0\0\0\x05\0\0", 0xFFFE, &blocks), 5 * 2048);
	assert_int_equal(blocks, 3); /* 4096, 4096, 2048 */
	expect_end();
	assert_memory_equal(words, cd + 2048, 5 * 2048);
	assert_int_equal(packet("\x28\0\0\0\0\x03\0\0\0\0\0\0", 2048, &blocks), 0);
	expect_end();
	assert_int_equal(packet("\x28\0\0\0\0\x13\0\0\x02\0\0\0", 2048, &blocks), 0);
	expect_sense(5, 0x21);
	assert_int_equal(packet("\x28\0\xFF\xFF\xFF\xFF\0\xFF\xFF\0\0\0", 2048, &blocks), 0);
	expect_sense(5, 0x21);
	broken = true;
	packet("\x28\0\0\0\0\0\0\0\x01\0\0\0", 2048, &blocks);
	broken = false;
	expect_sense(3, 0x11);
}

static void test_cd_answers(void **state)
{
	const uint8_t *answer = (const uint8_t *)words;
	unsigned blocks;

	(void)state;
	assert_int_equal(packet("\0\0\0\0\0\0\0\0\0\0\0\0", 0, &blocks), 0);
	expect_end();
	assert_int_equal(packet("\x12\0\0\0\x24\0\0\0\0\0\0\0", 100, &blocks), 36);
	assert_int_equal(answer[0], 5);
	assert_memory_equal(answer + 8, "SOCLE   ", 8);
	assert_int_equal(packet("\x12\0\0\0\x08\0\0\0\0\0\0\0", 4, &blocks), 8);
	assert_int_equal(blocks, 2); /* as much as the host takes at once */
	assert_int_equal(packet("\x25\0\0\0\0\0\0\0\0\0\0\0", 8, &blocks), 8);
	assert_memory_equal(answer, "\0\0\0\x13\0\0\x08\0", 8);
	assert_int_equal(packet("\x43\0\0\0\0\0\0\0\x40\0\0\0", 64, &blocks), 20);
	assert_memory_equal(answer, "\0\x12\1\1\0\x14\1\0\0\0\0\0\0\x14\xAA\0\0\0\0\x14", 20);
	assert_int_equal(packet("\x43\x02\0\0\0\0\xAA\0\x40\0\0\0", 64, &blocks), 12);
	assert_memory_equal(answer + 8, "\0\0\x02\x14", 4); /* 2 s and 20 blocks */
	assert_int_equal(packet("\x43\0\x05\0\0\0\0\0\x40\0\0\0", 64, &blocks), 0);
	expect_sense(5, 0x24);
	assert_int_equal(packet("\x5A\0\x2A\0\0\0\0\0\x40\0\0\0", 64, &blocks), 28);
	assert_int_equal(answer[8], 0x2A);
	assert_int_equal(packet("\x46\0\0\0\0\0\0\0\x80\0\0\0", 128, &blocks), 8 + 48);
	assert_int_equal(answer[3], 4 + 48);
	assert_int_equal(packet("\x46\x02\0\x10\0\0\0\0\x80\0\0\0", 128, &blocks), 8 + 12);
	assert_int_equal(packet("\x4A\x01\0\0\x10\0\0\0\x08\0\0\0", 8, &blocks), 8);
	assert_int_equal(answer[5], 2); /* a disc is there */
	assert_int_equal(packet("\x4A\0\0\0\x10\0\0\0\x08\0\0\0", 8, &blocks), 0);
	expect_sense(5, 0x24);
	assert_int_equal(packet("\x51\0\0\0\0\0\0\0\x22\0\0\0", 64, &blocks), 34);
	assert_int_equal(packet("\x1E\0\0\0\x01\0\0\0\0\0\0\0", 0, &blocks), 0);
	expect_end();
	assert_int_equal(packet("\x1B\0\0\0\x02\0\0\0\0\0\0\0", 0, &blocks), 0); /* it stays in */
	expect_sense(5, 0x24);
}

static void test_packets_that_do_not_exist(void **state)
{
	static const char there[] = "\x00\x03\x12\x1B\x1E\x25\x28\x43\x46\x4A\x51\x5A\xA8";
	unsigned blocks;

	(void)state;
	for (unsigned code = 0; code < 256; code++) {
		char bytes[12] = {(char)code};

		if (memchr(there, (int)code, sizeof(there) - 1))
			continue;
		assert_int_equal(packet(bytes, 0, &blocks), 0);
		expect_sense(5, 0x20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_identify, start),
		cmocka_unit_test_setup(test_reads, start),
		cmocka_unit_test_setup(test_multiple, start),
		cmocka_unit_test_setup(test_writes, start),
		cmocka_unit_test_setup(test_beyond_the_end, start),
		cmocka_unit_test_setup(test_commands_that_do_not_exist, start),
		cmocka_unit_test_setup(test_geometry, start),
		cmocka_unit_test_setup(test_resets_and_signatures, start),
		cmocka_unit_test_setup(test_interrupts_can_be_masked, start),
		cmocka_unit_test_setup(test_previous_bytes, start),
		cmocka_unit_test_setup(test_select_in_the_middle, start),
		cmocka_unit_test_setup(test_blocks, start),
		cmocka_unit_test_setup(test_absent_drives, start),
		cmocka_unit_test_setup(test_cd_identify, start),
		cmocka_unit_test_setup(test_cd_reads, start),
		cmocka_unit_test_setup(test_cd_answers, start),
		cmocka_unit_test_setup(test_packets_that_do_not_exist, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
