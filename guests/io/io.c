/* SPDX-License-Identifier: MIT */
/*
 * String I/O in 32-bit code: segments, their limits and their bases, and 16-bit addresses.
 * Intel SDM volume 3, "Limit Checking"; volume 2, "INS", "OUTS".
 */
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/user.h"

#define PORT_NOBODY  0x2e0
#define PORT_SCRATCH 0x3ff /* COM1's */
#define FLAT	     0x10
#define LIMITED	     0x30 /* bytes 0 to 99 of the buffer */
#define READ_ONLY    0x38
#define EXPAND_DOWN  0x40 /* from byte 100 of the buffer up to 64 KiB */
#define BASED	     0x48 /* the buffer and all behind it */
#define FILL	     0x55

static uint8_t buffer[4096] __attribute__((aligned(4096)));
static uint64_t gdt[10] __attribute__((aligned(8)));

static uint64_t segment(const void *base, uint32_t limit, uint8_t type, uint8_t flags)
{
	uint32_t b = (uint32_t)base;

	return (limit & 0xffff) | (uint64_t)(b & 0xffffff) << 16 | (uint64_t)type << 40 |
	       (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)flags << 52 |
	       (uint64_t)(b >> 24) << 56;
}

static void set_up(void)
{
	extern const uint64_t guest_gdt[6];
	struct __attribute__((packed)) {
		uint16_t limit;
		uint32_t base;
	} gdtr = {sizeof(gdt) - 1, (uint32_t)gdt};

	for (unsigned i = 0; i < 6; i++)
		gdt[i] = guest_gdt[i];
	gdt[LIMITED / 8] = segment(buffer, 99, 0x93, 4);
	gdt[READ_ONLY / 8] = segment(buffer, 0xfffff, 0x91, 12);
	gdt[EXPAND_DOWN / 8] = segment(buffer, 99, 0x97, 0);
	gdt[BASED / 8] = segment(buffer, 0xfffff, 0x93, 12);
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
}

/* What a faulting string instruction left; its handler skips it, two bytes, or three. */
static volatile struct {
	unsigned vector, error, skip;
	uint32_t count, address, source;
} fault;

static void on_fault(struct trap_frame *frame)
{
	fault.vector = frame->vector;
	fault.error = frame->error;
	fault.count = frame->cx;
	fault.address = frame->di;
	fault.source = frame->si;
	frame->ip += fault.skip;
}

static void clear(void)
{
	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = FILL;
	fault.vector = TRAP_NONE;
	fault.skip = 2;
}

static bool only(unsigned from, unsigned to, uint8_t value)
{
	for (unsigned i = 0; i < sizeof(buffer); i++)
		if (buffer[i] != (i >= from && i < to ? value : FILL))
			return false;
	return true;
}

/* `code` with ES = selector; the rest of the code has it flat. */
#define IN_SEGMENT(name, code)                                                               \
	static void name(uint16_t selector, uint16_t port, uint32_t address, uint32_t count) \
	{                                                                                    \
		__asm__ volatile("mov %w3, %%es\n\t" code "\n\tmov %w4, %%es\n\tcld"         \
				 : "+D"(address), "+c"(count)                                \
				 : "d"(port), "r"((uint32_t)selector), "r"(FLAT)             \
				 : "memory", "cc");                                          \
	}
IN_SEGMENT(rep_ins_b, "rep insb")
IN_SEGMENT(rep_ins_l, "rep insl")
IN_SEGMENT(rep_ins_b_down, "std\n\trep insb")

