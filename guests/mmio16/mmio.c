/* SPDX-License-Identifier: MIT */
/*
 * Instructions on device memory in 16-bit code: its addresses, its prefixes, segments with a base,
 * wrap-around at 64 KiB, and real mode with a segment that reaches a device.
 */
#include "guests/lib/guest.h"
#include "guests/lib/trap.h"

#define LAPIC	 0xFEE00000u
#define REG32	 0xFEE00380u
#define NOWHERE	 0xD0000000u
#define CODE16	 4
#define DATA16	 5
#define SCRATCH	 0x5000u /* below 64 KiB, and nobody's */
#define ALL_ONES 0xFFFFFFFFu

struct regs16 {
	uint32_t ax, bx, cx, dx, si, di;
};

struct __attribute__((packed)) descriptor {
	uint16_t limit, base_low;
	uint8_t base_middle, rights, limit_high, base_high;
};

extern struct descriptor guest_gdt[];
extern const char code16[], load_direct[], load_word[], load_byte[], store_indexed[];
extern const char load_scaled[], load_fs[], add_memory[], exchange[], copy_string[];
extern const char store_string[], real_mode[];
void call16(struct regs16 *regs, const void *routine);

static volatile uint32_t *const reg32 = (volatile uint32_t *)REG32;

static void set_base(unsigned entry, uint32_t base)
{
	guest_gdt[entry].base_low = (uint16_t)base;
	guest_gdt[entry].base_middle = (uint8_t)(base >> 16);
	guest_gdt[entry].base_high = (uint8_t)(base >> 24);
}

static void test_moves(void)
{
	struct regs16 r = {0};

	*reg32 = 0x12345678;
	call16(&r, load_direct);
	guest_check_equal(r.ax, 0x12345678, "16-bit: a direct address, the segment's base added");
	r = (struct regs16){.ax = 0xAAAAAAAA, .di = 0xBBBB0380};
	call16(&r, load_word);
	guest_check_equal(r.ax, 0xAAAA5678, "a word by DI, whose upper half does not count");
	r = (struct regs16){.bx = 0x380};
	call16(&r, load_byte);
	guest_check_equal(r.ax, 0x3400, "a byte into AH");
	r = (struct regs16){.ax = 0xCAFEF00D, .bx = 0xFF00, .si = 0x400};
	call16(&r, store_indexed);
	guest_check_equal(*reg32, 0xCAFEF00D, "BX + SI + displacement wraps at 64 KiB");
	r = (struct regs16){.bx = 0x40, .cx = 0x10};
	call16(&r, load_scaled);
	guest_check_equal(r.ax, 0xCAFEF00D, "an address of 32 bits by prefix");
	r = (struct regs16){.bx = 0x380};
	call16(&r, load_fs);
	guest_check_equal(r.ax, 0xCAFEF00D, "a segment by prefix");
}

static void test_arithmetic(void)
{
	struct regs16 r = {.cx = 0x80000001};

	*reg32 = 0x80000002;
	call16(&r, add_memory);
	guest_check_equal(*reg32, 3, "ADD to memory");
	guest_check_equal(r.dx, ALL_ONES, "and its carry");
	r = (struct regs16){.ax = 0x11112222, .bx = 0x380};
	call16(&r, exchange);
	guest_check_equal(r.ax, 3, "XCHG: the register");
	guest_check_equal(*reg32, 0x11112222, "and memory");
}

static void test_strings(void)
{
	volatile uint8_t *scratch = (volatile uint8_t *)SCRATCH;
	struct regs16 r = {.cx = 0x10004, .si = 0x11110380, .di = 0x22220000 + SCRATCH};

	scratch[4] = 0x5A;
	call16(&r, copy_string);
	guest_check_equal(scratch[0] | scratch[3] << 24, 0x11000022, "REP MOVSB from a register");
	guest_check_equal(scratch[4], 0x5A, "as often as CX says");
	guest_check_equal(r.cx, 0x10000, "CX is 0, the upper half as it was");
	guest_check(r.si == 0x11110384 && r.di == 0x22220000 + SCRATCH + 4, "so are SI and DI");
	set_base(DATA16, NOWHERE);
	r = (struct regs16){.cx = 4, .si = 0x3333FFFE, .di = SCRATCH};
	scratch[0] = scratch[1] = scratch[2] = scratch[3] = 0;
	call16(&r, copy_string);
	guest_check_equal(r.si, 0x33330002, "SI wraps at 64 KiB");
	guest_check_equal((uint32_t)(scratch[0] + scratch[3]), 0x1FE, "nobody's ones all the way");
	set_base(DATA16, LAPIC);
	r = (struct regs16){.ax = 0x0DDBA115, .cx = 1, .di = 0x380};
	call16(&r, store_string);
	guest_check_equal(*reg32, 0x0DDBA115, "REP STOSD to ES:DI");
}

static void test_real_mode(void)
{
	struct regs16 r = {.cx = 0x100};

	*reg32 = 0x00010203;
	call16(&r, real_mode);
	guest_check_equal(r.dx, 0x00010203, "real mode: MOV");
	guest_check_equal(r.bx, 0x03, "MOVZX");
	guest_check_equal(*reg32, 0x00010303, "ADD");
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	set_base(CODE16, (uint32_t)(uintptr_t)code16);
	set_base(DATA16, LAPIC);
	test_moves();
	test_arithmetic();
	test_strings();
	test_real_mode();
	return guest_failures();
}
