/* SPDX-License-Identifier: MIT */
/*
 * Events: injection and its timing. Interrupt shadows, windows, NMIs and their blocking, single
 * steps over instructions that exit, exits in the middle of an event's delivery, double faults.
 * `no-next-nmi` on the command line leaves out the NMIs that come after one's handler has returned.
 */
#include "guests/lib/guest.h"
#include "guests/lib/trap.h"
#include "guests/lib/words.h"

#define VECTOR_DB      1
#define VECTOR_NMI     2
#define VECTOR_SELF    0x50
#define FLAG_TF	       0x100
#define FLAG_RF	       0x10000
#define DR6_SINGLE     (1u << 14)
#define DR6_BREAK0     1u
#define LAPIC_SVR      0xFEE000F0
#define LAPIC_EOI      0xFEE000B0
#define LAPIC_ICR      0xFEE00300
#define LAPIC_ICR_HIGH 0xFEE00310
#define IOAPIC_INDEX   0xFEC00000
#define IOAPIC_WINDOW  0xFEC00010
#define IOAPIC_PIN2    0x14
#define ICR_SELF       (1u << 18)
#define ICR_NMI	       (4u << 8)
/* RAM that nobody has touched: the first access makes an EPT violation. */
#define FRESH_STACK  0x1800000
#define FRESH_STACK2 0x1A00000

static volatile unsigned interrupts, nmis, steps;
static volatile uintptr_t seen_ip, step_ip, seen_flags;
static volatile uint32_t seen_dr6;

static uint32_t mmio_read(uintptr_t address)
{
	return *(volatile uint32_t *)address;
}

static void mmio_write(uintptr_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

/* The self shorthand is for fixed interrupts only: our own id is 0. */
static void send_nmi(void)
{
	mmio_write(LAPIC_ICR_HIGH, 0);
	mmio_write(LAPIC_ICR, ICR_NMI);
}

static uintptr_t read_dr6(void)
{
	uintptr_t value;

	__asm__ volatile("mov %%dr6, %0" : "=r"(value));
	return value;
}

static void write_dr6(uintptr_t value)
{
	__asm__ volatile("mov %0, %%dr6" : : "r"(value));
}

static void on_interrupt(struct trap_frame *frame)
{
	interrupts++;
	seen_ip = frame->ip;
	mmio_write(LAPIC_EOI, 0);
}

static void on_nmi(struct trap_frame *frame)
{
	nmis++;
	seen_ip = frame->ip;
	/* A second one while the first is in service must wait for the IRET. */
	if (nmis == 1)
		send_nmi();
	__asm__ volatile("cpuid" : : "a"(0), "c"(0) : "ebx", "edx");
	if (nmis == 1)
		seen_flags = nmis;
}

static void on_debug(struct trap_frame *frame)
{
	steps++;
	seen_ip = step_ip = frame->ip;
	seen_flags = frame->flags;
	seen_dr6 = (uint32_t)read_dr6();
	write_dr6(0xffff0ff0);
	frame->flags &= ~(uintptr_t)FLAG_TF;
}

static void send_self(void)
{
	mmio_write(LAPIC_ICR, ICR_SELF | VECTOR_SELF);
}

static void test_shadow(void)
{
	uintptr_t after;

	interrupts = 0;
	send_self();
	guest_check_equal(interrupts, 0, "an interrupt waits while IF is 0");
	/* STI opens the window one instruction later: at label 1, not at the NOP. */
	__asm__ volatile("sti\n\tnop\n1:\tnop\n\tcli\n\tlea 1b(%%rip), %0" : "=r"(after));
	guest_check_equal(interrupts, 1, "STI lets it in");
	guest_check_equal(seen_ip, after, "after the instruction that follows STI");
	/* The same when the shadow is over an instruction that exits. */
	send_self();
	__asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\tsti\n\tcpuid\n1:\tnop\n\tcli\n\t"
			 "lea 1b(%%rip), %0"
			 : "=r"(after)
			 :
			 : "rax", "rbx", "rcx", "rdx");
	guest_check_equal(interrupts, 2, "STI before CPUID lets it in");
	guest_check_equal(seen_ip, after, "after the CPUID, whose exit ends the shadow");
	send_self();
	__asm__ volatile("sti\n\tmov %%ss, %%eax\n\tmov %%eax, %%ss\n\tnop\n1:\tnop\n\tcli\n\t"
			 "lea 1b(%%rip), %0"
			 : "=r"(after)
			 :
			 : "rax");
	guest_check_equal(interrupts, 3, "MOV SS holds an interrupt back as well");
}

