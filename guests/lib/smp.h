/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs for test guests of 64-bit code. CPUs are named by their APIC IDs, 0 being the boot
 * CPU. The others wait in HLT for functions to run; only the boot CPU prints.
 * Intel MultiProcessor Specification 1.4, "Application Processor Startup"; SDM volume 3,
 * "Multiple-Processor Management".
 */
#ifndef GUESTS_LIB_SMP_H
#define GUESTS_LIB_SMP_H

#include <stdbool.h>
#include <stdint.h>

#define SMP_MAX	       32
#define SMP_STACKS     0x600000u /* fixed, for all but the boot CPU: 8 MiB are enough memory */
#define SMP_STACK_SIZE 0x4000u
#define SMP_VECTOR     0xF1 /* wakes a CPU that has something to run */
#define SMP_PAGE       0x80 /* of the trampoline: 80000H */

/* What a CPU found when it began, as smp.asm writes it. */
struct smp_entry {
	uint32_t eax, ebx, ecx, edx, esp, esi;
	uint32_t cr0, cr3, cr4, flags;
	uint16_t cs, ds, ss, reserved;
};

/* How many the MADT lists as enabled, the boot CPU with them. */
unsigned smp_listed(void);
/* Puts the trampoline to page `page` (its number, which is the start-up IPI's vector). */
void smp_install(uint8_t page);
/* What the CPU that came last through that page found. */
const struct smp_entry *smp_entry(uint8_t page);

/* Starts all that are listed by INIT and two start-up IPIs each; how many CPUs run then. After
 * trap_init and clock_init; turns the boot CPU's local APIC on. */
unsigned smp_start(void);
/* How often the CPU has begun. */
unsigned smp_starts(unsigned cpu);
/* INIT to one CPU, and its start at `page`: false if it does not come. */
void smp_init(unsigned cpu);
bool smp_begin(unsigned cpu, uint8_t page);

/* How many CPUs there are, 1 before smp_start. */
extern unsigned smp_cpus;
/* Which one runs this. */
unsigned smp_id(void);

/* Has one of the others run function(argument), interrupts off; smp_wait waits for its end. */
void smp_call(unsigned cpu, void (*function)(void *argument), void *argument);
bool smp_wait(unsigned cpu);
/* All others and this one, each as itself, at the same time; and waits. */
bool smp_all(void (*function)(void *argument), void *argument);
/* All others let in what is pending. */
void smp_settle(void);

/* Waits until *value has reached `want`, a second at most. */
bool smp_until(const volatile unsigned *value, unsigned want);
/* A place where all of smp_cpus CPUs meet; any number of times. */
void smp_meet(void);

/* Whether CPUs that wait with interrupts off let their hosts in; for the word `let-in`. */
extern bool smp_let_in;
/* Interrupts on and off again, if they are off: STI holds them back until after the CLI, so none
 * comes. Bochs 2.7 has no exits by external interrupts between an entry with RFLAGS.IF = 0 and the
 * guest's next change of IF, though they are to exit whatever IF is. */
void smp_open(void);

static inline void smp_pause(void)
{
	if (smp_let_in)
		smp_open();
	__asm__ volatile("pause" : : : "memory");
}

static inline unsigned smp_add(volatile unsigned *value, unsigned more)
{
	return __atomic_add_fetch(value, more, __ATOMIC_SEQ_CST);
}

#endif
