/* SPDX-License-Identifier: MIT */
/*
 * A lock for what several cores share: short sections, taken with interrupts off. Tickets make it
 * first come, first served, so that no core starves. All zero is unlocked. Not recursive.
 */
#ifndef LIB_SPINLOCK_H
#define LIB_SPINLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct spinlock {
	uint32_t next;	  /* the ticket that the next core draws */
	uint32_t serving; /* the ticket that holds the lock */
};

/* Returns as holder; what earlier holders wrote is then visible. */
static inline void spin_lock(struct spinlock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket)
		__builtin_ia32_pause();
}

/* By the holder only: nobody else writes `serving`, so the addition needs no locked access. */
static inline void spin_unlock(struct spinlock *lock)
{
	uint32_t serving = __atomic_load_n(&lock->serving, __ATOMIC_RELAXED);

	__atomic_store_n(&lock->serving, serving + 1, __ATOMIC_RELEASE);
}

/* Whether anybody holds or waits for it; old news as soon as it is returned. */
static inline bool spin_is_locked(const struct spinlock *lock)
{
	return __atomic_load_n(&lock->next, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&lock->serving, __ATOMIC_RELAXED);
}

#endif
