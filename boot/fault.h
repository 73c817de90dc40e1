/* SPDX-License-Identifier: MIT */
/*
 * Faults of Socle's own, made on purpose by the boot option fault=, for tests only: what makes them
 * is not in socle.elf but in build/faults.elf (tests/faults/).
 */
#ifndef BOOT_FAULT_H
#define BOOT_FAULT_H

#include "arch/x86_64/pcpu.h"
#include "boot/options.h"

/*
 * Returns at once when no fault of the running cores is asked for; else the cores do what it says
 * and the machine ends: no VM runs. Once all cores are up.
 */
void fault_run(const struct options *options);
/* On each core but the boot CPU, before it runs VMs. */
void fault_run_core(struct pcpu *self);

#endif
