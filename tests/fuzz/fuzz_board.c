/* SPDX-License-Identifier: MIT */
/* The board as a whole, and the parts of it that a fuzzer is better off with alone. */
#include "lib/bits.h"
#include "tests/fuzz/board.h"
#include "tests/fuzz/fuzz.h"

#define FOCUS(...)                                          \
	.ports = (const struct board_ports[]){__VA_ARGS__}, \
	.count = ARRAY_SIZE(((const struct board_ports[]){__VA_ARGS__}))

/* Port 92H, and CF9H as PCI's neighbour, are in reach of all that have keyboards and PCI. */
#define PIC                         \
	{0x20, 0x21}, {0xA0, 0xA1}, \
	{                           \
		0x4D0, 0x4D1        \
	}
#define PIT                \
	{0x40, 0x43},      \
	{                  \
		0x61, 0x61 \
	}
#define RTC                \
	{                  \
		0x70, 0x71 \
	}
#define I8042                       \
	{0x60, 0x60}, {0x64, 0x64}, \
	{                           \
		0x92, 0x92          \
	}
#define ATA                                             \
	{0x1F0, 0x1F7}, {0x3F6, 0x3F6}, {0x170, 0x177}, \
	{                                               \
		0x376, 0x376                            \
	}
#define ACPI               \
	{0x400, 0x40F},    \
	{                  \
		0xB2, 0xB3 \
	}
#define PCI                  \
	{                    \
		0xCF8, 0xCFF \
	}
#define VGA                  \
	{                    \
		0x3B0, 0x3DF \
	}
#define UART                 \
	{0x3F8, 0x3FF},      \
	{                    \
		0x2F8, 0x2FF \
	}
#define FWCFG                \
	{                    \
		0x510, 0x51B \
	}
#define DEBUG                                     \
	{0x80, 0x80}, {0xE9, 0xE9}, {0xF4, 0xF7}, \
	{                                         \
		0x402, 0x402                      \
	}

void fuzz_board(const uint8_t *data, size_t size)
{
	const struct board_focus all = {
		FOCUS(PIC, PIT, RTC, I8042, ATA, ACPI, PCI, VGA, UART, FWCFG, DEBUG),
		.regions = BOARD_IOAPIC | BOARD_HPET | BOARD_ECAM | BOARD_LAPIC,
	};

	board_run(&all, data, size);
}

void fuzz_ata(const uint8_t *data, size_t size)
{
	const struct board_focus ata = {FOCUS(ATA), .drives = true};

	board_run(&ata, data, size);
}

void fuzz_input(const uint8_t *data, size_t size)
{
	const struct board_focus input = {FOCUS(I8042)};

	board_run(&input, data, size);
}

void fuzz_uart(const uint8_t *data, size_t size)
{
	const struct board_focus uart = {FOCUS(UART)};

	board_run(&uart, data, size);
}

void fuzz_irq(const uint8_t *data, size_t size)
{
	const struct board_focus irq = {
		FOCUS(PIC, PIT, I8042),
		.regions = BOARD_IOAPIC | BOARD_HPET | BOARD_LAPIC,
	};

	board_run(&irq, data, size);
}

void fuzz_timers(const uint8_t *data, size_t size)
{
	const struct board_focus timers = {
		FOCUS(PIT, RTC, ACPI),
		.regions = BOARD_HPET | BOARD_LAPIC,
	};

	board_run(&timers, data, size);
}

void fuzz_pci(const uint8_t *data, size_t size)
{
	const struct board_focus pci = {FOCUS(PCI, ACPI), .regions = BOARD_ECAM};

	board_run(&pci, data, size);
}

void fuzz_fwcfg(const uint8_t *data, size_t size)
{
	const struct board_focus fwcfg = {FOCUS(FWCFG, {0x402, 0x402}), .firmware = true};

	board_run(&fwcfg, data, size);
}

void fuzz_vga(const uint8_t *data, size_t size)
{
	const struct board_focus vga = {FOCUS(VGA)};

	board_run(&vga, data, size);
}
