/* SPDX-License-Identifier: MIT */
/* Names of Socle's own functions, for backtraces: a module of the menu entry, which mkiso adds. */
#ifndef BOOT_OWN_NAMES_H
#define BOOT_OWN_NAMES_H

#include <stdbool.h>

#include "boot/bootinfo.h"

/* Whether the module's command line is the word 'socle-symbols': it belongs to no VM then. */
bool own_names_are(const struct boot_module *module);

/*
 * From here on backtraces name functions, if the names are there; else they have addresses alone,
 * which addr2line reads with build/socle.debug. `info` stays where it is.
 */
void own_names_init(const struct bootinfo *info);

#endif
