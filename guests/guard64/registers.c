/* SPDX-License-Identifier: MIT */
/* Registers and their patterns. SDM volume 1, "Managing State Using the XSAVE Feature Set". */
#include "guests/guard64/registers.h"

#include <stdbool.h>

#include "guests/lib/cpu.h"

#define CPUID_XSAVE	(1u << 26)
#define XCR0_SSE	3u
#define XCR0_AVX	7u
#define AREA		1024u
#define AREA_X87	32
#define AREA_MXCSR	24
#define AREA_HEADER	512
#define AREA_FXSAVE_END 416 /* XMM15's last byte */
#define AREA_YMM	576
#define AREA_END	(AREA_YMM + 256)
#define MXCSR		0x1fa0
#define CANONICAL	0x00007fffffffffff
#define GOLDEN		0x9e3779b97f4a7c15

static const uint32_t msrs[] = {
	0xc0000081, 0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101, 0xc0000102, 0x175, 0x176,
};
static uint8_t filled[AREA] __attribute__((aligned(64)));
static uint8_t saved[AREA] __attribute__((aligned(64)));
static bool has_xsave;
static uint32_t xcr0;

unsigned registers_hold(uint64_t pattern);

void registers_init(void)
{
	has_xsave = cpuid(1, 0).ecx & CPUID_XSAVE;
	if (!has_xsave)
		return;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	xcr0 = cpuid(0xd, 0).eax & 4 ? XCR0_AVX : XCR0_SSE;
	xsetbv(0, xcr0);
}

static uint64_t pattern(uint64_t round, uint64_t which)
{
	return ((round * 64 + which + 1) * GOLDEN) & CANONICAL;
}

static void fill_fpu(uint64_t round)
{
	for (unsigned i = 0; i < AREA; i++)
		filled[i] = i < AREA_HEADER || i >= AREA_YMM
				    ? (uint8_t)(pattern(round, i / 8) >> i % 8 * 5)
				    : 0;
	*(uint32_t *)filled = 0x27f;
	*(uint32_t *)(filled + 4) = 0xff;
	*(uint32_t *)(filled + AREA_MXCSR) = MXCSR;
	*(uint64_t *)(filled + AREA_HEADER) = xcr0;
	if (has_xsave)
		__asm__ volatile("xrstor64 %0" : : "m"(filled), "a"(xcr0), "d"(0) : "memory");
	else
		__asm__ volatile("fxrstor64 %0" : : "m"(filled) : "memory");
}

/* Of an x87 register ten bytes count of sixteen. */
static unsigned wrong_fpu(void)
{
	unsigned end = xcr0 == XCR0_AVX ? AREA_END : AREA_FXSAVE_END, wrong = 0;

	if (has_xsave)
		__asm__ volatile("xsave64 %0" : "+m"(saved) : "a"(xcr0), "d"(0) : "memory");
	else
		__asm__ volatile("fxsave64 %0" : "+m"(saved) : : "memory");
	for (unsigned i = AREA_X87; i < end; i++) {
		bool unused = (i < 160 && i % 16 >= 10) || (i >= AREA_FXSAVE_END && i < AREA_YMM);

		wrong += !unused && saved[i] != filled[i];
	}
	return wrong + (*(uint32_t *)(saved + AREA_MXCSR) != MXCSR);
}

void registers_fill(uint64_t round)
{
	fill_fpu(round);
	for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		wrmsr(msrs[i], pattern(round, i));
	write_dr0(pattern(round, 20));
	write_dr3(pattern(round, 21));
	write_dr6(0xffff0ff0 | (round & 15));
	write_dr7(0x400 | (round & 15) << 18);
	write_cr2(pattern(round, 22));
}

unsigned registers_wrong(uint64_t round)
{
	unsigned wrong = wrong_fpu();

	for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		wrong += rdmsr(msrs[i]) != pattern(round, i);
	wrong += read_dr0() != pattern(round, 20);
	wrong += read_dr3() != pattern(round, 21);
	wrong += read_dr6() != (0xffff0ff0 | (round & 15));
	wrong += read_dr7() != (0x400 | (round & 15) << 18);
	wrong += read_cr2() != pattern(round, 22);
	return wrong + (has_xsave && xgetbv(0) != xcr0);
}

unsigned registers_held(uint64_t round)
{
	return registers_hold(pattern(round, 23) | 1);
}
