/* SPDX-License-Identifier: MIT */
/*
 * From each mode to the others: protected mode, PAE paging, compatibility and 64-bit mode, and back
 * through protected to real mode, several times over.
 */
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"

#define PAGE_RW	   3u
#define PAGE_LARGE 0x80u
#define ROUNDS	   4

/* As modes.asm fills it. */
struct __attribute__((packed)) stops {
	uint32_t pae_cr0, compat_efer;
	uint64_t long_rax, long_rip;
	uint32_t back_efer, real_cs, real_cr0, real_byte, real_int, unreal, rounds, smsw;
};
extern volatile struct stops modes_stops;
/* Bits of CR0 toggled along with PG: CD is Socle's, and makes each such write an exit. */
extern volatile uint32_t modes_toggle;
volatile uint32_t modes_toggle;
void modes_tour(void);

extern uint64_t modes_pml4[512], modes_pdpt[4];
uint64_t modes_pml4[512] __attribute__((aligned(4096)));
uint64_t modes_pdpt[4] __attribute__((aligned(4096)));
static uint64_t long_pdpt[512] __attribute__((aligned(4096)));
static uint64_t directory[4][512] __attribute__((aligned(4096)));

static void build_tables(void)
{
	modes_pml4[0] = (uint32_t)long_pdpt | PAGE_RW;
	for (unsigned i = 0; i < 4; i++) {
		modes_pdpt[i] = (uint32_t)directory[i] | 1;
		long_pdpt[i] = (uint32_t)directory[i] | PAGE_RW;
		for (unsigned j = 0; j < 512; j++)
			directory[i][j] = (i << 30 | j << 21) | PAGE_RW | PAGE_LARGE;
	}
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	build_tables();
	for (unsigned i = 0; i < ROUNDS; i++) {
		modes_toggle = i % 2 ? CR0_CD : 0;
		modes_tour();
		guest_check_equal(modes_stops.rounds, i + 1, "a tour of the modes");
		guest_check(modes_stops.pae_cr0 & CR0_PG, "PAE paging");
		guest_check_equal(modes_stops.compat_efer & (EFER_LME | EFER_LMA),
				  EFER_LME | EFER_LMA, "IA-32e mode: EFER.LMA");
		guest_check_equal(modes_stops.long_rax, 0x123456789abcdef0, "64-bit registers");
		guest_check_equal(modes_stops.back_efer & (EFER_LME | EFER_LMA), EFER_LME,
				  "without paging EFER.LMA is clear");
		guest_check_equal(modes_stops.real_cs, 0, "real mode: CS = 0");
		guest_check_equal(modes_stops.real_cr0 & (CR0_PE | CR0_PG), 0, "CR0.PE is clear");
		guest_check_equal(modes_stops.real_byte, 0, "segments are paragraphs");
		guest_check_equal(modes_stops.real_int, 0x6c636f53, "INT n, with CPUID in it");
		guest_check_equal(modes_stops.unreal, 0x600d, "FS keeps its limit of 4 GiB");
		guest_check_equal(modes_stops.smsw & CR0_PE, 0, "SMSW agrees");
		guest_check(read_cr0() & CR0_PE, "LMSW leads back to protected mode");
	}
	return guest_failures();
}
