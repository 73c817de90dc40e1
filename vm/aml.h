/* SPDX-License-Identifier: MIT */
/* The one piece of AML that depends on the VM: its processors. */
#ifndef VM_AML_H
#define VM_AML_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that aml_processors needs at most for `cpus` processors. */
#define AML_PROCESSORS_MAX(cpus) (8 + (cpus)*29)

/*
 * Writes `Scope (\_SB) { Device (CPxx) { _HID "ACPI0007", _UID n } ... }` for n = 0 .. cpus - 1
 * (1 <= cpus <= 100) to `to` and returns its length in bytes. _UID is the processor's number in
 * the MADT. ACPI specification 6.5, 'ACPI Machine Language (AML) Specification'.
 */
size_t aml_processors(uint8_t *to, unsigned cpus);

#endif
