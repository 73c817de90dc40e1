/* SPDX-License-Identifier: MIT */
/*
 * Timers of one core: what is to be done at which tick of its clock. A list by time; there are a
 * few for each virtual machine. No lock: the caller has one for each queue.
 */
#ifndef LIB_TIMER_H
#define LIB_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct timer {
	uint64_t when; /* while queued */
	void (*fire)(struct timer *, uint64_t now);
	struct timer *next, *previous; /* both NULL while it is not queued */
	unsigned core;		       /* whose queue it was put in last; the caller's */
};

/* The list's ends are one element of it. */
struct timer_queue {
	struct timer ends;
};

void timer_queue_init(struct timer_queue *queue);

static inline bool timer_queued(const struct timer *timer)
{
	return timer->next != 0;
}

/* Queues the timer for `when`; it may be in this queue already, at another time. */
void timer_set(struct timer_queue *queue, struct timer *timer, uint64_t when);
/* Takes it out of the queue that it is in, if any. */
void timer_cancel(struct timer *timer);
/* When the first one is due; UINT64_MAX when none waits. */
static inline uint64_t timer_first(const struct timer_queue *queue)
{
	return queue->ends.next->when;
}

/* Takes out the first one if it is due at `now`; NULL when none is. */
struct timer *timer_take_due(struct timer_queue *queue, uint64_t now);

#endif
