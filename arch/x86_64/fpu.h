/* SPDX-License-Identifier: MIT */
/* The FPU and vector registers: Socle never uses them, and hands them to guests clean. */
#ifndef ARCH_X86_64_FPU_H
#define ARCH_X86_64_FPU_H

#include <stdint.h>

/* CR4.OSFXSR and OSXSAVE, as this CPU has them. Once on each CPU. */
void fpu_init(void);
/* All components that the CPU has in their initial state; XCR0 is then `xcr0` (ignored without). */
void fpu_reset(uint64_t xcr0);
/* XCR0; value must be one that the CPU accepts. */
void fpu_set_xcr0(uint64_t value);

#endif
