/* SPDX-License-Identifier: MIT */
/* PS/2 keyboard and mouse: what they answer, and the codes of keys. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/vps2.h"

static struct vps2 device;

static void send(uint8_t byte)
{
	vps2_write(&device, byte);
}

/* All that the device says, as "FA AB". */
static const char *said(void)
{
	static const char digits[] = "0123456789ABCDEF";
	static char text[128];
	size_t length = 0;

	while (vps2_waiting(&device) && length < sizeof(text) - 4) {
		uint8_t byte = vps2_read(&device);

		text[length++] = digits[byte >> 4];
		text[length++] = digits[byte & 15];
		text[length++] = ' ';
	}
	text[length ? length - 1 : 0] = '\0';
	return text;
}

static const char *ask(uint8_t byte)
{
	send(byte);
	return said();
}

static const char *key(uint8_t code)
{
	assert_true(vps2_key(&device, code, true));
	assert_true(vps2_key(&device, code, false));
	return said();
}

static void test_keyboard_answers(void **state)
{
	(void)state;
	vps2_init(&device, false);
	assert_string_equal(said(), "");
	assert_string_equal(ask(0xFF), "FA AA");
	assert_string_equal(ask(0xF2), "FA AB 83");
	assert_string_equal(ask(0xEE), "EE");
	assert_string_equal(ask(0xFE), "EE");
	assert_string_equal(ask(0xED), "FA");
	assert_string_equal(ask(0x05), "FA");
	assert_int_equal(device.leds, 5);
	assert_string_equal(ask(0xF3), "FA");
	assert_string_equal(ask(0x20), "FA");
	assert_string_equal(ask(0xED), "FA");
	assert_string_equal(ask(0xF4), "FA"); /* a command gives the argument up */
	assert_int_equal(device.leds, 5);
	assert_string_equal(ask(0x01), "FE");
	assert_string_equal(ask(0xE8), "FE"); /* a mouse's */
	assert_string_equal(ask(0xF0), "FA");
	assert_string_equal(ask(0x00), "FA 02");
	assert_string_equal(ask(0xF0), "FA");
	assert_string_equal(ask(0x04), "FE");
}

static void test_scan_codes(void **state)
{
	static const struct {
		uint8_t key;
		const char *set1, *set2, *set3;
	} keys[] = {
		{0x1E, "1E 9E", "1C F0 1C", "1C F0 1C"},	     /* A */
		{0x2A, "2A AA", "12 F0 12", "12 F0 12"},	     /* left shift */
		{0x01, "01 81", "76 F0 76", "08 F0 08"},	     /* Esc */
		{0x41, "41 C1", "83 F0 83", "37 F0 37"},	     /* F7 */
		{0x58, "58 D8", "07 F0 07", "5E F0 5E"},	     /* F12 */
		{0xC8, "E0 48 E0 C8", "E0 75 E0 F0 75", "63 F0 63"}, /* up */
		{0x9D, "E0 1D E0 9D", "E0 14 E0 F0 14", "58 F0 58"}, /* right Ctrl */
		{0xD3, "E0 53 E0 D3", "E0 71 E0 F0 71", "64 F0 64"}, /* Delete */
		{0x0E, "0E 8E", "66 F0 66", "66 F0 66"},	     /* Backspace */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		vps2_init(&device, false);
		assert_string_equal(key(keys[i].key), keys[i].set2);
		send(0xF0), send(1), said();
		assert_string_equal(key(keys[i].key), keys[i].set1);
		send(0xF0), send(3), said();
		send(0xF8), said();
		assert_string_equal(key(keys[i].key), keys[i].set3);
	}
	assert_false(vps2_key(&device, 0x00, true));
}

/* Translating set 2 is set 1, but for the break prefix. */
static void test_translation(void **state)
{
	(void)state;
	for (uint8_t code = 1; code < 0x59; code++) {
		uint8_t last = 0;

		if (code == 0x54)
			continue;
		vps2_init(&device, false);
		if (!vps2_key(&device, code, true))
			continue;
		while (vps2_waiting(&device))
			last = vps2_read(&device);
		assert_int_equal(vps2_translate(last), code);
	}
	assert_int_equal(vps2_translate(0xFA), 0xFA);
	assert_int_equal(vps2_translate(0xAB), 0xAB);
}

static void test_set3_breaks(void **state)
{
	(void)state;
	vps2_init(&device, false);
	send(0xF0), send(3), said();
	assert_string_equal(key(0x1E), "1C");
	assert_string_equal(key(0x2A), "12 F0 12");
	send(0xFC), send(0x1C), send(0xF4), said();
	assert_string_equal(key(0x1E), "1C F0 1C");
	assert_string_equal(key(0x30), "32");
	send(0xF9), said();
	assert_string_equal(key(0x2A), "12");
	send(0xFF), said();
	assert_string_equal(key(0x1E), "1C F0 1C");
}

static void test_enable_and_buffer(void **state)
{
	(void)state;
	vps2_init(&device, false);
	assert_true(vps2_idle(&device));
	send(0xF5), said();
	assert_false(vps2_idle(&device));
	assert_string_equal(key(0x1E), "");
	send(0xF4), said();
	for (unsigned i = 0; i < 20; i++)
		vps2_key(&device, 0x1E, true);
	assert_false(vps2_idle(&device));
	assert_string_equal(said(), "1C 1C 1C 1C 1C 1C 1C 1C 1C 1C 1C 1C 1C 1C 1C 00");
	assert_string_equal(key(0x1E), "1C F0 1C");
	/* Answers go before codes. */
	vps2_key(&device, 0x1E, true);
	assert_string_equal(ask(0xEE), "EE 1C");
}

static void test_mouse(void **state)
{
	(void)state;
	vps2_init(&device, true);
	assert_string_equal(ask(0xFF), "FA AA 00");
	assert_string_equal(ask(0xF2), "FA 00");
	assert_string_equal(ask(0xE9), "FA 00 02 64");
	send(0xE8), send(3), send(0xE7), send(0xF4), said();
	assert_string_equal(ask(0xE9), "FA 30 03 64");
	assert_string_equal(ask(0xEB), "FA 08 00 00");
	send(0xF3), send(200), send(0xF3), send(100), send(0xF3), send(80), said();
	assert_string_equal(ask(0xF2), "FA 03");
	assert_string_equal(ask(0xEB), "FA 08 00 00 00");
	assert_string_equal(ask(0xE9), "FA 30 03 50");
	send(0xF0), said();
	assert_string_equal(ask(0xE9), "FA 70 03 50");
	send(0xEE), said();
	assert_string_equal(ask(0xF2), "F2");
	assert_string_equal(ask(0xEC), "FA");
	assert_string_equal(ask(0xE1), "FE");
	assert_string_equal(ask(0xF6), "FA");
	assert_string_equal(ask(0xE9), "FA 00 02 64");
	assert_string_equal(ask(0xFF), "FA AA 00");
	assert_string_equal(ask(0xF2), "FA 00");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keyboard_answers),  cmocka_unit_test(test_scan_codes),
		cmocka_unit_test(test_translation),	  cmocka_unit_test(test_set3_breaks),
		cmocka_unit_test(test_enable_and_buffer), cmocka_unit_test(test_mouse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
