/* SPDX-License-Identifier: MIT */
/*
 * The VM-entry checks, rule by rule: a sound 64-bit guest is changed in a few fields, and just the
 * rule of the SDM that this breaks is found. tests/mutants/ compares them with a CPU.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lib/bits.h"
#include "vmx/entry_check.h"

#define REVISION     0x2b
#define VMCS	     0x5000
#define MSRS	     0x9000
#define PDPTES	     0x8020
#define NON_CANON    0x0000800000000000ULL
#define ALLOW_ALL    0xffffffff00000000ULL
#define CPU_CR0_ONES 0x80000021ULL
#define CR4_VMXE     0x2000ULL

static const struct vmx_caps caps = {
	.capability = {ALLOW_ALL, ALLOW_ALL & ~(1ULL << 59), ALLOW_ALL, ALLOW_ALL, ALLOW_ALL},
	.basic = REVISION,
	.misc = 4 << 16 | 7 << 6, /* four CR3 targets, all activity states */
	.ept_vpid = 1 << 6 | 1 << 14 | 1 << 21,
	.cr0_fixed0 = CPU_CR0_ONES,
	.cr0_fixed1 = 0xffffffff,
	.cr4_fixed0 = CR4_VMXE,
	.cr4_fixed1 = 0xffffff,
};

static const struct entry_cpu cpu = {
	.caps = &caps,
	.vm_functions = 1,
	.debugctl = 0xffc3,
	.efer = 0xd01,
	.perf_global = 0xf,
	.physical_bits = 40,
	.linear_bits = 48,
	.rtm = true,
	.sgx = true,
};

/* Some bytes of memory, all else is zero; below 0x1000 it cannot be read. */
static struct {
	uint8_t vtpr;
	uint32_t link;
	uint32_t msr[4];
	uint64_t pdpte;
} memory;

static bool read_memory(void *ctx, uint64_t address, void *to, size_t length)
{
	(void)ctx;
	memset(to, 0, length);
	if (address < 0x1000)
		return false;
	if (address == 0x7080)
		memcpy(to, &memory.vtpr, 1);
	else if (address == 0x6000)
		memcpy(to, &memory.link, 4);
	else if (address == MSRS)
		memcpy(to, memory.msr, 16);
	else if (address == PDPTES)
		memcpy(to, &memory.pdpte, 8);
	return true;
}

static void set_segments(uint64_t *field)
{
	for (unsigned i = 0; i < 8; i++) {
		field[FIELD_GUEST_ES_SELECTOR + i] = 0x10;
		field[FIELD_GUEST_ES_LIMIT + i] = 0xffffffff;
		field[FIELD_GUEST_ES_RIGHTS + i] = 0xc093;
	}
	field[FIELD_GUEST_CS_RIGHTS] = 0xa09b;
	field[FIELD_GUEST_LDTR_RIGHTS] = 0x8082;
	field[FIELD_GUEST_TR_RIGHTS] = 0x808b;
}

static void set_host(uint64_t *field)
{
	field[FIELD_HOST_CR0] = 0x80010033;
	field[FIELD_HOST_CR3] = 0x1000;
	field[FIELD_HOST_CR4] = CR4_VMXE | 0x20;
	field[FIELD_HOST_EFER] = 0xd01;
	field[FIELD_HOST_PAT] = 0x0007040600070406;
	field[FIELD_HOST_CS_SELECTOR] = 8;
	field[FIELD_HOST_TR_SELECTOR] = 0x18;
	field[FIELD_HOST_RIP] = 0x100000;
}

static struct entry_state sound(void)
{
	struct entry_state s = {.cpu = &cpu, .vmcs = VMCS, .read = read_memory};
	uint64_t *field = s.field;

	memset(&memory, 0, sizeof(memory));
	field[FIELD_PIN_CONTROLS] = PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI;
	field[FIELD_PROC_CONTROLS] = PROC_SECONDARY | PROC_TPR_SHADOW;
	field[FIELD_PROC2_CONTROLS] = PROC2_EPT | PROC2_UNRESTRICTED_GUEST | PROC2_VPID;
	field[FIELD_EXIT_CONTROLS] = EXIT_HOST_64BIT | EXIT_LOAD_EFER | EXIT_LOAD_PAT;
	field[FIELD_ENTRY_CONTROLS] =
		ENTRY_IA32E | ENTRY_LOAD_EFER | ENTRY_LOAD_PAT | ENTRY_LOAD_DEBUG;
	field[FIELD_VPID] = 1;
	field[FIELD_EPT_POINTER] = 0x4000 | 3 << 3 | 6;
	field[FIELD_VIRTUAL_APIC] = 0x7000;
	set_host(field);
	field[FIELD_GUEST_CR0] = 0x80010031;
	field[FIELD_GUEST_CR3] = 0x8000;
	field[FIELD_GUEST_CR4] = CR4_VMXE | 0x20;
	field[FIELD_GUEST_EFER] = 0x500;
	field[FIELD_GUEST_PAT] = 0x0007040600070406;
	field[FIELD_GUEST_RFLAGS] = 2;
	field[FIELD_VMCS_LINK_POINTER] = UINT64_MAX;
	set_segments(field);
	return s;
}

