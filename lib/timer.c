/* SPDX-License-Identifier: MIT */
/* Timers of one core, in the order of their time. */
#include "lib/timer.h"

void timer_queue_init(struct timer_queue *queue)
{
	queue->ends.when = UINT64_MAX;
	queue->ends.next = queue->ends.previous = &queue->ends;
}

void timer_cancel(struct timer *timer)
{
	if (!timer_queued(timer))
		return;
	timer->next->previous = timer->previous;
	timer->previous->next = timer->next;
	timer->next = timer->previous = 0;
}

void timer_set(struct timer_queue *queue, struct timer *timer, uint64_t when)
{
	struct timer *after;

	timer_cancel(timer);
	/* Equal times stay in the order in which they were set; the end has the latest of all. */
	after = queue->ends.next;
	while (after != &queue->ends && after->when <= when)
		after = after->next;
	timer->when = when;
	timer->next = after;
	timer->previous = after->previous;
	after->previous->next = timer;
	after->previous = timer;
}

struct timer *timer_take_due(struct timer_queue *queue, uint64_t now)
{
	struct timer *first = queue->ends.next;

	if (first == &queue->ends || first->when > now)
		return 0;
	timer_cancel(first);
	return first;
}
