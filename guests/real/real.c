/* SPDX-License-Identifier: MIT */
/*
 * Real mode and virtual-8086 mode: exceptions without error codes, interrupts through the table at
 * 0, HLT, I/O, and what virtual-8086 code may not do.
 * Intel SDM volume 3, "8086 Emulation".
 */
#include "guests/lib/cpu.h"
#include "guests/lib/guest.h"
#include "guests/lib/user.h"

#define RESULTS	     0x7000
#define VALUES	     0x7100
#define PORT_SCRATCH 0x3ff
#define CODE32	     0x18
#define FLAG_IOPL3   0x3000u
#define WRAP	     0x1000
#define SOCL	     0x6c636f53 /* "Socl" */
#define ES_BASE	     0x9000	/* of virtual-8086 code */

void real_copy(void);
void real_run(void);
void v86_enter(uint32_t ip, uint32_t eflags);
extern const uint8_t v86_gate_6[], v86_gate_13[], v86_gate_33[];
extern const uint32_t v86_pieces[];
enum {
	PIECE_INT,
	PIECE_CLI,
	PIECE_IN,
	PIECE_HLT,
	PIECE_CPUID,
	PIECE_INS,
	PIECE_RDMSR,
	PIECE_VMCALL,
	PIECE_UD,
	PIECE_CR0,
	PIECE_IRET
};
extern volatile struct {
	uint32_t eax, vector, error, eip, cs, eflags, esp, ecx, edi;
} v86_state;

/* One case of real.asm: IP and SP are relative to before the instruction. */
struct fault {
	uint16_t vector;
	int16_t ip, sp;
	uint16_t cs;
};

static uint32_t low32(uint32_t address)
{
	__asm__("" : "+r"(address));
	return *(volatile uint32_t *)address;
}

static void set_low32(uint32_t address, uint32_t value)
{
	__asm__("" : "+r"(address));
	*(volatile uint32_t *)address = value;
}

static uint16_t low16(uint32_t address)
{
	__asm__("" : "+r"(address));
	return *(volatile uint16_t *)address;
}

static struct fault fault_of(unsigned index)
{
	uint32_t address = RESULTS + 8 * index;

	return (struct fault){low16(address), (int16_t)low16(address + 2),
			      (int16_t)low16(address + 4), low16(address + 6)};
}

static void test_faults(void)
{
	static const struct {
		const char *what;
		unsigned vector;
	} cases[] = {
		{"UD2", 6},
		{"DIV by zero", 0},
		{"a read across the limit", 13},
		{"the same of SS", 12},
		{"RDMSR of nothing", 13},
		{"RDPMC", 13},
		{"MOV to CR0 with NW alone", 13},
		{"INSW across the limit", 13},
		{"INSB with 32-bit addresses beyond it", 13},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fault f = fault_of(i);

		guest_print("# %s\n", cases[i].what);
		guest_check_equal(f.vector, cases[i].vector, "the vector");
		guest_check(f.ip == 0 && f.cs == 0, "at the instruction");
		guest_check_equal((uint16_t)f.sp, (uint16_t)-6, "without an error code");
	}
}

static void test_end_of_segment(void)
{
	struct fault nop = fault_of(9), cpu = fault_of(10);

	guest_check_equal(nop.vector, 13, "IP does not wrap after a NOP");
	guest_check_equal(cpu.vector, 13, "nor after CPUID");
	guest_check_equal(cpu.cs, WRAP, "in its own segment");
}

static void test_values(void)
{
	guest_check_equal(low16(VALUES) & (FLAG_IF | FLAG_CF), FLAG_CF, "INT n clears IF");
	guest_check_equal(low16(VALUES + 2) & (FLAG_IF | FLAG_CF), FLAG_IF | FLAG_CF,
			  "and IRET restores it");
	guest_check_equal(low32(VALUES + 4), SOCL, "CPUID with CS other than 0");
	guest_check_equal(low16(VALUES + 8), 3, "the timer ends HLT, three times");
	guest_check_equal(low32(VALUES + 12), 0x55550000, "REP INSB counts CX");
	guest_check_equal(low32(VALUES + 16), 0x66660000 + 0x1000 - 300, "and moves DI down");
	guest_check_equal(low16(VALUES + 20), 0x6b6b, "from the first byte to the last");
	guest_check_equal(low16(VALUES + 22) & 0xff, 0, "and no further");
	guest_check_equal(low16(VALUES + 24) & 0xff, 0x3d, "OUTSB of ES");
	guest_check_equal(low16(VALUES + 26), 6, "moves SI");
	guest_check_equal(low16(VALUES + 28) & 0xff, 0x77, "REP INSB wraps at 64 KiB");
	guest_check_equal(low16(VALUES + 30), 1, "DI after it");
	guest_check_equal(low32(VALUES + 32), (uint32_t)-1000, "VMCALL answers");
}

