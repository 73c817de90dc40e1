/* SPDX-License-Identifier: MIT */
/*
 * Paging in 32-bit code: 32-bit and PAE paging, the PDPTEs that PAE paging caches, and what
 * flushes the TLB. Intel SDM volume 3, "32-Bit Paging", "PAE Paging".
 */
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"

#define PAGE_PRESENT  1u
#define PAGE_WRITE    2u
#define PAGE_RW	      3u
#define PAGE_ACCESSED 0x20u
#define PAGE_DIRTY    0x40u
#define PAGE_LARGE    0x80u
#define PAGE_GLOBAL   0x100u
#define PAGE_NX	      (1ULL << 63)
#define WINDOW	      0x40000000u /* linear: 4 KiB pages of ours */
#define GIB_3	      0xC0000000u

static uint32_t directory[1024] __attribute__((aligned(4096)));
static uint32_t table[1024] __attribute__((aligned(4096)));
static uint64_t pdpt[4] __attribute__((aligned(32)));
static uint64_t other_pdpt[4] __attribute__((aligned(32)));
static uint64_t pae_directory[4][512] __attribute__((aligned(4096)));
static uint64_t pae_table[512] __attribute__((aligned(4096)));
static volatile uint32_t page_one[1024] __attribute__((aligned(4096)));
static volatile uint32_t page_two[1024] __attribute__((aligned(4096)));
static uint8_t code_page[4096] __attribute__((aligned(4096)));

/*
 * Socle sees only those writes to CR0 and CR4 that change a bit of its own: toggled along with the
 * rest, these make every write one of them.
 */
static uint32_t cr0_toggle, cr4_toggle;

static uint32_t window(void)
{
	return *(volatile uint32_t *)WINDOW;
}

static void build_tables(void)
{
	page_one[0] = 1;
	page_two[0] = 2;
	code_page[0] = 0xc3; /* RET */
	for (unsigned i = 0; i < 1024; i++)
		directory[i] = i << 22 | PAGE_RW | PAGE_LARGE;
	directory[WINDOW >> 22] = (uint32_t)table | PAGE_RW;
	for (unsigned i = 0; i < 4; i++) {
		pdpt[i] = other_pdpt[i] = (uint32_t)pae_directory[i] | PAGE_PRESENT;
		for (unsigned j = 0; j < 512; j++)
			pae_directory[i][j] = (i << 30 | j << 21) | PAGE_RW | PAGE_LARGE;
	}
	pae_directory[WINDOW >> 30][0] = (uint32_t)pae_table | PAGE_RW;
}

static void set_paging(bool on)
{
	write_cr0((on ? read_cr0() | CR0_PG : read_cr0() & ~CR0_PG) ^ cr0_toggle);
}

static void map(const volatile void *physical, uint32_t rights)
{
	table[0] = (uint32_t)physical | rights;
	pae_table[0] = (uint32_t)physical | rights;
	__asm__ volatile("" : : : "memory");
}

/* The same for both kinds of paging, which is on. */
static void test_flushes(const char *kind)
{
	guest_print("# %s\n", kind);
	map(page_one, PAGE_RW);
	write_cr3(read_cr3());
	guest_check_equal(window(), 1, "a page");
	map(page_two, PAGE_RW);
	invlpg((void *)WINDOW);
	guest_check_equal(window(), 2, "INVLPG flushes it");
	map(page_one, PAGE_RW);
	write_cr3(read_cr3());
	guest_check_equal(window(), 1, "MOV to CR3 flushes it");
	write_cr4((read_cr4() | CR4_PGE) ^ cr4_toggle);
	map(page_two, PAGE_RW | PAGE_GLOBAL);
	write_cr3(read_cr3());
	guest_check_equal(window(), 2, "a global page");
	map(page_one, PAGE_RW | PAGE_GLOBAL);
	write_cr4((read_cr4() & ~CR4_PGE) ^ cr4_toggle);
	guest_check_equal(window(), 1, "CR4.PGE flushes it");
	map(page_two, PAGE_RW);
	set_paging(false);
	guest_check_equal(*(volatile uint32_t *)page_one, 1, "without paging");
	set_paging(true);
	guest_check_equal(window(), 2, "CR0.PG flushes as well");
	map(page_one, PAGE_PRESENT);
	invlpg((void *)WINDOW);
	write_cr0(read_cr0() | CR0_WP);
	guest_check_equal(try_write(WINDOW + 8), TRAP_PF, "CR0.WP protects");
	guest_check_equal(trap_last.error, 3, "as a write to a present page");
	guest_check_equal(trap_last.cr2, WINDOW + 8, "at its address");
	write_cr0(read_cr0() & ~CR0_WP);
	guest_check_equal(try_write(WINDOW + 8), TRAP_NONE, "without it CPL 0 writes");
	guest_check_equal((table[0] | (uint32_t)pae_table[0]) & (PAGE_ACCESSED | PAGE_DIRTY),
			  PAGE_ACCESSED | PAGE_DIRTY, "accessed and dirty bits are set");
}

