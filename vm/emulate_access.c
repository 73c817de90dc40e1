/* SPDX-License-Identifier: MIT */
/*
 * Operands of emulated instructions in guest memory: segmentation, paging, and reads and writes
 * that may lie partly in RAM and partly in a device.
 *
 * Sources: SDM volume 3, 'Limit Checking', 'Type Checking', 'Paging', 'Interrupt 17 - Alignment
 * Check Exception'; volume 1, 'Canonical Addressing'.
 */
#include "vm/emulate_parts.h"

/* Access rights as in the VMCS. */
#define TYPE_WRITABLE	 BIT(1) /* data; of code: readable */
#define TYPE_EXPAND_DOWN BIT(2) /* data */
#define TYPE_CODE	 BIT(3)
#define RIGHTS_DPL_SHIFT 5
#define RIGHTS_L	 BIT(13)
#define RIGHTS_DB	 BIT(14)
#define RIGHTS_NONE	 BIT(16)

/* CS.L means nothing unless EFER.LMA is set. */
enum insn_mode emulate_mode(struct emulate *e)
{
	uint64_t rights = get(e, EMULATE_RIGHTS + SEGMENT_CS);

	if ((rights & RIGHTS_L) && (get(e, EMULATE_EFER) & EFER_LMA))
		return INSN_MODE_64;
	return rights & RIGHTS_DB ? INSN_MODE_32 : INSN_MODE_16;
}

/* SS.DPL is the CPL in every mode, real and virtual-8086 mode included. */
unsigned emulate_cpl(struct emulate *e)
{
	return get(e, EMULATE_RIGHTS + SEGMENT_SS) >> RIGHTS_DPL_SHIFT & 3;
}

/* ---- Translation ---- */

static bool same_page(uint64_t a, uint64_t b)
{
	return (a ^ b) < PAGE_SIZE;
}

enum emulate_status emulate_walk(struct emulate *e, uint64_t linear, unsigned access, uint64_t *gpa,
				 struct walk_record *record)
{
	struct walk_state state;
	uint32_t error_code;

	if (emulate_cpl(e) == 3)
		access |= WALK_USER;
	/* In 64-bit mode paging is on; then only a supervisor's write depends on CR0. */
	state.cr0 = CR0_PG;
	if ((access & (WALK_WRITE | WALK_USER)) == WALK_WRITE || e->mode != INSN_MODE_64)
		state.cr0 = get(e, EMULATE_CR0);
	record->count = 0;
	if (!(state.cr0 & CR0_PG)) {
		*gpa = linear;
		return EMULATE_DONE;
	}
	state.cr3 = get(e, EMULATE_CR3);
	state.cr4 = get(e, EMULATE_CR4);
	state.efer = get(e, EMULATE_EFER);
	state.physical_bits = e->physical_bits;
	state.ac = false;
	if ((state.cr4 & CR4_SMAP) && !(access & (WALK_FETCH | WALK_USER)))
		state.ac = get(e, EMULATE_RFLAGS) & RFLAGS_AC;
	if ((state.cr4 & CR4_PAE) && !(state.efer & EFER_LMA))
		for (unsigned i = 0; i < ARRAY_SIZE(state.pdpte); i++)
			state.pdpte[i] = get(e, EMULATE_PDPTE + i);
	if (walk_recorded(&state, e->memory, linear, access, gpa, &error_code, record))
		return EMULATE_DONE;
	e->result->cr2 = linear;
	return fault(e, VECTOR_PF, error_code);
}

/* Of data. access is WALK_WRITE or 0. */
static enum emulate_status translate(struct emulate *e, uint64_t linear, unsigned access,
				     uint64_t *gpa)
{
	struct walk_record record;
	enum emulate_status status;
	uint64_t offset = linear % PAGE_SIZE;

	if (e->fault_valid && same_page(linear, e->fault_linear) && (!access || e->fault_write)) {
		*gpa = align_down(e->fault_gpa, PAGE_SIZE) + offset;
		return EMULATE_DONE;
	}
	if ((e->have & HAVE_PAGE) && same_page(linear, e->page.linear) &&
	    (!access || e->page.access)) {
		*gpa = e->page.gpa + offset;
		return EMULATE_DONE;
	}
	status = emulate_walk(e, linear, access, gpa, &record);
	if (status != EMULATE_DONE)
		return status;
	e->page.linear = align_down(linear, PAGE_SIZE);
	e->page.gpa = align_down(*gpa, PAGE_SIZE);
	e->page.access = access;
	e->have |= HAVE_PAGE;
	return EMULATE_DONE;
}

