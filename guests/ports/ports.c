/* SPDX-License-Identifier: MIT */
/*
 * Ports: nobody's, in all widths, and across the border of somebody's; the debugging ports; PCI's
 * configuration mechanism in front of an empty bus; INS and OUTS on them.
 */
#include "guests/lib/guest.h"

#define NOBODY	    0x2E8
#define NOBODY_HIGH 0xF000
#define LAST	    0xFFFF
#define DEBUG_PORT  0xE9
#define POST	    0x80
#define SCRATCH	    0x3FF
#define PIC_MASK    0x21
#define PCI_ADDRESS 0xCF8
#define PCI_DATA    0xCFC
#define RESET	    0xCF9
#define PCI_ENABLE  0x80000000u
#define ALL_ONES    0xFFFFFFFFu

static void test_nobody(void)
{
	uint32_t value = 0x11223344;

	guest_check_equal(inb(NOBODY), 0xFF, "nobody: a byte of ones");
	guest_check_equal(inw(NOBODY), 0xFFFF, "a word");
	guest_check_equal(inl(NOBODY), ALL_ONES, "a double word");
	guest_check_equal(inb(NOBODY_HIGH), 0xFF, "the same high up");
	guest_check_equal(inw(LAST), 0xFFFF, "a word beyond the last port");
	guest_check_equal(inl(LAST - 1), ALL_ONES, "a double word there");
	outb(NOBODY, 0), outw(NOBODY, 0), outl(NOBODY, 0), outl(LAST, 0);
	guest_check_equal(inl(NOBODY), ALL_ONES, "writes vanish");
	__asm__ volatile("inb %w1, %b0" : "+a"(value) : "d"(NOBODY));
	guest_check_equal(value, 0x112233FF, "IN AL leaves the rest of EAX");
	__asm__ volatile("inw %w1, %w0" : "+a"(value) : "d"(NOBODY));
	guest_check_equal(value, 0x1122FFFF, "IN AX as well");
}

static void test_widths(void)
{
	outb(POST, 0x5A);
	guest_check_equal(inw(POST), 0xFF5A, "a word across a device's last port");
	outw(POST, 0x1234);
	guest_check_equal(inb(POST), 0x34, "is written in bytes");
	outw(PIC_MASK - 1, 0xFF0A);
	guest_check_equal(inw(PIC_MASK - 1) >> 8, 0xFF, "a word on two ports of a byte each");
	outb(PIC_MASK, 0xFB);
}

static void test_debugging(void)
{
	guest_check_equal(inb(DEBUG_PORT), 0xE9, "port E9H says that it is there");
	for (const char *c = "# by port E9H\n"; *c; c++)
		outb(DEBUG_PORT, (uint8_t)*c);
	outb(POST, 0x42);
	guest_check_equal(inb(POST), 0x42, "port 80H keeps its byte");
}

static void test_pci(void)
{
	unsigned found = 0;

	outl(PCI_ADDRESS, PCI_ENABLE | 0xFFFFFF);
	guest_check_equal(inl(PCI_ADDRESS), PCI_ENABLE | 0xFFFFFC, "the address reads back");
	outb(RESET, 0);
	outw(PCI_ADDRESS, 0);
	guest_check_equal(inl(PCI_ADDRESS), PCI_ENABLE | 0xFFFFFC, "only double words change it");
	for (uint32_t device = 0; device < 32; device++) {
		outl(PCI_ADDRESS, PCI_ENABLE | device << 11);
		found += inl(PCI_DATA) != ALL_ONES;
	}
	guest_check_equal(found, 2, "two devices are on the bus");
	outl(PCI_ADDRESS, PCI_ENABLE);
	outl(PCI_DATA, 0);
	guest_check_equal(inl(PCI_DATA), 0x12378086, "the first is the host bridge");
	guest_check_equal(inw(PCI_DATA + 2), 0x1237, "a word of it");
	guest_check_equal(inb(PCI_DATA + 1), 0x80, "a byte of it");
	guest_check_equal(*(volatile uint32_t *)0xB0009000, 0x70108086, "IDE, read from memory");
	outl(PCI_ADDRESS, 0);
	guest_check_equal(inl(PCI_DATA), ALL_ONES, "nor is there anything without enable");
}

static void ins(void *to, uint32_t count, uint16_t port)
{
	__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

static void test_strings(void)
{
	static const char text[] = "# by OUTS\n";
	const char *from = text;
	uint32_t count = sizeof(text) - 1, words[3] = {1, 2, 3}, *to = words;
	uint8_t bytes[4] = {0};

	__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(DEBUG_PORT));
	guest_check(!count && from == text + sizeof(text) - 1, "REP OUTSB moves ESI and ECX");
	outb(SCRATCH, 0x77);
	ins(bytes, 3, SCRATCH);
	guest_check_equal(bytes[0] + bytes[1] + bytes[2], 3 * 0x77, "REP INSB reads");
	guest_check_equal(bytes[3], 0, "so many bytes and no more");
	count = 2;
	__asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(NOBODY) : "memory");
	guest_check(words[0] == ALL_ONES && words[1] == ALL_ONES && words[2] == 3,
		    "REP INSD from nobody");
}

unsigned main(uintptr_t info)
{
	(void)info;
	test_nobody();
	test_widths();
	test_debugging();
	test_pci();
	test_strings();
	return guest_failures();
}
