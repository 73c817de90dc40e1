/* SPDX-License-Identifier: MIT */
/* Exceptions of a virtual CPU. SDM volume 3, "Interrupt and Exception Handling". */
#include "vm/vcpu.h"

bool vcpu_has_error_code(uint8_t vector)
{
	const uint64_t with_code = BIT(VECTOR_DF) | BIT(VECTOR_TS) | BIT(VECTOR_NP) |
				   BIT(VECTOR_SS) | BIT(VECTOR_GP) | BIT(VECTOR_PF) |
				   BIT(VECTOR_AC) | BIT(VECTOR_CP);

	return vector < 32 && (with_code & BIT(vector));
}

enum exception_class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

static enum exception_class class_of(uint8_t vector)
{
	switch (vector) {
	case VECTOR_DE:
	case VECTOR_TS:
	case VECTOR_NP:
	case VECTOR_SS:
	case VECTOR_GP:
	case VECTOR_CP: return CONTRIBUTORY;
	case VECTOR_PF:
	case VECTOR_VE: return PAGE_FAULT;
	case VECTOR_DF: return DOUBLE_FAULT;
	default: return BENIGN;
	}
}

enum vcpu_combination vcpu_combine(uint8_t first, uint8_t second)
{
	enum exception_class a = class_of(first), b = class_of(second);

	if (a == BENIGN || b == BENIGN)
		return VCPU_DELIVER_SECOND;
	if (a == DOUBLE_FAULT)
		return VCPU_SHUTDOWN;
	/* A contributory exception followed by a page fault is delivered as it is. */
	if (a == CONTRIBUTORY && b == PAGE_FAULT)
		return VCPU_DELIVER_SECOND;
	return VCPU_DOUBLE_FAULT;
}

bool vcpu_raise(struct vcpu *vcpu, uint8_t vector, bool has_error_code, uint32_t error_code)
{
	struct vcpu_exception *e = &vcpu->exception;

	if (e->pending) {
		switch (vcpu_combine(e->vector, vector)) {
		case VCPU_SHUTDOWN: return false;
		case VCPU_DOUBLE_FAULT:
			vector = VECTOR_DF;
			has_error_code = true;
			error_code = 0;
			break;
		case VCPU_DELIVER_SECOND: break;
		}
	}
	*e = (struct vcpu_exception){.pending = true,
				     .vector = vector,
				     .has_error_code = has_error_code,
				     .error_code = error_code};
	vcpu->attention |= ATTENTION_EVENT;
	return true;
}