/* In real mode, as after a reset. */
static struct entry_state sound_real(void)
{
	struct entry_state s = sound();

	s.field[FIELD_ENTRY_CONTROLS] &= ~ENTRY_IA32E;
	s.field[FIELD_GUEST_CR0] = 0x20;
	s.field[FIELD_GUEST_CR4] = CR4_VMXE;
	s.field[FIELD_GUEST_EFER] = 0;
	for (unsigned i = 0; i < 6; i++) {
		s.field[FIELD_GUEST_ES_RIGHTS + i] = 0x93;
		s.field[FIELD_GUEST_ES_LIMIT + i] = 0xffff;
	}
	return s;
}

static struct entry_state sound_v86(void)
{
	struct entry_state s = sound_real();

	s.field[FIELD_GUEST_CR0] |= 1;
	s.field[FIELD_GUEST_RFLAGS] = 0x20002;
	for (unsigned i = 0; i < 6; i++) {
		s.field[FIELD_GUEST_ES_RIGHTS + i] = 0xf3;
		s.field[FIELD_GUEST_ES_BASE + i] = 0x100;
	}
	return s;
}

static struct entry_state sound_pae(void)
{
	struct entry_state s = sound_real();

	s.field[FIELD_GUEST_CR0] |= 0x80000001;
	s.field[FIELD_GUEST_CR4] |= 0x20;
	s.field[FIELD_GUEST_PDPTE0] = 0x1001;
	s.field[FIELD_GUEST_CS_RIGHTS] = 0x9b;
	return s;
}

/* A guest that is not unrestricted. */
static struct entry_state sound_old(void)
{
	struct entry_state s = sound();

	s.field[FIELD_PROC2_CONTROLS] &= ~PROC2_UNRESTRICTED_GUEST;
	return s;
}

static bool found(const struct entry_state *s, enum entry_rule rule, unsigned *count)
{
	struct entry_findings f;
	bool is = false;

	entry_check(s, &f);
	for (unsigned i = 0; i < f.count; i++)
		is |= f.list[i].rule == rule;
	*count = f.count;
	return is;
}

static void expect_rule(const struct entry_state *s, enum entry_rule rule)
{
	struct entry_findings f;
	char text[80];

	entry_check(s, &f);
	entry_rule_text(rule, text, sizeof(text));
	if (f.count != 1 || f.list[0].rule != rule) {
		print_error("want: %s\n", text);
		for (unsigned i = 0; i < f.count; i++) {
			entry_rule_text((enum entry_rule)f.list[i].rule, text, sizeof(text));
			print_error("found: %s\n", text);
		}
		fail();
	}
}

static void test_sound_states(void **state)
{
	struct entry_state s[] = {sound(), sound_real(), sound_v86(), sound_pae(), sound_old()};
	struct entry_findings f;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(s); i++) {
		entry_check(&s[i], &f);
		assert_int_equal(f.count, 0);
	}
}

/* One field, or two, of the sound 64-bit guest, and the rule that this breaks. */
struct broken {
	unsigned rule;
	struct {
		unsigned field;
		uint64_t value;
	} set[3];
};

#define SET(name, value)            \
	{                           \
		FIELD_##name, value \
	}
#define PROC_BITS(extra)  SET(PROC_CONTROLS, PROC_SECONDARY | PROC_TPR_SHADOW | (extra))
#define PROC2_BITS(extra) SET(PROC2_CONTROLS, PROC2_EPT | PROC2_UNRESTRICTED_GUEST | (extra))
#define PIN_BITS(extra)	  SET(PIN_CONTROLS, PIN_EXTERNAL_INTERRUPT | PIN_NMI | (extra))
#define EXIT_BITS(extra)  SET(EXIT_CONTROLS, EXIT_HOST_64BIT | (extra))
#define ENTRY_BITS(extra) SET(ENTRY_CONTROLS, ENTRY_IA32E | (extra))
#define EVENT(info)	  SET(ENTRY_INTR_INFO, BIT(31) | (info))
#define WITH_IF		  SET(GUEST_RFLAGS, 0x202)

