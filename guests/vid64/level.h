/* SPDX-License-Identifier: MIT */
/* A level-triggered interrupt, whose EOI the IOAPIC must hear of in each mode. */
#ifndef GUESTS_VID64_LEVEL_H
#define GUESTS_VID64_LEVEL_H

void test_level(void);

#endif
