/* SPDX-License-Identifier: MIT */
/* From a terminal's bytes to keys. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/scancode.h"
#include "vm/keys.h"

#define HZ 1000

static struct keys keys;
static uint64_t now;
static char made[256];
static uint8_t pressed[64];
static unsigned count;

/* "+1D +2E -2E -1D " */
static void on_press(void *ctx, uint8_t key, bool down)
{
	static const char digits[] = "0123456789ABCDEF";
	char *at = made + strlen(made);

	assert_ptr_equal(ctx, &keys);
	*at++ = down ? '+' : '-';
	*at++ = digits[key >> 4];
	*at++ = digits[key & 15];
	*at++ = ' ';
	*at = '\0';
	pressed[count++ % sizeof(pressed)] = (uint8_t)(key & 0x7F) | (down ? 0 : 0x80);
}

static const char *type(const char *text)
{
	made[0] = '\0';
	count = 0;
	while (*text)
		keys_byte(&keys, (uint8_t)*text++, now++, on_press, &keys);
	return made;
}

static const char *rest(uint64_t ticks)
{
	made[0] = '\0';
	now += ticks;
	keys_rest(&keys, now, HZ, on_press, &keys);
	return made;
}

static void test_characters(void **state)
{
	(void)state;
	assert_string_equal(type("a"), "+1E -1E ");
	assert_string_equal(type("A"), "+2A +1E -1E -2A ");
	assert_string_equal(type(" "), "+39 -39 ");
	assert_string_equal(type("\r"), "+1C -1C ");
	assert_string_equal(type("\n"), "+1C -1C ");
	assert_string_equal(type("\t"), "+0F -0F ");
	assert_string_equal(type("\x7f\b"), "+0E -0E +0E -0E ");
	assert_string_equal(type("\x03"), "+1D +2E -2E -1D ");
	assert_string_equal(type("\x1f"), "+2A +1D +0C -0C -1D -2A ");
	assert_string_equal(type("\xC3"), "");
}

/* What our own decoder of scan codes makes of each character is that character. */
static void test_there_and_back(void **state)
{
	char text[SCANCODE_TEXT_MAX];

	(void)state;
	for (char c = ' '; c < 0x7F; c++) {
		struct scancode codes = {0};
		char in[2] = {c, 0}, out = 0;

		type(in);
		assert_true(count >= 2);
		for (unsigned i = 0; i < count; i++) {
			const char *got = scancode_text(&codes, pressed[i], text);

			out = *got ? *got : out;
		}
		assert_int_equal(out, c);
	}
}

static void test_sequences(void **state)
{
	(void)state;
	assert_string_equal(type("\x1b[A"), "+C8 -C8 ");
	assert_string_equal(type("\x1bOD"), "+CB -CB ");
	assert_string_equal(type("\x1b[H\x1b[4~"), "+C7 -C7 +CF -CF ");
	assert_string_equal(type("\x1b[3~"), "+D3 -D3 ");
	assert_string_equal(type("\x1bOP"), "+3B -3B ");
	assert_string_equal(type("\x1b[15~\x1b[24~"), "+3F -3F +58 -58 ");
	assert_string_equal(type("\x1b[[E"), "+3F -3F ");
	assert_string_equal(type("\x1b[1;5C"), "+1D +CD -CD -1D ");
	assert_string_equal(type("\x1b[1;4A"), "+2A +38 +C8 -C8 -38 -2A ");
	assert_string_equal(type("\x1bx"), "+38 +2D -2D -38 ");
	assert_string_equal(type("\x1b[99~\x1b[Z\x1b[?1;2c"), "");
	assert_false(keys_open(&keys));
}

static void test_escape_needs_time(void **state)
{
	(void)state;
	assert_string_equal(type("\x1b"), "");
	assert_true(keys_open(&keys));
	assert_string_equal(rest(10), "");
	assert_string_equal(rest(HZ / KEYS_HOLD_PER_S), "+01 -01 ");
	assert_false(keys_open(&keys));
	assert_string_equal(type("\x1b["), "");
	assert_string_equal(rest(HZ / KEYS_HOLD_PER_S), "+01 -01 +1A -1A ");
	assert_string_equal(type("\x1b\x1b"), "+01 -01 ");
}

static void test_any_bytes(void **state)
{
	(void)state;
	srand(5);
	for (unsigned i = 0; i < 100000; i++) {
		made[0] = '\0';
		keys_byte(&keys, (uint8_t)(rand() % 3 ? rand() % 100 : rand()), now++, on_press,
			  &keys);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters), cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_sequences),  cmocka_unit_test(test_escape_needs_time),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