static const struct broken controls[] = {
	{RULE_PROC_RESERVED, {PROC_BITS(PROC_MONITOR_TRAP)}},
	{RULE_CR3_TARGETS, {SET(CR3_TARGET_COUNT, 5)}},
	{RULE_IO_A, {PROC_BITS(PROC_IO_BITMAPS), SET(IO_BITMAP_A, 0x800)}},
	{RULE_IO_B, {PROC_BITS(PROC_IO_BITMAPS), SET(IO_BITMAP_B, BIT(40))}},
	{RULE_MSR_MAP, {PROC_BITS(PROC_MSR_BITMAPS), SET(MSR_BITMAP, 1)}},
	{RULE_VIRTUAL_PAGE, {SET(VIRTUAL_APIC, BIT(63))}},
	{RULE_THRESHOLD, {SET(TPR_THRESHOLD, 0x10)}},
	{RULE_THRESHOLD_VTPR, {SET(TPR_THRESHOLD, 1)}},
	{RULE_X2APIC_SHADOW, {SET(PROC_CONTROLS, PROC_SECONDARY), PROC2_BITS(PROC2_X2APIC)}},
	{RULE_REGISTERS_SHADOW,
	 {SET(PROC_CONTROLS, PROC_SECONDARY), PROC2_BITS(PROC2_APIC_REGISTERS)}},
	{RULE_INTERRUPTS_SHADOW,
	 {SET(PROC_CONTROLS, PROC_SECONDARY), PROC2_BITS(PROC2_INTERRUPTS)}},
	{RULE_VIRTUAL_NMI_NMI, {SET(PIN_CONTROLS, PIN_VIRTUAL_NMI)}},
	{RULE_NMI_WINDOW_VIRTUAL, {PIN_BITS(0), PROC_BITS(PROC_NMI_WINDOW)}},
	{RULE_APIC_PAGE, {PROC2_BITS(PROC2_APIC_ACCESSES), SET(APIC_ACCESS, 0x10)}},
	{RULE_X2APIC_ACCESSES, {PROC2_BITS(PROC2_APIC_ACCESSES | PROC2_X2APIC)}},
	{RULE_INTERRUPTS_EXTERNAL, {SET(PIN_CONTROLS, PIN_NMI), PROC2_BITS(PROC2_INTERRUPTS)}},
	{RULE_POSTED_DELIVERY, {PIN_BITS(PIN_POSTED_INTERRUPTS), EXIT_BITS(EXIT_ACK_INTERRUPT)}},
	{RULE_POSTED_ACK, {PIN_BITS(PIN_POSTED_INTERRUPTS), PROC2_BITS(PROC2_INTERRUPTS)}},
	{RULE_VPID_0, {SET(VPID, 0)}},
	{RULE_EPTP_TYPE, {SET(EPT_POINTER, 0x4000 | 3 << 3)}},
	{RULE_EPTP_LENGTH, {SET(EPT_POINTER, 0x4000 | 4 << 3 | 6)}},
	{RULE_EPTP_RESERVED, {SET(EPT_POINTER, 0x4080 | 3 << 3 | 6)}},
	{RULE_EPTP_RESERVED, {SET(EPT_POINTER, BIT(40) | 3 << 3 | 6)}},
	{RULE_PML_EPT, {SET(PROC2_CONTROLS, PROC2_PML)}},
	{RULE_PML_PAGE, {PROC2_BITS(PROC2_PML), SET(PML_ADDRESS, 8)}},
	{RULE_UNRESTRICTED_EPT, {SET(PROC2_CONTROLS, PROC2_UNRESTRICTED_GUEST)}},
	{RULE_MODE_BASED_EPT, {SET(PROC2_CONTROLS, PROC2_MODE_BASED_EXECUTE)}},
	{RULE_SUB_PAGE_EPT, {SET(PROC2_CONTROLS, PROC2_SUB_PAGE)}},
	{RULE_SUB_PAGE_TABLE, {PROC2_BITS(PROC2_SUB_PAGE), SET(SPP_POINTER, 1)}},
	{RULE_FUNCTIONS_RESERVED, {PROC2_BITS(PROC2_VM_FUNCTIONS), SET(VM_FUNCTIONS, 2)}},
	{RULE_FUNCTIONS_EPT, {SET(PROC2_CONTROLS, PROC2_VM_FUNCTIONS), SET(VM_FUNCTIONS, 1)}},
	{RULE_FUNCTIONS_LIST,
	 {PROC2_BITS(PROC2_VM_FUNCTIONS), SET(VM_FUNCTIONS, 1), SET(EPTP_LIST, 8)}},
	{RULE_SHADOW_READ, {PROC2_BITS(PROC2_SHADOWING), SET(VMREAD_BITMAP, 8)}},
	{RULE_SHADOW_WRITE, {PROC2_BITS(PROC2_SHADOWING), SET(VMWRITE_BITMAP, 8)}},
	{RULE_VE_PAGE, {PROC2_BITS(PROC2_VE), SET(VE_INFORMATION, 8)}},
	{RULE_PT_LOAD, {PROC2_BITS(PROC2_PT_GUEST_PHYSICAL), EXIT_BITS(EXIT_CLEAR_RTIT)}},
	{RULE_MULTIPLIER, {PROC2_BITS(PROC2_TSC_SCALING)}},
	{RULE_TIMER_SAVED, {EXIT_BITS(EXIT_SAVE_TIMER)}},
	{RULE_STORE_AREA, {SET(EXIT_MSR_STORE_COUNT, 1), SET(EXIT_MSR_STORE, 8)}},
	{RULE_LOAD_AREA, {SET(EXIT_MSR_LOAD_COUNT, 2), SET(EXIT_MSR_LOAD, BIT(40) - 16)}},
	{RULE_ENTRY_AREA, {SET(ENTRY_MSR_LOAD_COUNT, 1), SET(ENTRY_MSR_LOAD, 4)}},
	{RULE_EVENT_TYPE, {EVENT(1 << 8)}},
	{RULE_EVENT_TYPE, {EVENT(7 << 8)}},
	{RULE_EVENT_VECTOR, {EVENT(2 << 8 | 3)}},
	{RULE_EVENT_VECTOR, {EVENT(3 << 8 | 32)}},
	{RULE_EVENT_ERROR, {EVENT(3 << 8 | 13)}},
	{RULE_EVENT_ERROR, {EVENT(1 << 11 | 3 << 8 | 6)}},
	{RULE_EVENT_ERROR, {EVENT(1 << 11 | 0x20), WITH_IF}},
	{RULE_EVENT_RESERVED, {EVENT(1 << 12 | 3 << 8 | 6)}},
	{RULE_EVENT_ERROR_CODE, {EVENT(1 << 11 | 3 << 8 | 13), SET(ENTRY_ERROR_CODE, 0x10000)}},
	{RULE_EVENT_LENGTH, {EVENT(4 << 8 | 0x80), SET(ENTRY_INSN_LENGTH, 16)}},
	{RULE_EVENT_LENGTH, {EVENT(6 << 8 | 3)}},
	{RULE_TO_SMM, {ENTRY_BITS(ENTRY_SMM)}},
	{RULE_DUAL_MONITOR, {ENTRY_BITS(ENTRY_DUAL_MONITOR)}},
};

