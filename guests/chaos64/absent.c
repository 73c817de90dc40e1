/* SPDX-License-Identifier: MIT */
/*
 * Instructions of what CPUID does not offer: #UD, in every ring. SDM volume 3, "VMX Instruction
 * Reference"; volume 2, "MONITOR", "MWAIT", "GETSEC", "RSM", "RDPMC".
 */
#include "guests/chaos64/chaos.h"
#include "guests/chaos64/machine.h"
#include "guests/chaos64/pages.h"
#include "guests/lib/cpu.h"

#define CODE_PAGE    64
#define CODE	     (TWIN_FRAMES + CODE_PAGE * PAGE)
#define BYTES	     8
#define NO_SUCH_CALL (-1000)

struct instruction {
	const char *name;
	uint8_t bytes[BYTES]; /* ended by INT3 */
	uint8_t kernel, user; /* the vector in each ring; 3: done */
};

static const struct instruction instructions[] = {
	{"VMXOFF", {0x0f, 0x01, 0xc4, 0xcc}, 6, 6},
	{"VMLAUNCH", {0x0f, 0x01, 0xc2, 0xcc}, 6, 6},
	{"VMRESUME", {0x0f, 0x01, 0xc3, 0xcc}, 6, 6},
	{"VMFUNC", {0x0f, 0x01, 0xd4, 0xcc}, 6, 6},
	{"VMXON", {0xf3, 0x0f, 0xc7, 0x37, 0xcc}, 6, 6},
	{"VMCLEAR", {0x66, 0x0f, 0xc7, 0x37, 0xcc}, 6, 6},
	{"VMPTRLD", {0x0f, 0xc7, 0x37, 0xcc}, 6, 6},
	{"VMPTRST", {0x0f, 0xc7, 0x3f, 0xcc}, 6, 6},
	{"VMREAD", {0x0f, 0x78, 0xc8, 0xcc}, 6, 6},
	{"VMWRITE", {0x0f, 0x79, 0xc8, 0xcc}, 6, 6},
	{"VMREAD to memory", {0x0f, 0x78, 0x07, 0xcc}, 6, 6},
	{"VMWRITE from memory", {0x0f, 0x79, 0x07, 0xcc}, 6, 6},
	{"INVEPT", {0x66, 0x0f, 0x38, 0x80, 0x07, 0xcc}, 6, 6},
	{"INVVPID", {0x66, 0x0f, 0x38, 0x81, 0x07, 0xcc}, 6, 6},
	{"GETSEC", {0x0f, 0x37, 0xcc}, 6, 6},
	{"RSM", {0x0f, 0xaa, 0xcc}, 6, 6},
	{"MONITOR", {0x0f, 0x01, 0xc8, 0xcc}, 6, 6},
	{"MWAIT", {0x0f, 0x01, 0xc9, 0xcc}, 6, 6},
	{"ENCLS", {0x0f, 0x01, 0xcf, 0xcc}, 6, 6},
	{"ENCLU", {0x0f, 0x01, 0xd7, 0xcc}, 6, 6},
	{"VMCALL", {0x0f, 0x01, 0xc1, 0xcc}, 3, 6},
	{"RDPMC", {0x0f, 0x33, 0xcc}, TRAP_GP, TRAP_GP},
	{"HLT at CPL 3", {0xf4, 0xcc}, 0, TRAP_GP},
	{"INVD", {0x0f, 0x08, 0xcc}, 3, TRAP_GP},
	{"WBINVD", {0x0f, 0x09, 0xcc}, 3, TRAP_GP},
	{"RDMSR at CPL 3", {0x0f, 0x32, 0xcc}, 0, TRAP_GP},
	{"WRMSR at CPL 3", {0x0f, 0x30, 0xcc}, 0, TRAP_GP},
	{"XSETBV at CPL 3", {0x0f, 0x01, 0xd1, 0xcc}, 0, TRAP_GP},
	{"MOV from CR0 at CPL 3", {0x0f, 0x20, 0xc0, 0xcc}, 0, TRAP_GP},
	{"MOV to CR8 at CPL 3", {0x44, 0x0f, 0x22, 0xc0, 0xcc}, 0, TRAP_GP},
	{"CPUID", {0x0f, 0xa2, 0xcc}, 3, 3},
	{"INVLPG at CPL 3", {0x0f, 0x01, 0x3f, 0xcc}, 3, TRAP_GP},
	{"a reserved control register", {0x0f, 0x22, 0xc8, 0xcc}, 6, 6},
	{"UD0", {0x0f, 0xff, 0xc0, 0xcc}, 6, 6},
	{"UD1", {0x0f, 0xb9, 0xc0, 0xcc}, 6, 6},
	{"UD2", {0x0f, 0x0b, 0xcc}, 6, 6},
};

static void execute(struct prng *p)
{
	const struct instruction *it = &PRNG_PICK(p, instructions);
	bool user = prng_chance(p, 50);
	unsigned want = user ? it->user : it->kernel, got;
	struct launch start = {
		.rip = CODE,
		.cs = user ? USER_CODE64 : CODE64,
		.ss = user ? USER_DATA : DATA,
		.data = USER_DATA,
		.rflags = 2,
		.rsp = FRAMES + 0x1000,
		.cr3 = pages_long(),
	};

	if (!want)
		return;
	for (unsigned i = 0; i < BYTES; i++)
		((uint8_t *)CODE)[i] = it->bytes[i];
	for (unsigned i = 0; i < 16; i++)
		start.gpr[i] = i == RDI ? FRAMES : prng_value(p);
	pages_twin(CODE_PAGE, CODE | PTE_P | PTE_W | PTE_U);
	got = machine_long(&start);
	if (user && want == 3) {
		chaos_expect(got == TRAP_GP && machine_landing.error == 3 * 8 + 2, true, it->name,
			     got);
		return;
	}
	if (!chaos_expect(got, want, it->name, user))
		return;
	if (want != 3)
		chaos_expect(machine_landing.rip, CODE, it->name, user);
	if (it->bytes[1] == 0x01 && it->bytes[2] == 0xc1 && want == 3)
		chaos_expect(machine_landing.gpr[RAX], (uint64_t)NO_SUCH_CALL, it->name, user);
}

void act_absent(struct prng *p)
{
	for (unsigned count = 16; count; count--)
		execute(p);
}
