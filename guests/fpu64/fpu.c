/* SPDX-License-Identifier: MIT */
/*
 * The FPU's and the vectors' registers live through exits; and a VM that starts finds them, the
 * debug registers and SYSCALL's MSRs clean, whatever a VM before it left there. This guest looks
 * first and dirties everything last: run it twice in one boot.
 */
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"

#define VECTOR_TIMER	0x50
#define LAPIC_SVR	0xFEE000F0
#define LAPIC_EOI	0xFEE000B0
#define LAPIC_LVT	0xFEE00320
#define LAPIC_INITIAL	0xFEE00380
#define LAPIC_DIVIDE	0xFEE003E0
#define PORT_NOBODY	0x2e0
#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_CSTAR	0xc0000083
#define MSR_FMASK	0xc0000084
#define MSR_KERNEL_GS	0xc0000102
#define MSR_TSC_AUX	0xc0000103
#define MSR_SYSENTER_CS 0x174
#define MSR_PAT		0x277
#define ECX_XSAVE	(1u << 26)
#define MSR_DEBUGCTL	0x1d9
#define PAT_AT_RESET	0x0007040600070406ULL
#define FCW_AT_RESET	0x37f
#define MXCSR_AT_RESET	0x1f80

/* All of XMM or YMM, and the x87 stack, as one can compare them. */
struct registers {
	uint8_t ymm[16][32];
	uint8_t x87[8][16]; /* 10 bytes each */
	uint32_t mxcsr;
	uint16_t fcw;
};

static uint8_t image[4096] __attribute__((aligned(64)));
static bool has_xsave, has_avx, has_rdtscp;

static void save(struct registers *r)
{
	for (unsigned i = 0; i < sizeof(image); i++)
		image[i] = 0;
	if (has_xsave)
		__asm__ volatile("xsave64 %0" : "+m"(image) : "a"(-1), "d"(-1) : "memory");
	else
		__asm__ volatile("fxsave64 %0" : "+m"(image) : : "memory");
	for (unsigned i = 0; i < 16; i++)
		for (unsigned j = 0; j < 16; j++) {
			r->ymm[i][j] = image[160 + 16 * i + j];
			r->ymm[i][16 + j] = has_avx ? image[576 + 16 * i + j] : 0;
		}
	for (unsigned i = 0; i < 8; i++)
		for (unsigned j = 0; j < 16; j++)
			r->x87[i][j] = j < 10 ? image[32 + 16 * i + j] : 0;
	r->mxcsr = *(uint32_t *)(image + 24);
	r->fcw = *(uint16_t *)image;
}

static bool same(const struct registers *a, const struct registers *b)
{
	const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;

	for (unsigned i = 0; i < sizeof(*a); i++)
		if (x[i] != y[i])
			return false;
	return true;
}

/* Every byte its own. */
static void fill(void)
{
	for (unsigned i = 0; i < sizeof(image); i++)
		image[i] = i < 512 || i >= 576 ? (uint8_t)(i * 11 + 3) : 0;
	*(uint16_t *)image = 0x27f;
	*(uint16_t *)(image + 2) = 0; /* status: TOP = 0 */
	image[4] = 0xff;	      /* all eight in use */
	*(uint32_t *)(image + 24) = 0x1fa0;
	if (!has_xsave) {
		__asm__ volatile("fxrstor64 %0" : : "m"(image) : "memory");
		return;
	}
	*(uint64_t *)(image + 512) = xgetbv(0) & 7;
	__asm__ volatile("xrstor64 %0" : : "m"(image), "a"(7), "d"(0) : "memory");
}

static void check_clean(void)
{
	struct registers r;
	uint8_t dirty = 0;

	save(&r);
	for (unsigned i = 0; i < 16; i++)
		for (unsigned j = 0; j < 32; j++)
			dirty |= r.ymm[i][j];
	guest_check_equal(dirty, 0, "vector registers start as zero");
	dirty = 0;
	for (unsigned i = 0; i < 8; i++)
		for (unsigned j = 0; j < 10; j++)
			dirty |= r.x87[i][j];
	guest_check_equal(dirty, 0, "x87 registers too");
	guest_check_equal(r.fcw, FCW_AT_RESET, "the x87 control word is its default");
	guest_check_equal(r.mxcsr, MXCSR_AT_RESET, "MXCSR too");
	guest_check_equal(read_dr0() | read_dr3(), 0, "debug registers start as zero");
	guest_check_equal(read_dr6(), 0xffff0ff0, "DR6 as at reset");
	guest_check_equal(read_dr7(), 0x400, "DR7 too");
	guest_check_equal(read_cr2(), 0, "CR2 is zero");
	guest_check_equal(rdmsr(MSR_STAR) | rdmsr(MSR_LSTAR) | rdmsr(MSR_CSTAR) | rdmsr(MSR_FMASK),
			  0, "SYSCALL's MSRs are zero");
	guest_check_equal(rdmsr(MSR_KERNEL_GS), 0, "KERNEL_GS_BASE");
	guest_check_equal(rdmsr(MSR_SYSENTER_CS), 0, "SYSENTER_CS");
	guest_check_equal(rdmsr(MSR_DEBUGCTL), 0, "DEBUGCTL");
	guest_check_equal(rdmsr(MSR_PAT), PAT_AT_RESET, "the PAT is as at reset");
	if (has_rdtscp)
		guest_check_equal(rdmsr(MSR_TSC_AUX), 0, "TSC_AUX");
}

