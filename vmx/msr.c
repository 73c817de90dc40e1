/* SPDX-License-Identifier: MIT */
/* Guest MSRs. */
#include "vmx/msr.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/traps.h"
#include "lib/string.h"
#include "vmx/caps.h"
#include "vmx/defenses.h"
#include "vmx/virtual_apic.h"
#include "vmx/vmcs.h"

#define SPEC_CTRL_IBRS	   BIT(0)
#define PRED_CMD_IBPB	   BIT(0)
#define DEBUGCTL_ALLOWED   BITS(1, 0) /* LBR, BTF */
#define MISC_FAST_STRINGS  BIT(0)
#define MISC_NO_BTS	   BIT(11)
#define MISC_NO_PEBS	   BIT(12)
#define MTRR_VARIABLE_MAX  8
#define MTRRCAP_VALUE	   (MTRR_VARIABLE_MAX | BIT(8) | BIT(10)) /* fixed ranges, WC */
#define MTRR_ENABLE	   BIT(11)
#define MTRR_FIXED_ENABLE  BIT(10)
#define MTRR_VALID	   BIT(11)
#define MCG_STATUS_DEFINED BITS(3, 0)
#define BITMAP_HIGH	   1024 /* offset of MSRs C0000000H.. for reads */
#define BITMAP_WRITE	   2048
#define BITMAP_HIGH_FIRST  0xc0000000u

/* What it says of the host's flaws holds for the guest; what it says of controls does not. */
#define ARCH_CAPS_PASS (BITS(2, 0) | BITS(8, 4) | BITS(17, 13) | BIT(24) | BIT(26) | BIT(27))

static struct vlapic *lapic_of(struct vmx_vcpu *v)
{
	return pc_lapic(&v->vcpu.vm->pc, v->vcpu.id);
}

static bool read_deadline(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vlapic_read_deadline(lapic_of(v), vmx_now(v));
	return true;
}

static bool write_deadline(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	vlapic_write_deadline(lapic_of(v), value, vmx_now(v));
	v->vcpu.attention |= ATTENTION_TIMER;
	return true;
}

static bool read_x2apic(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	return vlapic_read_msr(lapic_of(v), msr, value, vmx_now(v));
}

static bool write_x2apic(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
	v->vcpu.attention |= ATTENTION_TIMER | ATTENTION_EVENT;
	return vlapic_write_msr(lapic_of(v), msr, value, vmx_now(v));
}

/* The next read is entry.asm's. The variable lives as long as the vCPU. */
static bool read_variable(struct vmx_vcpu *v, uint32_t msr, const uint64_t *variable,
			  uint64_t *value)
{
	v->msr_read.number = msr;
	v->msr_read.value = variable;
	*value = *variable;
	return true;
}

static bool read_apic_base(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	return read_variable(v, msr, &lapic_of(v)->base, value);
}

static bool write_apic_base(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	v->vcpu.attention |= ATTENTION_TIMER | ATTENTION_EVENT;
	if (!vlapic_write_base(lapic_of(v), value))
		return false;
	virtual_apic_set_mode(v);
	return true;
}

/* Guest TSC = VM clock + adjust. SDM volume 3, "Time-Stamp Counter Adjustment". */
static void set_tsc_adjust(struct vmx_vcpu *v, uint64_t adjust)
{
	v->vcpu.tsc_adjust = adjust;
	vmcs_write(TSC_OFFSET, adjust - v->vcpu.vm->clock.base);
	vlapic_set_tsc_adjust(lapic_of(v), adjust, vmx_now(v));
	v->vcpu.attention |= ATTENTION_TIMER;
}

static bool read_tsc(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	if (msr == MSR_TSC_ADJUST)
		return read_variable(v, msr, &v->vcpu.tsc_adjust, value);
	*value = vmx_now(v) + v->vcpu.tsc_adjust;
	return true;
}

static bool write_tsc(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
	set_tsc_adjust(v, msr == MSR_TSC ? value - vmx_now(v) : value);
	return true;
}

