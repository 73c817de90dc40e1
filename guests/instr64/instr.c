/* SPDX-License-Identifier: MIT */
/*
 * Instructions that exit, or that would if our controls were others: each does what it does on a
 * CPU, or raises what CPUID's silence about it promises.
 */
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/user.h"

#define VECTOR_SELF   0x50
#define ECX_XSAVE     (1u << 26)
#define ECX_AVX	      (1u << 28)
#define LAPIC_SVR     0xFEE000F0
#define LAPIC_EOI     0xFEE000B0
#define LAPIC_ICR     0xFEE00300
#define LAPIC_LVT     0xFEE00320
#define LAPIC_INITIAL 0xFEE00380
#define LAPIC_DIVIDE  0xFEE003E0
#define ICR_SELF      (1u << 18)
#define NOT_TRIED     999
#define NO_SUCH_CALL  (-1000L)
#define DR7_GD	      (1u << 13)
#define DR6_BD	      (1u << 13)
#define MSR_TSC_AUX   0xc0000103

static uint8_t memory[4096] __attribute__((aligned(4096)));

/* One instruction, in a function that trap_run calls; `argument` is in RDI. */
#define INSTRUCTION(name, code)                                          \
	static void name(void *argument)                                 \
	{                                                                \
		__asm__ volatile(code                                    \
				 :                                       \
				 : "D"(argument), "a"(0), "c"(0), "d"(0) \
				 : "memory", "cc", "rbx", "r8");         \
	}

INSTRUCTION(run_vmcall, "vmcall")
INSTRUCTION(run_vmxon, "vmxon (%%rdi)")
INSTRUCTION(run_vmxoff, "vmxoff")
INSTRUCTION(run_vmclear, "vmclear (%%rdi)")
INSTRUCTION(run_vmptrld, "vmptrld (%%rdi)")
INSTRUCTION(run_vmptrst, "vmptrst (%%rdi)")
INSTRUCTION(run_vmread, "vmread %%rax, %%r8")
INSTRUCTION(run_vmwrite, "vmwrite %%rax, %%r8")
INSTRUCTION(run_vmlaunch, "vmlaunch")
INSTRUCTION(run_vmresume, "vmresume")
INSTRUCTION(run_invept, "invept (%%rdi), %%rax")
INSTRUCTION(run_invvpid, "invvpid (%%rdi), %%rax")
INSTRUCTION(run_vmfunc, "vmfunc")
INSTRUCTION(run_getsec, "getsec")
INSTRUCTION(run_monitor, "mov %%rdi, %%rax\n\tmonitor")
INSTRUCTION(run_mwait, "mwait")
INSTRUCTION(run_xsaves, "xsaves (%%rdi)")
INSTRUCTION(run_xrstors, "xrstors (%%rdi)")
INSTRUCTION(run_rsm, "rsm")
INSTRUCTION(run_encls, ".byte 0x0f, 0x01, 0xcf")
INSTRUCTION(run_rdpmc, "rdpmc")
INSTRUCTION(run_invd, "invd")
INSTRUCTION(run_wbinvd, "wbinvd")
INSTRUCTION(run_pause, "pause")
INSTRUCTION(run_hlt, "hlt")
INSTRUCTION(run_cpuid, "cpuid")
INSTRUCTION(run_rdmsr, "mov $0x1b, %%ecx\n\trdmsr")
INSTRUCTION(run_rdtsc, "rdtsc")
INSTRUCTION(run_clts, "clts")
INSTRUCTION(run_cr0, "mov %%cr0, %%rax")
INSTRUCTION(run_dr7, "mov %%dr7, %%rax")
INSTRUCTION(run_in, "inb $0x80, %%al")
INSTRUCTION(run_xsetbv, "mov $1, %%eax\n\txsetbv")
INSTRUCTION(run_invlpg, "invlpg (%%rdi)")
INSTRUCTION(run_lgdt, "lgdt (%%rdi)")
INSTRUCTION(run_rdrand, "1:\trdrand %%rax\n\tjnc 1b\n\tmov %%rax, (%%rdi)")
INSTRUCTION(run_rdseed, "1:\trdseed %%rax\n\tjnc 1b\n\tmov %%rax, (%%rdi)")
INSTRUCTION(run_osxsave, "mov %%cr4, %%rax\n\tbts $18, %%rax\n\tmov %%rax, %%cr4")
INSTRUCTION(run_dr4, "mov %%db4, %%rax")

