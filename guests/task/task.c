/* SPDX-License-Identifier: MIT */
/*
 * Task switches in 32-bit code: every way to one, what is saved and loaded, and every fault.
 * Intel SDM volume 3, "Task Management".
 */
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"

#define CODE32	     0x18
#define DATA	     0x10
#define CODE16	     0x20
#define DATA16	     0x28
#define TSS_MAIN     0x30
#define TSS_A	     0x38
#define TSS_B	     0x40
#define TSS_16	     0x48
#define GATE_A	     0x50
#define LDT	     0x58
#define ABSENT	     0x60 /* data, not present */
#define ABSENT_TSS   0x68
#define SHORT_TSS    0x70
#define ABSENT_CS    0x78
#define USER_CODE    0x80
#define BEYOND	     0x100
#define LDT_DATA     0x04

#define TYPE_TSS16   0x81
#define TYPE_LDT     0x82
#define TYPE_TSS32   0x89
#define TYPE_TASK    0x85
#define BUSY	     2u
#define DR6_BT	     (1u << 15)
#define VECTOR_SELF  0x50
#define VECTOR_INT   0x60
#define LAPIC_SVR    0xFEE000F0
#define LAPIC_EOI    0xFEE000B0
#define LAPIC_ICR    0xFEE00300
#define ICR_SELF     (1u << 18)
#define LARGE_PAGE   0x83u
#define V86_BASE     0x9000
#define REMAPPED     (8u << 20)
#define OTHER_MEMORY (12u << 20)

struct tss {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	uint32_t gpr[8]; /* EAX ECX EDX EBX ESP EBP ESI EDI */
	uint32_t es, cs, ss, ds, fs, gs, ldtr;
	uint16_t trap, io_map;
};
_Static_assert(sizeof(struct tss) == 104, "TSS");

struct tss16 {
	uint16_t link, stacks[6], ip, flags, gpr[8], es, cs, ss, ds, ldtr;
};
_Static_assert(sizeof(struct tss16) == 44, "16-bit TSS");

/* As tasks.asm fills it. */
struct seen {
	uint32_t gpr[8], eflags, cr0, cr3, tr, ldtr, fs, error, runs;
};
extern volatile struct seen seen;
extern volatile uint32_t leave_by_jump;
void task_hook(void);
void task_body(void);
void handler_body(void);
extern const uint8_t body16[], body86[], body86_end[];

volatile struct seen seen;
volatile uint32_t leave_by_jump;

static uint64_t gdt[17] __attribute__((aligned(8)));
static uint64_t ldt[2] __attribute__((aligned(8)));
static struct tss main_tss, a, b;
static struct tss16 t16;
static uint8_t stack_a[4096], stack_b[4096], stack16[4096];
static uint32_t tables[2][1024] __attribute__((aligned(4096)));
static uint64_t *idt;
/* What the hook found while the task ran. */
static struct {
	bool main_busy, a_busy;
	uint32_t link_a, link_b, remapped;
} found;
static volatile uint32_t skip_to; /* where the handler's hook sends the main task; 0: nowhere */

static uint64_t segment(uint32_t base, uint32_t limit, uint8_t type, uint8_t flags)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)type << 40 |
	       (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)flags << 52 |
	       (uint64_t)(base >> 24) << 56;
}

static bool is_busy(unsigned selector)
{
	return gdt[selector / 8] >> 40 & BUSY;
}

static void make_available(unsigned selector)
{
	gdt[selector / 8] &= ~((uint64_t)BUSY << 40);
}

void task_hook(void)
{
	found.main_busy = is_busy(TSS_MAIN);
	found.a_busy = is_busy(TSS_A);
	found.link_a = a.link;
	found.link_b = b.link;
	found.remapped = *(volatile uint32_t *)REMAPPED;
	if (skip_to)
		main_tss.eip = skip_to;
}

