/* SPDX-License-Identifier: MIT */
/*
 * Executes one guest instruction that touches a device page, with the faults that the CPU would
 * raise. State of the CPU is asked for only when an instruction needs it, each field at most
 * once an instruction, since every one is a VMREAD for the caller.
 *
 * Sources: SDM volume 1, chapters 'Basic Execution Environment' and 'Programming with
 * General-Purpose Instructions'; volume 2; volume 3, chapters 'Protection' and 'Paging'.
 */
#ifndef VM_EMULATE_H
#define VM_EMULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/x86.h"
#include "vm/insn.h"
#include "vm/memory.h"
#include "vm/walk.h"

/*
 * What ops.get() is asked for: values as the VMCS holds them (rights with bit 16 for unusable).
 * CR0 and CR4 are the true ones with which the guest runs, not what it would read.
 */
enum emulate_field {
	EMULATE_RIP,
	EMULATE_RFLAGS,
	EMULATE_CR0,
	EMULATE_CR3,
	EMULATE_CR4,
	EMULATE_EFER,
	EMULATE_PDPTE,				    /* four */
	EMULATE_SELECTOR = EMULATE_PDPTE + 4,	    /* one for each enum insn_segment */
	EMULATE_BASE = EMULATE_SELECTOR + SEGMENTS, /* as above */
	EMULATE_LIMIT = EMULATE_BASE + SEGMENTS,
	EMULATE_RIGHTS = EMULATE_LIMIT + SEGMENTS,
	EMULATE_FIELDS = EMULATE_RIGHTS + SEGMENTS,
};

struct emulate_result;

struct emulate_ops {
	uint64_t (*get)(void *ctx, enum emulate_field field);
	void (*set_rflags)(void *ctx, uint64_t rflags);
	/* size is 1, 2, 4 or 8; the access is of any alignment but within one 4 KiB page. */
	uint64_t (*mmio_read)(void *ctx, uint64_t gpa, unsigned size);
	void (*mmio_write)(void *ctx, uint64_t gpa, unsigned size, uint64_t value);
};

/*
 * The translation of the last code page that instructions were fetched from, and the last
 * instruction, kept from exit to exit. They are used only where a walk (see struct walk_record)
 * and the decoder would give the same.
 */
struct emulate_code {
	struct walk_record record;
	uint64_t linear; /* of the page */
	uint64_t cr3;
	uint64_t cr4;
	uint64_t efer;
	unsigned cpl;
	const uint8_t *page; /* host address of its RAM */
	/* And what the last 15 bytes fetched from one page decoded to. */
	uint8_t bytes[INSN_BYTES_MAX];
	uint8_t mode;	  /* enum insn_mode */
	struct insn insn; /* length 0: nothing */
};

/*
 * Fill in the first part and set `have` to 0 at each exit; the rest is the emulator's own. A
 * caller that holds fields already may put them in value[] and set their bits in `have`.
 */
struct emulate {
	const struct emulate_ops *ops;
	void *ctx;
	struct guest_memory *memory;
	uint64_t *gpr; /* 16, by x86 number: RAX RCX RDX RBX RSP RBP RSI RDI R8..R15 */
	/*
	 * What the CPU reported of the access that caused the exit. At this linear address the
	 * CPU has done paging and its checks already, so the walk is spared, and the access goes
	 * to mmio_*() even where there is RAM (write-protected, say).
	 */
	bool fault_valid; /* fault_linear is there and the access was not a page walk's */
	bool fault_write; /* it was a write (or both); reads are always covered */
	uint64_t fault_linear;
	uint64_t fault_gpa;
	uint8_t physical_bits; /* MAXPHYADDR of the guest */

	uint8_t mode; /* enum insn_mode */
	struct emulate_result *result;
	struct emulate_code *code; /* valid by a bit of `have` as well */
	uint64_t have; /* bit for each emulate_field that value[] holds, then for page and code */
	uint64_t value[EMULATE_FIELDS];
	struct {
		uint64_t linear;
		uint64_t gpa;
		unsigned access;
	} page; /* the last one translated, as a TLB would keep it during one instruction */
};

enum emulate_status {
	EMULATE_DONE,	     /* executed: move RIP by result.length */
	EMULATE_AGAIN,	     /* REP: some iterations done, resume with RIP where it is */
	EMULATE_FAULT,	     /* inject result.vector; registers are as the CPU leaves them */
	EMULATE_UNSUPPORTED, /* stop the VM and show result.code */
};

/* Iterations of a REP instruction in one call, so that interrupts are not kept waiting. */
#define EMULATE_SLICE 128

struct emulate_result {
	uint8_t length;	     /* DONE */
	uint8_t vector;	     /* FAULT; an error code belongs to it but for #UD and real mode */
	uint32_t error_code; /* FAULT */
	uint64_t cr2;	     /* FAULT with vector 14 */
	/* What was fetched; valid for UNSUPPORTED and DONE. */
	uint8_t code_length;
	uint8_t code[INSN_BYTES_MAX];
};

/*
 * After `have` was set to 0, optional: lets the emulator keep what it learns of code pages in
 * *code, which belongs to this vCPU and is zeroed when it starts. It saves most of a fetch.
 */
void emulate_keep_code(struct emulate *e, struct emulate_code *code);

/* Fetches, decodes and executes the instruction at CS:RIP. */
enum emulate_status emulate(struct emulate *e, struct emulate_result *result);

/*
 * Part of an operand: guest memory that was checked and translated. For handlers that emulate
 * string instructions themselves (INS, OUTS): a span is got first, so that a fault comes before
 * the device is touched.
 */
struct emulate_span {
	uint8_t size;	/* of the whole operand */
	uint8_t first;	/* bytes that lie at gpa[0]; the rest is at gpa[1] */
	uint8_t device; /* bit 0, 1: gpa[0], gpa[1] is on the page of fault_gpa */
	uint64_t gpa[2];
};

/*
 * Checks and translates `size` bytes (1, 2, 4, 8) at segment:offset, the offset already cut to
 * the address size. access: WALK_WRITE or 0; the privilege is the current one. DONE or FAULT.
 */
enum emulate_status emulate_span(struct emulate *e, enum insn_segment segment, uint64_t offset,
				 unsigned size, unsigned access, struct emulate_span *span,
				 struct emulate_result *result);
/* Cannot fail. What is not RAM goes to ops.mmio_*(). */
uint64_t emulate_read(struct emulate *e, const struct emulate_span *span);
void emulate_write(struct emulate *e, const struct emulate_span *span, uint64_t value);

/* Privilege and mode of the guest, from the state that ops.get() gives. */
unsigned emulate_cpl(struct emulate *e);
enum insn_mode emulate_mode(struct emulate *e);

#endif
