/* SPDX-License-Identifier: MIT */
/* Page tables for test guests. SDM volume 3, "Paging". */
#include "guests/lib/paging.h"

#include "guests/lib/guest.h"

#define ENTRIES	   512
#define PAGE	   4096u
#define LARGE	   (1u << 7)
#define CR0_PG	   (1u << 31)
#define CR0_WP	   (1u << 16)
#define CR4_PSE	   (1u << 4)
#define CR4_PAE	   (1u << 5)
#define RW	   (PAGING_PRESENT | PAGING_WRITABLE)
#define TABLE_BITS 21
#define WINDOW_2M  (PAGING_WINDOW >> TABLE_BITS)

static uint64_t pml4[ENTRIES] __attribute__((aligned(4096)));
static uint64_t pdpt[ENTRIES] __attribute__((aligned(4096)));
static uint64_t pd[4 * ENTRIES] __attribute__((aligned(4096)));
static uint64_t pt[ENTRIES] __attribute__((aligned(4096)));
static uint32_t pd32[2 * ENTRIES] __attribute__((aligned(4096)));
static uint32_t pt32[2 * ENTRIES] __attribute__((aligned(4096)));

static uintptr_t read_cr0(void)
{
	uintptr_t value;

	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	return value;
}

static void write_cr0(uintptr_t value)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

static void set_cr3(uintptr_t table)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(table) : "memory");
}

#ifndef __x86_64__
static void set_cr4(uintptr_t value)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}
#endif

static void build(uint32_t upper_flags)
{
	for (unsigned i = 0; i < 4 * ENTRIES; i++)
		pd[i] = (uint64_t)i << TABLE_BITS | LARGE | RW;
	for (unsigned i = 0; i < ENTRIES; i++)
		pt[i] = PAGING_WINDOW + i * PAGE + RW;
	pd[WINDOW_2M] = (uintptr_t)pt + RW;
	for (unsigned i = 0; i < 4; i++)
		pdpt[i] = (uintptr_t)(pd + i * ENTRIES) + upper_flags;
	pml4[0] = (uintptr_t)pdpt + RW;
	for (unsigned i = 0; i < 2 * ENTRIES; i++) {
		pd32[i] = i << (TABLE_BITS + 1) | LARGE | RW;
		pt32[i] = PAGING_WINDOW + i * PAGE + RW;
	}
	pd32[PAGING_WINDOW >> (TABLE_BITS + 1)] = (uint32_t)(uintptr_t)pt32 + RW;
}

void paging_start(enum paging_mode mode)
{
	build(mode == PAGING_PAE ? PAGING_PRESENT : RW);
#ifndef __x86_64__
	paging_stop();
	set_cr4(mode == PAGING_PAE ? CR4_PAE : CR4_PSE);
#endif
	set_cr3((uintptr_t)(mode == PAGING_64	 ? (void *)pml4
			    : mode == PAGING_PAE ? (void *)pdpt
						 : (void *)pd32));
	write_cr0(read_cr0() | CR0_PG | CR0_WP);
}

void paging_stop(void)
{
	write_cr0(read_cr0() & ~(uintptr_t)CR0_PG);
}

void paging_map(unsigned page, uintptr_t frame, uint32_t flags)
{
	pt[page] = frame | flags;
	pt32[page] = (uint32_t)frame | flags;
	__asm__ volatile("invlpg (%0)"
			 :
			 : "r"((uintptr_t)(PAGING_WINDOW + page * PAGE))
			 : "memory");
}