/* A task that has not run: its registers are 1111H, 2222H and so on. */
static void prepare(struct tss *tss, void (*body)(void), uint8_t *stack)
{
	*tss = (struct tss){.eip = (uint32_t)body,
			    .eflags = 2,
			    .cr3 = (uint32_t)tables[0],
			    .es = DATA,
			    .cs = CODE32,
			    .ss = DATA,
			    .ds = DATA,
			    .fs = DATA,
			    .gs = 0,
			    .io_map = sizeof(*tss)};
	for (unsigned i = 0; i < 8; i++)
		tss->gpr[i] = 0x1111 * (i + 1);
	tss->gpr[4] = (uint32_t)stack + 4096;
}

static void prepare_all(void)
{
	prepare(&a, task_body, stack_a);
	prepare(&b, handler_body, stack_b);
	make_available(TSS_A);
	make_available(TSS_B);
	seen = (struct seen){0};
	leave_by_jump = 0;
	skip_to = 0;
}

static void task_gate(unsigned vector, unsigned selector)
{
	idt[vector] = (uint64_t)selector << 16 | (uint64_t)TYPE_TASK << 40;
}

struct __attribute__((packed)) table_register {
	uint16_t limit;
	uint32_t base;
};

static void set_up(void)
{
	extern const uint64_t guest_gdt[6];
	struct table_register idtr, gdtr = {sizeof(gdt) - 1, (uint32_t)gdt};

	trap_init();
	__asm__ volatile("sidt %0" : "=m"(idtr));
	idt = (uint64_t *)idtr.base;
	for (unsigned i = 0; i < 4; i++)
		gdt[i] = guest_gdt[i];
	gdt[CODE16 / 8] = segment((uint32_t)body16, 0xffff, 0x9b, 0);
	gdt[DATA16 / 8] = segment((uint32_t)stack16, 0xffff, 0x93, 0);
	gdt[TSS_MAIN / 8] = segment((uint32_t)&main_tss, 103, TYPE_TSS32, 0);
	gdt[TSS_A / 8] = segment((uint32_t)&a, 103, TYPE_TSS32, 0);
	gdt[TSS_B / 8] = segment((uint32_t)&b, 103, TYPE_TSS32, 0);
	gdt[TSS_16 / 8] = segment((uint32_t)&t16, 43, TYPE_TSS16, 0);
	gdt[GATE_A / 8] = (uint64_t)TSS_A << 16 | (uint64_t)TYPE_TASK << 40;
	gdt[LDT / 8] = segment((uint32_t)ldt, sizeof(ldt) - 1, TYPE_LDT, 0);
	gdt[ABSENT / 8] = segment(0, 0xfffff, 0x13, 12);
	gdt[ABSENT_TSS / 8] = segment((uint32_t)&a, 103, TYPE_TSS32 & 0x7f, 0);
	gdt[SHORT_TSS / 8] = segment((uint32_t)&a, 102, TYPE_TSS32, 0);
	gdt[ABSENT_CS / 8] = segment(0, 0xfffff, 0x1b, 12);
	gdt[USER_CODE / 8] = segment(0, 0xfffff, 0xfa, 12);
	/* Not accessed yet: the switch sets that. */
	ldt[LDT_DATA / 8] = segment(0x1234000, 0xff, 0x92, 0);
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	for (unsigned i = 0; i < 1024; i++)
		tables[0][i] = tables[1][i] = i << 22 | LARGE_PAGE;
	tables[1][REMAPPED >> 22] = OTHER_MEMORY | LARGE_PAGE;
	*(volatile uint32_t *)REMAPPED = 0x11111111;
	*(volatile uint32_t *)OTHER_MEMORY = 0x22222222;
	write_cr4(read_cr4() | CR4_PSE);
	write_cr3((uint32_t)tables[0]);
	write_cr0(read_cr0() | CR0_PG);
	main_tss.cr3 = (uint32_t)tables[0];
	__asm__ volatile("ltr %w0" : : "r"(TSS_MAIN));
	*(volatile uint32_t *)LAPIC_SVR |= 0x100;
}

static unsigned task_register(void)
{
	unsigned value = 0;

	__asm__ volatile("str %w0" : "+r"(value));
	return value;
}

