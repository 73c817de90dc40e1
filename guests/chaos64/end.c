/* SPDX-License-Identifier: MIT */
/* Ways for a machine to end. */
#include "guests/chaos64/end.h"

#include "guests/chaos64/prng.h"
#include "guests/lib/acpi.h"
#include "guests/lib/apic.h"
#include "guests/lib/guest.h"

#define WAYS 16

static void triple_fault(void)
{
	const struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} nothing = {0, 0};

	__asm__ volatile("lidt %0\n\tud2" : : "m"(nothing));
}

static void switch_off(void)
{
	const struct acpi_fadt *fadt = acpi_table("FACP");

	outw((uint16_t)fadt->pm1a_control, (uint16_t)(1u << 13 | (unsigned)acpi_s5() << 10));
}

void end_by_seed(uint32_t seed)
{
	struct prng p = prng_for(seed, UINT64_MAX);

	switch (prng_below(&p, WAYS)) {
	case 0: triple_fault(); break;
	case 1: outb(0xCF9, 6); break;
	case 2: outb(0x64, 0xFE); break;
	case 3: outb(0x92, 1); break;
	case 4: switch_off(); break;
	case 5: apic_ipi(APIC_INIT | APIC_ASSERT, 0); break;
	case 6:
		for (;;)
			__asm__ volatile("cli; hlt");
	case 7:
		for (;;)
			__asm__ volatile("");
	default: break;
	}
}