static const struct {
	const char *name;
	void (*run)(void *);
	unsigned vector;      /* at CPL 0 */
	unsigned user_vector; /* at CPL 3 */
} cases[] = {
	{"VMCALL", run_vmcall, TRAP_NONE, TRAP_UD},
	{"VMXON", run_vmxon, TRAP_UD, TRAP_UD},
	{"VMXOFF", run_vmxoff, TRAP_UD, TRAP_UD},
	{"VMCLEAR", run_vmclear, TRAP_UD, TRAP_UD},
	{"VMPTRLD", run_vmptrld, TRAP_UD, TRAP_UD},
	{"VMPTRST", run_vmptrst, TRAP_UD, TRAP_UD},
	{"VMREAD", run_vmread, TRAP_UD, TRAP_UD},
	{"VMWRITE", run_vmwrite, TRAP_UD, TRAP_UD},
	{"VMLAUNCH", run_vmlaunch, TRAP_UD, TRAP_UD},
	{"VMRESUME", run_vmresume, TRAP_UD, TRAP_UD},
	{"INVEPT", run_invept, TRAP_UD, TRAP_UD},
	{"INVVPID", run_invvpid, TRAP_UD, TRAP_UD},
	{"VMFUNC", run_vmfunc, TRAP_UD, TRAP_UD},
	{"GETSEC", run_getsec, TRAP_UD, TRAP_UD},
	{"MONITOR", run_monitor, TRAP_UD, TRAP_UD},
	{"MWAIT", run_mwait, TRAP_UD, TRAP_UD},
	/* At CPL 3 a CPU has #UD here as well, but Bochs looks at CPL first. */
	{"XSAVES", run_xsaves, TRAP_UD, NOT_TRIED},
	{"XRSTORS", run_xrstors, TRAP_UD, NOT_TRIED},
	{"RSM", run_rsm, TRAP_UD, TRAP_UD},
	{"ENCLS", run_encls, TRAP_UD, TRAP_UD},
	{"RDPMC", run_rdpmc, TRAP_GP, TRAP_GP},
	{"INVD", run_invd, TRAP_NONE, TRAP_GP},
	{"WBINVD", run_wbinvd, TRAP_NONE, TRAP_GP},
	{"PAUSE", run_pause, TRAP_NONE, TRAP_NONE},
	{"CPUID", run_cpuid, TRAP_NONE, TRAP_NONE},
	{"RDTSC", run_rdtsc, TRAP_NONE, TRAP_NONE},
	{"RDMSR", run_rdmsr, TRAP_NONE, TRAP_GP},
	{"CLTS", run_clts, TRAP_NONE, TRAP_GP},
	{"MOV from CR0", run_cr0, TRAP_NONE, TRAP_GP},
	{"MOV from DR7", run_dr7, TRAP_NONE, TRAP_GP},
	{"IN", run_in, TRAP_NONE, TRAP_GP},
	{"XSETBV", run_xsetbv, TRAP_NONE, TRAP_GP},
	{"INVLPG", run_invlpg, TRAP_NONE, TRAP_GP},
};

static void test_table(bool has_xsave)
{
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* test_xsetbv looks at it where it is missing. */
		if (cases[i].run == run_xsetbv && !has_xsave)
			continue;
		guest_print("# %s\n", cases[i].name);
		guest_check_equal(trap_run(cases[i].run, memory), cases[i].vector, "at CPL 0");
		if (cases[i].vector == TRAP_UD && trap_last.vector == TRAP_UD)
			guest_check(trap_last.ip >= (uintptr_t)cases[i].run &&
					    trap_last.ip < (uintptr_t)cases[i].run + 64,
				    "at the instruction");
		if (cases[i].user_vector != NOT_TRIED)
			guest_check_equal(user_run(cases[i].run, memory), cases[i].user_vector,
					  "at CPL 3");
	}
	guest_check_equal(user_run(run_hlt, 0), TRAP_GP, "HLT at CPL 3");
	guest_check_equal(user_run(run_lgdt, memory), TRAP_GP, "LGDT at CPL 3");
}

static void test_vmcall(void)
{
	long rax = 1, rbx = 0x1234567812345678, rcx = 0x123456789abc;

	__asm__ volatile("vmcall" : "+a"(rax), "+b"(rbx), "+c"(rcx));
	guest_check_equal((uint64_t)rax, (uint64_t)NO_SUCH_CALL, "VMCALL answers that it has none");
	guest_check(rbx == 0x1234567812345678 && rcx == 0x123456789abc, "and changes no more");
}

static void test_no_xsetbv(void)
{
	guest_check_equal(try_xsetbv(0, 1), TRAP_UD, "XSETBV on a CPU without XSAVE");
	guest_check_equal(trap_run(run_osxsave, 0), TRAP_GP, "CR4.OSXSAVE is reserved there");
}