static const struct broken host[] = {
	{RULE_H_CR0, {SET(HOST_CR0, 0x80010013)}},
	{RULE_H_CR0, {SET(HOST_CR0, BIT(32) | 0x80010033)}},
	{RULE_H_CR4, {SET(HOST_CR4, 0x20)}},
	{RULE_H_CET_WP, {SET(HOST_CR4, CR4_VMXE | 0x800020), SET(HOST_CR0, 0x80000033)}},
	{RULE_H_CR3, {SET(HOST_CR3, BIT(40))}},
	{RULE_H_SYSENTER_ESP, {SET(HOST_SYSENTER_ESP, NON_CANON)}},
	{RULE_H_SYSENTER_EIP, {SET(HOST_SYSENTER_EIP, NON_CANON)}},
	{RULE_H_PERF, {EXIT_BITS(EXIT_LOAD_PERF_GLOBAL), SET(HOST_PERF_GLOBAL, 0x10)}},
	{RULE_H_PAT, {SET(HOST_PAT, 2)}},
	{RULE_H_PAT, {SET(HOST_PAT, 8ULL << 56)}},
	{RULE_H_EFER, {SET(HOST_EFER, 0xd03)}},
	{RULE_H_LMA, {SET(HOST_EFER, 0x901)}},
	{RULE_H_LMA, {SET(HOST_EFER, 0xc01)}},
	{RULE_H_S_CET, {EXIT_BITS(EXIT_LOAD_CET), SET(HOST_S_CET, 0xc00)}},
	{RULE_H_SSP_LOW, {EXIT_BITS(EXIT_LOAD_CET), SET(HOST_SSP, 2)}},
	{RULE_H_SSP, {EXIT_BITS(EXIT_LOAD_CET), SET(HOST_SSP, NON_CANON)}},
	{RULE_H_SSP_TABLE, {EXIT_BITS(EXIT_LOAD_CET), SET(HOST_SSP_TABLE, NON_CANON)}},
	{RULE_H_PKRS, {EXIT_BITS(EXIT_LOAD_PKRS), SET(HOST_PKRS, BIT(32))}},
	{RULE_H_SELECTOR, {SET(HOST_ES_SELECTOR, 4)}},
	{RULE_H_SELECTOR, {SET(HOST_TR_SELECTOR, 0x19)}},
	{RULE_H_CS, {SET(HOST_CS_SELECTOR, 0)}},
	{RULE_H_TR, {SET(HOST_TR_SELECTOR, 0)}},
	{RULE_H_FS_BASE, {SET(HOST_FS_BASE, NON_CANON)}},
	{RULE_H_GS_BASE, {SET(HOST_GS_BASE, NON_CANON)}},
	{RULE_H_TR_BASE, {SET(HOST_TR_BASE, NON_CANON)}},
	{RULE_H_GDTR_BASE, {SET(HOST_GDTR_BASE, NON_CANON)}},
	{RULE_H_IDTR_BASE, {SET(HOST_IDTR_BASE, NON_CANON)}},
	{RULE_H_PAE, {SET(HOST_CR4, CR4_VMXE)}},
	{RULE_H_RIP, {SET(HOST_RIP, NON_CANON)}},
};

