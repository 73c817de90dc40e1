/* SPDX-License-Identifier: MIT */
/* The end of Socle by an exception of its own; see lib/panic.h for the other way. */
#ifndef ARCH_X86_64_PANIC_H
#define ARCH_X86_64_PANIC_H

#include "arch/x86_64/traps.h"

/* Compilers' names. boot/start.asm sets the first; what it guards never gets to a guest. */
extern uint64_t __stack_chk_guard;
_Noreturn void __stack_chk_fail(void);
_Noreturn void panic_trap(const struct trap_frame *frame);
/* Who has more to say of some exceptions of Socle's: it prints, or not. */
void panic_set_explainer(void (*explain)(const struct trap_frame *frame));
/* A machine check "in Socle", at `frame`, or (NULL) "while VM " `vm` ran or so. */
_Noreturn void panic_machine_check(const struct trap_frame *frame, const char *when,
				   const char *vm);

#endif
