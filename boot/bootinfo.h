/* SPDX-License-Identifier: MIT */
/* What the boot loader handed over: the Multiboot2 boot information as one checked struct. */
#ifndef BOOT_BOOTINFO_H
#define BOOT_BOOTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define BOOT_MODULES_MAX 256
#define BOOT_MEMORY_MAX	 256
#define BOOT_CMDLINE_MAX 1024
#define BOOT_SIZE_MAX	 (1024 * 1024)

struct boot_module {
	uint64_t start; /* physical; bytes [start, end) */
	uint64_t end;
	const char *cmdline; /* NUL-terminated, inside the boot information */
};

struct boot_memory {
	uint64_t start;
	uint64_t end;
	bool available;
};

enum boot_screen { BOOT_SCREEN_NONE, BOOT_SCREEN_TEXT, BOOT_SCREEN_RGB };

struct boot_framebuffer {
	enum boot_screen kind;
	uint64_t address;
	uint32_t pitch; /* bytes in a row */
	uint32_t width; /* pixels, or characters of a text screen */
	uint32_t height;
	uint8_t depth; /* bits in a pixel: 15, 16, 24 or 32 */
	uint8_t red_shift, red_size, green_shift, green_size, blue_shift, blue_size;
};

struct bootinfo {
	uint64_t start; /* physical range of the boot information itself */
	uint64_t end;
	char cmdline[BOOT_CMDLINE_MAX];
	unsigned modules;
	struct boot_module module[BOOT_MODULES_MAX];
	unsigned memories;
	struct boot_memory memory[BOOT_MEMORY_MAX];
	struct boot_framebuffer framebuffer;
	bool have_rsdp;
	uint8_t rsdp[36]; /* a copy; the first 20 bytes are an ACPI 1.0 RSDP if rsdp_size is 20 */
	uint8_t rsdp_size;
};

/*
 * Parses the tag list at `data` (its physical address is `start`), of which `limit` bytes may be
 * read. Every length is checked against the tag, every tag against the total. False, with the
 * reason, when the list cannot be trusted as a whole. Command lines get back the form that they had
 * in grub.cfg, in place; those of modules stay in `data`.
 * Multiboot2 specification, "Boot information format".
 */
bool bootinfo_parse(struct bootinfo *info, void *data, size_t limit, uint64_t start,
		    struct error *error);

#endif
