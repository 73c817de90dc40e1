/* SPDX-License-Identifier: MIT */
/* Parts of build/faults.elf: Socle, with faults made on purpose in the place of boot/fault.c. */
#ifndef TESTS_FAULTS_FAULTS_H
#define TESTS_FAULTS_FAULTS_H

#include "arch/x86_64/pcpu.h"
#include "boot/options.h"

/*
 * From now on NMIs go through a gate that notes where they came, or makes an exit that one meets
 * look like a machine check. On core 0, before any VM runs.
 */
void nmis_begin(enum fault fault);
/* The last core sends NMIs to the others for ever, and reports. */
_Noreturn void nmis_send(struct pcpu *self);

#endif