static void test_xsetbv(void)
{
	bool has_avx = cpuid(1, 0).ecx & ECX_AVX;
	uint64_t allowed = cpuid(0xd, 0).eax | (uint64_t)cpuid(0xd, 0).edx << 32;

	guest_check_equal(try_xsetbv(0, 3), TRAP_NONE, "XSETBV: x87 and SSE");
	guest_check_equal(xgetbv(0), 3, "XGETBV has it");
	guest_check_equal(try_xsetbv(0, 7), has_avx ? TRAP_NONE : TRAP_GP, "AVX");
	guest_check_equal(try_xsetbv(0, 5), TRAP_GP, "AVX without SSE is refused");
	guest_check_equal(try_xsetbv(0, 2), TRAP_GP, "SSE without x87");
	guest_check_equal(try_xsetbv(0, 0), TRAP_GP, "nothing");
	guest_check_equal(try_xsetbv(0, 7 | 1 << 9), TRAP_GP, "protection keys");
	guest_check_equal(try_xsetbv(0, 7 | 3 << 3), TRAP_GP, "MPX");
	guest_check_equal(try_xsetbv(0, 7 | 1ULL << 62), TRAP_GP, "a high bit");
	guest_check_equal(try_xsetbv(0, 7 | 1 << 5), TRAP_GP, "AVX-512 in part");
	guest_check_equal(try_xsetbv(0, 0xe3), TRAP_GP, "AVX-512 without AVX");
	guest_check_equal(try_xsetbv(1, 7), TRAP_GP, "XCR1");
	guest_check_equal(xgetbv(0), has_avx ? 7 : 3, "none of these changed it");
	guest_check_equal(try_xsetbv(0, allowed), TRAP_NONE, "all that CPUID offers");
	write_cr4(read_cr4() & ~(uintptr_t)CR4_OSXSAVE);
	guest_check_equal(try_xsetbv(0, 7), TRAP_UD, "without CR4.OSXSAVE #UD");
	write_cr4(read_cr4() | CR4_OSXSAVE);
	xsetbv(0, 1);
}

static void test_tsc(void)
{
	uint64_t last = rdtsc(), now;
	bool grows = true;

	for (unsigned i = 0; i < 1000; i++) {
		if (i % 100 == 0)
			cpuid(0, 0);
		now = rdtsc();
		grows &= now > last;
		last = now;
	}
	guest_check(grows, "RDTSC only grows, over exits too");
	if (cpuid(0x80000001, 0).edx >> 27 & 1) {
		uint32_t low, high, aux;

		wrmsr(MSR_TSC_AUX, 0x1234);
		cpuid(0, 0);
		__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
		guest_check(((uint64_t)high << 32 | low) > last, "RDTSCP agrees with it");
		guest_check_equal(aux, 0x1234, "and reads TSC_AUX");
	}
}

static volatile unsigned interrupts;

static void on_interrupt(struct trap_frame *frame)
{
	(void)frame;
	interrupts++;
	*(volatile uint32_t *)LAPIC_EOI = 0;
}

static void test_hlt(void)
{
	/* Both frequencies, in kHz. */
	struct cpuid rates = cpuid(0x40000010, 0);
	uint64_t before = rdtsc(), least = 100000ULL * rates.eax / rates.ebx;

	trap_set_handler(VECTOR_SELF, on_interrupt);
	*(volatile uint32_t *)LAPIC_SVR |= 0x100;
	*(volatile uint32_t *)LAPIC_DIVIDE = 0xb;
	*(volatile uint32_t *)LAPIC_LVT = VECTOR_SELF;
	*(volatile uint32_t *)LAPIC_INITIAL = 100000;
	__asm__ volatile("sti\n\thlt\n\tcli");
	guest_check_equal(interrupts, 1, "HLT sleeps until the timer");
	guest_check(rdtsc() - before >= least, "and not less");
	*(volatile uint32_t *)LAPIC_ICR = ICR_SELF | VECTOR_SELF;
	__asm__ volatile("sti\n\thlt\n\tcli");
	guest_check_equal(interrupts, 2, "with one pending it goes on at once");
}

static volatile unsigned debugs;
static volatile uintptr_t debug_dr6;

static void on_debug(struct trap_frame *frame)
{
	(void)frame;
	debugs++;
	debug_dr6 = read_dr6();
	write_dr6(0xffff0ff0);
}