static void test_halt(void)
{
	interrupts = 0;
	send_self();
	__asm__ volatile("sti\n\thlt\n\tcli");
	guest_check_equal(interrupts, 1, "HLT with an interrupt pending goes on");
}

static void test_nmi(void)
{
	nmis = 0;
	seen_flags = 0;
	send_nmi();
	__asm__ volatile("nop\n\tnop");
	guest_check_equal(seen_flags, 1, "an NMI in service blocks the next one");
	guest_check_equal(nmis, 2, "and IRET lets it in");
}

/* IF does not hold an NMI back, and HLT ends by it. */
static void test_next_nmi(void)
{
	nmis = 2;
	send_nmi();
	guest_check_equal(nmis, 3, "NMIs come with interrupts off");
}

/* The 8254 through the IOAPIC as an NMI: what a watchdog does. */
static void test_nmi_ends_halt(void)
{
	const uint32_t nmi = 4u << 8, masked = 1u << 16;

	nmis = 3;
	mmio_write(IOAPIC_INDEX, IOAPIC_PIN2 + 1);
	mmio_write(IOAPIC_WINDOW, 0);
	mmio_write(IOAPIC_INDEX, IOAPIC_PIN2);
	mmio_write(IOAPIC_WINDOW, nmi);
	/* Channel 0, mode 2, 10 ms. */
	outb(0x43, 0x34);
	outb(0x40, 0x9c);
	outb(0x40, 0x2e);
	__asm__ volatile("hlt");
	mmio_write(IOAPIC_WINDOW, masked);
	guest_check(nmis >= 4, "an NMI ends HLT with interrupts off");
}

static void test_single_step(void)
{
	uintptr_t after;

	steps = 0;
	__asm__ volatile("pushfq\n\torl $0x100, (%%rsp)\n\txor %%eax, %%eax\n\txor %%ecx, %%ecx\n\t"
			 "popfq\n\tcpuid\n1:\tnop\n\tlea 1b(%%rip), %0"
			 : "=r"(after)
			 :
			 : "rax", "rbx", "rcx", "rdx", "memory");
	guest_check_equal(steps, 1, "a single step over CPUID traps once");
	guest_check_equal(seen_ip, after, "after the CPUID");
	guest_check_equal(seen_dr6 & (DR6_SINGLE | 15), DR6_SINGLE, "with DR6.BS set");
	guest_check_equal(seen_flags & FLAG_RF, 0, "and RF clear, for it is a trap");
}

/* STI's shadow keeps interrupts away, and no single step: the entry with the trap must go well. */
static void test_step_over_sti(void)
{
	uintptr_t after;

	steps = 0;
	__asm__ volatile("pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tsti\n1:\tnop\n\tcli\n\t"
			 "lea 1b(%%rip), %0"
			 : "=r"(after)
			 :
			 : "memory");
	guest_check_equal(steps, 1, "a single step over STI traps once");
	guest_check_equal(seen_ip, after, "after the STI");
}

/* INT1 is an instruction that exits itself, not a fault: its handler returns to what follows. */
static void test_int1(void)
{
	uintptr_t after;

	steps = 0;
	__asm__ volatile(".byte 0xf1\n1:\tnop\n\tlea 1b(%%rip), %0" : "=r"(after) : : "memory");
	guest_check_equal(steps, 1, "INT1 traps once");
	guest_check_equal(seen_ip, after, "and its handler returns behind it");
	guest_check_equal(seen_dr6 & (DR6_SINGLE | 15), 0, "with no cause in DR6");
}

/* A trap goes before an interrupt: else the step would be lost with what the entry injects. */
static void test_step_before_interrupt(void)
{
	uintptr_t after;

	steps = interrupts = 0;
	__asm__ volatile("sti\n\tpushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tmovl %1, (%2)\n"
			 "1:\tnop\n\tnop\n\tcli\n\tlea 1b(%%rip), %0"
			 : "=&r"(after)
			 : "r"(ICR_SELF | VECTOR_SELF), "r"((uintptr_t)LAPIC_ICR)
			 : "memory");
	guest_check_equal(steps, 1, "a step over a write that makes an interrupt traps once");
	guest_check_equal(step_ip, after, "right after it");
	guest_check_equal(interrupts, 1, "and the interrupt comes too");
}

