/* SPDX-License-Identifier: MIT */
/* The time of a VM's board: one timer, on the core that set it last, lets its devices act. */
#ifndef VMX_BOARD_H
#define VMX_BOARD_H

#include "vm/vm.h"

/* Sets the timer for what the devices want now. From any core. */
void board_arm(struct vm *vm);
/* No device acts any more; when it returns on core 0 no core is in it either. */
void board_stop(struct vm *vm);

/*
 * After an access to a device: it may want to act sooner than was known. On the path of I/O exits.
 */
static inline void board_check(struct vm *vm)
{
	if (pc_next_event(&vm->pc) < __atomic_load_n(&vm->timer_at, __ATOMIC_RELAXED))
		board_arm(vm);
}

/* The same after an access to the ports of one device. */
static inline void board_check_range(struct vm *vm, const struct port_range *range)
{
	if (range->next && *range->next < __atomic_load_n(&vm->timer_at, __ATOMIC_RELAXED))
		board_arm(vm);
}

#endif
