/* SPDX-License-Identifier: MIT */
/*
 * Control registers in 64-bit code: what may not be written, what reads back as written though
 * Socle keeps it for itself, what each bit does, and what flushes the TLB.
 * Intel SDM volume 3, "Control Registers", "Invalidation of TLBs and Paging-Structure Caches".
 */
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/user.h"

#define VECTOR_LOW   0x50
#define LAPIC_TPR    0xFEE00080
#define LAPIC_EOI    0xFEE000B0
#define LAPIC_SVR    0xFEE000F0
#define LAPIC_ICR    0xFEE00300
#define ICR_SELF     (1u << 18)
#define CR0_ET	     (1u << 4)
#define CR3_NOFLUSH  (1ULL << 63)
#define PAGE_PRESENT 1ULL
#define PAGE_WRITE   2ULL
#define PAGE_USER    4ULL
#define PAGE_GLOBAL  0x100ULL
#define PAGE_NX	     (1ULL << 63)
#define PAGE_RW	     (PAGE_PRESENT | PAGE_WRITE)
/* Linear addresses of 4 KiB pages of ours; there is no RAM at these physical ones. */
#define WINDOW		 0x40000000UL
#define FAULT_PROTECTION (1u << 0)
#define FAULT_WRITE	 (1u << 1)
#define FAULT_FETCH	 (1u << 4)

static uint64_t table[512] __attribute__((aligned(4096)));
static volatile uint32_t page_one[1024] __attribute__((aligned(4096)));
static volatile uint32_t page_two[1024] __attribute__((aligned(4096)));
static uint8_t code_page[4096] __attribute__((aligned(4096)));

static void check_refused(unsigned cr, uintptr_t value, const char *what)
{
	uintptr_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();

	guest_check_equal(try_write_cr(cr, value), TRAP_GP, what);
	if (read_cr0() != cr0 || read_cr3() != cr3 || read_cr4() != cr4)
		guest_check(false, "but something changed");
}

static void check_cr0(uintptr_t value, const char *what)
{
	uintptr_t before = read_cr0();

	guest_check(try_write_cr(0, value) == TRAP_NONE && read_cr0() == value, what);
	write_cr0(before);
}

static void test_cr0(void)
{
	uintptr_t cr0 = read_cr0();
	unsigned smsw = 0;

	check_refused(0, cr0 & ~(uintptr_t)CR0_PG, "CR0.PG cannot be cleared in 64-bit mode");
	check_refused(0, cr0 & ~(uintptr_t)CR0_PE, "nor PE while PG is set");
	check_refused(0, cr0 | CR0_NW, "NW without CD is refused");
	check_refused(0, cr0 | 1UL << 32, "high bits are refused");
	check_cr0(cr0 | CR0_CD, "CD reads as written");
	check_cr0(cr0 | CR0_CD | CR0_NW, "CD with NW too");
	guest_check(!(read_cr0() & (CR0_CD | CR0_NW)), "and both are clear again");
	check_cr0(cr0 | CR0_NE, "NE reads as written: set");
	check_cr0(cr0 & ~(uintptr_t)CR0_NE, "and clear");
	check_cr0(cr0 | CR0_WP | CR0_AM | CR0_MP, "WP, AM and MP");
	guest_check(try_write_cr(0, cr0 & ~(uintptr_t)CR0_ET) == TRAP_NONE && read_cr0() & CR0_ET,
		    "ET stays 1");
	guest_check(try_write_cr(0, cr0 | 1 << 10) == TRAP_NONE && !(read_cr0() & 1 << 10),
		    "reserved bits stay 0");
	write_cr0(cr0 | CR0_CD);
	__asm__ volatile("smsw %k0" : "=r"(smsw));
	guest_check_equal(smsw, (uint32_t)(cr0 | CR0_CD), "SMSW stores CR0");
	write_cr0(cr0);
}

static void run_fpu(void *argument)
{
	(void)argument;
	__asm__ volatile("fninit");
}

static void lmsw(uint16_t value)
{
	__asm__ volatile("lmsw %0" : : "r"(value) : "memory");
}

