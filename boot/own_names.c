/* SPDX-License-Identifier: MIT */
/*
 * Names of Socle's own functions, lines as nm prints them, and then how they find their callers,
 * lines as tools/mkframes prints them: a module. In the image it would be two fifths of what is
 * resident for ever, and be read in a panic only.
 */
#include "boot/own_names.h"

#include "arch/x86_64/backtrace.h"
#include "lib/string.h"
#include "vm/symbols.h"

#define COMMAND_LINE "socle-symbols"
#define FRAME_LINE   16

static struct symbols symbols;

static bool find(uint64_t address, char *name, size_t size, uint64_t *offset)
{
	return symbols_find(&symbols, address, name, size, offset);
}

static unsigned hex(const uint8_t *digits, unsigned count)
{
	unsigned value = 0;

	for (; count; count--, digits++)
		value = value << 4 | ((unsigned)(*digits <= '9' ? *digits : *digits + 9) & 0xf);
	return value;
}

/* ADDRESS=RCCCCB, from the last line on. */
static bool find_frame(uint64_t address, struct backtrace_frame *frame)
{
	const uint8_t *line = symbols.table + symbols.table_size;

	while (line - symbols.table >= FRAME_LINE && (line -= FRAME_LINE)[8] == '=') {
		if (hex(line, 8) > address)
			continue;
		frame->by_rbp = line[9] == 'b';
		frame->cfa = (uint16_t)hex(line + 10, 4);
		frame->rbp_at = (uint8_t)(8 * hex(line + 14, 1));
		return true;
	}
	return false;
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
			backtrace_set_names(find, find_frame);
		}
	}
}
