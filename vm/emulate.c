/* SPDX-License-Identifier: MIT */
/*
 * Executes one instruction that touches a device page.
 *
 * Operands are spans: checked and translated in full before anything is read or written, so
 * that a fault leaves no trace. Nothing here is atomic towards other vCPUs: a locked operation
 * on a device page is as atomic as its device model, and locked operations on RAM do not exit.
 *
 * Sources: SDM volume 1, 'EFLAGS Register', 'Operand Addressing'; volume 2, the instructions.
 */
#include "vm/emulate.h"

#include "vm/emulate_parts.h"

#define FLAG_CF	     BIT(0)
#define FLAG_PF	     BIT(2)
#define FLAG_AF	     BIT(4)
#define FLAG_ZF	     BIT(6)
#define FLAG_SF	     BIT(7)
#define FLAG_OF	     BIT(11)
#define FLAGS_STATUS (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

static void set_status(struct emulate *e, uint64_t flags)
{
	uint64_t rflags = (get(e, EMULATE_RFLAGS) & ~FLAGS_STATUS) | (flags & FLAGS_STATUS);

	e->value[EMULATE_RFLAGS] = rflags;
	e->ops->set_rflags(e->ctx, rflags);
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
	return emulate_make_span(e, (enum insn_segment)insn->segment, effective_address(e, insn),
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
	status = emulate_make_span(e, (enum insn_segment)insn->segment,
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

	return emulate_make_span(e, (enum insn_segment)segment,
				 get_register(e, reg, insn->address_size, 0), insn->size,
				 stores ? WALK_WRITE : 0, span);
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

/*
 * A fault or the end of a slice leaves the flags alone: the instruction will run again. A single
 * step ends after each iteration, and its handler sees the flags.
 */
static enum emulate_status execute_string(struct emulate *e, const struct insn *insn)
{
	bool repeated = insn->prefixes & (INSN_REP | INSN_REPNE);
	uint64_t flags = get(e, EMULATE_RFLAGS);
	enum emulate_status done = EMULATE_DONE;
	bool steps = flags & RFLAGS_TF;

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
		if (steps && get_register(e, RCX, insn->address_size, 0)) {
			done = EMULATE_AGAIN;
			break;
		}
	}
	if (compares((enum insn_op)insn->op))
		set_status(e, flags);
	return done;
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

enum emulate_status emulate(struct emulate *e, struct emulate_result *result)
{
	struct insn insn;
	enum emulate_status status;

	e->result = result;
	e->mode = (uint8_t)emulate_mode(e);
	result->code_length = 0;
	status = emulate_fetch(e, &insn);
	if (status != EMULATE_DONE)
		return status;
	result->length = insn.length;
	return execute[insn.op](e, &insn);
}
