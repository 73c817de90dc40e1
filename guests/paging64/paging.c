/* SPDX-License-Identifier: MIT */
/*
 * Memory as EPT gives it: every block of RAM is zero when it is first seen, keeps what is written,
 * and ends where the description says; beyond it nothing answers. Needs 64 MiB or more.
 */
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"

#define BLOCK	      (2UL << 20)
#define PAGE	      4096UL
#define WINDOW	      0x40000000UL
#define CANONICAL_END 0x7ffffffff000UL
#define PAGE_RW	      3UL
#define PAGE_ACCESSED 0x20UL
#define PAGE_DIRTY    0x40UL
#define INFO_MEMORY   1u
#define MIB	      (1UL << 20)
/* The last so many bytes of RAM are first touched by test_fresh_*. */
#define FRESH (16 * MIB)

extern char guest_end[];
static volatile uint64_t table[512] __attribute__((aligned(4096)));
static uint64_t end_tables[3][512] __attribute__((aligned(4096)));

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper;
};

static volatile uint64_t *at(uint64_t address)
{
	return (volatile uint64_t *)address;
}

/* The words looked at in each block: its ends, and some between. */
static const uint32_t offsets[] = {0, 8, PAGE - 8, PAGE, BLOCK / 2, BLOCK - PAGE, BLOCK - 8};
#define OFFSETS (sizeof(offsets) / sizeof(offsets[0]))

static void test_ram(uint64_t end)
{
	unsigned not_zero = 0, lost = 0;

	for (uint64_t block = 2 * BLOCK; block + BLOCK <= end; block += BLOCK) {
		for (unsigned i = 0; i < OFFSETS; i++)
			not_zero += *at(block + offsets[i]) != 0;
		for (unsigned i = 0; i < OFFSETS; i++)
			*at(block + offsets[i]) = ~(block + offsets[i]);
	}
	for (uint64_t block = 2 * BLOCK; block + BLOCK <= end; block += BLOCK)
		for (unsigned i = 0; i < OFFSETS; i++)
			lost += *at(block + offsets[i]) != ~(block + offsets[i]);
	guest_check_equal(not_zero, 0, "memory is zero when first seen");
	guest_check_equal(lost, 0, "and each block keeps its own");
}

static void test_low_memory(void)
{
	unsigned lost = 0;

	/* 4 KiB to 512 KiB: conventional memory. */
	for (uint64_t page = PAGE; page < 512 << 10; page += PAGE)
		*at(page) = page * 3;
	for (uint64_t page = PAGE; page < 512 << 10; page += PAGE)
		lost += *at(page) != page * 3;
	guest_check_equal(lost, 0, "so does low memory");
}

static void test_end(uint64_t end)
{
	*at(end - 8) = 0x0123456789abcdef;
	guest_check_equal(*at(end - 8), 0x0123456789abcdef, "the last word of RAM");
	guest_check_equal(*at(end), UINT64_MAX, "beyond it a read has all ones");
	*at(end) = 0;
	guest_check_equal(*at(end), UINT64_MAX, "whatever is written");
	guest_check_equal(*(volatile uint8_t *)(end + 5), 0xff, "a byte");
	guest_check_equal(*(volatile uint16_t *)(end + 6), 0xffff, "a word");
	guest_check_equal(*(volatile uint32_t *)(end + BLOCK), 0xffffffff, "a double word");
	guest_check_equal(*at(end - 4), 0xffffffff01234567, "an access across the end");
	*at(end - 4) = 0x1111111122222222;
	guest_check_equal(*at(end - 8), 0x2222222289abcdef, "writes what is there");
	guest_check_equal(*at(0xe0000000), UINT64_MAX, "the hole below 4 GiB is empty");
}

static uint64_t *table_of(uint64_t entry)
{
	return (uint64_t *)(entry & 0xffffffffff000);
}

static void test_accessed_and_dirty(uint64_t end)
{
	uint64_t *pd = table_of(table_of(((uint64_t *)read_cr3())[0])[1]);

	table[0] = (end - PAGE) | PAGE_RW;
	pd[0] = (uintptr_t)table | PAGE_RW;
	write_cr3(read_cr3());
	(void)*at(WINDOW);
	guest_check_equal(table[0] & (PAGE_ACCESSED | PAGE_DIRTY), PAGE_ACCESSED,
			  "a read sets accessed");
	*at(WINDOW) = 1;
	guest_check_equal(table[0] & (PAGE_ACCESSED | PAGE_DIRTY), PAGE_ACCESSED | PAGE_DIRTY,
			  "a write sets dirty");
	guest_check(pd[0] & PAGE_ACCESSED, "the directory's entry is accessed as well");
}

