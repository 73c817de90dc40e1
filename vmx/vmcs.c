/* SPDX-License-Identifier: MIT */
/* VMX instructions and the names of VMCS fields. */
#include "vmx/vmcs.h"

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/string.h"

static const uint16_t encodings[] = {
#define VMCS_ENCODING(name, value) value,
	VMCS_FIELDS(VMCS_ENCODING)
#undef VMCS_ENCODING
};

/* One after another, each ended by a NUL. */
static const char names[] =
#define VMCS_NAME(name, value) #name "\0"
	VMCS_FIELDS(VMCS_NAME)
#undef VMCS_NAME
	;

vmcs_field vmcs_field_at(enum vmcs_index index)
{
	return (vmcs_field){encodings[index]};
}

const char *vmcs_index_name(enum vmcs_index index)
{
	const char *name = names;

	for (unsigned i = 0; i < (unsigned)index; i++)
		name += strlen(name) + 1;
	return name;
}

static const char *field_name(vmcs_field field)
{
	unsigned i = 0;

	/* Every vmcs_field is in the table. */
	while (encodings[i] != field.encoding)
		i++;
	return vmcs_index_name((enum vmcs_index)i);
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

_Noreturn void vmcs_read_failed(vmcs_field field)
{
	panic("VMREAD of %s (0x%x): %s", field_name(field), field.encoding, last_error());
}

_Noreturn void vmcs_write_failed(vmcs_field field, uint64_t value)
{
	panic("VMWRITE of 0x%lx to %s (0x%x): %s", value, field_name(field), field.encoding,
	      last_error());
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
		length += format(line + length, sizeof(line) - length, "%s=%lx ",
				 vmcs_index_name((enum vmcs_index)i), value);
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
	static const char *const words[] = {
		[0] = "no error recorded",
		[1] = "VMCALL executed in VMX root operation",
		[2] = "VMCLEAR with invalid physical address",
		[3] = "VMCLEAR with VMXON pointer",
		[4] = "VMLAUNCH with non-clear VMCS",
		[5] = "VMRESUME with non-launched VMCS",
		[6] = "VMRESUME after VMXOFF",
		[7] = "VM entry with invalid control fields",
		[8] = "VM entry with invalid host-state fields",
		[9] = "VMPTRLD with invalid physical address",
		[10] = "VMPTRLD with VMXON pointer",
		[11] = "VMPTRLD with incorrect VMCS revision identifier",
		[12] = "VMREAD or VMWRITE of an unsupported VMCS component",
		[13] = "VMWRITE to a read-only VMCS component",
		[15] = "VMXON executed in VMX root operation",
		[16] = "VM entry with invalid executive-VMCS pointer",
		[17] = "VM entry with non-launched executive VMCS",
		[18] = "VM entry with executive-VMCS pointer not VMXON pointer",
		[19] = "VMCALL with non-clear VMCS",
		[20] = "VMCALL with invalid VM-exit control fields",
		[22] = "VMCALL with incorrect MSEG revision identifier",
		[23] = "VMXOFF under dual-monitor treatment of SMIs and SMM",
		[24] = "VMCALL with invalid SMM-monitor features",
		[25] = "VM entry with invalid VM-execution control fields in executive VMCS",
		[26] = "VM entry with events blocked by MOV SS",
		[28] = "invalid operand to INVEPT or INVVPID",
	};

	return number < ARRAY_SIZE(words) && words[number] ? words[number] : "unknown error number";
}