static uint32_t flags(void)
{
	uint32_t value;

	__asm__ volatile("pushfl\n\tpopl %0" : "=r"(value));
	return value;
}

#define EVERYTHING "eax", "ecx", "edx", "ebx", "esi", "edi", "memory", "cc"

static void call_a(void *argument)
{
	(void)argument;
	__asm__ volatile("lcall %0, $0" : : "i"(TSS_A) : "memory", "cc");
}

static void jump_a(void *argument)
{
	(void)argument;
	__asm__ volatile("ljmp %0, $0" : : "i"(TSS_A) : "memory", "cc");
}

static void call_gate(void *argument)
{
	(void)argument;
	__asm__ volatile("lcall %0, $0" : : "i"(GATE_A) : "memory", "cc");
}

static void test_call(void)
{
	uint32_t kept[4];

	prepare_all();
	write_cr0(read_cr0() & ~CR0_TS);
	__asm__ volatile(
		"mov $0xabcd0001, %%ebx\n\tmov $0xabcd0002, %%esi\n\t"
		"mov $0xabcd0003, %%edi\n\tmov $0xabcd0004, %%ecx\n\tstc\n\t"
		"lcall %1, $0\n\t"
		"mov %%ebx, %0\n\tmov %%esi, 4+%0\n\tmov %%edi, 8+%0\n\tsbb %%ecx, %%ecx\n\t"
		"mov %%ecx, 12+%0"
		: "=o"(kept)
		: "i"(TSS_A)
		: EVERYTHING);
	guest_check_equal(seen.runs, 1, "CALL runs the task");
	guest_check(kept[0] == 0xabcd0001 && kept[1] == 0xabcd0002 && kept[2] == 0xabcd0003,
		    "and IRET comes back to the caller's registers");
	guest_check_equal(kept[3], 0xffffffff, "and flags");
	guest_check(seen.gpr[0] == 0x1111 && seen.gpr[3] == 0x4444 && seen.gpr[7] == 0x8888,
		    "the task's registers were its TSS's");
	guest_check_equal(seen.gpr[4], (uint32_t)stack_a + 4096, "and its stack");
	guest_check_equal(seen.tr, TSS_A, "TR was the task's");
	guest_check(seen.eflags & FLAG_NT, "NT was set");
	guest_check_equal(found.link_a, TSS_MAIN, "the back link led to the caller");
	guest_check(found.main_busy && found.a_busy, "both TSSs were busy");
	guest_check(seen.cr0 & CR0_TS, "CR0.TS was set");
	guest_check_equal(seen.ldtr, 0, "without an LDT");
	guest_check_equal(task_register(), TSS_MAIN, "TR is the caller's again");
	guest_check(is_busy(TSS_MAIN) && !is_busy(TSS_A), "and only its TSS is busy");
	guest_check(!(flags() & FLAG_NT), "NT is clear");
	guest_check(read_cr0() & CR0_TS, "CR0.TS is set by the way back as well");
	guest_check(!(a.eflags & FLAG_NT), "the task was saved without NT");
	call_a(0);
	guest_check_equal(seen.runs, 2, "the second CALL goes on after the IRET");
}

static void test_jump(void)
{
	prepare_all();
	a.link = 0x1230;
	leave_by_jump = 1;
	jump_a(0);
	guest_check_equal(seen.runs, 1, "JMP runs the task, and JMP leads back");
	guest_check(!(seen.eflags & FLAG_NT), "without NT");
	guest_check_equal(found.link_a, 0x1230, "without a back link");
	guest_check(!found.main_busy && found.a_busy, "the left task is not busy");
	guest_check(is_busy(TSS_MAIN) && !is_busy(TSS_A), "there and back");
}

