/* SPDX-License-Identifier: MIT */
/* The machine's IOAPICs, and its 8259 pair, which is silenced. Intel 82093AA datasheet. */
#ifndef ARCH_X86_64_IOAPIC_H
#define ARCH_X86_64_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

/* Moves the 8259s' vectors out of the exceptions' way and masks all their inputs. */
void pic_disable(void);
/* Routes an ISA interrupt to `vector` of the CPU `apic_id`. False when no IOAPIC has it. */
bool ioapic_route_isa(uint8_t irq, uint8_t vector, uint32_t apic_id);

#endif