static void test_limits(void)
{
	outb(PORT_SCRATCH, 0x3c);
	clear();
	rep_ins_b(LIMITED, PORT_SCRATCH, 90, 10);
	guest_check(fault.vector == TRAP_NONE && only(90, 100, 0x3c), "REP INSB to the limit");
	clear();
	rep_ins_b(LIMITED, PORT_SCRATCH, 90, 20);
	guest_check_equal(fault.vector, TRAP_GP, "and beyond: #GP");
	guest_check_equal(fault.error, 0, "with error code 0");
	guest_check(only(90, 100, 0x3c), "after the bytes that fit");
	guest_check(fault.count == 10 && fault.address == 100, "ECX and EDI are at the next");
	clear();
	rep_ins_l(LIMITED, PORT_NOBODY, 93, 3);
	guest_check_equal(fault.vector, TRAP_GP, "an element across the limit");
	guest_check(only(93, 97, 0xff) && fault.count == 2 && fault.address == 97,
		    "is not stored in part");
	clear();
	rep_ins_b_down(LIMITED, PORT_SCRATCH, 5, 10);
	guest_check_equal(fault.vector, TRAP_GP, "downwards through 0");
	guest_check(only(0, 6, 0x3c) && fault.address == 0xffffffff && fault.count == 4,
		    "ends there");
	clear();
	rep_ins_b(EXPAND_DOWN, PORT_SCRATCH, 99, 1);
	guest_check_equal(fault.vector, TRAP_GP, "an expand-down segment has no low bytes");
	clear();
	rep_ins_b(EXPAND_DOWN, PORT_SCRATCH, 100, 200);
	guest_check(fault.vector == TRAP_NONE && only(100, 300, 0x3c), "but those above");
	clear();
	rep_ins_b(READ_ONLY, PORT_SCRATCH, 0, 1);
	guest_check(fault.vector == TRAP_GP && only(0, 0, 0), "a read-only segment");
	clear();
	rep_ins_b(0, PORT_SCRATCH, (uint32_t)buffer, 1);
	guest_check(fault.vector == TRAP_GP && only(0, 0, 0), "a null selector");
	clear();
	rep_ins_b(BASED, PORT_SCRATCH, 7, 300);
	guest_check(fault.vector == TRAP_NONE && only(7, 307, 0x3c), "a segment with a base");
	/* A segment prefix: with REP the instruction has three bytes. */
	clear();
	fault.skip = 3;
	buffer[0] = 0x11;
	buffer[99] = 0x42;
	{
		uint32_t source = 0, count = 200;

		__asm__ volatile("mov %w3, %%fs\n\t.byte 0x64\n\trep outsb"
				 : "+S"(source), "+c"(count)
				 : "d"(PORT_SCRATCH), "r"(LIMITED)
				 : "memory");
	}
	guest_check_equal(fault.vector, TRAP_GP, "REP OUTSB of FS beyond its limit");
	guest_check(fault.count == 100 && fault.source == 100, "stops at it");
	guest_check_equal(inb(PORT_SCRATCH), 0x42, "and has put out what came before");
}

static void test_16_bit_addresses(void)
{
	volatile uint8_t *low = (volatile uint8_t *)0;
	uint8_t first, last;
	uint32_t address = 0xabcdffff, count = 0x12340002;

	__asm__ volatile("" : "+r"(low));
	first = low[0];
	last = low[0xffff];
	low[0] = low[0xffff] = 0;
	outb(PORT_SCRATCH, 0x5a);
	__asm__ volatile(".byte 0x67\n\trep insb"
			 : "+D"(address), "+c"(count)
			 : "d"(PORT_SCRATCH)
			 : "memory");
	guest_check(low[0] == 0x5a && low[0xffff] == 0x5a, "16-bit addresses wrap at 64 KiB");
	guest_check_equal(address, 0xabcd0001, "DI moves, and EDI's upper half stays");
	guest_check_equal(count, 0x12340000, "CX counts");
	low[0] = first;
	low[0xffff] = last;
}

/* The end of the linear addresses, where a segment of 4 GiB wraps. */
static void test_wrap(void)
{
	volatile uint8_t *low = (volatile uint8_t *)0;
	uint8_t first;

	__asm__ volatile("" : "+r"(low));
	first = low[0];
	low[0] = 0;
	clear();
	rep_ins_b(FLAT, PORT_SCRATCH, 0xfffffffe, 3);
	guest_check(fault.vector == TRAP_NONE && low[0] == 0x5a, "32-bit addresses wrap at 4 GiB");
	low[0] = first;
}

static void run_user_in(void *argument)
{
	__asm__ volatile("inb %w0, %%al" : : "d"(argument) : "eax");
}

static void test_user(void)
{
	trap_set_handler(TRAP_GP, 0);
	user_init();
	guest_check_equal(user_run(run_user_in, (void *)PORT_SCRATCH), TRAP_GP, "IN at CPL 3");
	user_allow_port(PORT_SCRATCH, true);
	guest_check_equal(user_run(run_user_in, (void *)PORT_SCRATCH), TRAP_NONE,
			  "with the I/O bitmap's leave");
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	trap_set_handler(TRAP_GP, on_fault);
	set_up();
	test_limits();
	test_16_bit_addresses();
	test_wrap();
	test_user();
	return guest_failures();
}
