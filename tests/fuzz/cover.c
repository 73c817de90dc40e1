/* SPDX-License-Identifier: MIT */
/*
 * Chooses few files that reach what all of them reach: NAME.cover MOST FILE... prints the names;
 * the target is FUZZ. By set cover, greedily: in each turn the file that adds most places, of
 * equals the smallest. libFuzzer's own merge takes the smallest files and so very many.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define FILE_MAX  0x10000
#define PARTS_MAX 256

struct input {
	const char *name;
	size_t size;
	uint8_t *reached; /* a byte for each place */
};

/* Each object file has counters of its own: clang's -fsanitize-coverage=inline-8bit-counters. */
static struct {
	uint8_t *start, *end;
} part[PARTS_MAX];
static unsigned parts;
static size_t places;

void __sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *end);

void __sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *end)
{
	for (unsigned i = 0; i < parts; i++)
		if (part[i].start == start)
			return;
	if (parts == PARTS_MAX)
		abort();
	part[parts].start = start;
	part[parts++].end = end;
	places += (size_t)(end - start);
}

static void look(struct input *input)
{
	static uint8_t data[FILE_MAX];
	FILE *file = fopen(input->name, "rb");
	uint8_t *exact;
	size_t at = 0;

	if (!file)
		abort();
	input->size = fread(data, 1, sizeof(data), file);
	fclose(file);
	for (unsigned i = 0; i < parts; i++)
		memset(part[i].start, 0, (size_t)(part[i].end - part[i].start));
	exact = malloc(input->size + !input->size);
	memcpy(exact, data, input->size);
	FUZZ(exact, input->size);
	free(exact);
	input->reached = malloc(places);
	for (unsigned i = 0; i < parts; i++)
		for (uint8_t *counter = part[i].start; counter < part[i].end; counter++)
			input->reached[at++] = *counter != 0;
}

static size_t added(const struct input *input, const uint8_t *seen)
{
	size_t sum = 0;

	for (size_t i = 0; i < places; i++)
		sum += input->reached[i] && !seen[i];
	return sum;
}

static struct input *best_of(struct input *inputs, unsigned count, const uint8_t *seen)
{
	struct input *best = NULL;
	size_t most = 0;

	for (unsigned i = 0; i < count; i++) {
		size_t sum = added(&inputs[i], seen);

		if (sum > most || (sum && sum == most && inputs[i].size < best->size)) {
			best = &inputs[i];
			most = sum;
		}
	}
	return best;
}

int main(int argc, char **argv)
{
	unsigned count = (unsigned)argc - 2;
	struct input *inputs = calloc(count, sizeof(*inputs)), *best;
	uint8_t *seen = calloc(1, places);

	for (unsigned i = 0; i < count; i++) {
		inputs[i].name = argv[2 + i];
		look(&inputs[i]);
	}
	for (int left = atoi(argv[1]); left-- && (best = best_of(inputs, count, seen));) {
		for (size_t i = 0; i < places; i++)
			seen[i] |= best->reached[i];
		puts(best->name);
	}
	for (unsigned i = 0; i < count; i++)
		free(inputs[i].reached);
	free(inputs);
	free(seen);
	return 0;
}
