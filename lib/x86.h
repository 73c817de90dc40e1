/* SPDX-License-Identifier: MIT */
/*
 * Names of the x86 architecture that both the host's code and the models of guests use: control
 * register, flag and EFER bits, exception vectors, MSR numbers. Constants only.
 * Intel SDM volume 3, "System Architecture Overview"; volume 4, "Model-Specific Registers".
 */
#ifndef LIB_X86_H
#define LIB_X86_H

#include "lib/bits.h"

#define CR0_PE	       BIT(0)
#define CR0_MP	       BIT(1)
#define CR0_EM	       BIT(2)
#define CR0_TS	       BIT(3)
#define CR0_ET	       BIT(4)
#define CR0_NE	       BIT(5)
#define CR0_WP	       BIT(16)
#define CR0_AM	       BIT(18)
#define CR0_NW	       BIT(29)
#define CR0_CD	       BIT(30)
#define CR0_PG	       BIT(31)

#define CR4_VME	       BIT(0)
#define CR4_PVI	       BIT(1)
#define CR4_TSD	       BIT(2)
#define CR4_DE	       BIT(3)
#define CR4_PSE	       BIT(4)
#define CR4_PAE	       BIT(5)
#define CR4_MCE	       BIT(6)
#define CR4_PGE	       BIT(7)
#define CR4_PCE	       BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_SMXE       BIT(14)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_CET	       BIT(23)

#define RFLAGS_CF      BIT(0)
#define RFLAGS_FIXED   BIT(1)
#define RFLAGS_TF      BIT(8)
#define RFLAGS_IF      BIT(9)
#define RFLAGS_DF      BIT(10)
#define RFLAGS_NT      BIT(14)
#define RFLAGS_RF      BIT(16)
#define RFLAGS_VM      BIT(17)
#define RFLAGS_AC      BIT(18)

#define EFER_SCE       BIT(0)
#define EFER_LME       BIT(8)
#define EFER_LMA       BIT(10)
#define EFER_NXE       BIT(11)

/* Exception vectors. */
enum {
	VECTOR_DE = 0,
	VECTOR_DB = 1,
	VECTOR_NMI = 2,
	VECTOR_BP = 3,
	VECTOR_OF = 4,
	VECTOR_BR = 5,
	VECTOR_UD = 6,
	VECTOR_NM = 7,
	VECTOR_DF = 8,
	VECTOR_TS = 10,
	VECTOR_NP = 11,
	VECTOR_SS = 12,
	VECTOR_GP = 13,
	VECTOR_PF = 14,
	VECTOR_MF = 16,
	VECTOR_AC = 17,
	VECTOR_MC = 18,
	VECTOR_XM = 19,
	VECTOR_VE = 20,
	VECTOR_CP = 21,
};

#define MSR_TSC		     0x10
#define MSR_PLATFORM_ID	     0x17
#define MSR_APIC_BASE	     0x1b
#define MSR_FEATURE_CONTROL  0x3a
#define MSR_TSC_ADJUST	     0x3b
#define MSR_SPEC_CTRL	     0x48
#define MSR_PRED_CMD	     0x49
#define MSR_BIOS_SIGN_ID     0x8b
#define MSR_MTRRCAP	     0xfe
#define MSR_ARCH_CAPS	     0x10a
#define MSR_FLUSH_CMD	     0x10b
#define MSR_SYSENTER_CS	     0x174
#define MSR_SYSENTER_ESP     0x175
#define MSR_SYSENTER_EIP     0x176
#define MSR_MCG_CAP	     0x179
#define MSR_MCG_STATUS	     0x17a
#define MSR_MCG_CTL	     0x17b
#define MSR_PERF_STATUS	     0x198
#define MSR_MISC_ENABLE	     0x1a0
#define MSR_DEBUGCTL	     0x1d9
#define MSR_MTRR_PHYSBASE0   0x200
#define MSR_MTRR_FIX64K	     0x250
#define MSR_MTRR_FIX16K_80   0x258
#define MSR_MTRR_FIX16K_A0   0x259
#define MSR_MTRR_FIX4K_C0    0x268
#define MSR_PAT		     0x277
#define MSR_MTRR_DEF_TYPE    0x2ff
#define MSR_MC0_CTL	     0x400
#define MSR_VMX_BASIC	     0x480
#define MSR_VMX_PIN	     0x481
#define MSR_VMX_PROC	     0x482
#define MSR_VMX_EXIT	     0x483
#define MSR_VMX_ENTRY	     0x484
#define MSR_VMX_MISC	     0x485
#define MSR_VMX_CR0_FIXED0   0x486
#define MSR_VMX_CR0_FIXED1   0x487
#define MSR_VMX_CR4_FIXED0   0x488
#define MSR_VMX_CR4_FIXED1   0x489
#define MSR_VMX_PROC2	     0x48b
#define MSR_VMX_EPT_VPID_CAP 0x48c
#define MSR_VMX_TRUE_PIN     0x48d
#define MSR_VMX_TRUE_PROC    0x48e
#define MSR_VMX_TRUE_EXIT    0x48f
#define MSR_VMX_TRUE_ENTRY   0x490
#define MSR_TSC_DEADLINE     0x6e0
#define MSR_X2APIC_FIRST     0x800
#define MSR_X2APIC_LAST	     0x8ff
#define MSR_XSS		     0xda0
#define MSR_EFER	     0xc0000080
#define MSR_STAR	     0xc0000081
#define MSR_LSTAR	     0xc0000082
#define MSR_CSTAR	     0xc0000083
#define MSR_FMASK	     0xc0000084
#define MSR_FS_BASE	     0xc0000100
#define MSR_GS_BASE	     0xc0000101
#define MSR_KERNEL_GS_BASE   0xc0000102
#define MSR_TSC_AUX	     0xc0000103

#define APIC_BASE_BSP	     BIT(8)
#define APIC_BASE_X2APIC     BIT(10)
#define APIC_BASE_ENABLE     BIT(11)

/* Memory types, as in MTRRs, PAT and EPT entries. */
enum memory_type {
	MEMORY_UC = 0,
	MEMORY_WC = 1,
	MEMORY_WT = 4,
	MEMORY_WP = 5,
	MEMORY_WB = 6,
};

/* Order of general registers in ModRM and in VMX's exit qualifications. */
enum {
	GPR_RAX,
	GPR_RCX,
	GPR_RDX,
	GPR_RBX,
	GPR_RSP,
	GPR_RBP,
	GPR_RSI,
	GPR_RDI,
	GPR_R8,
	GPR_COUNT = 16,
};

#endif
