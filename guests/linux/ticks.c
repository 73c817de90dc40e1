/* SPDX-License-Identifier: MIT */
/*
 * Prints its argument and the time-stamp counter: in a VM whose TSC began at 0, the ticks since its
 * start; with a second argument also Linux's monotonic clock in nanoseconds. A whole Linux program
 * without a C library, since the shell cannot read the TSC.
 */
#include <stddef.h>
#include <stdint.h>

enum { SYS_WRITE = 1, SYS_EXIT = 60, SYS_CLOCK_GETTIME = 228 };
enum { STDOUT = 1, CLOCK_MONOTONIC = 1 };

static long syscall3(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static void print(const char *text, size_t length)
{
	syscall3(SYS_WRITE, STDOUT, (long)text, (long)length);
}

static uint64_t read_ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static uint64_t read_clock(void)
{
	long time[2] = {0, 0}; /* seconds, nanoseconds */

	syscall3(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)time, 0);
	return (uint64_t)time[0] * 1000000000 + (uint64_t)time[1];
}

static void print_number(uint64_t number, char after)
{
	char text[24];
	size_t at = sizeof(text);

	text[--at] = after;
	do
		text[--at] = (char)('0' + number % 10);
	while (number /= 10);
	print(text + at, sizeof(text) - at);
}

_Noreturn void start(const uint64_t *stack) __attribute__((used));

/* The kernel's stack at the start: argc, argv[0], argv[1], ... */
_Noreturn void start(const uint64_t *stack)
{
	uint64_t ticks = read_ticks(), clock = read_clock();
	size_t length = 0;

	if (stack[0] > 1) {
		const char *label = (const char *)stack[2];

		while (label[length])
			length++;
		print(label, length);
	}
	print_number(ticks, stack[0] > 2 ? ' ' : '\n');
	if (stack[0] > 2)
		print_number(clock, '\n');
	syscall3(SYS_EXIT, 0, 0, 0);
	__builtin_unreachable();
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