static void test_task_switched(void)
{
	uintptr_t cr0 = read_cr0() & ~(uintptr_t)(CR0_EM | CR0_TS);

	write_cr0(cr0 | CR0_TS);
	guest_check_equal(trap_run(run_fpu, 0), TRAP_NM, "CR0.TS: #NM");
	__asm__ volatile("clts");
	guest_check_equal(trap_run(run_fpu, 0), TRAP_NONE, "CLTS ends that");
	guest_check_equal(read_cr0(), cr0, "and changes nothing else");
	lmsw((uint16_t)(CR0_PE | CR0_TS));
	guest_check_equal(trap_run(run_fpu, 0), TRAP_NM, "LMSW sets TS");
	lmsw(0xfff0);
	guest_check_equal(read_cr0() & 0xf, CR0_PE, "LMSW clears TS but not PE");
	guest_check_equal(read_cr0() >> 4, cr0 >> 4, "and touches four bits only");
	lmsw((uint16_t)(CR0_MP | CR0_EM));
	guest_check_equal(read_cr0() & 0xf, CR0_PE | CR0_MP | CR0_EM, "LMSW sets MP and EM");
	guest_check_equal(trap_run(run_fpu, 0), TRAP_NM, "with EM: #NM");
	/* LMSW and CLTS beside a bit that Socle keeps. */
	write_cr0(cr0 | CR0_CD | CR0_TS);
	__asm__ volatile("clts");
	guest_check_equal(read_cr0(), cr0 | CR0_CD, "CLTS leaves CD as it was");
	write_cr0(cr0);
}

static void test_cr4(void)
{
	uintptr_t cr4 = read_cr4();

	guest_check_equal(cr4 & (CR4_VMXE | CR4_MCE), 0, "what Socle sets does not show");
	check_refused(4, cr4 | CR4_VMXE, "CR4.VMXE is refused");
	check_refused(4, cr4 | CR4_SMXE, "SMXE too");
	check_refused(4, cr4 | 1 << 15, "reserved bits");
	check_refused(4, cr4 | 1UL << 40, "high ones");
	check_refused(4, cr4 & ~(uintptr_t)CR4_PAE, "PAE cannot be cleared in long mode");
	guest_check(try_write_cr(4, cr4 | CR4_MCE) == TRAP_NONE && read_cr4() & CR4_MCE,
		    "MCE reads as written: set");
	guest_check(try_write_cr(4, cr4) == TRAP_NONE && !(read_cr4() & CR4_MCE), "and clear");
	guest_check(try_write_cr(4, cr4 | CR4_PSE | CR4_PGE | CR4_PCE | CR4_TSD) == TRAP_NONE &&
			    read_cr4() == (cr4 | CR4_PSE | CR4_PGE | CR4_PCE | CR4_TSD),
		    "PSE, PGE, PCE and TSD");
	write_cr4(cr4);
}

static void run_rdtsc(void *argument)
{
	(void)argument;
	__asm__ volatile("rdtsc" : : : "eax", "edx");
}

static void run_sidt(void *argument)
{
	__asm__ volatile("sidt (%0)" : : "r"(argument) : "memory");
}

static void test_user_bits(void)
{
	uintptr_t cr4 = read_cr4();
	uint8_t buffer[16];

	write_cr4(cr4 | CR4_TSD);
	guest_check_equal(user_run(run_rdtsc, 0), TRAP_GP, "CR4.TSD keeps RDTSC from CPL 3");
	write_cr4(cr4);
	guest_check_equal(user_run(run_rdtsc, 0), TRAP_NONE, "and without it it works");
	guest_check_equal(user_run(run_sidt, buffer), TRAP_NONE, "SIDT works at CPL 3");
	if (cpuid(7, 0).ecx >> 2 & 1) {
		write_cr4(cr4 | CR4_UMIP);
		guest_check_equal(user_run(run_sidt, buffer), TRAP_GP, "but not with CR4.UMIP");
		write_cr4(cr4);
	}
}

