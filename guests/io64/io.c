/* SPDX-License-Identifier: MIT */
/*
 * I/O instructions in 64-bit code: all widths, strings with every prefix, faults in the middle of a
 * REP, and what CPL 3 may not do. Intel SDM volume 1, "Input/Output".
 */
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/user.h"

#define PORT_NOBODY  0x2e0
#define PORT_SCRATCH 0x3ff /* COM1's */
#define PORT_POST    0x80
#define UART_FCR     (COM1_PORT + 2)
#define UART_MCR     (COM1_PORT + 4)
#define UART_LSR     (COM1_PORT + 5)
#define MCR_LOOP     0x10
#define LSR_EMPTY    0x40
#define PAGE_RW	     3UL
#define PAGE_USER    4UL
#define WINDOW	     0x40000000UL
#define MSR_FS_BASE  0xc0000100
#define FILL	     0x55

static uint8_t buffer[16384] __attribute__((aligned(4096)));
static uint64_t table[512] __attribute__((aligned(4096)));

/* What a string instruction leaves in its registers. */
struct string {
	uint64_t count, address;
};

/* One string instruction with the registers that it is given. */
#define STRING(name, code)                                                                     \
	static struct string name(uint16_t port, const volatile void *address, uint64_t count) \
	{                                                                                      \
		struct string s = {count, (uintptr_t)address};                                 \
		uint64_t source = s.address;                                                   \
                                                                                               \
		__asm__ volatile(code                                                          \
				 : "+c"(s.count), "+D"(s.address), "+S"(source)                \
				 : "d"(port)                                                   \
				 : "memory", "cc");                                            \
		if (source != (uintptr_t)address)                                              \
			s.address = source;                                                    \
		return s;                                                                      \
	}

STRING(ins_b, "insb")
STRING(rep_ins_b, "rep insb")
STRING(rep_ins_w, "rep insw")
STRING(rep_ins_l, "rep insl")
STRING(repne_ins_b, ".byte 0xf2, 0x6c")
STRING(rep_ins_b_down, "std\n\trep insb\n\tcld")
STRING(rep_ins_l_down, "std\n\trep insl\n\tcld")
STRING(rep_ins_b_32, ".byte 0x67\n\trep insb")
STRING(outs_b, "outsb")
STRING(outs_b_fs, ".byte 0x64\n\toutsb")
STRING(outs_b_32, ".byte 0x67\n\toutsb")
STRING(rep_outs_b, "rep outsb")
STRING(rep_outs_l, "rep outsl")

static void clear(void)
{
	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = FILL;
}

/* Whether exactly [from, to) of the buffer is `value`, and the rest as clear() left it. */
static bool only(unsigned from, unsigned to, uint8_t value)
{
	for (unsigned i = 0; i < sizeof(buffer); i++)
		if (buffer[i] != (i >= from && i < to ? value : FILL))
			return false;
	return true;
}

static void test_widths(void)
{
	uint64_t rax;

	guest_check_equal(inb(PORT_NOBODY), 0xff, "IN of nothing: a byte of ones");
	guest_check_equal(inw(PORT_NOBODY), 0xffff, "a word");
	guest_check_equal(inl(PORT_NOBODY), 0xffffffff, "a double word");
	outb(PORT_NOBODY, 0x12);
	outw(PORT_NOBODY, 0x1234);
	outl(PORT_NOBODY, 0x12345678);
	guest_check_equal(inl(0xffff), 0xffffffff, "the last port");
	outb(PORT_SCRATCH, 0xa7);
	guest_check_equal(inb(PORT_SCRATCH), 0xa7, "OUT and IN of a register");
	rax = 0x1122334455667788;
	__asm__ volatile("inb %w1, %b0" : "+a"(rax) : "d"(PORT_SCRATCH));
	guest_check_equal(rax, 0x11223344556677a7, "IN AL leaves the rest of RAX");
	rax = 0x1122334455667788;
	__asm__ volatile("inw %w1, %w0" : "+a"(rax) : "d"(PORT_NOBODY));
	guest_check_equal(rax, 0x112233445566ffff, "IN AX too");
	rax = 0x1122334455667788;
	__asm__ volatile("inl %w1, %k0" : "+a"(rax) : "d"(PORT_NOBODY));
	guest_check_equal(rax, 0xffffffff, "IN EAX clears the upper half");
	rax = 0x1122334455667788;
	__asm__ volatile("inb $0xef, %b0" : "+a"(rax));
	guest_check_equal(rax, 0x11223344556677ff, "an immediate port");
	outb(PORT_POST, 0x5c);
	__asm__ volatile("outb %b0, $0x80" : : "a"(0x5d));
	guest_check_equal(inb(PORT_POST), 0x5d, "OUT to one");
}

