/* SPDX-License-Identifier: MIT */
/* FPU state. Intel SDM volume 1, "Managing State Using the XSAVE Feature Set". */
#include "arch/x86_64/fpu.h"

#include <stdbool.h>

#include "arch/x86_64/cpu.h"
#include "lib/bits.h"
#include "lib/string.h"
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
static uint64_t all_components; /* of XCR0 */

void fpu_init(void)
{
	uint64_t cr4 = read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;

	has_xsave = cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE;
	if (has_xsave)
		cr4 |= CR4_OSXSAVE;
	write_cr4(cr4);
	if (has_xsave) {
		struct cpuid all = cpuid(0xd, 0);

		all_components = (uint64_t)all.edx << 32 | all.eax;
		/* The size that CPUID tells is that of what XCR0 has on. */
		xsetbv(0, all_components);
	}
}

void fpu_set_xcr0(uint64_t value)
{
	if (has_xsave)
		xsetbv(0, value);
}

uint64_t fpu_area_size(void)
{
	uint32_t size = has_xsave ? cpuid(0xd, 0).ecx : 0;

	return MAX(size, sizeof(clean));
}

void fpu_area_init(void *area)
{
	memset(area, 0, fpu_area_size());
	memcpy(area, &clean, sizeof(clean));
}

/* Components that XCR0 has switched off keep their state: it is switched with the rest. */
void fpu_save(void *area)
{
	if (!has_xsave) {
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
		return;
	}
	xsetbv(0, all_components);
	__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(UINT32_MAX), "d"(UINT32_MAX) : "memory");
}

void fpu_load(const void *area, uint64_t xcr0)
{
	if (!has_xsave) {
		__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
		return;
	}
	__asm__ volatile("xrstor64 (%0)"
			 :
			 : "r"(area), "a"(UINT32_MAX), "d"(UINT32_MAX)
			 : "memory");
	xsetbv(0, xcr0);
}
