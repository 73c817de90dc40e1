/* SPDX-License-Identifier: MIT */
/* A kernel that may be booted by any 32-bit protocol, and checks all that it is told. */
#include "guests/boots/boots.h"

#include "guests/lib/guest.h"

#define MAGIC_MULTIBOOT1 0x2BADB002u
#define MAGIC_MULTIBOOT2 0x36D76289u
#define MAGIC_PVH	 0x336EC578u
#define CR0_PE		 1u
#define CR0_PG		 0x80000000u
#define EFLAGS_IF_VM	 0x20200u
#define PAGE		 4096u
#define MIB		 0x100000u
#define RAM		 1
#define AREAS_MAX	 16

extern char guest_start[], guest_end[];

static struct area map[AREAS_MAX];
static unsigned areas;
static const char *line = "";
static uint64_t last_end;

static bool same(const char *a, const char *b, unsigned length)
{
	for (unsigned i = 0; i < length; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static unsigned length_of(const char *text)
{
	unsigned length = 0;

	while (text[length])
		length++;
	return length;
}

/* The number after `name` (with its '='), which begins a word or the line. */
uint32_t boots_number(const char *name)
{
	uint32_t value = 0;

	for (const char *at = line; *at; at++) {
		if (!same(at, name, length_of(name)) || (at > line && at[-1] != ' '))
			continue;
		for (at += length_of(name); *at >= '0' && *at <= '9'; at++)
			value = value * 10 + (uint32_t)(*at - '0');
		return value;
	}
	return 0;
}

/* ---- Checks that protocols share ---- */

void check_entry(void)
{
	guest_check_equal(entry_state.cr0 & (CR0_PE | CR0_PG), CR0_PE, "protected mode, no paging");
	guest_check_equal(entry_state.eflags & EFLAGS_IF_VM, 0, "interrupts off, no virtual-8086");
	guest_check_equal(entry_state.cr4, 0, "CR4 is 0");
	guest_check(entry_state.cs_limit == ~0u && entry_state.ds_limit == ~0u &&
			    entry_state.ss_limit == ~0u,
		    "segments are flat, and as the GDT has them");
}

void check_cmdline(const char *cmdline)
{
	line = cmdline;
	guest_print("# command line: %s\n", line);
	guest_check(boots_number("ram=") != 0, "the command line says ram=");
}

static bool is_ram(uint64_t start, uint64_t size)
{
	for (unsigned i = 0; i < areas; i++)
		if (map[i].type == RAM && start >= map[i].start &&
		    start + size <= map[i].start + map[i].size)
			return true;
	return false;
}

void check_map(const struct area *area, unsigned count)
{
	uint64_t ram = boots_number("ram="), end = 0;
	bool ascending = true;

	guest_check(count && count <= AREAS_MAX, "the map has 1 to 16 areas");
	for (unsigned i = 0; i < count && i < AREAS_MAX; i++) {
		ascending = ascending && area[i].start >= end && area[i].size;
		end = area[i].start + area[i].size;
		map[areas++] = area[i];
	}
	guest_check(ascending, "its areas ascend and do not overlap");
	guest_check(is_ram(0, 0x80000), "the first 512K are RAM");
	guest_check(!is_ram(0xB8000, 1) && !is_ram(0xF0000, 1), "video memory and BIOS are not");
	guest_check(is_ram(MIB, (ram - 1) * MIB - boots_number("bios=") * 1024),
		    "RAM from 1M to its end is one area");
	guest_check(!is_ram(ram * MIB, 1), "no RAM after it");
	guest_check(is_ram((uintptr_t)guest_start, (uint64_t)(guest_end - guest_start)),
		    "the kernel is in RAM");
}

void check_modules_count(unsigned count)
{
	guest_check_equal(count, boots_number("modules="), "as many modules as the line says");
	last_end = (uintptr_t)guest_end;
}

void check_module(uint64_t start, uint64_t size, const char *text)
{
	unsigned length = text ? length_of(text) : 0;

	guest_check(start % PAGE == 0 && is_ram(start, size), "a module on a page of RAM");
	guest_check(start >= last_end, "after the kernel and the one before");
	guest_check(size == length && same((const char *)(uintptr_t)start, text, length),
		    "it holds the words that came with it");
	last_end = start + size;
}

/* Section headers, 32-bit or 64-bit by their size: names lead to .text, at its own address. */
void check_sections(uint32_t count, uint32_t size, const uint8_t *headers, uint32_t names)
{
	unsigned addr_at = size == 64 ? 16 : 12;
	const uint32_t *text = 0;
	uint32_t strings;

	if (!guest_check(count && (size == 40 || size == 64) && names < count, "section headers"))
		return;
	strings = *(const uint32_t *)(headers + names * size + addr_at);
	guest_check(strings >= (uintptr_t)guest_end && is_ram(strings, 1),
		    "the section names are in memory after the kernel");
	for (unsigned i = 1; i < count; i++) {
		const uint32_t *section = (const uint32_t *)(headers + i * size);

		if (same((const char *)(uintptr_t)(strings + section[0]), ".text", 6))
			text = section;
	}
	guest_check(text && text[addr_at / 4] <= (uintptr_t)guest_start &&
			    text[addr_at / 4] + 0x10000 > (uintptr_t)guest_start,
		    ".text is one of them, where the code is");
}

void check_rsdp(const void *rsdp, bool new)
{
	const uint8_t *bytes = rsdp;
	uint8_t sum = 0;

	for (unsigned i = 0; i < (new ? 36 : 20); i++)
		sum += bytes[i];
	guest_check(same(rsdp, "RSD PTR ", 8) && !sum, "an ACPI root pointer");
}

/* Address, pitch, width, height, depth and type, as both versions of Multiboot have them. */
void check_screen(const void *framebuffer)
{
	const uint32_t *words = framebuffer;

	guest_check(words[0] == 0xB8000 && words[1] == 0 && words[2] == 160 && words[3] == 80 &&
			    words[4] == 25 && (words[5] & 0xFFFF) == 0x0210,
		    "the framebuffer is EGA text, 80x25 at B8000H");
}

unsigned main(uintptr_t info)
{
	check_entry();
	if (entry_state.eax == MAGIC_MULTIBOOT1)
		check_multiboot1(info);
	else if (entry_state.eax == MAGIC_MULTIBOOT2)
		check_multiboot2(info);
	else if (info && *(const uint32_t *)info == MAGIC_PVH)
		check_pvh(info);
	else
		guest_check(!info && !entry_state.eax, "a flat image is told nothing");
	return guest_failures();
}