static void test_cr3(void)
{
	uintptr_t cr3 = read_cr3(), cr4 = read_cr4();
	unsigned bits = cpuid(0x80000008, 0).eax & 0xff;

	check_refused(3, cr3 | 1UL << bits, "CR3 beyond physical addresses is refused");
	check_refused(3, cr3 | CR3_NOFLUSH, "bit 63 too without PCIDs");
	guest_check(try_write_cr(3, cr3 | 0x18) == TRAP_NONE && read_cr3() == (cr3 | 0x18),
		    "PWT and PCD are kept");
	write_cr3(cr3);
	if (!(cpuid(1, 0).ecx >> 17 & 1))
		return;
	write_cr3(cr3 | 0x18);
	check_refused(4, cr4 | CR4_PCIDE, "CR4.PCIDE with a PCID in CR3 is refused");
	write_cr3(cr3);
	guest_check_equal(try_write_cr(4, cr4 | CR4_PCIDE), TRAP_NONE, "else it is taken");
	write_cr3(cr3 | 0x123);
	guest_check_equal(read_cr3(), cr3 | 0x123, "CR3 has a PCID");
	guest_check_equal(try_write_cr(3, cr3 | 5 | CR3_NOFLUSH), TRAP_NONE, "bit 63 is taken");
	guest_check_equal(read_cr3(), cr3 | 5, "and not kept");
	check_refused(0, read_cr0() & ~(uintptr_t)CR0_PG, "PG cannot be cleared");
	write_cr3(cr3);
	write_cr4(cr4);
}

static volatile unsigned interrupts;

static void on_interrupt(struct trap_frame *frame)
{
	(void)frame;
	interrupts++;
	*(volatile uint32_t *)LAPIC_EOI = 0;
}

static void test_cr8(void)
{
	trap_set_handler(VECTOR_LOW, on_interrupt);
	*(volatile uint32_t *)LAPIC_SVR |= 0x100;
	guest_check_equal(read_cr8(), 0, "CR8 starts as 0");
	guest_check_equal(try_write_cr(8, 16), TRAP_GP, "CR8 takes 15 at most");
	guest_check_equal(try_write_cr(8, 1UL << 40), TRAP_GP, "no high bits");
	write_cr8(9);
	guest_check_equal(read_cr8(), 9, "it reads as written");
	guest_check_equal(*(volatile uint32_t *)LAPIC_TPR, 0x90, "the APIC's TPR is the same");
	*(volatile uint32_t *)LAPIC_TPR = 0x53;
	guest_check_equal(read_cr8(), 5, "and the other way");
	*(volatile uint32_t *)LAPIC_ICR = ICR_SELF | VECTOR_LOW;
	__asm__ volatile("sti\n\tnop\n\tnop");
	guest_check_equal(interrupts, 0, "CR8 = 5 holds vector 50H back");
	write_cr8(4);
	__asm__ volatile("nop\n\tnop");
	guest_check_equal(interrupts, 1, "CR8 = 4 lets it in at once");
	write_cr8(0);
	__asm__ volatile("cli");
}

/* Maps the window's page to `physical`; flushes nothing. */
static void map(const volatile void *physical, uint64_t rights)
{
	table[0] = (uintptr_t)physical | rights;
	__asm__ volatile("" : : : "memory");
}

static void fill_window(void)
{
	uint64_t *pml4 = (uint64_t *)(read_cr3() & ~0xfffUL);
	uint64_t *pdpt = (uint64_t *)(pml4[0] & ~0xfffUL);
	uint64_t *pd = (uint64_t *)(pdpt[1] & ~0xfffUL);

	/* The user's, as far as the last level lets it be. */
	pml4[0] |= PAGE_USER;
	pdpt[1] |= PAGE_USER;
	pd[0] = (uintptr_t)table | PAGE_RW | PAGE_USER;
	page_one[0] = 1;
	page_two[0] = 2;
	write_cr3(read_cr3());
}

static uint32_t window(void)
{
	return *(volatile uint32_t *)WINDOW;
}

static void run_invpcid(void *argument)
{
	uint64_t descriptor[2] = {0, WINDOW};

	__asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"(argument) : "memory");
}

