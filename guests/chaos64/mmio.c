/* SPDX-License-Identifier: MIT */
/* Loads and stores of all widths to devices' pages, aligned and not, and to what is nobody's. */
#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/pages.h"
#include "guests/lib/apic.h"

#define LAPIC  APIC_PAGE
#define IOAPIC 0xFEC00000u
#define HPET   0xFED00000u
#define ECAM   0xB0000000u
#define VGA    0xA0000u
/* Of PIIX4's registers the one that places the ACPI ports, and where they are. */
#define ECAM_PM 0xB000B040u

struct access {
	uint64_t address, value;
	unsigned size;
	bool write;
};

static void run(void *argument)
{
	struct access *a = argument;

	switch (a->size * 2 + a->write) {
	case 2: a->value = *(volatile uint8_t *)a->address; break;
	case 3: *(volatile uint8_t *)a->address = (uint8_t)a->value; break;
	case 4: a->value = *(volatile uint16_t *)a->address; break;
	case 5: *(volatile uint16_t *)a->address = (uint16_t)a->value; break;
	case 8: a->value = *(volatile uint32_t *)a->address; break;
	case 9: *(volatile uint32_t *)a->address = (uint32_t)a->value; break;
	case 16: a->value = *(volatile uint64_t *)a->address; break;
	default: *(volatile uint64_t *)a->address = a->value; break;
	}
}

/* An INIT for the other CPU ends the VM, and one for this one its acts for long. */
static bool is_spared(const struct access *a)
{
	uint64_t at = a->address;

	if (!a->write)
		return false;
	return (at + a->size > LAPIC + APIC_ICR && at < LAPIC + APIC_ICR + 16) ||
	       (at + a->size > ECAM_PM && at < ECAM_PM + 4);
}

static struct access device_access(struct prng *p)
{
	static const uint32_t base[] = {LAPIC, LAPIC, IOAPIC, HPET, HPET, ECAM, VGA};
	static const uint32_t span[] = {0x1000, 0x400, 0x40, 0x400, 0x200, 0x10000, 0x20000};
	unsigned i = prng_below(p, sizeof(base) / sizeof(base[0]));
	struct access a = {.size = 1u << prng_below(p, 4), .write = prng_chance(p, 50)};

	a.address = base[i] + prng_below(p, span[i]);
	if (prng_chance(p, 70))
		a.address &= ~(uint64_t)15;
	a.value = prng_value(p);
	return a;
}

static void access_nobodys(struct prng *p)
{
	static const uint32_t places[] = {HOLE, MEMORY_END, 0xFEF00000, 0xFEB00000, 0xC0000000};
	struct access a = {.size = 1u << prng_below(p, 4)};

	a.address = PRNG_PICK(p, places) + prng_below(p, 0xffff0);
	if (prng_chance(p, 30)) {
		a.write = true;
		a.value = prng_next(p);
		if (!chaos_expect(machine_call(run, &a), END_RETURNED, "a store to nobody's memory",
				  a.address))
			return;
		a.write = false;
	}
	if (chaos_expect(machine_call(run, &a), END_RETURNED, "a load of nobody's memory",
			 a.address))
		chaos_expect(a.value, UINT64_MAX >> (64 - 8 * a.size), "what it loaded", a.address);
}

void act_mmio(struct prng *p)
{
	if (prng_chance(p, 25)) {
		for (unsigned count = 30; count; count--)
			access_nobodys(p);
		return;
	}
	for (unsigned count = 8 + prng_below(p, 200); count; count--) {
		struct access a = device_access(p);

		if (!is_spared(&a))
			chaos_expect(machine_call(run, &a), END_RETURNED, "a device's memory",
				     a.address);
	}
}
