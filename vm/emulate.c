/* SPDX-License-Identifier: MIT */
/*
 * Executes one instruction that touches a device page.
 *
 * Operands are spans: checked and translated in full before anything is read or written, so
 * that a fault leaves no trace. Nothing here is atomic towards other vCPUs: a locked operation
 * on a device page is as atomic as its device model, and locked operations on RAM do not exit.
 *
 * Sources: SDM volume 1, 'EFLAGS Register', 'Operand Addressing'; volume 2, the instructions;
 * volume 3, 'Limit Checking', 'Type Checking', 'Interrupt 17 - Alignment Check Exception'.
 */
#include "vm/emulate.h"

#include "lib/bits.h"

#define FLAG_CF	     BIT(0)
#define FLAG_PF	     BIT(2)
#define FLAG_AF	     BIT(4)
#define FLAG_ZF	     BIT(6)
#define FLAG_SF	     BIT(7)
#define FLAG_OF	     BIT(11)
#define FLAGS_STATUS (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* Access rights as in the VMCS. */
#define TYPE_WRITABLE	 BIT(1) /* data; of code: readable */
#define TYPE_EXPAND_DOWN BIT(2) /* data */
#define TYPE_CODE	 BIT(3)
#define RIGHTS_DPL_SHIFT 5
#define RIGHTS_L	 BIT(13)
#define RIGHTS_DB	 BIT(14)
#define RIGHTS_NONE	 BIT(16)

#define HAVE_PAGE	 BIT(EMULATE_FIELDS)
#define HAVE_CODE	 BIT(EMULATE_FIELDS + 1)

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

_Static_assert(EMULATE_FIELDS + 2 <= 64, "`have` is one word");

static inline uint64_t get(struct emulate *e, unsigned field)
{
	if (!(e->have & BIT(field))) {
		e->value[field] = e->ops->get(e->ctx, (enum emulate_field)field);
		e->have |= BIT(field);
	}
	return e->value[field];
}

static void set_status(struct emulate *e, uint64_t flags)
{
	uint64_t rflags = (get(e, EMULATE_RFLAGS) & ~FLAGS_STATUS) | (flags & FLAGS_STATUS);

	e->value[EMULATE_RFLAGS] = rflags;
	e->ops->set_rflags(e->ctx, rflags);
}

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

static enum emulate_status fault(struct emulate *e, uint8_t vector, uint32_t error_code)
{
	e->result->vector = vector;
	e->result->error_code = error_code;
	return EMULATE_FAULT;
}

/* ---- Translation ---- */

static bool same_page(uint64_t a, uint64_t b)
{
	return (a ^ b) < PAGE_SIZE;
}

static enum emulate_status walk_guest(struct emulate *e, uint64_t linear, unsigned access,
				      uint64_t *gpa, struct walk_record *record)
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
	status = walk_guest(e, linear, access, gpa, &record);
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

static bool canonical(struct emulate *e, uint64_t linear)
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

static inline enum emulate_status make_span(struct emulate *e, enum insn_segment segment,
					    uint64_t offset, unsigned size, unsigned access,
					    struct emulate_span *span)
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
	if (long_mode && (!canonical(e, linear) || !canonical(e, linear + size - 1)))
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
	return make_span(e, segment, offset, size, access, span);
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

/* ---- Registers ---- */

static uint64_t get_register(const struct emulate *e, unsigned reg, unsigned size, unsigned high)
{
	return e->gpr[reg] >> high & mask_bytes(size);
}

/* A 32-bit result clears the upper half, smaller ones leave the rest as it is. */
static void set_register(struct emulate *e, unsigned reg, unsigned size, unsigned high,
			 uint64_t value)
{
	uint64_t mask = mask_bytes(size);

	if (size >= 4)
		e->gpr[reg] = value & mask;
	else
		e->gpr[reg] = (e->gpr[reg] & ~(mask << high)) | (value & mask) << high;
}

