/* SPDX-License-Identifier: MIT */
/*
 * The fields of a VMCS, each with its name, encoding and place, and access to those of the current
 * one. An encoding is a type of its own, so that it cannot be taken for a value.
 * Intel SDM volume 3, "Virtual Machine Control Structures"; appendix B, "Field Encoding in VMCS".
 */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
	uint32_t encoding;
} vmcs_field;

enum vmcs_group { VMCS_CONTROL, VMCS_HOST, VMCS_GUEST, VMCS_EXIT };

/* X(name, encoding, group), grouped as the SDM groups them. */
#define VMCS_CONTROL_FIELDS(X)                        \
	X(VPID, 0x0000, VMCS_CONTROL)                 \
	X(IO_BITMAP_A, 0x2000, VMCS_CONTROL)          \
	X(IO_BITMAP_B, 0x2002, VMCS_CONTROL)          \
	X(MSR_BITMAP, 0x2004, VMCS_CONTROL)           \
	X(EXIT_MSR_STORE, 0x2006, VMCS_CONTROL)       \
	X(EXIT_MSR_LOAD, 0x2008, VMCS_CONTROL)        \
	X(ENTRY_MSR_LOAD, 0x200a, VMCS_CONTROL)       \
	X(TSC_OFFSET, 0x2010, VMCS_CONTROL)           \
	X(VIRTUAL_APIC, 0x2012, VMCS_CONTROL)         \
	X(APIC_ACCESS, 0x2014, VMCS_CONTROL)          \
	X(EPT_POINTER, 0x201a, VMCS_CONTROL)          \
	X(EOI_EXIT_BITMAP0, 0x201c, VMCS_CONTROL)     \
	X(EOI_EXIT_BITMAP1, 0x201e, VMCS_CONTROL)     \
	X(EOI_EXIT_BITMAP2, 0x2020, VMCS_CONTROL)     \
	X(EOI_EXIT_BITMAP3, 0x2022, VMCS_CONTROL)     \
	X(PIN_CONTROLS, 0x4000, VMCS_CONTROL)         \
	X(PROC_CONTROLS, 0x4002, VMCS_CONTROL)        \
	X(EXCEPTION_BITMAP, 0x4004, VMCS_CONTROL)     \
	X(PF_ERROR_MASK, 0x4006, VMCS_CONTROL)        \
	X(PF_ERROR_MATCH, 0x4008, VMCS_CONTROL)       \
	X(CR3_TARGET_COUNT, 0x400a, VMCS_CONTROL)     \
	X(EXIT_CONTROLS, 0x400c, VMCS_CONTROL)        \
	X(EXIT_MSR_STORE_COUNT, 0x400e, VMCS_CONTROL) \
	X(EXIT_MSR_LOAD_COUNT, 0x4010, VMCS_CONTROL)  \
	X(ENTRY_CONTROLS, 0x4012, VMCS_CONTROL)       \
	X(ENTRY_MSR_LOAD_COUNT, 0x4014, VMCS_CONTROL) \
	X(ENTRY_INTR_INFO, 0x4016, VMCS_CONTROL)      \
	X(ENTRY_ERROR_CODE, 0x4018, VMCS_CONTROL)     \
	X(ENTRY_INSN_LENGTH, 0x401a, VMCS_CONTROL)    \
	X(TPR_THRESHOLD, 0x401c, VMCS_CONTROL)        \
	X(PLE_GAP, 0x4020, VMCS_CONTROL)              \
	X(PLE_WINDOW, 0x4022, VMCS_CONTROL)           \
	X(PROC2_CONTROLS, 0x401e, VMCS_CONTROL)       \
	X(CR0_MASK, 0x6000, VMCS_CONTROL)             \
	X(CR4_MASK, 0x6002, VMCS_CONTROL)             \
	X(CR0_SHADOW, 0x6004, VMCS_CONTROL)           \
	X(CR4_SHADOW, 0x6006, VMCS_CONTROL)