static void test_gates(void)
{
	prepare_all();
	call_gate(0);
	guest_check_equal(seen.runs, 1, "CALL through a task gate");
	guest_check_equal(seen.tr, TSS_A, "runs its task");
	task_gate(VECTOR_INT, TSS_A);
	__asm__ volatile("int %0" : : "i"(VECTOR_INT) : "memory");
	guest_check_equal(seen.runs, 2, "INT n through a task gate, and past it again");
	guest_check(seen.eflags & FLAG_NT, "nested");
}

static void test_interrupt(void)
{
	uint32_t after;

	prepare_all();
	task_gate(VECTOR_SELF, TSS_A);
	*(volatile uint32_t *)LAPIC_ICR = ICR_SELF | VECTOR_SELF;
	__asm__ volatile("sti\n\tnop\n1:\tnop\n\tcli\n\tmov $1b, %0" : "=r"(after));
	guest_check_equal(seen.runs, 1, "an interrupt through a task gate");
	guest_check_equal(main_tss.eip, after, "comes where its window opened");
	guest_check(main_tss.eflags & FLAG_IF, "with IF saved");
	guest_check(!(seen.eflags & FLAG_IF), "and the task's own IF");
	*(volatile uint32_t *)LAPIC_EOI = 0;
	trap_init();
}

static void test_exceptions(void)
{
	uint32_t at;

	prepare_all();
	task_gate(TRAP_GP, TSS_B);
	__asm__ volatile("movl $2f, %0\n\tmov $0xfff8, %%eax\n\tmov $1f, %1\n1:\tmov %%eax, %%es\n"
			 "2:"
			 : "=m"(skip_to), "=r"(at)
			 :
			 : "eax", "memory");
	guest_check_equal(seen.runs, 1, "an exception through a task gate");
	guest_check_equal(seen.error, 0xfff8, "its error code is on the task's stack");
	guest_check_equal(found.link_b, TSS_MAIN, "its back link leads to the faulting task");
	guest_check_equal(seen.gpr[4], (uint32_t)stack_b + 4096, "popped, the stack is empty");
	prepare_all();
	trap_init();
	task_gate(TRAP_UD, TSS_A);
	__asm__ volatile("movl $2f, %0\n\tmov $1f, %1\n1:\tud2\n2:" : "=m"(skip_to), "=r"(at));
	guest_check_equal(seen.runs, 1, "one without an error code");
	guest_check_equal(seen.gpr[4], (uint32_t)stack_a + 4096, "pushes none");
	trap_init();
}

static void test_16_bit(void)
{
	seen = (struct seen){0};
	t16 = (struct tss16){.ip = 0,
			     .flags = 2,
			     .gpr = {0xa5a5, 0, 0, 0, 0x800},
			     .es = DATA,
			     .cs = CODE16,
			     .ss = DATA16,
			     .ds = DATA};
	__asm__ volatile("lcall %0, $0" : : "i"(TSS_16) : "memory");
	guest_check_equal(seen.runs, 1, "CALL of a 16-bit TSS");
	guest_check_equal(seen.tr & 0xffff, TSS_16, "TR was that");
	guest_check_equal(seen.gpr[0] & 0xffff, 0xa5a5, "AX its own");
	guest_check_equal(seen.gpr[4] & 0xffff, 0x800, "SP its own");
	guest_check(seen.eflags & FLAG_NT, "nested");
	guest_check_equal(t16.link, TSS_MAIN, "linked");
	guest_check(t16.ip != 0 && t16.gpr[4] == 0x800, "and saved when it left");
	guest_check(!is_busy(TSS_16), "not busy");
	guest_check_equal(task_register(), TSS_MAIN, "back in the 32-bit one");
}

static void test_ldt_and_cr3(void)
{
	prepare_all();
	a.ldtr = LDT;
	a.fs = LDT_DATA;
	a.cr3 = (uint32_t)tables[1];
	call_a(0);
	guest_check_equal(seen.ldtr, LDT, "the task's LDT is loaded");
	guest_check_equal(seen.fs, LDT_DATA, "and a segment from it");
	guest_check(ldt[LDT_DATA / 8] >> 40 & 1, "whose accessed bit is set");
	guest_check_equal(seen.cr3, (uint32_t)tables[1], "the task's CR3 is loaded");
	guest_check_equal(found.remapped, 0x22222222, "and its memory seen");
	guest_check_equal(*(volatile uint32_t *)REMAPPED, 0x11111111, "and ours again after it");
	guest_check_equal(read_cr3(), (uint32_t)tables[0], "with our CR3");
	guest_check_equal(main_tss.cr3, (uint32_t)tables[0], "no switch writes a TSS's CR3");
}

