/* SPDX-License-Identifier: MIT */
/* Instructions on device memory in 64-bit code, with what it has alone: 64 bits, REX, RIP. */
#include "guests/lib/guest.h"
#include "guests/lib/mmio_test.h"
#include "guests/lib/paging.h"
#include "guests/lib/trap.h"

#define REG32	0xFEE00380u
#define REG8	0xFEC00000u
#define NOWHERE 0xD0000000u
#define ONES	UINT64_MAX

static volatile uint32_t *const reg32 = (volatile uint32_t *)REG32;

static void test_64_bits(void)
{
	volatile uint64_t *nowhere = (volatile uint64_t *)(uintptr_t)NOWHERE;
	uint64_t value = 0;

	guest_check_equal(*nowhere, ONES, "a quad word of nobody");
	__asm__ volatile("addq %1, %0\n\txaddq %1, %0" : "+m"(*nowhere), "+r"(value));
	guest_check_equal(value, ONES, "XADD of 64 bits");
	*reg32 = 0x80000000;
	value = ONES;
	__asm__ volatile("movl %1, %k0" : "+r"(value) : "m"(*reg32));
	guest_check_equal(value, 0x80000000, "32 bits clear the upper half");
	__asm__ volatile("movslq %1, %0" : "=r"(value) : "m"(*reg32));
	guest_check_equal(value, 0xFFFFFFFF80000000, "MOVSXD");
	value = ONES;
	__asm__ volatile("movw %1, %w0" : "+r"(value) : "m"(*reg32));
	guest_check_equal(value, 0xFFFFFFFFFFFF0000, "16 bits leave it");
	*reg32 = 0x80;
	__asm__ volatile("movsbq %1, %0" : "=r"(value) : "m"(*reg32));
	guest_check_equal(value, 0xFFFFFFFFFFFFFF80, "MOVSX to 64 bits");
	__asm__ volatile("orq $-1, %1\n\tmovq %1, %0" : "=r"(value) : "m"(*nowhere) : "cc");
	guest_check_equal(value, ONES, "OR with an immediate that is extended");
}

static void test_rex(void)
{
	uint64_t value;

	*reg32 = 0;
	__asm__ volatile("movl $0x13572468, %%r9d\n\tmovl %%r9d, (%1)\n\tmovl (%1), %%r14d\n\t"
			 "mov %%r14, %0"
			 : "=r"(value)
			 : "r"(reg32)
			 : "r9", "r14", "memory");
	guest_check_equal(value, 0x13572468, "R9 and R14");
	__asm__ volatile("mov %1, %%r13\n\tmov $2, %%r12\n\tmovzbl (%%r13,%%r12,1), %k0"
			 : "=r"(value)
			 : "r"(reg32)
			 : "r12", "r13", "memory");
	guest_check_equal(value, 0x57, "R13 as base, R12 as index");
	__asm__ volatile("mov $0x1234, %%esi\n\tmovb %%sil, (%1)\n\tmovzbl (%1), %k0"
			 : "=&r"(value)
			 : "r"((uintptr_t)REG8)
			 : "rsi", "memory");
	guest_check_equal(value, 0x34, "SIL is not DH");
	__asm__ volatile("movl (%k1), %k0" : "=r"(value) : "r"(0xABCD00000000 + REG32));
	guest_check_equal(value, 0x13572468, "an address of 32 bits");
}

/* The device is mapped near the code: RIP-relative addresses reach 2 GiB. */
static void test_rip(void)
{
	static const uint8_t code[] = {0x8B, 0x05, 0, 0, 0, 0, 0xC3};
	uintptr_t at = 0x900000, reg = PAGING_WINDOW + (REG32 & 0xFFF);
	uint32_t (*run)(void) = (uint32_t(*)(void))at;

	for (unsigned i = 0; i < sizeof(code); i++)
		((volatile uint8_t *)at)[i] = code[i];
	*(volatile int32_t *)(at + 2) = (int32_t)(reg - (at + 6));
	paging_map(0, REG32 & ~0xFFFu, PAGING_PRESENT | PAGING_WRITABLE);
	*reg32 = 0x2468ACE0;
	guest_check_equal(run(), 0x2468ACE0, "an address relative to RIP");
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	paging_start(PAGING_64);
	mmio_test("64-bit");
	mmio_test_faults("64-bit");
	test_64_bits();
	test_rex();
	test_rip();
	return guest_failures();
}
