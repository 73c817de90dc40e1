/* SPDX-License-Identifier: MIT */
/*
 * Fuzz targets: each takes any bytes and returns; the sanitizers, and what the target itself finds
 * untrue, say when something went wrong. With clang's libFuzzer they are driven by
 * tests/fuzz/driver.c, in unit tests by their corpus.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* All of them: X(NAME) for fuzz_NAME(), one a line; rules.mk reads this list too. */
#define FUZZ_TARGETS(X) \
	X(ata)          \
	X(board)        \
	X(bootinfo)     \
	X(config)       \
	X(emulate)      \
	X(entry)        \
	X(ept)          \
	X(firmware)     \
	X(fwcfg)        \
	X(fwconfig)     \
	X(image)        \
	X(input)        \
	X(insn)         \
	X(irq)          \
	X(keys)         \
	X(lapic)        \
	X(late)         \
	X(madt)         \
	X(memory)       \
	X(monitor)      \
	X(mux)          \
	X(options)      \
	X(pci)          \
	X(postmortem)   \
	X(regex)        \
	X(screen)       \
	X(symbols)      \
	X(timers)       \
	X(uart)         \
	X(vga)          \
	X(walk)

#define FUZZ_DECLARE(name) void fuzz_##name(const uint8_t *data, size_t size);
FUZZ_TARGETS(FUZZ_DECLARE)
#undef FUZZ_DECLARE

/*
 * image: the loaders, by image_load(): FUZZ_IMAGE_HEAD bytes choose the description, the rest is
 * the kernel's file. Byte 0: boot=; 1: memory; 2: modules, initrd and command line; 3: load and
 * entry.
 */
#define FUZZ_IMAGE_HEAD 4

#endif
