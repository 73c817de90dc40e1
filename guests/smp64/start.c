/* SPDX-License-Identifier: MIT */
/*
 * The start of the other CPUs: what the tables say of them, what they find, and how they begin
 * again. SDM volume 3, "Processor State After Reset", "MP Initialization Protocol".
 */
#include "guests/lib/acpi.h"
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/smp64/smp64.h"

#define MP_CPU	       0
#define MP_CPU_LENGTH  20u
#define MP_LENGTH      8u
#define SMBIOS_CPU     4
#define SMBIOS_END     127
#define SMBIOS_STATUS  24
#define SMBIOS_CORES   35
#define SMBIOS_ENABLED 36
#define SMBIOS_THREADS 37
#define POPULATED      0x41 /* and enabled */
#define EDX1_HTT       (1u << 28)
#define CR0_AT_RESET   0x60000010u
#define FLAGS_AT_RESET 2u
#define BASE_BSP       (1u << 8)
#define SVR_AT_RESET   0xFFu
#define OTHER_PAGE     0x90
#define PATTERN	       0x00005a5a1234c3c3
#define MSR_LSTAR      0xc0000082
#define NOBODY	       0x40u

static unsigned mp_cpus(void)
{
	const uint8_t *mp = acpi_scan("_MP_", 4, 0x9FC00, 0xA0000), *table, *at;
	unsigned count = 0;

	if (!mp)
		mp = acpi_scan("_MP_", 4, 0xF0000, 0x100000);
	if (!mp)
		return 0;
	table = (const uint8_t *)(uintptr_t) * (const uint32_t *)(mp + 4);
	at = table + 44;
	for (unsigned i = *(const uint16_t *)(table + 34); i; i--) {
		count += *at == MP_CPU;
		at += *at == MP_CPU ? MP_CPU_LENGTH : MP_LENGTH;
	}
	return count;
}

/* The structure of a type; each ends with its strings and an empty one. */
static const uint8_t *smbios(uint8_t type)
{
	const uint8_t *entry = acpi_scan("_SM_", 4, 0xF0000, 0x100000), *at;

	if (!entry)
		return NULL;
	at = (const uint8_t *)(uintptr_t) * (const uint32_t *)(entry + 24);
	while (at[0] != type) {
		if (at[0] == SMBIOS_END)
			return NULL;
		for (at += at[1]; at[0] || at[1]; at++)
			;
		at += 2;
	}
	return at;
}

static void test_tables(unsigned listed)
{
	const uint8_t *cpu = smbios(SMBIOS_CPU);

	guest_check_equal(mp_cpus(), listed, "the MP table lists as many as the MADT");
	if (!guest_check(cpu != NULL, "SMBIOS has a processor"))
		return;
	guest_check_equal(cpu[SMBIOS_STATUS], POPULATED, "it is there and enabled");
	guest_check_equal(cpu[SMBIOS_CORES], listed, "with as many cores");
	guest_check_equal(cpu[SMBIOS_ENABLED], listed, "all enabled");
	guest_check_equal(cpu[SMBIOS_THREADS], listed, "and threads");
}

static void count_right(void *right)
{
	struct cpuid one = cpuid(1, 0), four = cpuid(4, 0), thread = cpuid(0xb, 0),
		     core = cpuid(0xb, 1);
	unsigned id = smp_id(), size = 1u << core.eax;

	smp_add(right, one.ebx >> 24 == id && (one.ebx >> 16 & 0xff) >= smp_cpus &&
			       (one.edx & EDX1_HTT) && (four.eax >> 26) + 1 >= smp_cpus &&
			       thread.edx == id && thread.ebx == 1 && core.edx == id &&
			       core.ebx == smp_cpus && size >= smp_cpus && size < 2 * smp_cpus);
}

static void count_apic_right(void *right)
{
	bool boot = msr_read(APIC_BASE_MSR) & BASE_BSP;

	smp_add(right, apic_read(APIC_ID) >> 24 == smp_id() && boot == (smp_id() == 0));
}