static const struct broken guest[] = {
	{RULE_G_CR0, {SET(GUEST_CR0, 0x80010011)}},
	{RULE_G_PG, {SET(GUEST_CR0, 0x80010030)}},
	{RULE_G_CR4, {SET(GUEST_CR4, 0x20)}},
	{RULE_G_CET_WP, {SET(GUEST_CR4, CR4_VMXE | 0x800020), SET(GUEST_CR0, 0x80000031)}},
	{RULE_G_DEBUGCTL, {SET(GUEST_DEBUGCTL, 4)}},
	{RULE_G_LONG_PG, {SET(GUEST_CR0, 0x31)}},
	{RULE_G_LONG_PAE, {SET(GUEST_CR4, CR4_VMXE)}},
	{RULE_G_CR3, {SET(GUEST_CR3, BIT(52))}},
	{RULE_G_DR7, {SET(GUEST_DR7, BIT(32))}},
	{RULE_G_SYSENTER_ESP, {SET(GUEST_SYSENTER_ESP, NON_CANON)}},
	{RULE_G_SYSENTER_EIP, {SET(GUEST_SYSENTER_EIP, NON_CANON)}},
	{RULE_G_PERF, {ENTRY_BITS(ENTRY_LOAD_PERF_GLOBAL), SET(GUEST_PERF_GLOBAL, 0x10)}},
	{RULE_G_PAT, {SET(GUEST_PAT, 0x0300)}},
	{RULE_G_EFER, {SET(GUEST_EFER, 0x502)}},
	{RULE_G_LMA, {SET(GUEST_EFER, 0), SET(ENTRY_CONTROLS, ENTRY_IA32E | ENTRY_LOAD_EFER)}},
	{RULE_G_LME, {SET(GUEST_EFER, 0x400)}},
	{RULE_G_BNDCFGS, {ENTRY_BITS(ENTRY_LOAD_BNDCFGS), SET(GUEST_BNDCFGS, 4)}},
	{RULE_G_BOUNDS, {ENTRY_BITS(ENTRY_LOAD_BNDCFGS), SET(GUEST_BNDCFGS, NON_CANON)}},
	{RULE_G_PKRS, {ENTRY_BITS(ENTRY_LOAD_PKRS), SET(GUEST_PKRS, BIT(63))}},
	{RULE_G_S_CET, {ENTRY_BITS(ENTRY_LOAD_CET), SET(GUEST_S_CET, 0x40)}},
	{RULE_S_TI, {SET(GUEST_TR_SELECTOR, 4)}},
	{RULE_S_TI, {SET(GUEST_LDTR_SELECTOR, 4)}},
	{RULE_S_CANONICAL, {SET(GUEST_TR_BASE, NON_CANON)}},
	{RULE_S_CANONICAL, {SET(GUEST_LDTR_BASE, NON_CANON)}},
	{RULE_S_CANONICAL, {SET(GUEST_FS_BASE, NON_CANON)}},
	{RULE_S_32BIT, {SET(GUEST_CS_BASE, BIT(32))}},
	{RULE_S_32BIT, {SET(GUEST_DS_BASE, BIT(63))}},
	{RULE_S_CODE_TYPE, {SET(GUEST_CS_RIGHTS, 0xa09a)}},
	{RULE_S_STACK_TYPE, {SET(GUEST_SS_RIGHTS, 0xc091)}},
	{RULE_S_DATA_TYPE, {SET(GUEST_ES_RIGHTS, 0xc092)}},
	{RULE_S_DATA_TYPE, {SET(GUEST_GS_RIGHTS, 0xc099)}},
	{RULE_S_SYSTEM, {SET(GUEST_CS_RIGHTS, 0xa08b)}},
	{RULE_S_SYSTEM, {SET(GUEST_TR_RIGHTS, 0x809b)}},
	{RULE_S_CS_DPL, {SET(GUEST_CS_RIGHTS, 0xa0bb)}},
	{RULE_S_CS_DPL, {SET(GUEST_CS_RIGHTS, 0xa0bf)}},
	{RULE_S_CS_DPL, {SET(GUEST_CS_RIGHTS, 0xa0b3)}},
	{RULE_S_PRESENT, {SET(GUEST_DS_RIGHTS, 0xc013)}},
	{RULE_S_PRESENT, {SET(GUEST_LDTR_RIGHTS, 0x8002)}},
	{RULE_S_RESERVED, {SET(GUEST_DS_RIGHTS, 0xc193)}},
	{RULE_S_RESERVED, {SET(GUEST_TR_RIGHTS, 0x2808b)}},
	{RULE_S_CS_SIZE, {SET(GUEST_CS_RIGHTS, 0xe09b)}},
	{RULE_S_GRANULARITY, {SET(GUEST_DS_LIMIT, 0xfffff000)}},
	{RULE_S_GRANULARITY, {SET(GUEST_DS_RIGHTS, 0x4093)}},
	{RULE_S_TR_TYPE, {SET(GUEST_TR_RIGHTS, 0x8083)}},
	{RULE_S_TR_USABLE, {SET(GUEST_TR_RIGHTS, 0x1808b)}},
	{RULE_S_LDTR_TYPE, {SET(GUEST_LDTR_RIGHTS, 0x808b)}},
	{RULE_T_GDTR_BASE, {SET(GUEST_GDTR_BASE, NON_CANON)}},
	{RULE_T_IDTR_BASE, {SET(GUEST_IDTR_BASE, NON_CANON)}},
	{RULE_T_GDTR_LIMIT, {SET(GUEST_GDTR_LIMIT, 0x10000)}},
	{RULE_T_IDTR_LIMIT, {SET(GUEST_IDTR_LIMIT, BIT(31))}},
	{RULE_R_RIP_64, {SET(GUEST_RIP, BIT(48))}},
	{RULE_R_RFLAGS_0, {SET(GUEST_RFLAGS, 0xa)}},
	{RULE_R_RFLAGS_0, {SET(GUEST_RFLAGS, BIT(22) | 2)}},
	{RULE_R_RFLAGS_1, {SET(GUEST_RFLAGS, 0)}},
	{RULE_R_IF, {EVENT(0x20)}},
	{RULE_R_SSP_LOW, {ENTRY_BITS(ENTRY_LOAD_CET), SET(GUEST_SSP, 1)}},
	{RULE_N_ACTIVITY, {SET(GUEST_ACTIVITY, 4)}},
	{RULE_N_BLOCKED, {SET(GUEST_ACTIVITY, 1), SET(GUEST_INTERRUPTIBILITY, 2)}},
	{RULE_N_EVENT, {SET(GUEST_ACTIVITY, 1), EVENT(3 << 8 | 6)}},
	{RULE_N_EVENT, {SET(GUEST_ACTIVITY, 2), EVENT(0x20), WITH_IF}},
	{RULE_N_EVENT, {SET(GUEST_ACTIVITY, 3), EVENT(2 << 8 | 2)}},
	{RULE_N_RESERVED, {SET(GUEST_INTERRUPTIBILITY, 0x20)}},
	{RULE_N_STI_MOV_SS, {SET(GUEST_INTERRUPTIBILITY, 3), WITH_IF}},
	{RULE_N_STI_IF, {SET(GUEST_INTERRUPTIBILITY, 1)}},
	{RULE_N_INTERRUPT, {SET(GUEST_INTERRUPTIBILITY, 1), WITH_IF, EVENT(0x20)}},
	{RULE_N_NMI_MOV_SS, {SET(GUEST_INTERRUPTIBILITY, 2), EVENT(2 << 8 | 2)}},
	{RULE_N_SMI, {SET(GUEST_INTERRUPTIBILITY, 4)}},
	{RULE_N_NMI, {SET(GUEST_INTERRUPTIBILITY, 8), EVENT(2 << 8 | 2)}},
	{RULE_N_ENCLAVE, {SET(GUEST_INTERRUPTIBILITY, 0x12)}},
	{RULE_N_PENDING, {SET(GUEST_PENDING_DEBUG, 0x10)}},
	{RULE_N_BS_1, {SET(GUEST_INTERRUPTIBILITY, 1), SET(GUEST_RFLAGS, 0x302)}},
	{RULE_N_BS_0, {SET(GUEST_INTERRUPTIBILITY, 2), SET(GUEST_PENDING_DEBUG, 0x4000)}},
	{RULE_N_BS_0, {SET(GUEST_ACTIVITY, 1), SET(GUEST_PENDING_DEBUG, 0x4000)}},
	{RULE_N_RTM, {SET(GUEST_PENDING_DEBUG, 0x10000)}},
	{RULE_N_LINK, {SET(VMCS_LINK_POINTER, 0x6001)}},
	{RULE_N_LINK_REVISION, {SET(VMCS_LINK_POINTER, 0x6000)}},
};