static uint64_t effective_address(struct emulate *e, const struct insn *insn)
{
	uint64_t address = (uint64_t)insn->displacement;

	if (insn->base < INSN_REG_NONE)
		address += e->gpr[insn->base];
	else if (insn->base == INSN_REG_RIP)
		address += get(e, EMULATE_RIP) + insn->length;
	if (insn->index != INSN_REG_NONE)
		address += e->gpr[insn->index] << insn->scale;
	return address & mask_bytes(insn->address_size);
}

static enum emulate_status operand(struct emulate *e, const struct insn *insn, unsigned access,
				   struct emulate_span *span)
{
	return make_span(e, (enum insn_segment)insn->segment, effective_address(e, insn),
			 insn->memory_size, access, span);
}

/* The operand that is not in memory: a register or an immediate. */
static uint64_t other(const struct emulate *e, const struct insn *insn)
{
	if (insn->form == INSN_FORM_MEM_IMM)
		return insn->immediate & mask_bytes(insn->size);
	return get_register(e, insn->reg, insn->size, insn->high);
}

/* ---- Arithmetic: operands and results are cut to `size` bytes ---- */

static uint64_t top_bit(uint64_t value, unsigned size)
{
	return value >> (8 * size - 1) & 1;
}

static uint64_t result_flags(uint64_t value, unsigned size)
{
	return (__builtin_parity((unsigned)value & 0xFF) ? 0 : FLAG_PF) | (value ? 0 : FLAG_ZF) |
	       (top_bit(value, size) ? FLAG_SF : 0);
}

static uint64_t add(uint64_t a, uint64_t b, uint64_t carry, unsigned size, uint64_t *flags)
{
	uint64_t r = (a + b + carry) & mask_bytes(size);

	*flags = result_flags(r, size) | ((a ^ b ^ r) & FLAG_AF);
	if (top_bit((a & b) | ((a | b) & ~r), size))
		*flags |= FLAG_CF;
	if (top_bit((a ^ r) & (b ^ r), size))
		*flags |= FLAG_OF;
	return r;
}

static uint64_t subtract(uint64_t a, uint64_t b, uint64_t borrow, unsigned size, uint64_t *flags)
{
	uint64_t r = (a - b - borrow) & mask_bytes(size);

	*flags = result_flags(r, size) | ((a ^ b ^ r) & FLAG_AF);
	if (top_bit((~a & b) | ((~a | b) & r), size))
		*flags |= FLAG_CF;
	if (top_bit((a ^ b) & (a ^ r), size))
		*flags |= FLAG_OF;
	return r;
}

/* AF is undefined after a logical operation; CPUs clear it. */
static uint64_t logical(uint64_t r, unsigned size, uint64_t *flags)
{
	*flags = result_flags(r, size);
	return r;
}

/* *flags: the old ones in, the new status flags out. */
static uint64_t compute(enum insn_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
	uint64_t carry = *flags & FLAG_CF;

	switch (op) {
	case INSN_ADD: return add(a, b, 0, size, flags);
	case INSN_ADC: return add(a, b, carry, size, flags);
	case INSN_SUB:
	case INSN_CMP: return subtract(a, b, 0, size, flags);
	case INSN_SBB: return subtract(a, b, carry, size, flags);
	case INSN_OR: return logical(a | b, size, flags);
	case INSN_XOR: return logical(a ^ b, size, flags);
	default: /* AND, TEST */ return logical(a & b, size, flags);
	}
}

/* ---- Instructions ---- */

typedef enum emulate_status (*execute_fn)(struct emulate *e, const struct insn *insn);

static enum emulate_status execute_mov(struct emulate *e, const struct insn *insn)
{
	struct emulate_span span;
	bool loads = insn->form == INSN_FORM_REG_MEM;
	enum emulate_status status = operand(e, insn, loads ? 0 : WALK_WRITE, &span);

