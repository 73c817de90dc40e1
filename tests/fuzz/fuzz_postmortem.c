/* SPDX-License-Identifier: MIT */
/* The report of a dead guest: its registers, tables, code, stack and symbols are any bytes. */
#include <string.h>

#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "vm/postmortem.h"

#define RAM_SIZE   0x8000
#define FILE_SIZE  512
#define EXCEPTIONS 6
#define LINES	   200
#define LINE_MAX   160

static uint8_t ram[RAM_SIZE];
static uint8_t file[FILE_SIZE];
static unsigned lines;

static enum monitor_memory on_read(void *ctx, unsigned vm, uint64_t gpa, void *to, size_t length)
{
	(void)ctx, (void)vm;
	FUZZ_REQUIRE(length && gpa / 4096 == (gpa + length - 1) / 4096);
	if (gpa - 0x100000 < 0x100000)
		return MONITOR_UNTOUCHED;
	if (!range_within(gpa, length, RAM_SIZE))
		return MONITOR_NO_RAM;
	memcpy(to, ram + gpa, length);
	return MONITOR_RAM;
}

static bool on_exit(void *ctx, unsigned back, struct postmortem_exit *exit)
{
	*exit = (struct postmortem_exit){back * 0x1001, back % 2 ? "HLT" : "I/O instruction"};
	return back < *(uint8_t *)ctx;
}

static void on_line(const char *text)
{
	FUZZ_REQUIRE(lines++ < LINES && strlen(text) < LINE_MAX);
	for (; *text; text++)
		FUZZ_REQUIRE(*text >= ' ' && *text < 0x7F);
}

/* An address in RAM, or any. */
static uint64_t address(struct stream *in)
{
	uint8_t choice = stream_byte(in);

	return choice & 0x80 ? stream_number(in, 8) : (choice & 0x7Fu) << 8 | stream_byte(in);
}

static void make_regs(struct monitor_regs *regs, struct stream *in)
{
	uint8_t mode = stream_byte(in);

	*regs = (struct monitor_regs){.rip = address(in),
				      .rflags = stream_number(in, 3),
				      .cr0 = (mode & 1) | (mode & 2 ? BIT(31) : 0),
				      .cr2 = address(in),
				      .cr3 = address(in),
				      .cr4 = stream_number(in, 3),
				      .efer = mode & 4 ? BIT(10) | BIT(8) : 0,
				      .activity = "active",
				      .mode = "some mode",
				      .physical_bits = (uint8_t)(32 + mode % 21)};
	regs->gpr[4] = address(in);
	regs->gpr[5] = address(in);
	for (unsigned i = 0; i < 4; i++)
		regs->pdpte[i] = i << 12 | 1;
	for (unsigned i = 0; i < MONITOR_SEGMENTS; i++)
		regs->segment[i] = (struct monitor_segment){(uint16_t)i, mode & 8 ? address(in) : 0,
							    0xFFFFFFFF, 0x93};
	regs->segment[MONITOR_CS].rights = (uint32_t)stream_number(in, 2);
	regs->segment[MONITOR_SS].rights = (uint32_t)stream_number(in, 2);
}

void fuzz_postmortem(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);
	struct postmortem_exception exceptions[EXCEPTIONS];
	const struct inspect_reader reader = {.read = on_read};
	uint8_t head = stream_byte(&in), exits = stream_byte(&in);
	struct symbols symbols;
	struct monitor_regs regs;
	struct postmortem pm = {.regs = &regs,
				.reader = &reader,
				.symbols = &symbols,
				.exceptions = exceptions,
				.exceptions_count = head % (EXCEPTIONS + 1),
				.shutdown = head & 0x80,
				.exit = on_exit,
				.ctx = &exits,
				.exits = 8,
				.line = on_line};

	make_regs(&regs, &in);
	for (unsigned i = 0; i < pm.exceptions_count; i++)
		exceptions[i] =
			(struct postmortem_exception){.rip = address(&in),
						      .address = address(&in),
						      .error_code = (uint32_t)stream_number(&in, 4),
						      .vector = stream_byte(&in) % 32,
						      .during = (uint16_t)stream_number(&in, 2)};
	memset(ram, 0, sizeof(ram));
	memset(file, 0, sizeof(file));
	for (unsigned i = 0; i < 32; i++)
		file[i] = stream_byte(&in);
	for (unsigned at = 0; stream_more(&in); at += head & 0x40 ? 512 : 1)
		ram[at % RAM_SIZE] = stream_byte(&in);
	symbols_init(&symbols, file, sizeof(file));
	lines = 0;
	postmortem_report(&pm);
}
