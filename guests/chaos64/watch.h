/* SPDX-License-Identifier: MIT */
/* CPU 0: starts the actor, and starts it again when it is stuck for good. */
#ifndef GUESTS_CHAOS64_WATCH_H
#define GUESTS_CHAOS64_WATCH_H

/* Comes back when the actor is done. How often it was started again. */
unsigned watch(void);

#endif
