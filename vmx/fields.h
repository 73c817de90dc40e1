/* SPDX-License-Identifier: MIT */
/*
 * The fields of a VMCS, each with its name and encoding, and a dense index for tables of them. An
 * encoding is a type of its own, so that it cannot be taken for a value. Constants only.
 * Intel SDM volume 3, appendix B, "Field Encoding in VMCS".
 */
#ifndef VMX_FIELDS_H
#define VMX_FIELDS_H

#include <stdint.h>

typedef struct {
	uint32_t encoding;
} vmcs_field;

/* As bits 11:10 of an encoding say it; VMCS_EXIT: read-only. */
enum vmcs_group { VMCS_CONTROL, VMCS_EXIT, VMCS_GUEST, VMCS_HOST };

/* X(prefix, name, encoding), grouped as the SDM groups them. */
#define VMCS_CONTROL_FIELDS(X)            \
	X(, VPID, 0x0000)                 \
	X(, POSTED_VECTOR, 0x0002)        \
	X(, IO_BITMAP_A, 0x2000)          \
	X(, IO_BITMAP_B, 0x2002)          \
	X(, MSR_BITMAP, 0x2004)           \
	X(, EXIT_MSR_STORE, 0x2006)       \
	X(, EXIT_MSR_LOAD, 0x2008)        \
	X(, ENTRY_MSR_LOAD, 0x200a)       \
	X(, PML_ADDRESS, 0x200e)          \
	X(, TSC_OFFSET, 0x2010)           \
	X(, VIRTUAL_APIC, 0x2012)         \
	X(, APIC_ACCESS, 0x2014)          \
	X(, POSTED_DESCRIPTOR, 0x2016)    \
	X(, VM_FUNCTIONS, 0x2018)         \
	X(, EPT_POINTER, 0x201a)          \
	X(, EOI_EXIT_BITMAP0, 0x201c)     \
	X(, EOI_EXIT_BITMAP1, 0x201e)     \
	X(, EOI_EXIT_BITMAP2, 0x2020)     \
	X(, EOI_EXIT_BITMAP3, 0x2022)     \
	X(, EPTP_LIST, 0x2024)            \
	X(, VMREAD_BITMAP, 0x2026)        \
	X(, VMWRITE_BITMAP, 0x2028)       \
	X(, VE_INFORMATION, 0x202a)       \
	X(, SPP_POINTER, 0x2030)          \
	X(, TSC_MULTIPLIER, 0x2032)       \
	X(, PIN_CONTROLS, 0x4000)         \
	X(, PROC_CONTROLS, 0x4002)        \
	X(, EXCEPTION_BITMAP, 0x4004)     \
	X(, PF_ERROR_MASK, 0x4006)        \
	X(, PF_ERROR_MATCH, 0x4008)       \
	X(, CR3_TARGET_COUNT, 0x400a)     \
	X(, EXIT_CONTROLS, 0x400c)        \
	X(, EXIT_MSR_STORE_COUNT, 0x400e) \
	X(, EXIT_MSR_LOAD_COUNT, 0x4010)  \
	X(, ENTRY_CONTROLS, 0x4012)       \
	X(, ENTRY_MSR_LOAD_COUNT, 0x4014) \
	X(, ENTRY_INTR_INFO, 0x4016)      \
	X(, ENTRY_ERROR_CODE, 0x4018)     \
	X(, ENTRY_INSN_LENGTH, 0x401a)    \
	X(, TPR_THRESHOLD, 0x401c)        \
	X(, PLE_GAP, 0x4020)              \
	X(, PLE_WINDOW, 0x4022)           \
	X(, PROC2_CONTROLS, 0x401e)       \
	X(, CR0_MASK, 0x6000)             \
	X(, CR4_MASK, 0x6002)             \
	X(, CR0_SHADOW, 0x6004)           \
	X(, CR4_SHADOW, 0x6006)

