/* SPDX-License-Identifier: MIT */
/* No faults: those who want one boot build/faults.elf, which is this image with tests/faults/. */
#include "boot/fault.h"

#include "lib/log.h"

void fault_run(const struct options *options)
{
	if (options->fault != FAULT_NONE && options->fault < FAULT_DEAD)
		log_error("boot option fault=: only build/faults.elf makes that fault");
}

void fault_run_core(struct pcpu *self)
{
	(void)self;
}
