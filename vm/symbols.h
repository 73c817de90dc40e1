/* SPDX-License-Identifier: MIT */
/*
 * Names for a guest's addresses, out of a file in memory: the symbol table of an ELF file
 * (executable or not stripped to its dynamic symbols), or lines of 'ffffffff81000000 T name' as
 * nm prints them and Linux' System.map holds them. The file is not trusted.
 *
 * Source: 'Tool Interface Standard ELF Specification 1.2', 'Symbol Table'; 'ELF-64 Object File
 * Format 1.5'.
 */
#ifndef VM_SYMBOLS_H
#define VM_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far a symbol reaches, in bytes: to its end if it has a size, to the next one, to here. */
#define SYMBOLS_REACH (1u << 20)

/* The file stays the caller's, and stays where it is as long as this is used. */
struct symbols {
	const uint8_t *names; /* of ELF: the string table */
	const uint8_t *table; /* symbols of ELF, or lines */
	uint64_t names_size;
	uint64_t table_size;
	bool text; /* lines */
	bool wide; /* ELF of 64 bits */
};

/* A file in no known form gives no names. `data` may be NULL when size is 0. */
void symbols_init(struct symbols *s, const uint8_t *data, uint64_t size);

/*
 * The nearest symbol at or below `address`: its name, cut to fit and ended by a NUL (name_size is
 * at least 1; what is not printable becomes '?'), and how many bytes before the address it stands.
 * False when there is none. Takes time in proportion to the file.
 */
bool symbols_find(const struct symbols *s, uint64_t address, char *name, size_t name_size,
		  uint64_t *offset);

#endif
