/* SPDX-License-Identifier: MIT */
/*
 * EPT operations against a list of ranges that does the same: what is mapped, where to and how; and
 * that each table page is given back once, after the CPUs were told.
 */
#include <string.h>

#include "ept/ept.h"
#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"

#define TABLES	  40
#define RANGES	  64
#define FAR_ABOVE BIT(EPT_GPA_BITS)

struct range {
	uint64_t start, end, hpa; /* pages [start, end) in order, apart from each other */
	uint64_t access;
	enum memory_type type;
};

static struct {
	struct ept ept;
	unsigned taken, budget, told; /* table pages, and invalidations of this operation */
	bool used[TABLES];
	struct range range[RANGES + 2];
	unsigned ranges;
} f;
static uint8_t tables[TABLES][PAGE_SIZE] __attribute__((aligned(4096)));

static uint64_t alloc_page(void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < f.budget; i++) {
		if (f.used[i])
			continue;
		f.used[i] = true;
		f.taken++;
		memset(tables[i], 0xFF, PAGE_SIZE);
		return (uint64_t)tables[i];
	}
	return 0;
}

static void free_page(void *ctx, uint64_t page)
{
	uint64_t number = (page - (uint64_t)tables) / PAGE_SIZE;

	(void)ctx;
	FUZZ_REQUIRE(number < TABLES && page % PAGE_SIZE == 0 && f.used[number] && f.told);
	f.used[number] = false;
	f.taken--;
}

static void invalidate(void *ctx, uint64_t eptp)
{
	(void)ctx;
	FUZZ_REQUIRE(eptp == ept_pointer(&f.ept));
	f.told++;
}

static const struct ept_ops ops = {alloc_page, free_page, invalidate};

/* --- The model --- */

/* Takes [start, end) out; the place at which something may be put in. */
static unsigned cut(uint64_t start, uint64_t end)
{
	struct range old[RANGES + 2];
	unsigned count = f.ranges, at = 0;

	memcpy(old, f.range, sizeof(old));
	f.ranges = 0;
	for (unsigned i = 0; i < count; i++) {
		struct range low = old[i], high = old[i];

		low.end = MIN(low.end, start);
		if (high.start < end) {
			high.hpa += end - high.start;
			high.start = end;
		}
		if (low.start < low.end)
			f.range[f.ranges++] = low;
		if (low.start < low.end || old[i].end <= start)
			at = f.ranges;
		if (high.start < high.end && old[i].end > start)
			f.range[f.ranges++] = high;
	}
	return at;
}

static void put(unsigned at, struct range range)
{
	memmove(f.range + at + 1, f.range + at, (f.ranges - at) * sizeof(range));
	f.range[at] = range;
	f.ranges++;
}

static const struct range *find(uint64_t gpa)
{
	for (unsigned i = 0; i < f.ranges; i++)
		if (gpa >= f.range[i].start && gpa < f.range[i].end)
			return &f.range[i];
	return NULL;
}

static void protect(uint64_t start, uint64_t end, uint64_t access)
{
	struct range old[RANGES + 2];
	unsigned count = f.ranges;

	memcpy(old, f.range, sizeof(old));
	for (unsigned i = 0; i < count; i++) {
		struct range part = old[i];

		part.start = MAX(part.start, start);
		part.end = MIN(part.end, end);
		if (part.start >= part.end)
			continue;
		part.hpa += part.start - old[i].start;
		part.access = access;
		put(cut(part.start, part.end), part);
	}
}

/* --- Both --- */

static void check_at(uint64_t gpa)
{
	const struct range *range = find(gpa);
	struct ept_page page;

	FUZZ_REQUIRE(ept_translate(&f.ept, gpa, &page) == (range != NULL));
	if (!range)
		return;
	FUZZ_REQUIRE(page.hpa == range->hpa + (gpa - range->start));
	FUZZ_REQUIRE(page.access == range->access && page.type == range->type);
	FUZZ_REQUIRE(page.size == PAGE_SIZE || page.size == PAGE_SIZE_2M || page.size == GIB);
	FUZZ_REQUIRE(page.size <= PAGE_SIZE << (9 * (f.ept.largest_level - 1)));
}

struct sums {
	uint64_t bytes, tables;
};

static void on_table(void *ctx, uint64_t table)
{
	(void)table;
	((struct sums *)ctx)->tables++;
}