static void test_ins(void)
{
	struct string s;

	outb(PORT_SCRATCH, 0x3c);
	clear();
	s = ins_b(PORT_SCRATCH, buffer + 10, 7);
	guest_check(only(10, 11, 0x3c), "INSB stores one byte");
	guest_check(s.count == 7 && s.address == (uintptr_t)buffer + 11, "and moves RDI only");
	clear();
	s = rep_ins_b(PORT_SCRATCH, buffer + 100, 1000);
	guest_check(only(100, 1100, 0x3c), "REP INSB of 1000");
	guest_check(s.count == 0 && s.address == (uintptr_t)buffer + 1100, "RCX and RDI after it");
	clear();
	s = rep_ins_b(PORT_SCRATCH, buffer, 0);
	guest_check(only(0, 0, 0) && s.address == (uintptr_t)buffer, "a count of 0 does nothing");
	rep_ins_b(PORT_SCRATCH, buffer, 128);
	guest_check(only(0, 128, 0x3c), "a count of 128");
	clear();
	rep_ins_b(PORT_SCRATCH, buffer, 129);
	guest_check(only(0, 129, 0x3c), "a count of 129");
	clear();
	rep_ins_w(PORT_NOBODY, buffer + 1, 300);
	guest_check(only(1, 601, 0xff), "REP INSW");
	clear();
	s = rep_ins_l(PORT_NOBODY, buffer + 4094, 2000);
	guest_check(only(4094, 12094, 0xff), "REP INSL over pages, across their ends");
	guest_check_equal(s.address, (uintptr_t)buffer + 12094, "RDI after it");
	clear();
	repne_ins_b(PORT_SCRATCH, buffer + 5, 10);
	guest_check(only(5, 15, 0x3c), "REPNE is REP");
	clear();
	s = rep_ins_b_down(PORT_SCRATCH, buffer + 500, 200);
	guest_check(only(301, 501, 0x3c), "DF: downwards");
	guest_check_equal(s.address, (uintptr_t)buffer + 300, "RDI after it");
	clear();
	rep_ins_l_down(PORT_NOBODY, buffer + 500, 50);
	guest_check(only(304, 504, 0xff), "DF with double words");
}

static void test_address_size(void)
{
	struct string s;

	outb(PORT_SCRATCH, 0x3c);
	clear();
	/* Upper halves are ignored, and cleared by the writes. */
	s = rep_ins_b_32(PORT_SCRATCH, (void *)(0xdead00000000UL + (uintptr_t)buffer),
			 0xbeef0000000aUL);
	guest_check(only(0, 10, 0x3c), "32-bit addresses");
	guest_check_equal(s.count, 0, "count by ECX");
	guest_check_equal(s.address, (uintptr_t)buffer + 10, "and move EDI");
	buffer[0] = 0x99;
	outs_b_32(PORT_SCRATCH, (void *)(0xdead00000000UL + (uintptr_t)buffer), 1);
	guest_check_equal(inb(PORT_SCRATCH), 0x99, "OUTS as well");
}