static volatile uint32_t debug_ip, debug_dr6, debug_tr, debugs;

static void on_debug(struct trap_frame *frame)
{
	debugs++;
	debug_ip = frame->ip;
	debug_dr6 = read_dr6();
	debug_tr = task_register();
	write_dr6(0xffff0ff0);
}

static void test_trap_bit(void)
{
	prepare_all();
	a.trap = 1;
	write_dr7(0x455); /* local breakpoints 0 to 3 on, of which the switch clears each */
	trap_set_handler(TRAP_DB, on_debug);
	call_a(0);
	guest_check_equal(debugs, 1, "the T bit raises #DB");
	guest_check_equal(debug_ip, (uint32_t)task_body, "at the task's first instruction");
	guest_check_equal(debug_tr, TSS_A, "in the task");
	guest_check_equal(debug_dr6 & (DR6_BT | 15), DR6_BT, "with DR6.BT");
	guest_check_equal(read_dr7() & 0x55, 0, "local breakpoints are off");
	trap_set_handler(TRAP_DB, 0);
}

static void far_call(void *argument)
{
	const struct {
		uint32_t offset;
		uint16_t selector;
	} pointer = {.selector = (uint16_t)(uint32_t)argument};

	__asm__ volatile("lcall *%0" : : "m"(pointer) : "memory");
}

static void nested_iret(void *argument)
{
	main_tss.link = (uint16_t)(uint32_t)argument;
	__asm__ volatile("pushfl\n\torl $0x4000, (%%esp)\n\tpopfl\n\tiret" : : : "memory");
}

static void clear_nt(void)
{
	__asm__ volatile("pushfl\n\tandl $~0x4000, (%%esp)\n\tpopfl" : : : "memory");
}

/* Faults before the switch: the old task goes on. */
static void check_refused(unsigned selector, unsigned vector, const char *what)
{
	prepare_all();
	guest_check_equal(trap_run(far_call, (void *)selector), vector, what);
	guest_check_equal(trap_last.error, selector & ~3u, "with the selector as error code");
	guest_check(task_register() == TSS_MAIN && !(flags() & FLAG_NT) && !is_busy(TSS_A),
		    "in the old task");
}

static void test_refused(void)
{
	check_refused(ABSENT_TSS, TRAP_NP, "a TSS that is not present");
	check_refused(SHORT_TSS, TRAP_TS, "a TSS too short");
	check_refused(TSS_MAIN, TRAP_GP, "a busy TSS");
	check_refused(BEYOND, TRAP_GP, "a selector beyond the GDT");
	prepare_all();
	guest_check_equal(trap_run(nested_iret, (void *)TSS_A), TRAP_TS,
			  "IRET to a task that is not busy");
	guest_check_equal(trap_last.error, TSS_A, "with its selector");
	clear_nt();
	guest_check_equal(trap_run(nested_iret, (void *)DATA), TRAP_TS, "or is no TSS");
	clear_nt();
}

/* Faults after the switch: in the new task, here handled by another one. */
static void check_fails(unsigned vector, unsigned selector, const char *what)
{
	seen = (struct seen){0};
	task_gate(vector, TSS_B);
	leave_by_jump = 1;
	jump_a(0);
	guest_check_equal(seen.runs, 1, what);
	guest_check_equal(seen.error, selector & ~3u, "the error code is the selector");
	guest_check_equal(found.link_b, TSS_A, "the fault is the new task's");
	trap_init();
	prepare_all();
}

