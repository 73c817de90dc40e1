/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the emulator share: vm/emulate.c (instructions), vm/emulate_access.c (operands
 * in memory), vm/emulate_fetch.c (code). Nobody else includes it.
 */
#ifndef VM_EMULATE_PARTS_H
#define VM_EMULATE_PARTS_H

#include "lib/bits.h"
#include "vm/emulate.h"

/* struct emulate.have beyond the fields: page, code. */
#define HAVE_PAGE BIT(EMULATE_FIELDS)
#define HAVE_CODE BIT(EMULATE_FIELDS + 1)

_Static_assert(EMULATE_FIELDS + 2 <= 64, "`have` is one word");

/* A field of the CPU's state, asked for once. */
static inline uint64_t get(struct emulate *e, unsigned field)
{
	if (!(e->have & BIT(field))) {
		e->value[field] = e->ops->get(e->ctx, (enum emulate_field)field);
		e->have |= BIT(field);
	}
	return e->value[field];
}

static inline enum emulate_status fault(struct emulate *e, uint8_t vector, uint32_t error_code)
{
	e->result->vector = vector;
	e->result->error_code = error_code;
	return EMULATE_FAULT;
}

/* The walk for one access by the current privilege; *record is filled as by walk_recorded(). */
enum emulate_status emulate_walk(struct emulate *e, uint64_t linear, unsigned access, uint64_t *gpa,
				 struct walk_record *record);

/* False for an address that is not canonical; only 64-bit mode has these. */
bool emulate_canonical(struct emulate *e, uint64_t linear);

/* emulate_span() for the instruction that emulate() has begun. */
enum emulate_status emulate_make_span(struct emulate *e, enum insn_segment segment, uint64_t offset,
				      unsigned size, unsigned access, struct emulate_span *span);

/* Fetches and decodes at CS:RIP. */
enum emulate_status emulate_fetch(struct emulate *e, struct insn *insn);

#endif