static void test_debug_registers(void)
{
	volatile uint32_t watched = 0;

	write_dr3(0x123456789abcUL);
	cpuid(0, 0);
	guest_check_equal(read_dr3(), 0x123456789abcUL, "DR3 keeps its value over an exit");
	guest_check_equal(read_dr7(), 0x400, "DR7 starts as at reset");
	trap_set_handler(TRAP_DB, on_debug);
	write_dr0((uintptr_t)&watched);
	write_dr7(0x400 | 2 | 0xd << 16); /* four bytes, writes */
	cpuid(0, 0);
	guest_check_equal(read_dr7(), 0xd0402, "DR7 too");
	watched = 1;
	guest_check_equal(debugs, 1, "a data breakpoint traps");
	guest_check_equal(debug_dr6 & 15, 1, "as number 0");
	write_dr7(0x400);
	watched = 2;
	guest_check_equal(debugs, 1, "and not when it is off");
	write_dr7(0x400 | DR7_GD);
	guest_check_equal(read_dr7(), 0x400, "general detect ends with its #DB");
	guest_check_equal(debugs, 2, "which it raised");
	guest_check(debug_dr6 & DR6_BD, "with DR6.BD");
	trap_set_handler(TRAP_DB, 0);
	write_cr4(read_cr4() | 8); /* CR4.DE */
	guest_check_equal(trap_run(run_dr4, 0), TRAP_UD, "DR4 is no alias with CR4.DE");
	write_cr4(read_cr4() & ~8UL);
}

static void test_random(void)
{
	uint64_t first[2] = {0}, second[2] = {0};

	if (cpuid(1, 0).ecx >> 30 & 1) {
		guest_check(trap_run(run_rdrand, first) == TRAP_NONE &&
				    trap_run(run_rdrand, second) == TRAP_NONE &&
				    first[0] != second[0],
			    "RDRAND gives two numbers");
	}
	if (cpuid(7, 0).ebx >> 18 & 1) {
		guest_check(trap_run(run_rdseed, first) == TRAP_NONE &&
				    trap_run(run_rdseed, second) == TRAP_NONE &&
				    first[0] != second[0],
			    "RDSEED gives two numbers");
	}
}

struct __attribute__((packed)) table_register {
	uint16_t limit;
	uint64_t base;
};

static void test_tables(void)
{
	struct table_register before, there, other = {0x7f, 0xffff800012345678};
	uint32_t selector = 0;

	__asm__ volatile("sidt %0\n\tlidt %2\n\tsidt %1\n\tlidt %0"
			 : "=m"(before), "=m"(there)
			 : "m"(other));
	guest_check(there.limit == 0x7f && there.base == other.base, "LIDT and SIDT");
	__asm__ volatile("sgdt %0\n\tlgdt %2\n\tsgdt %1\n\tlgdt %0"
			 : "=m"(before), "=m"(there)
			 : "m"(other));
	guest_check(there.limit == 0x7f && there.base == other.base, "LGDT and SGDT");
	__asm__ volatile("str %w0" : "+r"(selector));
	guest_check_equal(selector, USER_TSS, "STR");
	selector = 0;
	__asm__ volatile("lldt %w0\n\tsldt %w0" : "+r"(selector));
	guest_check_equal(selector, 0, "LLDT and SLDT");
}

/* What WBINVD and INVD must leave alone. */
static void test_caches(void)
{
	for (unsigned i = 0; i < sizeof(memory); i++)
		memory[i] = (uint8_t)(i * 7);
	__asm__ volatile("invd\n\twbinvd" : : : "memory");
	for (unsigned i = 0; i < sizeof(memory); i++)
		if (memory[i] != (uint8_t)(i * 7)) {
			guest_check(false, "INVD lost memory");
			return;
		}
	guest_check(true, "INVD loses no memory");
}

/* RDMSR and WRMSR change RAX and RDX and no more, and a #GP changes nothing. */
static void test_msr_registers(void)
{
	uint64_t rax = 0x1111111111111111, rcx = 0x222222220000001b, rdx = 0x3333333333333333;

	__asm__ volatile("rdmsr" : "+a"(rax), "+c"(rcx), "+d"(rdx));
	guest_check(!(rax >> 32) && !rdx && rcx == 0x222222220000001b,
		    "RDMSR clears upper halves and ignores RCX's");
	rax = 0x4444444400000000 | rax;
	rdx = 0x5555555500000000;
	guest_check_equal(trap_run(run_rdmsr, 0), TRAP_NONE, "it does so again");
	__asm__ volatile("wrmsr" : : "a"(rax), "c"(rcx), "d"(rdx));
	guest_check_equal(rdmsr(0x1b), 0xfee00900, "WRMSR ignores the upper halves");
}

unsigned main(uintptr_t info)
{
	bool has_xsave = cpuid(1, 0).ecx & ECX_XSAVE;

	(void)info;
	trap_init();
	user_init();
	if (has_xsave)
		write_cr4(read_cr4() | CR4_OSXSAVE);
	test_table(has_xsave);
	test_vmcall();
	if (has_xsave)
		test_xsetbv();
	else
		test_no_xsetbv();
	test_tsc();
	test_hlt();
	test_debug_registers();
	test_random();
	test_tables();
	test_caches();
	test_msr_registers();
	return guest_failures();
}
