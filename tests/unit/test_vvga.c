/* SPDX-License-Identifier: MIT */
/* VGA: registers, retrace, and the picture that they describe. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/vvga.h"

#define HZ 100000000ULL

static struct vvga vga;
static struct vvga_picture picture;

static void out(uint16_t port, uint8_t value)
{
	vvga_write(&vga, port, 1, value, 0);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)vvga_read(&vga, port, 1, 0);
}

static void set(uint16_t port, uint8_t index, uint8_t value)
{
	out(port, index);
	out(port + 1, value);
}

static uint8_t get(uint16_t port, uint8_t index)
{
	out(port, index);
	return in(port + 1);
}

static void test_mode_3(void **state)
{
	(void)state;
	vvga_init(&vga, HZ);
	vvga_look(&vga, &picture);
	assert_true(picture.on && picture.text && picture.blinks && picture.cursor);
	assert_int_equal(picture.width, 80);
	assert_int_equal(picture.height, 25);
	assert_int_equal(picture.stride, 80);
	assert_int_equal(picture.base, 0xB8000);
	assert_int_equal(picture.start, 0);
	assert_int_equal(picture.at, 0);
}

static void test_banks_read_back(void **state)
{
	static const struct {
		uint16_t port;
		uint8_t last, value, want;
	} banks[] = {{0x3C4, 4, 0x15, 0x04}, {0x3CE, 8, 0xA5, 0xA5}, {0x3D4, 0x18, 0x5A, 0x5A}};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		vvga_init(&vga, HZ);
		set(banks[i].port, banks[i].last, banks[i].value);
		assert_int_equal(in(banks[i].port), banks[i].last);
		assert_int_equal(get(banks[i].port, banks[i].last), banks[i].want);
		set(banks[i].port, 0x3F, 0x12);
		assert_int_not_equal(get(banks[i].port, 0x3F), 0x12);
	}
}

static void test_crtc_protection(void **state)
{
	(void)state;
	vvga_init(&vga, HZ);
	set(0x3D4, 0x00, 0x11);
	assert_int_equal(get(0x3D4, 0x00), 0x5F);
	set(0x3D4, 0x07, 0x00);
	assert_int_equal(get(0x3D4, 0x07), 0x0F);
	set(0x3D4, 0x11, 0x0E);
	set(0x3D4, 0x00, 0x11);
	assert_int_equal(get(0x3D4, 0x00), 0x11);
}

static void test_attribute_flip_flop(void **state)
{
	(void)state;
	vvga_init(&vga, HZ);
	in(0x3DA);
	out(0x3C0, 0x31);
	out(0x3C0, 0x2A);
	assert_int_equal(in(0x3C1), 0x2A);
	out(0x3C0, 0x31);
	/* Reading the status makes the next write an index again. */
	in(0x3DA);
	out(0x3C0, 0x20);
	assert_int_equal(in(0x3C0), 0x20);
	out(0x3C0, 0x07);
	assert_int_equal(in(0x3C1), 0x07);
	in(0x3DA);
	out(0x3C0, 0x31);
	assert_int_equal(in(0x3C1), 0x2A);
}

static void test_dac(void **state)
{
	(void)state;
	vvga_init(&vga, HZ);
	out(0x3C7, 0x14); /* brown */
	assert_int_equal(in(0x3C9), 0x2A);
	assert_int_equal(in(0x3C9), 0x15);
	assert_int_equal(in(0x3C9), 0x00);
	assert_int_equal(in(0x3C7) & 3, 3);
	out(0x3C8, 0xFF);
	for (uint8_t i = 1; i < 5; i++)
		out(0x3C9, 0x40 + i); /* six bits; the fourth is colour 0's */
	assert_int_equal(in(0x3C8), 0);
	out(0x3C7, 0xFF);
	assert_int_equal(in(0x3C9), 1);
	assert_int_equal(in(0x3C9), 2);
	assert_int_equal(in(0x3C9), 3);
	assert_int_equal(in(0x3C9), 4);
	out(0x3C6, 0x3C);
	assert_int_equal(in(0x3C6), 0x3C);
}

static void test_mono_addresses(void **state)
{
	(void)state;
	vvga_init(&vga, HZ);
	assert_int_equal(in(0x3CC), 0x67);
	assert_int_equal(in(0x3B4), 0xFF);
	out(0x3C2, 0x66);
	assert_int_equal(in(0x3D5), 0xFF);
	set(0x3B4, 0x0F, 0x77);
	assert_int_equal(get(0x3B4, 0x0F), 0x77);
	assert_int_not_equal(in(0x3BA), 0xFF);
	out(0x3C2, 0x67);
	assert_int_equal(get(0x3D4, 0x0F), 0x77);
}

/* A second has 70 frames, each with one retrace, and lines that end. */
static void test_retrace_moves(void **state)
{
	unsigned retraces = 0, blanks = 0;
	uint8_t before = 0;

	(void)state;
	vvga_init(&vga, HZ);
	for (uint64_t now = 0; now < HZ; now += 300) {
		uint8_t status = (uint8_t)vvga_read(&vga, 0x3DA, 1, now);

		retraces += (status & ~before & 8) != 0;
		blanks += (status & ~before & 1) != 0;
		before = status;
	}
	assert_in_range(retraces, 69, 71);
	assert_in_range(blanks, 401 * 69, 401 * 71);
}

static void test_picture_follows_registers(void **state)
{
	(void)state;
	vvga_init(&vga, HZ);
	set(0x3D4, 0x0C, 0x01);
	set(0x3D4, 0x0D, 0x40);
	set(0x3D4, 0x0E, 0x41);
	set(0x3D4, 0x0F, 0x50);
	set(0x3D4, 0x0A, 0x00);
	vvga_look(&vga, &picture);
	assert_int_equal(picture.start, 0x140);
	assert_int_equal(picture.at, 0x150); /* it wraps after 16384 cells */
	assert_true(picture.cursor_full);
	set(0x3D4, 0x0A, 0x20);
	set(0x3C4, 0x01, 0x20);
	set(0x3D4, 0x09, 0x47);
	vvga_look(&vga, &picture);
	assert_false(picture.cursor || picture.on);
	assert_int_equal(picture.height, 50);
	set(0x3CE, 0x06, 0x0A);
	vvga_look(&vga, &picture);
	assert_int_equal(picture.base, 0xB0000);
}

static void test_graphics_modes(void **state)
{
	(void)state;
	vvga_init(&vga, HZ);
	/* Mode 13H. */
	set(0x3CE, 0x05, 0x40);
	set(0x3CE, 0x06, 0x05);
	set(0x3D4, 0x09, 0x41);
	vvga_look(&vga, &picture);
	assert_false(picture.text);
	assert_int_equal(picture.width, 320);
	assert_int_equal(picture.height, 200);
	/* Mode 12H. */
	set(0x3CE, 0x05, 0x00);
	set(0x3D4, 0x09, 0x40);
	set(0x3D4, 0x11, 0x0C);
	set(0x3D4, 0x07, 0x3E);
	set(0x3D4, 0x12, 0xDF);
	vvga_look(&vga, &picture);
	assert_int_equal(picture.width, 640);
	assert_int_equal(picture.height, 480);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mode_3),
		cmocka_unit_test(test_banks_read_back),
		cmocka_unit_test(test_crtc_protection),
		cmocka_unit_test(test_attribute_flip_flop),
		cmocka_unit_test(test_dac),
		cmocka_unit_test(test_mono_addresses),
		cmocka_unit_test(test_retrace_moves),
		cmocka_unit_test(test_picture_follows_registers),
		cmocka_unit_test(test_graphics_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
