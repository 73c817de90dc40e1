/* SPDX-License-Identifier: MIT */
/* IN and OUT: ports with devices and without, in all widths. */
#include "guests/chaos64/ports.h"

#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/mend.h"
#include "guests/chaos64/pages.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"

#define NOBODYS 0xC000 /* from here on there is no device */
#define CODE	(TWIN_FRAMES + 64 * PAGE)

struct range {
	uint16_t first, last;
};

static const struct range devices[] = {
	{0x20, 0x21},	{0xA0, 0xA1},	{0x4D0, 0x4D1}, {0x40, 0x43},	{0x61, 0x61},
	{0x60, 0x60},	{0x64, 0x64},	{0x70, 0x71},	{0x3F9, 0x3FF}, {0x2F8, 0x2FF},
	{0xB2, 0xB3},	{0x400, 0x43F}, {0x80, 0x80},	{0x3C0, 0x3DF}, {0xCF8, 0xCFF},
	{0x1F0, 0x1F7}, {0x3F6, 0x3F6}, {0x170, 0x177}, {0x510, 0x51B}, {0x92, 0x92},
};

/* Would end the VM, or write on its console. */
static bool is_spared(uint16_t port, unsigned size, uint32_t value)
{
	for (unsigned i = 0; i < size; i++, port++, value >>= 8)
		if (port == 0xF4 || port == 0xE9 || port == 0x402 || port == COM1_PORT ||
		    port == 0x404 || port == 0x405 || (port == 0xCF9 && (value & 6)) ||
		    (port == 0x92 && (value & 1)) || (port == 0x64 && (value & 0xf0) == 0xf0) ||
		    (port == 0x60 && !(value & 1)))
			return true;
	return false;
}

uint16_t ports_pick(struct prng *p)
{
	const struct range *range = &PRNG_PICK(p, devices);

	if (prng_chance(p, 20))
		return (uint16_t)prng_next(p);
	return (uint16_t)(range->first + prng_below(p, range->last - range->first + 1u));
}

bool ports_spared(uint16_t port, unsigned size, uint32_t value)
{
	return is_spared(port, size, value);
}

static uint32_t in(uint16_t port, unsigned size)
{
	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

static void out(uint16_t port, unsigned size, uint32_t value)
{
	if (size == 1)
		outb(port, (uint8_t)value);
	else if (size == 2)
		outw(port, (uint16_t)value);
	else
		outl(port, value);
}

static void access_some(struct prng *p)
{
	for (unsigned count = 8 + prng_below(p, 200); count; count--) {
		unsigned size = 1u << prng_below(p, 3);
		uint16_t port = ports_pick(p);
		uint32_t value = (uint32_t)prng_value(p);

		if (prng_chance(p, 50))
			(void)in(port, size);
		else if (!is_spared(port, size, value))
			out(port, size, value);
	}
}

static void read_nobodys(struct prng *p)
{
	for (unsigned count = 40; count; count--) {
		unsigned size = 1u << prng_below(p, 3);
		uint16_t port = (uint16_t)(NOBODYS + prng_below(p, 0x3ff0));

		chaos_expect(in(port, size), 0xffffffffu >> (32 - 8 * size),
			     "IN from a port without a device", port);
	}
}

/* At CPL 3 without an I/O bitmap ports raise #GP, unless IOPL is 3. */
static void read_as_user(struct prng *p)
{
	bool allowed = prng_chance(p, 50);
	struct launch start = {
		.rip = CODE,
		.cs = USER_CODE64,
		.ss = USER_DATA,
		.data = USER_DATA,
		.rflags = 2 | (allowed ? 0x3000 : 0),
		.cr3 = pages_long(),
	};

	pages_twin(64, CODE | PTE_P | PTE_U);
	*(uint32_t *)CODE = 0xccccccec; /* IN AL, DX; INT3 */
	start.gpr[RDX] = NOBODYS + prng_below(p, 0x3ff0);
	/* The gate of INT3 has DPL 0: both are #GP. */
	if (!chaos_expect(machine_long(&start), TRAP_GP, "IN at CPL 3, or INT3 after it", allowed))
		return;
	chaos_expect(machine_landing.error, allowed ? 3 * 8 + 2 : 0, "its error code", allowed);
	if (allowed)
		chaos_expect(machine_landing.gpr[RAX], 0xff, "what it read", 0);
}

void act_ports(struct prng *p)
{
	switch (prng_below(p, 8)) {
	case 0: read_nobodys(p); break;
	case 1: read_as_user(p); break;
	default: access_some(p); break;
	}
}
