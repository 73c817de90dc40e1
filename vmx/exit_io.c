/* SPDX-License-Identifier: MIT */
/* Exits of I/O instructions: IN, OUT, and INS and OUTS with all their prefixes. */
#include "vmx/exit.h"

#include "lib/string.h"
#include "vmx/board.h"
#include "vmx/guest_cpu.h"
#include "vmx/vmcs.h"

/* SDM volume 3, "Exit Qualification for I/O Instructions". */
#define IO_SIZE(q) ((unsigned)bits_get(q, 2, 0) + 1)
#define IO_IN	   BIT(3)
#define IO_STRING  BIT(4)
#define IO_REP	   BIT(5)
#define IO_PORT(q) ((uint16_t)((q) >> 16))

struct io_access {
	uint8_t size;
	bool in;
	bool rep;
	uint16_t port;
};

static struct io_access decode(uint64_t qualification)
{
	return (struct io_access){
		.size = (uint8_t)IO_SIZE(qualification),
		.in = qualification & IO_IN,
		.rep = qualification & IO_REP,
		.port = IO_PORT(qualification),
	};
}

/* "VM-Exit Instruction-Information Field" of INS and OUTS. */
struct string_info {
	unsigned address_bytes;
	enum insn_segment segment; /* OUTS only; INS always has ES */
};

static struct string_info decode_string(uint64_t info, bool in)
{
	return (struct string_info){
		.address_bytes = 2u << bits_get(info, 9, 7),
		.segment = in ? SEGMENT_ES : (enum insn_segment)bits_get(info, 17, 15),
	};
}

/* A register of the address size: 16-bit addresses leave the upper bits, 32-bit ones clear them. */
static void add_to_register(uint64_t *gpr, int64_t delta, unsigned address_bytes)
{
	uint64_t sum = *gpr + (uint64_t)delta;

	if (address_bytes == 2)
		*gpr = (*gpr & ~0xffffULL) | (sum & 0xffff);
	else if (address_bytes == 4)
		*gpr = (uint32_t)sum;
	else
		*gpr = sum;
}

/* One element: memory is checked first, so that a fault leaves the device untouched. */
static enum emulate_status move_one(struct vmx_vcpu *v, struct emulate *e,
				    const struct io_access *io, const struct string_info *info,
				    struct emulate_result *result)
{
	uint64_t *index = &e->gpr[io->in ? GPR_RDI : GPR_RSI];
	struct pc *pc = &v->vcpu.vm->pc;
	struct emulate_span span;
	enum emulate_status status =
		emulate_span(e, info->segment, *index & mask_bytes(info->address_bytes), io->size,
			     io->in ? WALK_WRITE : 0, &span, result);

	if (status != EMULATE_DONE)
		return status;
	if (io->in)
		emulate_write(e, &span, pc_port_read(pc, io->port, io->size, vmx_now(v)));
	else
		pc_port_write(pc, io->port, io->size, (uint32_t)emulate_read(e, &span), vmx_now(v));
	return EMULATE_DONE;
}

/*
 * As many elements at once as lie on one page of RAM and within the segment; returns how many were
 * moved. 0: the next one must go alone, and whatever faults is found there.
 */
static unsigned move_many(struct vmx_vcpu *v, struct emulate *e, const struct io_access *io,
			  const struct string_info *info, const struct port_block *block,
			  struct emulate_result *result)
{
	uint64_t mask = mask_bytes(info->address_bytes), count = e->gpr[GPR_RCX] & mask;
	uint64_t at = e->gpr[io->in ? GPR_RDI : GPR_RSI] & mask;
	unsigned access = io->in ? WALK_WRITE : 0;
	struct emulate_span first, last;
	void *host;

	if (emulate_span(e, info->segment, at, io->size, access, &first, result) != EMULATE_DONE)
		return 0;
	count = MIN(count, (PAGE_SIZE - first.gpa[0] % PAGE_SIZE) / io->size);
	if (count < 2 || count * io->size - 1 > mask - at ||
	    emulate_span(e, info->segment, at + (count - 1) * io->size, io->size, access, &last,
			 result) != EMULATE_DONE)
		return 0;
	host = guest_memory_piece(e->memory, first.gpa[0], (unsigned)count * io->size);
	if (!host)
		return 0;
	return pc_port_block(&v->vcpu.vm->pc, block, io->size, io->in ? host : NULL,
			     io->in ? NULL : host, (unsigned)count);
}

