/* SPDX-License-Identifier: MIT */
/*
 * The CPU that watches. All it does is to wake up now and then; what the actor sends it is thrown
 * away. Nothing here depends on the TSC's or the board's state, which the actor changes.
 */
#include "guests/chaos64/watch.h"

#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/lib/apic.h"
#include "guests/lib/cpu.h"

#define PERIOD	   625000u /* of the timer, divided by 16: 10 ms */
#define PATIENCE   30	   /* periods; the actor may have to wait for a core */
#define VECTOR	   0xF0
#define TPR	   14
#define EXCEPTIONS 32

struct gate {
	uint16_t offset_low, selector, type, offset_middle;
	uint32_t offset_high, reserved;
};

extern const uint64_t watch_gates[2];
static struct gate idt[256];

static void load_idt(void)
{
	const struct __attribute__((packed)) {
		uint16_t limit;
		const void *base;
	} idtr = {sizeof(idt) - 1, idt};

	for (unsigned i = 0; i < 256; i++) {
		uint64_t code = watch_gates[i >= EXCEPTIONS];

		idt[i] = (struct gate){
			(uint16_t)code,		CODE64, 0x8e00, (uint16_t)(code >> 16),
			(uint32_t)(code >> 32), 0};
	}
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

static void nap(void)
{
	apic_write(APIC_INITIAL, PERIOD);
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

static void start_actor(void)
{
	machine_mend_low();
	apic_ipi(APIC_INIT | APIC_ASSERT, ACTOR);
	nap();
	apic_ipi(APIC_STARTUP | APIC_ASSERT | LOW_PAGE >> 12, ACTOR);
}

unsigned watch(void)
{
	unsigned starts = 0, still = PATIENCE;
	uint64_t last = 0;

	load_idt();
	apic_write(APIC_SVR, APIC_SVR_ON | 0xFF);
	apic_write(APIC_DIVIDE, APIC_DIVIDE_BY_16);
	apic_write(APIC_LVT_TIMER, VECTOR);
	write_cr8(TPR);
	while (!chaos_done) {
		still = chaos_beat == last ? still + 1 : 0;
		last = chaos_beat;
		if (still >= PATIENCE) {
			start_actor();
			starts++;
			still = 0;
		}
		nap();
	}
	return starts - 1;
}
