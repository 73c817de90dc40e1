/* SPDX-License-Identifier: MIT */
/*
 * The machine's screen as a log: the text buffer of a VGA, or a linear framebuffer drawn with a
 * built-in font. Both scroll upwards; neither is read back by anyone. Any core may write.
 */
#ifndef ARCH_X86_64_SCREEN_H
#define ARCH_X86_64_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A direct-colour pixel: where each component's `size` bits begin. */
struct screen_pixel {
	uint8_t bits; /* 15, 16, 24 or 32 */
	uint8_t red_shift, red_size;
	uint8_t green_shift, green_size;
	uint8_t blue_shift, blue_size;
};

/* Sizes in characters. The buffer must be mapped. False when the geometry makes no sense. */
bool screen_init_text(uint64_t address, uint32_t pitch, uint32_t columns, uint32_t rows);
/* Sizes in pixels. */
bool screen_init_pixels(uint64_t address, uint32_t pitch, uint32_t width, uint32_t height,
			const struct screen_pixel *pixel);

/* For panic, when all other cores have stopped: whoever has the lock will not give it back. */
void screen_break_lock(void);

/* A log sink. */
void screen_sink(const char *text, size_t length);

#endif