static enum emulate_status move_string(struct vmx_vcpu *v, struct emulate *e,
				       const struct io_access *io, struct emulate_result *result)
{
	struct string_info info = decode_string(vmcs_read(EXIT_INSN_INFO), io->in);
	int64_t step = vmcs_read(GUEST_RFLAGS) & RFLAGS_DF ? -(int64_t)io->size : io->size;
	uint64_t mask = mask_bytes(info.address_bytes);
	bool steps = vmcs_read(GUEST_RFLAGS) & RFLAGS_TF;
	const struct port_block *block = NULL;

	if (io->rep && step > 0 && !steps)
		block = bus_find_block(&v->vcpu.vm->pc.bus, io->port);
	for (unsigned i = 0; i < (steps ? 1 : EMULATE_SLICE); i++) {
		enum emulate_status status;
		unsigned many;

		if (io->rep && !(e->gpr[GPR_RCX] & mask))
			return EMULATE_DONE;
		many = block ? move_many(v, e, io, &info, block, result) : 0;
		if (many) {
			add_to_register(&e->gpr[io->in ? GPR_RDI : GPR_RSI], (int64_t)many * step,
					info.address_bytes);
			add_to_register(&e->gpr[GPR_RCX], -(int64_t)many, info.address_bytes);
			continue;
		}
		status = move_one(v, e, io, &info, result);
		if (status != EMULATE_DONE)
			return status;
		add_to_register(&e->gpr[io->in ? GPR_RDI : GPR_RSI], step, info.address_bytes);
		if (!io->rep)
			return EMULATE_DONE;
		add_to_register(&e->gpr[GPR_RCX], -1, info.address_bytes);
		/* The VM may have ended by this very port. */
		if (vcpu_ended(&v->vcpu))
			return EMULATE_AGAIN;
	}
	return e->gpr[GPR_RCX] & mask ? EMULATE_AGAIN : EMULATE_DONE;
}

static enum exit_action string_io(struct vmx_vcpu *v, const struct io_access *io)
{
	struct emulate_result result = {0};
	enum emulate_status status;
	struct emulate e;

	guest_cpu_begin(v, &e);
	status = move_string(v, &e, io, &result);
	result.length = (uint8_t)vmcs_read(EXIT_INSN_LENGTH);
	board_check(v->vcpu.vm);
	return guest_cpu_result(v, status, &result);
}

/* Operands of 1 and 2 bytes leave the rest of RAX; those of 4 clear its upper half. */
static inline void set_rax(uint64_t *rax, uint32_t value, unsigned size)
{
	if (size == 4)
		*rax = value;
	else if (size == 2)
		memcpy(rax, &value, 2);
	else
		*(uint8_t *)rax = (uint8_t)value;
}

/* Strings, and what no device takes whole. */
static __attribute__((noinline)) enum exit_action io_general(struct vmx_vcpu *v,
							     uint64_t qualification)
{
	const struct io_access io = decode(qualification);
	uint64_t *rax = &v->vcpu.gpr[GPR_RAX];
	struct pc *pc = &v->vcpu.vm->pc;

	if (qualification & IO_STRING)
		return string_io(v, &io);
	if (io.in)
		set_rax(rax, pc_port_read(pc, io.port, io.size, vmx_now(v)), io.size);
	else
		pc_port_write(pc, io.port, io.size, (uint32_t)(*rax & mask_bytes(io.size)),
			      vmx_now(v));
	board_check(v->vcpu.vm);
	return EXIT_ADVANCE;
}

/* A device that takes it whole. */
static __attribute__((noinline)) enum exit_action
io_device(struct vmx_vcpu *v, uint64_t qualification, const struct port_range *range)
{
	static const uint32_t masks[] = {0, UINT8_MAX, UINT16_MAX, 0, UINT32_MAX};
	unsigned size = IO_SIZE(qualification);
	uint16_t port = IO_PORT(qualification);
	struct vm *vm = v->vcpu.vm;
	uint64_t *rax = &v->vcpu.gpr[GPR_RAX];

	if (qualification & IO_IN)
		set_rax(rax, pc_range_read(&vm->pc, range, port, size, vmx_now(v)), size);
	else
		pc_range_write(&vm->pc, range, port, size, (uint32_t)*rax & masks[size],
			       vmx_now(v));
	/* Writes set timers; so do reads of the RTC's register C and of the UART's data. */
	board_check_range(vm, range);
	return EXIT_ADVANCE;
}

enum exit_action exit_io(struct vmx_vcpu *v)
{
	uint64_t qualification = vmcs_read(EXIT_QUALIFICATION);
	unsigned size = IO_SIZE(qualification);
	const struct bus *bus = &v->vcpu.vm->pc.bus;
	/* Without the board's lock: ranges move only when the guest moves them. */
	const struct port_range *range = bus_port_find(bus, IO_PORT(qualification));

	if ((qualification & IO_STRING) || !bus_port_fits(range, IO_PORT(qualification), size))
		return io_general(v, qualification);
	if (range != bus->range)
		return io_device(v, qualification, range);
	if (qualification & IO_IN)
		set_rax(&v->vcpu.gpr[GPR_RAX], UINT32_MAX, size);
	return EXIT_ADVANCE;
}