static void test_entry(void)
{
	const struct smp_entry *entry = smp_entry(SMP_PAGE);

	guest_check_equal(entry->cs, SMP_PAGE << 8, "CS is the start-up IPI's vector");
	guest_check_equal(entry->ds | entry->ss, 0, "DS and SS are 0");
	guest_check_equal(entry->edx, cpuid(1, 0).eax, "EDX is the CPU's signature");
	guest_check_equal(entry->eax | entry->ebx | entry->ecx | entry->esp | entry->esi, 0,
			  "other registers are 0");
	guest_check_equal(entry->cr0, CR0_AT_RESET, "CR0 as at reset");
	guest_check_equal(entry->cr3 | entry->cr4, 0, "CR3 and CR4 are 0");
	guest_check_equal(entry->flags, FLAGS_AT_RESET, "the flags too");
}

void test_start(void)
{
	unsigned listed = smp_listed(), right = 0, once = 0;

	guest_check_equal(smp_start(), listed, "all CPUs that the MADT lists start");
	guest_print("# %u CPUs\n", smp_cpus);
	if (smp_cpus < 2)
		return;
	test_tables(listed);
	test_entry();
	smp_settle();
	for (unsigned cpu = 1; cpu < smp_cpus; cpu++)
		once += smp_starts(cpu) == 1;
	guest_check_equal(once, smp_cpus - 1, "the second start-up IPI starts none again");
	smp_all(count_right, &right);
	guest_check_equal(right, smp_cpus, "CPUID's counts and IDs are right on each");
	right = 0;
	smp_all(count_apic_right, &right);
	guest_check_equal(right, smp_cpus, "the local APICs' IDs are, and one is the bootstrap");
}

/* --- Again --- */

static volatile unsigned spins;

static void spin(void *argument)
{
	wrmsr(MSR_LSTAR, PATTERN);
	__asm__ volatile("movq %0, %%xmm5" : : "r"(PATTERN));
	(void)argument;
	write_cr0(read_cr0() & ~(uintptr_t)(CR0_CD | CR0_NW));
	apic_write(APIC_LVT_TIMER, 0x55);
	spins = 1;
	for (;;)
		smp_pause();
}

struct seen {
	uint64_t lstar, xmm5;
	uint32_t svr, timer;
};

static void see(void *argument)
{
	struct seen *seen = argument;

	seen->lstar = rdmsr(MSR_LSTAR);
	__asm__ volatile("movq %%xmm5, %0" : "=r"(seen->xmm5));
	seen->timer = apic_read(APIC_LVT_TIMER);
}

void test_restart(void)
{
	unsigned last = smp_cpus - 1, before = smp_starts(last);
	struct seen seen = {0};

	apic_ipi(APIC_STARTUP | APIC_ASSERT | OTHER_PAGE, last);
	smp_settle();
	guest_check_equal(smp_starts(last), before, "a start-up IPI to a CPU that runs is nothing");
	smp_call(last, spin, 0);
	smp_until(&spins, 1);
	smp_install(OTHER_PAGE);
	smp_init(last);
	guest_check_equal(smp_starts(last), before, "INIT stops a CPU that spins");
	guest_check(smp_begin(last, OTHER_PAGE), "a start-up IPI starts it");
	guest_check_equal(smp_entry(OTHER_PAGE)->cs, OTHER_PAGE << 8, "at another place");
	guest_check_equal(smp_entry(OTHER_PAGE)->cr0, 0x10, "INIT leaves CR0's CD and NW alone");
	guest_check_equal(smp_entry(OTHER_PAGE)->flags, FLAGS_AT_RESET, "and clears the flags");
	smp_call(last, see, &seen);
	smp_wait(last);
	guest_check_equal(seen.lstar, PATTERN, "INIT leaves SYSCALL's MSRs alone");
	guest_check_equal(seen.xmm5, PATTERN, "and the vector registers");
	guest_check_equal(seen.timer, APIC_MASKED, "it resets the local APIC");
	apic_ipi(APIC_INIT | APIC_LEVEL, last);
	clock_wait(1000);
	seen = (struct seen){0};
	smp_call(last, see, &seen);
	guest_check(smp_wait(last) && seen.lstar == PATTERN, "INIT's de-assertion is nothing");
	apic_ipi(APIC_STARTUP | APIC_ASSERT | SMP_PAGE, NOBODY);
	apic_ipi(APIC_STARTUP | APIC_ASSERT | SMP_PAGE, NOBODY);
	guest_check_equal(smp_starts(last), before + 1, "one to nobody starts none");
}