/* XMM16 and up, ZMM's upper halves and the mask registers, where AVX-512 is. */
static void test_avx512(uint64_t xcr0)
{
	uint64_t mask, upper[8] __attribute__((aligned(64)));

	if ((xcr0 & 0xe0) != 0xe0)
		return;
	__asm__ volatile("kmovq %%k5, %0\n\tvmovdqu64 %%zmm31, %1" : "=r"(mask), "=m"(upper));
	guest_check_equal(mask | upper[0] | upper[7], 0, "AVX-512's registers start as zero");
	mask = 0x1122334455667788;
	__asm__ volatile("kmovq %0, %%k5\n\tvpbroadcastq %0, %%zmm31" : : "r"(mask));
	cpuid(0, 0);
	__asm__ volatile("kmovq %%k5, %0\n\tvmovdqu64 %%zmm31, %1" : "=r"(mask), "=m"(upper));
	guest_check(mask == 0x1122334455667788 && upper[7] == mask && upper[0] == mask,
		    "and live through an exit");
}

static volatile unsigned interrupts;

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	interrupts++;
	*(volatile uint32_t *)LAPIC_EOI = 0;
}

static void test_exits(void)
{
	struct registers before, after;

	fill();
	save(&before);
	guest_check(before.ymm[15][0] != 0 && before.x87[7][0] != 0, "registers are filled");
	cpuid(0, 0);
	save(&after);
	guest_check(same(&before, &after), "CPUID leaves them alone");
	inb(PORT_NOBODY);
	outb(PORT_NOBODY, 1);
	(void)*(volatile uint32_t *)LAPIC_SVR;
	save(&after);
	guest_check(same(&before, &after), "I/O and device memory too");
	wrmsr(MSR_DEBUGCTL, 0);
	write_cr0(read_cr0() | CR0_CD);
	write_cr0(read_cr0() & ~(uintptr_t)CR0_CD);
	save(&after);
	guest_check(same(&before, &after), "WRMSR and MOV to CR0");
	trap_set_handler(VECTOR_TIMER, on_timer);
	*(volatile uint32_t *)LAPIC_SVR |= 0x100;
	*(volatile uint32_t *)LAPIC_DIVIDE = 0xb;
	*(volatile uint32_t *)LAPIC_LVT = VECTOR_TIMER;
	*(volatile uint32_t *)LAPIC_INITIAL = 10000;
	__asm__ volatile("sti\n\thlt\n\tcli");
	save(&after);
	guest_check_equal(interrupts, 1, "a timer ends HLT");
	guest_check(same(&before, &after), "HLT and an interrupt");
	*(volatile uint32_t *)LAPIC_INITIAL = 10000;
	__asm__ volatile("sti");
	while (interrupts < 2)
		;
	__asm__ volatile("cli");
	save(&after);
	guest_check(same(&before, &after), "an interrupt of running code");
}

static void dirty(void)
{
	fill();
	write_dr0(0x1234);
	write_dr3(0x5678);
	write_dr7(0x401 | 1 << 16);
	__asm__ volatile("mov %0, %%cr2" : : "r"(0x9abcUL));
	wrmsr(MSR_STAR, 0x1000000000);
	wrmsr(MSR_LSTAR, 0x2000);
	wrmsr(MSR_CSTAR, 0x3000);
	wrmsr(MSR_FMASK, 0x200);
	wrmsr(MSR_KERNEL_GS, 0x4000);
	wrmsr(MSR_SYSENTER_CS, 8);
	wrmsr(MSR_PAT, 0);
	if (has_rdtscp)
		wrmsr(MSR_TSC_AUX, 77);
}

unsigned main(uintptr_t info)
{
	uint64_t xcr0 = 0;

	(void)info;
	trap_init();
	has_xsave = cpuid(1, 0).ecx & ECX_XSAVE;
	has_rdtscp = cpuid(0x80000001, 0).edx >> 27 & 1;
	if (has_xsave) {
		xcr0 = cpuid(0xd, 0).eax;
		write_cr4(read_cr4() | CR4_OSXSAVE);
		guest_check_equal(xgetbv(0), 1, "XCR0 starts as 1");
		xsetbv(0, xcr0);
	}
	has_avx = xcr0 & 4;
	check_clean();
	test_avx512(xcr0);
	test_exits();
	dirty();
	return guest_failures();
}