/* A debug exception ends HLT as an interrupt does. */
static void test_step_over_halt(void)
{
	uintptr_t after;

	steps = 0;
	__asm__ volatile("pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\thlt\n1:\tnop\n\t"
			 "lea 1b(%%rip), %0"
			 : "=r"(after)
			 :
			 : "memory");
	guest_check_equal(steps, 1, "a single step over HLT traps once");
	guest_check_equal(seen_ip, after, "after the HLT, which it ends");
}

static void test_breakpoint(void)
{
	extern char breakpoint_here[];

	steps = 0;
	__asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr7"
			 :
			 : "r"((uintptr_t)breakpoint_here), "r"(0x402UL));
	/* RF in the frame lets the instruction run when the handler returns. */
	__asm__ volatile(".globl breakpoint_here\nbreakpoint_here:\n\tnop");
	__asm__ volatile("mov %0, %%dr7" : : "r"(0x400UL));
	guest_check_equal(steps, 1, "an instruction breakpoint traps once");
	guest_check_equal(seen_ip, (uintptr_t)breakpoint_here, "at its instruction");
	guest_check_equal(seen_dr6 & 15, DR6_BREAK0, "with DR6.B0 set");
	guest_check(seen_flags & FLAG_RF, "and RF set, for it is a fault");
}

/* The stack of the handler is RAM not seen before: the exit comes in mid-delivery. */
static void test_delivery_to_fresh_memory(void)
{
	interrupts = 0;
	/* By ID: what the shorthand sends a CPU may deliver by itself, and Bochs then loses it. */
	mmio_write(LAPIC_ICR_HIGH, 0);
	mmio_write(LAPIC_ICR, VECTOR_SELF);
	__asm__ volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tsti\n\tnop\n\tnop\n\tcli\n\t"
			 "mov %%rbx, %%rsp"
			 :
			 : "r"(FRESH_STACK + 0x1000UL)
			 : "rbx", "memory");
	guest_check_equal(interrupts, 1, "an interrupt onto a fresh stack comes once");
	interrupts = 0;
	__asm__ volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tint $0x50\n\tmov %%rbx, %%rsp"
			 :
			 : "r"(FRESH_STACK2 + 0x1000UL)
			 : "rbx", "memory");
	guest_check_equal(interrupts, 1, "so does a software interrupt");
}

struct __attribute__((packed)) table_register {
	uint16_t limit;
	uintptr_t base;
};

/* #GP whose gate is beyond the IDT's limit makes #DF, which has a gate. */
static void short_idt(void *argument)
{
	struct table_register idtr;

	(void)argument;
	__asm__ volatile("sidt %0" : "=m"(idtr));
	idtr.limit = 9 * 16 - 1;
	__asm__ volatile("lidt %0" : : "m"(idtr));
	__asm__ volatile("rdmsr" : : "c"(0xdeadbeef) : "eax", "edx");
}

static void misaligned(void *argument)
{
	volatile uint8_t *bytes = argument;

	/* #AC needs CPL 3: at CPL 0 the flag does nothing. */
	__asm__ volatile("pushfq\n\torl $0x40000, (%%rsp)\n\tpopfq" : : : "memory");
	*(volatile uint32_t *)(bytes + 1) = 1;
	__asm__ volatile("pushfq\n\tandl $~0x40000, (%%rsp)\n\tpopfq" : : : "memory");
}

static void test_exceptions(void)
{
	uint64_t buffer = 0;

	guest_check_equal(trap_run(misaligned, &buffer), TRAP_NONE, "no #AC at CPL 0");
	guest_check_equal(trap_run(short_idt, 0), 8, "a #GP without a gate becomes #DF");
	guest_check_equal(trap_last.error, 0, "with error code 0");
	trap_init();
}

unsigned main(uintptr_t info)
{
	trap_init();
	trap_set_handler(VECTOR_SELF, on_interrupt);
	trap_set_handler(VECTOR_NMI, on_nmi);
	trap_set_handler(VECTOR_DB, on_debug);
	mmio_write(LAPIC_SVR, mmio_read(LAPIC_SVR) | 0x100);
	test_shadow();
	test_halt();
	test_nmi();
	if (!words_have(info, "no-next-nmi")) {
		test_next_nmi();
		test_nmi_ends_halt();
	}
	test_single_step();
	test_step_over_sti();
	test_int1();
	test_step_before_interrupt();
	test_step_over_halt();
	test_breakpoint();
	test_delivery_to_fresh_memory();
	test_exceptions();
	return guest_failures();
}
