/* SPDX-License-Identifier: MIT */
/* The emulator's view of the vCPU. */
#include "vmx/guest_cpu.h"

#include "arch/x86_64/cpu.h"
#include "lib/format.h"
#include "lib/string.h"
#include "vmx/board.h"
#include "vmx/dump.h"
#include "vmx/events.h"
#include "vmx/vmcs.h"

static vmcs_field field_of(enum emulate_field field)
{
	switch (field) {
	case EMULATE_RIP: return GUEST_RIP;
	case EMULATE_RFLAGS: return GUEST_RFLAGS;
	case EMULATE_CR0: return GUEST_CR0;
	case EMULATE_CR3: return GUEST_CR3;
	case EMULATE_CR4: return GUEST_CR4;
	case EMULATE_EFER: return GUEST_EFER;
	default: break;
	}
	if (field < EMULATE_SELECTOR)
		return (vmcs_field){GUEST_PDPTE0.encoding + 2 * (field - EMULATE_PDPTE)};
	if (field < EMULATE_BASE)
		return vmcs_segment(GUEST_ES_SELECTOR, field - EMULATE_SELECTOR);
	if (field < EMULATE_LIMIT)
		return vmcs_segment(GUEST_ES_BASE, field - EMULATE_BASE);
	if (field < EMULATE_RIGHTS)
		return vmcs_segment(GUEST_ES_LIMIT, field - EMULATE_LIMIT);
	return vmcs_segment(GUEST_ES_RIGHTS, field - EMULATE_RIGHTS);
}

static uint64_t get(void *ctx, enum emulate_field field)
{
	(void)ctx;
	return vmcs_read(field_of(field));
}

static void set_rflags(void *ctx, uint64_t rflags)
{
	(void)ctx;
	vmcs_write(GUEST_RFLAGS, rflags);
}

static uint64_t mmio_read(void *ctx, uint64_t gpa, unsigned size)
{
	struct vmx_vcpu *v = ctx;

	return pc_mmio_read(&v->vcpu.vm->pc, v->vcpu.id, gpa, size, vmx_now(v));
}

static void mmio_write(void *ctx, uint64_t gpa, unsigned size, uint64_t value)
{
	struct vmx_vcpu *v = ctx;

	pc_mmio_write(&v->vcpu.vm->pc, v->vcpu.id, gpa, size, value, vmx_now(v));
	/* A timer may have been set, of the board or of the local APIC. */
	board_check(v->vcpu.vm);
	v->vcpu.attention |= ATTENTION_TIMER;
}

static const struct emulate_ops ops = {
	.get = get,
	.set_rflags = set_rflags,
	.mmio_read = mmio_read,
	.mmio_write = mmio_write,
};

void guest_cpu_begin(struct vmx_vcpu *v, struct emulate *e)
{
	struct vm *vm = v->vcpu.vm;

	e->ops = &ops;
	e->ctx = v;
	e->memory = &vm->memory;
	e->gpr = v->vcpu.gpr;
	e->fault_valid = false;
	e->physical_bits = cpuid_physical_bits(&vm->cpuid);
	e->have = 0;
	emulate_keep_code(e, &v->code);
	v->vcpu.gpr[GPR_RSP] = vmcs_read(GUEST_RSP);
}

void guest_cpu_end(struct vmx_vcpu *v)
{
	vmcs_write(GUEST_RSP, v->vcpu.gpr[GPR_RSP]);
}

static enum exit_action unsupported(struct vmx_vcpu *v, const struct emulate_result *result)
{
	char code[3 * INSN_BYTES_MAX + 1] = "";
	size_t length = 0;

	for (unsigned i = 0; i < result->code_length; i++)
		length += format(code + length, sizeof(code) - length, " %02x", result->code[i]);
	v->stopped = true;
	vm_end(v->vcpu.vm, VERDICT_CRASH,
	       "instruction at RIP 0x%lx cannot be emulated on device memory (gpa 0x%lx):%s",
	       vmcs_read(GUEST_RIP), vmcs_read(GUEST_PHYSICAL_ADDRESS), code);
	return EXIT_STOP;
}

enum exit_action guest_cpu_result(struct vmx_vcpu *v, enum emulate_status status,
				  const struct emulate_result *result)
{
	switch (status) {
	case EMULATE_DONE: vmx_skip(result->length); return EXIT_RESUME;
	case EMULATE_AGAIN: events_iterate(); return EXIT_RESUME;
	case EMULATE_FAULT:
		if (result->vector == VECTOR_PF)
			write_cr2(result->cr2);
		return vmx_raise(v, result->vector, result->error_code);
	default: return unsupported(v, result);
	}
}

bool guest_cpu_copy(struct vmx_vcpu *v, uint64_t linear, void *data, unsigned size,
		    enum guest_cpu_direction direction, uint32_t *error_code)
{
	struct guest_memory *memory = &v->vcpu.vm->memory;
	const struct walk_state state = {
		.cr0 = vmcs_read(GUEST_CR0),
		.cr3 = vmcs_read(GUEST_CR3),
		.cr4 = vmcs_read(GUEST_CR4),
		.efer = vmcs_read(GUEST_EFER),
		.pdpte = {vmcs_read(GUEST_PDPTE0), vmcs_read(GUEST_PDPTE1), vmcs_read(GUEST_PDPTE2),
			  vmcs_read(GUEST_PDPTE3)},
		.physical_bits = cpuid_physical_bits(&v->vcpu.vm->cpuid),
	};
	bool writes = direction == GUEST_CPU_WRITE;

	for (unsigned done = 0, part; done < size; done += part) {
		uint64_t at = (uint32_t)(linear + done), gpa;

		part = (unsigned)MIN(size - done, PAGE_SIZE - (at & (PAGE_SIZE - 1)));
		if (!walk(&state, memory, at, writes ? WALK_WRITE : 0, &gpa, error_code)) {
			write_cr2(at);
			return false;
		}
		if (writes)
			guest_memory_write(memory, gpa, (uint8_t *)data + done, part);
		else if (!guest_memory_read(memory, gpa, (uint8_t *)data + done, part))
			memset((uint8_t *)data + done, 0xff, part);
	}
	return true;
}
