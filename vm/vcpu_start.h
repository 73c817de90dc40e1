/* SPDX-License-Identifier: MIT */
/*
 * The state in which a guest's first vCPU begins, as data: what a loader or the reset vector
 * asks for. Segments are in the format of the VMCS guest-state area.
 *
 * Sources: SDM volume 3, chapter 'Virtual Machine Control Structures', 'Guest Register State'.
 */
#ifndef VM_VCPU_START_H
#define VM_VCPU_START_H

#include <stdint.h>

#include "vm/insn.h"

enum start_mode {
	START_REAL16,
	START_PROTECTED32,
	START_LONG64,
};

/* Access rights: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16. */
#define RIGHTS_DATA32	0xC093
#define RIGHTS_CODE32	0xC09B
#define RIGHTS_CODE64	0xA09B
#define RIGHTS_DATA16	0x0093
#define RIGHTS_CODE16	0x009B
#define RIGHTS_TSS_BUSY 0x008B
#define RIGHTS_LDT	0x0082
#define RIGHTS_UNUSABLE 0x10000

struct start_segment {
	uint16_t selector;
	uint32_t limit;
	uint32_t rights;
	uint64_t base;
};

struct start_table {
	uint16_t limit;
	uint64_t base;
};

struct vcpu_start {
	enum start_mode mode;
	uint64_t gpr[16]; /* RAX RCX RDX RBX RSP RBP RSI RDI R8..R15 */
	uint64_t rip;
	uint64_t rflags;
	uint64_t cr0; /* as the guest wants it; VMX adds its fixed bits */
	uint64_t cr3;
	uint64_t cr4;
	uint64_t efer;
	struct start_segment segment[SEGMENTS];
	struct start_segment ldtr;
	struct start_segment tr;
	struct start_table gdtr;
	struct start_table idtr;
};

#endif