static void on_page(void *ctx, uint64_t gpa, const struct ept_page *page)
{
	FUZZ_REQUIRE(gpa % page->size == 0 && page->hpa % page->size == 0);
	check_at(gpa);
	check_at(gpa + page->size - 1);
	((struct sums *)ctx)->bytes += page->size;
}

static void check(void)
{
	struct sums sums = {0};
	const struct ept_visitor visitor = {on_table, on_page, &sums};
	uint64_t bytes = 0;

	for (unsigned i = 0; i < f.ranges; i++) {
		bytes += f.range[i].end - f.range[i].start;
		check_at(f.range[i].start);
		check_at(f.range[i].start - 1);
		check_at(f.range[i].end - 1);
		check_at(f.range[i].end);
	}
	ept_visit(&f.ept, &visitor);
	FUZZ_REQUIRE(sums.bytes == bytes);
	FUZZ_REQUIRE(sums.tables == f.ept.tables && f.taken == f.ept.tables);
}

/* Addresses around those where tables and large pages begin; some lie beyond the end. */
static uint64_t choose_address(struct stream *in)
{
	static const uint64_t bases[] = {0,	    PAGE_SIZE_2M,    GIB,
					 512 * GIB, FAR_ABOVE - GIB, FAR_ABOVE};
	uint8_t choice = stream_byte(in);
	uint64_t address = bases[choice % ARRAY_SIZE(bases)] +
			   (stream_number(in, 2) << (choice & 0x40 ? 21 : 12));

	return choice & 0x80 && address >= PAGE_SIZE_2M ? address - PAGE_SIZE_2M : address;
}

static uint64_t choose_size(struct stream *in)
{
	uint8_t choice = stream_byte(in);
	uint64_t units = choice >> 2;

	switch (choice & 3) {
	case 0: return units * PAGE_SIZE;
	case 1: return units * PAGE_SIZE_2M;
	case 2: return units * GIB;
	default: return stream_number(in, 2) * (choice & 0x80 ? 1 : PAGE_SIZE);
	}
}

/* False: out of memory for tables, or of room for the model. */
static bool step(struct stream *in)
{
	static const enum memory_type types[] = {MEMORY_UC, MEMORY_WC, MEMORY_WT, MEMORY_WP,
						 MEMORY_WB};
	uint8_t kind = stream_byte(in), rights = stream_byte(in);
	uint64_t gpa = choose_address(in), size = choose_size(in), access = rights & 0xF;
	struct range range = {gpa, gpa + size, kind % 3 ? 0 : choose_address(in), access,
			      types[rights / 16 % ARRAY_SIZE(types)]};
	bool right = is_aligned(gpa | size | range.hpa, PAGE_SIZE) && gpa <= FAR_ABOVE &&
		     size <= FAR_ABOVE - gpa &&
		     (kind % 3 == 1 || (access && access < 8 && (access & 3) != 2));
	bool ok;

	f.told = 0;
	switch (kind % 3) {
	case 0: ok = ept_map(&f.ept, gpa, range.hpa, size, access, range.type); break;
	case 1: ok = ept_unmap(&f.ept, gpa, size); break;
	default: ok = ept_protect(&f.ept, gpa, size, access); break;
	}
	FUZZ_REQUIRE(right || !ok);
	if (right && !ok)
		return false;
	if (!ok || !size)
		return true;
	if (kind % 3 == 2)
		protect(gpa, gpa + size, access);
	else if (kind % 3 == 1)
		cut(gpa, gpa + size);
	else
		put(cut(gpa, gpa + size), range);
	return f.ranges < RANGES / 2;
}

void fuzz_ept(const uint8_t *data, size_t size)
{
	struct stream in = stream_from(data, size);
	uint8_t head = stream_byte(&in);
	bool more = true;

	memset(&f, 0, sizeof(f));
	f.budget = head & 0x80 ? 12 : TABLES;
	FUZZ_REQUIRE(ept_init(&f.ept, 1 + head % 3, head & 4, &ops, NULL));
	for (unsigned steps = 0; more && stream_more(&in) && steps < 40; steps++) {
		more = step(&in);
		if (more)
			check();
	}
	FUZZ_REQUIRE(f.taken == f.ept.tables);
	f.told = 0;
	ept_destroy(&f.ept);
	FUZZ_REQUIRE(f.taken == 0);
}