#define VMCS_HOST_FIELDS(X)            \
	X(HOST_, ES_SELECTOR, 0x0c00)  \
	X(HOST_, CS_SELECTOR, 0x0c02)  \
	X(HOST_, SS_SELECTOR, 0x0c04)  \
	X(HOST_, DS_SELECTOR, 0x0c06)  \
	X(HOST_, FS_SELECTOR, 0x0c08)  \
	X(HOST_, GS_SELECTOR, 0x0c0a)  \
	X(HOST_, TR_SELECTOR, 0x0c0c)  \
	X(HOST_, PAT, 0x2c00)          \
	X(HOST_, EFER, 0x2c02)         \
	X(HOST_, PERF_GLOBAL, 0x2c04)  \
	X(HOST_, PKRS, 0x2c06)         \
	X(HOST_, SYSENTER_CS, 0x4c00)  \
	X(HOST_, CR0, 0x6c00)          \
	X(HOST_, CR3, 0x6c02)          \
	X(HOST_, CR4, 0x6c04)          \
	X(HOST_, FS_BASE, 0x6c06)      \
	X(HOST_, GS_BASE, 0x6c08)      \
	X(HOST_, TR_BASE, 0x6c0a)      \
	X(HOST_, GDTR_BASE, 0x6c0c)    \
	X(HOST_, IDTR_BASE, 0x6c0e)    \
	X(HOST_, SYSENTER_ESP, 0x6c10) \
	X(HOST_, SYSENTER_EIP, 0x6c12) \
	X(HOST_, RSP, 0x6c14)          \
	X(HOST_, RIP, 0x6c16)          \
	X(HOST_, S_CET, 0x6c18)        \
	X(HOST_, SSP, 0x6c1a)          \
	X(HOST_, SSP_TABLE, 0x6c1c)
#define VMCS_GUEST_FIELDS(X)                \
	X(, VMCS_LINK_POINTER, 0x2800)      \
	X(, PREEMPTION_TIMER, 0x482e)       \
	X(GUEST_, ES_SELECTOR, 0x0800)      \
	X(GUEST_, CS_SELECTOR, 0x0802)      \
	X(GUEST_, SS_SELECTOR, 0x0804)      \
	X(GUEST_, DS_SELECTOR, 0x0806)      \
	X(GUEST_, FS_SELECTOR, 0x0808)      \
	X(GUEST_, GS_SELECTOR, 0x080a)      \
	X(GUEST_, LDTR_SELECTOR, 0x080c)    \
	X(GUEST_, TR_SELECTOR, 0x080e)      \
	X(GUEST_, INTERRUPT_STATUS, 0x0810) \
	X(GUEST_, PML_INDEX, 0x0812)        \
	X(GUEST_, DEBUGCTL, 0x2802)         \
	X(GUEST_, PAT, 0x2804)              \
	X(GUEST_, EFER, 0x2806)             \
	X(GUEST_, PERF_GLOBAL, 0x2808)      \
	X(GUEST_, PDPTE0, 0x280a)           \
	X(GUEST_, PDPTE1, 0x280c)           \
	X(GUEST_, PDPTE2, 0x280e)           \
	X(GUEST_, PDPTE3, 0x2810)           \
	X(GUEST_, BNDCFGS, 0x2812)          \
	X(GUEST_, RTIT_CTL, 0x2814)         \
	X(GUEST_, PKRS, 0x2818)             \
	X(GUEST_, ES_LIMIT, 0x4800)         \
	X(GUEST_, CS_LIMIT, 0x4802)         \
	X(GUEST_, SS_LIMIT, 0x4804)         \
	X(GUEST_, DS_LIMIT, 0x4806)         \
	X(GUEST_, FS_LIMIT, 0x4808)         \
	X(GUEST_, GS_LIMIT, 0x480a)         \
	X(GUEST_, LDTR_LIMIT, 0x480c)       \
	X(GUEST_, TR_LIMIT, 0x480e)         \
	X(GUEST_, GDTR_LIMIT, 0x4810)       \
	X(GUEST_, IDTR_LIMIT, 0x4812)       \
	X(GUEST_, ES_RIGHTS, 0x4814)        \
	X(GUEST_, CS_RIGHTS, 0x4816)        \
	X(GUEST_, SS_RIGHTS, 0x4818)        \
	X(GUEST_, DS_RIGHTS, 0x481a)        \
	X(GUEST_, FS_RIGHTS, 0x481c)        \
	X(GUEST_, GS_RIGHTS, 0x481e)        \
	X(GUEST_, LDTR_RIGHTS, 0x4820)      \
	X(GUEST_, TR_RIGHTS, 0x4822)        \
	X(GUEST_, INTERRUPTIBILITY, 0x4824) \
	X(GUEST_, ACTIVITY, 0x4826)         \
	X(GUEST_, SYSENTER_CS, 0x482a)      \
	X(GUEST_, CR0, 0x6800)              \
	X(GUEST_, CR3, 0x6802)              \
	X(GUEST_, CR4, 0x6804)              \
	X(GUEST_, ES_BASE, 0x6806)          \
	X(GUEST_, CS_BASE, 0x6808)          \
	X(GUEST_, SS_BASE, 0x680a)          \
	X(GUEST_, DS_BASE, 0x680c)          \
	X(GUEST_, FS_BASE, 0x680e)          \
	X(GUEST_, GS_BASE, 0x6810)          \
	X(GUEST_, LDTR_BASE, 0x6812)        \
	X(GUEST_, TR_BASE, 0x6814)          \
	X(GUEST_, GDTR_BASE, 0x6816)        \
	X(GUEST_, IDTR_BASE, 0x6818)        \
	X(GUEST_, DR7, 0x681a)              \
	X(GUEST_, RSP, 0x681c)              \
	X(GUEST_, RIP, 0x681e)              \
	X(GUEST_, RFLAGS, 0x6820)           \
	X(GUEST_, PENDING_DEBUG, 0x6822)    \
	X(GUEST_, SYSENTER_ESP, 0x6824)     \
	X(GUEST_, SYSENTER_EIP, 0x6826)     \
	X(GUEST_, S_CET, 0x6828)            \
	X(GUEST_, SSP, 0x682a)              \
	X(GUEST_, SSP_TABLE, 0x682c)
