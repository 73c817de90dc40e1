/* SPDX-License-Identifier: MIT */
/* Symbol tables: eight bytes of an address, then the file. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "vm/symbols.h"

static void look(const struct symbols *symbols, uint64_t address)
{
	char name[24];
	uint64_t offset;

	memset(name, 0x7F, sizeof(name));
	if (!symbols_find(symbols, address, name, sizeof(name) - 1, &offset))
		return;
	FUZZ_REQUIRE(name[sizeof(name) - 1] == 0x7F && memchr(name, 0, sizeof(name) - 1));
	FUZZ_REQUIRE(offset <= address);
	for (const char *c = name; *c; c++)
		FUZZ_REQUIRE(*c >= ' ' && *c < 0x7F);
}

void fuzz_symbols(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);
	uint64_t address = stream_number(&in, 8);
	size_t length = (size_t)(in.end - in.at);
	uint8_t *file = malloc(length + !length);
	struct symbols symbols;

	memcpy(file, in.at, length);
	symbols_init(&symbols, length ? file : NULL, length);
	look(&symbols, address);
	look(&symbols, 0);
	look(&symbols, UINT64_MAX);
	free(file);
}