static bool read_debugctl(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)v;
	(void)msr;
	*value = vmcs_read(GUEST_DEBUGCTL);
	return true;
}

static bool write_debugctl(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
	(void)v;
	(void)msr;
	if (value & ~DEBUGCTL_ALLOWED)
		return false;
	vmcs_write(GUEST_DEBUGCTL, value);
	return true;
}

static bool read_misc_enable(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	return read_variable(v, msr, &v->vcpu.misc_enable, value);
}

static bool write_misc_enable(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	/* The two 'unavailable' bits are read-only; nothing else is there to be switched. */
	if ((value ^ v->vcpu.misc_enable) & ~(MISC_FAST_STRINGS | MISC_NO_BTS | MISC_NO_PEBS))
		return false;
	v->vcpu.misc_enable = (value & MISC_FAST_STRINGS) | MISC_NO_BTS | MISC_NO_PEBS;
	return true;
}

static bool is_memory_type(uint64_t type)
{
	return type == MEMORY_UC || type == MEMORY_WC || type == MEMORY_WT || type == MEMORY_WP ||
	       type == MEMORY_WB;
}

static uint64_t *fixed_mtrr(struct vmx_vcpu *v, uint32_t msr)
{
	if (msr == MSR_MTRR_FIX64K)
		return &v->vcpu.mtrr_fixed[0];
	if (msr <= MSR_MTRR_FIX16K_A0)
		return &v->vcpu.mtrr_fixed[1 + msr - MSR_MTRR_FIX16K_80];
	return &v->vcpu.mtrr_fixed[3 + msr - MSR_MTRR_FIX4K_C0];
}

static bool read_mtrr(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	static const uint64_t capabilities = MTRRCAP_VALUE;
	const uint64_t *at;

	if (msr == MSR_MTRRCAP)
		at = &capabilities;
	else if (msr == MSR_MTRR_DEF_TYPE)
		at = &v->vcpu.mtrr_def_type;
	else if (msr < MSR_MTRR_FIX64K)
		at = &v->vcpu.mtrr_variable[msr - MSR_MTRR_PHYSBASE0];
	else
		at = fixed_mtrr(v, msr);
	return read_variable(v, msr, at, value);
}

static bool write_variable_mtrr(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
	uint64_t reserved = BITS(63, cpuid_physical_bits(&v->vcpu.vm->cpuid));
	bool is_mask = (msr - MSR_MTRR_PHYSBASE0) & 1;

	reserved |= is_mask ? BITS(10, 0) : BITS(11, 8);
	if ((value & reserved) || (!is_mask && !is_memory_type(value & 0xff)))
		return false;
	v->vcpu.mtrr_variable[msr - MSR_MTRR_PHYSBASE0] = value;
	return true;
}

/*
 * What a guest writes here is kept and read back; the types that count are the host's, by EPT, and
 * the guest's PAT (SDM volume 3, "EPT and Memory Typing").
 */
static bool write_mtrr(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
	if (msr == MSR_MTRR_DEF_TYPE) {
		if ((value & ~(MTRR_ENABLE | MTRR_FIXED_ENABLE | 0xff)) ||
		    !is_memory_type(value & 0xff))
			return false;
		v->vcpu.mtrr_def_type = value;
		return true;
	}
	if (msr < MSR_MTRR_FIX64K)
		return write_variable_mtrr(v, msr, value);
	for (unsigned i = 0; i < 8; i++)
		if (!is_memory_type(value >> (8 * i) & 0xff))
			return false;
	*fixed_mtrr(v, msr) = value;
	return true;
}

/* No banks: IA32_MCG_CAP is 0, there is no IA32_MCG_CTL and no bank register. */
static bool read_zero(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)v;
	(void)msr;
	*value = 0;
	return true;
}

static bool read_mcg_status(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	return read_variable(v, msr, &v->vcpu.mcg_status, value);
}

static bool write_mcg_status(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	if (value & ~MCG_STATUS_DEFINED)
		return false;
	v->vcpu.mcg_status = value;
	return true;
}