	if (status != EMULATE_DONE)
		return status;
	if (loads)
		set_register(e, insn->reg, insn->size, insn->high, emulate_read(e, &span));
	else if (insn->form == INSN_FORM_MEM_SREG)
		emulate_write(e, &span, get(e, EMULATE_SELECTOR + insn->reg));
	else
		emulate_write(e, &span, other(e, insn));
	return EMULATE_DONE;
}

/* MOVZX, MOVSX, MOVSXD. */
static enum emulate_status execute_extend(struct emulate *e, const struct insn *insn)
{
	struct emulate_span span;
	enum emulate_status status = operand(e, insn, 0, &span);
	unsigned unused = 64 - 8 * insn->memory_size;
	uint64_t value;

	if (status != EMULATE_DONE)
		return status;
	value = emulate_read(e, &span);
	if (insn->op == INSN_MOVSX)
		value = (uint64_t)((int64_t)(value << unused) >> unused);
	set_register(e, insn->reg, insn->size, 0, value);
	return EMULATE_DONE;
}

static uint64_t swapped(uint64_t value, unsigned size)
{
	return __builtin_bswap64(value) >> (64 - 8 * size);
}

static enum emulate_status execute_movbe(struct emulate *e, const struct insn *insn)
{
	struct emulate_span span;
	bool loads = insn->form == INSN_FORM_REG_MEM;
	enum emulate_status status = operand(e, insn, loads ? 0 : WALK_WRITE, &span);

	if (status != EMULATE_DONE)
		return status;
	if (loads)
		set_register(e, insn->reg, insn->size, 0,
			     swapped(emulate_read(e, &span), insn->size));
	else
		emulate_write(e, &span, swapped(other(e, insn), insn->size));
	return EMULATE_DONE;
}

/* The eight of the first opcode rows, and TEST. */
static enum emulate_status execute_arithmetic(struct emulate *e, const struct insn *insn)
{
	bool keeps = insn->op == INSN_CMP || insn->op == INSN_TEST;
	bool to_register = insn->form == INSN_FORM_REG_MEM;
	struct emulate_span span;
	enum emulate_status status = operand(e, insn, keeps || to_register ? 0 : WALK_WRITE, &span);
	uint64_t in_memory, value, flags;

	if (status != EMULATE_DONE)
		return status;
	in_memory = emulate_read(e, &span);
	value = other(e, insn);
	flags = get(e, EMULATE_RFLAGS);
	if (to_register)
		value = compute((enum insn_op)insn->op, value, in_memory, insn->size, &flags);
	else
		value = compute((enum insn_op)insn->op, in_memory, value, insn->size, &flags);
	if (!keeps && to_register)
		set_register(e, insn->reg, insn->size, insn->high, value);
	else if (!keeps)
		emulate_write(e, &span, value);
	set_status(e, flags);
	return EMULATE_DONE;
}

/* NOT changes no flag, INC and DEC not CF. */
static enum emulate_status execute_unary(struct emulate *e, const struct insn *insn)
{
	struct emulate_span span;
	enum emulate_status status = operand(e, insn, WALK_WRITE, &span);
	uint64_t value, flags, carry;

	if (status != EMULATE_DONE)
		return status;
	value = emulate_read(e, &span);
	if (insn->op == INSN_NOT) {
		emulate_write(e, &span, ~value);
		return EMULATE_DONE;
	}
	carry = get(e, EMULATE_RFLAGS) & FLAG_CF;
	if (insn->op == INSN_NEG) {
		value = subtract(0, value, 0, insn->size, &flags);
	} else {
		value = insn->op == INSN_INC ? add(value, 1, 0, insn->size, &flags)
					     : subtract(value, 1, 0, insn->size, &flags);
		flags = (flags & ~FLAG_CF) | carry;
	}
	emulate_write(e, &span, value);
	set_status(e, flags);
	return EMULATE_DONE;
}

/*
 * A bit offset in a register is signed and may reach beyond the operand: SDM volume 2, 'BT'. The
 * other status flags are undefined or unchanged; they are left as they are.
 */
