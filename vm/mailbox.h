/* SPDX-License-Identifier: MIT */
/*
 * What others have for a vCPU. A local APIC and its vCPU are touched by the core that runs them
 * alone; interrupt messages from other vCPUs and from devices wait here until that core collects
 * them, without a lock. Posting is safe from any core; collecting is the owner's.
 */
#ifndef VM_MAILBOX_H
#define VM_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

enum {
	MAIL_NMI = 1 << 0,
	MAIL_SMI = 1 << 1,
	MAIL_INIT = 1 << 2,
	MAIL_STARTUP = 1 << 3,
	MAIL_EXTINT = 1 << 4,
	MAIL_LINT0 = 1 << 5, /* the level of the 8259's INTR has changed */
	MAIL_LINT0_ROSE = 1 << 6,
};

#define MAILBOX_WORDS 8

/* A cache line of its own: others write it while the owner runs. */
struct mailbox {
	uint32_t words; /* bit i: posted[i] is not empty */
	uint32_t flags;
	uint32_t startup_vector;
	uint32_t posted[MAILBOX_WORDS]; /* a bit for each vector */
	uint32_t level[MAILBOX_WORDS];	/* of those posted: level-triggered */
} __attribute__((aligned(64)));

/* An interrupt; level-triggered or not. */
static inline void mailbox_post(struct mailbox *m, uint8_t vector, bool level)
{
	uint32_t bit = 1u << vector % 32;
	unsigned word = vector / 32;

	if (level)
		__atomic_fetch_or(&m->level[word], bit, __ATOMIC_RELAXED);
	else if (__atomic_load_n(&m->level[word], __ATOMIC_RELAXED) & bit)
		__atomic_fetch_and(&m->level[word], ~bit, __ATOMIC_RELAXED);
	__atomic_fetch_or(&m->posted[word], bit, __ATOMIC_RELEASE);
	__atomic_fetch_or(&m->words, 1u << word, __ATOMIC_RELEASE);
}

static inline void mailbox_flag(struct mailbox *m, uint32_t flags)
{
	__atomic_fetch_or(&m->flags, flags, __ATOMIC_RELEASE);
}

/* Takes what is there; 0 when nothing is. Without a locked access when there is nothing. */
static inline uint32_t mailbox_take(uint32_t *word)
{
	if (!__atomic_load_n(word, __ATOMIC_RELAXED))
		return 0;
	return __atomic_exchange_n(word, 0, __ATOMIC_ACQUIRE);
}

#endif