#define VMCS_EXIT_FIELDS(X)                   \
	X(, GUEST_PHYSICAL_ADDRESS, 0x2400)   \
	X(, INSTRUCTION_ERROR, 0x4400)        \
	X(, EXIT_REASON, 0x4402)              \
	X(, EXIT_INTR_INFO, 0x4404)           \
	X(, EXIT_INTR_ERROR_CODE, 0x4406)     \
	X(, IDT_VECTORING_INFO, 0x4408)       \
	X(, IDT_VECTORING_ERROR_CODE, 0x440a) \
	X(, EXIT_INSN_LENGTH, 0x440c)         \
	X(, EXIT_INSN_INFO, 0x440e)           \
	X(, EXIT_QUALIFICATION, 0x6400)       \
	X(, GUEST_LINEAR_ADDRESS, 0x640a)

#define VMCS_FIELDS(X) \
	VMCS_CONTROL_FIELDS(X) VMCS_HOST_FIELDS(X) VMCS_GUEST_FIELDS(X) VMCS_EXIT_FIELDS(X)

#define VMCS_DEFINE(prefix, name, value) static const vmcs_field prefix##name = {value};
VMCS_FIELDS(VMCS_DEFINE)
#undef VMCS_DEFINE

/* The same as numbers, ENCODING_NAME, for assembly. */
enum vmcs_encoding {
#define VMCS_ENCODING(prefix, name, value) ENCODING_##prefix##name = (value),
	VMCS_FIELDS(VMCS_ENCODING)
#undef VMCS_ENCODING
};

/* Places in tables of all fields, FIELD_NAME for each; the eight segments' fields are adjacent. */
enum vmcs_index {
#define VMCS_INDEX(prefix, name, value) FIELD_##prefix##name,
	VMCS_FIELDS(VMCS_INDEX)
#undef VMCS_INDEX
		VMCS_FIELD_COUNT
};

/* From the first of a segment's fields, that of ES. */
enum { VMCS_SEGMENT_CS = 1, VMCS_SEGMENT_SS = 2, VMCS_SEGMENT_LDTR = 6, VMCS_SEGMENT_TR = 7 };

#endif
