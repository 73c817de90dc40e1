/* SPDX-License-Identifier: MIT */
/*
 * Names of Socle's own functions: lines as nm prints them, in a module. In the image they would be
 * a thirtieth of what is resident for ever, and be read in a panic only.
 */
#include "boot/own_names.h"

#include "arch/x86_64/backtrace.h"
#include "lib/string.h"
#include "vm/symbols.h"

#define COMMAND_LINE "socle-symbols"

static struct symbols symbols;

static bool find(uint64_t address, char *name, size_t size, uint64_t *offset)
{
	return symbols_find(&symbols, address, name, size, offset);
}

bool own_names_are(const struct boot_module *module)
{
	return strcmp(module->cmdline, COMMAND_LINE) == 0;
}

void own_names_init(const struct bootinfo *info)
{
	for (unsigned i = 0; i < info->modules; i++) {
		const struct boot_module *module = &info->module[i];

		if (own_names_are(module)) {
			symbols_init(&symbols, (const uint8_t *)module->start,
				     module->end - module->start);
			backtrace_set_namer(find);
		}
	}
}