static void test_32_bit(void)
{
	write_cr4(read_cr4() | CR4_PSE);
	write_cr3((uint32_t)directory);
	map(page_one, PAGE_RW);
	guest_check_equal(try_write_cr(0, (read_cr0() | CR0_PG) ^ cr0_toggle), TRAP_NONE,
			  "32-bit paging");
	test_flushes("32-bit paging");
	directory[(WINDOW >> 22) + 1] = 1u << 21 | PAGE_RW | PAGE_LARGE;
	write_cr3(read_cr3());
	guest_check_equal(try_read(WINDOW + (4u << 20)), TRAP_PF, "reserved bits of a large page");
	guest_check_equal(trap_last.error, 9, "are a fault of their own");
	set_paging(false);
}

static void run_window(void *argument)
{
	(void)argument;
	__asm__ volatile("call *%0" : : "r"(WINDOW) : "memory");
}

static void run_last(void *argument)
{
	(void)argument;
	__asm__ volatile("call *%0" : : "r"(0xfffffffe), "a"(0), "c"(0) : "ebx", "edx", "memory");
}

static void test_nx(void)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	map(code_page, PAGE_RW);
	invlpg((void *)WINDOW);
	guest_check_equal(trap_run(run_window, 0), TRAP_NONE, "code in the window");
	pae_table[0] |= PAGE_NX;
	invlpg((void *)WINDOW);
	guest_check_equal(trap_run(run_window, 0), TRAP_PF, "not on an NX page");
	guest_check_equal(trap_last.error, 0x11, "a fetch");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~(uint64_t)EFER_NXE);
}

static void check_bad_pdpte(uint64_t bits, const char *what)
{
	uint32_t cr3 = read_cr3();

	other_pdpt[3] |= bits;
	guest_check_equal(try_write_cr(3, (uint32_t)other_pdpt), TRAP_GP, what);
	guest_check_equal(read_cr3(), cr3, "and CR3 stays");
	other_pdpt[3] &= ~bits;
}

/* PDPTEs are loaded by MOV to CR3 and the like, and live in the CPU until then. */
static void test_pdptes(void)
{
	unsigned bits = cpuid(0x80000008, 0).eax & 0xff;

	check_bad_pdpte(PAGE_WRITE, "a PDPTE with bit 1 set: #GP");
	check_bad_pdpte(1 << 5, "with bit 5");
	check_bad_pdpte(1 << 8, "with bit 8");
	check_bad_pdpte(1ULL << bits, "beyond physical addresses");
	check_bad_pdpte(PAGE_NX, "with bit 63");
	other_pdpt[3] = 0xfffffffffffffffeULL;
	guest_check_equal(try_write_cr(3, (uint32_t)other_pdpt), TRAP_NONE,
			  "what is not present is not looked at");
	guest_check_equal(try_read(GIB_3), TRAP_PF, "and not there");
	other_pdpt[3] = pdpt[3];
	guest_check_equal(try_read(GIB_3), TRAP_PF, "until CR3 is loaded");
	write_cr3((uint32_t)other_pdpt);
	guest_check_equal(try_read(GIB_3), TRAP_NONE, "then it is");
	other_pdpt[3] = 0;
	invlpg((void *)GIB_3);
	guest_check_equal(try_read(GIB_3), TRAP_NONE, "INVLPG loads no PDPTE");
	write_cr4(read_cr4() ^ CR4_PGE ^ cr4_toggle);
	guest_check_equal(try_read(GIB_3), TRAP_PF, "a change of CR4.PGE does");
	other_pdpt[3] = pdpt[3] | PAGE_WRITE;
	guest_check_equal(try_write_cr(4, read_cr4() ^ CR4_PGE ^ cr4_toggle), TRAP_GP,
			  "and raises #GP for a bad one");
	set_paging(false);
	guest_check_equal(try_write_cr(0, (read_cr0() | CR0_PG) ^ cr0_toggle), TRAP_GP,
			  "so does CR0.PG");
	guest_check(!(read_cr0() & CR0_PG), "which stays clear");
	write_cr3((uint32_t)pdpt);
	set_paging(true);
	guest_check_equal(try_read(GIB_3), TRAP_NONE, "and with good ones paging is on");
}

