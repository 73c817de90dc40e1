/* SPDX-License-Identifier: MIT */
/* FPU state. Intel SDM volume 1, "Managing State Using the XSAVE Feature Set". */
#include "arch/x86_64/fpu.h"

#include <stdbool.h>

#include "arch/x86_64/cpu.h"
#include "lib/bits.h"
#include "lib/x86.h"

#define CPUID_1_ECX_XSAVE BIT(26)
#define FCW_DEFAULT	  0x37f
#define MXCSR_DEFAULT	  0x1f80

/*
 * An FXSAVE image and XSAVE header. With XSTATE_BV all zero, XRSTOR puts every component into its
 * initial state and reads nothing beyond the header.
 */
static const struct {
	uint16_t fcw;
	uint16_t fsw;
	uint8_t skipped[20];
	uint32_t mxcsr;
	uint8_t registers[484];
	uint8_t header[64];
} __attribute__((aligned(64))) clean = {.fcw = FCW_DEFAULT, .mxcsr = MXCSR_DEFAULT};
_Static_assert(sizeof(clean) == 576, "legacy XSAVE area and header, aligned");

static bool has_xsave;

void fpu_init(void)
{
	uint64_t cr4 = read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;

	has_xsave = cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE;
	if (has_xsave)
		cr4 |= CR4_OSXSAVE;
	write_cr4(cr4);
}

void fpu_set_xcr0(uint64_t value)
{
	if (has_xsave)
		xsetbv(0, value);
}

void fpu_reset(uint64_t xcr0)
{
	struct cpuid all;

	if (!has_xsave) {
		__asm__ volatile("fxrstor64 %0" : : "m"(clean));
		return;
	}
	all = cpuid(0xd, 0);
	fpu_set_xcr0((uint64_t)all.edx << 32 | all.eax);
	__asm__ volatile("xrstor64 %0" : : "m"(clean), "a"(UINT32_MAX), "d"(UINT32_MAX));
	fpu_set_xcr0(xcr0);
}