#define VMCS_HOST_FIELDS(X)                     \
	X(HOST_ES_SELECTOR, 0x0c00, VMCS_HOST)  \
	X(HOST_CS_SELECTOR, 0x0c02, VMCS_HOST)  \
	X(HOST_SS_SELECTOR, 0x0c04, VMCS_HOST)  \
	X(HOST_DS_SELECTOR, 0x0c06, VMCS_HOST)  \
	X(HOST_FS_SELECTOR, 0x0c08, VMCS_HOST)  \
	X(HOST_GS_SELECTOR, 0x0c0a, VMCS_HOST)  \
	X(HOST_TR_SELECTOR, 0x0c0c, VMCS_HOST)  \
	X(HOST_PAT, 0x2c00, VMCS_HOST)          \
	X(HOST_EFER, 0x2c02, VMCS_HOST)         \
	X(HOST_SYSENTER_CS, 0x4c00, VMCS_HOST)  \
	X(HOST_CR0, 0x6c00, VMCS_HOST)          \
	X(HOST_CR3, 0x6c02, VMCS_HOST)          \
	X(HOST_CR4, 0x6c04, VMCS_HOST)          \
	X(HOST_FS_BASE, 0x6c06, VMCS_HOST)      \
	X(HOST_GS_BASE, 0x6c08, VMCS_HOST)      \
	X(HOST_TR_BASE, 0x6c0a, VMCS_HOST)      \
	X(HOST_GDTR_BASE, 0x6c0c, VMCS_HOST)    \
	X(HOST_IDTR_BASE, 0x6c0e, VMCS_HOST)    \
	X(HOST_SYSENTER_ESP, 0x6c10, VMCS_HOST) \
	X(HOST_SYSENTER_EIP, 0x6c12, VMCS_HOST) \
	X(HOST_RSP, 0x6c14, VMCS_HOST)          \
	X(HOST_RIP, 0x6c16, VMCS_HOST)

#define VMCS_GUEST_FIELDS(X)                          \
	X(GUEST_ES_SELECTOR, 0x0800, VMCS_GUEST)      \
	X(GUEST_CS_SELECTOR, 0x0802, VMCS_GUEST)      \
	X(GUEST_SS_SELECTOR, 0x0804, VMCS_GUEST)      \
	X(GUEST_DS_SELECTOR, 0x0806, VMCS_GUEST)      \
	X(GUEST_FS_SELECTOR, 0x0808, VMCS_GUEST)      \
	X(GUEST_GS_SELECTOR, 0x080a, VMCS_GUEST)      \
	X(GUEST_LDTR_SELECTOR, 0x080c, VMCS_GUEST)    \
	X(GUEST_TR_SELECTOR, 0x080e, VMCS_GUEST)      \
	X(GUEST_INTERRUPT_STATUS, 0x0810, VMCS_GUEST) \
	X(VMCS_LINK_POINTER, 0x2800, VMCS_GUEST)      \
	X(GUEST_DEBUGCTL, 0x2802, VMCS_GUEST)         \
	X(GUEST_PAT, 0x2804, VMCS_GUEST)              \
	X(GUEST_EFER, 0x2806, VMCS_GUEST)             \
	X(GUEST_PDPTE0, 0x280a, VMCS_GUEST)           \
	X(GUEST_PDPTE1, 0x280c, VMCS_GUEST)           \
	X(GUEST_PDPTE2, 0x280e, VMCS_GUEST)           \
	X(GUEST_PDPTE3, 0x2810, VMCS_GUEST)           \
	X(GUEST_ES_LIMIT, 0x4800, VMCS_GUEST)         \
	X(GUEST_CS_LIMIT, 0x4802, VMCS_GUEST)         \
	X(GUEST_SS_LIMIT, 0x4804, VMCS_GUEST)         \
	X(GUEST_DS_LIMIT, 0x4806, VMCS_GUEST)         \
	X(GUEST_FS_LIMIT, 0x4808, VMCS_GUEST)         \
	X(GUEST_GS_LIMIT, 0x480a, VMCS_GUEST)         \
	X(GUEST_LDTR_LIMIT, 0x480c, VMCS_GUEST)       \
	X(GUEST_TR_LIMIT, 0x480e, VMCS_GUEST)         \
	X(GUEST_GDTR_LIMIT, 0x4810, VMCS_GUEST)       \
	X(GUEST_IDTR_LIMIT, 0x4812, VMCS_GUEST)       \
	X(GUEST_ES_RIGHTS, 0x4814, VMCS_GUEST)        \
	X(GUEST_CS_RIGHTS, 0x4816, VMCS_GUEST)        \
	X(GUEST_SS_RIGHTS, 0x4818, VMCS_GUEST)        \
	X(GUEST_DS_RIGHTS, 0x481a, VMCS_GUEST)        \
	X(GUEST_FS_RIGHTS, 0x481c, VMCS_GUEST)        \
	X(GUEST_GS_RIGHTS, 0x481e, VMCS_GUEST)        \
	X(GUEST_LDTR_RIGHTS, 0x4820, VMCS_GUEST)      \
	X(GUEST_TR_RIGHTS, 0x4822, VMCS_GUEST)        \
	X(GUEST_INTERRUPTIBILITY, 0x4824, VMCS_GUEST) \
	X(GUEST_ACTIVITY, 0x4826, VMCS_GUEST)         \
	X(GUEST_SYSENTER_CS, 0x482a, VMCS_GUEST)      \
	X(PREEMPTION_TIMER, 0x482e, VMCS_GUEST)       \
	X(GUEST_CR0, 0x6800, VMCS_GUEST)              \
	X(GUEST_CR3, 0x6802, VMCS_GUEST)              \
	X(GUEST_CR4, 0x6804, VMCS_GUEST)              \
	X(GUEST_ES_BASE, 0x6806, VMCS_GUEST)          \
	X(GUEST_CS_BASE, 0x6808, VMCS_GUEST)          \
	X(GUEST_SS_BASE, 0x680a, VMCS_GUEST)          \
	X(GUEST_DS_BASE, 0x680c, VMCS_GUEST)          \
	X(GUEST_FS_BASE, 0x680e, VMCS_GUEST)          \
	X(GUEST_GS_BASE, 0x6810, VMCS_GUEST)          \
	X(GUEST_LDTR_BASE, 0x6812, VMCS_GUEST)        \
	X(GUEST_TR_BASE, 0x6814, VMCS_GUEST)          \
	X(GUEST_GDTR_BASE, 0x6816, VMCS_GUEST)        \
	X(GUEST_IDTR_BASE, 0x6818, VMCS_GUEST)        \
	X(GUEST_DR7, 0x681a, VMCS_GUEST)              \
	X(GUEST_RSP, 0x681c, VMCS_GUEST)              \
	X(GUEST_RIP, 0x681e, VMCS_GUEST)              \
	X(GUEST_RFLAGS, 0x6820, VMCS_GUEST)           \
	X(GUEST_PENDING_DEBUG, 0x6822, VMCS_GUEST)    \
	X(GUEST_SYSENTER_ESP, 0x6824, VMCS_GUEST)     \
	X(GUEST_SYSENTER_EIP, 0x6826, VMCS_GUEST)