/* MOV to CR3 in PAE paging takes any address of 32 bits, RAM or not. */
static void test_far_pdpt(void)
{
	uint64_t *high = (uint64_t *)0xff0fe0; /* not at the start of a page */

	for (unsigned i = 0; i < 4; i++)
		high[i] = pdpt[i];
	guest_check_equal(try_write_cr(3, (uint32_t)high), TRAP_NONE, "PDPTEs at a page's end");
	guest_check_equal(window() != 0, 1, "are the same");
	guest_check_equal(read_cr3(), (uint32_t)high, "CR3 has their address");
	write_cr3((uint32_t)pdpt);
}

/* EIP has 32 bits: what exits at the very end goes on at 0. */
static void test_wrap(void)
{
	uint64_t last = pae_directory[3][511];
	volatile uint8_t *zero = (volatile uint8_t *)0;
	uint8_t first;

	__asm__ volatile("" : "+r"(zero));
	first = *zero;
	*zero = 0xc3;
	code_page[4094] = 0x0f; /* CPUID */
	code_page[4095] = 0xa2;
	pae_table[511] = (uint32_t)code_page | PAGE_RW;
	pae_directory[3][511] = (uint32_t)pae_table | PAGE_RW;
	write_cr3(read_cr3());
	guest_check_equal(trap_run(run_last, 0), TRAP_NONE, "CPUID at the end of 4 GiB");
	*zero = first;
	pae_directory[3][511] = last;
	write_cr3(read_cr3());
}

static void test_pae(void)
{
	write_cr4(read_cr4() | CR4_PAE);
	write_cr3((uint32_t)pdpt);
	map(page_one, PAGE_RW);
	guest_check_equal(try_write_cr(0, (read_cr0() | CR0_PG) ^ cr0_toggle), TRAP_NONE,
			  "PAE paging");
	test_flushes("PAE paging");
	test_nx();
	map(page_one, PAGE_RW);
	test_pdptes();
	test_far_pdpt();
	test_wrap();
	guest_check_equal(try_write_cr(4, read_cr4() | CR4_PCIDE), TRAP_GP,
			  "no PCIDs outside of IA-32e mode");
	set_paging(false);
	write_cr4(read_cr4() & ~CR4_PAE);
}

/* EFER.LME without what long mode wants. */
static void test_no_long_mode(void)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_LME);
	guest_check_equal(try_write_cr(0, (read_cr0() | CR0_PG) ^ cr0_toggle), TRAP_GP,
			  "paging with EFER.LME but without PAE: #GP");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~(uint64_t)EFER_LME);
	guest_check_equal(try_write_cr(0, (read_cr0() | CR0_PG) & ~CR0_PE), TRAP_GP,
			  "PG without PE: #GP");
	guest_check_equal(try_write_cr(0, read_cr0() | CR0_NW), TRAP_GP, "NW without CD: #GP");
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	build_tables();
	test_32_bit();
	test_pae();
	test_no_long_mode();
	/* All of it again, and now with exits. */
	write_cr4(read_cr4() & ~CR4_PGE);
	cr0_toggle = CR0_CD;
	cr4_toggle = CR4_MCE;
	test_32_bit();
	test_pae();
	test_no_long_mode();
	return guest_failures();
}