static void check_all(const struct broken *broken, size_t count, enum entry_group group)
{
	for (size_t i = 0; i < count; i++) {
		struct entry_state s = sound();

		for (unsigned n = 0; n < ARRAY_SIZE(broken[i].set); n++)
			/* Field 0 is the VPID. */
			if (broken[i].set[n].field || broken[i].rule == RULE_VPID_0)
				s.field[broken[i].set[n].field] = broken[i].set[n].value;
		expect_rule(&s, broken[i].rule);
		assert_int_equal(entry_rule_group(broken[i].rule), group);
		assert_true(*entry_rule_section(broken[i].rule));
	}
}

static void test_controls(void **state)
{
	(void)state;
	check_all(controls, ARRAY_SIZE(controls), REFUSED_CONTROLS);
}

static void test_host(void **state)
{
	(void)state;
	check_all(host, ARRAY_SIZE(host), REFUSED_HOST);
}

static void test_guest(void **state)
{
	(void)state;
	check_all(guest, ARRAY_SIZE(guest), REFUSED_GUEST);
}

/* A control that is off has no rules, whatever its fields hold. */
static void test_rules_of_controls_that_are_off(void **state)
{
	struct entry_state s = sound();
	struct entry_findings f;

	(void)state;
	s.field[FIELD_IO_BITMAP_A] = s.field[FIELD_MSR_BITMAP] = s.field[FIELD_APIC_ACCESS] = 1;
	s.field[FIELD_PML_ADDRESS] = s.field[FIELD_EXIT_MSR_STORE] = 1;
	s.field[FIELD_ENTRY_INTR_INFO] = 0x7fffffff;
	s.field[FIELD_ENTRY_INSN_LENGTH] = 99;
	s.field[FIELD_GUEST_PERF_GLOBAL] = s.field[FIELD_HOST_SSP] = UINT64_MAX;
	s.field[FIELD_GUEST_PDPTE0] = UINT64_MAX;
	entry_check(&s, &f);
	assert_int_equal(f.count, 0);
	/* Without secondary controls theirs are off, even if their word says otherwise. */
	s = sound_old();
	s.field[FIELD_PROC_CONTROLS] = 0;
	s.field[FIELD_PROC2_CONTROLS] = UINT32_MAX;
	s.field[FIELD_VPID] = 0;
	s.field[FIELD_EPT_POINTER] = UINT64_MAX;
	entry_check(&s, &f);
	assert_int_equal(f.count, 0);
}