static void test_bad_segments(void)
{
	prepare_all();
	a.cs = DATA;
	check_fails(TRAP_TS, DATA, "CS that is no code: #TS");
	a.cs = 0;
	check_fails(TRAP_TS, 0, "a null CS: #TS");
	a.cs = ABSENT_CS;
	check_fails(TRAP_NP, ABSENT_CS, "CS not present: #NP");
	a.cs = BEYOND;
	check_fails(TRAP_TS, BEYOND, "CS beyond the GDT: #TS");
	a.ss = 0;
	check_fails(TRAP_TS, 0, "a null SS: #TS");
	a.ss = ABSENT;
	check_fails(TRAP_SS, ABSENT, "SS not present: #SS");
	a.ss = CODE32;
	check_fails(TRAP_TS, CODE32, "SS that is code: #TS");
	a.ds = ABSENT;
	check_fails(TRAP_NP, ABSENT, "DS not present: #NP");
	a.gs = TSS_16;
	check_fails(TRAP_TS, TSS_16, "GS that is a TSS: #TS");
	a.es = BEYOND;
	check_fails(TRAP_TS, BEYOND, "ES beyond the GDT: #TS");
	a.ldtr = DATA;
	check_fails(TRAP_TS, DATA, "an LDT that is none: #TS");
	a.cs = USER_CODE | 3;
	check_fails(TRAP_TS, DATA, "CS of CPL 3 with SS of CPL 0: #TS");
}

/* Reserved bits of the flags in a TSS are ignored. */
static void test_reserved_flags(void)
{
	const uint32_t reserved = 0xffc08028;

	prepare_all();
	a.eflags = 2 | reserved;
	leave_by_jump = 1;
	jump_a(0);
	guest_check_equal(seen.runs, 1, "a task with reserved flags set runs");
	guest_check_equal(seen.eflags & reserved, 0, "without them");
	prepare_all();
}

/* EAX, EBX, ECX, EFLAGS and ESP of the task, as gate86 finds them. */
extern volatile uint32_t v86_seen[5];
volatile uint32_t v86_seen[5];
void gate86(void);

/* A task in virtual-8086 mode: its segments are not selectors. */
static void test_virtual_8086(void)
{
	prepare_all();
	for (unsigned i = 0; body86 + i < body86_end; i++)
		((volatile uint8_t *)V86_BASE)[i] = body86[i];
	for (unsigned i = 0; i < 1024; i++)
		tables[1][i] |= 4;
	a.cr3 = (uint32_t)tables[1];
	a.eflags = 2 | FLAG_VM | 3 << 12;
	a.cs = V86_BASE >> 4;
	a.eip = 0;
	a.ss = 0x7000;
	a.gpr[4] = 0x800;
	a.ds = 0x1234;
	a.es = a.fs = a.gs = 0xfff8;
	a.ss0 = DATA;
	a.esp0 = (uint32_t)stack_a + 4096;
	idt[VECTOR_INT] = ((uint32_t)gate86 & 0xffff) | CODE32 << 16 | 0xeeULL << 40 |
			  (uint64_t)((uint32_t)gate86 >> 16) << 48;
	jump_a(0);
	guest_check_equal(v86_seen[0], 0x1111, "a task in virtual-8086 mode runs");
	guest_check_equal(v86_seen[1] & 0xffff, 0x1234, "DS is what its TSS says");
	guest_check_equal(v86_seen[2] & 0xffff, 0x7000, "and SS");
	guest_check(v86_seen[3] & FLAG_VM, "VM is set in its flags");
	guest_check_equal(v86_seen[4], 0x800, "and ESP");
	guest_check_equal(task_register(), TSS_MAIN, "and it leaves by a switch");
	prepare_all();
}

unsigned main(uintptr_t info)
{
	(void)info;
	set_up();
	test_call();
	test_jump();
	test_gates();
	test_interrupt();
	test_exceptions();
	test_16_bit();
	test_ldt_and_cr3();
	test_trap_bit();
	test_refused();
	test_bad_segments();
	test_reserved_flags();
	test_virtual_8086();
	return guest_failures();
}
