/* SPDX-License-Identifier: MIT */
/* Pages that a VM has written. */
#include "vm/writes.h"

#include "lib/bits.h"
#include "lib/string.h"

static uint64_t map_bytes(uint64_t end)
{
	return align_up(end / PAGE_SIZE / 8 + 1, PAGE_SIZE);
}

uint64_t writes_bytes(uint64_t end, unsigned cpus)
{
	return 2 * map_bytes(end) + cpus * PAGE_SIZE;
}

void writes_init(struct writes *writes, enum writes_how how, void *room, uint64_t end,
		 unsigned cpus)
{
	uint64_t size = map_bytes(end);

	memset(room, 0, writes_bytes(end, cpus));
	*writes = (struct writes){
		.how = how, .live = room, .shown = (uint8_t *)room + size, .size = size};
}

uint64_t *writes_log(const struct writes *writes, unsigned cpu)
{
	if (writes->how != WRITES_LOG)
		return NULL;
	return (uint64_t *)(writes->shown + writes->size + cpu * PAGE_SIZE);
}

void writes_note(struct writes *writes, uint64_t gpa)
{
	uint64_t page = gpa / PAGE_SIZE;

	if (page / 8 < writes->size)
		__atomic_fetch_or(&writes->live[page / 8], (uint8_t)BIT(page % 8),
				  __ATOMIC_RELAXED);
}

static void no_table(void *ctx, uint64_t table)
{
	(void)ctx;
	(void)table;
}

static void note_dirty(void *ctx, uint64_t gpa, const struct ept_page *page)
{
	if (page->dirty)
		writes_note(ctx, gpa);
}

void writes_take(struct writes *writes, struct ept *ept)
{
	const struct ept_visitor dirty = {no_table, note_dirty, writes};
	uint64_t again = writes->how == WRITES_PROTECT ? EPT_WRITE : EPT_DIRTY;

	if (writes->how == WRITES_FLAGS)
		ept_visit(ept, &dirty);
	writes->at = 0;
	for (uint64_t i = 0; i < writes->size; i++) {
		uint8_t bits = __atomic_exchange_n(&writes->live[i], 0, __ATOMIC_RELAXED);

		writes->shown[i] = bits;
		for (; bits; bits &= (uint8_t)(bits - 1))
			ept_adjust(ept, (8 * i + (unsigned)__builtin_ctz(bits)) * PAGE_SIZE, again,
				   0);
	}
}

static bool is_shown(const struct writes *writes, uint64_t page)
{
	return writes->shown[page / 8] & BIT(page % 8);
}

bool writes_next(struct writes *writes, uint64_t *gpa, uint64_t *length)
{
	uint64_t end = 8 * writes->size, page = writes->at, first;

	while (page < end && !is_shown(writes, page))
		page += page % 8 == 0 && !writes->shown[page / 8] ? 8 : 1;
	first = page;
	while (page < end && is_shown(writes, page))
		page++;
	writes->at = page;
	*gpa = first * PAGE_SIZE;
	*length = (page - first) * PAGE_SIZE;
	return page > first;
}
