/* SPDX-License-Identifier: MIT */
/* A page below 1 MiB. */
#include "boot/low_page.h"

#include "lib/bits.h"

#define LOW_END	 0xA0000 /* video memory and ROMs follow */
#define EBDA_MIN 0x80000 /* it is 128 KiB at most, and ends at LOW_END */

static bool overlap(uint64_t page, uint64_t start, uint64_t end)
{
	return start < page + PAGE_SIZE && end > page;
}

/* GRUB's map may have entries that overlap; what is not available anywhere counts. */
static bool is_available(const struct bootinfo *info, uint64_t page)
{
	bool available = false;

	for (unsigned i = 0; i < info->memories; i++) {
		const struct boot_memory *m = &info->memory[i];

		if (!m->available && overlap(page, m->start, m->end))
			return false;
		if (m->available && m->start <= page && m->end >= page + PAGE_SIZE)
			available = true;
	}
	return available;
}

static bool is_used(const struct bootinfo *info, uint64_t page)
{
	for (unsigned i = 0; i < info->modules; i++)
		if (overlap(page, info->module[i].start, info->module[i].end))
			return true;
	return overlap(page, info->start, info->end);
}

uint64_t low_page_find(const struct bootinfo *info, uint16_t ebda_segment)
{
	uint64_t end = LOW_END, ebda = (uint64_t)ebda_segment << 4;

	if (ebda >= EBDA_MIN && ebda < LOW_END)
		end = align_down(ebda, PAGE_SIZE);
	for (uint64_t page = end - PAGE_SIZE; page > 0; page -= PAGE_SIZE)
		if (is_available(info, page) && !is_used(info, page))
			return page;
	return LOW_PAGE_NONE;
}
