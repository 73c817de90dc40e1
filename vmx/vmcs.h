/* SPDX-License-Identifier: MIT */
/*
 * Access to the fields of the current VMCS, and the other VMX instructions.
 * Intel SDM volume 3, "Virtual Machine Control Structures".
 */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmx/fields.h"

/*
 * Segment fields come in eight's, ES CS SS DS FS GS LDTR TR, the encodings 2 apart: the field of
 * segment `index` from that of ES.
 */
static inline vmcs_field vmcs_segment(vmcs_field es, unsigned index)
{
	return (vmcs_field){es.encoding + 2 * index};
}

/*
 * A field that VMREAD or VMWRITE refuses is a bug of ours. It ends in UD2, four bytes at each of a
 * hundred places; vmcs_explain finds the field in RAX, and names it.
 */
static inline uint64_t vmcs_read(vmcs_field field)
{
	uint64_t value;

	__asm__ volatile("vmread %1, %0\n\tja 1f\n\tud2\n1:"
			 : "=r"(value)
			 : "a"((uint64_t)field.encoding)
			 : "cc");
	return value;
}

static inline void vmcs_write(vmcs_field field, uint64_t value)
{
	__asm__ volatile("vmwrite %1, %0\n\tja 1f\n\tud2\n1:"
			 :
			 : "a"((uint64_t)field.encoding), "r"(value)
			 : "cc");
}

/* For panic_set_explainer: if it is such a UD2, says which field and why. */
struct trap_frame;
void vmcs_explain(const struct trap_frame *frame);

/* False instead of a panic; for dumps on a CPU that may not have the field. */
bool vmcs_try_read(vmcs_field field, uint64_t *value);

/* The field at that place; its name is in two parts: "HOST_", "GUEST_" or nothing, and the rest. */
vmcs_field vmcs_field_at(enum vmcs_index index);
const char *vmcs_name_prefix(enum vmcs_index index);
const char *vmcs_name(enum vmcs_index index);
/* Prints all fields of a group that the CPU has, at error level, some to a line. */
void vmcs_dump(enum vmcs_group group);

/* VMLAUNCH and VMRESUME are in entry.asm. These return false on VM-fail. */
bool vmx_on(uint64_t region);

static inline bool vmcs_clear(uint64_t vmcs)
{
	bool ok;

	__asm__ volatile("vmclear %1; seta %0" : "=qm"(ok) : "m"(vmcs) : "cc", "memory");
	return ok;
}

static inline bool vmcs_load(uint64_t vmcs)
{
	bool ok;

	__asm__ volatile("vmptrld %1; seta %0" : "=qm"(ok) : "m"(vmcs) : "cc", "memory");
	return ok;
}

enum invept_type { INVEPT_SINGLE = 1, INVEPT_ALL = 2 };
enum invvpid_type { INVVPID_ADDRESS = 0, INVVPID_SINGLE = 1, INVVPID_ALL = 2 };
bool vmx_invept(enum invept_type type, uint64_t eptp);
bool vmx_invvpid(enum invvpid_type type, uint16_t vpid, uint64_t address);

/* The words for the VM-instruction error number of the current VMCS. */
const char *vmx_instruction_error(uint64_t number);

#endif