static enum emulate_status execute_bit(struct emulate *e, const struct insn *insn)
{
	unsigned bits = 8 * insn->size, unused = 64 - bits;
	int64_t offset = (int64_t)(other(e, insn) << unused) >> unused;
	uint64_t address = effective_address(e, insn);
	uint64_t mask = BIT((uint64_t)offset % bits);
	uint64_t value, flags;
	struct emulate_span span;
	enum emulate_status status;

	if (insn->form == INSN_FORM_MEM_REG)
		address += (uint64_t)(offset >> __builtin_ctz(bits)) * insn->size;
	status = make_span(e, (enum insn_segment)insn->segment,
			   address & mask_bytes(insn->address_size), insn->size,
			   insn->op == INSN_BT ? 0 : WALK_WRITE, &span);
	if (status != EMULATE_DONE)
		return status;
	value = emulate_read(e, &span);
	flags = (get(e, EMULATE_RFLAGS) & ~FLAG_CF) | (value & mask ? FLAG_CF : 0);
	if (insn->op == INSN_BTS)
		emulate_write(e, &span, value | mask);
	else if (insn->op == INSN_BTR)
		emulate_write(e, &span, value & ~mask);
	else if (insn->op == INSN_BTC)
		emulate_write(e, &span, value ^ mask);
	set_status(e, flags);
	return EMULATE_DONE;
}

/* XCHG and XADD. */
static enum emulate_status execute_exchange(struct emulate *e, const struct insn *insn)
{
	struct emulate_span span;
	enum emulate_status status = operand(e, insn, WALK_WRITE, &span);
	uint64_t old, value, flags;

	if (status != EMULATE_DONE)
		return status;
	old = emulate_read(e, &span);
	value = other(e, insn);
	if (insn->op == INSN_XADD) {
		value = add(old, value, 0, insn->size, &flags);
		set_status(e, flags);
	}
	emulate_write(e, &span, value);
	set_register(e, insn->reg, insn->size, insn->high, old);
	return EMULATE_DONE;
}

/* Memory is written in either case, with its old value when the comparison failed. */
static enum emulate_status execute_cmpxchg(struct emulate *e, const struct insn *insn)
{
	struct emulate_span span;
	enum emulate_status status = operand(e, insn, WALK_WRITE, &span);
	uint64_t old, flags;

	if (status != EMULATE_DONE)
		return status;
	old = emulate_read(e, &span);
	subtract(get_register(e, RAX, insn->size, 0), old, 0, insn->size, &flags);
	emulate_write(e, &span, flags & FLAG_ZF ? other(e, insn) : old);
	if (!(flags & FLAG_ZF))
		set_register(e, RAX, insn->size, 0, old);
	set_status(e, flags);
	return EMULATE_DONE;
}

/* ---- String instructions ---- */

static bool uses_source(enum insn_op op)
{
	return op == INSN_MOVS || op == INSN_CMPS || op == INSN_LODS;
}

static bool uses_destination(enum insn_op op)
{
	return op != INSN_LODS;
}

static bool compares(enum insn_op op)
{
	return op == INSN_CMPS || op == INSN_SCAS;
}

static enum emulate_status string_span(struct emulate *e, const struct insn *insn, unsigned reg,
				       struct emulate_span *span)
{
	bool stores = reg == RDI && !compares((enum insn_op)insn->op);
	unsigned segment = reg == RDI ? SEGMENT_ES : insn->segment;

	return make_span(e, (enum insn_segment)segment, get_register(e, reg, insn->address_size, 0),
			 insn->size, stores ? WALK_WRITE : 0, span);
}

static void string_move(struct emulate *e, const struct insn *insn,
			const struct emulate_span *source, const struct emulate_span *destination,
			uint64_t *flags)
{
	uint64_t accumulator = get_register(e, RAX, insn->size, 0);

	switch ((enum insn_op)insn->op) {
	case INSN_MOVS: emulate_write(e, destination, emulate_read(e, source)); break;
	case INSN_STOS: emulate_write(e, destination, accumulator); break;
	case INSN_LODS: set_register(e, RAX, insn->size, 0, emulate_read(e, source)); break;
	case INSN_CMPS: accumulator = emulate_read(e, source); /* fall through */
	default: subtract(accumulator, emulate_read(e, destination), 0, insn->size, flags);
	}
}