static void test_outs(void)
{
	struct string s;
	uint64_t fs = rdmsr(MSR_FS_BASE);

	for (unsigned i = 0; i < 1024; i++)
		buffer[i] = (uint8_t)(i * 3);
	s = outs_b(PORT_SCRATCH, buffer + 5, 3);
	guest_check_equal(inb(PORT_SCRATCH), 15, "OUTSB");
	guest_check(s.count == 3 && s.address == (uintptr_t)buffer + 6, "moves RSI only");
	s = rep_outs_b(PORT_SCRATCH, buffer, 300);
	guest_check_equal(inb(PORT_SCRATCH), (uint8_t)(299 * 3), "REP OUTSB ends with the last");
	guest_check(s.count == 0 && s.address == (uintptr_t)buffer + 300, "RCX and RSI after it");
	s = rep_outs_l(PORT_NOBODY, buffer, 500);
	guest_check_equal(s.address, (uintptr_t)buffer + 2000, "REP OUTSL");
	wrmsr(MSR_FS_BASE, (uintptr_t)buffer);
	outs_b_fs(PORT_SCRATCH, (void *)9, 1);
	guest_check_equal(inb(PORT_SCRATCH), 27, "FS: has its base");
	wrmsr(MSR_FS_BASE, fs);
}

/* Through the UART's own loop: each byte of an OUTS comes back to an INS in its order. */
static void test_order(void)
{
	bool same = true;
	unsigned spins = 0;

	while (!(inb(UART_LSR) & LSR_EMPTY))
		;
	outb(UART_FCR, 7);
	outb(UART_MCR, MCR_LOOP);
	for (unsigned i = 0; i < 16; i++) {
		buffer[i] = (uint8_t)(0xc0 + 5 * i);
		buffer[100 + i] = FILL;
	}
	rep_outs_b(COM1_PORT, buffer, 16);
	while (!(inb(UART_LSR) & LSR_EMPTY) && spins++ < 1000000)
		;
	rep_ins_b(COM1_PORT, buffer + 100, 16);
	outb(UART_MCR, 0);
	for (unsigned i = 0; i < 16; i++)
		same &= buffer[100 + i] == buffer[i];
	guest_check(same, "sixteen bytes through the UART and back, in order");
}

static volatile uint64_t fault_cr2, fault_count, fault_address, fault_error;
static volatile unsigned faults;

static void on_page_fault(struct trap_frame *frame)
{
	faults++;
	fault_cr2 = read_cr2();
	fault_count = frame->cx;
	fault_address = frame->di;
	fault_error = frame->error;
	table[1] = (uintptr_t)buffer + 4096 + PAGE_RW;
	invlpg((void *)(WINDOW + 4096));
}

static void map_window(void)
{
	uint64_t *pml4 = (uint64_t *)(read_cr3() & ~0xfffUL);
	uint64_t *pdpt = (uint64_t *)(pml4[0] & ~0xfffUL);
	uint64_t *pd = (uint64_t *)(pdpt[1] & ~0xfffUL);

	pd[0] = (uintptr_t)table | PAGE_RW | PAGE_USER;
	table[0] = (uintptr_t)buffer | PAGE_RW;
	table[1] = 0;
	write_cr3(read_cr3());
}

static void test_page_fault(void)
{
	struct string s;

	map_window();
	trap_set_handler(TRAP_PF, on_page_fault);
	clear();
	outb(PORT_SCRATCH, 0x77);
	s = rep_ins_b(PORT_SCRATCH, (void *)(WINDOW + 3900), 400);
	guest_check_equal(faults, 1, "REP INSB meets a page that is not there");
	guest_check_equal(fault_cr2, WINDOW + 4096, "CR2 is its address");
	guest_check_equal(fault_count, 204, "RCX what is left");
	guest_check_equal(fault_address, WINDOW + 4096, "RDI the next byte");
	guest_check_equal(fault_error, 2, "a write to what is not present");
	guest_check(only(3900, 4300, 0x77), "and it goes on when it is there");
	guest_check(s.count == 0 && s.address == WINDOW + 4300, "to its end");
	table[1] = 0;
	invlpg((void *)(WINDOW + 4096));
	clear();
	s = rep_ins_l(PORT_NOBODY, (void *)(WINDOW + 4090), 3);
	guest_check_equal(fault_cr2, WINDOW + 4096, "an element across pages: CR2 is the second's");
	guest_check_equal(fault_address, WINDOW + 4094, "RDI the element's");
	guest_check_equal(fault_count, 2, "RCX without it");
	guest_check(only(4090, 4102, 0xff), "and complete in the end");
	trap_set_handler(TRAP_PF, 0);
}