/* ---- Segmentation ---- */

static enum emulate_status segment_fault(struct emulate *e, enum insn_segment segment)
{
	return fault(e, segment == SEGMENT_SS ? VECTOR_SS : VECTOR_GP, 0);
}

bool emulate_canonical(struct emulate *e, uint64_t linear)
{
	unsigned unused = 64 - 48;

	if ((uint64_t)((int64_t)(linear << unused) >> unused) == linear)
		return true;
	if (!(get(e, EMULATE_CR4) & CR4_LA57))
		return false;
	unused = 64 - 57;
	return (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
}

/* Types are checked in protected mode only; real and virtual-8086 mode have limits alone. */
static bool type_allows(struct emulate *e, uint64_t rights, unsigned access)
{
	if (!(get(e, EMULATE_CR0) & CR0_PE) || (get(e, EMULATE_RFLAGS) & RFLAGS_VM))
		return true;
	if (rights & RIGHTS_NONE)
		return false;
	if (rights & TYPE_CODE)
		return !access && (rights & TYPE_WRITABLE);
	return !access || (rights & TYPE_WRITABLE);
}

static bool limit_allows(uint64_t rights, uint64_t limit, uint64_t offset, unsigned size)
{
	uint64_t last = offset + size - 1;

	if (!(rights & TYPE_CODE) && (rights & TYPE_EXPAND_DOWN))
		return offset > limit && last <= (rights & RIGHTS_DB ? UINT32_MAX : UINT16_MAX);
	return last <= limit;
}

/* Outside 64-bit mode. */
static enum emulate_status legacy_linear(struct emulate *e, enum insn_segment segment,
					 uint64_t offset, unsigned size, unsigned access,
					 uint64_t *linear)
{
	uint64_t rights = get(e, EMULATE_RIGHTS + segment);

	*linear = (uint32_t)(get(e, EMULATE_BASE + segment) + offset);
	if (!type_allows(e, rights, access) ||
	    !limit_allows(rights, get(e, EMULATE_LIMIT + segment), offset, size))
		return segment_fault(e, segment);
	return EMULATE_DONE;
}

static bool misaligned(struct emulate *e, uint64_t linear, unsigned size)
{
	return (linear & (size - 1)) && emulate_cpl(e) == 3 &&
	       (get(e, EMULATE_RFLAGS) & RFLAGS_AC) && (get(e, EMULATE_CR0) & CR0_AM);
}

/* ---- Spans ---- */

static void mark_device(const struct emulate *e, struct emulate_span *span, unsigned part)
{
	if (e->fault_valid && same_page(span->gpa[part], e->fault_gpa))
		span->device |= (uint8_t)(1 << part);
}

static enum emulate_status translate_span(struct emulate *e, uint64_t linear, unsigned access,
					  struct emulate_span *span)
{
	uint64_t room = PAGE_SIZE - linear % PAGE_SIZE;
	enum emulate_status status = translate(e, linear, access, &span->gpa[0]);

	if (status != EMULATE_DONE)
		return status;
	mark_device(e, span, 0);
	if (span->size <= room)
		return EMULATE_DONE;
	span->first = (uint8_t)room;
	linear += room;
	if (e->mode != INSN_MODE_64)
		linear = (uint32_t)linear;
	status = translate(e, linear, access, &span->gpa[1]);
	if (status == EMULATE_DONE)
		mark_device(e, span, 1);
	return status;
}

enum emulate_status emulate_make_span(struct emulate *e, enum insn_segment segment, uint64_t offset,
				      unsigned size, unsigned access, struct emulate_span *span)
{
	bool long_mode = e->mode == INSN_MODE_64;
	uint64_t linear = offset;
	enum emulate_status status;

	if (!long_mode) {
		status = legacy_linear(e, segment, offset, size, access, &linear);
		if (status != EMULATE_DONE)
			return status;
	} else if (segment >= SEGMENT_FS) {
		linear += get(e, EMULATE_BASE + segment);
	}
	span->size = (uint8_t)size;
	span->first = (uint8_t)size;
	/* The very access that the CPU reported has passed all other checks. */
	if (e->fault_valid && linear == e->fault_linear && (!access || e->fault_write) &&
	    linear % PAGE_SIZE + size <= PAGE_SIZE) {
		span->device = 1;
		span->gpa[0] = e->fault_gpa;
		return EMULATE_DONE;
	}
	span->device = 0;
	if (long_mode &&
	    (!emulate_canonical(e, linear) || !emulate_canonical(e, linear + size - 1)))
		return segment_fault(e, segment);
	if (misaligned(e, linear, size))
		return fault(e, VECTOR_AC, 0);
	return translate_span(e, linear, access, span);
}

enum emulate_status emulate_span(struct emulate *e, enum insn_segment segment, uint64_t offset,
				 unsigned size, unsigned access, struct emulate_span *span,
				 struct emulate_result *result)
{
	e->result = result;
	e->mode = (uint8_t)emulate_mode(e);
	return emulate_make_span(e, segment, offset, size, access, span);
}

/* The largest access of 1, 2, 4 or 8 bytes that fits in `left` (1..8). */
static unsigned piece_size(unsigned left)
{
	return 1u << (31 - __builtin_clz(left));
}

static void *ram(struct emulate *e, const struct emulate_span *span, unsigned part, unsigned size)
{
	if (span->device >> part & 1)
		return NULL;
	return guest_memory_piece(e->memory, span->gpa[part], size);
}

/* One access each for 1, 2, 4 and 8 bytes, as the CPU would make it. */
static uint64_t load(const void *from, unsigned size)
{
	uint64_t value = 0;

	switch (size) {
	case 1: __builtin_memcpy(&value, from, 1); break;
	case 2: __builtin_memcpy(&value, from, 2); break;
	case 4: __builtin_memcpy(&value, from, 4); break;
	case 8: __builtin_memcpy(&value, from, 8); break;
	default:
		for (unsigned i = 0; i < size; i++)
			value |= (uint64_t)((const uint8_t *)from)[i] << (8 * i);
	}
	return value;
}

static void store(void *to, unsigned size, uint64_t value)
{
	switch (size) {
	case 1: __builtin_memcpy(to, &value, 1); break;
	case 2: __builtin_memcpy(to, &value, 2); break;
	case 4: __builtin_memcpy(to, &value, 4); break;
	case 8: __builtin_memcpy(to, &value, 8); break;
	default:
		for (unsigned i = 0; i < size; i++)
			((uint8_t *)to)[i] = (uint8_t)(value >> (8 * i));
	}
}

static uint64_t read_part(struct emulate *e, const struct emulate_span *span, unsigned part,
			  unsigned size)
{
	const void *from = ram(e, span, part, size);
	uint64_t value = 0;

	if (from)
		return load(from, size);
	for (unsigned done = 0, piece; done < size; done += piece) {
		piece = piece_size(size - done);
		value |= (e->ops->mmio_read(e->ctx, span->gpa[part] + done, piece) &
			  mask_bytes(piece))
			 << (8 * done);
	}
	return value;
}

static void write_part(struct emulate *e, const struct emulate_span *span, unsigned part,
		       unsigned size, uint64_t value)
{
	void *to = ram(e, span, part, size);

	if (to) {
		store(to, size, value);
		return;
	}
	for (unsigned done = 0, piece; done < size; done += piece) {
		piece = piece_size(size - done);
		e->ops->mmio_write(e->ctx, span->gpa[part] + done, piece,
				   value >> (8 * done) & mask_bytes(piece));
	}
}

/* All of it is on the device page that was reported: the common case. */
static inline bool is_plain_device(const struct emulate_span *span)
{
	return span->device == 1 && span->first == span->size;
}

uint64_t emulate_read(struct emulate *e, const struct emulate_span *span)
{
	uint64_t value;

	if (is_plain_device(span))
		return e->ops->mmio_read(e->ctx, span->gpa[0], span->size) & mask_bytes(span->size);
	value = read_part(e, span, 0, span->first);

	if (span->first < span->size)
		value |= read_part(e, span, 1, span->size - span->first) << (8 * span->first);
	return value;
}

void emulate_write(struct emulate *e, const struct emulate_span *span, uint64_t value)
{
	if (is_plain_device(span)) {
		e->ops->mmio_write(e->ctx, span->gpa[0], span->size,
				   value & mask_bytes(span->size));
		return;
	}
	write_part(e, span, 0, span->first, value);
	if (span->first < span->size)
		write_part(e, span, 1, span->size - span->first, value >> (8 * span->first));
}
