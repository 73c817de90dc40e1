/* SPDX-License-Identifier: MIT */
/* The FPU and vector registers: Socle never uses them, and hands them to guests clean. */
#ifndef ARCH_X86_64_FPU_H
#define ARCH_X86_64_FPU_H

#include <stdint.h>

/* CR4.OSFXSR and OSXSAVE, as this CPU has them. Once on each CPU. */
void fpu_init(void);
/* Bytes of an area for fpu_save: at most a few pages, to be aligned to 64. */
uint64_t fpu_area_size(void);
/* Makes the area such that fpu_load puts all components into their initial state. */
void fpu_area_init(void *area);
/* All components that the CPU has, whatever XCR0 is; XCR0 is then all that the CPU has. */
void fpu_save(void *area);
/*
 * All components from the area; XCR0 is then `xcr0` (ignored where the CPU has no XSAVE). It must
 * be as fpu_init or fpu_save left it.
 */
void fpu_load(const void *area, uint64_t xcr0);
/* XCR0; value must be one that the CPU accepts. */
void fpu_set_xcr0(uint64_t value);

#endif
