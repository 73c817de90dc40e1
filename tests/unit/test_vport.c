/* SPDX-License-Identifier: MIT */
/* The debugging ports. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/vport.h"

static unsigned chars, exits;
static uint32_t last;

static void on_console(void *ctx, uint8_t byte)
{
	(void)ctx;
	last = byte;
	chars++;
}

static void on_exit(void *ctx, uint32_t value)
{
	(void)ctx;
	last = value;
	exits++;
}

static void test_ports(void **state)
{
	const struct vport_ops ops = {on_console, on_exit, NULL};
	struct vport port;

	(void)state;
	vport_init(&port, &ops);
	assert_int_equal(vport_read(&port, 0xE9, 1, 0), 0xE9);
	vport_write(&port, 0xE9, 1, 'z', 0);
	assert_int_equal(last, 'z');
	vport_write(&port, 0x80, 1, 0x42, 0);
	assert_int_equal(vport_read(&port, 0x80, 1, 0), 0x42);
	assert_int_equal(chars, 1);
	vport_write(&port, 0xF5, 1, 9, 0);
	assert_int_equal(exits, 0);
	vport_write(&port, 0xF4, 4, 0xDEADBEEF, 0);
	assert_int_equal(exits, 1);
	assert_int_equal(last, 0xDEADBEEF);
	assert_int_equal(vport_read(&port, 0xF4, 1, 0) & 0xFF, 0xFF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
