/* SPDX-License-Identifier: MIT */
/* The machine as it was, after acts that changed it. */
#ifndef GUESTS_CHAOS64_MEND_H
#define GUESTS_CHAOS64_MEND_H

/* Of the processor: XCR0, EFER, and what an interrupt left to be done. */
void mend_cpu(unsigned vector);
/* The local APIC in xAPIC mode, enabled, all masked, nothing in service. */
void mend_lapic(void);
/* Interrupt controllers and timers silent but for the NMI of mend_deadline; COM1 as a console. */
void mend_board(void);
/* An NMI for the actor before long in its next launch; and none, if one was ordered. */
void mend_deadline(void);
void mend_no_deadline(void);
/* By the launch, as its last step. */
void mend_order(void);

#endif
