/* SPDX-License-Identifier: MIT */
/* A guest's kernel: recognised and given to its loader. */
#include "vm/image.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "vm/load_linux.h"
#include "vm/load_multiboot.h"

#define MULTIBOOT2_MAGIC  0xE85250D6u
#define MULTIBOOT2_SEARCH 32768
#define ELF_MAGIC	  0x464C457Fu

static uint32_t word_at(const uint8_t *data, uint64_t offset)
{
	uint32_t word;

	memcpy(&word, data + offset, sizeof(word));
	return word;
}

/* Multiboot2 specification 2.0, 'The layout of Multiboot2 header': four words that sum to 0. */
static bool is_multiboot2(const uint8_t *data, uint64_t size)
{
	for (uint64_t at = 0; range_within(at, 16, MIN(size, MULTIBOOT2_SEARCH)); at += 8)
		if (word_at(data, at) == MULTIBOOT2_MAGIC &&
		    word_at(data, at) + word_at(data, at + 4) + word_at(data, at + 8) +
				    word_at(data, at + 12) ==
			    0)
			return true;
	return false;
}

enum image_kind image_recognise(const uint8_t *data, uint64_t size)
{
	if (linux_recognise(data, size))
		return IMAGE_LINUX;
	if (multiboot_recognise(data, size))
		return IMAGE_MULTIBOOT;
	if (is_multiboot2(data, size))
		return IMAGE_MULTIBOOT2;
	if (size >= sizeof(uint32_t) && word_at(data, 0) == ELF_MAGIC)
		return IMAGE_ELF;
	return IMAGE_UNKNOWN;
}

static bool refuse(enum image_kind kind, struct error *error)
{
	switch (kind) {
	case IMAGE_MULTIBOOT2:
		return error_set(error, "kernel: has a Multiboot2 header only; want a bzImage or a "
					"Multiboot 1 header");
	case IMAGE_ELF:
		return error_set(error, "kernel: an ELF file without a Multiboot header in its "
					"first 8192 bytes; want a bzImage or a Multiboot kernel");
	default:
		return error_set(error, "kernel: the file is no kernel that is known; want a "
					"bzImage or a Multiboot kernel");
	}
}

bool image_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
		struct vcpu_start *start, struct error *error)
{
	static const enum image_kind wanted[] = {
		[CONFIG_BOOT_AUTO] = IMAGE_UNKNOWN,
		[CONFIG_BOOT_LINUX] = IMAGE_LINUX,
		[CONFIG_BOOT_MULTIBOOT] = IMAGE_MULTIBOOT,
	};
	enum image_kind kind = wanted[config->boot];
	const struct config_file *file = &config->kernel;

	if (kind == IMAGE_UNKNOWN)
		kind = image_recognise(file->data, file->size);
	if (kind == IMAGE_LINUX && !linux_recognise(file->data, file->size))
		return error_set(error, "boot=linux: the kernel is no bzImage");
	if (kind == IMAGE_LINUX)
		return linux_load(config, memory, rsdp, start, error);
	if (kind == IMAGE_MULTIBOOT)
		return multiboot_load(config, memory, start, error);
	return refuse(kind, error);
}
