/* SPDX-License-Identifier: MIT */
/*
 * What vCPUs that share a core have for themselves stays apart: each CPU fills its registers with a
 * pattern of its own, sleeps a little, and looks whether all is as it was, some thousand times.
 * `seed=N` tells virtual machines apart; `rounds=N`.
 */
#include "guests/lib/apic.h"
#include "guests/lib/clock.h"
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/irq.h"
#include "guests/lib/smp.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define VECTOR_TIMER	0x71
#define SLEEP_US	20u
#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_CSTAR	0xc0000083
#define MSR_FMASK	0xc0000084
#define MSR_FS		0xc0000100
#define MSR_KERNEL_GS	0xc0000102
#define MSR_TSC_AUX	0xc0000103
#define MSR_SYSENTER_CS 0x174
#define MSR_SYSENTER_SP 0x175
#define MSR_SYSENTER_IP 0x176
#define MSR_PAT		0x277
#define XCR0_SSE	3u
#define XCR0_AVX	7u
#define AREA		1024u /* of XSAVE with AVX */
#define AREA_X87	32
#define AREA_MXCSR	24
#define AREA_HEADER	512
#define AREA_YMM	576
#define CANONICAL	0x00007fffffffffff
#define PAT_BYTES	0x0101010101010101 /* write combining or write through */

enum { FPU, DEBUG, MSRS, CR2, XCR0, FAULTS };

struct state {
	uint8_t saved[AREA] __attribute__((aligned(64)));
	uint8_t filled[AREA] __attribute__((aligned(64)));
	uint64_t pattern;
	unsigned wrong[FAULTS];
};

static const uint32_t msrs[] = {
	MSR_STAR,	 MSR_LSTAR,	  MSR_CSTAR, MSR_FMASK,	      MSR_FS,	   MSR_KERNEL_GS,
	MSR_SYSENTER_CS, MSR_SYSENTER_SP, MSR_PAT,   MSR_SYSENTER_IP, MSR_TSC_AUX,
};
static struct state states[SMP_MAX];
static uint32_t seed, rounds;
static bool has_avx;

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	apic_write(APIC_EOI, 0);
}

static uint64_t msr_pattern(const struct state *s, uint32_t msr)
{
	if (msr == MSR_PAT)
		return PAT_BYTES * (1 + (s->pattern & 3) / 3 * 3);
	if (msr == MSR_FMASK || msr == MSR_SYSENTER_CS || msr == MSR_TSC_AUX)
		return (uint32_t)(s->pattern + msr);
	return (s->pattern + msr) & CANONICAL;
}

/* Every other CPU goes without AVX. */
static uint32_t xcr0_of(const struct state *s)
{
	return has_avx && !(s->pattern & 1) ? XCR0_AVX : XCR0_SSE;
}

static void fill(struct state *s)
{
	for (unsigned i = 0; i < AREA; i++)
		s->filled[i] =
			i < AREA_HEADER || i >= AREA_YMM ? (uint8_t)(s->pattern * (i + 7)) : 0;
	*(uint32_t *)s->filled = 0x27f; /* control, status with TOP = 0 */
	*(uint32_t *)(s->filled + 4) = 0xff;
	*(uint32_t *)(s->filled + AREA_MXCSR) = 0x1fa0;
	*(uint64_t *)(s->filled + AREA_HEADER) = XCR0_AVX;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	xsetbv(0, has_avx ? XCR0_AVX : XCR0_SSE);
	__asm__ volatile("xrstor64 %0" : : "m"(s->filled), "a"(7), "d"(0) : "memory");
	xsetbv(0, xcr0_of(s));
	for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		wrmsr(msrs[i], msr_pattern(s, msrs[i]));
	write_dr0((uintptr_t)s->pattern & CANONICAL);
	write_dr3(((uintptr_t)s->pattern + 3) & CANONICAL);
	write_dr6(0xffff0ff0 | (s->pattern & 15));
	write_dr7(0x400 | (s->pattern & 15) << 18);
	write_cr2((uintptr_t)s->pattern & CANONICAL);
}

/* The x87 and vector registers, as far as XCR0 goes. */
static bool fpu_same(struct state *s)
{
	unsigned end = xcr0_of(s) == XCR0_AVX ? AREA_YMM + 256 : AREA_HEADER - 96;

	__asm__ volatile("xsave64 %0" : "+m"(s->saved) : "a"(7), "d"(0) : "memory");
	for (unsigned i = AREA_X87; i < end; i++) {
		bool unused = (i < 160 && i % 16 >= 10) || (i >= AREA_HEADER - 96 && i < AREA_YMM);

		if (!unused && s->saved[i] != s->filled[i])
			return false;
	}
	return *(uint32_t *)(s->saved + AREA_MXCSR) == 0x1fa0;
}

static void look(struct state *s)
{
	s->wrong[FPU] += !fpu_same(s);
	s->wrong[XCR0] += xgetbv(0) != xcr0_of(s);
	s->wrong[CR2] += read_cr2() != (s->pattern & CANONICAL);
	s->wrong[DEBUG] += read_dr0() != (s->pattern & CANONICAL) ||
			   read_dr3() != ((s->pattern + 3) & CANONICAL) ||
			   read_dr6() != (0xffff0ff0 | (s->pattern & 15)) ||
			   read_dr7() != (0x400 | (s->pattern & 15) << 18);
	for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		s->wrong[MSRS] += rdmsr(msrs[i]) != msr_pattern(s, msrs[i]);
}

static void live(void *argument)
{
	unsigned cpu = smp_id();
	struct state *s = &states[cpu];

	(void)argument;
	s->pattern = (uint64_t)(seed * 64 + cpu) * 0x9e3779b97f4a7c15 & ~(uint64_t)1;
	s->pattern |= (cpu + seed) & 1;
	fill(s);
	apic_write(APIC_LVT_TIMER, APIC_DEADLINE | VECTOR_TIMER);
	for (unsigned i = 0; i < rounds; i++) {
		wrmsr(APIC_DEADLINE_MSR, rdtsc() + clock_ticks(SLEEP_US));
		__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
		look(s);
	}
	apic_write(APIC_LVT_TIMER, APIC_MASKED | VECTOR_TIMER);
}

unsigned main(uintptr_t info)
{
	static const char *const what[] = {
		"x87 and vector registers", "debug registers", "MSRs", "CR2", "XCR0",
	};

	trap_init();
	clock_init();
	pic_start(PIC_8086);
	seed = words_number(info, "seed", 1);
	rounds = words_number(info, "rounds", 1000);
	has_avx = cpuid(0xd, 0).eax & 4;
	trap_set_handler(VECTOR_TIMER, on_timer);
	smp_start();
	guest_check(smp_all(live, 0), "all have lived");
	for (unsigned i = 0; i < FAULTS; i++) {
		unsigned wrong = 0;

		for (unsigned cpu = 0; cpu < smp_cpus; cpu++)
			wrong += states[cpu].wrong[i];
		guest_check_equal(wrong, 0, what[i]);
	}
	return guest_failures();
}