/* The host's microcode revision: guests decide by it which errata are mended. */
static bool read_microcode(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)v;
	return rdmsr_safe(msr, value);
}

/* Written with 0 before CPUID, by the SDM's recipe for reading the revision. */
static bool write_microcode(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
	(void)v;
	(void)msr;
	return value == 0;
}

static bool read_arch_caps(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	if (!(v->vcpu.vm->cpuid.basic[7].edx & LEAF7_EDX_ARCH_CAPS) || !rdmsr_safe(msr, value))
		return false;
	*value &= ARCH_CAPS_PASS;
	return true;
}

/* With DEFENSE_IBRS_ALWAYS; else the guest has the register itself, or none. */
static bool read_spec_ctrl(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = v->state.msrs.spec_ctrl_shown;
	return defenses() & DEFENSE_IBRS_ALWAYS;
}

/* The CPU knows which bits it has. */
static bool write_spec_ctrl(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
	if (!(defenses() & DEFENSE_IBRS_ALWAYS) || !wrmsr_safe(msr, value | SPEC_CTRL_IBRS))
		return false;
	v->state.msrs.spec_ctrl_shown = value;
	return true;
}

/* Reads and writes that are NULL raise #GP. */
static const struct msr_rule {
	uint32_t first, last;
	bool pass; /* the guest accesses the CPU's own register: no exit */
	bool (*read)(struct vmx_vcpu *v, uint32_t msr, uint64_t *value);
	bool (*write)(struct vmx_vcpu *v, uint32_t msr, uint64_t value);
} rules[] = {
	/* The search is linear: what guests use most comes first. */
	{MSR_TSC_DEADLINE, MSR_TSC_DEADLINE, false, read_deadline, write_deadline},
	{MSR_X2APIC_FIRST, MSR_X2APIC_LAST, false, read_x2apic, write_x2apic},
	{MSR_APIC_BASE, MSR_APIC_BASE, false, read_apic_base, write_apic_base},
	{MSR_TSC, MSR_TSC, false, read_tsc, write_tsc},
	{MSR_TSC_ADJUST, MSR_TSC_ADJUST, false, read_tsc, write_tsc},
	{MSR_DEBUGCTL, MSR_DEBUGCTL, false, read_debugctl, write_debugctl},
	{MSR_MISC_ENABLE, MSR_MISC_ENABLE, false, read_misc_enable, write_misc_enable},
	{MSR_MTRRCAP, MSR_MTRRCAP, false, read_mtrr, NULL},
	{MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, false, read_mtrr, write_mtrr},
	{MSR_MTRR_PHYSBASE0, MSR_MTRR_PHYSBASE0 + 2 * MTRR_VARIABLE_MAX - 1, false, read_mtrr,
	 write_mtrr},
	{MSR_MTRR_FIX64K, MSR_MTRR_FIX64K, false, read_mtrr, write_mtrr},
	{MSR_MTRR_FIX16K_80, MSR_MTRR_FIX16K_A0, false, read_mtrr, write_mtrr},
	{MSR_MTRR_FIX4K_C0, MSR_MTRR_FIX4K_C0 + 7, false, read_mtrr, write_mtrr},
	{MSR_MCG_CAP, MSR_MCG_CAP, false, read_zero, NULL},
	{MSR_MCG_STATUS, MSR_MCG_STATUS, false, read_mcg_status, write_mcg_status},
	{MSR_PLATFORM_ID, MSR_PLATFORM_ID, false, read_zero, NULL},
	{MSR_BIOS_SIGN_ID, MSR_BIOS_SIGN_ID, false, read_microcode, write_microcode},
	{MSR_ARCH_CAPS, MSR_ARCH_CAPS, false, read_arch_caps, NULL},
	/*
	 * Switched by VM entry and exit, or used by nothing in the host. A register that the CPU
	 * does not have raises #GP by itself.
	 */
	{MSR_SYSENTER_CS, MSR_SYSENTER_EIP, true, NULL, NULL},
	{MSR_PAT, MSR_PAT, true, NULL, NULL},
	{MSR_SPEC_CTRL, MSR_SPEC_CTRL, true, read_spec_ctrl, write_spec_ctrl},
	{MSR_PRED_CMD, MSR_PRED_CMD, true, NULL, NULL},
	{MSR_EFER, MSR_FMASK, true, NULL, NULL},
	{MSR_FS_BASE, MSR_KERNEL_GS_BASE, true, NULL, NULL},
	{MSR_TSC_AUX, MSR_TSC_AUX, true, NULL, NULL},
};

