/* SPDX-License-Identifier: MIT */
/*
 * Fuzz targets: each takes any bytes and returns; the sanitizers say when it went wrong. With
 * clang's libFuzzer they are driven by tests/fuzz/driver.c, in unit tests by their corpus.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * The loaders, by image_load(): FUZZ_IMAGE_HEAD bytes choose the description, the rest is the
 * kernel's file. Byte 0: boot=; 1: memory; 2: modules, initrd and command line; 3: load and entry.
 */
#define FUZZ_IMAGE_HEAD 4
void fuzz_image(const uint8_t *data, size_t size);

/* Expressions of vm/regex.h: one up to a line feed, then the console's bytes. */
void fuzz_regex(const uint8_t *data, size_t size);

#endif
