/* SPDX-License-Identifier: MIT */
/* Page tables for acts. */
#include "guests/chaos64/pages.h"

#include "guests/chaos64/machine.h"

#define ENTRIES	    512
#define IMAGE	    1 /* its large page's entry */
#define RWU	    (PTE_P | PTE_W | PTE_U)
#define GARBAGE_PD  8 /* the first entry of the directory that may be anything */
#define GARBAGE_GIB 4
#define LAPIC	    0xFEE00000u
#define IOAPIC	    0xFEC00000u
#define HPET	    0xFED00000u
#define ECAM	    0xB0000000u
#define VGA	    0xA0000u

extern uint8_t kept_begin[], kept_end[];

/* Trees for acts. */
static struct trees {
	uint64_t pml4[ENTRIES], pdpt[ENTRIES], directory[ENTRIES], window[ENTRIES];
	uint32_t directory32[2 * ENTRIES], window32[2 * ENTRIES]; /* window and twin */
	uint64_t pae[4] __attribute__((aligned(4096)));
	uint64_t safe_pae[4] __attribute__((aligned(32)));
} trees[2] __attribute__((aligned(4096)));
static struct trees *now = &trees[0];
static uint64_t devices[2 * ENTRIES] __attribute__((aligned(4096))); /* 2 to 4 GiB */
static uint64_t low[ENTRIES] __attribute__((aligned(4096)));
static uint64_t image[ENTRIES] __attribute__((aligned(4096)));
static uint32_t image32[2 * ENTRIES] __attribute__((aligned(4096)));
static uint32_t low32[2 * ENTRIES] __attribute__((aligned(4096))); /* with the image */
static uint64_t twin[ENTRIES] __attribute__((aligned(4096)));

static uint64_t twin_pml4[ENTRIES] __attribute__((aligned(4096)));
static uint64_t twin_pdpt[ENTRIES] __attribute__((aligned(4096)));
static uint64_t twin_pae[4] __attribute__((aligned(32)));
static uint64_t twin_directory[ENTRIES] __attribute__((aligned(4096)));
static uint32_t twin_directory32[2 * ENTRIES] __attribute__((aligned(4096)));
static uint32_t twin_table32[2 * ENTRIES] __attribute__((aligned(4096)));

uint64_t pages_long(void)
{
	return (uintptr_t)now->pml4;
}

uint64_t pages_pae(void)
{
	return (uintptr_t)now->pae;
}

uint64_t pages_safe_pae(void)
{
	return (uintptr_t)now->safe_pae;
}

uint64_t pages_32(void)
{
	return (uintptr_t)now->directory32;
}

uint64_t pages_twin_long(void)
{
	return (uintptr_t)twin_pml4;
}

uint64_t pages_twin_pae(void)
{
	return (uintptr_t)twin_pae;
}

uint64_t pages_twin_32(void)
{
	return (uintptr_t)twin_directory32;
}

static void fill_twin(void)
{
	twin_pml4[0] = (uintptr_t)twin_pdpt | RWU;
	twin_pdpt[0] = (uintptr_t)twin_directory | RWU;
	twin_pae[0] = (uintptr_t)twin_directory | PTE_P;
	twin_directory[IMAGE] = (uintptr_t)image | PTE_P | PTE_W;
	twin_directory[TWIN >> 21] = (uintptr_t)twin | RWU;
	twin_directory32[0] = (uint32_t)(uintptr_t)image32 | PTE_P | PTE_W;
	twin_directory32[TWIN >> 22] = (uint32_t)(uintptr_t)twin_table32 | RWU;
}

static void fill_long(struct trees *t, bool wild)
{
	t->pml4[0] = (uintptr_t)t->pdpt | RWU;
	t->pdpt[0] = (uintptr_t)t->directory | RWU;
	if (wild) {
		t->pdpt[2] = (uintptr_t)devices | RWU;
		t->pdpt[3] = (uintptr_t)(devices + ENTRIES) | RWU;
	}
	t->directory[0] = (uintptr_t)low | RWU;
	t->directory[IMAGE] = (uintptr_t)image | PTE_P | PTE_W;
	t->directory[WINDOW >> 21] = (uintptr_t)t->window | RWU;
	t->directory[TWIN >> 21] = (uintptr_t)twin | RWU;
	for (unsigned i = 0; i < ENTRIES; i++)
		t->window[i] = FRAMES + (uint64_t)i * PAGE + RWU;
}

static void fill_legacy(struct trees *t, bool wild)
{
	t->safe_pae[0] = t->pae[0] = (uintptr_t)t->directory | PTE_P;
	if (wild) {
		t->pae[2] = (uintptr_t)devices | PTE_P;
		t->pae[3] = (uintptr_t)(devices + ENTRIES) | PTE_P;
	}
	t->directory32[0] = (uint32_t)(uintptr_t)low32 | RWU;
	t->directory32[WINDOW >> 22] = (uint32_t)(uintptr_t)t->window32 | RWU;
	for (unsigned i = ENTRIES; wild && i < 2 * ENTRIES; i++)
		t->directory32[i] = i << 22 | PTE_LARGE | RWU;
	for (unsigned i = 0; i < ENTRIES; i++)
		t->window32[i] = FRAMES + i * PAGE + RWU;
}

static void fill_image(void)
{
	for (uintptr_t i = 0; i < ENTRIES; i++) {
		uintptr_t at = ((uintptr_t)IMAGE << 21) + i * PAGE;
		bool kept = at >= (uintptr_t)kept_begin && at < (uintptr_t)kept_end;

		image[i] = at | PTE_P | (kept ? PTE_W : 0);
		image32[ENTRIES + i] = low32[ENTRIES + i] = (uint32_t)image[i];
		low32[i] = (uint32_t)(i * PAGE) | RWU;
	}
}