static void set_and_expect(struct entry_state s, unsigned field, uint64_t value,
			   enum entry_rule rule)
{
	s.field[field] = value;
	expect_rule(&s, rule);
}

static void test_modes(void **state)
{
	(void)state;
	set_and_expect(sound_v86(), FIELD_GUEST_DS_BASE, 0x110, RULE_S_V86_BASE);
	set_and_expect(sound_v86(), FIELD_GUEST_SS_LIMIT, 0xfffff, RULE_S_V86_LIMIT);
	set_and_expect(sound_v86(), FIELD_GUEST_CS_RIGHTS, 0x93, RULE_S_V86_RIGHTS);
	set_and_expect(sound_real(), FIELD_GUEST_SS_RIGHTS, 0xf3, RULE_S_SS_DPL_0);
	set_and_expect(sound_v86(), FIELD_GUEST_CR0, 0x20, RULE_R_VM);
	set_and_expect(sound_real(), FIELD_GUEST_RIP, BIT(32), RULE_R_RIP_32);
	set_and_expect(sound_real(), FIELD_GUEST_EFER, 0x400, RULE_G_LMA);
	set_and_expect(sound_real(), FIELD_GUEST_CR4, CR4_VMXE | 0x20000, RULE_G_PCIDE);
	set_and_expect(sound_pae(), FIELD_GUEST_PDPTE0, 0x1003, RULE_P_FIELD);
	set_and_expect(sound_pae(), FIELD_GUEST_PDPTE3, BIT(40) | 1, RULE_P_FIELD);
	set_and_expect(sound_old(), FIELD_GUEST_DS_SELECTOR, 3, RULE_S_DATA_DPL);
	set_and_expect(sound_old(), FIELD_GUEST_CS_SELECTOR, 0x13, RULE_S_SS_RPL);
	set_and_expect(sound_old(), FIELD_GUEST_CS_RIGHTS, 0xa093, RULE_S_CODE_TYPE);
}

static void test_ring_3(void **state)
{
	struct entry_state s = sound_old();

	(void)state;
	s.field[FIELD_GUEST_CS_RIGHTS] = 0xa0fb;
	s.field[FIELD_GUEST_SS_RIGHTS] = 0xc0f3;
	s.field[FIELD_GUEST_CS_SELECTOR] = s.field[FIELD_GUEST_SS_SELECTOR] = 0x13;
	s.field[FIELD_GUEST_ACTIVITY] = 1;
	expect_rule(&s, RULE_N_HLT_DPL);
	s.field[FIELD_GUEST_ACTIVITY] = 0;
	s.field[FIELD_GUEST_SS_RIGHTS] = 0xc0d3;
	s.field[FIELD_GUEST_CS_RIGHTS] = 0xa0db;
	expect_rule(&s, RULE_S_SS_DPL);
}

/* RIP's upper bits must be alike, but not as bit 47: that is not 'canonical'. */
static void test_rip_is_not_canonical(void **state)
{
	struct entry_state s = sound();
	unsigned count;

	(void)state;
	s.field[FIELD_GUEST_RIP] = NON_CANON;
	assert_false(found(&s, RULE_R_RIP_64, &count));
	assert_int_equal(count, 0);
	s.field[FIELD_GUEST_RIP] = 0xffff000000000000;
	assert_false(found(&s, RULE_R_RIP_64, &count));
}

static void test_32bit_host(void **state)
{
	struct entry_state s = sound_real();
	unsigned count;

	(void)state;
	s.field[FIELD_EXIT_CONTROLS] &= ~EXIT_HOST_64BIT;
	assert_true(found(&s, RULE_H_64BIT, &count));
	assert_true(found(&s, RULE_H_LMA, &count));
}

static void test_memory(void **state)
{
	struct entry_state s = sound();
	unsigned count;

	(void)state;
	s.field[FIELD_TPR_THRESHOLD] = 7;
	memory.vtpr = 0x6f;
	expect_rule(&s, RULE_THRESHOLD_VTPR);
	memory.vtpr = 0x70;
	assert_false(found(&s, RULE_THRESHOLD_VTPR, &count));
	/* What cannot be read breaks no rule. */
	s.field[FIELD_VIRTUAL_APIC] = 0;
	assert_false(found(&s, RULE_THRESHOLD_VTPR, &count));

	s = sound();
	s.field[FIELD_VMCS_LINK_POINTER] = 0x6000;
	memory.link = REVISION;
	assert_false(found(&s, RULE_N_LINK_REVISION, &count));
	memory.link = REVISION | BIT(31);
	expect_rule(&s, RULE_N_LINK_REVISION);
	s.vmcs = 0x6000;
	memory.link = REVISION;
	expect_rule(&s, RULE_N_LINK_CURRENT);

	s = sound_pae();
	s.field[FIELD_PROC2_CONTROLS] = 0;
	s.field[FIELD_GUEST_CR0] |= 0x10;
	s.field[FIELD_GUEST_CR3] = PDPTES | 0x1f;
	s.field[FIELD_GUEST_PDPTE0] = 3;
	assert_false(found(&s, RULE_P_MEMORY, &count));
	assert_int_equal(count, 0);
	memory.pdpte = 3;
	expect_rule(&s, RULE_P_MEMORY);
}