/* Each case: the page is in the TLB, changes, and is flushed. */
static void test_flushes(uintptr_t toggle)
{
	uintptr_t cr4 = read_cr4();

	map(page_one, PAGE_RW);
	write_cr3(read_cr3());
	guest_check_equal(window(), 1, "a page");
	map(page_two, PAGE_RW);
	invlpg((void *)WINDOW);
	guest_check_equal(window(), 2, "INVLPG flushes it");
	map(page_one, PAGE_RW);
	write_cr3(read_cr3());
	guest_check_equal(window(), 1, "MOV to CR3 flushes it");
	write_cr4(cr4 | CR4_PGE);
	map(page_two, PAGE_RW | PAGE_GLOBAL);
	write_cr3(read_cr3());
	guest_check_equal(window(), 2, "a global page");
	map(page_one, PAGE_RW | PAGE_GLOBAL);
	write_cr4((cr4 & ~(uintptr_t)CR4_PGE) ^ toggle);
	write_cr4(cr4 | CR4_PGE);
	guest_check_equal(window(), 1, "CR4.PGE flushes global pages");
	if (cpuid(7, 0).ebx >> 10 & 1) {
		map(page_two, PAGE_RW | PAGE_GLOBAL);
		guest_check_equal(trap_run(run_invpcid, 0), TRAP_NONE, "INVPCID of an address");
		map(page_two, PAGE_RW | PAGE_GLOBAL);
		trap_run(run_invpcid, (void *)2);
		guest_check_equal(window(), 2, "INVPCID of everything flushes it");
		guest_check_equal(trap_run(run_invpcid, (void *)4), TRAP_GP, "type 4 is none");
	}
	write_cr4(cr4);
	map(page_one, 0);
	invlpg((void *)WINDOW);
	guest_check_equal(try_read(WINDOW), TRAP_PF, "a page taken away faults");
	guest_check_equal(trap_last.cr2, WINDOW, "with CR2");
	guest_check_equal(trap_last.error, 0, "and the error code of a read");
}

static void test_write_protect(void)
{
	map(page_one, PAGE_PRESENT);
	invlpg((void *)WINDOW);
	write_cr0(read_cr0() & ~(uintptr_t)CR0_WP);
	guest_check_equal(try_write(WINDOW + 8), TRAP_NONE, "without CR0.WP CPL 0 writes");
	write_cr0(read_cr0() | CR0_WP);
	guest_check_equal(try_write(WINDOW + 8), TRAP_PF, "with it not");
	guest_check_equal(trap_last.error, FAULT_PROTECTION | FAULT_WRITE, "a protection fault");
	write_cr0(read_cr0() & ~(uintptr_t)CR0_WP);
}

static void run_window(void *argument)
{
	(void)argument;
	__asm__ volatile("call *%0" : : "r"(WINDOW) : "memory");
}

static void test_execution(void)
{
	code_page[0] = 0xc3; /* RET */
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	map(code_page, PAGE_RW);
	invlpg((void *)WINDOW);
	guest_check_equal(trap_run(run_window, 0), TRAP_NONE, "code runs there");
	map(code_page, PAGE_RW | PAGE_NX);
	invlpg((void *)WINDOW);
	guest_check_equal(trap_run(run_window, 0), TRAP_PF, "not on an NX page");
	guest_check_equal(trap_last.error, FAULT_PROTECTION | FAULT_FETCH, "a fetch fault");
}

/* SMEP and SMAP want kernel pages that are not the user's: all but the window. */
static void test_smep_and_smap(void)
{
	uintptr_t cr4 = read_cr4();

	map(code_page, PAGE_RW | PAGE_USER);
	invlpg((void *)WINDOW);
	if (cpuid(7, 0).ebx >> 7 & 1) {
		write_cr4(cr4 | CR4_SMEP);
		guest_check_equal(trap_run(run_window, 0), TRAP_PF, "CR4.SMEP: not at CPL 0");
		guest_check_equal(trap_last.error, FAULT_PROTECTION | FAULT_FETCH, "a fetch fault");
		write_cr4(cr4);
	}
	if (cpuid(7, 0).ebx >> 20 & 1) {
		write_cr4(cr4 | CR4_SMAP);
		guest_check_equal(try_read(WINDOW), TRAP_PF, "CR4.SMAP: no user data at CPL 0");
		__asm__ volatile("stac");
		guest_check_equal(try_read(WINDOW), TRAP_NONE, "but with EFLAGS.AC");
		__asm__ volatile("clac");
		write_cr4(cr4);
	}
	guest_check_equal(trap_run(run_window, 0), TRAP_NONE, "and all is as before");
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	test_cr0();
	test_task_switched();
	test_cr4();
	test_cr3();
	test_cr8();
	fill_window();
	test_flushes(0);
	/* MCE is Socle's: changed along, it makes the write of CR4 an exit. */
	test_flushes(CR4_MCE);
	test_write_protect();
	test_execution();
	test_smep_and_smap();
	user_init();
	test_user_bits();
	return guest_failures();
}