static void run_ins_read_only(void *argument)
{
	(void)argument;
	rep_ins_b(PORT_SCRATCH, (void *)WINDOW, 5);
}

static void run_outs_absent(void *argument)
{
	(void)argument;
	rep_outs_b(PORT_SCRATCH, (void *)(WINDOW + 8192), 5);
}

static void run_ins_not_canonical(void *argument)
{
	(void)argument;
	rep_ins_b(PORT_SCRATCH, (void *)0x800000000000UL, 5);
}

static void test_faults(void)
{
	table[0] = (uintptr_t)buffer | 1;
	invlpg((void *)WINDOW);
	write_cr0(read_cr0() | CR0_WP);
	clear();
	guest_check_equal(trap_run(run_ins_read_only, 0), TRAP_PF, "INS to a read-only page");
	guest_check_equal(trap_last.error, 3, "is a protection fault");
	guest_check(only(0, 0, 0), "that stores nothing");
	write_cr0(read_cr0() & ~(uintptr_t)CR0_WP);
	guest_check_equal(trap_run(run_outs_absent, 0), TRAP_PF, "OUTS from nothing");
	guest_check(trap_last.error == 0 && trap_last.cr2 == WINDOW + 8192, "is a read fault");
	guest_check_equal(trap_run(run_ins_not_canonical, 0), TRAP_GP, "no canonical address");
}

static void run_user_in(void *argument)
{
	__asm__ volatile("inb %w0, %%al" : : "d"((uint16_t)(uintptr_t)argument) : "eax");
}

static void run_user_in_l(void *argument)
{
	__asm__ volatile("inl %w0, %%eax" : : "d"((uint16_t)(uintptr_t)argument) : "eax");
}

static void run_user_ins(void *argument)
{
	rep_ins_b((uint16_t)(uintptr_t)argument, buffer, 200);
}

static void run_user_ins_kernel(void *argument)
{
	rep_ins_b((uint16_t)(uintptr_t)argument, (void *)WINDOW, 200);
}

static void test_user(void)
{
	user_init();
	guest_check_equal(user_run(run_user_in, (void *)PORT_SCRATCH), TRAP_GP, "IN at CPL 3");
	guest_check_equal(user_run(run_user_ins, (void *)PORT_SCRATCH), TRAP_GP, "INS too");
	user_allow_port(PORT_SCRATCH, true);
	guest_check_equal(user_run(run_user_in, (void *)PORT_SCRATCH), TRAP_NONE,
			  "the I/O bitmap allows it");
	guest_check_equal(user_run(run_user_in_l, (void *)(PORT_SCRATCH - 1UL)), TRAP_GP,
			  "but not its neighbours");
	clear();
	guest_check_equal(user_run(run_user_ins, (void *)PORT_SCRATCH), TRAP_NONE, "INS");
	guest_check(only(0, 200, inb(PORT_SCRATCH)), "does its work");
	/* A page of the kernel's: the emulator looks at the CPL as well. */
	table[0] = (uintptr_t)buffer | PAGE_RW;
	invlpg((void *)WINDOW);
	guest_check_equal(user_run(run_user_ins_kernel, (void *)PORT_SCRATCH), TRAP_PF,
			  "INS to a page of the kernel's");
	guest_check_equal(trap_last.error, 7, "is the user's fault");
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	test_widths();
	test_ins();
	test_address_size();
	test_outs();
	test_order();
	test_page_fault();
	test_faults();
	test_user();
	return guest_failures();
}
