/* SPDX-License-Identifier: MIT */
/* The machine that Socle has been given, as it finds it at boot: memory, console, clock, end. */
#ifndef BOOT_MACHINE_H
#define BOOT_MACHINE_H

#include "boot/bootinfo.h"
#include "boot/options.h"
#include "vm/vm.h"

/* The first serial port as a log. Before anything else can be said. */
void machine_init_console(void);
/* All RAM but what holds Socle, the boot information, the modules and the first MiB. */
bool machine_init_memory(const struct bootinfo *info, struct error *error);
/* The screen that the boot loader left, as a second log. */
void machine_init_screen(const struct boot_framebuffer *framebuffer);
/* ACPI tables, interrupt controllers, clock. */
void machine_init_devices(const struct bootinfo *info, const struct options *options);
/* All other cores, as far as they start; they wait until smp_run_others. */
void machine_start_cores(const struct options *options);
/* What VMs need of this machine. Constant after the functions above. */
struct vm_host *machine_host(void);

/* The end: flushes the console and powers off, reboots, or waits for somebody to do so. */
_Noreturn void machine_end(enum at_end at_end);

#endif
