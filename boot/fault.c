/* SPDX-License-Identifier: MIT */
/* No faults but those that options alone make: the others are in build/faults.elf. */
#include "boot/fault.h"

const char fault_words[] = FAULT_WORDS;

void fault_run(const struct options *options)
{
	(void)options;
}

void fault_run_core(struct pcpu *self)
{
	(void)self;
}