/* A page table in memory that nobody has touched: the walk itself meets EPT first. */
static void test_fresh_tables(uint64_t end)
{
	uint64_t *pd = table_of(table_of(((uint64_t *)read_cr3())[0])[1]);

	pd[1] = (end - FRESH + 4 * PAGE) | PAGE_RW;
	guest_check_equal(try_read(WINDOW + BLOCK), TRAP_PF, "a table of fresh memory is empty");
	guest_check_equal(trap_last.cr2, WINDOW + BLOCK, "the fault has its address");
}

/* Code in memory that nobody has touched but to write it, and a call onto a fresh stack. */
static void test_fresh_code(uint64_t end)
{
	volatile uint8_t *code = (volatile uint8_t *)(end - 4 * MIB);
	uint64_t result;

	code[0] = 0xb8; /* MOV EAX, 600DH; RET */
	code[1] = 0x0d;
	code[2] = 0x60;
	code[3] = 0;
	code[4] = 0;
	code[5] = 0xc3;
	__asm__ volatile("mov %%rsp, %%rbx\n\tmov %2, %%rsp\n\tcall *%1\n\tmov %%rbx, %%rsp"
			 : "=a"(result)
			 : "r"(code), "r"(end - 6 * MIB)
			 : "rbx", "memory");
	guest_check_equal(result, 0x600d, "code runs in fresh memory, on a fresh stack");
	/* A block first touched by a fetch: zero bytes, ADD [RAX], AL; the next block returns. */
	code = (volatile uint8_t *)(end - 8 * MIB);
	code[0] = 0xc3;
	result = 16 * MIB;
	__asm__ volatile("call *%1" : "+a"(result) : "r"(code - 2) : "memory");
	guest_check_equal(result, 16 * MIB, "and straight into fresh memory");
}

static void run_call(void *argument)
{
	__asm__ volatile("call *%0" : : "r"(argument) : "rax", "rbx", "rcx", "rdx", "memory");
}

/* An instruction that exits at the very end of the lower half: RIP leaves it by our hand. */
static void test_canonical_end(void)
{
	uint64_t *pml4 = (uint64_t *)read_cr3();
	static uint8_t code[PAGE] __attribute__((aligned(4096)));

	pml4[255] = (uintptr_t)end_tables[0] | PAGE_RW;
	end_tables[0][511] = (uintptr_t)end_tables[1] | PAGE_RW;
	end_tables[1][511] = (uintptr_t)end_tables[2] | PAGE_RW;
	end_tables[2][511] = (uintptr_t)code | PAGE_RW;
	code[PAGE - 1] = 0x90; /* NOP */
	guest_check_equal(trap_run(run_call, (void *)(CANONICAL_END + PAGE - 1)), TRAP_GP,
			  "NOP before what is not canonical: #GP");
	guest_check_equal(trap_last.ip, CANONICAL_END + PAGE, "there");
	code[PAGE - 2] = 0x0f; /* CPUID */
	code[PAGE - 1] = 0xa2;
	guest_check_equal(trap_run(run_call, (void *)(CANONICAL_END + PAGE - 2)), TRAP_GP,
			  "CPUID before it: #GP");
	guest_check_equal(trap_last.ip, CANONICAL_END + PAGE, "at the same place");
}

unsigned main(uintptr_t address)
{
	const struct multiboot_info *info = (const struct multiboot_info *)address;
	uint64_t end = MIB + ((uint64_t)info->mem_upper << 10);

	trap_init();
	guest_check(info->flags & INFO_MEMORY, "the Multiboot information knows the memory");
	guest_check_equal(end % BLOCK, 0, "which ends with a block");
	guest_check((uintptr_t)guest_end < 2 * BLOCK, "and begins with this guest");
	test_fresh_tables(end);
	test_fresh_code(end);
	test_ram(end - FRESH);
	test_end(end);
	test_accessed_and_dirty(end);
	test_canonical_end();
	test_low_memory();
	return guest_failures();
}
