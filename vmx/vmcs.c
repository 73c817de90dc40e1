/* SPDX-License-Identifier: MIT */
/* VMX instructions and the names of VMCS fields. */
#include "vmx/vmcs.h"

#include "arch/x86_64/traps.h"
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/words.h"
#include "lib/x86.h"

static const uint16_t encodings[] = {
#define VMCS_ENCODING(prefix, name, value) value,
	VMCS_FIELDS(VMCS_ENCODING)
#undef VMCS_ENCODING
};

/* Without "GUEST_" and "HOST_". */
static const char names[] =
#define VMCS_NAME(prefix, name, value) #name "\0"
	VMCS_FIELDS(VMCS_NAME)
#undef VMCS_NAME
	;

vmcs_field vmcs_field_at(enum vmcs_index index)
{
	return (vmcs_field){encodings[index]};
}

const char *vmcs_name_prefix(enum vmcs_index index)
{
	if (index >= FIELD_GUEST_ES_SELECTOR && index <= FIELD_GUEST_SSP_TABLE)
		return "GUEST_";
	return index >= FIELD_HOST_ES_SELECTOR && index <= FIELD_HOST_SSP_TABLE ? "HOST_" : "";
}

const char *vmcs_name(enum vmcs_index index)
{
	return word_at(names, index);
}

bool vmcs_try_read(vmcs_field field, uint64_t *value)
{
	bool ok;

	__asm__ volatile("vmread %2, %0; seta %1"
			 : "=r"(*value), "=qm"(ok)
			 : "r"((uint64_t)field.encoding)
			 : "cc");
	return ok;
}

/* Why the last VMX instruction failed, when there is a current VMCS to tell. */
static const char *last_error(void)
{
	uint64_t number;

	if (!vmcs_try_read(INSTRUCTION_ERROR, &number))
		return "no current VMCS";
	return vmx_instruction_error(number);
}

void vmcs_explain(const struct trap_frame *frame)
{
	/* VMREAD (0F 78) or VMWRITE (0F 79) of registers, and JA over the UD2. */
	const uint8_t *before = (const uint8_t *)frame->rip - 5;

	if (frame->vector != VECTOR_UD || before[0] != 0x0f || (before[1] | 1) != 0x79)
		return;
	for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
		if (encodings[i] == frame->rax)
			log_error("panic: %s of %s%s (0x%lx): %s",
				  before[1] & 1 ? "VMWRITE" : "VMREAD",
				  vmcs_name_prefix((enum vmcs_index)i),
				  vmcs_name((enum vmcs_index)i), frame->rax, last_error());
}

void vmcs_dump(enum vmcs_group group)
{
	char line[160];
	size_t length = 0;

	for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
		uint64_t value;

		if (bits_get(encodings[i], 11, 10) != group ||
		    !vmcs_try_read(vmcs_field_at((enum vmcs_index)i), &value))
			continue;
		if (length > 80) {
			log_error("  %s", line);
			length = 0;
		}
		length += format(line + length, sizeof(line) - length, "%s%s=%lx ",
				 vmcs_name_prefix((enum vmcs_index)i),
				 vmcs_name((enum vmcs_index)i), value);
	}
	if (length)
		log_error("  %s", line);
}

bool vmx_on(uint64_t region)
{
	bool ok;

	__asm__ volatile("vmxon %1; seta %0" : "=qm"(ok) : "m"(region) : "cc", "memory");
	return ok;
}

bool vmx_invept(enum invept_type type, uint64_t eptp)
{
	const struct {
		uint64_t eptp, reserved;
	} descriptor = {eptp, 0};
	bool ok;

	__asm__ volatile("invept %1, %2; seta %0"
			 : "=qm"(ok)
			 : "m"(descriptor), "r"((uint64_t)type)
			 : "cc", "memory");
	return ok;
}

bool vmx_invvpid(enum invvpid_type type, uint16_t vpid, uint64_t address)
{
	const struct {
		uint64_t vpid, address;
	} descriptor = {vpid, address};
	bool ok;

	__asm__ volatile("invvpid %1, %2; seta %0"
			 : "=qm"(ok)
			 : "m"(descriptor), "r"((uint64_t)type)
			 : "cc", "memory");
	return ok;
}

/* SDM volume 3, "VM Instruction Error Numbers". */
const char *vmx_instruction_error(uint64_t number)
{
	static const char words[] = "no error recorded\0"
				    "VMCALL executed in VMX root operation\0"
				    "VMCLEAR with invalid physical address\0"
				    "VMCLEAR with VMXON pointer\0"
				    "VMLAUNCH with non-clear VMCS\0"
				    "VMRESUME with non-launched VMCS\0"
				    "VMRESUME after VMXOFF\0"
				    "VM entry with invalid control fields\0"
				    "VM entry with invalid host-state fields\0"
				    "VMPTRLD with invalid physical address\0"
				    "VMPTRLD with VMXON pointer\0"
				    "VMPTRLD with incorrect VMCS revision identifier\0"
				    "VMREAD or VMWRITE of an unsupported VMCS component\0"
				    "VMWRITE to a read-only VMCS component\0"
				    "unknown\0"
				    "VMXON executed in VMX root operation\0"
				    "for SMM\0"
				    "for SMM\0"
				    "for SMM\0"
				    "for SMM\0"
				    "for SMM\0"
				    "unknown\0"
				    "for SMM\0"
				    "for SMM\0"
				    "for SMM\0"
				    "for SMM\0"
				    "VM entry with events blocked by MOV SS\0"
				    "unknown\0"
				    "invalid operand to INVEPT or INVVPID\0";

	return number <= 28 ? word_at(words, (unsigned)number) : "unknown error number";
}