static const struct msr_rule *find_rule(uint32_t msr)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
		if (msr - rules[i].first <= rules[i].last - rules[i].first)
			return &rules[i];
	return NULL;
}

bool msr_read(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
	const struct msr_rule *rule = find_rule(msr);

	return rule && rule->read && rule->read(v, msr, value);
}

bool msr_write(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
	const struct msr_rule *rule = find_rule(msr);

	return rule && rule->write && rule->write(v, msr, value);
}

/* Accesses without an exit. */
enum pass { PASS_READ = 1, PASS_WRITE = 2 };

static void bitmap_pass(uint8_t *bitmap, uint32_t msr, unsigned pass)
{
	uint32_t at = msr;

	if (msr >= BITMAP_HIGH_FIRST) {
		bitmap += BITMAP_HIGH;
		at -= BITMAP_HIGH_FIRST;
	}
	if (pass & PASS_READ)
		bitmap[at / 8] &= (uint8_t)~BIT(at % 8);
	if (pass & PASS_WRITE)
		bitmap[BITMAP_WRITE + at / 8] &= (uint8_t)~BIT(at % 8);
}

/*
 * What the rules pass and VM entry and exit do not switch. One by one, as each switch between two
 * vCPUs goes through all of them; those that not every CPU has are the last.
 */
static struct {
	bool tsc_aux, spec_ctrl; /* this CPU has them */
} has;

/* What is not switched between vCPUs is nobody's. */
static bool passes(uint32_t msr)
{
	switch (msr) {
	case MSR_TSC_AUX: return vmx_has(CONTROL_PROC2, PROC2_RDTSCP);
	case MSR_SPEC_CTRL: return has.spec_ctrl && !(defenses() & DEFENSE_IBRS_ALWAYS);
	default: return true;
	}
}

