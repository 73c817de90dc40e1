/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs: how they start, find and interrupt each other, share memory and time. The word
 * `hang` at the end of the command line has all of them halt with interrupts off.
 */
#include "guests/smp64/smp64.h"

#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/trap.h"

#define INFO_CMDLINE (1u << 2)
#define ECX1_X2APIC  (1u << 21)
#define NOT_ONCE     (1u << 31)

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
};

volatile unsigned got[SMP_MAX];

static void on_count(struct trap_frame *frame)
{
	(void)frame;
	smp_add(&got[smp_id()], 1);
	apic_write(APIC_EOI, 0);
}

void forget(void)
{
	smp_settle();
	irq_window();
	for (unsigned cpu = 0; cpu < SMP_MAX; cpu++)
		got[cpu] = 0;
}

uint32_t who_got(void)
{
	uint32_t who = 0;

	smp_settle();
	irq_window();
	for (unsigned cpu = 0; cpu < smp_cpus; cpu++)
		who |= got[cpu] == 1 ? 1u << cpu : got[cpu] ? NOT_ONCE : 0;
	return who;
}

/* Is `word` the last one of the command line? */
static bool asked(const struct multiboot_info *info, const char *word)
{
	const char *line = (const char *)(uintptr_t)info->cmdline, *last = line;

	if (!(info->flags & INFO_CMDLINE))
		return false;
	for (; *line; line++)
		if (*line == ' ')
			last = line + 1;
	while (*word && *last == *word)
		last++, word++;
	return !*word && !*last;
}

static void halt(void *argument)
{
	(void)argument;
	for (;;)
		__asm__ volatile("cli\n\thlt");
}

unsigned main(uintptr_t info)
{
	trap_init();
	trap_set_handler(VECTOR_COUNT, on_count);
	clock_init();
	pic_start(PIC_8086);
	test_start();
	if (smp_cpus < 2)
		return guest_failures();
	if (asked((const struct multiboot_info *)info, "hang")) {
		guest_print("# all halt\n");
		for (unsigned cpu = 1; cpu < smp_cpus; cpu++)
			smp_call(cpu, halt, 0);
		halt(0);
	}
	test_ipis();
	test_xapic_logical();
	test_ioapic();
	test_time();
	test_memory();
	test_restart();
	if (cpuid(1, 0).ecx & ECX1_X2APIC)
		test_x2apic();
	else
		guest_print("# there is no x2APIC mode\n");
	return guest_failures();
}