static uint64_t gate(const uint8_t *to)
{
	return ((uint32_t)to & 0xffff) | CODE32 << 16 | 0xeeULL << 40 |
	       (uint64_t)((uint32_t)to >> 16) << 48;
}

static void set_gates(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint32_t base;
	} idtr;
	uint64_t *idt;

	__asm__ volatile("sidt %0" : "=m"(idtr));
	idt = (uint64_t *)idtr.base;
	idt[TRAP_UD] = gate(v86_gate_6);
	idt[TRAP_GP] = gate(v86_gate_13);
	idt[33] = gate(v86_gate_33);
}

/* Runs a piece until its first exception or interrupt. */
static void check_v86(unsigned piece, uint32_t flags, unsigned vector, unsigned at,
		      const char *what)
{
	v86_enter(v86_pieces[piece], 2 | FLAG_VM | flags);
	guest_check_equal(v86_state.vector, vector, what);
	if (v86_state.error != 0 || v86_state.eip != v86_pieces[piece] + at ||
	    !(v86_state.eflags & FLAG_VM) || v86_state.esp != 0xf00)
		guest_check(false, "but not as it should");
}

static void test_virtual_8086(void)
{
	uint32_t byte;

	set_gates();
	user_init();
	check_v86(PIECE_HLT, 0, TRAP_GP, 0, "HLT in virtual-8086 mode");
	check_v86(PIECE_INT, 0, TRAP_GP, 0, "INT n with IOPL 0");
	check_v86(PIECE_INT, FLAG_IOPL3, 33, 2, "INT n with IOPL 3 leads to its gate");
	check_v86(PIECE_CLI, 0, TRAP_GP, 0, "CLI with IOPL 0");
	check_v86(PIECE_CLI, FLAG_IOPL3, TRAP_GP, 1, "CLI with IOPL 3 works");
	check_v86(PIECE_IN, FLAG_IOPL3, TRAP_GP, 3, "IN asks the I/O bitmap, whatever IOPL is");
	user_allow_port(PORT_SCRATCH, true);
	outb(PORT_SCRATCH, 0x4e);
	check_v86(PIECE_IN, 0, TRAP_GP, 4, "and works by its leave");
	guest_check_equal(v86_state.eax, 0xabcd124e, "with the port's byte in AL");
	check_v86(PIECE_INS, 0, TRAP_GP, 5, "REP INSB");
	guest_check(v86_state.ecx == 0 && v86_state.edi == 0x20 + 300, "CX and DI after it");
	byte = low32(ES_BASE + 0x20 + 298);
	guest_check_equal(byte & 0xffff, 0x4e4e, "its memory is where ES says");
	check_v86(PIECE_CPUID, 0, TRAP_GP, 11, "CPUID");
	guest_check_equal(v86_state.eax, SOCL, "answers");
	check_v86(PIECE_RDMSR, 0, TRAP_GP, 6, "RDMSR");
	check_v86(PIECE_CR0, 0, TRAP_GP, 0, "MOV from CR0");
	check_v86(PIECE_VMCALL, 0, TRAP_UD, 0, "VMCALL");
	check_v86(PIECE_UD, 0, TRAP_UD, 0, "UD2");
	if (cpuid(1, 0).edx >> 1 & 1) {
		uint32_t old = low32(4 * 0x21);

		set_low32(4 * 0x21, v86_pieces[PIECE_IRET]);
		write_cr4(read_cr4() | CR4_VME);
		check_v86(PIECE_INT, 0, TRAP_GP, 2, "CR4.VME: INT n by the table at 0");
		guest_check_equal(v86_state.eax, 0xabcd7777, "to its handler and back");
		write_cr4(read_cr4() & ~CR4_VME);
		set_low32(4 * 0x21, old);
	}
}

unsigned main(uintptr_t info)
{
	(void)info;
	trap_init();
	real_copy();
	real_run();
	test_faults();
	test_end_of_segment();
	test_values();
	test_virtual_8086();
	return guest_failures();
}