static void expect_msr(uint32_t index, uint64_t value, enum entry_rule rule)
{
	struct entry_state s = sound();
	unsigned count;

	s.field[FIELD_ENTRY_MSR_LOAD] = MSRS;
	s.field[FIELD_ENTRY_MSR_LOAD_COUNT] = 1;
	memory.msr[0] = 0xc0000081;
	assert_false(found(&s, rule, &count));
	assert_int_equal(count, 0);
	memory.msr[0] = index;
	memory.msr[1] = rule == RULE_M_RESERVED;
	memcpy(&memory.msr[2], &value, 8);
	expect_rule(&s, rule);
	assert_int_equal(entry_rule_group(rule), REFUSED_MSRS);
}

static void test_msrs(void **state)
{
	(void)state;
	expect_msr(0xc0000100, 0, RULE_M_INDEX);
	expect_msr(0xc0000101, 0, RULE_M_INDEX);
	expect_msr(0x83f, 0, RULE_M_INDEX);
	expect_msr(0xc0000082, 0, RULE_M_RESERVED);
	expect_msr(0xc0000082, NON_CANON, RULE_M_VALUE);
	expect_msr(0xc0000080, 2, RULE_M_VALUE);
}

/* The words are of the rule and fit; the fields are those that it is about. */
static void test_words(void **state)
{
	struct entry_state s = sound();
	struct entry_findings f;
	char text[80];

	(void)state;
	for (unsigned i = 0; i < RULE_COUNT; i++) {
		entry_rule_text((enum entry_rule)i, text, sizeof(text));
		assert_in_range(strlen(text), 5, sizeof(text) - 2);
	}
	entry_rule_text(RULE_VIRTUAL_NMI_NMI, text, sizeof(text));
	assert_string_equal(text, "'virtual NMIs' needs 'NMI exiting'");
	entry_rule_text(RULE_G_PG, text, sizeof(text));
	assert_string_equal(text, "PG needs PE");
	entry_rule_text(RULE_T_GDTR_LIMIT, text, sizeof(text));
	assert_string_equal(text, "bits 31:16 must be 0");
	assert_string_equal(entry_rule_section(RULE_G_PG),
			    "Checks on Guest Control Registers, Debug Registers, and MSRs");
	s.field[FIELD_GUEST_FS_RIGHTS] = 0xc092;
	entry_check(&s, &f);
	assert_int_equal(f.list[0].field[0], FIELD_GUEST_FS_RIGHTS);
	s = sound();
	s.field[FIELD_EXIT_MSR_LOAD] = 1;
	s.field[FIELD_EXIT_MSR_LOAD_COUNT] = 1;
	entry_check(&s, &f);
	assert_int_equal(f.list[0].field[0], FIELD_EXIT_MSR_LOAD);
	assert_int_equal(f.list[0].field[1], FIELD_EXIT_MSR_LOAD_COUNT);
	assert_int_equal(f.list[0].field[2], ENTRY_NO_FIELD);
}

static void test_wrong_bits(void **state)
{
	struct vmx_caps few = caps;
	const struct entry_cpu own = {.caps = &few};
	enum control_word word;

	(void)state;
	few.capability[CONTROL_EXIT] = 0x000000ff00000011;
	assert_int_equal(entry_wrong_bits(&own, CONTROL_EXIT, 0x101), 0x110);
	assert_true(entry_rule_word(RULE_EXIT_RESERVED, &word));
	assert_int_equal(word, CONTROL_EXIT);
	assert_false(entry_rule_word(RULE_G_PG, &word));
}

/* A state of all ones, or all zeros, breaks more rules than the list holds: no harm is done. */
static void test_everything_wrong(void **state)
{
	struct entry_state s = sound();
	struct entry_findings f;

	(void)state;
	memset(s.field, 0xff, sizeof(s.field));
	entry_check(&s, &f);
	assert_int_equal(f.count, ENTRY_FINDINGS_MAX);
	memset(s.field, 0, sizeof(s.field));
	entry_check(&s, &f);
	assert_true(f.count > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound_states),
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_guest),
		cmocka_unit_test(test_rules_of_controls_that_are_off),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_ring_3),
		cmocka_unit_test(test_rip_is_not_canonical),
		cmocka_unit_test(test_32bit_host),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_msrs),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_wrong_bits),
		cmocka_unit_test(test_everything_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
