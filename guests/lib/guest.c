/* SPDX-License-Identifier: MIT */
/* Console, test lines and end of a test guest. */
#include "guests/lib/guest.h"

#include <stdarg.h>
#include <stddef.h>

#define UART_DLL      (COM1_PORT + 0)
#define UART_DLM      (COM1_PORT + 1)
#define UART_LCR      (COM1_PORT + 3)
#define UART_LSR      (COM1_PORT + 5)
#define LCR_8N1	      0x03
#define LCR_DLAB      0x80
#define LSR_THRE      0x20
#define LSR_TEMT      0x40
#define BAUD_115200   1
#define SHUTDOWN_PORT 0x8900

static unsigned tests, failures;
static bool console_ready;

static void console_start(void)
{
	outb(UART_LCR, LCR_8N1 | LCR_DLAB);
	outb(UART_DLL, BAUD_115200);
	outb(UART_DLM, 0);
	outb(UART_LCR, LCR_8N1);
	console_ready = true;
}

static void put(char c)
{
	if (!console_ready)
		console_start();
	if (c == '\n')
		put('\r');
	while (!(inb(UART_LSR) & LSR_THRE))
		;
	outb(COM1_PORT, (uint8_t)c);
}

static void put_text(const char *text)
{
	while (*text)
		put(*text++);
}

/* 32-bit code has no 64-bit division: hexadecimal by shifts, decimal for 32 bits only. */
static void put_hex(uint64_t value)
{
	bool started = false;

	for (int shift = 60; shift >= 0; shift -= 4) {
		unsigned digit = value >> shift & 15;

		started |= digit || !shift;
		if (started)
			put("0123456789abcdef"[digit]);
	}
}

static void put_decimal(uint32_t value)
{
	if (value >= 10)
		put_decimal(value / 10);
	put((char)('0' + value % 10));
}

static void put_signed(int32_t value)
{
	if (value < 0)
		put('-');
	put_decimal(value < 0 ? 0u - (uint32_t)value : (uint32_t)value);
}

/* Prints one conversion; returns the place after it. */
static const char *put_conversion(const char *at, va_list *args)
{
	switch (*at++) {
	case 's': put_text(va_arg(*args, const char *)); break;
	case 'c': put((char)va_arg(*args, int)); break;
	case 'u': put_decimal(va_arg(*args, uint32_t)); break;
	case 'd': put_signed(va_arg(*args, int32_t)); break;
	case 'x': put_hex(va_arg(*args, uint32_t)); break;
	case 'l': /* %llx and no other */ put_hex(va_arg(*args, unsigned long long)); return at + 2;
	default: put(at[-1]); break;
	}
	return at;
}

void guest_print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	while (*format) {
		if (*format == '%' && format[1])
			format = put_conversion(format + 1, &args);
		else
			put(*format++);
	}
	va_end(args);
}

bool guest_check(bool passed, const char *what)
{
	tests++;
	failures += !passed;
	guest_print("%sok %u - %s\n", passed ? "" : "not ", tests, what);
	return passed;
}

bool guest_check_equal(uint64_t got, uint64_t want, const char *what)
{
	if (got != want)
		guest_print("# got 0x%llx, want 0x%llx\n", (unsigned long long)got,
			    (unsigned long long)want);
	return guest_check(got == want, what);
}

unsigned guest_failures(void)
{
	guest_print("1..%u\n", tests);
	return failures < 255 ? failures : 255;
}

_Noreturn void guest_exit(unsigned status)
{
	while (console_ready && !(inb(UART_LSR) & LSR_TEMT))
		;
	outb(DEBUG_EXIT_PORT, (uint8_t)status);
	/* Not a guest of Socle, but on bare Bochs: its own way off. */
	for (const char *word = "Shutdown"; *word; word++)
		outb(SHUTDOWN_PORT, (uint8_t)*word);
	for (;;)
		__asm__ volatile("cli; hlt");
}