static void advance(struct emulate *e, const struct insn *insn, unsigned reg)
{
	uint64_t step = get(e, EMULATE_RFLAGS) & RFLAGS_DF ? 0ULL - insn->size : insn->size;

	set_register(e, reg, insn->address_size, 0, e->gpr[reg] + step);
}

static enum emulate_status string_step(struct emulate *e, const struct insn *insn, uint64_t *flags)
{
	enum insn_op op = (enum insn_op)insn->op;
	struct emulate_span source, destination;
	enum emulate_status status = EMULATE_DONE;

	if (uses_source(op))
		status = string_span(e, insn, RSI, &source);
	if (status == EMULATE_DONE && uses_destination(op))
		status = string_span(e, insn, RDI, &destination);
	if (status != EMULATE_DONE)
		return status;
	string_move(e, insn, &source, &destination, flags);
	if (uses_source(op))
		advance(e, insn, RSI);
	if (uses_destination(op))
		advance(e, insn, RDI);
	return EMULATE_DONE;
}

/* REPE goes on while ZF is set, REPNE while it is clear; the others take both for REP. */
static bool repeats(const struct insn *insn, uint64_t flags)
{
	if (!compares((enum insn_op)insn->op))
		return true;
	return !(flags & FLAG_ZF) == !(insn->prefixes & INSN_REP);
}

/* A fault or the end of a slice leaves the flags alone: the instruction will run again. */
static enum emulate_status execute_string(struct emulate *e, const struct insn *insn)
{
	bool repeated = insn->prefixes & (INSN_REP | INSN_REPNE);
	uint64_t flags = get(e, EMULATE_RFLAGS);

	for (unsigned i = 0;; i++) {
		enum emulate_status status;

		if (repeated && !get_register(e, RCX, insn->address_size, 0))
			break;
		if (i == EMULATE_SLICE)
			return EMULATE_AGAIN;
		status = string_step(e, insn, &flags);
		if (status != EMULATE_DONE)
			return status;
		if (!repeated)
			break;
		set_register(e, RCX, insn->address_size, 0, e->gpr[RCX] - 1);
		if (!repeats(insn, flags))
			break;
	}
	if (compares((enum insn_op)insn->op))
		set_status(e, flags);
	return EMULATE_DONE;
}

static const execute_fn execute[INSN_OPS] = {
	[INSN_ADD... INSN_TEST] = execute_arithmetic,
	[INSN_NOT... INSN_DEC] = execute_unary,
	[INSN_BT... INSN_BTC] = execute_bit,
	[INSN_MOV] = execute_mov,
	[INSN_MOVZX] = execute_extend,
	[INSN_MOVSX] = execute_extend,
	[INSN_MOVBE] = execute_movbe,
	[INSN_XCHG] = execute_exchange,
	[INSN_XADD] = execute_exchange,
	[INSN_CMPXCHG] = execute_cmpxchg,
	[INSN_MOVS... INSN_SCAS] = execute_string,
};

/* ---- Fetch ---- */

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

	status = walk_guest(e, linear, WALK_FETCH, &gpa, &record);
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
static enum emulate_status fetch(struct emulate *e, struct insn *insn)
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
		else if (!canonical(e, linear))
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

enum emulate_status emulate(struct emulate *e, struct emulate_result *result)
{
	struct insn insn;
	enum emulate_status status;

	e->result = result;
	e->mode = (uint8_t)emulate_mode(e);
	result->code_length = 0;
	status = fetch(e, &insn);
	if (status != EMULATE_DONE)
		return status;
	result->length = insn.length;
	return execute[insn.op](e, &insn);
}
