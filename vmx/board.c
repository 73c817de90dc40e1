/* SPDX-License-Identifier: MIT */
/* The timer of a VM's board. */
#include "vmx/board.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/smp.h"
#include "vmx/core.h"

static void fire(struct timer *timer, uint64_t now)
{
	struct vm *vm = (struct vm *)((uint8_t *)timer - offsetof(struct vm, timer));

	__atomic_store_n(&vm->timer_at, UINT64_MAX, __ATOMIC_RELAXED);
	if (vm->paused || vm->verdict != VERDICT_NONE)
		return;
	pc_advance(&vm->pc, vm_clock_ticks(&vm->clock, now));
	board_arm(vm);
}

void board_arm(struct vm *vm)
{
	uint64_t next, host;

	spin_lock(&vm->timer_lock);
	next = pc_next_event(&vm->pc);
	/* An earlier firing than needed does no harm: it looks and sets it anew. */
	host = vm_clock_host(&vm->clock, next);
	if (next < vm->timer_at && host != UINT64_MAX && !vm->paused) {
		vm->timer.fire = fire;
		core_timer_set(&vm->timer, host);
		__atomic_store_n(&vm->timer_at, next, __ATOMIC_RELAXED);
	}
	spin_unlock(&vm->timer_lock);
}

static void nothing(void *arg)
{
	(void)arg;
}

void board_stop(struct vm *vm)
{
	spin_lock(&vm->timer_lock);
	core_timer_cancel(&vm->timer);
	spin_unlock(&vm->timer_lock);
	/* A core that was firing it has left once it answers. */
	smp_call_all(nothing, NULL);
	core_timer_cancel(&vm->timer);
}