void pages_init(void)
{
	fill_image();
	for (unsigned i = 0; i < ENTRIES; i++) {
		low[i] = (uint64_t)i * PAGE | RWU;
		devices[i] = 0x80000000 + ((uint64_t)i << 21) + PTE_LARGE + RWU;
		devices[ENTRIES + i] = 0xC0000000 + ((uint64_t)i << 21) + PTE_LARGE + RWU;
	}
	for (unsigned i = 0; i < 2; i++) {
		fill_long(&trees[i], i);
		fill_legacy(&trees[i], i);
	}
	fill_twin();
}

void pages_wild(bool wild)
{
	now = &trees[wild];
}

bool pages_is_wild(void)
{
	return now == &trees[1];
}

uint64_t pages_frame(struct prng *p)
{
	uint64_t any = prng_next(p);

	switch (prng_below(p, 24)) {
	case 0:
	case 1: return LAPIC;
	case 2: return IOAPIC;
	case 3: return HPET;
	case 4: return ECAM + (any & 0xfffff000) % 0x10000000;
	case 5: return VGA + (any & 0x1f000);
	case 6:
	case 7: return HOLE + (any & 0xffff000);
	case 8: return MEMORY_END - PAGE;
	case 9: return MEMORY_END + (any & 0xff000);
	case 10: return 0x100000000 + (any & 0xffff000);
	case 11: return any & 0xffffffff000;
	case 12: return (uintptr_t)now->window; /* which changes itself then */
	default: return FRAMES + (any & 0x1ff000);
	}
}

static uint64_t entry(struct prng *p)
{
	uint64_t frame = pages_frame(p);
	uint64_t e = (prng_chance(p, 93) ? PTE_P : 0) | (prng_chance(p, 85) ? PTE_W : 0) |
		     (prng_chance(p, 75) ? PTE_U : 0);

	if (prng_chance(p, 15))
		e |= prng_next(p) & 0xff8;
	if (prng_chance(p, 3))
		e |= PTE_NX;
	if (prng_chance(p, 3))
		e |= 1ULL << (52 + prng_below(p, 11));
	if (!pages_is_wild() && frame - FRAMES >= WINDOW_PAGES * PAGE)
		frame = FRAMES + frame % (WINDOW_PAGES * PAGE) / PAGE * PAGE;
	return e | frame;
}

/* A table page, whose own frame may be a device's: or no table at all. */
static uint64_t upper(struct prng *p)
{
	switch (prng_below(p, 5)) {
	case 0: return 0;
	case 1: return !pages_is_wild() ? prng_next(p) | 1ULL << 51 : prng_next(p);
	case 2: return (uintptr_t)now->window | RWU;
	case 3: return pages_is_wild() ? (pages_frame(p) & ~0xfffull) | RWU : 0;
	default: return pages_is_wild() ? entry(p) : entry(p) & ~(uint64_t)PTE_P;
	}
}

void pages_shuffle(struct prng *p)
{
	for (unsigned count = prng_below(p, 12); count; count--) {
		unsigned i = prng_below(p, WINDOW_PAGES);

		now->window[i] = entry(p);
		now->window32[i] = (uint32_t)now->window[i];
	}
	if (prng_chance(p, 75))
		return;
	now->directory[GARBAGE_PD + prng_below(p, ENTRIES - GARBAGE_PD)] = upper(p);
	now->pdpt[GARBAGE_GIB + prng_below(p, ENTRIES - GARBAGE_GIB)] = upper(p);
	now->pml4[1 + prng_below(p, ENTRIES - 1)] = upper(p);
	now->directory32[8 + prng_below(p, 500)] = (uint32_t)upper(p);
	now->pae[1] = prng_chance(p, 50) ? 0 : (upper(p) & 0xfffffffffffff000) | PTE_P;
	if (prng_chance(p, 10))
		now->pae[1] = upper(p);
}

void pages_code(unsigned page)
{
	now->window[page] = FRAMES + (uint64_t)page * PAGE + RWU;
	now->window32[page] = (uint32_t)now->window[page];
}

void pages_twin(unsigned page, uint64_t e)
{
	twin[page] = e;
	twin_table32[ENTRIES + page] = (uint32_t)e;
	for (unsigned i = 0; i < 2; i++)
		trees[i].window32[ENTRIES + page] = (uint32_t)e;
}

uint64_t pages_twin_entry(unsigned page)
{
	return twin[page];
}

uint32_t pages_twin_entry32(unsigned page)
{
	return twin_table32[ENTRIES + page];
}

static uint64_t in_page(struct prng *p)
{
	switch (prng_below(p, 4)) {
	case 0: return 8 * prng_below(p, 64);
	case 1: return PAGE - 1 - prng_below(p, 16);
	case 2: return 16 * prng_below(p, 256);
	default: return prng_below(p, PAGE);
	}
}

uint64_t pages_pointer(struct prng *p)
{
	static const uint32_t fixed[] = {LAPIC, IOAPIC, HPET, ECAM, HOLE, VGA};

	switch (prng_below(p, 8)) {
	case 0: return PRNG_PICK(p, fixed) + in_page(p);
	case 1: return prng_value(p);
	case 2: return GARBAGE_PD * 0x200000ULL + (prng_next(p) & 0x7fffffff);
	case 3: return (prng_next(p) & 0xffffffffffff) - (1ULL << 47);
	default: return WINDOW + PAGE * prng_below(p, WINDOW_PAGES) + in_page(p);
	}
}