static void fill_bitmap(uint8_t *bitmap)
{
	memset(bitmap, 0xff, PAGE_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
		for (uint32_t msr = rules[i].first; rules[i].pass && msr <= rules[i].last; msr++)
			if (passes(msr))
				bitmap_pass(bitmap, msr, PASS_READ | PASS_WRITE);
	/*
	 * RDMSR of the TSC sees offset and scale without an exit; WRMSR must move it. Where the
	 * CPU does not scale, a VM with a rate of its own needs the exit.
	 */
	if (vmx_has(CONTROL_PROC2, PROC2_TSC_SCALING))
		bitmap_pass(bitmap, MSR_TSC, PASS_READ);
}

/*
 * What the CPU virtualises itself. A read gives what is in the page even where there is no such
 * register, so those stay exits. SDM volume 3, "Virtualizing MSR-Based APIC Accesses".
 */
static void pass_x2apic(uint8_t *bitmap)
{
	static const uint32_t written[] = {VLAPIC_TPR, VLAPIC_EOI, VLAPIC_SELF_IPI};

	for (uint32_t msr = MSR_X2APIC_FIRST; msr <= MSR_X2APIC_LAST; msr++)
		if (vlapic_reads_page(msr))
			bitmap_pass(bitmap, msr, PASS_READ);
	for (unsigned i = 0; i < ARRAY_SIZE(written); i++)
		bitmap_pass(bitmap, MSR_X2APIC_FIRST + written[i] / 16, PASS_WRITE);
}

static struct {
	uint64_t plain;
	uint64_t x2apic;
} bitmaps;

uint64_t msr_bitmap(bool x2apic)
{
	return x2apic ? bitmaps.x2apic : bitmaps.plain;
}

static bool make_bitmaps(struct frames *frames)
{
	bitmaps.plain = frames_alloc(frames, 2 * PAGE_SIZE, PAGE_SIZE, UINT64_MAX);
	if (bitmaps.plain == FRAMES_NONE)
		return false;
	bitmaps.x2apic = bitmaps.plain + PAGE_SIZE;
	fill_bitmap((uint8_t *)bitmaps.plain);
	fill_bitmap((uint8_t *)bitmaps.x2apic);
	pass_x2apic((uint8_t *)bitmaps.x2apic);
	return true;
}

void msr_reset(struct vmx_vcpu *v)
{
	struct vcpu *vcpu = &v->vcpu;

	v->msr_read.number = MSR_APIC_BASE;
	v->msr_read.value = &lapic_of(v)->base;
	if (defenses() & DEFENSE_IBRS_ALWAYS)
		v->state.msrs.spec_ctrl = SPEC_CTRL_IBRS;
	vcpu->misc_enable = MISC_FAST_STRINGS | MISC_NO_BTS | MISC_NO_PEBS;
	vcpu->mtrr_def_type = MTRR_ENABLE | MTRR_FIXED_ENABLE | MEMORY_WB;
	for (unsigned i = 0; i < ARRAY_SIZE(vcpu->mtrr_fixed); i++)
		vcpu->mtrr_fixed[i] = 0x0606060606060606ULL;
	/* As firmware sets it: the hole below 4 GiB, for devices, is uncached. */
	vcpu->mtrr_variable[0] = GUEST_LOW_MAX | MEMORY_UC;
	vcpu->mtrr_variable[1] = (BITS(cpuid_physical_bits(&vcpu->vm->cpuid) - 1, 0) &
				  ~(GUEST_HIGH_BASE - GUEST_LOW_MAX - 1)) |
				 MTRR_VALID;
}

bool msr_init(struct frames *frames)
{
	uint64_t value;

	has.tsc_aux = rdmsr_safe(MSR_TSC_AUX, &value);
	has.spec_ctrl =
		(cpuid_leaf7().edx & LEAF7_EDX_SPEC_CTRL) && rdmsr_safe(MSR_SPEC_CTRL, &value);
	return make_bitmaps(frames);
}

/* With DEFENSE_IBRS each exit and entry does. */
static bool switches_spec_ctrl(void)
{
	return has.spec_ctrl && !(defenses() & DEFENSE_IBRS);
}

void msr_save(struct vmx_vcpu *v)
{
	struct vmx_msrs *msrs = &v->state.msrs;

	msrs->star = rdmsr(MSR_STAR);
	msrs->lstar = rdmsr(MSR_LSTAR);
	msrs->cstar = rdmsr(MSR_CSTAR);
	msrs->fmask = rdmsr(MSR_FMASK);
	msrs->kernel_gs_base = rdmsr(MSR_KERNEL_GS_BASE);
	if (has.tsc_aux)
		msrs->tsc_aux = rdmsr(MSR_TSC_AUX);
	if (switches_spec_ctrl())
		msrs->spec_ctrl = rdmsr(MSR_SPEC_CTRL);
}

void msr_load(const struct vmx_vcpu *v)
{
	const struct vmx_msrs *msrs = &v->state.msrs;

	wrmsr(MSR_STAR, msrs->star);
	wrmsr(MSR_LSTAR, msrs->lstar);
	wrmsr(MSR_CSTAR, msrs->cstar);
	wrmsr(MSR_FMASK, msrs->fmask);
	wrmsr(MSR_KERNEL_GS_BASE, msrs->kernel_gs_base);
	if (has.tsc_aux)
		wrmsr(MSR_TSC_AUX, msrs->tsc_aux);
	if (switches_spec_ctrl())
		wrmsr(MSR_SPEC_CTRL, msrs->spec_ctrl);
}

void msr_forget_branches(void)
{
	if (defenses() & DEFENSE_IBPB)
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
}