#define VMCS_EXIT_FIELDS(X)                            \
	X(GUEST_PHYSICAL_ADDRESS, 0x2400, VMCS_EXIT)   \
	X(INSTRUCTION_ERROR, 0x4400, VMCS_EXIT)        \
	X(EXIT_REASON, 0x4402, VMCS_EXIT)              \
	X(EXIT_INTR_INFO, 0x4404, VMCS_EXIT)           \
	X(EXIT_INTR_ERROR_CODE, 0x4406, VMCS_EXIT)     \
	X(IDT_VECTORING_INFO, 0x4408, VMCS_EXIT)       \
	X(IDT_VECTORING_ERROR_CODE, 0x440a, VMCS_EXIT) \
	X(EXIT_INSN_LENGTH, 0x440c, VMCS_EXIT)         \
	X(EXIT_INSN_INFO, 0x440e, VMCS_EXIT)           \
	X(EXIT_QUALIFICATION, 0x6400, VMCS_EXIT)       \
	X(GUEST_LINEAR_ADDRESS, 0x640a, VMCS_EXIT)

#define VMCS_FIELDS(X) \
	VMCS_CONTROL_FIELDS(X) VMCS_HOST_FIELDS(X) VMCS_GUEST_FIELDS(X) VMCS_EXIT_FIELDS(X)

#define VMCS_DEFINE(name, value, group) static const vmcs_field name = {value};
VMCS_FIELDS(VMCS_DEFINE)
#undef VMCS_DEFINE

/*
 * Segment fields come in eight's, ES CS SS DS FS GS LDTR TR, the encodings 2 apart: the field of
 * segment `index` from that of ES.
 */
static inline vmcs_field vmcs_segment(vmcs_field es, unsigned index)
{
	return (vmcs_field){es.encoding + 2 * index};
}
enum { VMCS_SEGMENT_CS = 1, VMCS_SEGMENT_SS = 2, VMCS_SEGMENT_LDTR = 6, VMCS_SEGMENT_TR = 7 };

/* A field that VMREAD or VMWRITE refuses is a bug of ours: these two panic and name it. */
_Noreturn void vmcs_read_failed(vmcs_field field);
_Noreturn void vmcs_write_failed(vmcs_field field, uint64_t value);

static inline uint64_t vmcs_read(vmcs_field field)
{
	uint64_t value;

	__asm__ goto("vmread %1, %0\n\tjbe %l2"
		     : "=r"(value)
		     : "r"((uint64_t)field.encoding)
		     : "cc"
		     : failed);
	return value;
failed:
	vmcs_read_failed(field);
}

static inline void vmcs_write(vmcs_field field, uint64_t value)
{
	__asm__ goto("vmwrite %1, %0\n\tjbe %l2"
		     :
		     : "r"((uint64_t)field.encoding), "rm"(value)
		     : "cc"
		     : failed);
	return;
failed:
	vmcs_write_failed(field, value);
}

/* False instead of a panic; for dumps on a CPU that may not have the field. */
bool vmcs_try_read(vmcs_field field, uint64_t *value);

/* The field's name, "?" for none. */
const char *vmcs_field_name(vmcs_field field);
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
