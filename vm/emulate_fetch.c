/* SPDX-License-Identifier: MIT */
/*
 * The bytes of the instruction at CS:RIP, fetched through the guest's paging and decoded.
 *
 * Both are spared where they cannot come out otherwise than the last time: a page while each
 * table entry on the way to it holds what it held, a decoding while the bytes are the same.
 */
#include "vm/emulate_parts.h"

/* The page of `linear` as it was found before, if a walk would find the same; or NULL. */
static const uint8_t *known_code(struct emulate *e, uint64_t linear)
{
	const struct emulate_code *code = e->code;

	if (!(e->have & HAVE_CODE) || code->linear != align_down(linear, PAGE_SIZE) ||
	    code->cr3 != get(e, EMULATE_CR3) || code->cr4 != get(e, EMULATE_CR4) ||
	    code->efer != get(e, EMULATE_EFER) || code->cpl != emulate_cpl(e) ||
	    !walk_unchanged(&code->record))
		return NULL;
	return code->page;
}

static void know_code(struct emulate *e, uint64_t linear, const struct walk_record *record,
		      const uint8_t *page)
{
	if (!(e->have & HAVE_CODE))
		return;
	e->code->record = *record;
	e->code->linear = align_down(linear, PAGE_SIZE);
	e->code->cr3 = get(e, EMULATE_CR3);
	e->code->cr4 = get(e, EMULATE_CR4);
	e->code->efer = get(e, EMULATE_EFER);
	e->code->cpl = emulate_cpl(e);
	e->code->page = page;
}

/* *page: the RAM that holds the code page of `linear`. */
static enum emulate_status find_code(struct emulate *e, uint64_t linear, const uint8_t **page)
{
	struct walk_record record;
	enum emulate_status status;
	uint64_t gpa;

	status = emulate_walk(e, linear, WALK_FETCH, &gpa, &record);
	if (status != EMULATE_DONE)
		return status;
	*page = guest_memory_piece(e->memory, align_down(gpa, PAGE_SIZE), PAGE_SIZE);
	if (!*page)
		return EMULATE_UNSUPPORTED; /* code that is not in RAM */
	if (record.count)
		know_code(e, linear, &record, *page);
	return EMULATE_DONE;
}

/* Adds `wanted` bytes at `linear`, all on one page, to result->code. */
static enum emulate_status fetch_page(struct emulate *e, uint64_t linear, unsigned wanted)
{
	uint8_t *to = e->result->code + e->result->code_length;
	const uint8_t *page = known_code(e, linear);
	enum emulate_status status;

	if (!page) {
		status = find_code(e, linear, &page);
		if (status != EMULATE_DONE)
			return status;
	}
	page += linear % PAGE_SIZE;
	if (wanted == INSN_BYTES_MAX)
		__builtin_memcpy(to, page, INSN_BYTES_MAX);
	else
		for (unsigned i = 0; i < wanted; i++)
			to[i] = page[i];
	e->result->code_length += (uint8_t)wanted;
	return EMULATE_DONE;
}

/* Bytes that CS lets the CPU fetch at RIP: 0..15. */
static unsigned fetchable(struct emulate *e, uint64_t rip)
{
	uint64_t limit;

	if (e->mode == INSN_MODE_64)
		return INSN_BYTES_MAX;
	limit = get(e, EMULATE_LIMIT + SEGMENT_CS);
	if (rip > limit)
		return 0;
	return (unsigned)MIN(limit - rip + 1, INSN_BYTES_MAX);
}

static enum emulate_status decode_fault(struct emulate *e, enum insn_status status)
{
	switch (status) {
	case INSN_UNDEFINED: return fault(e, VECTOR_UD, 0);
	case INSN_TOO_LONG:
	case INSN_TRUNCATED: /* by the limit of CS */ return fault(e, VECTOR_GP, 0);
	default: return EMULATE_UNSUPPORTED;
	}
}

static uint64_t word_at(const uint8_t *bytes, unsigned offset)
{
	uint64_t word;

	__builtin_memcpy(&word, bytes + offset, sizeof(word));
	return word;
}

/* insn_decode() of 15 bytes, spared when they are those of the last time. */
static enum insn_status decode_again(struct emulate *e, struct insn *insn)
{
	enum { LAST_WORD = INSN_BYTES_MAX - 8 };
	const uint8_t *bytes = e->result->code;
	struct emulate_code *code = e->code;
	enum insn_status status;

	if (code->insn.length && code->mode == e->mode &&
	    word_at(code->bytes, 0) == word_at(bytes, 0) &&
	    word_at(code->bytes, LAST_WORD) == word_at(bytes, LAST_WORD)) {
		*insn = code->insn;
		return INSN_OK;
	}
	status = insn_decode(insn, bytes, INSN_BYTES_MAX, (enum insn_mode)e->mode);
	code->insn.length = 0;
	if (status == INSN_OK) {
		__builtin_memcpy(code->bytes, bytes, INSN_BYTES_MAX);
		code->mode = e->mode;
		code->insn = *insn;
	}
	return status;
}

static enum insn_status decode(struct emulate *e, struct insn *insn, unsigned available)
{
	if (available == INSN_BYTES_MAX && (e->have & HAVE_CODE))
		return decode_again(e, insn);
	return insn_decode(insn, e->result->code, available, (enum insn_mode)e->mode);
}

/* The second page is touched only when the instruction does reach into it. */
enum emulate_status emulate_fetch(struct emulate *e, struct insn *insn)
{
	bool long_mode = e->mode == INSN_MODE_64;
	uint64_t rip = get(e, EMULATE_RIP), linear = rip;
	unsigned limit = fetchable(e, rip), first;
	enum emulate_status status;
	enum insn_status decoded;

	if (!limit)
		return fault(e, VECTOR_GP, 0);
	if (!long_mode)
		linear = (uint32_t)(rip + get(e, EMULATE_BASE + SEGMENT_CS));
	first = (unsigned)MIN(PAGE_SIZE - linear % PAGE_SIZE, limit);
	status = fetch_page(e, linear, first);
	if (status != EMULATE_DONE)
		return status;
	decoded = decode(e, insn, first);
	if (decoded == INSN_TRUNCATED && first < limit) {
		linear += first;
		if (!long_mode)
			linear = (uint32_t)linear;
		else if (!emulate_canonical(e, linear))
			return fault(e, VECTOR_GP, 0);
		status = fetch_page(e, linear, limit - first);
		if (status != EMULATE_DONE)
			return status;
		decoded = decode(e, insn, limit);
	}
	return decoded == INSN_OK ? EMULATE_DONE : decode_fault(e, decoded);
}

void emulate_keep_code(struct emulate *e, struct emulate_code *code)
{
	e->code = code;
	e->have |= HAVE_CODE;
}
